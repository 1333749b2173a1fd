//! Whole numbers and characters (fmt/format.go, `fmtInteger`, `fmtC`, `fmtQc`, `fmtUnicode`).

use super::value::Printer;
use super::{Flags, Stop};
use crate::quote::quote_char;
use crate::unicode::{REPLACEMENT, is_print};

impl Printer<'_, '_> {
    /// Digits with sign, prefix, precision and width. `%O` and `%X` change the prefix and the letters.
    pub(super) fn digits(
        &mut self,
        magnitude: u64,
        negative: bool,
        base: u32,
        verb: char,
    ) -> Result<(), Stop> {
        let Flags { sharp, zero, plus, minus, space, width, precision, .. } = self.flags;
        if precision == Some(0) && magnitude == 0 {
            self.flags.zero = false;
            self.padding(width.unwrap_or(0))?;
            self.flags.zero = zero;
            return Ok(());
        }
        // `%03d` asks for leading zeros as `%.3d` does; the precision wins.
        let least = match (precision, width) {
            (Some(precision), _) => precision,
            (None, Some(width)) if zero && !minus => {
                width.saturating_sub(usize::from(negative || plus || space))
            }
            _ => 0,
        };
        let number = match (base, verb) {
            (2, _) => format!("{magnitude:b}"),
            (8, _) => format!("{magnitude:o}"),
            (16, 'X') => format!("{magnitude:X}"),
            (16, _) => format!("{magnitude:x}"),
            _ => format!("{magnitude}"),
        };
        let zeros = least.saturating_sub(number.len());
        let mut text = Vec::with_capacity(number.len() + 4);
        text.extend_from_slice(match (negative, plus, space) {
            (true, ..) => b"-",
            (_, true, _) => b"+",
            (_, _, true) => b" ",
            _ => b"",
        });
        if verb == 'O' {
            text.extend_from_slice(b"0o");
        }
        if sharp {
            text.extend_from_slice(match (base, verb) {
                (2, _) => b"0b",
                (8, _) if zeros == 0 && !number.starts_with('0') => b"0",
                (16, 'X') => b"0X",
                (16, _) => b"0x",
                _ => b"",
            });
        }
        if zeros > self.sink.room() {
            return Err(Stop::Full);
        }
        text.resize(text.len() + zeros, b'0');
        text.extend_from_slice(number.as_bytes());
        self.pad_spaces(&text)
    }

    /// `%c`; what is no character becomes U+FFFD.
    pub(super) fn character(&mut self, code: Option<u32>) -> Result<(), Stop> {
        let rune = code.and_then(char::from_u32).unwrap_or(REPLACEMENT);
        self.pad(rune.encode_utf8(&mut [0; 4]).as_bytes())
    }

    /// `%q` of a number.
    pub(super) fn quoted_character(&mut self, code: Option<u32>) -> Result<(), Stop> {
        let rune = code.and_then(char::from_u32).unwrap_or(REPLACEMENT);
        let mut text = Vec::new();
        quote_char(&mut text, rune, self.flags.plus);
        self.pad(&text)
    }

    /// `%U`: `U+0041`, and with `#` the character too.
    pub(super) fn code_point(&mut self, code: u64) -> Result<(), Stop> {
        let least = self.flags.precision.unwrap_or(0).max(4);
        if least > self.sink.room() {
            return Err(Stop::Full);
        }
        let number = format!("{code:X}");
        let mut text = format!("U+{}{number}", "0".repeat(least.saturating_sub(number.len())));
        if self.flags.sharp
            && let Some(rune) =
                u32::try_from(code).ok().and_then(char::from_u32).filter(|&rune| is_print(rune))
        {
            text.push_str(&format!(" '{rune}'"));
        }
        self.pad_spaces(text.as_bytes())
    }
}
