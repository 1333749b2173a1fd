//! Cuts a template into tokens (text/template/parse, lex.go). Used by the parser only.

use crate::unicode::{decode, is_digit, is_letter};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Assign,
    Block,
    Bool,
    Break,
    Char,
    CharConstant,
    Complex,
    Continue,
    Declare,
    Define,
    Dot,
    Else,
    End,
    Eof,
    Error,
    Field,
    Identifier,
    If,
    LeftDelim,
    LeftParen,
    Nil,
    Number,
    Pipe,
    Range,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Template,
    Text,
    Variable,
    With,
}

/// A token: what it is and where it stands in the source. [`Lexer::error`] tells of a [`Kind::Error`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Clone, Copy)]
enum Mode {
    Text,
    Action,
    Done,
}

pub(crate) struct Lexer<'s> {
    source: &'s [u8],
    at: usize,
    mode: Mode,
    parens: usize,
    /// The keywords `break` and `continue` give way to functions of that name.
    break_is_function: bool,
    continue_is_function: bool,
    error: String,
}

const LEFT: &[u8] = b"{{";
const RIGHT: &[u8] = b"}}";

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || is_letter(c) || is_digit(c)
}

impl<'s> Lexer<'s> {
    pub(crate) fn new(source: &'s [u8], break_is_function: bool, continue_is_function: bool) -> Self {
        let (mode, error) = (Mode::Text, String::new());
        Self { source, at: 0, mode, parens: 0, break_is_function, continue_is_function, error }
    }

    /// What the last [`Kind::Error`] was about.
    pub(crate) fn error(&self) -> &str {
        &self.error
    }

    /// The bytes of a token.
    pub(crate) fn text(&self, token: Token) -> &'s [u8] {
        self.source.get(token.start..token.end).unwrap_or_default()
    }

    fn rest(&self) -> &'s [u8] {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        decode(self.rest()).map(|(c, _)| c)
    }

    fn next(&mut self) -> Option<char> {
        let (c, len) = decode(self.rest())?;
        self.at += len;
        Some(c)
    }

    fn emit(&self, kind: Kind, start: usize) -> Token {
        Token { kind, start, end: self.at }
    }

    fn fail(&mut self, start: usize, message: impl Into<String>) -> Token {
        self.mode = Mode::Done;
        self.error = message.into();
        Token { kind: Kind::Error, start, end: self.at }
    }

    /// The next token; [`Kind::Eof`] forever after the last.
    pub(crate) fn next_token(&mut self) -> Token {
        loop {
            let token = match self.mode {
                Mode::Text => self.text_token(),
                Mode::Action => Some(self.action_token()),
                Mode::Done => Some(self.emit(Kind::Eof, self.at)),
            };
            if let Some(token) = token {
                return token;
            }
        }
    }

    /// Text up to the next action; `None` when there was none and the mode has changed.
    fn text_token(&mut self) -> Option<Token> {
        let start = self.at;
        let rest = self.rest();
        let Some(len) = memchr::memmem::find(rest, LEFT) else {
            self.at = self.source.len();
            self.mode = Mode::Done;
            return (self.at > start).then(|| self.emit(Kind::Text, start));
        };
        let delim = start + len;
        let after = self.source.get(delim + LEFT.len()..).unwrap_or_default();
        let trim = matches!(after, [b'-', space, ..] if is_space(*space));
        let mut end = delim;
        if trim {
            let text = rest.get(..len).unwrap_or_default();
            end = start + text.iter().rposition(|&byte| !is_space(byte)).map_or(0, |last| last + 1);
        }
        if end > start {
            // The delimiter is left for the next call, which finds nothing to trim.
            self.at = delim;
            return Some(Token { kind: Kind::Text, start, end });
        }
        let marker = if trim { 2 } else { 0 };
        if after.get(marker..).is_some_and(|after| after.starts_with(b"/*")) {
            self.at = delim + LEFT.len() + marker;
            return self.comment();
        }
        self.at = delim + LEFT.len();
        let token = Token { kind: Kind::LeftDelim, start: delim, end: self.at };
        self.at += marker;
        self.mode = Mode::Action;
        self.parens = 0;
        Some(token)
    }

    fn comment(&mut self) -> Option<Token> {
        let start = self.at;
        let Some(len) = self.rest().get(2..).and_then(|rest| memchr::memmem::find(rest, b"*/")) else {
            self.at = self.source.len();
            return Some(self.fail(start, "unclosed comment"));
        };
        self.at += 2 + len + 2;
        match self.right_delim() {
            None => Some(self.fail(start, "comment ends before closing delimiter")),
            Some(trim) => {
                self.skip_right_delim(trim);
                None
            }
        }
    }

    /// Whether a closing delimiter stands here, and if so whether it trims.
    fn right_delim(&self) -> Option<bool> {
        match self.rest() {
            [space, b'-', rest @ ..] if is_space(*space) && rest.starts_with(RIGHT) => Some(true),
            rest if rest.starts_with(RIGHT) => Some(false),
            _ => None,
        }
    }

    fn skip_right_delim(&mut self, trim: bool) {
        self.at += RIGHT.len() + if trim { 2 } else { 0 };
        if trim {
            self.at += self.rest().iter().take_while(|&&byte| is_space(byte)).count();
        }
        self.mode = Mode::Text;
    }

    fn action_token(&mut self) -> Token {
        let start = self.at;
        if let Some(trim) = self.right_delim() {
            if self.parens > 0 {
                return self.fail(start, "unclosed left paren");
            }
            let from = start + if trim { 2 } else { 0 };
            self.skip_right_delim(trim);
            return Token { kind: Kind::RightDelim, start: from, end: from + RIGHT.len() };
        }
        let Some(c) = self.next() else {
            return self.fail(start, "unclosed action");
        };
        match c {
            ' ' | '\t' | '\r' | '\n' => {
                // A space before `-}}` belongs to the delimiter.
                while self.right_delim().is_none() && self.rest().first().is_some_and(|&byte| is_space(byte))
                {
                    self.at += 1;
                }
                self.emit(Kind::Space, start)
            }
            '=' => self.emit(Kind::Assign, start),
            ':' if self.next() == Some('=') => self.emit(Kind::Declare, start),
            ':' => self.fail(start, "expected :="),
            '|' => self.emit(Kind::Pipe, start),
            '"' => self.quoted(start, '"', Kind::String, "unterminated quoted string"),
            '\'' => self.quoted(start, '\'', Kind::CharConstant, "unterminated character constant"),
            '`' => match memchr::memchr(b'`', self.rest()) {
                Some(len) => {
                    self.at += len + 1;
                    self.emit(Kind::RawString, start)
                }
                None => self.fail(start, "unterminated raw quoted string"),
            },
            '$' => self.word(start, Kind::Variable, Kind::Variable),
            '.' if !self.rest().first().is_some_and(u8::is_ascii_digit) => {
                self.word(start, Kind::Field, Kind::Dot)
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.at = start;
                self.number()
            }
            '(' => {
                self.parens += 1;
                self.emit(Kind::LeftParen, start)
            }
            ')' if self.parens == 0 => self.fail(start, "unexpected right paren"),
            ')' => {
                self.parens -= 1;
                self.emit(Kind::RightParen, start)
            }
            _ if is_alphanumeric(c) => {
                self.at = start;
                self.identifier()
            }
            '!'..='~' => self.emit(Kind::Char, start),
            _ => self.fail(start, format!("unrecognized character in action: U+{:04X} {c:?}", u32::from(c))),
        }
    }

    /// A quoted string or character; its escapes are read by the parser.
    fn quoted(&mut self, start: usize, quote: char, kind: Kind, open: &str) -> Token {
        loop {
            match self.next() {
                Some('\\') if !matches!(self.peek(), None | Some('\n')) => {
                    self.next();
                }
                None | Some('\n' | '\\') => return self.fail(start, open),
                Some(c) if c == quote => return self.emit(kind, start),
                Some(_) => {}
            }
        }
    }

    /// A field or variable whose first character has been taken; `bare` when nothing follows.
    fn word(&mut self, start: usize, kind: Kind, bare: Kind) -> Token {
        if self.at_terminator() {
            return self.emit(bare, start);
        }
        while self.peek().is_some_and(is_alphanumeric) {
            self.next();
        }
        if self.at_terminator() { self.emit(kind, start) } else { self.bad_character(start) }
    }

    fn identifier(&mut self) -> Token {
        let start = self.at;
        while self.peek().is_some_and(is_alphanumeric) {
            self.next();
        }
        if !self.at_terminator() {
            return self.bad_character(start);
        }
        let kind = match self.source.get(start..self.at).unwrap_or_default() {
            b"block" => Kind::Block,
            b"break" if !self.break_is_function => Kind::Break,
            b"continue" if !self.continue_is_function => Kind::Continue,
            b"define" => Kind::Define,
            b"else" => Kind::Else,
            b"end" => Kind::End,
            b"if" => Kind::If,
            b"nil" => Kind::Nil,
            b"range" => Kind::Range,
            b"template" => Kind::Template,
            b"with" => Kind::With,
            b"true" | b"false" => Kind::Bool,
            _ => Kind::Identifier,
        };
        self.emit(kind, start)
    }

    fn bad_character(&mut self, start: usize) -> Token {
        let c = self.peek().unwrap_or(' ');
        self.fail(start, format!("bad character U+{:04X} {c:?}", u32::from(c)))
    }

    fn at_terminator(&self) -> bool {
        match self.rest() {
            [] => true,
            [byte, ..] if is_space(*byte) || matches!(byte, b'.' | b',' | b'|' | b':' | b')' | b'(') => true,
            rest => rest.starts_with(RIGHT),
        }
    }

    fn number(&mut self) -> Token {
        let start = self.at;
        let mut good = self.scan_number();
        let mut kind = Kind::Number;
        if good && matches!(self.rest().first(), Some(b'+' | b'-')) {
            kind = Kind::Complex;
            good = self.scan_number() && self.source.get(..self.at).is_some_and(|text| text.ends_with(b"i"));
        }
        if good {
            return self.emit(kind, start);
        }
        let text = String::from_utf8_lossy(self.source.get(start..self.at).unwrap_or_default());
        let message = format!("bad number syntax: {text:?}");
        self.fail(start, message)
    }

    fn accept(&mut self, set: &[u8]) -> bool {
        let hit = self.rest().first().is_some_and(|byte| set.contains(byte));
        self.at += usize::from(hit);
        hit
    }

    fn accept_run(&mut self, set: &[u8]) {
        while self.accept(set) {}
    }

    /// Takes what may be a number; the parser decides whether it is one.
    fn scan_number(&mut self) -> bool {
        const DECIMAL: &[u8] = b"0123456789_";
        const HEX: &[u8] = b"0123456789abcdefABCDEF_";
        self.accept(b"+-");
        let mut digits = DECIMAL;
        if self.accept(b"0") {
            if self.accept(b"xX") {
                digits = HEX;
            } else if self.accept(b"oO") {
                digits = b"01234567_";
            } else if self.accept(b"bB") {
                digits = b"01_";
            }
        }
        self.accept_run(digits);
        if self.accept(b".") {
            self.accept_run(digits);
        }
        if digits == DECIMAL && self.accept(b"eE") || digits == HEX && self.accept(b"pP") {
            self.accept(b"+-");
            self.accept_run(DECIMAL);
        }
        self.accept(b"i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.next();
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<(Kind, String)> {
        let mut lexer = Lexer::new(source.as_bytes(), false, false);
        let mut out = Vec::new();
        loop {
            let token = lexer.next_token();
            out.push((token.kind, String::from_utf8_lossy(lexer.text(token)).into_owned()));
            if matches!(token.kind, Kind::Eof | Kind::Error) {
                return out;
            }
        }
    }

    #[test]
    fn trim_markers_need_a_space() {
        let tokens = kinds("a \n{{- .x -}}\n b{{-3}}");
        let texts: Vec<_> = tokens.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["a", "{{", ".x", "}}", "b", "{{", "-3", "}}", ""]);
    }

    #[test]
    fn comments_vanish_and_broken_ones_do_not() {
        assert_eq!(kinds("a {{- /* c */ -}} b").len(), 3);
        assert_eq!(kinds("{{/* c */x}}").last().map(|(kind, _)| *kind), Some(Kind::Error));
        assert_eq!(kinds("{{/* c").last().map(|(kind, _)| *kind), Some(Kind::Error));
    }

    #[test]
    fn words_end_at_terminators() {
        assert_eq!(kinds("{{.a.b $x.y}}").len(), 8);
        for bad in [
            "{{.my-key}}",
            "{{$x+1}}",
            "{{a@}}",
            "{{.host @\u{2028}}}",
            "{{'a}}",
            "{{\"\\",
            "{{1a}}",
            "{{1+2}}",
            "{{(}}",
            "{{)",
        ] {
            assert_eq!(kinds(bad).last().map(|(kind, _)| *kind), Some(Kind::Error), "{bad}");
        }
    }
}
