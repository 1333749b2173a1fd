//! A sweep on a few UDP sockets per address family.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use tokio::net::UdpSocket;
use tokio::time::sleep_until;

use super::sweep::{readable, socket_of};
pub use crate::scan::Config as ScanConfig;
use crate::scan::{Found, Scan};
use crate::wire::MAX_DATAGRAM;

/// Addresses per socket. What is sent to an absent neighbour waits in the socket's buffer until ARP has failed, some
/// seconds later; a full buffer would hold up everybody else.
const HOSTS_PER_SOCKET: usize = 32;
/// Sockets of a sweep at most.
const MAX_SOCKETS: usize = 64;
/// Datagrams taken from a socket before the others have their turn.
const BATCH: usize = 64;

/// Asks every address who is there; calls `found` for each BMC as it answers and returns all of them.
///
/// # Errors
/// A socket cannot be opened or read. Addresses that cannot be reached are just not found.
#[expect(clippy::disallowed_methods, reason = "drivers own the clock and the socket")]
pub async fn scan(
    targets: Vec<SocketAddr>,
    config: ScanConfig,
    mut found: impl FnMut(&Found),
) -> io::Result<Vec<Found>> {
    let (v4, v6): (Vec<_>, Vec<_>) = targets.into_iter().partition(SocketAddr::is_ipv4);
    let mut all = Vec::new();
    for (targets, any) in
        [(v4, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))), (v6, (Ipv6Addr::UNSPECIFIED, 0).into())]
    {
        if targets.is_empty() {
            continue;
        }
        let count = targets.len().div_ceil(HOSTS_PER_SOCKET).clamp(1, MAX_SOCKETS);
        let mut sockets = Vec::with_capacity(count);
        for _ in 0..count {
            sockets.push(UdpSocket::bind(any).await?);
        }
        let mut sweep = Scan::new(Instant::now(), config, targets);
        let (mut inbox, mut outbox) = (vec![0; MAX_DATAGRAM], Vec::new());
        loop {
            while let Some(to) = sweep.poll_transmit(&mut outbox) {
                let Some(socket) = socket_of(&sockets, to) else { continue };
                let _ = socket.send_to(&outbox, to).await; // no route: it stays unfound
            }
            while let Some(one) = sweep.poll_event() {
                found(&one);
                all.push(one);
            }
            let Some(deadline) = sweep.poll_timeout() else { break };
            tokio::select! {
                ready = readable(&sockets) => {
                    ready?;
                    let now = Instant::now();
                    for socket in &sockets {
                        for _ in 0..BATCH {
                            let Ok((length, from)) = socket.try_recv_from(&mut inbox) else { break };
                            let octets = inbox.get(..length).unwrap_or_default();
                            let _ = sweep.handle_datagram(now, from, octets);
                        }
                    }
                }
                () = sleep_until(deadline.into()) => sweep.handle_timeout(Instant::now()),
            }
        }
    }
    Ok(all)
}
