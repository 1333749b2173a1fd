//! The server: port 67 on packet sockets that bind nothing, port 4011 on a UDP socket, and the events of both.
//!
//! Driver layer, Linux only. [`Server::bind`] opens every socket and needs CAP_NET_RAW; [`Server::run`] needs nothing.

mod answer;
mod changes;
mod delayed;
mod event;
mod filter;
mod interface;
mod link;
mod pace;
mod packet_socket;
mod server;
mod udp_socket;

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

pub use event::{Event, EventSink, Reason};
pub use server::{Reloader, Server};

use crate::clients::RateLimit;
use crate::request::BootRequest;

/// What a server listens on.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Names of the interfaces; each must exist when the server starts.
    pub interfaces: Vec<String>,
    /// Answers IPv6 router solicitations of machines that were sent an answer in the last 60 s with "no router here"
    /// (lifetime 0, no prefix), which saves iPXE 15 s a stage. Default: off.
    pub answer_router_solicitations: bool,
    /// Machines remembered at most (see [`crate::Clients`]). Default: 16,384.
    pub machines: usize,
    /// Answers one machine may have. Default: see [`RateLimit`].
    pub rate_limit: RateLimit,
    /// Binds UDP port 67 as well, so that the kernel does not answer relays and unicast clients with "port
    /// unreachable". Nothing is read from it. Never with a lease server on the same host: it would lose its unicast
    /// traffic. Default: off.
    pub bind_dhcp_port: bool,
    /// Octets of receive buffer asked for on each socket, so that a burst of requests is kept. Default: 8 MiB.
    pub receive_buffer: usize,
    /// How long a server that is to end still sends the answers it holds back. Default: 10 s.
    pub drain: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            answer_router_solicitations: false,
            machines: 16_384,
            rate_limit: RateLimit::default(),
            bind_dhcp_port: false,
            receive_buffer: 8 << 20,
            drain: Duration::from_secs(10),
        }
    }
}

/// What an embedder says about one machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Give the policy's answer.
    Answer,
    /// Say nothing; the reason goes into [`Event::Ignored`].
    Silent(Cow<'static, str>),
}

/// Is asked once for every request that the policy would answer. Must not block: it runs between receive and send.
pub trait Decide: Send + Sync {
    /// The decision about the machine that sent `request`.
    fn decide(&self, request: &BootRequest<'_>) -> Decision;
}

/// Answers everybody that the policy has a rule for.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnswerAll;

impl Decide for AnswerAll {
    fn decide(&self, _request: &BootRequest<'_>) -> Decision {
        Decision::Answer
    }
}

impl<D: Decide + ?Sized> Decide for Arc<D> {
    fn decide(&self, request: &BootRequest<'_>) -> Decision {
        (**self).decide(request)
    }
}

/// What ends a server, or keeps it from starting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The configuration names no interface.
    #[error("no interface given: name the one the machines are on, for instance `--interface eth0`")]
    NoInterfaces,
    /// An interface does not exist.
    #[error("no interface `{name}`: `ip link` lists those there are")]
    NoSuchInterface {
        /// The name as configured.
        name: String,
    },
    /// An interface is not Ethernet.
    #[error("interface `{name}` is not Ethernet")]
    NotEthernet {
        /// The name as configured.
        name: String,
    },
    /// The interfaces could not be listed.
    #[error("listing the interfaces: {0}")]
    Interfaces(#[source] io::Error),
    /// A packet socket was refused.
    #[error("packet socket on `{interface}`: {source}{}", privilege(source))]
    PacketSocket {
        /// The interface.
        interface: String,
        /// What the system said.
        source: io::Error,
    },
    /// Port 67 was refused.
    #[error("UDP port 67: {source}: a DHCP server runs on this host; start without binding the port")]
    DhcpSocket {
        /// What the system said.
        source: io::Error,
    },
    /// Changes of interfaces cannot be followed.
    #[error("netlink socket: {0}")]
    Changes(#[source] io::Error),
    /// Port 4011 was refused.
    #[error("UDP port 4011: {source}{}", taken(source))]
    BootServerSocket {
        /// What the system said.
        source: io::Error,
    },
    /// A socket could not be given to the runtime, or a task of the server ended.
    #[error("{doing}: {source}")]
    Runtime {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

fn privilege(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            ": needs CAP_NET_RAW: run as root, or `setcap cap_net_raw,cap_net_bind_service+ep` on the program"
        }
        _ => "",
    }
}

fn taken(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            ": another PXE boot server (often dnsmasq with pxe-service) runs on this host: `ss -lunp sport = 4011` names it"
        }
        _ => "",
    }
}
