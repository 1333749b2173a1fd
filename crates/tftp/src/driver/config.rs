//! How a server runs. Read once, by [`super::Server::new`].

use crate::server::Limits;
use crate::wire::{BlockSize, WindowSize};
use std::ops::RangeInclusive;
use std::time::Duration;

/// How a server runs.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Who is admitted. See [`Limits`].
    pub limits: Limits,
    /// Answer from the listening port instead of one per transfer, for clients behind NAT. Default no
    /// (RFC 1350 §4 wants a transfer ID of its own).
    pub single_port: bool,
    /// Ports to answer from, for firewalls; the first 64 of them that are free. Default: chosen by the system.
    pub port_range: Option<RangeInclusive<u16>>,
    /// How many ports to answer from when there is no range. Default 8, 1..=64.
    pub ports: u16,
    /// The largest block. Default 65464 (RFC 2348); the egress MTU lowers it per client.
    pub max_block_size: BlockSize,
    /// Whether blocks may exceed the egress MTU and travel in fragments. Default no.
    pub allow_fragments: bool,
    /// The largest window in blocks. Default 256 (RFC 7440 allows 65535).
    pub max_window_size: WindowSize,
    /// The largest window in octets. Default 4 MiB.
    pub max_window_octets: usize,
    /// The largest window in octets of a file that cannot be read twice (a stream, netascii). Default 256 KiB.
    pub max_buffered_octets: usize,
    /// Memory for pieces of files shared by all clients. Default 16 MiB: a file that is longer passes through
    /// it, and the system's page cache keeps it.
    pub cache_octets: usize,
    /// How long a source may take to open a file. Default 10 s.
    pub open_timeout: Duration,
    /// Requests whose files are being opened; more are left unanswered. Default 16384: a rack powered on at once.
    pub pending_opens: usize,
    /// How long to let transfers finish after `shutdown`. Default 10 s.
    pub drain: Duration,
    /// Receive buffer of the listening socket in octets; the system may grant less. Default 4 MiB, which
    /// holds the first requests of thousands of machines powered on together.
    pub receive_buffer: usize,
    /// Whether the server's task has its thread to itself, or nearly so. It may then wait there for a client that is
    /// alone, on the socket of its transfer and for milliseconds, which saves the call that watches all sockets, one
    /// of three a window. Default no: other tasks of the thread would wait, too.
    pub own_thread: bool,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            single_port: false,
            port_range: None,
            ports: 8,
            max_block_size: BlockSize::MAX,
            allow_fragments: false,
            max_window_size: WindowSize::new(256).unwrap_or(WindowSize::MAX),
            max_window_octets: 4 << 20,
            max_buffered_octets: 256 << 10,
            cache_octets: 16 << 20,
            open_timeout: Duration::from_secs(10),
            pending_opens: 16384,
            drain: Duration::from_secs(10),
            receive_buffer: 4 << 20,
            own_thread: false,
        }
    }
}
