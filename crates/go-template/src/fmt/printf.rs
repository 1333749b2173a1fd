//! `printf`: walks a format and its arguments (fmt/print.go, `doPrintf`). It never fails: what does not
//! fit is told in the text, as `%!d(string=x)`.

use super::value::Printer;
use super::{Flags, Sink, Stop};
use crate::slot::Slot;
use crate::unicode::decode;
use crate::value::Value;

/// Larger widths, precisions and argument numbers are refused.
const TOO_LARGE: i64 = 1_000_000;

/// A format being walked.
struct Walk<'f, 'a, 's> {
    format: &'f [u8],
    at: usize,
    arguments: &'f [Slot<'a>],
    next: usize,
    /// Some `%[n]` chose an argument; nothing is said about arguments left over then.
    reordered: bool,
    /// The last thing read was `[n]`.
    after_index: bool,
    good_index: bool,
    flags: Flags,
    sink: &'f mut Sink<'s>,
}

/// `fmt.Sprintf`.
pub(crate) fn printf(sink: &mut Sink<'_>, format: &[u8], arguments: &[Slot<'_>]) -> Result<(), Stop> {
    let mut walk = Walk {
        format,
        at: 0,
        arguments,
        next: 0,
        reordered: false,
        after_index: false,
        good_index: true,
        flags: Flags::default(),
        sink,
    };
    loop {
        let rest = walk.rest();
        let text = memchr::memchr(b'%', rest).unwrap_or(rest.len());
        walk.sink.push(rest.get(..text).unwrap_or_default())?;
        walk.at += text + 1;
        if walk.at > format.len() {
            break;
        }
        if !walk.verb()? {
            break;
        }
    }
    walk.extra()
}

impl<'f> Walk<'f, '_, '_> {
    fn rest(&self) -> &'f [u8] {
        self.format.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    /// One verb; the `%` is past. `false` at the end of the format.
    fn verb(&mut self) -> Result<bool, Stop> {
        self.good_index = true;
        self.flags = Flags::default();
        while let Some(flag) = self.peek() {
            match flag {
                b'#' => self.flags.sharp = true,
                b'0' => self.flags.zero = true,
                b'+' => self.flags.plus = true,
                b'-' => self.flags.minus = true,
                b' ' => self.flags.space = true,
                _ => break,
            }
            self.at += 1;
        }
        // A verb right after its flags forgets an index read before.
        if !(self.peek().is_some_and(|c| c.is_ascii_lowercase()) && self.next < self.arguments.len()) {
            self.index();
            self.width()?;
            self.precision()?;
            if !self.after_index {
                self.index();
            }
        }
        let Some((verb, len)) = decode(self.rest()) else {
            self.sink.push(b"%!(NOVERB)")?;
            return Ok(false);
        };
        self.at += len;
        if verb == '%' {
            self.sink.push(b"%")?;
        } else if !self.good_index {
            self.problem(verb, b"(BADINDEX)")?;
        } else if let Some(argument) = self.arguments.get(self.next) {
            if verb == 'v' {
                // `#` and `+` mean something else here.
                self.flags.go_syntax = self.flags.sharp;
                (self.flags.sharp, self.flags.plus) = (false, false);
            }
            Printer { sink: self.sink, flags: self.flags }.argument(argument.concrete(), verb)?;
            self.next += 1;
        } else {
            self.problem(verb, b"(MISSING)")?;
        }
        Ok(true)
    }

    fn problem(&mut self, verb: char, what: &[u8]) -> Result<(), Stop> {
        self.sink.push(b"%!")?;
        self.sink.push(verb.encode_utf8(&mut [0; 4]).as_bytes())?;
        self.sink.push(what)
    }

    fn width(&mut self) -> Result<(), Stop> {
        if self.peek() == Some(b'*') {
            self.at += 1;
            let width = self.number_argument();
            if width.is_none() {
                self.sink.push(b"%!(BADWIDTH)")?;
            }
            self.flags.minus |= width.is_some_and(|width| width < 0);
            self.flags.width = width.and_then(|width| usize::try_from(width.abs()).ok());
            self.after_index = false;
        } else {
            self.flags.width = self.number();
            if self.after_index && self.flags.width.is_some() {
                self.good_index = false;
            }
        }
        Ok(())
    }

    fn precision(&mut self) -> Result<(), Stop> {
        // A point that ends the format is taken for the verb.
        if self.peek() != Some(b'.') || self.rest().len() < 2 {
            return Ok(());
        }
        self.at += 1;
        if self.after_index {
            self.good_index = false;
        }
        self.index();
        if self.peek() == Some(b'*') {
            self.at += 1;
            self.flags.precision = self.number_argument().and_then(|number| usize::try_from(number).ok());
            if self.flags.precision.is_none() {
                self.sink.push(b"%!(BADPREC)")?;
            }
            self.after_index = false;
        } else {
            self.flags.precision = Some(self.number().unwrap_or(0));
        }
        Ok(())
    }

    /// Digits of the format; too many swallow the rest of it (`parsenum`).
    fn number(&mut self) -> Option<usize> {
        let (number, len) = digits(self.rest());
        self.at += len;
        number
    }

    /// The argument that `*` stands for.
    fn number_argument(&mut self) -> Option<i64> {
        let argument = self.arguments.get(self.next)?;
        self.next += 1;
        let number = match argument.concrete()? {
            Value::Int(number) => *number,
            Value::Uint(number) => i64::try_from(*number).ok()?,
            Value::Byte(number) => i64::from(*number),
            _ => return None,
        };
        (-TOO_LARGE..=TOO_LARGE).contains(&number).then_some(number)
    }

    /// `[n]`: the next argument is the n-th (`argNumber`).
    fn index(&mut self) {
        self.after_index = false;
        if self.peek() != Some(b'[') {
            return;
        }
        self.reordered = true;
        let rest = self.rest();
        let Some(close) = memchr::memchr(b']', rest).filter(|_| rest.len() >= 3) else {
            self.at += 1;
            self.good_index = false;
            return;
        };
        let inner = rest.get(1..close).unwrap_or_default();
        let number = match digits(inner) {
            (Some(number), len) if len == inner.len() => Some(number),
            _ => None,
        };
        self.at += close + 1;
        // A readable number counts as an index even when there is no such argument.
        self.after_index = number.is_some();
        match number.and_then(|number| number.checked_sub(1)).filter(|&index| index < self.arguments.len()) {
            Some(index) => self.next = index,
            None => self.good_index = false,
        }
    }

    /// Arguments that no verb asked for.
    fn extra(&mut self) -> Result<(), Stop> {
        let left = self.arguments.get(self.next..).unwrap_or_default();
        if self.reordered || left.is_empty() {
            return Ok(());
        }
        self.sink.push(b"%!(EXTRA ")?;
        for (at, argument) in left.iter().enumerate() {
            if at > 0 {
                self.sink.push(b", ")?;
            }
            match argument.concrete() {
                None => self.sink.push(b"<nil>")?,
                Some(value) => {
                    self.sink.push(value.type_name().as_bytes())?;
                    self.sink.push(b"=")?;
                    Printer { sink: self.sink, flags: Flags::default() }.argument(Some(value), 'v')?;
                }
            }
        }
        self.sink.push(b")")
    }
}

/// The number at the start of `text` and its length; a number that grows too large takes all of it.
fn digits(text: &[u8]) -> (Option<usize>, usize) {
    let mut number = None;
    for (at, byte) in text.iter().enumerate() {
        if !byte.is_ascii_digit() {
            return (number, at);
        }
        let sum = number.unwrap_or(0_usize);
        if sum > 1_000_000 {
            return (None, text.len());
        }
        number = Some(sum * 10 + usize::from(byte - b'0'));
    }
    (number, text.len())
}
