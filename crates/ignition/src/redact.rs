//! Secrets in texts that are about to be printed: private keys, password hashes, keys of encrypted volumes.
//!
//! The text is looked at as it stands, in JSON, YAML or a `data:` URL, because what is printed is the source itself.

use std::borrow::Cow;

use base64::Engine as _;

/// What stands in a secret's place.
pub const MASK: &str = "[redacted]";

/// Where secrets stand in a text: ranges of octets, ascending, apart.
///
/// ```
/// let text = "password_hash: $6$salt$0123456789abcdef\n";
/// assert_eq!(ignition::redact::redact(text), "password_hash: [redacted]\n");
/// ```
pub fn secrets(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    private_keys(text, &mut found);
    encoded_keys(text, &mut found);
    hashes(text, &mut found);
    named(text, &mut found);
    found.sort_unstable();
    let mut apart: Vec<(usize, usize)> = Vec::new();
    for (start, end) in found {
        match apart.last_mut() {
            Some((_, last)) if start <= *last => *last = end.max(*last),
            _ => apart.push((start, end)),
        }
    }
    apart
}

/// The text without its secrets.
pub fn redact(text: &str) -> Cow<'_, str> {
    let found = secrets(text);
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for (start, end) in found {
        out.push_str(text.get(from..start).unwrap_or_default());
        out.push_str(MASK);
        from = end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(out)
}

/// PEM (RFC 7468 §2), plain or escaped for a URL; an unfinished one reaches to the end.
fn private_keys(text: &str, found: &mut Vec<(usize, usize)>) {
    let mut at = 0;
    while let Some(begin) = text.get(at..).and_then(|rest| rest.find("-----BEGIN")).map(|offset| at + offset)
    {
        let rest = text.get(begin..).unwrap_or_default();
        let label = rest.get(10..).and_then(|rest| rest.find("-----")).map(|length| 10 + length + 5);
        let Some(label) = label.filter(|label| *label < 80) else {
            at = begin + 10;
            continue;
        };
        if !rest.get(..label).unwrap_or_default().replace("%20", " ").contains("PRIVATE KEY") {
            at = begin + label;
            continue;
        }
        let body = rest.get(label..).unwrap_or_default();
        let end = body.find("-----END").map(|end| {
            let tail = body.get(end + 8..).unwrap_or_default();
            label + end + 8 + tail.find("-----").map_or(tail.len(), |dashes| dashes + 5)
        });
        let end = begin + end.unwrap_or(rest.len());
        found.push((begin, end));
        at = end;
    }
}

/// base64 of a PEM file that holds a private key.
fn encoded_keys(text: &str, found: &mut Vec<(usize, usize)>) {
    let begin = "LS0tLS1CRUdJTi"; // base64 of "-----BEGIN"
    for (start, _) in text.match_indices(begin) {
        let rest = text.get(start..).unwrap_or_default();
        let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
        let length = rest.find(|c| !is_base64(c)).unwrap_or(rest.len());
        let head = rest.get(..length.min(80) / 4 * 4).unwrap_or_default();
        let engine = base64::engine::general_purpose::STANDARD_NO_PAD;
        let label = engine.decode(head.trim_end_matches('=')).unwrap_or_default();
        if String::from_utf8_lossy(&label).contains("PRIVATE KEY") {
            found.push((start, start + length));
        }
    }
}

/// Hashes of crypt(5) and of GRUB.
fn hashes(text: &str, found: &mut Vec<(usize, usize)>) {
    const METHODS: [&str; 14] =
        ["1", "2a", "2b", "2x", "2y", "5", "6", "7", "y", "gy", "sha1", "argon2i", "argon2id", "md5"];
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '}' | ']' | '\\' | '`' | ')');
    for (start, _) in text.match_indices('$') {
        let rest = text.get(start + 1..).unwrap_or_default();
        let Some((method, body)) = rest.split_once('$') else { continue };
        let length = body.find(ends).unwrap_or(body.len());
        if METHODS.contains(&method) && length >= 3 {
            found.push((start, start + 2 + method.len() + length));
        }
    }
    for (start, marker) in text.match_indices("grub.pbkdf2.") {
        let rest = text.get(start + marker.len()..).unwrap_or_default();
        found.push((start, start + marker.len() + rest.find(ends).unwrap_or(rest.len())));
    }
}

/// Values of names that hold nothing but secrets.
fn named(text: &str, found: &mut Vec<(usize, usize)>) {
    for name in ["passwordHash", "password_hash", "etcd_password"] {
        for (start, _) in text.match_indices(name) {
            let after = start + name.len();
            let rest = text.get(after..).unwrap_or_default();
            let value = rest.trim_start_matches(['"', '\'']).trim_start();
            let Some(value) = value.strip_prefix(':') else { continue };
            let value = value.trim_start_matches([' ', '\t']);
            let begin = after + (rest.len() - value.len());
            let (skip, length) = match value.chars().next() {
                Some(quote @ ('"' | '\'')) => {
                    let inside = value.get(1..).unwrap_or_default();
                    (1, inside.find(quote).unwrap_or(inside.len()))
                }
                // Nothing, a list or an object is no secret.
                None | Some('\n' | '\r' | '[' | '{' | '|' | '>') => continue,
                Some(_) => {
                    let ends = |c: char| matches!(c, '\n' | '\r' | ',' | '}' | ' ');
                    (0, value.find(ends).unwrap_or(value.len()))
                }
            };
            if length > 0 && value.get(skip..skip + length) != Some("null") {
                found.push((begin + skip, begin + skip + length));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_names() {
        for (text, shown) in [
            ("\"passwordHash\": \"plain\"", "\"passwordHash\": \"[redacted]\""),
            ("{password_hash: $y$j9T$abc$def, name: x}", "{password_hash: [redacted], name: x}"),
            ("echo $1 $2$x costs $5 or $6", "echo $1 $2$x costs $5 or $6"),
            ("user $6$rounds=5000$salt$hash.", "user [redacted]"),
            ("password_pbkdf2 root grub.pbkdf2.sha512.10000.AB.CD", "password_pbkdf2 root [redacted]"),
            ("password_hash: null", "password_hash: null"),
        ] {
            assert_eq!(redact(text), shown);
        }
    }
}
