//! A value while it is being worked on: what Go's `reflect.Value` knows beyond the value itself.

use std::borrow::Cow;

use crate::value::Value;

/// A value on the executor's stacks.
///
/// Go tells apart a value whose type is known, one that came out of an `interface {}` (an element of JSON),
/// and no value at all; they fail in different ways.
#[derive(Clone, Debug, Default)]
pub(crate) enum Slot<'a> {
    /// The zero `reflect.Value`: nil once a pipeline is through with it, or a missing key.
    #[default]
    Invalid,
    /// A value of its own type; never nil.
    Typed(Cow<'a, Value>),
    /// An `interface {}`, nil or not.
    Boxed(Cow<'a, Value>),
}

impl<'a> Slot<'a> {
    /// A value made here.
    pub(crate) fn own(value: Value) -> Self {
        Self::Typed(Cow::Owned(value))
    }

    /// The value, or `None` for nothing and nil (`indirectInterface`).
    pub(crate) fn concrete(&self) -> Option<&Value> {
        match self {
            Self::Invalid => None,
            Self::Typed(value) | Self::Boxed(value) => match value.as_ref() {
                Value::Nil => None,
                value => Some(value),
            },
        }
    }

    /// The value in its own type; nil becomes nothing.
    pub(crate) fn unbox(self) -> Self {
        match self {
            Self::Typed(value) | Self::Boxed(value) => match value.as_ref() {
                Value::Nil => Self::Invalid,
                _ => Self::Typed(value),
            },
            Self::Invalid => Self::Invalid,
        }
    }

    pub(crate) fn is_true(&self) -> bool {
        self.concrete().is_some_and(Value::is_true)
    }

    /// The type as reflection names it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Typed(value) => value.type_name(),
            Self::Boxed(_) => "interface {}",
        }
    }

    /// A copy that borrows from nothing, for functions of the caller's.
    pub(crate) fn to_value(&self) -> Value {
        self.concrete().cloned().unwrap_or_default()
    }
}

/// A part of a value: borrowed where the whole is, copied where it is owned.
pub(crate) fn part<'a>(
    whole: &Cow<'a, Value>,
    find: impl for<'x> FnOnce(&'x Value) -> Option<&'x Value>,
) -> Option<Cow<'a, Value>> {
    match whole {
        Cow::Borrowed(whole) => find(whole).map(Cow::Borrowed),
        Cow::Owned(whole) => find(whole).cloned().map(Cow::Owned),
    }
}
