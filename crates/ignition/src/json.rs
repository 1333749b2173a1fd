//! JSON as Go's `encoding/json` reads it, into a [`Tree`].
//!
//! RFC 8259 with Go's habits: invalid UTF-8 and lone surrogates become U+FFFD, a byte order mark and anything
//! after the document are errors, nesting ends at 10,000. Duplicate names are kept; decoding decides.

use std::borrow::Cow;

use crate::report::Path;
use crate::tree::{Kind, MAX_SOURCE, Span, Tree};

/// Go's `maxNestingDepth`.
const MAX_DEPTH: usize = 10_000;

/// Why octets are no JSON document, and where.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SyntaxError {
    /// The document ends where more was needed.
    UnexpectedEnd,
    /// A character that cannot stand there; the second field says what was being read.
    UnexpectedCharacter(char, &'static str, u32),
    /// More than 10,000 levels of nesting.
    TooDeep(u32),
    /// More than 2 GiB.
    TooLong,
    /// Mostly brackets and commas: reading it would take many times its size.
    TooDense(u32),
}

/// A syntax error and what was being read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Broken {
    /// The error.
    pub error: SyntaxError,
    /// The value that was being read.
    pub path: Path,
}

impl SyntaxError {
    /// The octet the error is at, if it is not the end of the document.
    pub fn offset(self) -> Option<u32> {
        match self {
            Self::UnexpectedCharacter(_, _, at) | Self::TooDeep(at) | Self::TooDense(at) => Some(at),
            Self::UnexpectedEnd | Self::TooLong => None,
        }
    }
}

impl std::fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnexpectedEnd => f.write_str("unexpected end of JSON input"),
            Self::UnexpectedCharacter(found, reading, _) => {
                write!(f, "invalid character {found:?} {reading}")
            }
            Self::TooDeep(_) => f.write_str("jsontext: exceeded max depth"),
            Self::TooDense(_) => f.write_str("jsontext: the document is mostly brackets and commas"),
            Self::TooLong => f.write_str("jsontext: document longer than 2 GiB"),
        }
    }
}

impl std::error::Error for SyntaxError {}

/// Octets as text: what is no UTF-8 becomes U+FFFD, one per octet, as in Go.
pub(crate) fn text(source: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(source) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let broken: usize = source.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
            let mut text = String::with_capacity(source.len() + 2 * broken);
            for chunk in source.utf8_chunks() {
                text.push_str(chunk.valid());
                chunk.invalid().iter().for_each(|_| text.push(char::REPLACEMENT_CHARACTER));
            }
            Cow::Owned(text)
        }
    }
}

/// Reads one document.
///
/// # Errors
/// The first place where the octets stop being JSON.
pub fn parse(source: &[u8]) -> Result<Tree<'_>, SyntaxError> {
    parse_text(text(source)).map_err(|broken| broken.error)
}

pub(crate) fn parse_text(source: Cow<'_, str>) -> Result<Tree<'_>, Broken> {
    if source.len() > MAX_SOURCE {
        return Err(Broken { error: SyntaxError::TooLong, path: Path::root() });
    }
    // The reader borrows the text; the tree gets it back once it is done.
    let mut tree = Tree::new(Cow::Borrowed(""));
    tree.reserve(source.len());
    let mut open = Vec::new();
    match (Reader { text: &source, at: 0 }).document(&mut tree, &mut open) {
        Ok(()) => {
            tree.set_source(source);
            tree.finish();
            Ok(tree)
        }
        Err(error) => {
            tree.set_source(source);
            Err(Broken { error, path: tree.open_path(open.iter().map(|(node, _)| *node)) })
        }
    }
}

struct Reader<'s> {
    text: &'s str,
    at: usize,
}

impl Reader<'_> {
    /// Reads everything; `open` are the containers around the place it stops at.
    fn document(&mut self, tree: &mut Tree<'_>, open: &mut Vec<(u32, bool)>) -> Result<(), SyntaxError> {
        'value: loop {
            if tree.is_too_dense() {
                return Err(SyntaxError::TooDense(self.at as u32));
            }
            let start = self.at_token();
            match self.byte() {
                Some(b'{') => {
                    self.at += 1;
                    open.push((tree.open(Kind::Object, start), true));
                    self.depth(open.len())?;
                    self.at_token();
                    if self.byte() != Some(b'}') {
                        self.key(tree)?;
                        continue 'value;
                    }
                }
                Some(b'[') => {
                    self.at += 1;
                    open.push((tree.open(Kind::Array, start), false));
                    self.depth(open.len())?;
                    self.at_token();
                    if self.byte() != Some(b']') {
                        continue 'value;
                    }
                }
                Some(b'"') => self.string(tree)?,
                Some(b'-' | b'0'..=b'9') => {
                    self.number()?;
                    tree.push_whole(Kind::Number, Span { start, end: self.at as u32 });
                }
                Some(b't') => self.word("true", "in literal true", Kind::Bool, tree)?,
                Some(b'f') => self.word("false", "in literal false", Kind::Bool, tree)?,
                Some(b'n') => self.word("null", "in literal null", Kind::Null, tree)?,
                _ => return Err(self.unexpected("looking for beginning of value")),
            }
            loop {
                self.at_token();
                match (open.last().copied(), self.byte()) {
                    (None, None) if tree.is_too_dense() => return Err(SyntaxError::TooDense(self.at as u32)),
                    (None, None) => return Ok(()),
                    (None, Some(_)) => return Err(self.unexpected("after top-level value")),
                    (Some((_, true)), Some(b',')) => {
                        self.at += 1;
                        self.at_token();
                        self.key(tree)?;
                        continue 'value;
                    }
                    (Some((_, false)), Some(b',')) => {
                        self.at += 1;
                        continue 'value;
                    }
                    (Some((node, true)), Some(b'}')) | (Some((node, false)), Some(b']')) => {
                        self.at += 1;
                        tree.close(node, self.at as u32);
                        open.pop();
                    }
                    (Some((_, true)), _) => return Err(self.unexpected("after object key:value pair")),
                    (Some((_, false)), _) => return Err(self.unexpected("after array element")),
                }
            }
        }
    }

    fn depth(&self, depth: usize) -> Result<(), SyntaxError> {
        if depth > MAX_DEPTH { Err(SyntaxError::TooDeep(self.at as u32)) } else { Ok(()) }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Skips white space and says where the next token starts.
    fn at_token(&mut self) -> u32 {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.at += 1;
        }
        self.at as u32
    }

    fn unexpected(&self, reading: &'static str) -> SyntaxError {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => SyntaxError::UnexpectedCharacter(found, reading, self.at as u32),
            None => SyntaxError::UnexpectedEnd,
        }
    }

    fn key(&mut self, tree: &mut Tree<'_>) -> Result<(), SyntaxError> {
        if self.byte() != Some(b'"') {
            return Err(self.unexpected("looking for beginning of object key string"));
        }
        self.string(tree)?;
        self.at_token();
        if self.byte() != Some(b':') {
            return Err(self.unexpected("after object key"));
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self, tree: &mut Tree<'_>) -> Result<(), SyntaxError> {
        let start = self.at;
        self.at += 1;
        let mut escaped = false;
        loop {
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 1;
                    match self.byte() {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
                        Some(b'u') => {
                            self.at += 1;
                            for _ in 0..4 {
                                match self.byte() {
                                    Some(digit) if digit.is_ascii_hexdigit() => self.at += 1,
                                    _ => return Err(self.unexpected("in \\u hexadecimal character escape")),
                                }
                            }
                        }
                        _ => return Err(self.unexpected("in string escape code")),
                    }
                }
                Some(0..0x20) | None => return Err(self.unexpected("in string literal")),
                Some(_) => self.at += 1,
            }
        }
        let inside = Span { start: start as u32 + 1, end: self.at as u32 };
        self.at += 1;
        let span = Span { start: start as u32, end: self.at as u32 };
        if escaped {
            let raw = self.text.get(inside.start as usize..inside.end as usize).unwrap_or_default();
            tree.push_pool(Kind::String, span, |pool| unescape(raw, pool));
        } else {
            tree.push_quoted(span);
        }
        Ok(())
    }

    fn digits(&mut self, reading: &'static str) -> Result<(), SyntaxError> {
        if !self.byte().is_some_and(|digit| digit.is_ascii_digit()) {
            return Err(self.unexpected(reading));
        }
        while self.byte().is_some_and(|digit| digit.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), SyntaxError> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn word(
        &mut self,
        word: &str,
        reading: &'static str,
        kind: Kind,
        tree: &mut Tree<'_>,
    ) -> Result<(), SyntaxError> {
        let start = self.at as u32;
        for expected in word.bytes() {
            if self.byte() != Some(expected) {
                return Err(self.unexpected(reading));
            }
            self.at += 1;
        }
        tree.push_whole(kind, Span { start, end: self.at as u32 });
        Ok(())
    }
}

/// Appends the text of a JSON string whose escapes were checked.
fn unescape(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let (code, tail) = escape.split_at_checked(1).unwrap_or((escape, ""));
        rest = tail;
        match code {
            "b" => out.push('\u{8}'),
            "f" => out.push('\u{c}'),
            "n" => out.push('\n'),
            "r" => out.push('\r'),
            "t" => out.push('\t'),
            "u" => {
                let (first, tail) = hex4(rest);
                rest = tail;
                let low =
                    rest.strip_prefix("\\u").map(hex4).filter(|(low, _)| (0xDC00..0xE000).contains(low));
                match (first, low) {
                    (0xD800..0xDC00, Some((low, tail))) => {
                        rest = tail;
                        let code = 0x1_0000 + ((first - 0xD800) << 10) + (low - 0xDC00);
                        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    _ => out.push(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER)),
                }
            }
            other => out.push_str(other),
        }
    }
    out.push_str(rest);
}

fn hex4(text: &str) -> (u32, &str) {
    let (digits, rest) = text.split_at_checked(4).unwrap_or((text, ""));
    (u32::from_str_radix(digits, 16).unwrap_or(0xFFFD), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_places() {
        // RFC 8259 §7; Go: lone surrogates become U+FFFD
        let source = br#" {"a": "x\u00e9\ud83d\ude00\ud800y", "b":[1, -2.5e3, true, null]}"#;
        let tree = parse(source).unwrap();
        let root = tree.root().unwrap();
        assert_eq!(root.get("a").unwrap().text(), "x\u{e9}\u{1f600}\u{fffd}y");
        let list: Vec<_> = root.get("b").unwrap().items().map(|item| (item.kind(), item.text())).collect();
        let expected =
            [(Kind::Number, "1"), (Kind::Number, "-2.5e3"), (Kind::Bool, "true"), (Kind::Null, "null")];
        assert_eq!(list, expected);
        assert_eq!(root.span(), Span { start: 1, end: source.len() as u32 });
    }

    #[test]
    fn refuses_what_go_refuses() {
        // RFC 8259 §2; messages in the words of Go's scanner
        for (source, message) in [
            ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("\u{feff}{}", "invalid character '\\u{feff}' looking for beginning of value"),
            ("\"a\nb\"", "invalid character '\\n' in string literal"),
            ("{\"a\"", "unexpected end of JSON input"),
            ("01", "invalid character '1' after top-level value"),
            ("nul", "unexpected end of JSON input"),
        ] {
            assert_eq!(parse(source.as_bytes()).unwrap_err().to_string(), message, "{source}");
        }
        assert!(matches!(parse("[".repeat(20_000).as_bytes()), Err(SyntaxError::TooDeep(_))));
    }
}
