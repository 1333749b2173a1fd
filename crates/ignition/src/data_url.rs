//! `data:` URLs (RFC 2397) as Go's `dataurl` reads and writes them.

use base64::Engine as _;

/// RFC 2396's unreserved characters.
pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')')
}

/// What an inline text is wrapped in by Fuze, Butane and Ignition's own tools.
pub(crate) fn escape(octets: &[u8], out: &mut String) {
    for &byte in octets {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from(if digit < 10 { b'0' + digit } else { b'A' + digit - 10 }));
            }
        }
    }
}

/// Why a text is no `data:` URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DataUrlError {
    /// It does not start with `data:`.
    NotData,
    /// Malformed before the comma, in the words of the reference's lexer.
    Header(&'static str),
    /// A character that cannot stand in the data.
    Character,
    /// A `%` is not followed by two hexadecimal digits.
    Escape,
    /// The base64 is malformed.
    Base64,
}

impl DataUrlError {
    /// The stable code of the rule.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::NotData => "missing-data-prefix",
            Self::Header("invalid character after data prefix") => "invalid-character-after-data-prefix",
            Self::Header("invalid character for media type") => "invalid-character-for-media-type",
            Self::Header("invalid character for media subtype") => "invalid-character-for-media-subtype",
            Self::Header("incomplete media type") => "incomplete-media-type",
            Self::Header("expected semicolon or comma") => "expected-semicolon-or-comma",
            Self::Header("unterminated parameter sequence") => "unterminated-parameter-sequence",
            Self::Header("invalid character for parameter attribute") => {
                "invalid-character-for-parameter-attribute"
            }
            Self::Header("invalid character for parameter value") => "invalid-character-for-parameter-value",
            Self::Header("unclosed quoted string") => "unclosed-quoted-string",
            Self::Header("expected base64") => "expected-base64-got",
            Self::Header("missing media type slash") => "missing-media-type-slash",
            Self::Header(_) | Self::Character | Self::Base64 => "bad-data-url",
            Self::Escape => "rfc2396-invalid-char-0x25-in-unescape-sequence",
        }
    }
}

impl std::fmt::Display for DataUrlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotData => "missing data prefix",
            Self::Header(message) => message,
            Self::Character => "invalid data character",
            Self::Escape => "invalid escape in data URL",
            Self::Base64 => "illegal base64 data",
        })
    }
}

impl std::error::Error for DataUrlError {}

/// The octets of a `data:` URL.
///
/// ```
/// assert_eq!(ignition::data_url::decode("data:;base64,aGk=").unwrap(), b"hi");
/// ```
///
/// # Errors
/// What makes the text no data URL.
pub fn decode(url: &str) -> Result<Vec<u8>, DataUrlError> {
    let rest = url.strip_prefix("data:").ok_or(DataUrlError::NotData)?;
    let (base64, data) = header(rest)?;
    if base64 {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'\n');
        if !data.bytes().all(allowed) {
            return Err(DataUrlError::Character);
        }
        // Go's decoder skips line ends.
        let compact: Vec<u8> = data.bytes().filter(|byte| *byte != b'\n').collect();
        return base64::engine::general_purpose::STANDARD.decode(compact).map_err(|_| DataUrlError::Base64);
    }
    if !data.bytes().all(|byte| (0x21..0x7f).contains(&byte) && !b"<>#\"{}|\\^[]`".contains(&byte)) {
        return Err(DataUrlError::Character);
    }
    unescape(data)
}

fn is_token(c: char) -> bool {
    c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?=".contains(c)
}

/// Reads media type and parameters. Whether the data is base64, and the data.
fn header(text: &str) -> Result<(bool, &str), DataUrlError> {
    let fail = |message| Err(DataUrlError::Header(message));
    let token = |text: &str| text.find(|c| !is_token(c)).unwrap_or(text.len());
    let mut rest = text;
    if !rest.starts_with([';', ',']) {
        let (kind, after) = rest.split_at(token(rest));
        if kind.is_empty() {
            return fail(if rest.is_empty() {
                "missing comma before data"
            } else {
                "invalid character after data prefix"
            });
        }
        let Some(after) = after.strip_prefix('/') else {
            return fail(if after.is_empty() {
                "missing media type slash"
            } else {
                "invalid character for media type"
            });
        };
        let known = ["text", "image", "audio", "video", "application", "message", "multipart"];
        let extension = kind.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-"));
        if !extension && !known.iter().any(|known| kind.starts_with(known)) {
            return fail("invalid media type");
        }
        rest = after.split_at(token(after)).1;
        if rest.is_empty() {
            return fail("incomplete media type");
        }
        if !rest.starts_with([';', ',']) {
            return fail("invalid character for media subtype");
        }
    }
    loop {
        if let Some(data) = rest.strip_prefix(',') {
            return Ok((false, data));
        }
        let Some(after) = rest.strip_prefix(';') else {
            return fail(if rest.is_empty() {
                "missing comma before data"
            } else {
                "expected semicolon or comma"
            });
        };
        let (name, after) = after.split_at(token(after));
        match after.chars().next() {
            None => return fail("unterminated parameter sequence"),
            Some('=' | ',') if name.is_empty() => return fail("unterminated parameter sequence"),
            Some(',') if name == "base64" => return Ok((true, after.get(1..).unwrap_or_default())),
            Some(',') => return fail("expected base64"),
            Some('=') => {}
            Some(_) => return fail("invalid character for parameter attribute"),
        }
        rest = parameter(after.get(1..).unwrap_or_default())?;
    }
}

/// Reads a parameter's value; what follows it.
fn parameter(text: &str) -> Result<&str, DataUrlError> {
    let fail = |message| Err(DataUrlError::Header(message));
    if let Some(quoted) = text.strip_prefix('"') {
        let mut escaped = false;
        for (at, c) in quoted.char_indices() {
            match c {
                _ if !c.is_ascii() => return fail("invalid character for parameter value"),
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return Ok(quoted.get(at + 1..).unwrap_or_default()),
                _ => {}
            }
        }
        return fail("unclosed quoted string");
    }
    let (value, rest) = text.split_at(text.find(|c| !is_token(c)).unwrap_or(text.len()));
    if rest.is_empty() {
        return fail("missing comma before data");
    }
    if value.is_empty() || !rest.starts_with([';', ',']) {
        return fail("invalid character for parameter value");
    }
    unescape(value).map(|_| rest)
}

fn unescape(text: &str) -> Result<Vec<u8>, DataUrlError> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
            let (Some(high), Some(low)) = (digit(), digit()) else { return Err(DataUrlError::Escape) };
            out.push((high << 4 | low) as u8);
        } else {
            out.push(byte);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_as_dataurl_does() {
        // RFC 2397 §3
        for (url, octets) in [
            ("data:,a%20b", "a b"),
            ("data:text/plain;charset=utf-8;base64,aGk=", "hi"),
            ("data:;charset=\"a;b\",x", "x"),
            ("data:x-y/z,q", "q"),
        ] {
            assert_eq!(decode(url).unwrap(), octets.as_bytes(), "{url}");
        }
        for url in [
            "data:text/plain",
            "data:foo/bar,x",
            "data:;base64,a",
            "data:,%zz",
            "data:,a b",
            "data:;x,y",
            "x",
        ] {
            assert!(decode(url).is_err(), "{url}");
        }
    }
}
