//! JSON as Go's `encoding/json` reads it, with a place for every value. Duplicates are kept (they merge later), keys
//! compare without regard to case, invalid UTF-8 becomes U+FFFD. `group.rs` and `profile.rs` decode from here.

/// Deepest nesting accepted (Go stops at 10,000; nobody's data comes near either).
pub(crate) const MAX_DEPTH: u32 = 400;

/// Where and why a text is not JSON, or not of the wanted shape.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct JsonError {
    /// Line, counted from 1.
    pub line: u32,
    /// Column in octets, counted from 1.
    pub column: u32,
    /// What is wrong there.
    pub message: &'static str,
}

/// A value and the offset of its first octet.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: usize,
    pub(crate) value: Json,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(f64),
    String(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    /// As serde_json's value: the last of duplicate keys counts, every number is a float.
    pub(crate) fn into_value(self) -> serde_json::Value {
        match self.value {
            Json::Null => serde_json::Value::Null,
            Json::Bool(flag) => flag.into(),
            Json::Number(number) => number.into(),
            Json::String(text) => text.into(),
            Json::List(items) => items.into_iter().map(Node::into_value).collect(),
            Json::Object(pairs) => {
                serde_json::Value::Object(pairs.into_iter().map(|(k, v)| (k, v.into_value())).collect())
            }
        }
    }
}

/// Reads one whole text.
pub(crate) fn parse(text: &[u8]) -> Result<Node, JsonError> {
    Reader { text, at: 0, lenient: false, depth: 0 }.document()
}

/// Reads a text whose commas may be wrong, to learn which machines a broken group was meant for.
pub(crate) fn parse_lenient(text: &[u8]) -> Result<Node, JsonError> {
    Reader { text, at: 0, lenient: true, depth: 0 }.document()
}

/// The line and column of an offset.
pub(crate) fn place(text: &[u8], at: usize) -> (u32, u32) {
    let before = text.get(..at.min(text.len())).unwrap_or_default();
    let line = before.iter().filter(|&&octet| octet == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|&&octet| octet != b'\n').count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// An error at an offset.
pub(crate) fn error_at(text: &[u8], at: usize, message: &'static str) -> JsonError {
    let (line, column) = place(text, at);
    JsonError { line, column, message }
}

/// Whether Go takes `key` for the field `name` (which is lower-case ASCII): equal under simple case folding.
pub(crate) fn is_key(key: &str, name: &str) -> bool {
    key.chars()
        .map(|c| match c {
            'ſ' => 's',
            '\u{212A}' => 'k',
            other => other.to_ascii_lowercase(),
        })
        .eq(name.chars())
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    lenient: bool,
    depth: u32,
}

impl Reader<'_> {
    fn document(mut self) -> Result<Node, JsonError> {
        let node = self.value()?;
        self.space();
        if self.at < self.text.len() {
            return Err(self.error("text after the end of the object: remove it"));
        }
        Ok(node)
    }

    fn error(&self, message: &'static str) -> JsonError {
        error_at(self.text, self.at, message)
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<Node, JsonError> {
        self.space();
        let at = self.at;
        let value = match self.peek() {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::list)?,
            Some(b'"') => Json::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => Json::Number(self.number()?),
            Some(b't') => self.word("true", Json::Bool(true))?,
            Some(b'f') => self.word("false", Json::Bool(false))?,
            Some(b'n') => self.word("null", Json::Null)?,
            Some(0xef) if at == 0 => return Err(self.error("a byte order mark: save the file without it")),
            Some(_) => return Err(self.error("a value was expected here")),
            None => return Err(self.error("the text ends too early: a bracket or value is missing")),
        };
        Ok(Node { at, value })
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Json, JsonError>) -> Result<Json, JsonError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    /// After an element: `true` if another follows. `open` is right after the bracket.
    fn more(&mut self, close: u8, open: bool) -> Result<bool, JsonError> {
        self.space();
        if self.lenient {
            while self.peek() == Some(b',') {
                self.at += 1;
                self.space();
            }
        }
        match self.peek() {
            Some(octet) if octet == close => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !open => {
                self.at += 1;
                self.space();
                if self.peek() == Some(close) {
                    self.at -= 1;
                    return Err(self.error("a comma before the closing bracket: remove it"));
                }
                Ok(true)
            }
            Some(_) if open || self.lenient => Ok(true),
            Some(_) => Err(self.error("a comma or the closing bracket is missing before this")),
            None => Err(self.error("the text ends too early: a bracket or value is missing")),
        }
    }

    fn object(&mut self) -> Result<Json, JsonError> {
        let mut pairs = Vec::new();
        while self.more(b'}', pairs.is_empty())? {
            if self.peek() != Some(b'"') {
                return Err(self.error("a key in double quotes was expected here"));
            }
            let key = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.error("a colon is missing after the key"));
            }
            self.at += 1;
            pairs.push((key, self.value()?));
        }
        Ok(Json::Object(pairs))
    }

    fn list(&mut self) -> Result<Json, JsonError> {
        let mut items = Vec::new();
        while self.more(b']', items.is_empty())? {
            items.push(self.value()?);
        }
        Ok(Json::List(items))
    }

    fn word(&mut self, word: &'static str, value: Json) -> Result<Json, JsonError> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            return Err(self.error("a value was expected here: words need double quotes"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<f64, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => _ = self.digits(),
            _ => return Err(self.error("a digit was expected here")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.error("a digit was expected here"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.error("a digit was expected here"));
            }
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        let number: f64 = std::str::from_utf8(text).unwrap_or_default().parse().unwrap_or(f64::INFINITY);
        if number.is_infinite() {
            return Err(error_at(self.text, start, "a number beyond what a 64-bit float holds"));
        }
        Ok(number)
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let start = self.at;
            while self.peek().is_some_and(|octet| octet >= 0x20 && octet != b'"' && octet != b'\\') {
                self.at += 1;
            }
            push_lossy(&mut out, self.text.get(start..self.at).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => {
                    return Err(self.error("a line break or control character inside a string: write \\n"));
                }
                None => return Err(self.error("the closing quote of a string is missing")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        self.at += 1;
        let plain = match self.peek() {
            Some(octet @ (b'"' | b'\\' | b'/')) => char::from(octet),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                let first =
                    self.hex4(self.at).ok_or_else(|| self.error("four hex digits are needed after \\u"))?;
                self.at += 4;
                return Ok(self.surrogate(first));
            }
            _ => return Err(self.error("no such escape in JSON")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// The second half of a pair, or U+FFFD for half a pair, as Go has it.
    fn surrogate(&mut self, first: u32) -> char {
        if let Some(c) = char::from_u32(first) {
            return c;
        }
        if first < 0xdc00
            && self.text.get(self.at..self.at + 2) == Some(b"\\u")
            && let Some(second @ 0xdc00..=0xdfff) = self.hex4(self.at + 2)
        {
            self.at += 6;
            return char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
                .unwrap_or('\u{fffd}');
        }
        '\u{fffd}'
    }

    fn hex4(&self, at: usize) -> Option<u32> {
        self.text
            .get(at..at + 4)?
            .iter()
            .try_fold(0, |sum, &octet| Some(sum * 16 + char::from(octet).to_digit(16)?))
    }
}

/// Appends text, one U+FFFD for each octet that is no UTF-8 (Go counts octets, Rust's `lossy` sequences).
fn push_lossy(out: &mut String, mut text: &[u8]) {
    loop {
        match std::str::from_utf8(text) {
            Ok(good) => return out.push_str(good),
            Err(error) => {
                let (good, bad) = text.split_at(error.valid_up_to());
                out.push_str(std::str::from_utf8(good).unwrap_or_default());
                out.push('\u{fffd}');
                text = bad.get(1..).unwrap_or_default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> serde_json::Value {
        parse(text.as_bytes()).unwrap().into_value()
    }

    #[test]
    fn reads_what_go_reads() {
        assert_eq!(value(r#" {"a":[1,-2.5e3,true,null,"x\u00e9\n"],"a":2} "#), serde_json::json!({"a": 2.0}));
        assert_eq!(value(r#""\ud83d\ude00 \ud83d \u212a""#), serde_json::json!("😀 \u{fffd} \u{212a}"));
        assert_eq!(
            parse(b"\"a\xc3(\xff\xfe\"").unwrap().into_value(),
            serde_json::json!("a\u{fffd}(\u{fffd}\u{fffd}")
        );
    }

    #[test]
    fn names_the_place() {
        let fail = |text: &str| parse(text.as_bytes()).map(|_| ()).unwrap_err();
        assert_eq!(fail("{\"a\":1,\n \"b\":2,\n}").line, 2);
        assert_eq!(
            fail("{} x"),
            JsonError { line: 1, column: 4, message: "text after the end of the object: remove it" }
        );
        for bad in
            ["", "{", "[1,]", "{\"a\" 1}", "01", "1.", "\"\n\"", "\"\\x\"", "nul", "\u{feff}{}", "1e999"]
        {
            fail(bad);
        }
        fail(&"[".repeat(100_000));
    }

    #[test]
    fn the_lenient_reading_forgives_commas_only() {
        let read = |text: &str| parse_lenient(text.as_bytes()).map(Node::into_value);
        assert_eq!(read("{\"a\":1,,\"b\":[1 2,],}").unwrap(), serde_json::json!({"a": 1.0, "b": [1.0, 2.0]}));
        assert!(read("{\"a\":").is_err());
    }

    #[test]
    fn keys_fold_as_in_go() {
        assert!(is_key("Generic_ID", "generic_id"));
        assert!(is_key("\u{212A}ernel", "kernel"));
        assert!(!is_key("genericId", "generic_id"));
    }
}
