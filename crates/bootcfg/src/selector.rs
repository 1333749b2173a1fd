//! Selectors: the pairs a request must carry for a group to match, and which of two groups goes first.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Deref;

use crate::labels::Labels;

/// The value, or the values any of which will do (strict mode; matchbox has single values only).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Wanted {
    One(Box<str>),
    AnyOf(Box<[Box<str>]>),
}

impl Wanted {
    pub(crate) fn values(&self) -> &[Box<str>] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::AnyOf(values) => values,
        }
    }

    fn accepts(&self, value: &[u8]) -> bool {
        self.values().iter().any(|wanted| wanted.as_bytes() == value)
    }
}

/// Pairs that must all hold, in the order of their keys. Without pairs it matches everything.
///
/// Precedence, first things first: more pairs; then (strict mode) fewer alternatives in lists; then the greater text
/// of `k=v,k=v` with sorted keys, in byte order. Equal selectors: the first file name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selector {
    pairs: Pairs,
}

/// A key, where it is one of those that everybody uses without memory of its own.
pub(crate) type Key = Cow<'static, str>;

/// Keys that most selectors have.
const COMMON: [&str; 6] = ["mac", "uuid", "os", "hostname", "serial", "modekey"];

/// The pairs in the order of their keys; a single one, which most selectors have, lies in place.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Pairs {
    One([(Key, Wanted); 1]),
    Any(Box<[(Key, Wanted)]>),
}

impl Default for Pairs {
    fn default() -> Self {
        Self::Any(Box::default())
    }
}

impl Deref for Pairs {
    type Target = [(Key, Wanted)];

    fn deref(&self) -> &Self::Target {
        match self {
            Self::One(pair) => pair,
            Self::Any(pairs) => pairs,
        }
    }
}

impl Selector {
    pub(crate) fn new(pairs: Vec<(Box<str>, Wanted)>) -> Self {
        let key = |key: Box<str>| match COMMON.into_iter().find(|common| *common == &*key) {
            Some(common) => Key::Borrowed(common),
            None => Key::Owned(key.into()),
        };
        let mut pairs: Vec<_> = pairs.into_iter().map(|(text, wanted)| (key(text), wanted)).collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        Self { pairs: pairs.try_into().map_or_else(|pairs: Vec<_>| Pairs::Any(pairs.into()), Pairs::One) }
    }

    /// Whether all pairs hold. An absent label counts as the empty value, as a Go map gives it.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.pairs.iter().all(|(key, wanted)| wanted.accepts(labels.get_bytes(key).unwrap_or_default()))
    }

    /// The pairs: key and the values that will do (one, but for lists in strict mode).
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Box<str>])> {
        self.pairs.iter().map(|(key, wanted)| (key.as_ref(), wanted.values()))
    }

    /// The number of pairs.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether this matches everything.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// `k=v,k=v` in the order of keys: what decides between selectors with equally many pairs.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (key, wanted) in self.pairs.iter() {
            if !out.is_empty() {
                out.push(',');
            }
            out.push_str(key);
            out.push('=');
            out.push_str(&wanted.values().join("|"));
        }
        out
    }

    fn alternatives(&self) -> usize {
        self.pairs.iter().map(|(_, wanted)| wanted.values().len().saturating_sub(1)).sum()
    }

    /// `Less` if this selector goes before the other.
    pub fn precedence(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }

    /// A key that sorts selectors by precedence.
    pub(crate) fn rank(&self) -> impl Ord + use<> {
        (std::cmp::Reverse(self.len()), self.alternatives(), std::cmp::Reverse(self.text()))
    }
}
