//! Quoted text: how a template writes strings and characters, and how `printf` writes them back
//! (Go's `strconv` package). Used by the parser and by `fmt`.

use crate::unicode::{REPLACEMENT, decode, is_print};

/// What a quoted string holds; `None` when its quoting is wrong (`strconv.Unquote`).
pub(crate) fn unquote(quoted: &[u8]) -> Option<Vec<u8>> {
    let (&quote, rest) = quoted.split_first()?;
    let (&last, mut body) = rest.split_last()?;
    if last != quote {
        return None;
    }
    match quote {
        b'`' => Some(body.iter().copied().filter(|&byte| byte != b'\r').collect()),
        b'"' => {
            let mut out = Vec::with_capacity(body.len());
            while !body.is_empty() {
                let (unit, len) = unquote_unit(body, quote)?;
                match unit {
                    Unit::Byte(byte) => out.push(byte),
                    Unit::Rune(rune) => out.extend_from_slice(rune.encode_utf8(&mut [0; 4]).as_bytes()),
                }
                body = body.get(len..)?;
            }
            Some(out)
        }
        _ => None,
    }
}

/// The number of a character constant such as `'a'` or `'\n'`; `None` unless it holds exactly one.
pub(crate) fn unquote_char(quoted: &[u8]) -> Option<i64> {
    let (&quote, body) = quoted.split_first()?;
    let (unit, len) = unquote_unit(body, quote)?;
    (body.get(len..)? == b"'").then_some(match unit {
        Unit::Byte(byte) => i64::from(byte),
        Unit::Rune(rune) => i64::from(u32::from(rune)),
    })
}

enum Unit {
    Byte(u8),
    Rune(char),
}

/// One character or escape, and its length (`strconv.UnquoteChar`).
fn unquote_unit(text: &[u8], quote: u8) -> Option<(Unit, usize)> {
    let (rune, len) = decode(text)?;
    if rune != '\\' || len != 1 {
        let bare = rune.is_ascii() && (rune == char::from(quote) || rune == '\n');
        return (!bare).then_some((Unit::Rune(rune), len));
    }
    let &escape = text.get(1)?;
    let simple = match escape {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' => b'\\',
        b'\'' | b'"' if escape == quote => quote,
        b'x' => return Some((Unit::Byte(u8::try_from(digits(text.get(2..4)?, 16)?).ok()?), 4)),
        b'u' => return Some((Unit::Rune(char::from_u32(digits(text.get(2..6)?, 16)?)?), 6)),
        b'U' => return Some((Unit::Rune(char::from_u32(digits(text.get(2..10)?, 16)?)?), 10)),
        b'0'..=b'7' => return Some((Unit::Byte(u8::try_from(digits(text.get(1..4)?, 8)?).ok()?), 4)),
        _ => return None,
    };
    Some((Unit::Byte(simple), 2))
}

fn digits(text: &[u8], base: u32) -> Option<u32> {
    text.iter()
        .try_fold(0_u32, |sum, &byte| sum.checked_mul(base)?.checked_add(char::from(byte).to_digit(base)?))
}

/// Appends `text` in double quotes, escaped as Go would; everything but ASCII too if `ascii`.
pub(crate) fn quote(out: &mut Vec<u8>, mut text: &[u8], ascii: bool) {
    out.push(b'"');
    while let Some((rune, len)) = decode(text) {
        if rune == REPLACEMENT && len == 1 {
            let byte = text.first().copied().unwrap_or_default();
            out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        } else {
            escape(out, rune, '"', ascii);
        }
        text = text.get(len..).unwrap_or_default();
    }
    out.push(b'"');
}

/// Appends a character in single quotes (`strconv.QuoteRune`).
pub(crate) fn quote_char(out: &mut Vec<u8>, rune: char, ascii: bool) {
    out.push(b'\'');
    escape(out, rune, '\'', ascii);
    out.push(b'\'');
}

fn escape(out: &mut Vec<u8>, rune: char, quote: char, ascii: bool) {
    if rune == quote || rune == '\\' {
        out.push(b'\\');
        out.extend_from_slice(rune.encode_utf8(&mut [0; 4]).as_bytes());
    } else if is_print(rune) && (rune.is_ascii() || !ascii) {
        out.extend_from_slice(rune.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        let code = u32::from(rune);
        let text = match rune {
            '\x07' => "\\a".to_owned(),
            '\x08' => "\\b".to_owned(),
            '\x0C' => "\\f".to_owned(),
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            '\t' => "\\t".to_owned(),
            '\x0B' => "\\v".to_owned(),
            ..' ' | '\x7F' => format!("\\x{code:02x}"),
            ..'\u{10000}' => format!("\\u{code:04x}"),
            _ => format!("\\U{code:08x}"),
        };
        out.extend_from_slice(text.as_bytes());
    }
}

/// Whether the text can stand between back quotes unchanged (`strconv.CanBackquote`).
pub(crate) fn can_backquote(mut text: &[u8]) -> bool {
    while let Some((rune, len)) = decode(text) {
        let bad = match rune {
            '\u{FEFF}' => true,
            REPLACEMENT => len == 1,
            '\t' => false,
            '`' | '\x7F' => true,
            _ => rune < ' ',
        };
        if bad {
            return false;
        }
        text = text.get(len..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquotes_gos_escapes() {
        assert_eq!(unquote(br#""a\t\"\u00e9\x41\377""#), Some(b"a\t\"\xc3\xa9A\xff".to_vec()));
        assert_eq!(unquote(b"`raw \\n\r\n`"), Some(b"raw \\n\n".to_vec()));
        assert_eq!(unquote(b"\"\xff\""), Some("\u{FFFD}".as_bytes().to_vec()));
        for bad in
            [&br#""\x""#[..], br#""\u12""#, br#""\'""#, br#""\400""#, br#""\ud800""#, br#""\q""#, b"\"", b""]
        {
            assert_eq!(unquote(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn reads_characters() {
        assert_eq!(unquote_char("'世'".as_bytes()), Some(0x4e16));
        assert_eq!(unquote_char(br"'\xff'"), Some(255));
        assert_eq!(unquote_char(br"'\''"), Some(39));
        for bad in [&b"''"[..], b"'ab'", br#"'\"'"#, b"'"] {
            assert_eq!(unquote_char(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn quotes_as_strconv() {
        let mut out = Vec::new();
        quote(&mut out, "é\u{a0}\u{1F600}\u{E0001}\n\x7f\\\"'".as_bytes(), false);
        quote(&mut out, b"\xff\xc3\xa9", true);
        quote_char(&mut out, '\'', false);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"é\\u00a0😀\\U000e0001\\n\\x7f\\\\\\\"'\"\"\\xff\\u00e9\"'\\''"
        );
        assert!(can_backquote(b"a\tb'") && !can_backquote(b"a`") && !can_backquote(b"\xff"));
    }
}
