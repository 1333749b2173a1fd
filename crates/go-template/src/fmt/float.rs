//! Floating-point numbers (strconv/ftoa.go for the digits, fmt/format.go `fmtFloat` for the rest).

use super::value::Printer;
use super::{Flags, Stop};

/// No `f64` has more decimal digits than this before or after its point; what is asked beyond is zeros.
const MOST_DIGITS: usize = 1_100;

impl Printer<'_, '_> {
    /// A number in the form of `verb`; `default` is the precision when none was asked for, `None` the
    /// shortest text that reads back the same.
    pub(super) fn float(&mut self, number: f64, verb: char, default: Option<usize>) -> Result<(), Stop> {
        let Flags { sharp, zero, plus, minus, space, width, precision, .. } = self.flags;
        let precision = precision.or(default);
        if precision.unwrap_or(0) > self.sink.room() {
            return Err(Stop::Full);
        }
        self.sink.work(effort(number, precision))?;
        let mut text = format_float(number, verb, precision);
        if !text.starts_with('-') && !text.starts_with('+') {
            text.insert(0, '+');
        }
        if space && !plus && text.starts_with('+') {
            text.replace_range(..1, " ");
        }
        if !number.is_finite() {
            // An infinity keeps its sign.
            if number.is_nan() && !space && !plus {
                text.remove(0);
            }
            return self.pad_spaces(text.as_bytes());
        }
        if sharp && verb != 'b' {
            restore_zeros(&mut text, verb, precision);
        }
        if plus || !text.starts_with('+') {
            let width = width.unwrap_or(0);
            if zero && !minus && width > text.len() {
                let (sign, rest) = text.split_at_checked(1).unwrap_or(("", &text));
                self.sink.push(sign.as_bytes())?;
                self.padding(width - text.len())?;
                return self.sink.push(rest.as_bytes());
            }
            return self.pad(text.as_bytes());
        }
        self.pad(text.get(1..).unwrap_or_default().as_bytes())
    }
}

/// Steps it takes to make the digits: a few for the shortest, many for hundreds of exact ones.
fn effort(number: f64, precision: Option<usize>) -> usize {
    let (_, exponent) = parts(number);
    let whole = usize::try_from(exponent.unsigned_abs()).unwrap_or(0);
    precision.map_or(4, |precision| 4 + precision.min(MOST_DIGITS) + whole)
}

/// The `#` flag: a decimal point always, and the zeros that `%g` drops. `text` has a sign first.
fn restore_zeros(text: &mut String, verb: char, precision: Option<usize>) {
    let mut digits = match verb {
        'g' | 'G' | 'x' => i64::try_from(precision.unwrap_or(6)).unwrap_or(i64::MAX),
        _ => 0,
    };
    let exponent: &[char] = if matches!(verb, 'x' | 'X') { &['p', 'P'] } else { &['e', 'E', 'p', 'P'] };
    let tail = text.find(exponent).map_or_else(String::new, |at| text.split_off(at));
    let (mut point, mut nonzero) = (false, false);
    for c in text.chars().skip(1) {
        if c == '.' {
            point = true;
            continue;
        }
        nonzero |= c != '0';
        if nonzero {
            digits -= 1;
        }
    }
    if !point {
        if text.len() == 2 && text.ends_with('0') {
            digits -= 1;
        }
        text.push('.');
    }
    for _ in 0..digits.max(0) {
        text.push('0');
    }
    text.push_str(&tail);
}

/// Significant digits without trailing zeros, and where the point stands: `0.d1d2… × 10^point`.
struct Digits {
    digits: String,
    point: i64,
}

/// The digits of a finite, non-negative number: the shortest that read back, or `count` significant ones.
fn significant(number: f64, count: Option<usize>) -> Digits {
    let text = match count {
        None => format!("{number:e}"),
        Some(count) => format!("{number:.*e}", count.saturating_sub(1).min(MOST_DIGITS)),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_end_matches('0').to_owned();
    let point = if digits.is_empty() { 0 } else { exponent.parse::<i64>().unwrap_or_default() + 1 };
    Digits { digits, point }
}

/// `strconv.FormatFloat`.
fn format_float(number: f64, verb: char, precision: Option<usize>) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    let sign = if number.is_sign_negative() { "-" } else { "" };
    if number.is_infinite() {
        return if sign.is_empty() { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    let number = number.abs();
    let text = match verb {
        'b' => binary(number),
        'x' | 'X' => hexadecimal(number, precision, verb == 'X'),
        'e' | 'E' => {
            let digits = significant(number, precision.map(|precision| precision + 1));
            let after = precision.unwrap_or_else(|| digits.digits.len().saturating_sub(1));
            exponential(&digits, after, verb)
        }
        'f' => match precision {
            Some(precision) => {
                let exact = precision.min(MOST_DIGITS);
                format!("{number:.exact$}{}", "0".repeat(precision - exact))
            }
            None => {
                let digits = significant(number, None);
                let after = i64::try_from(digits.digits.len()).unwrap_or(0) - digits.point;
                decimal(&digits, usize::try_from(after).unwrap_or(0))
            }
        },
        _ => general(number, precision, verb),
    };
    format!("{sign}{text}")
}

/// `%g`: the exponent form below 1e-4 and from the precision on, which for the shortest text is 6.
fn general(number: f64, precision: Option<usize>, verb: char) -> String {
    let wanted = precision.map(|precision| precision.max(1));
    let digits = significant(number, wanted);
    let count = digits.digits.len();
    let signed = i64::try_from(count).unwrap_or(i64::MAX);
    let mut limit = wanted.map_or(6, |wanted| i64::try_from(wanted).unwrap_or(i64::MAX));
    if wanted.is_some() && limit > signed && signed >= digits.point {
        limit = signed;
    }
    let exponent = digits.point - 1;
    if exponent < -4 || exponent >= limit {
        let verb = if verb == 'G' { 'E' } else { 'e' };
        return exponential(&digits, count.saturating_sub(1), verb);
    }
    decimal(&digits, usize::try_from(signed - digits.point).unwrap_or(0))
}

fn exponential(digits: &Digits, after: usize, verb: char) -> String {
    let mut text = String::with_capacity(after + 8);
    let mut all = digits.digits.chars();
    text.push(all.next().unwrap_or('0'));
    if after > 0 {
        text.push('.');
        text.extend(all.chain(std::iter::repeat('0')).take(after));
    }
    let exponent = if digits.digits.is_empty() { 0 } else { digits.point - 1 };
    let sign = if exponent < 0 { '-' } else { '+' };
    text.push_str(&format!("{verb}{sign}{:02}", exponent.abs()));
    text
}

fn decimal(digits: &Digits, after: usize) -> String {
    let whole = usize::try_from(digits.point).unwrap_or(0);
    let mut text = String::new();
    let padded = digits.digits.chars().chain(std::iter::repeat('0'));
    if whole == 0 {
        text.push('0');
    } else {
        text.extend(padded.clone().take(whole));
    }
    if after > 0 {
        text.push('.');
        let leading = usize::try_from(-digits.point).unwrap_or(0);
        text.extend(std::iter::repeat_n('0', leading).chain(padded.skip(whole)).take(after));
    }
    text
}

/// Mantissa and exponent of 2: `number = mantissa × 2^exponent`, the mantissa with 52 bits after its point.
fn parts(number: f64) -> (u64, i64) {
    let bits = number.to_bits();
    let biased = i64::try_from(bits >> 52 & 0x7FF).unwrap_or(0);
    let mantissa = bits & ((1 << 52) - 1);
    if biased == 0 { (mantissa, -1022) } else { (mantissa | 1 << 52, biased - 1023) }
}

fn binary(number: f64) -> String {
    let (mantissa, exponent) = parts(number);
    format!("{mantissa}p{:+}", exponent - 52)
}

fn hexadecimal(number: f64, precision: Option<usize>, upper: bool) -> String {
    let (mut mantissa, mut exponent) = parts(number);
    if mantissa == 0 {
        exponent = 0;
    }
    mantissa <<= 8;
    while mantissa != 0 && mantissa & 1 << 60 == 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    if let Some(precision) = precision.filter(|&precision| precision < 15) {
        let shift = u32::try_from(precision * 4).unwrap_or(0);
        let extra = mantissa << shift & ((1 << 60) - 1);
        mantissa >>= 60 - shift;
        if extra | (mantissa & 1) > 1 << 59 {
            mantissa += 1;
        }
        mantissa <<= 60 - shift;
        if mantissa & 1 << 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let mut text = format!("0x{}", mantissa >> 60 & 1);
    mantissa <<= 4;
    let mut left = match precision {
        Some(precision) => precision,
        None => usize::try_from(16 - mantissa.trailing_zeros().min(64) / 4).unwrap_or(0),
    };
    if left > 0 {
        text.push('.');
    }
    while left > 0 {
        text.push(char::from_digit(u32::try_from(mantissa >> 60).unwrap_or(0), 16).unwrap_or('0'));
        mantissa <<= 4;
        left -= 1;
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    text.push_str(&format!("p{sign}{:02}", exponent.abs()));
    if upper { text.to_ascii_uppercase() } else { text }
}
