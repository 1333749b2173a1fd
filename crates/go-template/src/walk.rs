//! What `range` walks: lists and maps in order, and whole numbers from 0. Used by the executor.

use std::borrow::Cow;

use crate::slot::{Slot, part};
use crate::value::Value;

/// What a loop walks.
pub(crate) enum Walk<'a> {
    /// A list or map, by place.
    Items(Cow<'a, Value>, usize),
    /// Whole numbers below an end, made by the function.
    Numbers(i128, i128, fn(i128) -> Value),
}

impl<'a> Walk<'a> {
    /// A walk over a value; `None` for nil, which counts as empty. Numbers have no index to give: `two` says that
    /// both index and element are wanted.
    pub(crate) fn over(value: Slot<'a>, two: bool) -> Result<Option<Self>, String> {
        let (Slot::Typed(whole) | Slot::Boxed(whole)) = value else { return Ok(None) };
        Ok(Some(match whole.as_ref() {
            Value::Nil => return Ok(None),
            Value::List(_) | Value::Map(_) | Value::StringMap(_) => Self::Items(whole, 0),
            Value::Int(number) if two => return Err(not_two(i128::from(*number))),
            Value::Uint(number) if two => return Err(not_two(i128::from(*number))),
            Value::Byte(number) if two => return Err(not_two(i128::from(*number))),
            Value::Int(end) => {
                Self::Numbers(0, i128::from(*end), |n| Value::Int(i64::try_from(n).unwrap_or_default()))
            }
            Value::Uint(end) => {
                Self::Numbers(0, i128::from(*end), |n| Value::Uint(u64::try_from(n).unwrap_or_default()))
            }
            Value::Byte(end) => {
                Self::Numbers(0, i128::from(*end), |n| Value::Byte(u8::try_from(n).unwrap_or_default()))
            }
            other => return Err(format!("range can't iterate over a value of type {}", other.type_name())),
        }))
    }

    /// Index or key, and element, of the next turn.
    pub(crate) fn next(&mut self) -> Option<(Slot<'a>, Slot<'a>)> {
        match self {
            Self::Numbers(next, end, make) => {
                let number = (*next < *end).then_some(*next)?;
                *next += 1;
                Some((Slot::Invalid, Slot::own(make(number))))
            }
            Self::Items(whole, next) => {
                let at = *next;
                *next += 1;
                match whole.as_ref() {
                    Value::StringMap(map) => {
                        let (key, text) = map.entry(at)?;
                        let text = Slot::own(Value::String(text.clone()));
                        Some((Slot::own(Value::String(key.clone())), text))
                    }
                    Value::Map(map) => {
                        let key = Slot::own(Value::String(map.entry(at)?.0.clone()));
                        let element = part(whole, |whole| match whole {
                            Value::Map(map) => map.entry(at).map(|(_, value)| value),
                            _ => None,
                        })?;
                        Some((key, Slot::Boxed(element)))
                    }
                    _ => {
                        let element = part(whole, |whole| match whole {
                            Value::List(list) => list.get(at),
                            _ => None,
                        })?;
                        let index = Value::Int(i64::try_from(at).unwrap_or(i64::MAX));
                        Some((Slot::own(index), Slot::Boxed(element)))
                    }
                }
            }
        }
    }
}

fn not_two(number: i128) -> String {
    format!("can't use {number} to iterate over more than one variable")
}
