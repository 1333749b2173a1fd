//! The YAML that configs are mostly written in, read straight into the tree: block mappings and lists, one-line
//! scalars, literal blocks, flow collections (JSON among them). Several times as fast as reading events, and without
//! the events' look-ahead, which keeps a whole flow collection in memory.
//!
//! Called by the parent module only, before `events`. Whatever lies outside (anchors, tags, folded text, scalars over
//! several lines, every error) gives `None`, and the document is read again from its events; a property test holds
//! both to the same tree.

use super::Library;
use crate::tree::{Kind, Span, Tree};

/// Deeper documents are left to the events.
const MAX_DEPTH: usize = 64;
/// YAML 1.2 §7.4.2: an implicit key has at most 1024 characters.
const MAX_KEY: usize = 1000;

/// Reads the first document of `text` into an empty tree; `None` leaves the tree in any state.
pub(super) fn read<'s>(text: &'s str, tree: &mut Tree<'s>, library: Library) -> Option<()> {
    if text.contains('\r')
        || !text.is_ascii() && text.contains(['\u{85}', '\u{2028}', '\u{2029}', '\u{feff}'])
    {
        return None;
    }
    let mut reader = Reader { text, tree, library, at: 0, column: END, last: 0 };
    let first = reader.token_line(0)?;
    if first.is_marker {
        let rest = reader.blank_rest(first.at + 3)?;
        if reader.token_line(rest)?.is_marker {
            return None;
        }
    }
    if reader.column == END {
        return None;
    }
    reader.block(0)?;
    (reader.column == END && !reader.tree.is_too_dense()).then_some(())
}

/// The column after the last token of the document.
const END: isize = -1;

struct Reader<'s, 't> {
    text: &'s str,
    tree: &'t mut Tree<'s>,
    library: Library,
    /// The token that is read next, and its column.
    at: usize,
    column: isize,
    /// Where the last scalar or flow collection ended.
    last: usize,
}

/// The next line that is neither blank nor a comment.
struct TokenLine {
    at: usize,
    is_marker: bool,
}

fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}

/// What may begin a plain scalar without a second look.
fn begins_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || byte >= 0x80
        || matches!(byte, b'/' | b'.' | b'_' | b'+' | b'~' | b'$' | b'=')
}

impl<'s> Reader<'s, '_> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn ends_word(&self, at: usize) -> bool {
        matches!(self.byte(at), None | Some(b' ' | b'\n'))
    }

    fn skip_blanks(&self, from: usize) -> usize {
        let rest = self.text.as_bytes().get(from..).unwrap_or_default();
        from + rest.iter().position(|byte| *byte != b' ').unwrap_or(rest.len())
    }

    /// The end of the line `from` lies in, and the text up to there.
    fn line(&self, from: usize) -> (usize, &'s str) {
        let rest = self.text.get(from..).unwrap_or_default();
        let end = rest.find('\n').unwrap_or(rest.len());
        (from + end, rest.get(..end).unwrap_or_default())
    }

    /// Moves to the next token at or after the start of a line.
    fn token_line(&mut self, mut from: usize) -> Option<TokenLine> {
        loop {
            let at = self.skip_blanks(from);
            match self.byte(at) {
                None => {
                    self.column = END;
                    return Some(TokenLine { at, is_marker: false });
                }
                Some(b'\n') => from = at + 1,
                Some(b'#') => from = self.line(at).0 + 1,
                Some(b'\t') => return None,
                Some(first) => {
                    (self.at, self.column) = (at, (at - from) as isize);
                    let is_marker = at == from && first == b'-' && self.is_marker(at);
                    if is_marker {
                        self.column = END;
                    } else if at == from && (first == b'%' || first == b'.') {
                        return None; // a directive or the end of the document
                    }
                    return Some(TokenLine { at, is_marker });
                }
            }
        }
    }

    /// Moves on from the end of a line.
    fn next_line(&mut self, end: usize) -> Option<()> {
        self.token_line(end + 1).map(|_| ())
    }

    fn is_marker(&self, at: usize) -> bool {
        self.text.get(at..at + 3) == Some("---") && self.ends_word(at + 3)
    }

    /// Whether the next token is the `-` of a list.
    fn is_entry(&self) -> bool {
        self.column != END && self.byte(self.at) == Some(b'-') && self.ends_word(self.at + 1)
    }

    /// The end of the line, if nothing but a comment stands before it.
    fn blank_rest(&self, from: usize) -> Option<usize> {
        let at = self.skip_blanks(from);
        match self.byte(at) {
            None | Some(b'\n') => Some(at),
            Some(b'#') if at > from => Some(self.line(at).0),
            _ => None,
        }
    }

    /// The mapping or list that begins at the next token.
    fn block(&mut self, depth: usize) -> Option<()> {
        let column = self.column;
        if depth == 0 && matches!(self.byte(self.at), Some(b'[' | b'{')) {
            return self.inline(self.at, END, depth);
        }
        if self.is_entry() {
            return self.list(column, false, depth);
        }
        let colon = self.key(self.at)?;
        self.mapping(column, colon, depth)
    }

    /// The colon of the plain key that begins at `from`.
    fn key(&self, from: usize) -> Option<usize> {
        let rest = self.text.as_bytes().get(from..)?;
        let length = rest.iter().take(MAX_KEY).position(|byte| {
            !(byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b'-' | b'.' | b'/' | b'<')
                || *byte >= 0x80)
        })?;
        let begins = rest.first().is_some_and(|byte| begins_plain(*byte) || *byte == b'<');
        (begins && rest.get(length) == Some(&b':') && self.ends_word(from + length + 1))
            .then_some(from + length)
    }

    /// A mapping whose first key ends at `colon`.
    fn mapping(&mut self, column: isize, mut colon: usize, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let index = self.tree.open(Kind::Object, self.at as u32);
        loop {
            self.tree.push_whole(Kind::Plain, span(self.at, colon));
            self.last = colon;
            match self.blank_rest(colon + 1) {
                Some(end) => {
                    self.next_line(end)?;
                    if self.column > column {
                        self.block(depth + 1)?;
                    } else if self.column == column && self.is_entry() {
                        self.list(column, true, depth + 1)?;
                    } else {
                        self.null(colon);
                    }
                }
                None => self.inline(self.skip_blanks(colon + 1), column, depth)?,
            }
            if self.column != column {
                break;
            }
            colon = self.key(self.at)?;
        }
        self.end(index, column)
    }

    /// A list in block style; an `indentless` one stands at the column of its key.
    fn list(&mut self, column: isize, indentless: bool, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let index = self.tree.open(Kind::Array, self.at as u32);
        while self.column == column && self.is_entry() {
            let dash = self.at;
            if let Some(end) = self.blank_rest(dash + 1) {
                self.next_line(end)?;
                if self.column > column {
                    self.block(depth + 1)?;
                } else {
                    self.null(end);
                }
                continue;
            }
            self.at = self.skip_blanks(dash + 1);
            let inner = column + (self.at - dash) as isize;
            if self.is_entry() {
                self.column = inner;
                self.list(inner, false, depth + 1)?;
            } else if let Some(colon) = self.key(self.at) {
                self.mapping(inner, colon, depth + 1)?;
            } else {
                self.inline(self.at, column, depth)?;
            }
        }
        if self.column == column && !indentless {
            return None;
        }
        self.end(index, column)
    }

    /// Ends a collection before the next token, which must not be deeper.
    fn end(&mut self, index: u32, column: isize) -> Option<()> {
        self.tree.close(index, self.last as u32);
        (self.column <= column && !self.tree.is_too_dense()).then_some(())
    }

    fn null(&mut self, at: usize) {
        self.tree.push_whole(Kind::Plain, span(at, at));
        self.last = at;
    }

    /// A value that begins on the line of its key or dash.
    fn inline(&mut self, at: usize, column: isize, depth: usize) -> Option<()> {
        match self.byte(at)? {
            b'|' => return self.literal(at, column),
            b'"' | b'\'' | b'[' | b'{' => {
                let end = self.flow(at, depth)?;
                let end = self.blank_rest(end)?;
                self.next_line(end)?;
            }
            first if begins_plain(first) || first == b'-' && !self.ends_word(at + 1) => {
                let (line_end, line) = self.line(at);
                let text = line.find(" #").and_then(|comment| line.get(..comment)).unwrap_or(line);
                let text = text.trim_end_matches(' ');
                let colon = text.bytes().enumerate().any(|(place, byte)| {
                    byte == b'\t'
                        || byte == b':' && matches!(text.as_bytes().get(place + 1), None | Some(b' '))
                });
                if colon {
                    return None;
                }
                self.tree.push_whole(Kind::Plain, span(at, at + text.len()));
                self.last = at + text.len();
                self.next_line(line_end)?;
            }
            _ => return None,
        }
        // A deeper line would go on with the scalar.
        (self.column <= column).then_some(())
    }

    /// A literal block (YAML 1.2 §8.1.2), its indentation found by its first line.
    fn literal(&mut self, header: usize, column: isize) -> Option<()> {
        let (keep, strip) = (self.byte(header + 1) == Some(b'+'), self.byte(header + 1) == Some(b'-'));
        let end = self.blank_rest(header + 1 + usize::from(keep || strip))?;
        let (mut line, mut breaks, mut widest) = (end + 1, 0, 0);
        let indent = loop {
            let at = self.skip_blanks(line);
            match self.byte(at)? {
                b'\n' => (line, breaks, widest) = (at + 1, breaks + 1, widest.max(at - line)),
                b'\t' if at == line => return None,
                _ => break at - line,
            }
        };
        if (indent as isize) <= column || widest > indent {
            return None;
        }
        let (text, mut last) = (self.text, line);
        let index = self.tree.push_pool(Kind::String, span(header, header), |pool| {
            while let Some(rest) = text.get(line..).filter(|rest| !rest.is_empty()) {
                let blanks = rest.bytes().take(indent).take_while(|byte| *byte == b' ').count();
                match rest.as_bytes().get(blanks) {
                    Some(b'\n') => (line, breaks) = (line + blanks + 1, breaks + 1),
                    Some(_) if blanks == indent => {
                        (0..breaks).for_each(|_| pool.push('\n'));
                        let content = rest.get(blanks..).unwrap_or_default();
                        let length = content.find('\n').unwrap_or(content.len());
                        pool.push_str(content.get(..length).unwrap_or_default());
                        last = line + blanks + length;
                        breaks = usize::from(length < content.len());
                        line = last + breaks;
                    }
                    Some(_) => break,
                    None => line += blanks, // blanks before the end of the text
                }
            }
            let kept = if strip {
                0
            } else if keep {
                breaks
            } else {
                breaks.min(1)
            };
            (0..kept).for_each(|_| pool.push('\n'));
        });
        let content = self.text.get(header..last).unwrap_or_default().trim_end();
        self.last = header + content.len();
        self.tree.close(index, self.last as u32);
        self.token_line(line)?;
        (self.column <= column).then_some(())
    }

    /// A quoted scalar or a flow collection; where it ends.
    fn flow(&mut self, at: usize, depth: usize) -> Option<usize> {
        let end = match self.byte(at)? {
            b'\'' => self.single_quoted(at)?,
            b'"' => self.double_quoted(at)?,
            b'[' => self.flow_list(at, depth + 1)?,
            b'{' => self.flow_mapping(at, depth + 1)?,
            _ => self.flow_plain(at)?,
        };
        self.last = end;
        Some(end)
    }

    /// The next token of a flow collection. As in Go's libraries it may stand at any column.
    fn flow_token(&self, from: usize) -> Option<usize> {
        let (mut at, mut line) = (from, None);
        loop {
            match self.byte(at)? {
                b' ' | b'\t' => at += 1,
                b'\n' => (at, line) = (at + 1, Some(at + 1)),
                b'#' if at == from => return None,
                b'#' => at = self.line(at).0,
                // Markers of documents, and what may be one
                b'-' | b'.' | b'%' if line == Some(at) => return None,
                _ => return Some(at),
            }
        }
    }

    fn single_quoted(&mut self, start: usize) -> Option<usize> {
        let rest = self.text.get(start + 1..)?;
        let (mut length, mut doubled) = (0, false);
        loop {
            length += rest.get(length..)?.find(['\'', '\n'])?;
            match rest.as_bytes().get(length..length + 2) {
                Some(b"''") => (length, doubled) = (length + 2, true),
                _ => break,
            }
        }
        if rest.as_bytes().get(length) == Some(&b'\n') {
            return None;
        }
        let (end, inside) = (start + length + 2, rest.get(..length)?);
        if doubled {
            self.tree
                .push_pool(Kind::String, span(start, end), |pool| pool.push_str(&inside.replace("''", "'")));
        } else {
            self.tree.push_quoted(span(start, end));
        }
        Some(end)
    }

    fn double_quoted(&mut self, start: usize) -> Option<usize> {
        let rest = self.text.as_bytes().get(start + 1..)?;
        let (mut length, mut escaped) = (0, false);
        loop {
            match rest.get(length)? {
                b'"' => break,
                b'\n' => return None,
                b'\\' => {
                    let (_, code) = unescape(self.text.get(start + 1 + length + 1..)?)?;
                    (length, escaped) = (length + 1 + code, true);
                }
                _ => length += 1,
            }
        }
        let (end, inside) = (start + length + 2, self.text.get(start + 1..start + 1 + length)?);
        if escaped {
            self.tree.push_pool(Kind::String, span(start, end), |pool| {
                let mut rest = inside;
                while let Some((plain, escape)) = rest.split_once('\\') {
                    pool.push_str(plain);
                    let (c, code) = unescape(escape).unwrap_or((char::REPLACEMENT_CHARACTER, 1));
                    pool.push(c);
                    rest = escape.get(code..).unwrap_or_default();
                }
                pool.push_str(rest);
            });
        } else {
            self.tree.push_quoted(span(start, end));
        }
        Some(end)
    }

    /// A plain scalar inside a flow collection.
    fn flow_plain(&mut self, start: usize) -> Option<usize> {
        let rest = self.text.as_bytes().get(start..)?;
        let begins = rest.first().is_some_and(|byte| begins_plain(*byte))
            || matches!(rest, [b'-', next, ..] if next.is_ascii_alphanumeric());
        let length = rest.iter().enumerate().position(|(place, byte)| match byte {
            b':' => {
                self.library != Library::V3
                    || !rest.get(place + 1).is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'/')
            }
            b'?' => true,
            b',' | b'[' | b']' | b'{' | b'}' | b'\n' | b'\t' | b'#' | b'"' | b'\'' => true,
            _ => false,
        })?;
        let text = self.text.get(start..start + length)?.trim_end_matches(' ');
        self.tree.push_whole(Kind::Plain, span(start, start + text.len()));
        begins.then_some(start + text.len())
    }

    fn flow_list(&mut self, start: usize, depth: usize) -> Option<usize> {
        let index = self.open_flow(Kind::Array, start, depth)?;
        let mut at = self.flow_token(start + 1)?;
        while self.byte(at)? != b']' {
            let end = self.flow(at, depth)?;
            at = self.after_entry(end, b']')?;
        }
        self.tree.close(index, at as u32 + 1);
        Some(at + 1)
    }

    fn flow_mapping(&mut self, start: usize, depth: usize) -> Option<usize> {
        let index = self.open_flow(Kind::Object, start, depth)?;
        let mut at = self.flow_token(start + 1)?;
        while self.byte(at)? != b'}' {
            let first = self.byte(at)?;
            if matches!(first, b'[' | b'{') {
                return None;
            }
            let end = self.flow(at, depth)?;
            let colon = self.skip_blanks(end);
            // Behind a quoted key the value may follow at once, as in JSON (YAML 1.2 §7.4.2).
            let apart = matches!(first, b'"' | b'\'') || self.ends_word(colon + 1);
            if end - at > MAX_KEY || self.byte(colon) != Some(b':') || !apart {
                return None;
            }
            let end = self.flow(self.flow_token(colon + 1)?, depth)?;
            at = self.after_entry(end, b'}')?;
        }
        self.tree.close(index, at as u32 + 1);
        Some(at + 1)
    }

    /// From the end of an entry to the next one, or to the bracket that closes the collection.
    fn after_entry(&self, end: usize, bracket: u8) -> Option<usize> {
        let at = self.flow_token(end)?;
        match self.byte(at)? {
            b',' => self.flow_token(at + 1),
            found if found == bracket => Some(at),
            _ => None,
        }
    }

    fn open_flow(&mut self, kind: Kind, start: usize, depth: usize) -> Option<u32> {
        let fits = depth <= MAX_DEPTH && !self.tree.is_too_dense();
        fits.then(|| self.tree.open(kind, start as u32))
    }
}

/// The character an escape stands for and the length of its code (YAML 1.2 §5.7, those that JSON has).
fn unescape(code: &str) -> Option<(char, usize)> {
    let c = match code.as_bytes().first()? {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'u' => {
            let digits =
                code.get(1..5).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
            return Some((char::from_u32(u32::from_str_radix(digits, 16).ok()?)?, 5));
        }
        _ => return None,
    };
    Some((c, 1))
}
