//! The octets of one transfer by block number, wherever they are.

use super::feeder::{self, Block};
use super::file_cache::{FileCache, FileId, Lookup, PIECE};
use crate::wire::Mode;
use bytes::Bytes;
use std::collections::VecDeque;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// The answer to a request for blocks.
#[derive(Debug)]
pub(super) enum Span {
    /// Consecutive octets in up to two pieces.
    Here([Bytes; 2]),
    /// They will come; the transfer is woken then.
    Later,
    /// They will not come.
    Failed(String),
}

/// Where a transfer's octets are.
pub(super) enum Content {
    /// All in memory.
    Bytes(Bytes),
    /// In a file, in pieces shared with other transfers.
    File(Pieces),
    /// A stream, begun when the first block is wanted.
    Feed(Feed),
}

/// A file in pieces, as one transfer reads it.
pub(super) struct Pieces {
    pub(super) id: FileId,
    length: u64,
    /// What was read when it was opened.
    head: Bytes,
    /// Pieces asked for, from the first.
    asked: u64,
    /// Pieces that are behind.
    behind: u64,
}

impl Pieces {
    pub(super) const fn new(id: FileId, length: u64, head: Bytes) -> Self {
        Self { id, length, head, asked: 0, behind: 0 }
    }

    fn span(&mut self, start: u64, length: u64, cache: &mut FileCache) -> Span {
        if start == 0 && length.min(self.length) <= self.head.len() as u64 {
            return Span::Here([slice(&self.head, 0, length), Bytes::new()]);
        }
        let end = (start + length).min(self.length);
        if start >= end {
            return Span::Here([Bytes::new(), Bytes::new()]);
        }
        let middle = ((start / PIECE + 1) * PIECE).min(end);
        let mut pieces = [Bytes::new(), Bytes::new()];
        for (piece, range) in pieces.iter_mut().zip([start..middle, middle..end]) {
            if range.is_empty() {
                break;
            }
            match cache.octets(self.id, range, &mut self.asked) {
                Lookup::Here(octets) => *piece = octets,
                Lookup::Later => return Span::Later,
                Lookup::Failed(why) => return Span::Failed(why),
            }
        }
        Span::Here(pieces)
    }
}

/// A stream's blocks from the first that is not acknowledged.
pub(super) struct Feed {
    start: Option<(feeder::Input, Mode, usize)>,
    source: Option<mpsc::Receiver<Block>>,
    /// The number of the front block.
    first: u64,
    blocks: VecDeque<Bytes>,
    block_size: usize,
    last_octets: u64,
    /// The last block, once it has come.
    pub(super) last: Option<u64>,
    failed: Option<String>,
}

impl Feed {
    pub(super) fn new(input: feeder::Input, mode: Mode, block_size: usize) -> Self {
        Self {
            start: Some((input, mode, block_size)),
            source: None,
            first: 1,
            blocks: VecDeque::new(),
            block_size,
            last_octets: 0,
            last: None,
            failed: None,
        }
    }

    /// Takes blocks that have come, up to number `until`; `true` if there was one.
    pub(super) fn poll_fill(&mut self, until: u64, cx: &mut Context<'_>) -> bool {
        if let Some((input, mode, block_size)) = self.start.take() {
            self.source = Some(feeder::feed(input, mode, block_size));
        }
        let mut any = false;
        while self.first + self.blocks.len() as u64 <= until {
            let Some(source) = &mut self.source else { break };
            match source.poll_recv(cx) {
                Poll::Ready(Some(Ok(block))) => {
                    any = true;
                    if block.len() < self.block_size {
                        self.last = Some(self.first + self.blocks.len() as u64);
                        self.last_octets = block.len() as u64;
                        self.source = None;
                    }
                    self.blocks.push_back(block);
                }
                Poll::Ready(Some(Err(error))) => {
                    any = true;
                    self.failed = Some(error.to_string());
                    self.source = None;
                }
                Poll::Ready(None) => {
                    any = true;
                    self.failed = Some("source ended early".into());
                    self.source = None;
                }
                Poll::Pending => break,
            }
        }
        any
    }

    /// Octets in the first `blocks` blocks.
    fn octets(&self, blocks: u64) -> u64 {
        match self.last {
            Some(last) if last <= blocks => (last - 1) * self.block_size as u64 + self.last_octets,
            _ => blocks.saturating_mul(self.block_size as u64),
        }
    }

    fn block(&self, number: u64) -> Span {
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        match index.and_then(|index| self.blocks.get(index)) {
            Some(block) => Span::Here([block.clone(), Bytes::new()]),
            None => self.failed.clone().map_or(Span::Later, Span::Failed),
        }
    }

    fn release(&mut self, acked: u64) {
        while self.first <= acked && self.blocks.pop_front().is_some() {
            self.first += 1;
        }
    }
}

impl Content {
    /// Whether blocks can be sent as one span.
    pub(super) const fn is_contiguous(&self) -> bool {
        !matches!(self, Self::Feed(_))
    }

    /// The octets of the blocks `from..=to`, which must lie within one [`PIECE`] in length.
    pub(super) fn span(&mut self, from: u64, to: u64, block: usize, cache: &mut FileCache) -> Span {
        let start = (from - 1) * block as u64;
        let length = (to - from + 1) * block as u64;
        match self {
            Self::Bytes(bytes) => Span::Here([slice(bytes, start, length), Bytes::new()]),
            Self::File(pieces) => pieces.span(start, length, cache),
            Self::Feed(feed) => feed.block(from),
        }
    }

    /// Octets in the first `blocks` blocks.
    pub(super) fn octets(&self, blocks: u64, block_size: usize) -> u64 {
        let sent = blocks.saturating_mul(block_size as u64);
        match self {
            Self::Bytes(bytes) => sent.min(bytes.len() as u64),
            Self::File(pieces) => sent.min(pieces.length),
            Self::Feed(feed) => feed.octets(blocks),
        }
    }

    /// The blocks up to `acked` are not wanted again.
    pub(super) fn release(&mut self, acked: u64) {
        if let Self::Feed(feed) = self {
            feed.release(acked);
        }
    }

    /// Of a file: gives back what is behind `acked` blocks, and reads what is before `next` and not yet
    /// there, so that the next window need not wait for it.
    pub(super) fn read_ahead(&mut self, acked: u64, next: u64, block: usize, cache: &mut FileCache) {
        let Self::File(Pieces { id, length, asked, behind, .. }) = self else { return };
        let octets = |blocks: u64| blocks.saturating_mul(block as u64).min(*length);
        cache.pass(*id, octets(acked), behind);
        if let Some(last) = octets(next).checked_sub(1) {
            cache.read_ahead(*id, last, asked);
        }
    }
}

/// At most `length` octets from `start`, less where the whole is shorter.
pub(super) fn slice(bytes: &Bytes, start: u64, length: u64) -> Bytes {
    let start = usize::try_from(start).unwrap_or(usize::MAX).min(bytes.len());
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len() - start);
    bytes.slice(start..start + length)
}
