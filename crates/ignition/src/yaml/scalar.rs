//! What a YAML scalar is: the resolvers of `go-yaml` versions 2 and 3.
//!
//! Both read YAML 1.1 numbers (`0644` is octal, `1_000` is a thousand). Version 2 resolves `yes` and `on` anywhere to
//! a boolean, unless quoted; version 3 only where a boolean is wanted, even when quoted.

use base64::Engine as _;

use crate::tree::{Cursor, Kind, Tag};

enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Large(u64),
    Float(f64),
    Text,
}

fn is_scalar(node: Cursor<'_>) -> bool {
    matches!(node.kind(), Kind::Plain | Kind::String)
}

/// Resolved without regard to who asks. Dates count as text: no field wants one.
fn resolve(node: Cursor<'_>) -> Value {
    let plain = node.kind() == Kind::Plain;
    match node.tag() {
        Tag::None if plain => {}
        Tag::Int | Tag::Float | Tag::Bool | Tag::Null => {}
        _ => return Value::Text,
    }
    let text = node.text();
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    match text.as_bytes().first() {
        Some(b'0'..=b'9' | b'+' | b'-') => number(text),
        Some(b'.') => text.parse().map_or(Value::Text, Value::Float),
        _ => Value::Text,
    }
}

fn number(text: &str) -> Value {
    let digits: String;
    let text = if text.contains('_') {
        digits = text.chars().filter(|c| *c != '_').collect();
        digits.as_str()
    } else {
        text
    };
    let (negative, rest) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    let (radix, body) = match rest.get(..2) {
        Some("0x" | "0X") => (16, rest.get(2..)),
        Some("0o" | "0O") => (8, rest.get(2..)),
        Some("0b" | "0B") => (2, rest.get(2..)),
        _ if rest.starts_with('0') && rest.len() > 1 => (8, rest.get(1..)),
        _ => (10, Some(rest)),
    };
    let body = body.filter(|body| !body.starts_with(['+', '-'])).unwrap_or_default();
    if let Ok(value) = i128::from_str_radix(body, radix) {
        let value = if negative { -value } else { value };
        if let Ok(value) = i64::try_from(value) {
            return Value::Int(value);
        }
        if let (Ok(value), false, false) = (u64::try_from(value), negative, text.starts_with('+')) {
            return Value::Large(value);
        }
    }
    let float = rest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    match text.parse::<f64>() {
        Ok(value) if float => Value::Float(value),
        _ => Value::Text,
    }
}

pub(crate) fn is_null(node: Cursor<'_>) -> bool {
    is_scalar(node) && matches!(resolve(node), Value::Null)
}

/// Any scalar is text as it was written; `!!binary` is decoded.
pub(crate) fn string(node: Cursor<'_>) -> Option<String> {
    if !is_scalar(node) {
        return None;
    }
    if node.tag() == Tag::Binary {
        let compact: String = node.text().chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
        let octets = base64::engine::general_purpose::STANDARD.decode(compact).ok()?;
        return Some(crate::json::text(&octets).into_owned());
    }
    Some(node.text().to_owned())
}

/// A whole number; a float is cut, as Go's conversion does.
pub(crate) fn int_v3(node: Cursor<'_>) -> Option<i64> {
    if !is_scalar(node) {
        return None;
    }
    match resolve(node) {
        Value::Int(value) => Some(value),
        // Go compares with MaxInt64 as a float and converts: what is not representable saturates here.
        Value::Float(value) if value <= i64::MAX as f64 => Some(value as i64),
        Value::Large(_) | Value::Float(_) | Value::Null | Value::Bool(_) | Value::Text => None,
    }
}

/// As version 3.
pub(crate) fn int_v2(node: Cursor<'_>) -> Option<i64> {
    int_v3(node)
}

/// A whole number of Go's type `uint`.
pub(crate) fn uint(node: Cursor<'_>) -> Option<u64> {
    if !is_scalar(node) {
        return None;
    }
    match resolve(node) {
        Value::Int(value) => u64::try_from(value).ok(),
        Value::Large(value) => Some(value),
        Value::Float(value) if value <= u64::MAX as f64 => Some(value as u64),
        Value::Float(_) | Value::Null | Value::Bool(_) | Value::Text => None,
    }
}

fn word(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// Version 2: the words of YAML 1.1, plain only.
pub(crate) fn bool_v2(node: Cursor<'_>) -> Option<bool> {
    match (is_scalar(node), resolve(node)) {
        (true, Value::Bool(value)) => Some(value),
        (true, Value::Text) if node.kind() == Kind::Plain && node.tag() == Tag::None => word(node.text()),
        _ => None,
    }
}

/// Version 3: the words of YAML 1.1, quoted or not.
pub(crate) fn bool_v3(node: Cursor<'_>) -> Option<bool> {
    match (is_scalar(node), resolve(node)) {
        (true, Value::Bool(value)) => Some(value),
        (true, Value::Text) => word(node.text()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<T>(text: &str, read: impl Fn(Cursor<'_>) -> T) -> T {
        let source = format!("k: {text}\n");
        let tree = crate::yaml::parse(source.as_bytes()).unwrap();
        read(tree.root().unwrap().get("k").unwrap())
    }

    #[test]
    fn whole_numbers() {
        // YAML 1.1 !!int, as go-yaml reads it
        for (text, value) in [
            ("0644", Some(420)),
            ("0o644", Some(420)),
            ("0x1a4", Some(420)),
            ("0b110100100", Some(420)),
            ("644", Some(644)),
            ("1_000", Some(1000)),
            ("420.0", Some(420)),
            ("1e2", Some(100)),
            ("-7", Some(-7)),
            ("+7", Some(7)),
            ("08", Some(8)), // no octal number, so a float
            ("'644'", None),
            ("yes", None),
            ("9223372036854775808", None),
        ] {
            assert_eq!(of(text, int_v3), value, "{text}");
        }
    }

    #[test]
    fn booleans() {
        // https://yaml.org/type/bool.html and the libraries' differences
        for (text, v2, v3) in [
            ("yes", Some(true), Some(true)),
            ("Off", Some(false), Some(false)),
            ("'yes'", None, Some(true)),
            ("'true'", None, None),
            ("1", None, None),
        ] {
            assert_eq!((of(text, bool_v2), of(text, bool_v3)), (v2, v3), "{text}");
        }
        assert_eq!(of("!!str true", bool_v3), None);
        assert!(of("~", is_null));
        assert!(!of("''", is_null));
        assert_eq!(of("!!binary aGk=", string).as_deref(), Some("hi"));
    }
}
