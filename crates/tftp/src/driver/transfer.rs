//! One read transfer as the driver holds it: the engine's sender and where its blocks come from.

use super::content::{Content, Span};
use super::event::{Cause, Event};
use super::file_cache::FileCache;
use super::socket::{Datagram, Port, SEGMENTS, segments_of};
use crate::sender::{Outcome, Sender};
use crate::server::TransferId;
use crate::wire::{OptionAck, Options, encode_data_header};
use bytes::Bytes;
use nix::errno::Errno;
use std::net::{IpAddr, SocketAddr};
use std::task::Context;
use std::time::{Duration, Instant};

/// Where a transfer stands after [`Transfer::flush`].
#[derive(Debug)]
pub(super) enum Flushed {
    /// The window is out; the peer's turn.
    Done,
    /// The source is slow; wake it when blocks have come.
    Starved,
    /// The kernel takes no more for now.
    Blocked,
    /// The source is broken: the transfer must end.
    Failed(String),
}

pub(super) struct Transfer {
    pub(super) id: TransferId,
    /// As on the socket: an IPv4 client of a dual-stack socket is mapped.
    pub(super) peer: SocketAddr,
    pub(super) local: Option<IpAddr>,
    pub(super) port: usize,
    pub(super) sender: Sender,
    pub(super) content: Content,
    pub(super) block_size: usize,
    pub(super) options: Options,
    /// Whether blocks fit the egress MTU, so that the kernel may cut them.
    pub(super) segmented: bool,
    pub(super) path: String,
    pub(super) started: Instant,
    /// The client ended it with this.
    pub(super) message: String,
    /// A timer entry at or before the deadline is pending.
    pub(super) armed: Option<Instant>,
    pub(super) queued: bool,
    pub(super) starved: bool,
}

impl Transfer {
    /// Puts everything on the wire that the engine allows.
    pub(super) fn flush(&mut self, now: Instant, port: &mut Port, cache: &mut FileCache) -> Flushed {
        self.starved = false;
        if self.sender.poll_option_ack(now) {
            let mut packet = Vec::with_capacity(64);
            OptionAck(self.options).encode(&mut packet);
            let (header, rest) = packet.split_first_chunk::<4>().map_or(([0; 4], &[][..]), |(h, r)| (*h, r));
            let pieces = [Bytes::copy_from_slice(rest), Bytes::new()];
            if !port.push(Datagram { to: self.peer, from: self.local, header, pieces }) {
                return Flushed::Blocked;
            }
        }
        loop {
            let limit = if self.segmented { segments_of(self.block_size) } else { 1 };
            let Some(range) = self.sender.next_blocks(limit as u64) else { return Flushed::Done };
            if port.blocked {
                return Flushed::Blocked;
            }
            let (from, to) = range.into_inner();
            let pieces = match self.content.span(from, to, self.block_size, cache) {
                Span::Here(pieces) => pieces,
                Span::Later => {
                    self.starved = true;
                    return Flushed::Starved;
                }
                Span::Failed(why) => return Flushed::Failed(why),
            };
            if from == to {
                let header = encode_data_header(self.sender.wire_number(from));
                self.sender.mark_sent(now, to);
                if !port.push(Datagram { to: self.peer, from: self.local, header, pieces }) {
                    return Flushed::Blocked;
                }
                continue;
            }
            // Earlier packets of this port go first.
            if !port.flush() {
                return Flushed::Blocked;
            }
            let mut headers = [[0; 4]; SEGMENTS];
            let count = usize::try_from(to - from + 1).unwrap_or(SEGMENTS);
            for (header, block) in headers.iter_mut().zip(from..=to) {
                *header = encode_data_header(self.sender.wire_number(block));
            }
            let headers = headers.get(..count).unwrap_or_default();
            match port.send_segments(self.peer, self.local, headers, &pieces, self.block_size) {
                Ok(()) => self.sender.mark_sent(now, to),
                Err(Errno::EAGAIN) => {
                    port.blocked = true;
                    return Flushed::Blocked;
                }
                Err(
                    Errno::EINVAL | Errno::EMSGSIZE | Errno::EIO | Errno::EOPNOTSUPP | Errno::ENOPROTOOPT,
                ) => {
                    self.segmented = false; // the route or the device cannot: block by block
                }
                Err(_) => self.sender.mark_sent(now, to), // no route: as if lost
            }
        }
    }

    /// Lets a stream go on; `true` if there is more to send.
    pub(super) fn poll_feed(&mut self, cx: &mut Context<'_>) -> bool {
        let Content::Feed(feed) = &mut self.content else { return false };
        let Some(range) = self.sender.next_blocks(u64::MAX) else { return false };
        let any = feed.poll_fill(*range.end(), cx);
        if let Some(last) = feed.last {
            self.sender.set_last(last);
        }
        any
    }

    /// How it ended; `None` while it goes on.
    pub(super) fn cause(&self) -> Option<Cause> {
        Some(match self.sender.outcome()? {
            Outcome::Complete => Cause::Complete,
            Outcome::TimedOut => Cause::TimedOut,
            Outcome::Aborted(_) if self.sender.acked() == 0 && !self.options.is_empty() => Cause::Probe,
            Outcome::Aborted(code) => Cause::Aborted { code, message: self.message.clone() },
        })
    }

    pub(super) fn finished(&self, cause: Cause, since: Duration) -> Event {
        let blocks = self.sender.acked();
        let sent = blocks.saturating_mul(self.block_size as u64);
        let octets = match &self.content {
            Content::Bytes(bytes) => sent.min(bytes.len() as u64),
            Content::File { length, .. } => sent.min(*length),
            Content::Feed(feed) => feed.octets(blocks),
        };
        Event::Finished {
            peer: canonical(self.peer),
            path: self.path.clone(),
            cause,
            octets,
            blocks,
            retransmits: self.sender.retransmits(),
            duration: since,
        }
    }
}

/// An IPv4 peer of a dual-stack socket as IPv4.
pub(super) const fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}
