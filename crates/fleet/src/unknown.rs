//! Ethernet addresses that belong to no machine: a bounded ring in memory, nothing durable. A million
//! forged ones push each other out.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use serde::Serialize;

use crate::identity::{Mac, Sighting, Uuid};
use crate::time::Timestamp;

/// An unknown machine, as heard.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Unknown {
    /// Its Ethernet address.
    pub mac: Mac,
    /// Option 97 as last heard.
    pub uuid: Option<Uuid>,
    /// The address it last spoke from.
    pub peer: Option<IpAddr>,
    /// First heard.
    pub first: Timestamp,
    /// Last heard.
    pub last: Timestamp,
    /// How often.
    pub times: u64,
    #[serde(skip)]
    turn: u64,
}

/// The ring: the least recently heard leaves first.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnknownRing {
    heard: HashMap<Mac, Unknown>,
    by_turn: BTreeMap<u64, Mac>,
    turn: u64,
    left: u64,
}

impl UnknownRing {
    /// Hears an address. True when it was not in the ring.
    pub(crate) fn hear(&mut self, now: Timestamp, mac: Mac, sighting: &Sighting, capacity: usize) -> bool {
        self.turn += 1;
        let turn = self.turn;
        if let Some(known) = self.heard.get_mut(&mac) {
            self.by_turn.remove(&known.turn);
            self.by_turn.insert(turn, mac);
            (known.turn, known.last, known.times) = (turn, now, known.times.saturating_add(1));
            known.uuid = sighting.uuid.or(known.uuid);
            known.peer = sighting.peer.or(known.peer);
            return false;
        }
        let full = self.heard.len() >= capacity.max(1);
        if let Some((_, oldest)) = full.then(|| self.by_turn.pop_first()).flatten() {
            self.heard.remove(&oldest);
            self.left += 1;
        }
        let (uuid, peer) = (sighting.uuid, sighting.peer);
        self.heard.insert(mac, Unknown { mac, uuid, peer, first: now, last: now, times: 1, turn });
        self.by_turn.insert(turn, mac);
        true
    }

    /// Takes an address out: it is known now.
    pub(crate) fn take(&mut self, mac: Mac) -> Option<Unknown> {
        let known = self.heard.remove(&mac)?;
        self.by_turn.remove(&known.turn);
        Some(known)
    }

    /// An address in the ring.
    pub(crate) fn find(&self, mac: Mac) -> Option<&Unknown> {
        self.heard.get(&mac)
    }

    /// All of them, the least recently heard first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Unknown> {
        self.by_turn.values().filter_map(|mac| self.heard.get(mac))
    }

    /// How many were pushed out.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // DESIGN 4: unknown MACs live in a bounded ring.
    #[test]
    fn a_flood_of_addresses_stays_within_the_ring() {
        let mut ring = UnknownRing::default();
        for n in 0..100_000u32 {
            let [a, b, c, d] = n.to_be_bytes();
            let mac = Mac([2, 0, a, b, c, d]);
            assert!(ring.hear(Timestamp::from_millis(1), mac, &Sighting::of(mac), 64));
        }
        assert_eq!(
            (ring.iter().count(), ring.heard.len(), ring.by_turn.len(), ring.left()),
            (64, 64, 64, 99_936)
        );
        assert!(!ring.hear(
            Timestamp::from_millis(2),
            Mac([2, 0, 0, 1, 0x86, 0x9f]),
            &Sighting::default(),
            64
        ));
    }
}
