//! What is to be said about a document: findings with a stable code, a path and a place.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::tree::{Cursor, Kind as NodeKind, Span, Tree};

/// How much a finding matters. Only errors make a document invalid.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The document is refused.
    Error,
    /// Accepted, and probably not what was meant.
    Warning,
    /// Accepted, and going away.
    Deprecated,
    /// Worth knowing.
    Info,
}

impl Severity {
    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Deprecated => "deprecated",
            Self::Info => "info",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One step of a [`Path`].
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Step {
    /// The member of an object.
    Key(Box<str>),
    /// The element of a list, counted from 0.
    Index(u32),
}

/// The place of a value in a document, printed as `$.storage.files.0.path`.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// The document itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// This path and one member more.
    pub fn key(&self, key: &str) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(key.into()));
        Self(steps)
    }

    /// This path and one element more.
    pub fn index(&self, index: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Index(index as u32));
        Self(steps)
    }

    /// Reads what [`fmt::Display`] prints; numbers are elements.
    pub fn parse(text: &str) -> Self {
        let steps = text.strip_prefix('$').unwrap_or(text).split('.').filter(|step| !step.is_empty());
        Self(steps.map(|step| step.parse().map_or_else(|_| Step::Key(step.into()), Step::Index)).collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for step in &self.0 {
            match step {
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, ".{index}")?,
            }
        }
        Ok(())
    }
}

/// A path under construction on the stack: nothing is allocated until a finding needs it.
#[derive(Clone, Copy, Debug)]
pub struct At<'p> {
    parent: Option<&'p At<'p>>,
    step: AtStep<'p>,
}

#[derive(Clone, Copy, Debug)]
enum AtStep<'p> {
    Root,
    Key(&'p str),
    Index(usize),
}

impl<'p> At<'p> {
    /// The document itself.
    pub const ROOT: Self = Self { parent: None, step: AtStep::Root };

    /// One member deeper.
    pub fn key<'q>(&'q self, key: &'q str) -> At<'q> {
        At { parent: Some(self), step: AtStep::Key(key) }
    }

    /// One element deeper.
    pub fn index(&self, index: usize) -> At<'_> {
        At { parent: Some(self), step: AtStep::Index(index) }
    }

    /// The name of the innermost member, if the place is one.
    pub(crate) fn last_key(&self) -> Option<&'p str> {
        match self.step {
            AtStep::Key(key) => Some(key),
            AtStep::Root | AtStep::Index(_) => None,
        }
    }

    /// The path as a value.
    pub fn path(&self) -> Path {
        let mut steps = Vec::new();
        let mut here = Some(self);
        while let Some(at) = here {
            match at.step {
                AtStep::Root => {}
                AtStep::Key(key) => steps.push(Step::Key(key.into())),
                AtStep::Index(index) => steps.push(Step::Index(index as u32)),
            }
            here = at.parent;
        }
        steps.reverse();
        Path(steps)
    }
}

/// Where a finding stands in the source.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    /// The key of the member, quotes included; `None` for elements and the document.
    pub key: Option<Span>,
    /// The value.
    pub value: Span,
    /// Line of the value, counted from 1.
    pub line: u32,
    /// Column of the value in characters, counted from 1.
    pub column: u32,
}

/// One finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// How much it matters.
    pub severity: Severity,
    /// Stable name of the rule, such as `path-not-absolute`.
    pub code: &'static str,
    /// One sentence for a person.
    pub message: String,
    /// The value it is about.
    pub path: Path,
    /// Where that value stands, if the document has it.
    pub place: Option<Place>,
    /// What to do about it, if that is known.
    pub hint: Option<String>,
}

/// Findings about one document, in the order they were made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    entries: Vec<Entry>,
    dropped: usize,
}

/// Findings kept of one document; more are counted only.
pub const MAX_ENTRIES: usize = 1000;

impl Report {
    /// The findings.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many findings were not kept: see [`MAX_ENTRIES`].
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// Whether any finding is an error.
    pub fn is_fatal(&self) -> bool {
        self.entries.iter().any(|entry| entry.severity == Severity::Error)
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether no more findings are kept.
    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= MAX_ENTRIES
    }

    /// Adds a finding.
    pub fn push(&mut self, entry: Entry) {
        if self.is_full() {
            self.dropped += 1;
        } else {
            self.entries.push(entry);
        }
    }

    pub(crate) fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        message: impl Into<String>,
        at: &At<'_>,
    ) {
        if self.is_full() {
            self.dropped += 1;
        } else {
            let path = at.path();
            self.entries.push(Entry {
                severity,
                code,
                message: message.into(),
                path,
                place: None,
                hint: None,
            });
        }
    }

    pub(crate) fn error(&mut self, code: &'static str, message: impl Into<String>, at: &At<'_>) {
        self.add(Severity::Error, code, message, at);
    }

    pub(crate) fn warn(&mut self, code: &'static str, message: impl Into<String>, at: &At<'_>) {
        self.add(Severity::Warning, code, message, at);
    }

    pub(crate) fn entries_mut(&mut self) -> &mut Vec<Entry> {
        &mut self.entries
    }

    /// Adds all findings of another report.
    pub fn append(&mut self, other: Self) {
        self.dropped += other.dropped;
        for entry in other.entries {
            self.push(entry);
        }
    }

    /// Adds findings of a later stage, but for those about values that could not be read: their absence is no
    /// finding of its own.
    pub(crate) fn append_unread(&mut self, later: Self) {
        let errors = self.entries.iter().filter(|entry| entry.severity == Severity::Error);
        let unread: Vec<Path> = errors.map(|entry| entry.path.clone()).collect();
        self.dropped += later.dropped;
        for entry in later.entries {
            let blamed = |path: &Path| path.0.starts_with(&entry.path.0) || entry.path.0.starts_with(&path.0);
            if !unread.iter().any(blamed) {
                self.push(entry);
            }
        }
    }

    /// Gives every finding without a place the place of its path, or of the nearest value above it.
    pub(crate) fn locate(&mut self, tree: &Tree<'_>) {
        if self.entries.iter().all(|entry| entry.place.is_some()) {
            return;
        }
        let lines = Lines::new(tree.source());
        let mut index = Index::new(&self.entries);
        for entry in self.entries.iter_mut().filter(|entry| entry.place.is_none()) {
            entry.place = tree.root().map(|root| {
                let (key, value) = find(root, &entry.path, &mut index);
                // A finding about a key stands at the key.
                match key.filter(|_| entry.code == "unused-key") {
                    Some(key) => Place { value, ..lines.place(Some(key), key) },
                    None => lines.place(key, value),
                }
            });
        }
    }
}

/// Walks `path` as far as the document goes.
fn find<'t>(root: Cursor<'t>, path: &Path, index: &mut Index<'t>) -> (Option<Span>, Span) {
    let (mut here, mut key) = (root, None);
    for step in &path.0 {
        let next = match step {
            Step::Key(name) => index.member(here, name).map(|(name, value)| (Some(name.span()), value)),
            Step::Index(place) if here.kind() == NodeKind::Array => {
                index.item(here, *place as usize).map(|item| (None, item))
            }
            Step::Index(number) => {
                index.member(here, &number.to_string()).map(|(name, value)| (Some(name.span()), value))
            }
        };
        let Some(next) = next else { break };
        (key, here) = next;
    }
    (key, here.span())
}

/// What findings ask for in the containers they lie in: each container is read once, and nothing else is kept of it.
#[derive(Debug, Default)]
struct Index<'t> {
    names: HashSet<String>,
    places: HashSet<usize>,
    objects: HashMap<u32, HashMap<String, (Cursor<'t>, Cursor<'t>)>>,
    lists: HashMap<u32, HashMap<usize, Cursor<'t>>>,
}

impl<'t> Index<'t> {
    fn new(entries: &[Entry]) -> Self {
        let mut index = Self::default();
        for step in entries.iter().filter(|entry| entry.place.is_none()).flat_map(|entry| &entry.path.0) {
            match step {
                Step::Key(name) => drop(index.names.insert(name.to_ascii_lowercase())),
                Step::Index(place) => {
                    index.names.insert(place.to_string());
                    index.places.insert(*place as usize);
                }
            }
        }
        index
    }

    /// The member a decoder would have used last: the exact name, or else the same name in another case.
    fn member(&mut self, object: Cursor<'t>, name: &str) -> Option<(Cursor<'t>, Cursor<'t>)> {
        let wanted = &self.names;
        let known = self.objects.entry(object.number()).or_insert_with(|| {
            let members =
                object.members().map(|(key, value)| (key.text().to_ascii_lowercase(), (key, value)));
            members.filter(|(name, _)| wanted.contains(name)).collect()
        });
        known.get(&name.to_ascii_lowercase()).copied()
    }

    fn item(&mut self, list: Cursor<'t>, place: usize) -> Option<Cursor<'t>> {
        let wanted = &self.places;
        let known = self.lists.entry(list.number()).or_insert_with(|| {
            list.items().enumerate().filter(|(place, _)| wanted.contains(place)).collect()
        });
        known.get(&place).copied()
    }
}

/// Turns octet offsets into lines and columns.
#[derive(Debug)]
pub struct Lines<'s> {
    source: &'s str,
    /// Line and column, both counted from 0, of the first octet of every [`BLOCK`]: enough for texts of nothing but
    /// line breaks and for those without any.
    marks: Vec<(u32, u32)>,
}

const BLOCK: usize = 512;

/// Line and column behind `text`, which begins at `from`.
fn advance((line, column): (u32, u32), text: &[u8]) -> (u32, u32) {
    let characters =
        |octets: &[u8]| octets.iter().filter(|octet| !matches!(octet, 0x80..0xC0)).count() as u32;
    match text.iter().rposition(|octet| *octet == b'\n') {
        None => (line, column + characters(text)),
        Some(last) => {
            let breaks = text.iter().filter(|octet| **octet == b'\n').count() as u32;
            (line + breaks, characters(text.get(last + 1..).unwrap_or_default()))
        }
    }
}

impl<'s> Lines<'s> {
    /// Finds the lines of a text.
    pub fn new(source: &'s str) -> Self {
        let mut marks = Vec::with_capacity(source.len() / BLOCK + 1);
        let mut here = (0, 0);
        for block in source.as_bytes().chunks(BLOCK) {
            marks.push(here);
            here = advance(here, block);
        }
        if source.len().is_multiple_of(BLOCK) {
            marks.push(here);
        }
        Self { source, marks }
    }

    /// Line and column of an octet, both counted from 1, the column in characters.
    pub fn at(&self, offset: u32) -> (u32, u32) {
        let offset = (offset as usize).min(self.source.len());
        let mark = self.marks.get(offset / BLOCK).copied().unwrap_or_default();
        let rest = self.source.as_bytes().get(offset / BLOCK * BLOCK..offset).unwrap_or_default();
        let (line, column) = advance(mark, rest);
        (line + 1, column + 1)
    }

    /// The octet a line counted from 1 begins at.
    pub fn start(&self, line: u32) -> u32 {
        let line = line.saturating_sub(1);
        let block = self.marks.partition_point(|(before, _)| *before < line).saturating_sub(1);
        let Some((before, _)) = self.marks.get(block).filter(|_| line > 0) else { return 0 };
        let rest = self.source.as_bytes().get(block * BLOCK..).unwrap_or_default();
        let mut breaks = rest.iter().enumerate().filter(|(_, octet)| **octet == b'\n');
        let last = breaks.nth((line - before).saturating_sub(1) as usize);
        last.map_or(self.source.len(), |(at, _)| block * BLOCK + at + 1) as u32
    }

    /// The text of a line counted from 1, without its end.
    pub fn text(&self, line: u32) -> &'s str {
        let rest = self.source.get(self.start(line) as usize..).unwrap_or_default();
        rest.split('\n').next().unwrap_or_default().trim_end_matches('\r')
    }

    /// A place from its spans.
    pub(crate) fn place(&self, key: Option<Span>, value: Span) -> Place {
        let (line, column) = self.at(value.start);
        Place { key, value, line, column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns() {
        let text = format!("é\nab\n{}\n{}x\n", "ö".repeat(700), "\n".repeat(1200));
        let lines = Lines::new(&text);
        let (mut line, mut column) = (1, 1);
        for (offset, c) in text.char_indices() {
            assert_eq!(lines.at(offset as u32), (line, column), "{offset}");
            if column == 1 {
                assert_eq!(lines.start(line), offset as u32, "{line}");
            }
            (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        assert_eq!(lines.at(text.len() as u32), (line, 1));
        assert_eq!((lines.text(2), lines.text(1), lines.text(9000)), ("ab", "é", ""));
    }
}
