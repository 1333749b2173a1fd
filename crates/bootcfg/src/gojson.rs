//! JSON as Go's `encoding/json` writes it: `<`, `>`, `&`, U+2028 and U+2029 escaped, floats in ECMAScript's form.

/// Writes an object's fields in the order given.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    pub(crate) fn field(&mut self, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        string(self.out, key);
        self.out.push(b':');
        value(self.out);
    }

    pub(crate) fn end(self) {
        self.out.push(b'}');
    }
}

/// A list of strings.
pub(crate) fn strings(out: &mut Vec<u8>, items: &[Box<str>]) {
    out.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        string(out, item);
    }
    out.push(b']');
}

/// A string with Go's escapes.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
            }
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Any value, the keys of maps sorted.
#[cfg(any(test, feature = "grpc"))]
pub(crate) fn value(out: &mut Vec<u8>, json: &serde_json::Value) {
    match json {
        serde_json::Value::Null => out.extend_from_slice(b"null"),
        serde_json::Value::Bool(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        serde_json::Value::Number(number) => {
            out.extend_from_slice(float(number.as_f64().unwrap_or_default()).as_bytes());
        }
        serde_json::Value::String(text) => string(out, text),
        serde_json::Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                value(out, item);
            }
            out.push(b']');
        }
        serde_json::Value::Object(map) => {
            let mut object = Object::new(out);
            for (key, item) in map {
                object.field(key, |out| value(out, item));
            }
            object.end();
        }
    }
}

/// Compact JSON spread over lines with tabs, as `MarshalIndent(v, "", "\t")` does.
#[cfg(feature = "grpc")]
pub(crate) fn indented(compact: &[u8]) -> Vec<u8> {
    let (mut out, mut depth, mut in_string, mut escaped) = (Vec::new(), 0, false, false);
    let line = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.resize(out.len() + depth, b'\t');
    };
    for (i, &octet) in compact.iter().enumerate() {
        if in_string {
            out.push(octet);
            in_string = escaped || octet != b'"';
            escaped = !escaped && octet == b'\\';
            continue;
        }
        let is_empty = matches!((octet, compact.get(i + 1)), (b'{', Some(b'}')) | (b'[', Some(b']')));
        match octet {
            b'{' | b'[' => {
                out.push(octet);
                depth += 1;
                if !is_empty {
                    line(&mut out, depth);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if !matches!(out.last(), Some(b'{' | b'[')) {
                    line(&mut out, depth);
                }
                out.push(octet);
            }
            b',' => {
                out.push(octet);
                line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            other => {
                in_string = other == b'"';
                out.push(other);
            }
        }
    }
    out
}

/// A float as Go marshals it: no exponent from 1e-6 up to 1e21.
#[cfg(any(test, feature = "grpc"))]
pub(crate) fn float(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        return match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
            _ => text,
        };
    }
    format!("{number}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn floats_and_strings_as_go_writes_them() {
        for (number, want) in [
            (1.0, "1"),
            (1.5, "1.5"),
            (1e21, "1e+21"),
            (1e20, "100000000000000000000"),
            (1e-7, "1e-7"),
            (-0.0, "-0"),
        ] {
            assert_eq!(super::float(number), want);
        }
        let mut out = Vec::new();
        super::value(&mut out, &serde_json::json!({"b": [true, null], "a": {"x": "<&>\u{2028}\u{1}é"}}));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"a":{"x":"\u003c\u0026\u003e\u2028\u0001é"},"b":[true,null]}"#
        );
    }
}
