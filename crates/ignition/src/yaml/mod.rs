//! YAML as Go's libraries read it, into a [`Tree`].
//!
//! `block` reads what configs are mostly made of; whatever it leaves alone, `events` reads from the events of
//! `saphyr-parser`. Scalars stay text: `scalar` says what they are once a field asks.

mod block;
#[cfg(test)]
mod equal;
mod events;
pub(crate) mod merge_key;
pub(crate) mod scalar;

use crate::report::Path;
use crate::tree::{MAX_SOURCE, Tree};

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

/// Which library's YAML is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Library {
    /// Version 2 of `go-yaml`, of Fuze: in a flow collection no plain scalar has a colon.
    V2,
    /// The fork of version 2 that Container Linux Config was read with: it also looks behind the document.
    Fork,
    /// Version 3 of `go-yaml`, of Butane.
    V3,
}

/// What both libraries say of a character that cannot stand in a plain scalar of a flow collection.
const NO_TOKEN: &str = "found character that cannot start any token";

/// Reads the first document of a stream as version 3 does. An empty stream gives an empty tree.
///
/// # Errors
/// The first place where the text stops being YAML.
pub fn parse(source: &[u8]) -> Result<Tree<'_>, YamlError> {
    parse_as(source, Library::V3)
}

/// Reads the first document of a stream as a library does.
///
/// # Errors
/// The first place where the text stops being YAML.
pub fn parse_as(source: &[u8], library: Library) -> Result<Tree<'_>, YamlError> {
    let text = readable(source)?;
    let mut tree = Tree::new(text.into());
    tree.reserve(text.len());
    if block::read(text, &mut tree, library).is_none() {
        tree.clear();
        tree = events::read(text, tree, library)?;
    }
    tree.finish();
    Ok(tree)
}

/// The text without its byte order mark; go-yaml refuses control characters wherever they stand.
fn readable(source: &[u8]) -> Result<&str, YamlError> {
    const REFUSED: &str = "control characters or octets that are no UTF-8";
    if source.len() > MAX_SOURCE {
        return Err(error("document longer than 2 GiB", 0));
    }
    let text = std::str::from_utf8(source).map_err(|why| error(REFUSED, why.valid_up_to() as u32))?;
    let is_control = |byte: u8| (byte < 0x20 && !matches!(byte, b'\n' | b'\t' | b'\r')) || byte == 0x7f;
    // Whole chunks at a time: nearly every text has none.
    if source.chunks(64).any(|chunk| chunk.iter().fold(false, |found, byte| found | is_control(*byte))) {
        let at = source.iter().position(|byte| is_control(*byte)).unwrap_or_default();
        return Err(error(REFUSED, at as u32));
    }
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
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
    fn as_the_libraries_read_it() {
        // scannerc.go: plain scalars in flow collections; parserc.go: nothing is read behind the first document
        for (text, v2, v3) in [
            ("a: {b: http://c}", false, true),
            ("a: {b: \"http://c\"}", true, true),
            ("a: &x {b: c:d}", false, true),
            ("a: {b: c?d}", false, false),
            ("a: [|, b]", false, false),
            ("a: &x [>b]", false, false),
            ("a: {\nb: c,\n}\n", true, true),
            ("{a: b} c", true, true),
            ("{a: b}\nc: d", true, true),
            ("a: [\n\tb]", true, true),
        ] {
            let behind = text.starts_with('{');
            for (library, good) in [(Library::V2, v2), (Library::Fork, v2 && !behind), (Library::V3, v3)] {
                assert_eq!(parse_as(text.as_bytes(), library).is_ok(), good, "{text} {library:?}");
            }
        }
    }

    #[test]
    fn refuses() {
        for source in ["a: [", "a: *x", "a: &x [*x]", "a: b: c"] {
            assert!(parse(source.as_bytes()).is_err(), "{source}");
        }
        assert!(parse(b"# nothing\n").unwrap().root().is_none());
    }
}
