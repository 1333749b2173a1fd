//! Finds the first matching group without trying them all. Each group hangs on the rarest of its pairs; a request
//! looks only at the groups that hang on a pair it carries.

use std::collections::HashMap;

use crate::labels::Labels;
use crate::selector::Selector;

type Ranks = Vec<u32>;

/// Ranks (positions in order of precedence) by the pair they hang on.
#[derive(Debug, Default)]
pub(crate) struct Index {
    by_pair: HashMap<Box<str>, HashMap<Box<str>, Ranks>>,
    others: Ranks, // selectors without a pair that a request must carry: empty, or empty values only
}

impl Index {
    /// Indexes selectors given in order of precedence.
    pub(crate) fn new<'a>(selectors: impl Iterator<Item = &'a Selector> + Clone) -> Self {
        let mut count: HashMap<(&str, &str), u32> = HashMap::new();
        for selector in selectors.clone() {
            for (key, values) in selector.iter() {
                for value in values {
                    *count.entry((key, value)).or_default() += 1;
                }
            }
        }
        let mut index = Self::default();
        for (rank, selector) in (0..).zip(selectors) {
            let weight = |key, values: &[Box<str>]| -> u64 {
                values.iter().map(|value| u64::from(count.get(&(key, &**value)).copied().unwrap_or(0))).sum()
            };
            let must_carry =
                selector.iter().filter(|(_, values)| values.iter().all(|value| !value.is_empty()));
            match must_carry.min_by_key(|(key, values)| weight(key, values)) {
                Some((key, values)) => {
                    for value in values {
                        if !index.by_pair.contains_key(key) {
                            index.by_pair.insert(key.into(), HashMap::new());
                        }
                        if let Some(by_value) = index.by_pair.get_mut(key) {
                            by_value.entry(value.clone()).or_default().push(rank);
                        }
                    }
                }
                None => index.others.push(rank),
            }
        }
        index
    }

    /// The lowest rank whose selector matches.
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
        for (key, value) in labels.iter() {
            let (Ok(key), Ok(value)) = (std::str::from_utf8(key), std::str::from_utf8(value)) else {
                continue;
            };
            if let Some(ranks) = self.by_pair.get(key).and_then(|by_value| by_value.get(value)) {
                search(ranks);
            }
        }
        search(&self.others);
        best
    }
}
