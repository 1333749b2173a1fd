//! Sockets, files and timers around the engines (feature `tokio`; Linux).
//!
//! [`Server::run`] is one future on one thread: it receives in batches, asks the engines, sends in batches.
//! Opening files and reading those that are not in the page cache happens on the blocking pool.
//! It must run inside a tokio runtime with I/O and time enabled.

mod admit;
mod client;
mod config;
mod content;
mod directory;
mod event;
mod feeder;
mod file_cache;
#[cfg(feature = "rules")]
mod mapped;
mod mtu;
mod read;
mod server;
mod shard;
mod socket;
mod source;
mod transfer;
mod wakers;
mod write;

pub use client::{ClientConfig, ClientError, Progress, Summary, get, put};
pub use config::ServerConfig;
pub use directory::{Directory, Uploads};
pub use event::{Cause, Event, EventSink};
#[cfg(feature = "rules")]
pub use mapped::{Mapped, Neighbours};
pub use server::Server;
pub use source::{OpenRequest, Opened, Refusal, Sink, Source, Upload};

use std::io;
use std::net::SocketAddr;

/// What the operating system refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The address cannot be bound.
    #[error("cannot bind UDP {addr}: {source}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A socket could not be set up.
    #[error("cannot {doing}: {source}")]
    Socket {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl DriverError {
    fn socket(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Socket { doing, source }
    }
}
