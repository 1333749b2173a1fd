//! A sweep over many BMCs on a few UDP sockets per address family.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::Poll;
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
/// Datagrams taken from a socket before timers are looked at.
const BATCH: usize = 64;
/// Hosts in conversation per socket. Two small datagrams of each fit into Linux's default receive buffer; what does
/// not fit is lost, and costs its host a time-out.
const HOSTS_PER_SOCKET: usize = 64;
/// Sockets of a sweep at most.
const MAX_SOCKETS: usize = 16;

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
        let count = config.fanout.min(targets.len()).div_ceil(HOSTS_PER_SOCKET).clamp(1, MAX_SOCKETS);
        let mut sockets = Vec::with_capacity(count);
        for _ in 0..count {
            sockets.push(UdpSocket::bind(any).await?);
        }
        let mut sweep = Sweep::new(Instant::now(), config, entropy()?);
        for (addr, session, script) in targets {
            sweep.add(addr, session, script);
        }
        run(&sockets, sweep, &mut done).await?;
    }
    Ok(())
}

/// The socket that speaks with a host: always the same, so that its answers find it.
pub(super) fn socket_of(sockets: &[UdpSocket], addr: SocketAddr) -> Option<&UdpSocket> {
    let number = match addr.ip() {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    let at = (number + u128::from(addr.port())) % (sockets.len().max(1) as u128);
    sockets.get(at as usize) // below the number of sockets
}

/// Waits until one of the sockets has a datagram.
pub(super) async fn readable(sockets: &[UdpSocket]) -> io::Result<()> {
    poll_fn(|context| {
        let ready = sockets.iter().map(|socket| socket.poll_recv_ready(context));
        // Every socket is asked, so that every one wakes this task.
        ready.fold(Poll::Pending, |found, one| if found.is_ready() { found } else { one })
    })
    .await
}

#[expect(clippy::disallowed_methods, reason = "drivers read the clock")]
async fn run<S: Script>(
    sockets: &[UdpSocket],
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
            let Some(socket) = socket_of(sockets, to) else { continue };
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
            ready = readable(sockets) => {
                ready?;
                let now = Instant::now();
                for socket in sockets {
                    for _ in 0..BATCH {
                        let Ok((length, from)) = socket.try_recv_from(&mut inbox) else { break };
                        let octets = inbox.get(..length).unwrap_or_default();
                        let _ = sweep.handle_datagram(now, from, octets);
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
