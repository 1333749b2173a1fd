//! Admission: which datagram at the listening port begins a transfer.
//!
//! Knows peers by address and port, never a file or a socket. A driver asks it about each request and
//! tells it when a peer has answered and when a transfer is over.

use crate::wire::{Direction, ErrorCode, ParseError, Request};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// The same request again within this time is the network's duplicate; later, the client's.
const NETWORK_DUPLICATE: Duration = Duration::from_millis(20);
/// Addresses whose reflection budget is tracked one by one; the others share one budget.
const TRACKED_ADDRESSES: usize = 4096;
/// What an ERROR costs of the reflection budget, in octets.
const ERROR_COST: u32 = 64;
/// What a first DATA costs of the reflection budget, in octets (RFC 1350 §5).
const DATA_COST: u32 = 516;

/// What a server takes on.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Transfers at once. Default 16384.
    pub transfers: usize,
    /// Transfers at once of one IP address. Default 16384: a NAT hides a rack.
    pub transfers_per_address: usize,
    /// Octets sent to an address that has answered nothing, at once. Default 1 MiB.
    pub reflection_burst: u32,
    /// Octets per second by which that budget recovers. Default 128 KiB.
    pub reflection_rate: u32,
    /// Whether write requests are admitted. Default no: they get ERROR 2.
    pub writable: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transfers: 16384,
            transfers_per_address: 16384,
            reflection_burst: 1 << 20,
            reflection_rate: 128 << 10,
            writable: false,
        }
    }
}

/// Names a transfer that was admitted; never used again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct TransferId(u64);

/// What to do about a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Admission<'a> {
    /// Begin a transfer.
    Start {
        /// Its name.
        id: TransferId,
        /// What is asked.
        request: Request<'a>,
        /// A transfer of the same peer that ends now: the client has started again.
        replaces: Option<TransferId>,
    },
    /// The client repeats its request: send the current packet of this transfer again.
    Repeat(TransferId),
    /// Answer with an ERROR.
    Refuse {
        /// The code to send.
        code: ErrorCode,
        /// The message to send.
        reason: &'static str,
    },
}

/// Why a datagram was rightly left unanswered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Ignored {
    /// Not a packet at all.
    #[error("not a TFTP packet: {0}")]
    Malformed(ParseError),
    /// A packet of no transfer, at the port for requests (RFC 1350 §4).
    #[error("packet of no transfer")]
    NoTransfer,
    /// The network delivered a request twice.
    #[error("request delivered twice")]
    Duplicate,
    /// All transfers are taken ([`Limits::transfers`]).
    #[error("too many transfers")]
    TooManyTransfers,
    /// The address has all it may have ([`Limits::transfers_per_address`]).
    #[error("too many transfers of one address")]
    TooManyOfAddress,
    /// The address was sent too much that it never answered ([`Limits::reflection_burst`]).
    #[error("too many unanswered replies to one address")]
    Unanswered,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    id: TransferId,
    digest: u64,
    seen: Instant,
    answered: bool,
    cost: u32,
}

#[derive(Clone, Copy, Debug)]
struct Budget {
    left: u32,
    at: Instant,
}

/// Decides which requests begin transfers, and which are repetitions, too many or malformed.
#[derive(Debug)]
pub struct Server {
    limits: Limits,
    next: u64,
    peers: HashMap<SocketAddr, Entry>,
    addresses: HashMap<IpAddr, usize>,
    budgets: HashMap<IpAddr, Budget>,
    others: Option<Budget>,
}

impl Server {
    /// A server without transfers.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let (peers, addresses, budgets) = Default::default();
        Self { limits, next: 0, peers, addresses, budgets, others: None }
    }

    /// Takes a datagram that came to the port for requests.
    ///
    /// # Errors
    /// [`Ignored`] says why nothing is to be done.
    pub fn handle_request<'a>(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        datagram: &'a [u8],
    ) -> Result<Admission<'a>, Ignored> {
        if !Request::has_opcode(datagram) {
            return Err(match crate::wire::Packet::parse(datagram) {
                Ok(_) => Ignored::NoTransfer,
                Err(error) => Ignored::Malformed(error),
            });
        }
        let request = match Request::parse(datagram) {
            Ok(request) => request,
            Err(ParseError::UnknownMode) => {
                return self.refuse(now, peer, ErrorCode::IllegalOperation, "mode is not octet or netascii");
            }
            Err(_) => return self.refuse(now, peer, ErrorCode::IllegalOperation, "malformed request"),
        };
        if request.direction == Direction::Write && !self.limits.writable {
            return self.refuse(now, peer, ErrorCode::AccessViolation, "this server is read-only");
        }
        let digest = digest(datagram);
        let mut replaces = None;
        if let Some(entry) = self.peers.get_mut(&peer) {
            if entry.digest == digest && !entry.answered {
                let soon = now.saturating_duration_since(entry.seen) < NETWORK_DUPLICATE;
                entry.seen = now;
                return if soon { Err(Ignored::Duplicate) } else { Ok(Admission::Repeat(entry.id)) };
            }
            replaces = Some(entry.id);
        }
        if replaces.is_none() {
            if self.peers.len() >= self.limits.transfers {
                return Err(Ignored::TooManyTransfers);
            }
            if self.addresses.get(&peer.ip()).is_some_and(|&count| count >= self.limits.transfers_per_address)
            {
                return Err(Ignored::TooManyOfAddress);
            }
        }
        let cost = if request.options.is_empty() {
            DATA_COST
        } else {
            u32::try_from(datagram.len()).unwrap_or(DATA_COST).min(DATA_COST)
        };
        if !self.charge(now, peer.ip(), cost) {
            return Err(Ignored::Unanswered);
        }
        self.finish(peer, replaces);
        let id = TransferId(self.next);
        self.next += 1;
        self.peers.insert(peer, Entry { id, digest, seen: now, answered: false, cost });
        *self.addresses.entry(peer.ip()).or_default() += 1;
        Ok(Admission::Start { id, request, replaces })
    }

    /// Whether a packet of no transfer may be answered with ERROR 5 (RFC 1350 §4), within the budget.
    pub fn allow_stray_error(&mut self, now: Instant, peer: SocketAddr) -> bool {
        self.charge(now, peer.ip(), ERROR_COST)
    }

    /// The peer has answered: its address is not made up, so what it was sent is no longer counted, and its
    /// request again is a restart.
    pub fn answered(&mut self, peer: SocketAddr) {
        let Some(entry) = self.peers.get_mut(&peer).filter(|entry| !entry.answered) else { return };
        entry.answered = true;
        if let Some(budget) = self.budgets.get_mut(&peer.ip()) {
            budget.left = budget.left.saturating_add(entry.cost).min(self.limits.reflection_burst);
        }
    }

    /// The transfer of a peer is over. With `id`, only if it is that one.
    pub fn finish(&mut self, peer: SocketAddr, id: Option<TransferId>) {
        let Some(id) = id else { return };
        if self.peers.get(&peer).is_none_or(|entry| entry.id != id) {
            return;
        }
        self.peers.remove(&peer);
        if let Some(count) = self.addresses.get_mut(&peer.ip()) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&peer.ip());
            }
        }
    }

    /// Transfers under way.
    #[must_use]
    pub fn transfers(&self) -> usize {
        self.peers.len()
    }

    fn refuse<'a>(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        code: ErrorCode,
        reason: &'static str,
    ) -> Result<Admission<'a>, Ignored> {
        if self.charge(now, peer.ip(), ERROR_COST) {
            Ok(Admission::Refuse { code, reason })
        } else {
            Err(Ignored::Unanswered)
        }
    }

    fn charge(&mut self, now: Instant, address: IpAddr, cost: u32) -> bool {
        let Limits { reflection_burst: burst, reflection_rate: rate, .. } = self.limits;
        let refill = |budget: &mut Budget| {
            let since = now.saturating_duration_since(budget.at);
            let grown = since.as_millis() * u128::from(rate) / 1000;
            if grown > 0 {
                budget.left = budget.left.saturating_add(u32::try_from(grown).unwrap_or(burst)).min(burst);
                budget.at = now;
            }
        };
        if self.budgets.len() >= TRACKED_ADDRESSES && !self.budgets.contains_key(&address) {
            self.budgets.retain(|_, budget| {
                refill(budget);
                budget.left < burst
            });
        }
        let full = Budget { left: burst, at: now };
        let budget = if self.budgets.len() >= TRACKED_ADDRESSES && !self.budgets.contains_key(&address) {
            self.others.get_or_insert(full)
        } else {
            self.budgets.entry(address).or_insert(full)
        };
        refill(budget);
        match budget.left.checked_sub(cost) {
            Some(left) => {
                budget.left = left;
                true
            }
            None => false,
        }
    }
}

fn digest(datagram: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    datagram.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RRQ: &[u8] = b"\0\x01a\0octet\0";

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[expect(clippy::disallowed_methods, reason = "an origin for virtual time")]
    fn server(limits: Limits) -> (Instant, Server) {
        (Instant::now(), Server::new(limits))
    }

    fn start(
        server: &mut Server,
        now: Instant,
        port: u16,
        datagram: &[u8],
    ) -> (TransferId, Option<TransferId>) {
        match server.handle_request(now, peer(port), datagram) {
            Ok(Admission::Start { id, replaces, .. }) => (id, replaces),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_repeated_request_is_one_transfer() {
        // RFC 1350 §4: a request sent again because the answer was lost.
        let (now, mut server) = server(Limits::default());
        let (id, _) = start(&mut server, now, 1, RRQ);
        assert_eq!(server.handle_request(now, peer(1), RRQ), Err(Ignored::Duplicate));
        let later = now + Duration::from_secs(1);
        assert_eq!(server.handle_request(later, peer(1), RRQ), Ok(Admission::Repeat(id)));
        assert_eq!(server.transfers(), 1);
    }

    #[test]
    fn a_client_that_starts_again_replaces_its_transfer() {
        // A ROM reset in mid-transfer asks again from the same port.
        let (now, mut server) = server(Limits::default());
        let (first, _) = start(&mut server, now, 1, RRQ);
        server.answered(peer(1));
        let (second, replaces) = start(&mut server, now, 1, RRQ);
        assert_eq!(replaces, Some(first));
        let (_, replaces) = start(&mut server, now, 1, b"\0\x01b\0octet\0");
        assert_eq!(replaces, Some(second));
        assert_eq!(server.transfers(), 1);
    }

    #[test]
    fn only_requests_are_answered() {
        // RFC 1350 §4 and §7: an ERROR is never answered; other packets belong to a transfer.
        let (now, mut server) = server(Limits::default());
        for stray in [&[0, 5, 0, 1, 0][..], &[0, 4, 0, 1], &[0, 3, 0, 1], &[0, 6]] {
            assert_eq!(server.handle_request(now, peer(1), stray), Err(Ignored::NoTransfer));
        }
        let unknown = Err(Ignored::Malformed(ParseError::UnknownOpcode(8)));
        assert_eq!(server.handle_request(now, peer(1), b"\0\x08a\0octet\0"), unknown);
        let refused =
            Admission::Refuse { code: ErrorCode::AccessViolation, reason: "this server is read-only" };
        assert_eq!(server.handle_request(now, peer(1), b"\0\x02a\0octet\0"), Ok(refused));
    }

    #[test]
    fn caps_hold() {
        let (now, mut server) =
            server(Limits { transfers: 3, transfers_per_address: 2, ..Limits::default() });
        start(&mut server, now, 1, RRQ);
        start(&mut server, now, 2, RRQ);
        assert_eq!(server.handle_request(now, peer(3), RRQ), Err(Ignored::TooManyOfAddress));
        let other = SocketAddr::from(([192, 0, 2, 2], 1));
        assert!(server.handle_request(now, other, RRQ).is_ok());
        let third = SocketAddr::from(([192, 0, 2, 3], 1));
        assert_eq!(server.handle_request(now, third, RRQ), Err(Ignored::TooManyTransfers));
        let id = server.peers[&peer(1)].id;
        server.finish(peer(1), Some(id));
        assert!(server.handle_request(now, third, RRQ).is_ok());
    }

    #[test]
    fn a_victim_is_not_flooded() {
        // What a stranger can make us send to an address that never asked is bounded.
        let (now, mut server) =
            server(Limits { reflection_burst: 2000, reflection_rate: 516, ..Limits::default() });
        for port in 1..4 {
            start(&mut server, now, port, RRQ);
        }
        assert_eq!(server.handle_request(now, peer(4), RRQ), Err(Ignored::Unanswered));
        start(&mut server, now + Duration::from_secs(1), 4, RRQ);
        server.answered(peer(1)); // an address that answers gets its budget back
        start(&mut server, now + Duration::from_secs(1), 5, RRQ);
    }
}
