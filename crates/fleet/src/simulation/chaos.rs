//! What goes wrong by the seed: a small generator, and a store that refuses or tears writes.

use crate::record::Record;
use crate::store::{Store, Tables};

/// SplitMix64: the same seed, the same schedule.
#[derive(Clone, Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// With so many chances in a hundred.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn octets(&mut self) -> [u8; 16] {
        (u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes()
    }
}

/// A store that survives what its server does not.
#[derive(Clone, Debug, Default)]
pub(super) struct ChaosStore {
    pub(super) tables: Tables,
    /// Refuses every write while set.
    pub(super) full: bool,
    /// The server is killed at the next write, after so many of its records.
    pub(super) tear: Option<usize>,
    /// It was.
    pub(super) torn: bool,
    /// Grants replace each other: part of the rule that an order is granted once.
    pub(super) overwrites: bool,
}

impl Store for ChaosStore {
    type Error = String;

    fn append(&mut self, records: &[Record]) -> Result<(), String> {
        if self.full || self.torn {
            return Err("No space left on device".into());
        }
        let most = self.tear.take().inspect(|_| self.torn = true).unwrap_or(usize::MAX);
        for record in records.iter().take(most) {
            let result = self.tables.apply(record.clone());
            if !self.overwrites {
                result.map_err(|error| error.to_string())?;
            }
        }
        if self.torn { Err("killed".into()) } else { Ok(()) }
    }

    fn load(&self) -> Result<Vec<Record>, String> {
        Ok(self.tables.records())
    }
}
