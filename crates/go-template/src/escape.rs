//! `html`, `js` and `urlquery`: text made safe for where it is going (text/template, funcs.go; `url.QueryEscape`).

use crate::unicode::{decode, is_print};

/// `HTMLEscape`.
pub(crate) fn html(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            0 => out.extend_from_slice("\u{FFFD}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            _ => out.push(byte),
        }
    }
    out
}

/// `JSEscape`.
pub(crate) fn js(mut text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    while let Some((rune, len)) = decode(text) {
        match rune {
            '\\' => out.extend_from_slice(b"\\\\"),
            '\'' => out.extend_from_slice(b"\\'"),
            '"' => out.extend_from_slice(b"\\\""),
            '<' | '>' | '&' | '=' => out.extend_from_slice(format!("\\u{:04X}", u32::from(rune)).as_bytes()),
            ..' ' => out.extend_from_slice(format!("\\u{:04X}", u32::from(rune)).as_bytes()),
            _ if rune.is_ascii() || is_print(rune) => {
                out.extend_from_slice(text.get(..len).unwrap_or_default());
            }
            _ => out.extend_from_slice(format!("\\u{:04X}", u32::from(rune)).as_bytes()),
        }
        text = text.get(len..).unwrap_or_default();
    }
    out
}

/// `url.QueryEscape`.
pub(crate) fn url_query(text: &[u8]) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte),
            b' ' => out.push(b'+'),
            _ => out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_as_go() {
        assert_eq!(html(b"<a\0'\"&\xff>"), b"&lt;a\xef\xbf\xbd&#39;&#34;&amp;\xff&gt;");
        assert_eq!(
            js("a=\t\u{7f}é\u{2028}😀\u{E0001}".as_bytes()),
            "a\\u003D\\u0009\u{7f}é\\u2028😀\\uE0001".as_bytes()
        );
        assert_eq!(js(b"\xff"), b"\xff", "U+FFFD prints, so the byte stays");
        assert_eq!(url_query("a b~é/".as_bytes()), b"a+b~%C3%A9%2F");
    }
}
