//! Merging a parent and a child config, with a record of which side set what.
//!
//! 3.x: Ignition's `config/merge`; lists are merged by key. 2.x: append, as Flatcar's `Append`.

use std::collections::{HashMap, HashSet};

use crate::convert::{self, Options};
use crate::parse::{Body, Config};
use crate::report::{At, Path, Report};
use crate::version::SpecVersion;

/// What makes two elements of a list the same.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Key<'k> {
    Text(&'k str),
    Number(i64),
    /// Never the same.
    None,
}

/// An element of a list.
pub(crate) trait Item {
    fn key(&self) -> Key<'_> {
        Key::None
    }

    /// The child's element removes the parent's.
    fn removes(&self) -> bool {
        false
    }
}

impl Item for String {
    fn key(&self) -> Key<'_> {
        Key::Text(self)
    }
}

/// The same place in parent, child and result.
pub(crate) struct Sides<'p> {
    parent: At<'p>,
    child: At<'p>,
    result: At<'p>,
}

impl Sides<'_> {
    fn key<'q>(&'q self, name: &'q str) -> Sides<'q> {
        Sides { parent: self.parent.key(name), child: self.child.key(name), result: self.result.key(name) }
    }
}

/// The state of one merge.
#[derive(Debug, Default)]
pub(crate) struct Cx {
    /// 2.x: lists are joined and scalars are always the child's.
    append: bool,
    /// Elements of the parent's next list of that name that the child removes.
    skip: HashMap<&'static str, HashSet<usize>>,
    origins: Option<Vec<Origin>>,
}

impl Cx {
    pub(crate) fn skip(&mut self, list: &'static str, removed: impl Iterator<Item = bool>) {
        let removed: HashSet<usize> =
            removed.enumerate().filter(|(_, removed)| *removed).map(|(index, _)| index).collect();
        if !removed.is_empty() {
            self.skip.insert(list, removed);
        }
    }

    fn record(&mut self, side: Side, from: &At<'_>, to: &At<'_>) {
        if let Some(origins) = &mut self.origins {
            origins.push(Origin { result: to.path(), side, path: from.path() });
        }
    }
}

/// One of the two configs of a merge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// The first config.
    Parent,
    /// The second config, which wins.
    Child,
}

/// Where a value of the result, and everything below it, comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin {
    /// Place in the result.
    pub result: Path,
    /// The config it comes from.
    pub side: Side,
    /// Its place there.
    pub path: Path,
}

/// A value that can be merged with its counterpart.
pub(crate) trait Merge: Sized {
    fn merge(self, child: Self, cx: &mut Cx, at: &Sides<'_>) -> Self;

    /// Lists only: keeps every element of both sides.
    fn join(self, child: Self, cx: &mut Cx, at: &Sides<'_>) -> Self {
        self.merge(child, cx, at)
    }
}

/// Merges one member.
pub(crate) fn field<T: Merge>(
    parent: T,
    child: T,
    name: &'static str,
    append: bool,
    cx: &mut Cx,
    at: &Sides<'_>,
) -> T {
    let at = at.key(name);
    if append || cx.append { parent.join(child, cx, &at) } else { parent.merge(child, cx, &at) }
}

macro_rules! scalars {
    ($($ty:ty),*) => { $(
        impl Merge for $ty {
            fn merge(self, child: Self, cx: &mut Cx, at: &Sides<'_>) -> Self {
                cx.record(Side::Child, &at.child, &at.result);
                child
            }
        }
    )* };
}
scalars!(bool, i64, u64, String);

impl<T> Merge for Option<T> {
    fn merge(self, child: Self, cx: &mut Cx, at: &Sides<'_>) -> Self {
        match (&self, &child) {
            (_, Some(_)) => cx.record(Side::Child, &at.child, &at.result),
            (Some(_), None) => cx.record(Side::Parent, &at.parent, &at.result),
            (None, None) => {}
        }
        child.or(self)
    }
}

impl<T: Item + Merge> Merge for Vec<T> {
    fn merge(self, child: Self, cx: &mut Cx, at: &Sides<'_>) -> Self {
        let skipped = at.result.last_key().and_then(|name| cx.skip.remove(name)).unwrap_or_default();
        if child.is_empty() && skipped.is_empty() {
            if !self.is_empty() {
                cx.record(Side::Parent, &at.parent, &at.result);
            }
            return self;
        }
        if self.is_empty() {
            cx.record(Side::Child, &at.child, &at.result);
            return child;
        }
        // Which child element belongs to which parent element, before anything moves.
        let matches: Vec<Option<usize>> = {
            let places: HashMap<Key<'_>, usize> =
                child.iter().enumerate().map(|(index, item)| (item.key(), index)).collect();
            self.iter().map(|item| places.get(&item.key()).copied()).collect()
        };
        let mut children: Vec<Option<T>> = child.into_iter().map(Some).collect();
        let mut result = Vec::with_capacity(self.len() + children.len());
        for (index, (parent, found)) in self.into_iter().zip(matches).enumerate() {
            if skipped.contains(&index) {
                continue;
            }
            let here = result.len();
            let Some(place) = found else {
                cx.record(Side::Parent, &at.parent.index(index), &at.result.index(here));
                result.push(parent);
                continue;
            };
            let Some(child) = children.get_mut(place).and_then(Option::take) else { continue };
            if child.removes() {
                continue;
            }
            cx.record(Side::Child, &at.child.index(place), &at.result.index(here));
            let sides = Sides {
                parent: at.parent.index(index),
                child: at.child.index(place),
                result: at.result.index(here),
            };
            result.push(parent.merge(child, cx, &sides));
        }
        for (index, child) in children.into_iter().enumerate() {
            if let Some(child) = child {
                cx.record(Side::Child, &at.child.index(index), &at.result.index(result.len()));
                result.push(child);
            }
        }
        result
    }

    fn join(mut self, child: Self, cx: &mut Cx, at: &Sides<'_>) -> Self {
        if cx.origins.is_some() {
            for index in 0..self.len() {
                cx.record(Side::Parent, &at.parent.index(index), &at.result.index(index));
            }
            for index in 0..child.len() {
                cx.record(Side::Child, &at.child.index(index), &at.result.index(self.len() + index));
            }
        }
        self.extend(child);
        self
    }
}

/// Merges two configs of 3.x of one version.
#[cfg(feature = "butane")]
pub(crate) fn merge_v3(
    parent: crate::v3::Config,
    child: crate::v3::Config,
) -> (crate::v3::Config, Vec<Origin>) {
    let mut cx = Cx { origins: Some(Vec::new()), ..Cx::default() };
    let at = Sides { parent: At::ROOT, child: At::ROOT, result: At::ROOT };
    let merged = parent.merge(child, &mut cx, &at);
    (merged, cx.origins.unwrap_or_default())
}

/// A merged config and where its parts come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    /// The result. It may break rules that neither input breaks: check it if that matters.
    pub config: Config,
    /// Which config set what; a place's origin is that of the longest recorded path above it.
    pub origins: Vec<Origin>,
    /// What the upgrade of the older config had to say.
    pub report: Report,
}

impl Merged {
    /// The origin of a place in the result.
    pub fn origin(&self, path: &Path) -> Option<&Origin> {
        self.origins
            .iter()
            .filter(|origin| path.0.starts_with(&origin.result.0))
            .max_by_key(|origin| origin.result.0.len())
    }
}

/// Merges two valid configs of one generation; the older is upgraded first.
///
/// ```
/// use ignition::Config;
/// let parent = Config::parse(br#"{"ignition":{"version":"3.0.0"},"storage":{"files":[{"path":"/a","mode":420}]}}"#);
/// let child = Config::parse(br#"{"ignition":{"version":"3.3.0"},"kernelArguments":{"shouldExist":["q"]}}"#);
/// let merged = ignition::merge::merge(parent.unwrap().0, child.unwrap().0, false).unwrap();
/// assert_eq!(merged.config.version.to_string(), "3.3.0");
/// ```
///
/// # Errors
/// The configs are of different generations, or the upgrade of one fails.
pub fn merge(parent: Config, child: Config, with_origins: bool) -> Result<Merged, Report> {
    let mut report = Report::default();
    let mut target = parent.version.max(child.version);
    if (parent.version.major() == 3) != (child.version.major() == 3) {
        let message =
            format!("a config of {} cannot be merged with one of {}", parent.version, child.version);
        let ignition = At::ROOT.key("ignition");
        report.error("different-generations", message, &ignition.key("version"));
        return Err(report);
    }
    if target.major() <= 2
        && let Some(newest) = SpecVersion::v2(4)
    {
        target = newest;
    }
    let mut upgrade = |config: Config| {
        if config.version == target {
            return Ok(config);
        }
        let (config, said) = convert::convert(config, target, &Options::default())?;
        report.append(said);
        Ok(config)
    };
    let (parent, child) = (upgrade(parent)?, upgrade(child)?);
    let mut cx = Cx { origins: with_origins.then(Vec::new), ..Cx::default() };
    let at = Sides { parent: At::ROOT, child: At::ROOT, result: At::ROOT };
    let body = match (parent.body, child.body) {
        (Body::V3(parent), Body::V3(child)) => Body::V3(parent.merge(child, &mut cx, &at)),
        (Body::V2(parent), Body::V2(child)) => {
            cx.append = true;
            let config = child.ignition.config.clone();
            let mut merged = parent.merge(child, &mut cx, &at);
            // These two are not appended: the child's references replace the parent's.
            merged.ignition.config = config;
            merged.ignition.version = target.to_string();
            Body::V2(merged)
        }
        (_, child) => child, // the versions are equal, so the generations are
    };
    Ok(Merged { config: Config { version: target, body }, origins: cx.origins.unwrap_or_default(), report })
}
