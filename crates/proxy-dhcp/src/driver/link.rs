//! One interface that is served: what it is now, and its sockets.

use super::filter;
use super::interface::Interface;
use super::packet_socket::{IPV4, IPV6, PacketSocket};
use super::{DriverError, ServerConfig};
use std::cell::Cell;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

/// ff02::2, where router solicitations go.
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// Routers advertise themselves at least this often (RFC 4861 §6.2.1).
const ROUTER_INTERVAL: Duration = Duration::from_secs(1800);

/// An interface with its sockets.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) interface: Interface,
    pub(super) dhcp: PacketSocket,
    /// For router solicitations, when they are answered.
    pub(super) routers: Option<PacketSocket>,
    member: Option<socket2::Socket>,
    router_seen: Cell<Option<Instant>>,
}

impl Link {
    pub(super) fn open(name: &str, config: &ServerConfig) -> Result<Self, DriverError> {
        let interface = Interface::read(name)?;
        let open = |protocol, filter| {
            PacketSocket::open(&interface, protocol, filter, config.receive_buffer)
                .map_err(|source| DriverError::PacketSocket { interface: name.to_owned(), source })
        };
        let dhcp = open(IPV4, filter::NETWORK_BOOT)?;
        let (mut routers, mut member) = (None, None);
        if config.answer_router_solicitations {
            routers = Some(open(IPV6, filter::ROUTER_DISCOVERY)?);
            // Cards drop multicast that nobody on the host asked for; a host without IPv6 cannot ask.
            member = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None)
                .ok()
                .filter(|socket| socket.join_multicast_v6(&ALL_ROUTERS, interface.index()).is_ok());
        }
        Ok(Self { interface, dhcp, routers, member, router_seen: Cell::new(None) })
    }

    /// Reads the interface again. One that went and came back has another number, and sockets of its own.
    pub(super) fn refresh(&mut self, config: &ServerConfig) -> Result<(), DriverError> {
        let name = self.interface.name.clone();
        let interface = Interface::read(&name)?;
        if interface.index() == self.interface.index() {
            self.interface = interface;
        } else {
            *self = Self::open(&name, config)?;
        }
        if let Some(member) = &self.member {
            let _ = member.join_multicast_v6(&ALL_ROUTERS, self.interface.index()); // it may be joined already
        }
        Ok(())
    }

    /// Notes a router that advertises itself.
    pub(super) fn saw_router(&self, now: Instant) {
        self.router_seen.set(Some(now));
    }

    /// Whether a router advertised itself lately.
    pub(super) fn has_router(&self, now: Instant) -> bool {
        self.router_seen.get().is_some_and(|seen| now.saturating_duration_since(seen) <= ROUTER_INTERVAL)
    }
}
