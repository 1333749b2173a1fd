//! Go's built-in functions (text/template, funcs.go). Named by the parser, called by the executor with their
//! arguments in order; `and` and `or` with arguments are jumps in the program and never come here.

use std::borrow::Cow;

use crate::compare::{equal, less};
use crate::escape::{html, js, url_query};
use crate::fmt::{self, Sink, Stop};
use crate::slot::{Slot, part};
use crate::value::Value;

/// A built-in function.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Builtin {
    And,
    Call,
    Eq,
    Ge,
    Gt,
    Html,
    Index,
    Js,
    Le,
    Len,
    Lt,
    Ne,
    Not,
    Or,
    Print,
    Printf,
    Println,
    Slice,
    UrlQuery,
}

/// Why a built-in gave no result.
pub(crate) enum Refusal {
    /// Wrong number or types of arguments: the call never happened.
    Arguments(String),
    /// The function's own error.
    Error(String),
    /// Too much text.
    Memory,
    /// Too much work.
    Steps,
    /// Printed values nest too deep.
    Depth,
}

/// What functions may still spend.
pub(crate) struct Budget {
    pub(crate) memory: usize,
    pub(crate) steps: u64,
}

impl Budget {
    pub(crate) fn take_memory(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.memory = self.memory.checked_sub(bytes).ok_or(Refusal::Memory)?;
        Ok(())
    }

    /// Accepts what a function of the caller's has made: strings count, and values may not nest deeper than can be
    /// printed or dropped.
    pub(crate) fn take_result(&mut self, result: &Value) -> Result<(), Refusal> {
        if let Value::String(text) = result {
            return self.take_memory(text.len());
        }
        let mut visited = 0_usize;
        let mut open = vec![(result, 0_usize)];
        while let Some((value, depth)) = open.pop() {
            if depth > fmt::MAX_NESTING {
                return Err(Refusal::Depth);
            }
            visited += 1;
            match value {
                Value::List(list) => open.extend(list.iter().map(|item| (item, depth + 1))),
                Value::Map(map) => open.extend(map.iter().map(|(_, item)| (item, depth + 1))),
                _ => {}
            }
        }
        self.take_work(visited * 4)
    }

    /// Work on long strings counts: a step for each 64 bytes.
    fn take_work(&mut self, bytes: usize) -> Result<(), Refusal> {
        let steps = u64::try_from(bytes / 64).unwrap_or(u64::MAX);
        self.steps = self.steps.checked_sub(steps).ok_or(Refusal::Steps)?;
        Ok(())
    }
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self::Error(message)
    }
}

impl From<Stop> for Refusal {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Full => Self::Memory,
            Stop::Work => Self::Steps,
            Stop::Deep => Self::Depth,
        }
    }
}

impl Builtin {
    /// The function of that name.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"and" => Self::And,
            b"call" => Self::Call,
            b"eq" => Self::Eq,
            b"ge" => Self::Ge,
            b"gt" => Self::Gt,
            b"html" => Self::Html,
            b"index" => Self::Index,
            b"js" => Self::Js,
            b"le" => Self::Le,
            b"len" => Self::Len,
            b"lt" => Self::Lt,
            b"ne" => Self::Ne,
            b"not" => Self::Not,
            b"or" => Self::Or,
            b"print" => Self::Print,
            b"printf" => Self::Printf,
            b"println" => Self::Println,
            b"slice" => Self::Slice,
            b"urlquery" => Self::UrlQuery,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Call => "call",
            Self::Eq => "eq",
            Self::Ge => "ge",
            Self::Gt => "gt",
            Self::Html => "html",
            Self::Index => "index",
            Self::Js => "js",
            Self::Le => "le",
            Self::Len => "len",
            Self::Lt => "lt",
            Self::Ne => "ne",
            Self::Not => "not",
            Self::Or => "or",
            Self::Print => "print",
            Self::Printf => "printf",
            Self::Println => "println",
            Self::Slice => "slice",
            Self::UrlQuery => "urlquery",
        }
    }

    /// The least and, if it takes no list, the most arguments.
    fn arity(self) -> (usize, Option<usize>) {
        match self {
            Self::Html | Self::Js | Self::Print | Self::Println | Self::UrlQuery => (0, None),
            Self::And | Self::Call | Self::Eq | Self::Index | Self::Or | Self::Printf | Self::Slice => {
                (1, None)
            }
            Self::Len | Self::Not => (1, Some(1)),
            Self::Ge | Self::Gt | Self::Le | Self::Lt | Self::Ne => (2, Some(2)),
        }
    }

    /// Calls it.
    pub(crate) fn call<'a>(self, arguments: &[Slot<'a>], budget: &mut Budget) -> Result<Slot<'a>, Refusal> {
        let given = arguments.len();
        let wrong = |want: String| {
            Err(Refusal::Arguments(format!(
                "wrong number of args for {}: want {want} got {given}",
                self.name()
            )))
        };
        match self.arity() {
            (least, Some(_)) if given != least => return wrong(least.to_string()),
            (least, None) if given < least => return wrong(format!("at least {least}")),
            _ => {}
        }
        let (first, rest) = match arguments.split_first() {
            Some((first, rest)) => (first, rest),
            None => (&Slot::Invalid, arguments),
        };
        let second = || rest.first().unwrap_or(&Slot::Invalid);
        Ok(match self {
            Self::And | Self::Or => first.clone(),
            Self::Call => call(first, rest, budget)?,
            Self::Eq => truth(eq(first, rest, budget)?),
            Self::Ne => truth(!eq(first, rest, budget)?),
            Self::Lt => truth(lt(first, second(), budget)?),
            Self::Le => truth(le(first, second(), budget)?),
            Self::Gt => truth(!le(first, second(), budget)?),
            Self::Ge => truth(!lt(first, second(), budget)?),
            Self::Not => truth(!first.is_true()),
            Self::Index => index(first, rest)?,
            Self::Slice => slice(first, rest, budget)?,
            Self::Len => len(first)?,
            Self::Html => escaped(arguments, budget, html)?,
            Self::Js => escaped(arguments, budget, js)?,
            Self::UrlQuery => escaped(arguments, budget, url_query)?,
            Self::Print => text(budget, |sink| fmt::print(sink, arguments, false))?,
            Self::Println => text(budget, |sink| fmt::println(sink, arguments))?,
            Self::Printf => match first.concrete() {
                Some(Value::String(format)) => {
                    budget.take_work(format.len())?;
                    text(budget, |sink| fmt::printf(sink, format, rest))?
                }
                Some(value) => {
                    let message = format!("wrong type for value; expected string; got {}", value.type_name());
                    return Err(Refusal::Arguments(message));
                }
                None => return Err(Refusal::Arguments("invalid value; expected string".to_owned())),
            },
        })
    }
}

fn truth(value: bool) -> Slot<'static> {
    Slot::own(Value::Bool(value))
}

/// Text that counts against the memory.
fn text(
    budget: &mut Budget,
    write: impl FnOnce(&mut Sink<'_>) -> Result<(), Stop>,
) -> Result<Slot<'static>, Refusal> {
    let mut out = Vec::new();
    write(&mut Sink::new(&mut out, budget.memory, &mut budget.steps))?;
    budget.take_memory(out.len())?;
    Ok(Slot::own(out.into()))
}

fn escaped(
    arguments: &[Slot<'_>],
    budget: &mut Budget,
    escape: fn(&[u8]) -> Vec<u8>,
) -> Result<Slot<'static>, Refusal> {
    let out = match arguments {
        [only] if let Some(Value::String(text)) = only.concrete() => {
            budget.take_memory(text.len())?;
            budget.take_work(text.len().saturating_mul(16))?;
            escape(text)
        }
        _ => {
            let mut plain = Vec::new();
            fmt::print(&mut Sink::new(&mut plain, budget.memory, &mut budget.steps), arguments, true)?;
            budget.take_memory(plain.len())?;
            budget.take_work(plain.len().saturating_mul(16))?;
            escape(&plain)
        }
    };
    budget.take_memory(out.len())?;
    Ok(Slot::own(out.into()))
}

fn comparing(a: &Slot<'_>, b: &Slot<'_>, budget: &mut Budget) -> Result<(), Refusal> {
    match (a.concrete(), b.concrete()) {
        (Some(Value::String(a)), Some(Value::String(b))) => budget.take_work(a.len().min(b.len())),
        _ => Ok(()),
    }
}

fn eq(first: &Slot<'_>, rest: &[Slot<'_>], budget: &mut Budget) -> Result<bool, Refusal> {
    if rest.is_empty() {
        return Err(Refusal::Error("missing argument for comparison".to_owned()));
    }
    for other in rest {
        comparing(first, other, budget)?;
        if equal(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn lt(a: &Slot<'_>, b: &Slot<'_>, budget: &mut Budget) -> Result<bool, Refusal> {
    comparing(a, b, budget)?;
    Ok(less(a, b)?)
}

fn le(a: &Slot<'_>, b: &Slot<'_>, budget: &mut Budget) -> Result<bool, Refusal> {
    if lt(a, b, budget)? {
        return Ok(true);
    }
    comparing(a, b, budget)?;
    Ok(equal(a, b)?)
}

fn call<'a>(function: &Slot<'a>, arguments: &[Slot<'a>], budget: &mut Budget) -> Result<Slot<'a>, Refusal> {
    match function.concrete() {
        None => Err(Refusal::Error("call of nil".to_owned())),
        Some(Value::Function(function)) => {
            function.check(arguments.len()).map_err(|want| format!("wrong number of args: {want}"))?;
            let values: Vec<_> = arguments.iter().map(Slot::to_value).collect();
            let result = function.call(&values)?;
            budget.take_result(&result)?;
            Ok(Slot::Boxed(Cow::Owned(result)))
        }
        Some(other) => Err(Refusal::Error(format!("non-function of type {}", other.type_name()))),
    }
}

/// A place in something of that capacity (`indexArg`).
fn place(index: &Slot<'_>, capacity: usize) -> Result<usize, String> {
    let number = match index.concrete() {
        Some(Value::Int(number)) => i128::from(*number),
        Some(Value::Uint(number)) => i128::from(*number),
        Some(Value::Byte(number)) => i128::from(*number),
        None => return Err("cannot index slice/array with nil".to_owned()),
        Some(other) => return Err(format!("cannot index slice/array with type {}", other.type_name())),
    };
    usize::try_from(number)
        .ok()
        .filter(|&number| number <= capacity)
        .ok_or_else(|| format!("index out of range: {number}"))
}

fn key<'k>(index: &'k Slot<'_>) -> Result<&'k [u8], String> {
    match index.concrete() {
        Some(Value::String(key)) => Ok(key),
        None => Err("value is nil; should be of type string".to_owned()),
        Some(other) => Err(format!("value has type {}; should be string", other.type_name())),
    }
}

fn index<'a>(item: &Slot<'a>, indexes: &[Slot<'a>]) -> Result<Slot<'a>, Refusal> {
    let mut item = item.clone().unbox();
    if matches!(item, Slot::Invalid) {
        return Err(Refusal::Error("index of untyped nil".to_owned()));
    }
    for index in indexes {
        let (Slot::Typed(whole) | Slot::Boxed(whole)) = &item else {
            return Err(Refusal::Error("index of nil pointer".to_owned()));
        };
        item = match whole.as_ref() {
            Value::Nil => return Err(Refusal::Error("index of nil pointer".to_owned())),
            Value::List(list) => {
                let at = place(index, list.len())?;
                let found = part(whole, |value| match value {
                    Value::List(list) => list.get(at),
                    _ => None,
                });
                Slot::Boxed(found.ok_or_else(|| format!("index out of range: {at}"))?)
            }
            Value::String(text) => {
                let at = place(index, text.len())?;
                let byte = text.get(at).ok_or_else(|| format!("index out of range: {at}"))?;
                Slot::own(Value::Byte(*byte))
            }
            Value::Map(_) => {
                let key = key(index)?;
                let found = part(whole, |value| match value {
                    Value::Map(map) => map.get(key),
                    _ => None,
                });
                Slot::Boxed(found.unwrap_or(Cow::Owned(Value::Nil)))
            }
            Value::StringMap(map) => {
                let text = map.get(key(index)?).cloned();
                Slot::own(text.map_or_else(|| Value::string(""), Value::String))
            }
            other => return Err(Refusal::Error(format!("can't index item of type {}", other.type_name()))),
        };
    }
    Ok(item)
}

fn slice<'a>(item: &Slot<'a>, indexes: &[Slot<'a>], budget: &mut Budget) -> Result<Slot<'a>, Refusal> {
    let Some(value) = item.concrete() else {
        return Err(Refusal::Error("slice of untyped nil".to_owned()));
    };
    if indexes.len() > 3 {
        return Err(Refusal::Error(format!("too many slice indexes: {}", indexes.len())));
    }
    let (len, capacity) = match value {
        Value::String(_) if indexes.len() == 3 => {
            return Err(Refusal::Error("cannot 3-index slice a string".to_owned()));
        }
        Value::String(text) => (text.len(), text.len()),
        Value::List(list) => (list.len(), list.capacity()),
        other => return Err(Refusal::Error(format!("can't slice item of type {}", other.type_name()))),
    };
    let mut bounds = [0, len, capacity];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = place(index, capacity)?;
    }
    let [from, to, max] = bounds;
    if from > to {
        return Err(Refusal::Error(format!("invalid slice index: {from} > {to}")));
    }
    if to > max {
        return Err(Refusal::Error(format!("invalid slice index: {to} > {max}")));
    }
    let sliced = match value {
        Value::String(text) => {
            let text = text.get(from..to).unwrap_or_default();
            budget.take_memory(text.len())?;
            Some(Value::string(text))
        }
        Value::List(list) => list.slice(from, to, max).map(Value::List),
        _ => None,
    };
    sliced.map(Slot::own).ok_or_else(|| Refusal::Error(format!("index out of range: {to}")))
}

fn len(item: &Slot<'_>) -> Result<Slot<'static>, String> {
    let len = match item.concrete() {
        None => return Err("len of nil pointer".to_owned()),
        Some(Value::String(text)) => text.len(),
        Some(Value::List(list)) => list.len(),
        Some(Value::Map(map)) => map.len(),
        Some(Value::StringMap(map)) => map.len(),
        Some(other) => return Err(format!("len of type {}", other.type_name())),
    };
    Ok(Slot::own(Value::Int(i64::try_from(len).unwrap_or(i64::MAX))))
}
