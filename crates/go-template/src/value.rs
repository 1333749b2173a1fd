//! The values templates work on: what Go's `reflect` shows of a tree that `encoding/json` read.
//! Used by every module of the crate and by callers, who build the data from it.

use std::sync::Arc;

use crate::functions::Function;
use crate::list::List;
use crate::map::{Map, StringMap};

/// A value as a template sees it.
///
/// JSON's numbers are [`Value::Float`], whole or not: that is what Go's `encoding/json` makes of them, and why
/// `1000000` prints as `1e+06`. Whole numbers in a template's own text are [`Value::Int`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Value {
    /// JSON's `null`: an `interface {}` that holds nothing.
    #[default]
    Nil,
    /// `bool`.
    Bool(bool),
    /// `int`, 64 bits: number and character literals, `len`, the index of a `range`.
    Int(i64),
    /// `uint`, 64 bits: no built-in makes one; functions and data of callers may.
    Uint(u64),
    /// `uint8`: what `index` takes out of a string.
    Byte(u8),
    /// `float64`: every number that came from JSON.
    Float(f64),
    /// `complex128`, real and imaginary part: literals such as `1+2i`.
    Complex(f64, f64),
    /// `string`: bytes, UTF-8 or not.
    String(Arc<[u8]>),
    /// `[]interface {}`.
    List(List),
    /// `map[string]interface {}`.
    Map(Arc<Map>),
    /// `map[string]string`: an absent key is the empty string to `index`, not nil.
    StringMap(Arc<StringMap>),
    /// A function held as data, for `call`.
    Function(Function),
}

impl Value {
    /// A string from anything that has bytes.
    pub fn string(text: impl AsRef<[u8]>) -> Self {
        Self::String(Arc::from(text.as_ref()))
    }

    /// The type as Go's `%T` names it; `<nil>` for [`Value::Nil`].
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Byte(_) => "uint8",
            Self::Float(_) => "float64",
            Self::Complex(..) => "complex128",
            Self::String(_) => "string",
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
            Self::StringMap(_) => "map[string]string",
            Self::Function(_) => "func",
        }
    }

    /// Whether `if` and `with` take it for true: not the zero of its type, not empty (text/template, "Actions").
    pub fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Uint(value) => *value != 0,
            Self::Byte(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Complex(re, im) => *re != 0.0 || *im != 0.0,
            Self::String(value) => !value.is_empty(),
            Self::List(value) => !value.is_empty(),
            Self::Map(value) => !value.is_empty(),
            Self::StringMap(value) => !value.is_empty(),
            Self::Function(_) => true,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Uint(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::string(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value.into_bytes().into())
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::string(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::String(value.into())
    }
}

impl From<Vec<Value>> for Value {
    fn from(value: Vec<Value>) -> Self {
        Self::List(value.into())
    }
}

impl From<List> for Value {
    fn from(value: List) -> Self {
        Self::List(value)
    }
}

impl From<Map> for Value {
    fn from(value: Map) -> Self {
        Self::Map(Arc::new(value))
    }
}

impl From<StringMap> for Value {
    fn from(value: StringMap) -> Self {
        Self::StringMap(Arc::new(value))
    }
}

impl From<Function> for Value {
    fn from(value: Function) -> Self {
        Self::Function(value)
    }
}
