//! Sizes as `alecthomas/units` reads them for Fuze and Container Linux Config: `2GiB`, `500MB` and `1G2M` all count 1024.

/// Why a size is none, in the library's words.
pub(crate) type SizeError = String;

const UNITS: [&str; 7] = ["", "K", "M", "G", "T", "P", "E"];

/// The factor of a unit, with `suffix` `iB` or `B`; the plain octet is `B` in both.
fn factor(unit: &str, suffix: &str) -> Option<f64> {
    let letter = unit.strip_suffix(suffix);
    let power = match letter {
        Some(letter) if !letter.is_empty() => UNITS.iter().position(|known| *known == letter),
        _ if unit == "B" => Some(0),
        _ => None,
    }?;
    Some(1024_f64.powi(power as i32))
}

/// Digits, and what follows. `None` beyond what fits Go's `int64`.
fn leading(text: &str) -> Option<(f64, &str, usize)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    let value = if number.is_empty() { 0 } else { number.parse::<i64>().ok()? };
    Some((value as f64, rest, digits))
}

fn parse_with(text: &str, suffix: &str) -> Result<i64, SizeError> {
    let invalid = || format!("units: invalid {text}");
    let (negative, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let (mut value, after, whole) = leading(rest).ok_or_else(invalid)?;
        rest = after;
        let mut fraction = 0;
        if let Some(after) = rest.strip_prefix('.') {
            let (part, after, digits) = leading(after).ok_or_else(invalid)?;
            value += part / 10_f64.powi(digits as i32);
            (rest, fraction) = (after, digits);
        }
        if whole + fraction == 0 {
            return Err(invalid());
        }
        let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, after) = rest.split_at(end);
        let factor = factor(unit, suffix).ok_or_else(|| format!("units: unknown unit {unit} in {text}"))?;
        total += value * factor;
        rest = after;
    }
    let total = if negative { -total } else { total };
    if total < i64::MIN as f64 || total > i64::MAX as f64 {
        return Err("units: overflow parsing unit".to_owned());
    }
    Ok(total as i64)
}

/// A size in octets.
pub(crate) fn octets(text: &str) -> Result<i64, SizeError> {
    parse_with(text, "iB").or_else(|_| parse_with(text, "B"))
}

/// A size in sectors of 512 octets, rounded up; nothing is 0.
pub(crate) fn sectors(text: &str) -> Result<u64, SizeError> {
    if text.is_empty() {
        return Ok(0);
    }
    match u64::try_from(octets(text)?) {
        Ok(octets) => Ok(octets.div_ceil(512)),
        Err(_) => Err(format!("invalid dimension (negative): {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_count_1024() {
        // fuze convert.go convertPartitionDimension; alecthomas/units ParseBase2Bytes
        assert_eq!(sectors("2GiB"), Ok(4_194_304));
        assert_eq!(sectors("500MB"), Ok(1_024_000));
        assert_eq!(sectors("1.5KiB"), Ok(3));
        assert_eq!(sectors("1B"), Ok(1));
        assert_eq!(sectors("0"), Ok(0));
        assert!(sectors("1G").is_err());
        assert!(sectors("1X").is_err());
        assert!(sectors("-1KiB").is_err());
        assert!(sectors("12").is_err());
    }
}
