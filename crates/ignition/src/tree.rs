//! A document as a flat list of nodes with their places in the source.
//!
//! Both readers (`json`, `yaml`) build one; decoding, reports and diffs read it. A node is 24 octets, so that
//! the tree of any accepted document stays a small multiple of its text.

use std::borrow::Cow;

use crate::report::{Path, Step};

/// A range of octets in the source text.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Hash)]
pub struct Span {
    /// First octet.
    pub start: u32,
    /// One past the last octet.
    pub end: u32,
}

/// What a node is before anybody asks it to be something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// JSON's `null`.
    Null,
    /// JSON's `true` and `false`.
    Bool,
    /// A JSON number, kept as its text.
    Number,
    /// A JSON string, or a quoted or block scalar of YAML.
    String,
    /// A plain YAML scalar: its type depends on who asks.
    Plain,
    /// A list.
    Array,
    /// An object; keys and values alternate below it.
    Object,
    /// A YAML alias; reading it reads the anchored node.
    Alias,
}

/// An explicit YAML tag.
#[cfg(feature = "yaml")]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Tag {
    #[default]
    None,
    Str,
    Int,
    Float,
    Bool,
    Null,
    Binary,
    Merge,
    /// `!!map`, `!!seq` and local tags: they change nothing here.
    Other,
}

/// The text lies in the pool and not in the source.
const POOL: u32 = 1 << 31;

/// The largest document read: texts are addressed with 31 bits.
pub(crate) const MAX_SOURCE: usize = (POOL - 1) as usize;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    #[cfg(feature = "yaml")]
    pub(crate) tag: Tag,
    pub(crate) span: Span,
    /// Index after this node's subtree.
    pub(crate) next: u32,
    /// Where the decoded text starts (source, or pool with `POOL`); the target of an alias.
    text: u32,
    len: u32,
}

/// A parsed document: its source, its nodes and the texts that differ from the source.
#[derive(Clone, Debug)]
pub struct Tree<'a> {
    source: Cow<'a, str>,
    pool: String,
    nodes: Vec<Node>,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(source: Cow<'a, str>) -> Self {
        Self { source, pool: String::new(), nodes: Vec::new() }
    }

    pub(crate) fn set_source(&mut self, source: Cow<'a, str>) {
        self.source = source;
    }

    /// The text the tree was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The document's outermost node; `None` for an empty document.
    pub fn root(&self) -> Option<Cursor<'_>> {
        (!self.nodes.is_empty()).then_some(Cursor { tree: self, index: 0 })
    }

    /// Appends a node without children and without text.
    pub(crate) fn push(&mut self, kind: Kind, span: Span) -> u32 {
        let index = self.nodes.len() as u32;
        self.nodes.push(Node {
            kind,
            #[cfg(feature = "yaml")]
            tag: Tag::None,
            span,
            next: index + 1,
            text: 0,
            len: 0,
        });
        index
    }

    /// Appends a scalar whose text is `span` of the source.
    pub(crate) fn push_source(&mut self, kind: Kind, span: Span, text: Span) -> u32 {
        let index = self.push(kind, span);
        if let Some(node) = self.nodes.last_mut() {
            (node.text, node.len) = (text.start, text.end.saturating_sub(text.start));
        }
        index
    }

    /// Appends a scalar whose text was made by `write`.
    pub(crate) fn push_pool(&mut self, kind: Kind, span: Span, write: impl FnOnce(&mut String)) -> u32 {
        let start = self.pool.len();
        write(&mut self.pool);
        let len = self.pool.len() - start;
        let index = self.push(kind, span);
        if let Some(node) = self.nodes.last_mut() {
            (node.text, node.len) = (start as u32 | POOL, len as u32);
        }
        index
    }

    #[cfg(feature = "yaml")]
    pub(crate) fn push_alias(&mut self, span: Span, target: u32) -> u32 {
        let index = self.push(Kind::Alias, span);
        if let Some(node) = self.nodes.last_mut() {
            node.text = target;
        }
        index
    }

    #[cfg(feature = "yaml")]
    pub(crate) fn set_tag(&mut self, index: u32, tag: Tag) {
        if let Some(node) = self.nodes.get_mut(index as usize) {
            node.tag = tag;
        }
    }

    /// Whether the tree has grown beyond its share of the memory: four times its source, and 4 MiB.
    pub(crate) fn is_too_dense(&self, source: usize) -> bool {
        self.nodes.len() * size_of::<Node>() > source * 4 + (4 << 20)
    }

    /// Makes room for what a document of this size usually needs; what is not used is never touched.
    pub(crate) fn reserve(&mut self, source: usize) {
        self.nodes.reserve_exact(source / 8 + 16);
    }

    /// The place that is being read while these containers are open.
    pub(crate) fn open_path(&self, open: impl Iterator<Item = u32>) -> Path {
        let open: Vec<u32> = open.collect();
        let mut steps = Vec::new();
        for (depth, container) in open.iter().enumerate() {
            let stop = open.get(depth + 1).copied().unwrap_or(self.nodes.len() as u32);
            let (mut child, mut count, mut last) = (container + 1, 0_u32, None);
            while child < stop {
                last = Some(child);
                child = self.node(child).next;
                count += 1;
            }
            let inside = depth + 1 < open.len();
            if self.node(*container).kind == Kind::Array {
                steps.push(Step::Index(count));
            } else if let Some(key) = last.filter(|_| inside || count % 2 == 1) {
                steps.push(Step::Key(self.text(self.node(key)).into()));
            }
        }
        Path(steps)
    }

    /// Ends the container `index` at octet `end`.
    pub(crate) fn close(&mut self, index: u32, end: u32) {
        let next = self.nodes.len() as u32;
        if let Some(node) = self.nodes.get_mut(index as usize) {
            node.next = next;
            node.span.end = end;
        }
    }

    fn node(&self, index: u32) -> Node {
        self.nodes.get(index as usize).copied().unwrap_or(Node {
            kind: Kind::Null,
            #[cfg(feature = "yaml")]
            tag: Tag::None,
            span: Span::default(),
            next: index + 1,
            text: 0,
            len: 0,
        })
    }

    fn text(&self, node: Node) -> &str {
        let (text, start) = if node.text & POOL != 0 {
            (self.pool.as_str(), node.text & !POOL)
        } else {
            (&*self.source, node.text)
        };
        text.get(start as usize..(start + node.len) as usize).unwrap_or_default()
    }
}

/// One node of a [`Tree`].
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'t> {
    tree: &'t Tree<'t>,
    index: u32,
}

impl<'t> Cursor<'t> {
    /// Follows aliases to the node that holds the value.
    pub fn target(self) -> Self {
        let mut here = self;
        // An alias points backwards to a finished node, so this ends.
        while here.node().kind == Kind::Alias {
            here.index = here.node().text;
        }
        here
    }

    pub(crate) fn node(self) -> Node {
        self.tree.node(self.index)
    }

    /// The number of the node that holds the value: the same for the same value.
    pub(crate) fn number(self) -> u32 {
        self.target().index
    }

    /// What the node is, aliases followed.
    pub fn kind(self) -> Kind {
        self.target().node().kind
    }

    #[cfg(feature = "yaml")]
    pub(crate) fn is_alias(self) -> bool {
        self.node().kind == Kind::Alias
    }

    #[cfg(feature = "yaml")]
    pub(crate) fn tag(self) -> Tag {
        self.target().node().tag
    }

    /// Where the node stands in the source (an alias: where the alias stands).
    pub fn span(self) -> Span {
        self.node().span
    }

    /// The text of a scalar, unescaped; empty for containers.
    pub fn text(self) -> &'t str {
        let here = self.target();
        here.tree.text(here.node())
    }

    /// How many nodes the subtree has.
    #[cfg(feature = "yaml")]
    pub(crate) fn weight(self) -> u32 {
        let here = self.target();
        here.node().next - here.index
    }

    /// A piece of the source.
    pub(crate) fn source_text(self, span: Span) -> &'t str {
        self.tree.source.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// The elements of a list; none for anything else.
    pub fn items(self) -> Items<'t> {
        let here = self.target();
        let node = here.node();
        let end = if node.kind == Kind::Array { node.next } else { here.index + 1 };
        Items { tree: here.tree, next: here.index + 1, end }
    }

    /// Keys and values of an object in source order; none for anything else.
    pub fn members(self) -> Members<'t> {
        let here = self.target();
        let node = here.node();
        let end = if node.kind == Kind::Object { node.next } else { here.index + 1 };
        Members(Items { tree: here.tree, next: here.index + 1, end })
    }

    /// The value of `key`; of several the last.
    pub fn get(self, key: &str) -> Option<Cursor<'t>> {
        self.members().filter(|(name, _)| name.text() == key).last().map(|(_, value)| value)
    }
}

/// Iterates over the elements of a list.
#[derive(Clone, Debug)]
pub struct Items<'t> {
    tree: &'t Tree<'t>,
    next: u32,
    end: u32,
}

impl<'t> Iterator for Items<'t> {
    type Item = Cursor<'t>;

    fn next(&mut self) -> Option<Cursor<'t>> {
        (self.next < self.end).then(|| {
            let here = Cursor { tree: self.tree, index: self.next };
            self.next = here.node().next;
            here
        })
    }
}

/// Iterates over the members of an object.
#[derive(Clone, Debug)]
pub struct Members<'t>(Items<'t>);

impl<'t> Iterator for Members<'t> {
    type Item = (Cursor<'t>, Cursor<'t>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.next()?;
        Some((key, self.0.next()?))
    }
}
