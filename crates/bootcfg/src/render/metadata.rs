//! `/metadata`: the variables of a template as lines for a shell, sorted so that a signature can hold.

use serde_json::{Map, Value};

use super::{Context, Rendered};
use crate::group::Group;

/// `plain/text`, as both originals spell it.
const CONTENT_TYPE: &str = "plain/text";

pub(super) fn render(group: &Group, context: Context<'_>) -> Rendered {
    let variables = context.variables(group);
    let mut out = Vec::new();
    let before = |key: &String| key.as_str() < "request";
    for (key, value) in variables.map.iter().filter(|(key, _)| before(key)) {
        write_value(&mut out, "", key, value);
    }
    for (key, value) in context.labels.iter() {
        out.extend_from_slice(b"REQUEST_QUERY_");
        match std::str::from_utf8(key) {
            Ok(key) => out.extend_from_slice(upper(key).as_bytes()),
            Err(_) => out.extend_from_slice(&key.to_ascii_uppercase()),
        }
        out.push(b'=');
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    out.extend_from_slice(b"REQUEST_RAW_QUERY=");
    out.extend_from_slice(context.raw_query);
    out.push(b'\n');
    for (key, value) in variables.map.iter().filter(|(key, _)| !before(key) && *key != "request") {
        write_value(&mut out, "", key, value);
    }
    Rendered { content_type: Some(CONTENT_TYPE), ..Rendered::sniffed(out) }
}

fn write_value(out: &mut Vec<u8>, prefix: &str, key: &str, value: &Value) {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => go_float(number.as_f64().unwrap_or_default()),
        Value::Object(map) => return write_map(out, &format!("{prefix}{key}_"), map),
        Value::Null | Value::Array(_) => return,
    };
    for part in [upper(prefix).as_str(), upper(key).as_str(), "=", &text, "\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

fn write_map(out: &mut Vec<u8>, prefix: &str, map: &Map<String, Value>) {
    for (key, value) in map {
        write_value(out, prefix, key, value);
    }
}

/// Go's `strings.ToUpper`: letter by letter, so that `ß` stays.
fn upper(text: &str) -> String {
    text.chars()
        .map(|c| {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        })
        .collect()
}

/// A float as Go's `%v` prints it: the shortest digits, with an exponent below 1e-4 and from 1e6 on.
fn go_float(number: f64) -> String {
    let text = format!("{number:e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if number == 0.0 || (-4..6).contains(&exponent) {
        return format!("{number}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    #[test]
    fn upper_goes_letter_by_letter() {
        assert_eq!(super::upper("été ß"), "ÉTÉ ß");
    }

    #[test]
    fn floats_as_go_prints_them() {
        for (number, want) in [
            (1.0, "1"),
            (12345678.0, "1.2345678e+07"),
            (123456.0, "123456"),
            (1e6, "1e+06"),
            (100000.0, "100000"),
            (1.2e-6, "1.2e-06"),
            (0.0001, "0.0001"),
            (-3.25, "-3.25"),
            (-0.0, "-0"),
            (1234567.5, "1.2345675e+06"),
            (1e21, "1e+21"),
        ] {
            assert_eq!(super::go_float(number), want);
        }
    }
}
