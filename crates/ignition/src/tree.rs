//! A document as a flat list of nodes with their places in the source.
//!
//! Both readers (`json`, `yaml`) build one; decoding, reports and diffs read it. A node is 16 octets, and a tree that
//! would take more than its share of memory is not finished.

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

/// The largest document read: places are kept as 32 bits.
pub(crate) const MAX_SOURCE: usize = (1 << 31) - 1;

/// Where the text of a node lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Text {
    /// It is a container, or `value` is the target of an alias.
    None,
    /// The source at the node's place.
    Whole,
    /// The same without the quotes.
    Quoted,
    /// The piece `value` of the pool.
    Pool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    /// A container: the index after its subtree. A scalar: see [`Text`].
    value: u32,
    pub(crate) kind: Kind,
    #[cfg(feature = "yaml")]
    pub(crate) tag: Tag,
    text: Text,
}

const _: () = assert!(size_of::<Node>() == 16, "limits and bounds count on it");

/// Octets of a tree allowed whatever the input's size; above it, five times the input.
const FREE: usize = 128 << 10;

/// A parsed document: its source, its nodes and the texts that differ from the source.
#[derive(Clone, Debug)]
pub struct Tree<'a> {
    source: Cow<'a, str>,
    pool: String,
    /// Where each text of the pool ends; it begins where the one before ends.
    pool_ends: Vec<u32>,
    nodes: Vec<Node>,
    /// How long the source is, known before it is set.
    source_length: usize,
    /// A node was not kept.
    is_full: bool,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(source: Cow<'a, str>) -> Self {
        let source_length = source.len();
        Self {
            source,
            pool: String::new(),
            pool_ends: Vec::new(),
            nodes: Vec::new(),
            source_length,
            is_full: false,
        }
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

    fn add(&mut self, kind: Kind, span: Span, value: u32, text: Text) -> u32 {
        let index = self.nodes.len() as u32;
        if self.nodes.len() == self.nodes.capacity() && !self.grow() {
            self.is_full = true;
            return index;
        }
        self.nodes.push(Node {
            span,
            value,
            kind,
            #[cfg(feature = "yaml")]
            tag: Tag::None,
            text,
        });
        index
    }

    /// Makes room for more nodes; `false` if there are as many as there may be.
    fn grow(&mut self) -> bool {
        let most = (self.source_length * 5 + FREE) / size_of::<Node>() + 1;
        let more = most.saturating_sub(self.nodes.len()).min(self.nodes.len().max(64));
        self.nodes.reserve_exact(more);
        more > 0
    }

    /// Appends a container; [`Tree::close`] ends it.
    pub(crate) fn open(&mut self, kind: Kind, start: u32) -> u32 {
        let after = self.nodes.len() as u32 + 1;
        self.add(kind, Span { start, end: start }, after, Text::None)
    }

    /// Appends a scalar whose text is what stands in the source.
    pub(crate) fn push_whole(&mut self, kind: Kind, span: Span) -> u32 {
        self.add(kind, span, 0, Text::Whole)
    }

    /// Appends a scalar whose text is what stands in the source between quotes.
    pub(crate) fn push_quoted(&mut self, span: Span) -> u32 {
        self.add(Kind::String, span, 0, Text::Quoted)
    }

    /// Appends a scalar whose text was made by `write`.
    pub(crate) fn push_pool(&mut self, kind: Kind, span: Span, write: impl FnOnce(&mut String)) -> u32 {
        write(&mut self.pool);
        let piece = self.pool_ends.len() as u32;
        self.pool_ends.push(self.pool.len() as u32);
        self.add(kind, span, piece, Text::Pool)
    }

    /// Empties the tree; its source and its memory stay.
    #[cfg(feature = "yaml")]
    pub(crate) fn clear(&mut self) {
        self.is_full = false;
        self.nodes.clear();
        self.pool.clear();
        self.pool_ends.clear();
    }

    #[cfg(feature = "yaml")]
    pub(crate) fn push_alias(&mut self, span: Span, target: u32) -> u32 {
        self.add(Kind::Alias, span, target, Text::None)
    }

    #[cfg(feature = "yaml")]
    pub(crate) fn set_tag(&mut self, index: u32, tag: Tag) {
        if let Some(node) = self.nodes.get_mut(index as usize) {
            node.tag = tag;
        }
    }

    /// Gives back what a dense document did not need after all.
    pub(crate) fn finish(&mut self) {
        if self.nodes.capacity() > self.nodes.len() + self.nodes.len() / 4 + (4 << 10) {
            self.nodes.shrink_to_fit();
        }
    }

    /// How much memory the tree takes beside its source.
    pub(crate) fn octets(&self) -> usize {
        self.nodes.len() * size_of::<Node>() + self.pool.len() + self.pool_ends.len() * 4
    }

    /// Whether the tree has grown beyond its share of the memory.
    pub(crate) fn is_too_dense(&self) -> bool {
        self.is_full || self.octets() > self.source_length * 5 + FREE
    }

    /// Makes room for what a document of this size usually needs; what is not used is never touched.
    pub(crate) fn reserve(&mut self, source: usize) {
        self.source_length = source;
        self.nodes.reserve_exact(source / 24 + 16);
    }

    /// Every node in source order.
    #[cfg(all(test, feature = "yaml"))]
    pub(crate) fn all(&self) -> impl Iterator<Item = Cursor<'_>> {
        (0..self.nodes.len() as u32).map(|index| Cursor { tree: self, index })
    }

    #[cfg(feature = "yaml")]
    pub(crate) fn start(&self, index: u32) -> u32 {
        self.node(index).span.start
    }

    #[cfg(feature = "yaml")]
    pub(crate) fn is_object(&self, index: u32) -> bool {
        self.node(index).kind == Kind::Object
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
                child = self.node(child).next(child);
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
            if matches!(node.kind, Kind::Array | Kind::Object) {
                node.value = next;
            }
            node.span.end = end;
        }
    }

    fn node(&self, index: u32) -> Node {
        self.nodes.get(index as usize).copied().unwrap_or(Node {
            span: Span::default(),
            value: 0,
            kind: Kind::Null,
            #[cfg(feature = "yaml")]
            tag: Tag::None,
            text: Text::None,
        })
    }

    fn text(&self, node: Node) -> &str {
        let Span { start, end } = node.span;
        match node.text {
            Text::None => "",
            Text::Whole => self.source.get(start as usize..end as usize).unwrap_or_default(),
            Text::Quoted => {
                self.source.get(start as usize + 1..(end as usize).saturating_sub(1)).unwrap_or_default()
            }
            Text::Pool => {
                let piece = node.value as usize;
                let end = self.pool_ends.get(piece).copied().unwrap_or_default();
                let start = piece.checked_sub(1).and_then(|before| self.pool_ends.get(before)).copied();
                self.pool.get(start.unwrap_or_default() as usize..end as usize).unwrap_or_default()
            }
        }
    }
}

impl Node {
    /// The index after this node, which stands at `index`, and all that is in it.
    fn next(self, index: u32) -> u32 {
        match self.kind {
            Kind::Array | Kind::Object => self.value,
            _ => index + 1,
        }
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
            here.index = here.node().value;
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

    /// The index after the subtree.
    #[cfg(all(test, feature = "yaml"))]
    pub(crate) fn after(self) -> u32 {
        self.node().next(self.index)
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
        here.node().next(here.index) - here.index
    }

    /// A piece of the source.
    pub(crate) fn source_text(self, span: Span) -> &'t str {
        self.tree.source.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// The elements of a list; none for anything else.
    pub fn items(self) -> Items<'t> {
        let here = self.target();
        let node = here.node();
        let end = if node.kind == Kind::Array { node.value } else { here.index + 1 };
        Items { tree: here.tree, next: here.index + 1, end }
    }

    /// Keys and values of an object in source order; none for anything else.
    pub fn members(self) -> Members<'t> {
        let here = self.target();
        let node = here.node();
        let end = if node.kind == Kind::Object { node.value } else { here.index + 1 };
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
            self.next = here.node().next(here.index);
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
