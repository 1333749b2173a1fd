//! The sending half of a transfer and where its blocks come from. Server reads and client writes use it.

use super::content::{Content, Span};
use super::file_cache::FileCache;
use super::socket::{Datagram, Port, SEGMENTS, segments_of};
use crate::sender::Sender;
use crate::wire::{OptionAck, Options, encode_data_header};
use bytes::Bytes;
use nix::errno::Errno;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::task::Context;
use std::time::Instant;

/// Where a transfer stands after its window was sent.
#[derive(Debug)]
pub(super) enum Flushed {
    /// The window is out; the peer's turn.
    Done,
    /// The source is slow; the transfer is woken when blocks have come.
    Starved,
    /// The kernel takes no more for now.
    Blocked,
    /// The source is broken: the transfer must end.
    Failed(String),
}

/// The engine's sender, and its blocks.
pub(super) struct Read {
    pub(super) sender: Sender,
    pub(super) content: Content,
    /// Whether blocks fit the egress MTU, so that the kernel may cut them.
    pub(super) segmented: bool,
    pub(super) starved: bool,
}

/// Where the packets of a transfer go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    pub(super) to: SocketAddr,
    pub(super) from: Option<IpAddr>,
    pub(super) block_size: usize,
}

impl Read {
    /// Puts everything on the wire that the engine allows.
    pub(super) fn flush(
        &mut self,
        now: Instant,
        path: Path,
        options: &Options,
        port: &mut Port,
        cache: &mut FileCache,
    ) -> Flushed {
        self.starved = false;
        if self.sender.poll_option_ack(now) && !push_option_ack(port, path, options) {
            return Flushed::Blocked;
        }
        loop {
            let limit = if self.segmented { segments_of(path.block_size) } else { 1 };
            let Some(range) = self.sender.next_blocks(limit as u64) else { return Flushed::Done };
            if port.blocked {
                return Flushed::Blocked;
            }
            let to = *range.end();
            let pieces = match self.content.span(*range.start(), to, path.block_size, cache) {
                Span::Here(pieces) => pieces,
                Span::Later => {
                    self.starved = true;
                    return Flushed::Starved;
                }
                Span::Failed(why) => return Flushed::Failed(why),
            };
            let sender = &self.sender;
            match send_blocks(port, path, range, pieces, |block| {
                encode_data_header(sender.wire_number(block))
            }) {
                Sent::All => self.sender.mark_sent(now, to),
                Sent::AllThenBlocked => {
                    self.sender.mark_sent(now, to);
                    return Flushed::Blocked;
                }
                Sent::Blocked => return Flushed::Blocked,
                Sent::Unsegmentable => self.segmented = false,
            }
        }
    }

    /// While the peer takes a window, reads the next one.
    pub(super) fn read_ahead(&mut self, block_size: usize, cache: &mut FileCache) {
        if self.sender.is_answered() {
            let (acked, window) = (self.sender.acked(), self.sender.window());
            self.content.read_ahead(acked, acked.saturating_add(2 * window), block_size, cache);
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
}

/// Queues an OACK; `false` while the kernel takes no more.
pub(super) fn push_option_ack(port: &mut Port, path: Path, options: &Options) -> bool {
    let mut packet = Vec::with_capacity(64);
    OptionAck(*options).encode(&mut packet);
    push_packet(port, path.to, path.from, &packet)
}

/// Queues a packet of at least four octets; `false` while the kernel takes no more.
pub(super) fn push_packet(port: &mut Port, to: SocketAddr, from: Option<IpAddr>, packet: &[u8]) -> bool {
    let Some((header, rest)) = packet.split_first_chunk::<4>() else { return true };
    let pieces = [Bytes::copy_from_slice(rest), Bytes::new()];
    port.push(Datagram { to, from, header: *header, pieces })
}

/// What became of consecutive blocks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sent {
    All,
    /// They are queued, and the kernel takes no more.
    AllThenBlocked,
    /// None; try again when the port is free.
    Blocked,
    /// None: the route or the device cannot cut them. Try block by block.
    Unsegmentable,
}

/// Sends consecutive blocks: one in the port's batch, more in one segmented datagram.
pub(super) fn send_blocks(
    port: &mut Port,
    path: Path,
    range: RangeInclusive<u64>,
    pieces: [Bytes; 2],
    header: impl Fn(u64) -> [u8; 4],
) -> Sent {
    let Path { to, from, block_size } = path;
    if range.start() == range.end() {
        let header = header(*range.start());
        let free = port.push(Datagram { to, from, header, pieces });
        return if free { Sent::All } else { Sent::AllThenBlocked };
    }
    // Earlier packets of this port go first.
    if !port.flush() {
        return Sent::Blocked;
    }
    let mut headers = [[0; 4]; SEGMENTS];
    let mut count = 0;
    for (place, block) in headers.iter_mut().zip(range) {
        *place = header(block);
        count += 1;
    }
    match port.send_segments(to, from, headers.get(..count).unwrap_or_default(), &pieces, block_size) {
        Ok(()) => Sent::All,
        Err(Errno::EAGAIN) => {
            port.blocked = true;
            Sent::Blocked
        }
        Err(Errno::EINVAL | Errno::EMSGSIZE | Errno::EIO | Errno::EOPNOTSUPP | Errno::ENOPROTOOPT) => {
            Sent::Unsegmentable
        }
        Err(_) => Sent::All, // no route: as if lost
    }
}
