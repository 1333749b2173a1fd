//! YAML as Go's libraries read it, into a [`Tree`].
//!
//! The events come from `saphyr-parser`; anchors, tags and the first-document rule are ours. Scalars stay text:
//! `scalar` says what they are once a field asks.

pub(crate) mod merge_key;
pub(crate) mod scalar;

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::report::Path;
use crate::tree::{Kind, MAX_SOURCE, Span, Tag, Tree};

/// Deeper documents are refused, as `go-yaml` does.
const MAX_DEPTH: usize = 10_000;

/// Why a text is no YAML document, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct YamlError {
    /// What is wrong, in a few words.
    pub message: String,
    /// The octet it was noticed at.
    pub offset: u32,
    /// The value that was being read.
    pub path: Path,
}

impl std::fmt::Display for YamlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "yaml: {}", self.message)
    }
}

impl std::error::Error for YamlError {}

fn error(message: &str, offset: u32) -> YamlError {
    YamlError { message: message.to_owned(), offset, path: Path::root() }
}

/// Reads the first document of a stream. An empty stream gives an empty tree.
///
/// # Errors
/// The first place where the text stops being YAML.
pub fn parse(source: &[u8]) -> Result<Tree<'_>, YamlError> {
    if source.len() > MAX_SOURCE {
        return Err(error("document longer than 2 GiB", 0));
    }
    let text = std::str::from_utf8(source)
        .map_err(|why| error("control characters or octets that are no UTF-8", why.valid_up_to() as u32))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut tree = Tree::new(text.into());
    tree.reserve(text.len());
    let mut builder =
        Builder { offsets: Offsets::new(text), text, anchors: Vec::new(), open: Vec::new(), last: 0 };
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
}

impl<'s> Builder<'s> {
    fn document(&mut self, tree: &mut Tree<'s>) -> Result<(), YamlError> {
        let mut parser = Parser::new_from_str(self.text);
        loop {
            if tree.is_too_dense(self.text.len()) {
                return Err(error("the document is mostly brackets and commas", 0));
            }
            let (event, span) = match parser.next_event() {
                None => return Ok(()),
                Some(Ok(event)) => event,
                Some(Err(why)) => {
                    let offset = self.offsets.byte(why.marker().index());
                    return Err(error(why.info(), offset));
                }
            };
            let place = Span {
                start: self.offsets.byte(span.start.index()),
                end: self.offsets.byte(span.end.index()),
            };
            if matches!(event, Event::Alias(_) | Event::Scalar(..)) {
                self.last = place.end;
            }
            match event {
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => {}
                Event::StreamEnd | Event::DocumentEnd => return Ok(()),
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
                    let index = match self.within(&value, &place) {
                        Some(text) => tree.push_source(kind, place, text),
                        None => tree.push_pool(kind, place, |pool| pool.push_str(&value)),
                    };
                    self.anchor(id, index);
                    if let Some(tag) = tag {
                        tree.set_tag(index, tag_of(&tag.handle, &tag.suffix));
                    }
                }
                Event::SequenceStart(id, _) => self.begin(tree, Kind::Array, id, place)?,
                Event::MappingStart(id, _) => self.begin(tree, Kind::Object, id, place)?,
                Event::SequenceEnd | Event::MappingEnd => {
                    // Flow collections end at their bracket; the others with what is last in them.
                    if self.text.as_bytes().get(place.start as usize).is_some_and(|byte| b"]}".contains(byte))
                    {
                        self.last = place.start + 1;
                    }
                    if let Some(index) = self.open.pop() {
                        tree.close(index, self.last);
                    }
                }
            }
        }
    }

    fn begin(&mut self, tree: &mut Tree<'s>, kind: Kind, id: usize, place: Span) -> Result<(), YamlError> {
        let index = tree.push(kind, place);
        self.anchor(id, index);
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

    /// Where the value stands in the source unchanged, if it does.
    fn within(&self, value: &str, place: &Span) -> Option<Span> {
        let start = (value.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        let end = start.checked_add(value.len())?;
        if end <= self.text.len() {
            return Some(Span { start: start as u32, end: end as u32 });
        }
        let written = self.text.get(place.start as usize..place.end as usize)?;
        written.starts_with(value).then(|| Span { start: place.start, end: place.start + value.len() as u32 })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_document_with_anchors() {
        // YAML 1.2 §7.1; only the first document is read
        let source = "a: &x [1, 'two', \"t\\tb\"]\né: *x\nb: |\n  l1\n  l2\n---\nother: {\n".as_bytes();
        let tree = parse(source).unwrap();
        let root = tree.root().unwrap();
        let texts: Vec<_> = root.get("é").unwrap().items().map(|item| item.text()).collect();
        assert_eq!(texts, ["1", "two", "t\tb"]);
        assert_eq!(root.get("b").unwrap().text(), "l1\nl2\n");
        let span = root.get("é").unwrap().span();
        assert_eq!(&tree.source()[span.start as usize..span.end as usize], "*x");
    }

    #[test]
    fn refuses() {
        for source in ["a: [", "a: *x", "a: &x [*x]", "a: b: c"] {
            assert!(parse(source.as_bytes()).is_err(), "{source}");
        }
        assert!(parse(b"# nothing\n").unwrap().root().is_none());
    }
}
