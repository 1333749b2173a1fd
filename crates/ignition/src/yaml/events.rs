//! YAML in full, from the events of `saphyr-parser`; anchors, tags, the places and the first-document rule are ours.
//!
//! Called by the parent module only, for what `block` leaves alone.

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::{Library, NO_TOKEN, YamlError, error};
use crate::tree::{Kind, Span, Tag, Tree};

/// Deeper documents are refused, as `go-yaml` does.
const MAX_DEPTH: usize = 10_000;

/// More anchors than this are refused: the parser keeps a table of them.
const MAX_ANCHORS: usize = 10_000;

/// The parser keeps the tokens of a whole flow collection before it gives the first: about this many octets for each
/// bracket and comma.
const TOKENS: usize = 400;

/// Octets of such tokens allowed whatever the document's size; above it, four times the document.
const FREE_TOKENS: usize = 512 << 10;

/// What the parser says of text behind the document.
const TRAILING: &str = "did not find expected <document start>";

/// Reads the first document of `text` into the empty `tree`.
pub(super) fn read<'s>(text: &'s str, mut tree: Tree<'s>, library: Library) -> Result<Tree<'s>, YamlError> {
    let mut builder = Builder {
        offsets: Offsets::new(text),
        text,
        anchors: Vec::new(),
        open: Vec::new(),
        last: 0,
        counted: 0,
        flow: 0,
        library,
    };
    match builder.document(&mut tree) {
        Ok(()) => Ok(tree),
        Err(why) => Err(YamlError { path: tree.open_path(builder.open.iter().copied()), ..why }),
    }
}

struct Builder<'s> {
    text: &'s str,
    offsets: Offsets<'s>,
    /// By the parser's anchor number: the node, once it is known.
    anchors: Vec<Option<u32>>,
    open: Vec<u32>,
    /// Where the last node ended.
    last: u32,
    /// Up to where the brackets ahead were counted.
    counted: usize,
    /// How many flow collections are open.
    flow: usize,
    library: Library,
}

impl<'s> Builder<'s> {
    fn document(&mut self, tree: &mut Tree<'s>) -> Result<(), YamlError> {
        let mut parser = Parser::new_from_str(self.text);
        let mut reached = 0;
        loop {
            if tree.is_too_dense() || !self.fits_ahead(tree, reached as usize) {
                return Err(error("the document is mostly brackets and commas", reached));
            }
            let (event, span) = match parser.next_event() {
                None => return Ok(()),
                Some(Ok(event)) => event,
                // Go's libraries read one document and look no further.
                Some(Err(why))
                    if self.library != Library::Fork
                        && self.open.is_empty()
                        && tree.root().is_some()
                        && why.info() == TRAILING =>
                {
                    return Ok(());
                }
                Some(Err(why)) => {
                    let offset = self.offsets.byte(why.marker().index());
                    return Err(error(why.info(), offset));
                }
            };
            let mut place = Span {
                start: self.offsets.byte(span.start.index()),
                end: self.offsets.byte(span.end.index()),
            };
            reached = place.end;
            let mut added = false;
            if let Event::Scalar(_, style, ..) = &event {
                if self.flow > 0 && *style == ScalarStyle::Plain {
                    self.plain_in_flow(place)?;
                }
                added = self.adds_break(place, *style);
                place = self.written(place, *style);
            }
            if matches!(event, Event::Alias(_) | Event::Scalar(..)) {
                self.last = place.end;
            }
            match event {
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => {}
                Event::StreamEnd | Event::DocumentEnd => return Ok(()),
                Event::Scalar(_, _, id, _) | Event::SequenceStart(id, _) | Event::MappingStart(id, _)
                    if id > MAX_ANCHORS =>
                {
                    return Err(error("more than 10000 anchors", place.start));
                }
                Event::Alias(id) => {
                    let target = self.anchors.get(id).copied().flatten();
                    let target = target.ok_or_else(|| error("unknown anchor referenced", place.start))?;
                    if self.open.contains(&target) {
                        return Err(error("anchor value contains itself", place.start));
                    }
                    tree.push_alias(place, target);
                }
                Event::Scalar(value, style, id, tag) => {
                    let kind = if style == ScalarStyle::Plain { Kind::Plain } else { Kind::String };
                    let value = value.strip_suffix('\n').filter(|_| added).unwrap_or(&value);
                    let written = self.text.get(place.start as usize..place.end as usize).unwrap_or_default();
                    let index = if written == value {
                        tree.push_whole(kind, place)
                    } else if kind == Kind::String && inside_quotes(written) == Some(value) {
                        tree.push_quoted(place)
                    } else {
                        tree.push_pool(kind, place, |pool| pool.push_str(value))
                    };
                    self.anchor(id, index);
                    if let Some(tag) = tag {
                        tree.set_tag(index, tag_of(&tag.handle, &tag.suffix));
                    }
                }
                Event::SequenceStart(id, tag) => {
                    if id == 0 && tag.is_none() && self.open.last().is_some_and(|last| tree.is_object(*last))
                    {
                        place = self.dash_of(place);
                    }
                    self.begin(tree, Kind::Array, id, place)?;
                }
                Event::MappingStart(id, _) => self.begin(tree, Kind::Object, id, place)?,
                Event::SequenceEnd | Event::MappingEnd => {
                    // Flow collections end at their bracket; the others with what is last in them.
                    if let Some(bracket) = self.bracket(place.start as usize) {
                        self.last = bracket + 1;
                    }
                    if let Some(index) = self.open.pop() {
                        self.flow = self.flow.saturating_sub(1);
                        tree.close(index, self.last);
                    }
                }
            }
        }
    }

    fn begin(&mut self, tree: &mut Tree<'s>, kind: Kind, id: usize, place: Span) -> Result<(), YamlError> {
        let index = tree.open(kind, place.start);
        self.anchor(id, index);
        // Inside a flow collection there are only flow collections.
        let bracket = (place.end as usize).checked_sub(1).and_then(|last| self.text.as_bytes().get(last));
        let is_flow = place.end > place.start && matches!(bracket, Some(b'[' | b'{'));
        self.flow += usize::from(is_flow || self.flow > 0);
        self.open.push(index);
        if self.open.len() > MAX_DEPTH {
            return Err(error("exceeded max depth of 10000", place.start));
        }
        Ok(())
    }

    fn anchor(&mut self, id: usize, index: u32) {
        if id > 0 {
            if self.anchors.len() <= id {
                self.anchors.resize(id + 1, None);
            }
            if let Some(slot) = self.anchors.get_mut(id) {
                *slot = Some(index);
            }
        }
    }

    /// Whether the parser may go on from here: the tokens of a flow collection that begins next find room.
    fn fits_ahead(&mut self, tree: &Tree<'_>, from: usize) -> bool {
        if from < self.counted {
            return true;
        }
        let octets = self.text.as_bytes();
        let mut at = from;
        while let Some(octet) = octets.get(at) {
            let rest = octets.get(at..).unwrap_or_default();
            at += match octet {
                b' ' | b'\t' | b'\n' | b'\r' | b':' | b'-' | b'?' | b',' => 1,
                b'#' => rest.iter().position(|octet| *octet == b'\n').unwrap_or(rest.len()),
                b'&' | b'!' => rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len()),
                b'[' | b'{' => break,
                _ => return true,
            };
        }
        // It ends before the first line that is not deeper than its block, but for a bracket.
        let column = self.open.last().map(|block| self.column(tree.start(*block) as usize));
        let mut count = 0;
        self.counted = at;
        for (number, line) in self.text.get(at..).unwrap_or_default().split_inclusive('\n').enumerate() {
            let token = line.trim_start_matches(' ');
            let is_deep = column.is_none_or(|column| line.len() - token.len() > column);
            if number > 0
                && !is_deep
                && !token.trim_start().is_empty()
                && !token.starts_with(['[', ']', '{', '}', ',', '"', '\''])
            {
                break;
            }
            count += token.bytes().filter(|octet| matches!(octet, b'[' | b']' | b'{' | b'}' | b',')).count();
            self.counted += line.len();
        }
        count * TOKENS <= self.text.len() * 4 + FREE_TOKENS
    }

    /// The column of an octet, counted from 0.
    fn column(&self, at: usize) -> usize {
        self.text.get(..at).map_or(0, |text| at - text.rfind('\n').map_or(0, |newline| newline + 1))
    }

    /// What Go's libraries refuse in a plain scalar of a flow collection.
    fn plain_in_flow(&self, place: Span) -> Result<(), YamlError> {
        let written = self.text.get(place.start as usize..place.end as usize).unwrap_or_default();
        if written.starts_with(['|', '>']) {
            return Err(error(NO_TOKEN, place.start));
        }
        let colon = written.find(':').filter(|_| self.library != Library::V3);
        match colon
            .map(|at| (at, "found unexpected ':'"))
            .or_else(|| written.find('?').map(|at| (at, "did not find expected ',' or '}'")))
        {
            Some((at, message)) => Err(error(message, place.start + at as u32)),
            None => Ok(()),
        }
    }

    /// From the first octet of a scalar to its last: the parser's places leave out the header of a block and go on over
    /// the blanks and comments behind a scalar.
    fn written(&self, place: Span, style: ScalarStyle) -> Span {
        let octets = self.text.as_bytes();
        let start = place.start as usize;
        match style {
            ScalarStyle::Plain => place,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                let quote = octets.get(start).copied().unwrap_or_default();
                let mut end = start + 1;
                while let Some(octet) = octets.get(end) {
                    end += match (*octet, octets.get(end + 1)) {
                        (b'\\', _) if quote == b'"' => 2,
                        (b'\'', Some(b'\'')) if quote == b'\'' => 2,
                        (octet, _) if octet == quote => break,
                        _ => 1,
                    };
                }
                Span { start: place.start, end: (end + 1) as u32 }
            }
            ScalarStyle::Literal | ScalarStyle::Folded => {
                let header = self.header(start).unwrap_or(start);
                let content = self.text.get(header..place.end as usize).unwrap_or_default();
                let length = content.trim_end_matches([' ', '\t', '\n', '\r']).len();
                Span { start: header as u32, end: (header + length) as u32 }
            }
        }
    }

    /// The `|` or `>` of the block whose content begins at `content`, or which is there itself if nothing follows.
    fn header(&self, content: usize) -> Option<usize> {
        let before = self.text.get(self.last as usize..content)?.trim_end_matches([' ', '\t', '\n', '\r']);
        let line = self.last as usize + before.rfind('\n').map_or(0, |newline| newline + 1);
        let header = self.text.get(line..self.last as usize + before.len())?;
        let is_header = |at: usize| {
            let rest = header.get(at + 1..).unwrap_or_default();
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'));
            rest.trim_start().is_empty()
                || rest.starts_with([' ', '\t']) && rest.trim_start().starts_with('#')
        };
        header.match_indices(['|', '>']).find(|(at, _)| is_header(*at)).map(|(at, _)| line + at)
    }

    /// The closing bracket of a flow collection; the parser may place the end at a comma before it.
    fn bracket(&self, from: usize) -> Option<u32> {
        let mut at = from;
        loop {
            match self.text.as_bytes().get(at)? {
                b']' | b'}' => return Some(at as u32),
                b',' if at == from => at += 1,
                b' ' | b'\t' | b'\n' | b'\r' if at > from => at += 1,
                b'#' if at > from => at += self.text.get(at..)?.find('\n')?,
                _ => return None,
            }
        }
    }

    /// A list at the column of its key: the parser has it begin behind its first dash.
    fn dash_of(&self, place: Span) -> Span {
        let before = self.text.get(..place.start as usize).unwrap_or_default();
        let line = before.rfind('\n').map_or(0, |newline| newline + 1);
        let written = before.get(line..).unwrap_or_default();
        let indent = written.len() - written.trim_start_matches(' ').len();
        let is_dash =
            place.start == place.end && written.get(indent..).is_some_and(|rest| rest.starts_with('-'));
        if is_dash { Span { start: (line + indent) as u32, ..place } } else { place }
    }

    /// At the end of a text without a last line break the parser adds one to a block; Go's libraries do not.
    fn adds_break(&self, place: Span, style: ScalarStyle) -> bool {
        if !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded)
            || place.end as usize != self.text.len()
        {
            return false;
        }
        let (indent, last) = (self.column(place.start as usize), self.column(self.text.len()));
        last >= indent.max(1)
    }
}

fn inside_quotes(written: &str) -> Option<&str> {
    let inside = |quote: char| written.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\''))
}

fn tag_of(handle: &str, suffix: &str) -> Tag {
    let name = match (handle, suffix) {
        ("tag:yaml.org,2002:" | "!!", name) => name,
        ("", verbatim) => verbatim.strip_prefix("tag:yaml.org,2002:").unwrap_or("local"),
        _ => return Tag::Other,
    };
    match name {
        "str" => Tag::Str,
        "int" => Tag::Int,
        "float" => Tag::Float,
        "bool" => Tag::Bool,
        "null" => Tag::Null,
        "binary" => Tag::Binary,
        "merge" => Tag::Merge,
        _ => Tag::Other,
    }
}

/// The parser counts characters; spans count octets.
struct Offsets<'s> {
    text: &'s str,
    /// Octet offset of every 256th character; empty for ASCII.
    steps: Vec<u32>,
}

const STEP: usize = 256;

impl<'s> Offsets<'s> {
    fn new(text: &'s str) -> Self {
        let steps = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().step_by(STEP).map(|(at, _)| at as u32).collect()
        };
        Self { text, steps }
    }

    fn byte(&self, index: usize) -> u32 {
        if self.steps.is_empty() {
            return index.min(self.text.len()) as u32;
        }
        let Some(step) = self.steps.get(index / STEP) else { return self.text.len() as u32 };
        let rest = self.text.get(*step as usize..).unwrap_or_default();
        let inside = rest.char_indices().nth(index % STEP).map_or(rest.len(), |(at, _)| at);
        *step + inside as u32
    }
}
