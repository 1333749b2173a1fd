//! The Ethernet addresses behind neighbours' IP addresses, as the kernel knows them, read again only when they may have
//! changed: a thousand machines booting do not mean a thousand readings of a thousand lines.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fleet::Mac;

/// The kernel's table of IPv4 neighbours.
const TABLE: &str = "/proc/net/arp";
/// How long what was read counts.
const KEPT: Duration = Duration::from_secs(2);
/// Most addresses remembered as not being in the table, such as those behind a router.
const MAX_MISSING: usize = 4096;

/// Ethernet addresses by IP address.
type Table = HashMap<IpAddr, Mac>;

/// All neighbours as the kernel knows them now.
pub(crate) fn table() -> Table {
    parse(&std::fs::read_to_string(TABLE).unwrap_or_default())
}

fn parse(text: &str) -> Table {
    text.lines().skip(1).filter_map(entry).collect()
}

/// What was last read.
#[derive(Debug, Default)]
pub(crate) struct Neighbours(Mutex<Read>);

#[derive(Debug, Default)]
struct Read {
    at: Option<Instant>,
    macs: Table,
    missing: HashSet<IpAddr>,
}

impl Neighbours {
    /// The Ethernet address behind an address of the machines' network.
    #[expect(clippy::disallowed_methods, reason = "the server owns the clock")]
    pub(crate) fn of(&self, peer: IpAddr) -> Option<Mac> {
        self.at(Instant::now(), peer.to_canonical(), table)
    }

    fn at(&self, now: Instant, peer: IpAddr, table: impl FnOnce() -> Table) -> Option<Mac> {
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if read.at.is_some_and(|at| now.saturating_duration_since(at) < KEPT) {
            if let Some(mac) = read.macs.get(&peer) {
                return Some(*mac);
            }
            if read.missing.contains(&peer) {
                return None;
            }
        } else {
            read.missing.clear();
        }
        // A neighbour that speaks to us for the first time is in the table already.
        read.macs = table();
        read.at = Some(now);
        let found = read.macs.get(&peer).copied();
        if found.is_none() && read.missing.len() < MAX_MISSING {
            read.missing.insert(peer);
        }
        found
    }
}

/// One line: address, hardware type, flags, Ethernet address, mask, interface.
fn entry(line: &str) -> Option<(IpAddr, Mac)> {
    let mut fields = line.split_whitespace();
    let address = fields.next()?.parse().ok()?;
    let mac: Mac = fields.nth(2)?.parse().ok()?;
    mac.is_station().then_some((address, mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "IP address       HW type     Flags       HW address            Mask     Device\n";

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test's beginning of time")]
    fn the_table_is_read_when_it_may_have_changed() {
        let (neighbours, start) = (Neighbours::default(), Instant::now());
        let peer = |last: u8| IpAddr::from([10, 0, 0, last]);
        let table = |mac: &str| {
            let none = "00:00:00:00:00:00";
            parse(&format!("{HEAD}10.0.0.1 0x1 0x2 {mac} * eth0\n10.0.0.2 0x1 0x0 {none} * eth0\n"))
        };
        let none = || -> Table { panic!("read without need") };
        let first: Mac = "52:54:00:00:00:01".parse().unwrap();
        assert_eq!(neighbours.at(start, peer(1), || table("52:54:00:00:00:01")), Some(first));
        assert_eq!(neighbours.at(start + KEPT / 2, peer(1), none), Some(first));
        // One that is not there is looked for once, an incomplete entry is none.
        assert_eq!(neighbours.at(start, peer(2), || table("52:54:00:00:00:01")), None);
        assert_eq!(neighbours.at(start + KEPT / 2, peer(2), none), None);
        // An address that another machine has now.
        assert_eq!(
            neighbours.at(start + KEPT, peer(1), || table("52:54:00:00:00:09")),
            Some("52:54:00:00:00:09".parse().unwrap())
        );
    }
}
