//! What is remembered of each machine: a table of fixed size, so that a flood of made-up addresses costs no memory.

use crate::reply::Stage;
use crate::wire::MacAddr;
use std::time::{Duration, Instant};

/// Machines in one row of the table; the one seen longest ago makes room.
const WAYS: usize = 8;

/// What is remembered of one machine.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Its hardware address.
    pub mac: MacAddr,
    /// When it was last heard.
    pub seen: Instant,
    /// When it was last sent an answer.
    pub offered: Option<Instant>,
    /// DISCOVERs of one boot, each transaction counted once.
    pub discovers: u32,
    /// The last transaction id.
    pub xid: u32,
    /// Transactions answered with a loader in a row, without one answered with a script: a loader that loads itself.
    pub loaders: u32,
    offered_xid: u32,
}

/// The table: bounded, the oldest of a row is forgotten first.
#[derive(Debug)]
pub struct Clients {
    rows: Box<[[Option<Client>; WAYS]]>,
    seed: u64,
}

/// A boot is over, and counting starts again, after this much silence.
const NEW_BOOT: Duration = Duration::from_secs(120);

impl Clients {
    /// A table for at most `capacity` machines, rounded up to a power of two of at least 8. The seed decides who
    /// shares a row; give a random one.
    #[must_use]
    pub fn new(capacity: usize, seed: u64) -> Self {
        let rows = capacity.div_ceil(WAYS).clamp(1, 1 << 20).next_power_of_two();
        Self { rows: vec![[None; WAYS]; rows].into_boxed_slice(), seed }
    }

    /// Notes a DISCOVER. Gives the machine as it is now remembered.
    pub fn discover(&mut self, now: Instant, mac: MacAddr, xid: u32) -> Option<Client> {
        let client = self.entry(now, mac)?;
        if now.saturating_duration_since(client.seen) > NEW_BOOT {
            (client.discovers, client.loaders) = (0, 0);
        }
        if client.discovers == 0 || client.xid != xid {
            client.discovers = client.discovers.saturating_add(1);
        }
        (client.seen, client.xid) = (now, xid);
        Some(*client)
    }

    /// Notes an answer to a transaction.
    pub fn offered(&mut self, now: Instant, mac: MacAddr, xid: u32, stage: Stage) -> Option<Client> {
        let client = self.entry(now, mac)?;
        let again = client.offered.is_some() && client.offered_xid == xid;
        client.loaders = match stage {
            Stage::Firmware if again => client.loaders,
            Stage::Firmware => client.loaders.saturating_add(1),
            Stage::Ipxe => 0,
        };
        (client.seen, client.offered, client.offered_xid) = (now, Some(now), xid);
        Some(*client)
    }

    /// Whether a machine was sent an answer at most `within` ago.
    #[must_use]
    pub fn was_offered(&self, now: Instant, mac: MacAddr, within: Duration) -> bool {
        let row = self.rows.get(self.row(mac)).into_iter().flatten().flatten();
        row.into_iter()
            .find(|client| client.mac == mac)
            .and_then(|client| client.offered)
            .is_some_and(|offered| now.saturating_duration_since(offered) <= within)
    }

    fn entry(&mut self, now: Instant, mac: MacAddr) -> Option<&mut Client> {
        let index = self.row(mac);
        let row = self.rows.get_mut(index)?;
        let known = row.iter().position(|slot| slot.is_some_and(|client| client.mac == mac));
        let place = match known {
            Some(place) => place,
            None => {
                let (place, _) =
                    row.iter().enumerate().min_by_key(|(_, slot)| slot.map(|client| client.seen))?;
                let fresh = Client {
                    mac,
                    seen: now,
                    offered: None,
                    discovers: 0,
                    xid: 0,
                    loaders: 0,
                    offered_xid: 0,
                };
                *row.get_mut(place)? = Some(fresh);
                place
            }
        };
        row.get_mut(place)?.as_mut()
    }

    fn row(&self, mac: MacAddr) -> usize {
        let [a, b, c, d, e, f] = mac.0;
        let mut hash = u64::from_be_bytes([0, 0, a, b, c, d, e, f]) ^ self.seed;
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (hash ^ (hash >> 31)) as usize & (self.rows.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant")]
    fn the_table_is_bounded_and_forgets_the_oldest() {
        let start = Instant::now();
        let mut clients = Clients::new(8, 7);
        for i in 0..100u8 {
            clients.offered(
                start + Duration::from_secs(i.into()),
                MacAddr([0, 0, 0, 0, 0, i]),
                1,
                Stage::Firmware,
            );
        }
        let now = start + Duration::from_secs(100);
        let known = (0..100)
            .filter(|i| clients.was_offered(now, MacAddr([0, 0, 0, 0, 0, *i]), Duration::from_secs(200)));
        assert_eq!(known.collect::<Vec<_>>(), (92..100).collect::<Vec<_>>());
        assert!(!clients.was_offered(now, MacAddr([0, 0, 0, 0, 0, 99]), Duration::ZERO));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant")]
    fn retransmissions_count_once_and_a_new_boot_starts_again() {
        let start = Instant::now();
        let (mut clients, mac) = (Clients::new(1, 0), MacAddr([1; 6]));
        for (at, xid, count) in [(0, 5, 1), (4, 5, 1), (9, 6, 2), (200, 7, 1)] {
            let seen = clients.discover(start + Duration::from_secs(at), mac, xid).unwrap();
            assert_eq!(seen.discovers, count);
        }
    }
}
