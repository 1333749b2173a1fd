//! One transfer as the driver holds it: what both directions have in common.

use super::event::{Cause, Event};
use super::read::Read;
use super::write::Write;
use crate::sender::Outcome;
use crate::server::TransferId;
use crate::wire::Options;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// A transfer under way.
pub(super) struct Transfer {
    pub(super) id: TransferId,
    /// As on the socket: an IPv4 client of a dual-stack socket is mapped.
    pub(super) peer: SocketAddr,
    pub(super) local: Option<IpAddr>,
    pub(super) port: usize,
    pub(super) block_size: usize,
    /// What was granted; the OACK holds it, if it holds anything.
    pub(super) options: Options,
    pub(super) path: String,
    pub(super) started: Instant,
    /// The client ended it with this.
    pub(super) message: String,
    /// A timer entry at or before the deadline is pending.
    pub(super) armed: Option<Instant>,
    /// It is in the queue of those that may have something to send.
    pub(super) queued: bool,
    pub(super) half: Half,
}

/// Which way the file goes.
pub(super) enum Half {
    Read(Read),
    Write(Write),
}

impl Transfer {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match &self.half {
            Half::Read(read) => read.sender.poll_timeout(),
            Half::Write(write) => write.poll_timeout(),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match &mut self.half {
            Half::Read(read) => read.sender.handle_timeout(now),
            Half::Write(write) => write.handle_timeout(now),
        }
    }

    /// Whether nothing more is to be said.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        match &self.half {
            Half::Read(read) => read.sender.is_over(),
            Half::Write(write) => write.is_over(now),
        }
    }

    /// How it ended; `None` while it goes on.
    pub(super) fn cause(&self) -> Option<Cause> {
        let (outcome, begun) = match &self.half {
            Half::Read(read) => (read.sender.outcome()?, read.sender.is_answered()),
            Half::Write(write) => (write.outcome()?, true),
        };
        Some(match outcome {
            Outcome::Complete => Cause::Complete,
            Outcome::TimedOut => Cause::TimedOut,
            Outcome::Aborted(_) if !begun && !self.options.is_empty() => Cause::Probe,
            Outcome::Aborted(code) => Cause::Aborted { code, message: self.message.clone() },
        })
    }

    pub(super) fn started(&self, size: Option<u64>) -> Event {
        Event::Started { peer: canonical(self.peer), path: self.path.clone(), size }
    }

    pub(super) fn finished(&self, cause: Cause, duration: Duration) -> Event {
        let (peer, path) = (canonical(self.peer), self.path.clone());
        match &self.half {
            Half::Read(read) => {
                let blocks = read.sender.acked();
                let (octets, retransmits) =
                    (read.content.octets(blocks, self.block_size), read.sender.retransmits());
                Event::Finished { peer, path, cause, octets, blocks, retransmits, duration }
            }
            Half::Write(write) => {
                let (blocks, octets, retransmits) =
                    (write.receiver.received(), write.octets, write.receiver.repeats());
                match cause {
                    Cause::Complete => Event::Stored { peer, path, octets, blocks, retransmits, duration },
                    cause => Event::Finished { peer, path, cause, octets, blocks, retransmits, duration },
                }
            }
        }
    }
}

/// An IPv4 peer of a dual-stack socket as IPv4.
pub(super) const fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}
