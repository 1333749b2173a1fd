//! Number literals by Go's rules: bases, underscores, hexadecimal floats, complex pairs.
//! The parser turns each into the value its spelling asks for (text/template, "ideal constants").

use crate::quote::unquote_char;
use crate::value::Value;

/// What a literal stands for.
#[derive(Debug)]
pub(crate) enum Literal {
    Value(Value),
    /// Fits `uint64` but not `int`: an error only when it is evaluated.
    Overflow,
}

/// A character constant, quotes included.
pub(crate) fn char_constant(text: &[u8]) -> Result<Literal, String> {
    match unquote_char(text) {
        Some(code) => Ok(Literal::Value(Value::Int(code))),
        None => Err(format!("malformed character constant: {}", String::from_utf8_lossy(text))),
    }
}

/// Two numbers with a sign between them, the second ending in `i`.
pub(crate) fn complex_constant(text: &str) -> Result<Literal, String> {
    let pair = || {
        let body = text.strip_suffix('i')?;
        // The sign between the parts is one that does not follow an exponent's letter.
        let hex = body.trim_start_matches(['+', '-']).starts_with("0x")
            || body.trim_start_matches(['+', '-']).starts_with("0X");
        let at = body.char_indices().skip(1).find(|&(at, c)| {
            let before = body.get(..at).and_then(|head| head.chars().next_back()).unwrap_or(' ');
            (c == '+' || c == '-') && !matches!((before, hex), ('e' | 'E', false) | ('p' | 'P', _))
        })?;
        let (re, im) = body.split_at_checked(at.0)?;
        Some((parse_float(re)?, parse_float(im)?))
    };
    match pair() {
        Some((re, im)) => Ok(Literal::Value(Value::Complex(re, im))),
        None => Err(format!("illegal number syntax: {text:?}")),
    }
}

/// Any other number.
pub(crate) fn number(text: &str) -> Result<Literal, String> {
    if let Some(im) = text.strip_suffix('i').and_then(parse_float) {
        return Ok(Literal::Value(Value::Complex(0.0, im)));
    }
    let looks_float = text.contains(['.', 'e', 'E', 'p', 'P']);
    let int = parse_int(text);
    let is_hex_int = (text.starts_with("0x") || text.starts_with("0X")) && !text.contains(['p', 'P']);
    match int {
        // `-0xE` is spelled like a float to Go, because only an unsigned prefix tells it otherwise.
        Some(Integer::Int(value)) if looks_float && !is_hex_int =>
        {
            #[expect(clippy::cast_precision_loss, reason = "Go converts the same way")]
            Ok(Literal::Value(Value::Float(value as f64)))
        }
        Some(Integer::Int(value)) => Ok(Literal::Value(Value::Int(value))),
        #[expect(clippy::cast_precision_loss, reason = "Go converts the same way")]
        Some(Integer::Uint(value)) if looks_float && !is_hex_int => {
            Ok(Literal::Value(Value::Float(value as f64)))
        }
        Some(Integer::Uint(_)) => Ok(Literal::Overflow),
        None => match parse_float(text) {
            Some(value) if looks_float => Ok(Literal::Value(Value::Float(value))),
            Some(_) => Err(format!("integer overflow: {text:?}")),
            None => Err(format!("illegal number syntax: {text:?}")),
        },
    }
}

enum Integer {
    Int(i64),
    Uint(u64),
}

/// `strconv.ParseInt` and `ParseUint` with base 0.
fn parse_int(text: &str) -> Option<Integer> {
    let (negative, signed, body) = match text.as_bytes().first()? {
        b'-' => (true, true, text.get(1..)?),
        b'+' => (false, true, text.get(1..)?),
        _ => (false, false, text),
    };
    if body.contains('_') && !underscores_ok(text) {
        return None;
    }
    let lower = body.to_ascii_lowercase();
    let (radix, digits) = if let Some(digits) = lower.strip_prefix("0x") {
        (16, digits)
    } else if let Some(digits) = lower.strip_prefix("0b") {
        (2, digits)
    } else if let Some(digits) = lower.strip_prefix("0o") {
        (8, digits)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, lower.get(1..)?)
    } else {
        (10, lower.as_str())
    };
    let mut any = false;
    let mut magnitude = 0_u64;
    for digit in digits.chars().filter(|&c| c != '_') {
        magnitude =
            magnitude.checked_mul(radix)?.checked_add(u64::from(digit.to_digit(radix.try_into().ok()?)?))?;
        any = true;
    }
    match (any, negative) {
        (false, _) => None,
        (true, true) => 0_i64.checked_sub_unsigned(magnitude).map(Integer::Int),
        (true, false) => match i64::try_from(magnitude) {
            Ok(value) => Some(Integer::Int(value)),
            Err(_) if signed => None,
            Err(_) => Some(Integer::Uint(magnitude)),
        },
    }
}

/// Whether underscores stand only between digits or after a base prefix (`strconv.underscoreOK`).
fn underscores_ok(text: &str) -> bool {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text).as_bytes();
    let prefix = match body {
        [b'0', b'x' | b'X' | b'b' | b'B' | b'o' | b'O', ..] => 2,
        _ => 0,
    };
    let hex = matches!(body.get(1), Some(b'x' | b'X')) && prefix == 2;
    let mut last = if prefix == 2 { b'0' } else { b'^' };
    for &byte in body.get(prefix..).unwrap_or_default() {
        last = if byte.is_ascii_digit() || (hex && byte.is_ascii_hexdigit()) {
            b'0'
        } else if byte == b'_' {
            if last != b'0' {
                return false;
            }
            b'_'
        } else if last == b'_' {
            return false;
        } else {
            b'!'
        };
    }
    last != b'_'
}

/// `strconv.ParseFloat`: decimal or hexadecimal; `None` for bad syntax or a number too large.
fn parse_float(text: &str) -> Option<f64> {
    if text.contains('_') && !underscores_ok(text) {
        return None;
    }
    let clean = text.replace('_', "");
    let body = clean.strip_prefix(['+', '-']).unwrap_or(&clean);
    if let Some(hex) = body.strip_prefix("0x").or_else(|| body.strip_prefix("0X")) {
        let value = parse_hex_float(hex)?;
        return Some(if clean.starts_with('-') { -value } else { value });
    }
    // Rust's grammar has names and Go's lexer lets none through; digits are needed on either side.
    if !body.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    clean.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// `h.hp±d`, rounded to nearest even. Go demands the exponent.
fn parse_hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let written: i64 = unsigned.parse::<i64>().unwrap_or(100_000).min(100_000);
    let mut exponent = if exponent.starts_with('-') { -written } else { written };
    let (mut bits, mut sticky, mut any, mut point) = (0_u64, false, false, false);
    for c in mantissa.chars() {
        if c == '.' && !point {
            point = true;
            continue;
        }
        let digit = u64::from(c.to_digit(16)?);
        any = true;
        if bits >> 59 == 0 {
            bits = bits << 4 | digit;
            exponent -= if point { 4 } else { 0 };
        } else {
            sticky |= digit != 0;
            exponent += if point { 0 } else { 4 };
        }
    }
    if !any {
        return None;
    }
    if bits == 0 {
        return Some(0.0);
    }
    // Bring the first bit to the top, then cut to what the exponent leaves room for.
    let shift = bits.leading_zeros();
    bits <<= shift;
    exponent += 63 - i64::from(shift);
    let kept = if exponent < -1022 { 53 + exponent + 1022 } else { 53 };
    if kept < 0 {
        return Some(0.0);
    }
    let drop = u32::try_from(64 - kept).ok()?;
    let (mut kept_bits, rest, half) = if drop >= 64 {
        (0, bits, 1_u64 << 63)
    } else {
        (bits >> drop, bits & ((1 << drop) - 1), 1 << (drop - 1))
    };
    if rest > half || (rest == half && (sticky || kept_bits & 1 == 1)) {
        kept_bits += 1;
    }
    // A carry out of the mantissa runs into the exponent field, as it should.
    let value = if exponent < -1022 {
        f64::from_bits(kept_bits)
    } else {
        let biased = u64::try_from(exponent + 1022).ok()?;
        let packed = biased.checked_mul(1 << 52)?.checked_add(kept_bits)?;
        if packed >= 0x7FF0 << 48 {
            return None;
        }
        f64::from_bits(packed)
    };
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        match number(text) {
            Ok(Literal::Value(value)) => format!("{value:?}"),
            Ok(Literal::Overflow) => "overflow".into(),
            Err(error) => error.split(':').next().unwrap_or_default().into(),
        }
    }

    #[test]
    fn numbers_are_gos() {
        for (text, want) in [
            ("1", "Int(1)"),
            ("-5", "Int(-5)"),
            ("+5", "Int(5)"),
            ("0x1F", "Int(31)"),
            ("0o17", "Int(15)"),
            ("017", "Int(15)"),
            ("0b101", "Int(5)"),
            ("1_000", "Int(1000)"),
            ("0x_1", "Int(1)"),
            ("1__0", "illegal number syntax"),
            ("089", "integer overflow"),
            ("1.5", "Float(1.5)"),
            (".5", "Float(0.5)"),
            ("5.", "Float(5.0)"),
            ("1e3", "Float(1000.0)"),
            ("1_2.5_0e+1_0", "Float(125000000000.0)"),
            ("0x1p4", "Float(16.0)"),
            ("0x1.8p-1", "Float(0.75)"),
            ("0x1p-1074", "Float(5e-324)"),
            ("0x1p-1075", "Float(0.0)"),
            ("0x1.8p-1075", "Float(5e-324)"),
            ("0x1.fffffffffffff8p0", "Float(2.0)"),
            ("0x1p1024", "illegal number syntax"),
            ("0x1.8", "illegal number syntax"),
            ("-0xE", "Float(-14.0)"),
            ("0xE", "Int(14)"),
            ("2i", "Complex(0.0, 2.0)"),
            ("0b2", "illegal number syntax"),
            ("1e400", "illegal number syntax"),
            ("1.2.3", "illegal number syntax"),
            ("-9223372036854775808", "Int(-9223372036854775808)"),
            ("-9223372036854775809", "integer overflow"),
            ("18446744073709551615", "overflow"),
            ("99999999999999999999", "integer overflow"),
            ("-", "illegal number syntax"),
            ("1e", "illegal number syntax"),
        ] {
            assert_eq!(show(text), want, "{text}");
        }
    }

    #[test]
    fn complex_pairs() {
        for (text, want) in
            [("1+2i", (1.0, 2.0)), ("-1.5e+3-0x1p-2i", (-1500.0, -0.25)), ("0x1p+1-1e-2i", (2.0, -0.01))]
        {
            let Ok(Literal::Value(Value::Complex(re, im))) = complex_constant(text) else { panic!("{text}") };
            assert_eq!((re, im), want, "{text}");
        }
        assert!(complex_constant("1+i").is_err() && complex_constant("0b1+2i").is_err());
    }
}
