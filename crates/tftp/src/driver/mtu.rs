//! The egress MTU towards a client, so that no block is fragmented and every segment fits.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

/// How long an answer of the kernel is believed.
const FRESH: Duration = Duration::from_secs(10);
/// Addresses remembered at once.
const REMEMBERED: usize = 1024;

/// IP and UDP headers, without options.
pub(super) const fn header_octets(peer: IpAddr) -> usize {
    match peer {
        IpAddr::V4(_) => 20 + 8,
        IpAddr::V6(_) => 40 + 8,
    }
}

#[derive(Debug, Default)]
pub(super) struct PathMtu {
    known: HashMap<IpAddr, (Option<usize>, Instant)>,
}

impl PathMtu {
    /// The MTU in octets of the route to a canonical peer; `None` if the kernel does not say.
    pub(super) fn of(&mut self, now: Instant, peer: SocketAddr) -> Option<usize> {
        if let Some(&(mtu, at)) = self.known.get(&peer.ip())
            && now.saturating_duration_since(at) < FRESH
        {
            return mtu;
        }
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        let mtu = ask(peer);
        self.known.insert(peer.ip(), (mtu, now));
        mtu
    }
}

/// A socket that is connected and never used knows the route.
#[expect(clippy::disallowed_methods, reason = "drivers open sockets")]
fn ask(peer: SocketAddr) -> Option<usize> {
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind((any, 0)).ok()?;
    socket.connect(peer).ok()?;
    let mtu = match peer {
        SocketAddr::V4(_) => rustix::net::sockopt::ip_mtu(&socket),
        SocketAddr::V6(_) => rustix::net::sockopt::ipv6_mtu(&socket),
    };
    usize::try_from(mtu.ok()?).ok()
}
