//! The receiving half of a server's transfer: octets gather here and are written on the blocking pool.
//!
//! One piece is written at a time. While too much waits, acknowledgements are withheld, so a slow disk slows
//! its client and costs no memory. The last acknowledgement waits until the file is complete in its place:
//! what a client was told is there, is there.

use super::source::{Refusal, Sink, Upload};
use crate::netascii;
use crate::receiver::{Accepted, Receiver};
use crate::sender::Outcome;
use crate::server::TransferId;
use crate::wire::{ErrorCode, Mode};
use std::io;
use std::time::Instant;
use tokio::task::JoinSet;

/// Octets that are written at once.
const PIECE: usize = 64 << 10;
/// Octets that may wait before acknowledgements are withheld.
const WAITING: usize = 256 << 10;

/// The largest window in blocks that a client may write with.
pub(super) const WINDOW: u16 = 64;

/// A piece that was written: the sink again, or nothing when the file is in its place.
pub(super) type Written = (TransferId, Result<Option<Box<dyn Sink>>, Refusal>);

/// What to answer with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    OptionAck,
    Ack(u16),
}

/// What became of a DATA packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Taken {
    Fine,
    /// The client is to be refused with this.
    Refused(ErrorCode, &'static str),
}

/// The engine's receiver, and where its octets go.
pub(super) struct Write {
    pub(super) receiver: Receiver,
    pub(super) octets: u64,
    /// The most octets that may come.
    quota: u64,
    /// The OACK stands for the acknowledgement of block 0 (RFC 2347).
    with_options: bool,
    decoder: Option<netascii::Decoder>,
    gathered: Vec<u8>,
    /// Here while nothing is being written.
    sink: Option<Box<dyn Sink>>,
    /// The file is in its place since then.
    committed: Option<Instant>,
}

impl Write {
    pub(super) fn new(receiver: Receiver, upload: Upload, mode: Mode, with_options: bool) -> Self {
        Self {
            receiver,
            octets: 0,
            quota: upload.quota,
            with_options,
            decoder: (mode == Mode::Netascii).then(netascii::Decoder::default),
            gathered: Vec::new(),
            sink: Some(upload.sink),
            committed: None,
        }
    }

    /// Takes a DATA packet.
    pub(super) fn handle_data(&mut self, now: Instant, number: u16, octets: &[u8]) -> Taken {
        match self.receiver.handle_data(now, number, octets.len()) {
            accepted @ (Accepted::Next | Accepted::Last) => {
                self.octets += octets.len() as u64;
                if self.octets > self.quota {
                    return Taken::Refused(ErrorCode::DiskFull, "file is larger than allowed");
                }
                match &mut self.decoder {
                    None => self.gathered.extend_from_slice(octets),
                    Some(decoder) => {
                        decoder.decode(octets, &mut self.gathered);
                        if accepted == Accepted::Last {
                            decoder.finish(&mut self.gathered);
                        }
                    }
                }
                Taken::Fine
            }
            Accepted::Dropped => Taken::Fine,
            Accepted::Oversized => Taken::Refused(ErrorCode::IllegalOperation, "block longer than agreed"),
        }
    }

    /// Has written what waits, if it is worth it and nothing is being written.
    pub(super) fn start_writing(&mut self, id: TransferId, pool: &mut JoinSet<Written>) {
        let end = self.receiver.is_complete();
        if !end && self.gathered.len() < PIECE {
            return;
        }
        let Some(mut sink) = self.sink.take() else { return };
        let octets = std::mem::take(&mut self.gathered);
        pool.spawn_blocking(move || {
            let written = sink
                .write(&octets)
                .and_then(|()| if end { sink.commit().map(|()| None) } else { Ok(Some(sink)) });
            (id, written.map_err(|error| refusal(&error)))
        });
    }

    /// A piece is written.
    pub(super) fn handle_written(&mut self, now: Instant, sink: Option<Box<dyn Sink>>) {
        match sink {
            Some(sink) => self.sink = Some(sink),
            None => self.committed = Some(now),
        }
    }

    /// The acknowledgement to send now.
    pub(super) fn poll_answer(&mut self, now: Instant) -> Option<Answer> {
        let end = self.receiver.is_complete();
        if (end && self.committed.is_none()) || (!end && self.gathered.len() >= WAITING) {
            return None;
        }
        let number = self.receiver.poll_ack(now)?;
        let start = self.with_options && self.receiver.received() == 0;
        Some(if start { Answer::OptionAck } else { Answer::Ack(number) })
    }

    /// Until the last acknowledgement has surely arrived (RFC 1350 §6), the client may repeat its last block.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.receiver.poll_timeout().or_else(|| Some(self.committed? + self.receiver.dally()))
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.receiver.handle_timeout(now);
    }

    /// How it ended, once it has.
    pub(super) const fn outcome(&self) -> Option<Outcome> {
        self.receiver.outcome()
    }

    /// Whether nothing more is to be said.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        match self.receiver.outcome() {
            None => false,
            Some(Outcome::Complete) => self.committed.is_some_and(|at| now >= at + self.receiver.dally()),
            Some(_) => true,
        }
    }
}

/// The ERROR for a file that cannot be written.
pub(super) fn refusal(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Refusal::new(ErrorCode::DiskFull, "disk full or allocation exceeded")
        }
        io::ErrorKind::AlreadyExists => Refusal::new(ErrorCode::FileExists, "file already exists"),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Refusal::access_violation(),
        _ => Refusal::new(ErrorCode::NotDefined, "file cannot be written"),
    }
}
