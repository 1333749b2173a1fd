//! The server as an application holds it.

use super::DriverError;
use super::config::ServerConfig;
use super::event::EventSink;
use super::shard::Shard;
use super::socket::{Port, prepare, wait_in_kernel};
use super::source::Source;
use std::future::{Future, poll_fn};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::task::Poll;

/// Ports to answer from at most, however many a range holds.
const PORTS: u16 = 64;

/// A bound server, not yet serving.
#[derive(Debug)]
pub struct Server {
    /// The listener first.
    sockets: Vec<UdpSocket>,
    local: SocketAddr,
    config: ServerConfig,
}

impl Server {
    /// Serves on a socket that is bound already: IPv4, IPv6 or dual-stack, to one address or to any.
    /// Transfers get ports of their own on the same address, unless the configuration says otherwise.
    ///
    /// # Errors
    /// A socket cannot be set up, or no port of the range is free.
    pub fn new(socket: UdpSocket, config: ServerConfig) -> Result<Self, DriverError> {
        let local = socket.local_addr().map_err(DriverError::socket("read the bound address"))?;
        prepare(&socket, config.receive_buffer)?;
        let mut sockets = vec![socket];
        if !config.single_port {
            let wanted: Vec<u16> = match &config.port_range {
                Some(range) => range.clone().collect(),
                None => vec![0; usize::from(config.ports.clamp(1, PORTS))],
            };
            let mut failed = None;
            for port in wanted {
                if sockets.len() > usize::from(PORTS) {
                    break;
                }
                let mut addr = local;
                addr.set_port(port);
                match bind(addr) {
                    Ok(socket) => {
                        prepare(&socket, config.receive_buffer)?;
                        sockets.push(socket);
                    }
                    Err(source) => failed = Some(DriverError::Bind { addr, source }),
                }
            }
            if let (1, Some(error)) = (sockets.len(), failed) {
                return Err(error);
            }
        }
        if config.own_thread {
            sockets.iter().try_for_each(wait_in_kernel)?;
        }
        Ok(Self { sockets, local, config })
    }

    /// Binds and serves. An unspecified IPv6 address takes IPv4 clients too.
    ///
    /// # Errors
    /// As [`Self::new`]; or the address cannot be bound.
    pub fn bind(addr: SocketAddr, config: ServerConfig) -> Result<Self, DriverError> {
        let socket = bind(addr).map_err(|source| DriverError::Bind { addr, source })?;
        Self::new(socket, config)
    }

    /// The address requests come to.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Serves until `shutdown` is ready, then lets transfers finish for [`ServerConfig::drain`].
    ///
    /// # Errors
    /// The runtime has no I/O driver, or lost it.
    pub async fn run<S: Source>(
        self,
        source: S,
        events: EventSink,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), DriverError> {
        let ports = self.sockets.into_iter().map(Port::new).collect::<Result<_, _>>()?;
        let mut shard = Shard::new(ports, self.config, Arc::new(source), events);
        let mut shutdown = std::pin::pin!(shutdown);
        poll_fn(|cx| {
            if !shard.is_draining() && shutdown.as_mut().poll(cx).is_ready() {
                shard.drain();
            }
            match shard.poll(cx) {
                Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
                Ok(Poll::Pending) => Poll::Pending,
                Err(source) => Poll::Ready(Err(DriverError::Socket { doing: "wait for a socket", source })),
            }
        })
        .await
    }
}

#[expect(clippy::disallowed_methods, reason = "drivers open sockets")]
pub(super) fn bind(addr: SocketAddr) -> std::io::Result<UdpSocket> {
    if addr.is_ipv4() {
        return UdpSocket::bind(addr);
    }
    let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None)?;
    socket.set_only_v6(!addr.ip().is_unspecified())?;
    socket.bind(&addr.into())?;
    Ok(socket.into())
}
