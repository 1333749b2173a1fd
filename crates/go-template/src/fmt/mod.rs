//! Go's `fmt`: how values print, with and without a format. Used by the executor and the built-in functions.

mod float;
mod integer;
mod printf;
mod value;

use crate::slot::Slot;
use crate::value::Value;

pub(crate) use printf::printf;
use value::Printer;

/// Why printing stopped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stop {
    /// The text would be longer than it may be.
    Full,
    /// Making it would take more steps than are left.
    Work,
    /// Values within values within values: more than [`MAX_NESTING`].
    Deep,
}

/// How deep printed values may nest. The printer recurses, and Rust's stack is not Go's.
pub(crate) const MAX_NESTING: usize = 1_000;

/// Text that may not grow beyond a length, nor take more steps than there are.
#[derive(Debug)]
pub(crate) struct Sink<'b> {
    text: &'b mut Vec<u8>,
    max: usize,
    steps: &'b mut u64,
}

impl<'b> Sink<'b> {
    /// Appends to `text` until it is `max` bytes long, and takes what is hard to make from `steps`.
    pub(crate) fn new(text: &'b mut Vec<u8>, max: usize, steps: &'b mut u64) -> Self {
        Self { text, max, steps }
    }

    /// Counts work: a step is some 30 ns.
    pub(crate) fn work(&mut self, steps: usize) -> Result<(), Stop> {
        *self.steps = self.steps.checked_sub(u64::try_from(steps).unwrap_or(u64::MAX)).ok_or(Stop::Work)?;
        Ok(())
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        if bytes.len() > self.room() {
            return Err(Stop::Full);
        }
        self.text.extend_from_slice(bytes);
        Ok(())
    }

    /// How many bytes more it may take.
    pub(crate) fn room(&self) -> usize {
        self.max.saturating_sub(self.text.len())
    }

    pub(crate) fn fill(&mut self, byte: u8, count: usize) -> Result<(), Stop> {
        if count > self.room() {
            return Err(Stop::Full);
        }
        self.text.resize(self.text.len() + count, byte);
        Ok(())
    }
}

/// What stands between `%` and the verb.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags {
    sharp: bool,
    zero: bool,
    plus: bool,
    minus: bool,
    space: bool,
    /// `%#v`.
    go_syntax: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// One value as `{{.}}` prints it.
pub(crate) fn print_value(sink: &mut Sink<'_>, value: &Value) -> Result<(), Stop> {
    match value {
        Value::String(text) => sink.push(text),
        value => Printer { sink, flags: Flags::default() }.argument(Some(value), 'v'),
    }
}

/// `fmt.Sprint`: a space between two values neither of which is a string. With `no_value`, nil counts as
/// the string `<no value>`, as in the escaping functions.
pub(crate) fn print(sink: &mut Sink<'_>, arguments: &[Slot<'_>], no_value: bool) -> Result<(), Stop> {
    let mut after_string = true;
    for argument in arguments {
        let value = argument.concrete();
        let string = matches!(value, Some(Value::String(_))) || (value.is_none() && no_value);
        if !string && !after_string {
            sink.push(b" ")?;
        }
        match value {
            Some(value) => print_value(sink, value)?,
            None if no_value => sink.push(b"<no value>")?,
            None => sink.push(b"<nil>")?,
        }
        after_string = string;
    }
    Ok(())
}

/// `fmt.Sprintln`: a space between all, a newline at the end.
pub(crate) fn println(sink: &mut Sink<'_>, arguments: &[Slot<'_>]) -> Result<(), Stop> {
    for (at, argument) in arguments.iter().enumerate() {
        if at > 0 {
            sink.push(b" ")?;
        }
        match argument.concrete() {
            Some(value) => print_value(sink, value)?,
            None => sink.push(b"<nil>")?,
        }
    }
    sink.push(b"\n")
}
