//! The groups of a snapshot in two layers: all of them as they were last sorted and indexed, and over that the few that
//! have changed since. So an edit costs by what was edited, not by the number of groups. `catalog.rs` holds it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::group::Group;
use crate::index::Index;
use crate::labels::Labels;

/// As many edits always fit in the upper layer…
const FEW: usize = 64;
/// … and one for so many groups below it: then both become one again.
const SHARE: usize = 64;

/// All groups.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    base: Arc<Layer>,
    gone: Arc<BTreeSet<u32>>, // ranks in `base` that were removed or edited
    edited: Arc<Layer>,
}

/// Groups in order of precedence; of equal selectors the first file name goes first.
#[derive(Debug, Default)]
struct Layer {
    groups: Vec<Arc<Group>>,
    by_file: Vec<u32>, // ranks in the order of file names
    index: Index,
}

impl Layer {
    fn new(mut groups: Vec<Arc<Group>>) -> Self {
        groups.sort_by(|a, b| a.file().cmp(b.file()));
        let mut order: Vec<(usize, Arc<Group>)> = groups.into_iter().enumerate().collect();
        order.sort_by_cached_key(|(_, group)| group.selector.rank());
        let mut by_file = vec![0; order.len()];
        for (rank, (at, _)) in (0..).zip(&order) {
            if let Some(place) = by_file.get_mut(*at) {
                *place = rank;
            }
        }
        let groups: Vec<_> = order.into_iter().map(|(_, group)| group).collect();
        let index = Index::new(groups.iter().map(|group| &group.selector));
        Self { groups, by_file, index }
    }

    fn get(&self, rank: u32) -> Option<&Arc<Group>> {
        self.groups.get(usize::try_from(rank).ok()?)
    }

    fn rank_of(&self, file: &str) -> Option<u32> {
        let of = |rank: &u32| self.get(*rank).map_or("", |group| group.file());
        let at = self.by_file.binary_search_by(|rank| of(rank).cmp(file)).ok()?;
        self.by_file.get(at).copied()
    }

    fn first_match(&self, labels: &Labels, gone: &BTreeSet<u32>) -> Option<&Group> {
        let selector = |rank: u32| {
            if !gone.is_empty() && gone.contains(&rank) {
                return None;
            }
            self.get(rank).map(|group| &group.selector)
        };
        let rank = self.index.first_match(labels, selector)?;
        self.get(rank).map(AsRef::as_ref)
    }
}

fn precedence(a: &Group, b: &Group) -> Ordering {
    a.selector.precedence(&b.selector).then_with(|| a.file().cmp(b.file()))
}

impl Groups {
    /// Sorts and indexes.
    pub(crate) fn new(groups: Vec<Arc<Group>>) -> Self {
        Self { base: Arc::new(Layer::new(groups)), ..Self::default() }
    }

    /// The first match in order of precedence.
    pub(crate) fn select(&self, labels: &Labels) -> Option<&Group> {
        let below = self.base.first_match(labels, &self.gone);
        let above = self.edited.first_match(labels, &BTreeSet::new());
        match (below, above) {
            (Some(below), Some(above)) if precedence(below, above).is_lt() => Some(below),
            (below, None) => below,
            (_, above) => above,
        }
    }

    /// A group by its file.
    pub(crate) fn by_file(&self, file: &str) -> Option<&Group> {
        let above = self.edited.rank_of(file).and_then(|rank| self.edited.get(rank));
        let below = || {
            let rank = self.base.rank_of(file).filter(|rank| !self.gone.contains(rank));
            rank.and_then(|rank| self.base.get(rank))
        };
        above.or_else(below).map(AsRef::as_ref)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.base.groups.len() - self.gone.len() + self.edited.groups.len()
    }

    /// All, in order of precedence.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Group> {
        let mut below = self.kept().map(AsRef::as_ref).peekable();
        let mut above = self.edited.groups.iter().map(AsRef::as_ref).peekable();
        std::iter::from_fn(move || match (below.peek(), above.peek()) {
            (Some(a), Some(b)) if precedence(a, b).is_lt() => below.next(),
            (_, Some(_)) => above.next(),
            (_, None) => below.next(),
        })
    }

    fn kept(&self) -> impl Iterator<Item = &Arc<Group>> {
        let numbered = (0..).zip(&self.base.groups);
        numbered.filter(|(rank, _)| !self.gone.contains(rank)).map(|(_, group)| group)
    }

    /// With these files changed: the group now there, or `None` for none.
    pub(crate) fn edit(&mut self, changes: &BTreeMap<&str, Option<Arc<Group>>>) {
        let untouched = |group: &&Arc<Group>| !changes.contains_key(group.file());
        let mut edited: Vec<_> = self.edited.groups.iter().filter(untouched).cloned().collect();
        edited.extend(changes.values().flatten().cloned());
        let gone = Arc::make_mut(&mut self.gone);
        gone.extend(changes.keys().filter_map(|file| self.base.rank_of(file)));
        if gone.len() + edited.len() > FEW.max(self.base.groups.len() / SHARE) {
            edited.extend(self.kept().cloned());
            *self = Self::new(edited);
        } else {
            self.edited = Arc::new(Layer::new(edited));
        }
    }
}
