//! What a template may call beyond Go's built-ins. The parser asks [`Functions`] for names, the executor calls.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::unicode::{is_digit, is_letter};
use crate::value::Value;

type Body = dyn Fn(&[Value]) -> Result<Value, String> + Send + Sync;

/// A function that templates can call.
///
/// It must be pure and quick: limits are checked between calls, not within one. What it returns counts against
/// [`Limits::memory`](crate::Limits::memory).
#[derive(Clone)]
pub struct Function {
    min: usize,
    max: Option<usize>,
    body: Arc<Body>,
}

impl Function {
    /// A function of at least `min` and at most `max` arguments (`None`: any number). An error's text
    /// ends the rendering.
    pub fn new(
        min: usize,
        max: Option<usize>,
        body: impl Fn(&[Value]) -> Result<Value, String> + Send + Sync + 'static,
    ) -> Self {
        Self { min, max, body: Arc::new(body) }
    }

    /// Says what is wrong with that many arguments, in Go's words without the name.
    pub(crate) fn check(&self, arguments: usize) -> Result<(), String> {
        let min = self.min;
        match self.max {
            Some(max) if max == min && arguments != max => Err(format!("want {max} got {arguments}")),
            Some(max) if arguments > max => Err(format!("want at most {max} got {arguments}")),
            _ if arguments < min => Err(format!("want at least {min} got {arguments}")),
            _ => Ok(()),
        }
    }

    pub(crate) fn call(&self, arguments: &[Value]) -> Result<Value, String> {
        (self.body)(arguments)
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").field("min", &self.min).field("max", &self.max).finish_non_exhaustive()
    }
}

/// The functions a template may use: Go's built-ins and those added here, which win over built-ins of the same name.
#[derive(Clone, Debug, Default)]
pub struct Functions {
    extra: BTreeMap<String, Function>,
}

/// A name that cannot stand in a template: a letter first, then letters, digits and `_`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadName;

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a function's name is a letter or _, then letters, digits and _")
    }
}

impl std::error::Error for BadName {}

impl Functions {
    /// Go's built-in functions and no others.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a function, or replaces one, also a built-in.
    pub fn insert(&mut self, name: &str, function: Function) -> Result<(), BadName> {
        let good =
            name.chars().enumerate().all(|(at, c)| c == '_' || is_letter(c) || (at > 0 && is_digit(c)));
        if name.is_empty() || !good {
            return Err(BadName);
        }
        self.extra.insert(name.to_owned(), function);
        Ok(())
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<&Function> {
        self.extra.get(std::str::from_utf8(name).ok()?)
    }
}
