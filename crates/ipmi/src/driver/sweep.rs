//! A sweep over many BMCs on one UDP socket per address family.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use super::{BmcError, entropy};
use crate::script::Script;
use crate::session::Config as SessionConfig;
use crate::sweep::{Config, Sweep, SweepEvent};
use crate::wire::MAX_DATAGRAM;
use crate::wire::asf::Message;

/// How long the network may take to say that a port is closed.
const PROBE: Duration = Duration::from_millis(500);
/// Datagrams taken from the socket before timers are looked at.
const BATCH: usize = 64;

/// Runs one script per BMC and calls `done` for each as it ends.
///
/// # Errors
/// A socket cannot be opened or read, or there are no random numbers. What happens to one host is told to
/// `done` and is no error here.
#[expect(clippy::disallowed_methods, reason = "drivers own the clock and the socket")]
pub async fn sweep<S: Script>(
    targets: Vec<(SocketAddr, SessionConfig, S)>,
    config: Config,
    mut done: impl FnMut(SocketAddr, Result<S::Output, BmcError>),
) -> io::Result<()> {
    let (v4, v6): (Vec<_>, Vec<_>) = targets.into_iter().partition(|(addr, _, _)| addr.is_ipv4());
    let anywhere = [SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), (Ipv6Addr::UNSPECIFIED, 0).into()];
    for (targets, any) in [v4, v6].into_iter().zip(anywhere) {
        if targets.is_empty() {
            continue;
        }
        let socket = UdpSocket::bind(any).await?;
        let mut sweep = Sweep::new(Instant::now(), config, entropy()?);
        for (addr, session, script) in targets {
            sweep.add(addr, session, script);
        }
        run(&socket, sweep, &mut done).await?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "drivers read the clock")]
async fn run<S: Script>(
    socket: &UdpSocket,
    mut sweep: Sweep<S>,
    done: &mut impl FnMut(SocketAddr, Result<S::Output, BmcError>),
) -> io::Result<()> {
    let (mut inbox, mut outbox) = (vec![0; MAX_DATAGRAM], Vec::new());
    let mut probes: JoinSet<(SocketAddr, Option<io::Error>)> = JoinSet::new();
    sweep.handle_timeout(Instant::now());
    loop {
        while let Some(event) = sweep.poll_event() {
            match event {
                SweepEvent::Done(addr, outcome) => {
                    done(addr, outcome.map_err(|failure| BmcError::from_failure(addr, failure)));
                }
                SweepEvent::Suspect(addr) => {
                    probes.spawn(async move { (addr, probe(addr).await) });
                }
            }
        }
        while let Some(to) = sweep.poll_transmit(&mut outbox) {
            if let Err(source) = socket.send_to(&outbox, to).await
                && sweep.unreachable(Instant::now(), to)
            {
                done(to, Err(BmcError::Unreachable { addr: to, source }));
            }
        }
        if sweep.is_over() {
            return Ok(());
        }
        let Some(deadline) = sweep.poll_timeout() else { return Ok(()) };
        tokio::select! {
            ready = socket.readable() => {
                ready?;
                let now = Instant::now();
                for _ in 0..BATCH {
                    match socket.try_recv_from(&mut inbox) {
                        Ok((length, from)) => {
                            let octets = inbox.get(..length).unwrap_or_default();
                            let _ = sweep.handle_datagram(now, from, octets);
                        }
                        Err(_) => break,
                    }
                }
            }
            Some(Ok((addr, verdict))) = probes.join_next() => {
                if let Some(source) = verdict
                    && sweep.unreachable(Instant::now(), addr)
                {
                    done(addr, Err(BmcError::Unreachable { addr, source }));
                }
            }
            () = sleep_until(deadline.into()) => sweep.handle_timeout(Instant::now()),
        }
    }
}

/// Asks the network whether a host can be reached: a connected socket hears what an open one does not.
async fn probe(addr: SocketAddr) -> Option<io::Error> {
    let any: SocketAddr = match addr {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await.ok()?;
    if let Err(source) = socket.connect(addr).await {
        return Some(source);
    }
    let mut ping = Vec::new();
    Message::Ping { tag: 0 }.encode(&mut ping);
    socket.send(&ping).await.ok()?;
    let mut inbox = [0; 64];
    match timeout(PROBE, socket.recv(&mut inbox)).await {
        Ok(Err(source)) => Some(source),
        _ => None,
    }
}
