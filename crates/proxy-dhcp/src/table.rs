//! A table by hardware address of a size fixed at the start: rows of eight, and the entry touched longest ago makes
//! room. A flood of made-up addresses costs no memory.

use crate::wire::MacAddr;
use std::num::NonZeroU32;

/// Entries in one row.
const WAYS: usize = 8;

/// The table. Whose each entry is stands apart from what it holds, and packed, so that a search reads little memory.
#[derive(Debug)]
pub(crate) struct Table<T> {
    keys: Box<[Row]>,
    values: Box<[[Option<T>; WAYS]]>,
    seed: u64,
    /// Counts how often an entry was touched; starts again after four thousand million times.
    now: NonZeroU32,
}

/// Two lines of a processor's cache at most.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Row([Option<Key>; WAYS]);

#[derive(Clone, Copy, Debug)]
struct Key {
    mac: MacAddr,
    /// What [`Table::now`] was then.
    touched: NonZeroU32,
}

impl<T: Copy> Table<T> {
    /// Room for `capacity` entries, rounded up to a power of two of at least 8 and at most 8 Mi.
    pub(crate) fn new(capacity: usize, seed: u64) -> Self {
        let rows = capacity.div_ceil(WAYS).clamp(1, 1 << 20).next_power_of_two();
        let keys = vec![Row([None; WAYS]); rows].into_boxed_slice();
        Self { keys, values: vec![[None; WAYS]; rows].into_boxed_slice(), seed, now: NonZeroU32::MIN }
    }

    /// The entry of an address, made by `fresh` when there is none.
    pub(crate) fn entry(&mut self, mac: MacAddr, fresh: impl FnOnce() -> T) -> Option<&mut T> {
        let index = self.index(mac);
        let now = self.now.checked_add(1).unwrap_or(NonZeroU32::MIN);
        self.now = now;
        let Row(keys) = self.keys.get_mut(index)?;
        let values = self.values.get_mut(index)?;
        let place = match position(keys, mac) {
            Some(place) => place,
            None => {
                let age =
                    |key: &Option<Key>| key.map_or(u32::MAX, |key| now.get().wrapping_sub(key.touched.get()));
                let (place, _) = keys.iter().enumerate().max_by_key(|(_, key)| age(key))?;
                *values.get_mut(place)? = Some(fresh());
                place
            }
        };
        *keys.get_mut(place)? = Some(Key { mac, touched: now });
        values.get_mut(place)?.as_mut()
    }

    /// The entry of an address, without touching it.
    pub(crate) fn get(&self, mac: MacAddr) -> Option<&T> {
        let index = self.index(mac);
        let place = position(&self.keys.get(index)?.0, mac)?;
        self.values.get(index)?.get(place)?.as_ref()
    }

    /// The entry of an address, to be changed without touching it.
    pub(crate) fn get_mut(&mut self, mac: MacAddr) -> Option<&mut T> {
        let index = self.index(mac);
        let place = position(&self.keys.get(index)?.0, mac)?;
        self.values.get_mut(index)?.get_mut(place)?.as_mut()
    }

    /// Every entry.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (MacAddr, &mut T)> {
        let both = self.keys.iter().flat_map(|Row(keys)| keys).zip(self.values.iter_mut().flatten());
        both.filter_map(|(key, value)| Some((key.as_ref()?.mac, value.as_mut()?)))
    }

    /// The seed is in the hash, so that nobody can choose addresses that push another out of its row.
    fn index(&self, mac: MacAddr) -> usize {
        let [a, b, c, d, e, f] = mac.0;
        let mut hash = u64::from_be_bytes([0, 0, a, b, c, d, e, f]) ^ self.seed;
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (hash ^ (hash >> 31)) as usize & (self.keys.len() - 1)
    }
}

fn position(keys: &[Option<Key>; WAYS], mac: MacAddr) -> Option<usize> {
    keys.iter().position(|key| key.as_ref().is_some_and(|key| key.mac == mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_a_row_makes_room() {
        let mut table = Table::new(8, 7);
        for i in 0..100u8 {
            table.entry(MacAddr([0, 0, 0, 0, 0, i]), || i);
        }
        let mut left: Vec<u8> = table.iter_mut().map(|(_, value)| *value).collect();
        left.sort_unstable();
        assert_eq!(left, (92..100).collect::<Vec<_>>());
        assert_eq!(table.get(MacAddr([0, 0, 0, 0, 0, 99])), Some(&99));
        assert_eq!(table.get(MacAddr([0, 0, 0, 0, 0, 9])), None);
    }

    #[test]
    fn a_row_of_addresses_is_small() {
        assert_eq!(size_of::<Row>(), 96);
    }

    #[test]
    fn counting_may_start_again() {
        let mut table = Table::new(8, 7);
        table.now = NonZeroU32::new(u32::MAX - 15).unwrap();
        for i in 0..20u8 {
            table.entry(MacAddr([0, 0, 0, 0, 0, i]), || i);
        }
        let mut left: Vec<u8> = table.iter_mut().map(|(_, value)| *value).collect();
        left.sort_unstable();
        assert_eq!(left, (12..20).collect::<Vec<_>>());
    }
}
