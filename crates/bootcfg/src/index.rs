//! Finds the first matching group without trying them all. Each group hangs on the rarest of its pairs; a request
//! looks only at the groups that hang on a pair it carries.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

use crate::labels::Labels;
use crate::selector::Selector;

/// Positions in order of precedence.
#[derive(Debug)]
enum Ranks {
    One(u32),
    Many(Box<[u32]>),
}

impl Ranks {
    fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(rank) => std::slice::from_ref(rank),
            Self::Many(ranks) => ranks,
        }
    }
}

/// Ranks by the digest of the pair they hang on. Pairs are not kept: who is found is asked whether it really matches,
/// so two pairs with one digest cost a look and nothing else.
#[derive(Debug, Default)]
pub(crate) struct Index {
    digests: RandomState,
    by_pair: HashMap<u64, Ranks, BuildHasherDefault<AsGiven>>,
    others: Vec<u32>, // selectors without a pair that a request must carry: empty, or empty values only
}

impl Index {
    /// Indexes selectors given in order of precedence.
    pub(crate) fn new<'a>(selectors: impl Iterator<Item = &'a Selector> + Clone) -> Self {
        let mut index = Self::default();
        let mut count: HashMap<u64, u32, BuildHasherDefault<AsGiven>> = HashMap::default();
        for selector in selectors.clone().filter(|selector| selector.len() > 1) {
            for (key, values) in selector.iter() {
                for value in values {
                    *count.entry(index.digest(key.as_bytes(), value.as_bytes())).or_default() += 1;
                }
            }
        }
        let mut hanging: Vec<(u64, u32)> = Vec::new();
        for (rank, selector) in (0..).zip(selectors) {
            let weight = |key: &str, values: &[Box<str>]| -> u64 {
                let digests = values.iter().map(|value| index.digest(key.as_bytes(), value.as_bytes()));
                digests.map(|digest| u64::from(count.get(&digest).copied().unwrap_or(0))).sum()
            };
            let must_carry =
                selector.iter().filter(|(_, values)| values.iter().all(|value| !value.is_empty()));
            match must_carry.min_by_key(|(key, values)| weight(key, values)) {
                Some((key, values)) => {
                    let digests = values.iter().map(|value| index.digest(key.as_bytes(), value.as_bytes()));
                    hanging.extend(digests.map(|digest| (digest, rank)));
                }
                None => index.others.push(rank),
            }
        }
        hanging.sort_unstable();
        index.by_pair.reserve(hanging.len());
        for same in hanging.chunk_by(|a, b| a.0 == b.0) {
            let ranks = match same {
                [(_, rank)] => Ranks::One(*rank),
                _ => Ranks::Many(same.iter().map(|(_, rank)| *rank).collect()),
            };
            index.by_pair.extend(same.first().map(|(digest, _)| (*digest, ranks)));
        }
        index
    }

    /// The lowest rank whose selector matches; `selector` gives `None` for a rank that is to be passed over.
    pub(crate) fn first_match<'a>(
        &self,
        labels: &Labels,
        selector: impl Fn(u32) -> Option<&'a Selector>,
    ) -> Option<u32> {
        let mut best = None;
        let mut search = |ranks: &[u32]| {
            for &rank in ranks {
                if best.is_some_and(|best| best < rank) {
                    return;
                }
                if selector(rank).is_some_and(|selector| selector.matches(labels)) {
                    best = Some(rank);
                    return;
                }
            }
        };
        if !self.by_pair.is_empty() {
            for (key, value) in labels.iter() {
                if let Some(ranks) = self.by_pair.get(&self.digest(key, value)) {
                    search(ranks.as_slice());
                }
            }
        }
        search(&self.others);
        best
    }

    fn digest(&self, key: &[u8], value: &[u8]) -> u64 {
        let mut hasher = self.digests.build_hasher();
        hasher.write(key);
        hasher.write_u8(0xff); // in no UTF-8, so in no selector's key
        hasher.write(value);
        hasher.finish()
    }
}

/// A hasher for keys that are digests already.
#[derive(Debug, Default)]
struct AsGiven(u64);

impl Hasher for AsGiven {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for &octet in octets {
            self.0 = self.0.rotate_left(8) ^ u64::from(octet);
        }
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }
}
