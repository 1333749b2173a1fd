//! `eq`, `ne`, `lt`, `le`, `gt`, `ge` (text/template, funcs.go): only values of one basic kind compare, except that
//! whole numbers compare whatever their sign, and anything may be asked whether it equals nil.

use std::cmp::Ordering;

use crate::slot::Slot;
use crate::value::Value;

const INCOMPATIBLE: &str = "incompatible types for comparison";
const INVALID: &str = "invalid type for comparison";

/// Whether `a` equals `b`.
pub(crate) fn equal(a: &Slot<'_>, b: &Slot<'_>) -> Result<bool, String> {
    let (Some(a), Some(b)) = (a.concrete(), b.concrete()) else {
        return Ok(a.concrete().is_none() && b.concrete().is_none());
    };
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::Complex(a, i), Value::Complex(b, j)) => Ok(a == b && i == j),
        (Value::String(a), Value::String(b)) => Ok(a == b),
        _ => match (whole(a), whole(b)) {
            (Some(a), Some(b)) => Ok(a == b),
            _ if is_basic(a) || is_basic(b) => {
                Err(format!("{INCOMPATIBLE}: {} and {}", a.type_name(), b.type_name()))
            }
            _ if a.type_name() != b.type_name() => {
                Err(format!("non-comparable types {} and {}", a.type_name(), b.type_name()))
            }
            _ => Err(format!("non-comparable type {}", b.type_name())),
        },
    }
}

/// Whether `a` is less than `b`.
pub(crate) fn less(a: &Slot<'_>, b: &Slot<'_>) -> Result<bool, String> {
    let (a, b) = (a.concrete().ok_or(INVALID)?, b.concrete().ok_or(INVALID)?);
    if !is_basic(a) || !is_basic(b) {
        return Err(INVALID.to_owned());
    }
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b) == Some(Ordering::Less)),
        (Value::String(a), Value::String(b)) => Ok(a < b),
        (Value::Bool(_), Value::Bool(_)) | (Value::Complex(..), Value::Complex(..)) => {
            Err(INVALID.to_owned())
        }
        _ => match (whole(a), whole(b)) {
            (Some(a), Some(b)) => Ok(a < b),
            _ => Err(format!("{INCOMPATIBLE}: {} and {}", a.type_name(), b.type_name())),
        },
    }
}

fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Int(number) => Some(i128::from(*number)),
        Value::Uint(number) => Some(i128::from(*number)),
        Value::Byte(number) => Some(i128::from(*number)),
        _ => None,
    }
}

fn is_basic(value: &Value) -> bool {
    !matches!(value, Value::Nil | Value::List(_) | Value::Map(_) | Value::StringMap(_) | Value::Function(_))
}
