//! What is remembered of each machine to answer it well: when, how often and with what it was answered.

use crate::table::Table;
use crate::wire::MacAddr;
use std::time::{Duration, Instant};

/// A boot is over, and counting starts again, after this much silence.
const NEW_BOOT: Duration = Duration::from_secs(120);

/// How many answers one machine may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RateLimit {
    /// At once.
    pub burst: u16,
    /// Every second after that.
    pub per_second: u16,
}

impl Default for RateLimit {
    /// 32 at once, 8 a second: a firmware that retries, five times over.
    fn default() -> Self {
        Self { burst: 32, per_second: 8 }
    }
}

/// What is remembered of one machine.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    seen: Instant,
    /// When it was last sent an answer.
    pub offered: Option<Instant>,
    /// Transactions answered with a loader in a row, without one answered with a script: a loader that loads itself.
    pub loaders: u32,
    offered_xid: u32,
    tokens: u32,
    refilled: Instant,
}

/// A token in the bucket's unit: thousandths, so that a refill of a few milliseconds counts.
const TOKEN: u32 = 1000;

/// Machines, at most as many as the table was made for; the one heard longest ago is forgotten first.
#[derive(Debug)]
pub struct Clients {
    table: Table<Client>,
    limit: RateLimit,
}

impl Clients {
    /// A table for at most `capacity` machines, rounded up to a power of two of at least 8. The seed decides who
    /// shares a row; give a random one.
    #[must_use]
    pub fn new(capacity: usize, seed: u64, limit: RateLimit) -> Self {
        Self { table: Table::new(capacity, seed), limit }
    }

    /// Takes one answer from a machine's allowance; `false` when it is used up.
    pub fn allow(&mut self, now: Instant, mac: MacAddr) -> bool {
        let RateLimit { burst, per_second } = self.limit;
        let Some(client) = self.entry(now, mac) else { return false };
        let full = u32::from(burst).saturating_mul(TOKEN);
        let elapsed = now.saturating_duration_since(client.refilled).as_millis().min(600_000);
        let refill = u32::try_from(elapsed).unwrap_or(u32::MAX).saturating_mul(per_second.into());
        client.tokens = client.tokens.saturating_add(refill).min(full);
        client.refilled = now;
        let allowed = client.tokens >= TOKEN;
        if allowed {
            client.tokens -= TOKEN;
        }
        allowed
    }

    /// Notes an answer to a transaction, and whether it named a loader. Gives the machine as it is now remembered.
    pub fn offered(&mut self, now: Instant, mac: MacAddr, xid: u32, loader: bool) -> Option<Client> {
        let client = self.entry(now, mac)?;
        let again = client.offered.is_some() && client.offered_xid == xid;
        if now.saturating_duration_since(client.seen) > NEW_BOOT {
            client.loaders = 0;
        }
        client.loaders = match loader {
            true if again => client.loaders,
            true => client.loaders.saturating_add(1),
            false => 0,
        };
        (client.seen, client.offered, client.offered_xid) = (now, Some(now), xid);
        Some(*client)
    }

    /// Whether a machine was sent an answer at most `within` ago.
    #[must_use]
    pub fn was_offered(&self, now: Instant, mac: MacAddr, within: Duration) -> bool {
        let offered = self.table.get(mac).and_then(|client| client.offered);
        offered.is_some_and(|offered| now.saturating_duration_since(offered) <= within)
    }

    fn entry(&mut self, now: Instant, mac: MacAddr) -> Option<&mut Client> {
        let tokens = u32::from(self.limit.burst).saturating_mul(TOKEN);
        let fresh = Client { seen: now, offered: None, loaders: 0, offered_xid: 0, tokens, refilled: now };
        self.table.entry(mac, || fresh)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant")]
mod tests {
    use super::*;

    #[test]
    fn retransmissions_count_once_and_a_new_boot_starts_again() {
        let start = Instant::now();
        let (mut clients, mac) = (Clients::new(1, 0, RateLimit::default()), MacAddr([1; 6]));
        for (at, xid, loaders) in [(0, 5, 1), (4, 5, 1), (9, 6, 2), (200, 7, 1)] {
            let seen = clients.offered(start + Duration::from_secs(at), mac, xid, true).unwrap();
            assert_eq!(seen.loaders, loaders);
        }
        assert!(clients.was_offered(start + Duration::from_secs(260), mac, Duration::from_secs(60)));
        assert!(!clients.was_offered(start + Duration::from_secs(261), mac, Duration::from_secs(60)));
    }

    #[test]
    fn a_machine_has_its_allowance_and_no_more() {
        let start = Instant::now();
        let limit = RateLimit { burst: 3, per_second: 2 };
        let (mut clients, mac) = (Clients::new(8, 0, limit), MacAddr([1; 6]));
        let at = |ms| start + Duration::from_millis(ms);
        let allowed = |clients: &mut Clients, ms, n| (0..n).filter(|_| clients.allow(at(ms), mac)).count();
        assert_eq!(allowed(&mut clients, 0, 9), 3);
        assert_eq!(allowed(&mut clients, 499, 9), 0);
        assert_eq!(allowed(&mut clients, 500, 9), 1);
        assert_eq!(allowed(&mut clients, 60_000, 9), 3);
        assert!(clients.allow(at(0), MacAddr([2; 6])), "others have their own");
    }
}
