//! One value under one verb (fmt/print.go, `printArg` and `printValue`; fmt/format.go).

use super::{Flags, MAX_NESTING, Sink, Stop};
use crate::quote::{can_backquote, quote};
use crate::unicode::{decode, rune_count};
use crate::value::Value;

/// Prints values with the flags of one verb.
pub(super) struct Printer<'s, 'b> {
    pub(super) sink: &'s mut Sink<'b>,
    pub(super) flags: Flags,
}

impl Printer<'_, '_> {
    /// An argument of `printf` or `print`; `None` is nil.
    pub(super) fn argument(&mut self, value: Option<&Value>, verb: char) -> Result<(), Stop> {
        match (value, verb) {
            (None | Some(Value::Nil), 'T' | 'v') => self.pad(b"<nil>"),
            (None | Some(Value::Nil), _) => self.bad_verb(None, verb),
            (Some(value), 'T') => self.string(value.type_name().as_bytes(), 's', value),
            // Only for errors, and only in `Errorf`: Go looks before it takes a list or map apart.
            (Some(Value::List(_) | Value::Map(_) | Value::StringMap(_)), 'w') => self.bad_verb(value, verb),
            (Some(value), verb) => self.value(value, verb, 0),
        }
    }

    fn value(&mut self, value: &Value, verb: char, depth: usize) -> Result<(), Stop> {
        if depth > MAX_NESTING {
            return Err(Stop::Deep);
        }
        self.sink.work(1)?;
        match value {
            Value::Nil if self.flags.go_syntax => self.sink.push(b"interface {}(nil)"),
            Value::Nil => self.sink.push(b"<nil>"),
            Value::Bool(truth) => match verb {
                't' | 'v' => self.pad(if *truth { b"true" } else { b"false" }),
                _ => self.bad_verb(Some(value), verb),
            },
            Value::Int(number) => self.integer(number.unsigned_abs(), *number < 0, true, verb, value),
            Value::Uint(number) => self.integer(*number, false, false, verb, value),
            Value::Byte(number) => self.integer(u64::from(*number), false, false, verb, value),
            Value::Float(number) => self.float_verb(*number, verb, value),
            Value::Complex(re, im) => match verb {
                'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E' => {
                    let plus = self.flags.plus;
                    self.sink.push(b"(")?;
                    self.float_verb(*re, verb, value)?;
                    self.flags.plus = true;
                    self.float_verb(*im, verb, value)?;
                    self.flags.plus = plus;
                    self.sink.push(b"i)")
                }
                _ => self.bad_verb(Some(value), verb),
            },
            Value::String(text) => self.string(text, verb, value),
            Value::List(list) => {
                let (open, between, close): (&[u8], &[u8], &[u8]) = match self.flags.go_syntax {
                    true => (b"[]interface {}{", b", ", b"}"),
                    false => (b"[", b" ", b"]"),
                };
                if verb == 'p' {
                    return self.bad_verb(Some(value), verb);
                }
                self.sink.push(open)?;
                for (at, item) in list.iter().enumerate() {
                    if at > 0 {
                        self.sink.push(between)?;
                    }
                    self.value(item, verb, depth + 1)?;
                }
                self.sink.push(close)
            }
            Value::Map(map) if verb != 'p' => {
                let entries = map.iter();
                self.map(value, entries, verb, |printer, item| printer.value(item, verb, depth + 1))
            }
            Value::StringMap(map) if verb != 'p' => {
                let entries = map.iter();
                self.map(value, entries, verb, |printer, item| {
                    printer.string(item, verb, &Value::String(item.clone()))
                })
            }
            Value::Map(_) | Value::StringMap(_) | Value::Function(_) => self.bad_verb(Some(value), verb),
        }
    }

    fn map<'v, V: 'v>(
        &mut self,
        whole: &Value,
        entries: impl Iterator<Item = (&'v [u8], &'v V)>,
        verb: char,
        mut item: impl FnMut(&mut Self, &V) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let go_syntax = self.flags.go_syntax;
        if go_syntax {
            self.sink.push(whole.type_name().as_bytes())?;
        } else {
            self.sink.push(b"map")?;
        }
        self.sink.push(if go_syntax { b"{" } else { b"[" })?;
        for (at, (key, value)) in entries.enumerate() {
            if at > 0 {
                self.sink.push(if go_syntax { b", " } else { b" " })?;
            }
            match verb {
                'v' | 's' | 'x' | 'X' | 'q' => self.string(key, verb, &Value::Nil)?,
                _ => self.string(key, verb, &Value::string(key))?,
            }
            self.sink.push(b":")?;
            item(self, value)?;
        }
        self.sink.push(if go_syntax { b"}" } else { b"]" })
    }

    /// What Go writes for a verb that the value does not have; its flags stay in force.
    fn bad_verb(&mut self, value: Option<&Value>, verb: char) -> Result<(), Stop> {
        self.sink.push(b"%!")?;
        self.sink.push(verb.encode_utf8(&mut [0; 4]).as_bytes())?;
        match value {
            None | Some(Value::Nil) => self.sink.push(b"(<nil>)"),
            Some(value) => {
                self.sink.push(b"(")?;
                self.sink.push(value.type_name().as_bytes())?;
                if !matches!(value, Value::Function(_)) {
                    self.sink.push(b"=")?;
                    self.value(value, 'v', 0)?;
                }
                self.sink.push(b")")
            }
        }
    }

    /// `whole` is what a bad verb shows.
    fn string(&mut self, text: &[u8], verb: char, whole: &Value) -> Result<(), Stop> {
        match verb {
            'v' if self.flags.go_syntax => self.quoted(text),
            'v' | 's' => {
                self.sink.work(self.flags.precision.unwrap_or(0).min(text.len()) / 8)?;
                let text = self.cut(text);
                self.pad(text)
            }
            'x' => self.hex(text, b"0123456789abcdefx"),
            'X' => self.hex(text, b"0123456789ABCDEFX"),
            'q' => self.quoted(text),
            _ => self.bad_verb(Some(whole), verb),
        }
    }

    /// The runes that the precision leaves.
    fn cut<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let Some(precision) = self.flags.precision else { return text };
        let mut at = 0;
        for _ in 0..precision {
            match decode(text.get(at..).unwrap_or_default()) {
                Some((_, len)) => at += len,
                None => break,
            }
        }
        text.get(..at).unwrap_or(text)
    }

    fn quoted(&mut self, text: &[u8]) -> Result<(), Stop> {
        let text = self.cut(text);
        self.sink.work(text.len() / 4)?;
        let mut out = Vec::new();
        if self.flags.sharp && can_backquote(text) {
            out.push(b'`');
            out.extend_from_slice(text);
            out.push(b'`');
        } else {
            quote(&mut out, text, self.flags.plus);
        }
        self.pad(&out)
    }

    fn hex(&mut self, text: &[u8], digits: &[u8; 17]) -> Result<(), Stop> {
        let Flags { sharp, space, minus, .. } = self.flags;
        let text = text.get(..self.flags.precision.unwrap_or(text.len())).unwrap_or(text);
        let wanted = self.flags.width.unwrap_or(0);
        if text.is_empty() {
            return self.padding(wanted);
        }
        let mut width = text.len() * 2;
        if space {
            width = width * if sharp { 2 } else { 1 } + text.len() - 1;
        } else if sharp {
            width += 2;
        }
        let prefix = [b'0', digits[16]];
        let missing = wanted.saturating_sub(width);
        if !minus {
            self.padding(missing)?;
        }
        for (at, byte) in text.iter().enumerate() {
            if space && at > 0 {
                self.sink.push(b" ")?;
            }
            if sharp && (space || at == 0) {
                self.sink.push(&prefix)?;
            }
            let digit = |nibble: u8| digits.get(usize::from(nibble)).copied().unwrap_or(b'0');
            self.sink.push(&[digit(byte >> 4), digit(byte & 15)])?;
        }
        if minus { self.padding(missing) } else { Ok(()) }
    }

    /// Text filled up to the width.
    pub(super) fn pad(&mut self, text: &[u8]) -> Result<(), Stop> {
        let missing = match self.flags.width {
            None | Some(0) => 0,
            Some(width) => {
                self.sink.work(text.len() / 32)?;
                width.saturating_sub(rune_count(text))
            }
        };
        if self.flags.minus {
            self.sink.push(text)?;
            self.padding(missing)
        } else {
            self.padding(missing)?;
            self.sink.push(text)
        }
    }

    pub(super) fn padding(&mut self, count: usize) -> Result<(), Stop> {
        // Zeros only go to the left.
        self.sink.fill(if self.flags.zero && !self.flags.minus { b'0' } else { b' ' }, count)
    }

    /// Text filled up with spaces whatever the flags say.
    pub(super) fn pad_spaces(&mut self, text: &[u8]) -> Result<(), Stop> {
        let zero = std::mem::replace(&mut self.flags.zero, false);
        self.pad(text)?;
        self.flags.zero = zero;
        Ok(())
    }

    fn float_verb(&mut self, number: f64, verb: char, whole: &Value) -> Result<(), Stop> {
        match verb {
            'v' => self.float(number, 'g', None),
            'b' | 'g' | 'G' | 'x' | 'X' => self.float(number, verb, None),
            'f' | 'e' | 'E' => self.float(number, verb, Some(6)),
            'F' => self.float(number, 'f', Some(6)),
            _ => self.bad_verb(Some(whole), verb),
        }
    }

    /// A whole number given as magnitude and sign.
    fn integer(
        &mut self,
        magnitude: u64,
        negative: bool,
        signed: bool,
        verb: char,
        whole: &Value,
    ) -> Result<(), Stop> {
        let code = if negative { None } else { u32::try_from(magnitude).ok() };
        match verb {
            'v' if self.flags.go_syntax && !signed => {
                let sharp = std::mem::replace(&mut self.flags.sharp, true);
                self.digits(magnitude, negative, 16, verb)?;
                self.flags.sharp = sharp;
                Ok(())
            }
            'v' | 'd' => self.digits(magnitude, negative, 10, verb),
            'b' => self.digits(magnitude, negative, 2, verb),
            'o' | 'O' => self.digits(magnitude, negative, 8, verb),
            'x' | 'X' => self.digits(magnitude, negative, 16, verb),
            'c' => self.character(code),
            'q' => self.quoted_character(code),
            'U' => self.code_point(if negative { magnitude.wrapping_neg() } else { magnitude }),
            _ => self.bad_verb(Some(whole), verb),
        }
    }
}
