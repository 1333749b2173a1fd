//! `data:` URLs (RFC 2397) as Go's `dataurl` reads and writes them.

use base64::Engine as _;

/// What an inline text is wrapped in by Fuze, Butane and Ignition's own tools.
pub(crate) fn escape(octets: &[u8], out: &mut String) {
    for &byte in octets {
        match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'_'
            | b'.'
            | b'!'
            | b'~'
            | b'*'
            | b'\''
            | b'('
            | b')' => {
                out.push(char::from(byte));
            }
            _ => {
                out.push('%');
                for digit in [byte >> 4, byte & 15] {
                    out.push(char::from(if digit < 10 { b'0' + digit } else { b'A' + digit - 10 }));
                }
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
    /// No comma separates the media type from the data.
    NoComma,
    /// The media type or its parameters are malformed.
    MediaType,
    /// A `%` is not followed by two hexadecimal digits, or the data has a character that is not ASCII.
    Escape,
    /// The base64 is malformed.
    Base64,
}

impl std::fmt::Display for DataUrlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotData => "not a data URL",
            Self::NoComma => "missing comma before data",
            Self::MediaType => "invalid media type in data URL",
            Self::Escape => "invalid escape in data URL",
            Self::Base64 => "illegal base64 data in data URL",
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
    let rest = match url.get(..5) {
        Some(scheme) if scheme.eq_ignore_ascii_case("data:") => url.get(5..).unwrap_or_default(),
        _ => return Err(DataUrlError::NotData),
    };
    let (head, data) = rest.split_once(',').ok_or(DataUrlError::NoComma)?;
    let base64 = head == "base64" || head.ends_with(";base64");
    let octets = unescape(data)?;
    if base64 {
        // Go's decoder skips line ends.
        let compact: Vec<u8> = octets.into_iter().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        return base64::engine::general_purpose::STANDARD.decode(compact).map_err(|_| DataUrlError::Base64);
    }
    Ok(octets)
}

fn unescape(text: &str) -> Result<Vec<u8>, DataUrlError> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else { return Err(DataUrlError::Escape) };
                out.push((high << 4 | low) as u8);
            }
            0x80.. => return Err(DataUrlError::Escape),
            _ => out.push(byte),
        }
    }
    Ok(out)
}
