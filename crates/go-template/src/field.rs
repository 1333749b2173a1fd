//! `.name` of a value (text/template, exec.go `evalField`). Used by the executor.

use std::borrow::Cow;
use std::sync::Arc;

use crate::error::RenderErrorKind as Kind;
use crate::fault::Fault;
use crate::slot::{Slot, part};
use crate::template::MissingKey;
use crate::value::Value;

/// The field `name` of a value. With arguments `given` there must be none: no field is a method here.
pub(crate) fn field<'a>(
    of: &Slot<'a>,
    name: &Arc<[u8]>,
    given: bool,
    missing_key: MissingKey,
) -> Result<Slot<'a>, Fault> {
    let shown = || String::from_utf8_lossy(name);
    let whole = match of {
        Slot::Invalid if missing_key == MissingKey::Error => {
            return Err(Fault::missing(name, "nil data; no entry for key"));
        }
        Slot::Invalid => return Ok(Slot::Invalid),
        Slot::Typed(whole) | Slot::Boxed(whole) => whole,
    };
    match whole.as_ref() {
        Value::Map(_) | Value::StringMap(_) if given => {
            Err(Fault::new(Kind::Type, format!("{} is not a method but has arguments", shown())))
        }
        Value::Map(_) => {
            let found = part(whole, |whole| match whole {
                Value::Map(map) => map.get(name),
                _ => None,
            });
            match found {
                Some(found) => Ok(Slot::Boxed(found)),
                None => absent(name, missing_key, || Slot::Boxed(Cow::Owned(Value::Nil))),
            }
        }
        Value::StringMap(map) => match map.get(name) {
            Some(text) => Ok(Slot::own(Value::String(text.clone()))),
            None => absent(name, missing_key, || Slot::own(Value::string(""))),
        },
        Value::Nil => Err(Fault::keyless(name, format!("nil pointer evaluating interface {{}}.{}", shown()))),
        _ => {
            Err(Fault::keyless(name, format!("can't evaluate field {} in type {}", shown(), of.type_name())))
        }
    }
}

fn absent<'a>(
    name: &[u8],
    missing_key: MissingKey,
    zero: impl FnOnce() -> Slot<'a>,
) -> Result<Slot<'a>, Fault> {
    match missing_key {
        MissingKey::Default => Ok(Slot::Invalid),
        MissingKey::Zero => Ok(zero()),
        MissingKey::Error => Err(Fault::missing(name, "map has no entry for key")),
    }
}
