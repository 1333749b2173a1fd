//! A sweep on one UDP socket per address family.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use tokio::net::UdpSocket;
use tokio::time::sleep_until;

pub use crate::scan::Config as ScanConfig;
use crate::scan::{Found, Scan};
use crate::wire::MAX_DATAGRAM;

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
        let socket = UdpSocket::bind(any).await?;
        let mut sweep = Scan::new(Instant::now(), config, targets);
        let (mut inbox, mut outbox) = (vec![0; MAX_DATAGRAM], Vec::new());
        loop {
            while let Some(to) = sweep.poll_transmit(&mut outbox) {
                let _ = socket.send_to(&outbox, to).await; // no route: it stays unfound
            }
            while let Some(one) = sweep.poll_event() {
                found(&one);
                all.push(one);
            }
            let Some(deadline) = sweep.poll_timeout() else { break };
            tokio::select! {
                received = socket.recv_from(&mut inbox) => if let Ok((length, from)) = received {
                    let octets = inbox.get(..length).unwrap_or_default();
                    let _ = sweep.handle_datagram(Instant::now(), from, octets);
                },
                () = sleep_until(deadline.into()) => sweep.handle_timeout(Instant::now()),
            }
        }
    }
    Ok(all)
}
