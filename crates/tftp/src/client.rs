//! A client: asks, learns the server's transfer ID, and then receives or sends.
//!
//! Sans I/O like its halves: a driver moves the datagrams and keeps the file.

use crate::receiver::{Accepted, Receiver, ReceiverConfig};
use crate::rto::RetransmissionTimer;
use crate::sender::{Outcome, Rollover, Sender, SenderConfig};
use crate::wire::{
    BlockSize, Direction, ErrorCode, Mode, OptionAck, Options, Packet, Request, WindowSize, encode_ack,
    encode_data_header, encode_error,
};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Retransmissions without any block, after which large blocks are taken to be lost on the path.
const BLACK_HOLE: u64 = 2;

/// What to ask for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Read or write.
    pub direction: Direction,
    /// The name on the server.
    pub filename: Vec<u8>,
    /// `octet` or `netascii`.
    pub mode: Mode,
    /// The options to ask for.
    pub options: Options,
    /// What follows block 65535. Default of the field's type: 0.
    pub rollover: Rollover,
}

/// Why a transfer did not come about or did not finish.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The server answered with an ERROR.
    #[error("server says: {message} (ERROR {})", u16::from(*code))]
    Refused {
        /// Its code.
        code: ErrorCode,
        /// Its message, octets that are no UTF-8 replaced.
        message: String,
    },
    /// The server never answered.
    #[error("no answer from the server")]
    NoAnswer,
    /// The server stopped answering.
    #[error("server stopped answering")]
    TimedOut,
    /// Options were agreed on, but no block passed: the path may lose large packets.
    #[error("no block arrived: the path loses packets of this size")]
    NothingArrived,
    /// The server acknowledged options that were not asked for (RFC 2347).
    #[error("server acknowledged options that were not asked for")]
    BadOptionAck,
    /// A block was longer than agreed (RFC 2348).
    #[error("block longer than agreed")]
    Oversized,
    /// We ended it.
    #[error("{0}")]
    Cancelled(String),
}

/// What a datagram brought.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Received<'a> {
    /// The next octets of the file.
    Block(&'a [u8]),
    /// Nothing to keep.
    Nothing,
}

#[derive(Debug)]
enum State {
    Asking { timer: RetransmissionTimer, deadline: Instant, due: bool },
    Reading(Receiver),
    Writing(Sender),
    Over(Result<(), Failure>),
}

/// One transfer, as its client sees it.
#[derive(Debug)]
pub struct Client {
    ask: Ask,
    server: SocketAddr,
    /// The server's transfer ID, once it has answered.
    peer: Option<SocketAddr>,
    granted: Options,
    state: State,
    /// The number of the last block to write, if the length is known.
    length: Option<u64>,
    /// An ERROR to send, and to whom.
    error: Option<(SocketAddr, ErrorCode, &'static str)>,
    /// What the half that is over has done.
    blocks: u64,
    retransmits: u64,
}

impl Client {
    /// Begins: the request is due at once. `length` is the length of a file to write in octets as sent.
    #[must_use]
    pub fn new(now: Instant, server: SocketAddr, ask: Ask, length: Option<u64>) -> Self {
        let timer = RetransmissionTimer::new(timeout(&ask.options));
        let state = State::Asking { timer, deadline: now + timer.interval(), due: true };
        let granted = Options::default();
        Self { ask, server, peer: None, granted, state, length, error: None, blocks: 0, retransmits: 0 }
    }

    /// Takes a datagram.
    pub fn handle_datagram<'a>(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &'a [u8],
    ) -> Received<'a> {
        let Ok(packet) = Packet::parse(datagram) else { return Received::Nothing };
        let stranger = match self.peer {
            Some(peer) => from != peer,
            None => from.ip() != self.server.ip(),
        };
        if stranger {
            if !matches!(packet, Packet::Error(..)) && from.ip() == self.server.ip() {
                self.error = Some((from, ErrorCode::UnknownTransferId, "unknown transfer ID")); // RFC 1350 §4
            }
            return Received::Nothing;
        }
        if let Packet::Error(code, message) = packet {
            self.handle_error(code, message);
            return Received::Nothing;
        }
        if matches!(self.state, State::Asking { .. }) {
            self.handle_answer(now, from, packet);
        }
        match (&mut self.state, packet) {
            (State::Reading(receiver), Packet::Data(number, octets)) => {
                let accepted = receiver.handle_data(now, number, octets.len());
                match accepted {
                    Accepted::Next | Accepted::Last => return Received::Block(octets),
                    Accepted::Dropped => {}
                    Accepted::Oversized => {
                        self.error = Some((from, ErrorCode::IllegalOperation, "block longer than agreed"));
                        self.over(Err(Failure::Oversized));
                    }
                }
            }
            // The OACK again: our acknowledgement of it was lost.
            (State::Reading(receiver), Packet::OptionAck(_)) => receiver.repeat_start(now),
            (State::Writing(sender), Packet::Ack(number)) => {
                sender.handle_ack(now, number);
                if sender.is_complete() {
                    self.over(Ok(()));
                }
            }
            _ => {}
        }
        Received::Nothing
    }

    /// The first answer decides the transfer ID and the options (RFC 1350 §4, RFC 2347).
    fn handle_answer(&mut self, now: Instant, from: SocketAddr, packet: Packet<'_>) {
        let with_options = match (self.ask.direction, packet) {
            (_, Packet::OptionAck(octets)) => match OptionAck::parse(octets, &self.ask.options) {
                Ok(OptionAck(granted)) => {
                    self.granted = granted;
                    true
                }
                Err(code) => {
                    self.error = Some((from, code, "options that were not asked for"));
                    self.state = State::Over(Err(Failure::BadOptionAck));
                    return;
                }
            },
            (Direction::Read, Packet::Data(1, _)) | (Direction::Write, Packet::Ack(0)) => false,
            _ => return,
        };
        self.peer = Some(from);
        let window = self.granted.window_size.unwrap_or(WindowSize::DEFAULT);
        let timeout = timeout(&self.granted);
        self.state = match self.ask.direction {
            Direction::Read => State::Reading(Receiver::new(
                now,
                &ReceiverConfig {
                    block_size: self.block_size(),
                    window,
                    rollover: self.ask.rollover,
                    timeout,
                    acknowledge_start: with_options,
                },
            )),
            Direction::Write => State::Writing(Sender::new(
                now,
                &SenderConfig {
                    window,
                    option_ack: false,
                    rollover: self.ask.rollover,
                    timeout,
                    last: self.length.map(|length| crate::negotiate::last_block(length, self.block_size())),
                },
            )),
        };
    }

    fn handle_error(&mut self, code: ErrorCode, message: &[u8]) {
        if matches!(self.state, State::Over(_)) {
            return;
        }
        let message = String::from_utf8_lossy(message).into_owned();
        self.over(Err(Failure::Refused { code, message }));
    }

    /// Takes the time.
    pub fn handle_timeout(&mut self, now: Instant) {
        let black_hole = self.granted.block_size.is_some_and(|size| size > BlockSize::DEFAULT);
        let failed = match &mut self.state {
            State::Asking { timer, deadline, due } => {
                if now < *deadline {
                    return;
                }
                if timer.retry() {
                    (*due, *deadline) = (true, now + timer.interval());
                    self.retransmits += 1;
                    return;
                }
                Failure::NoAnswer
            }
            State::Reading(receiver) => {
                receiver.handle_timeout(now);
                if black_hole && receiver.received() == 0 && receiver.repeats() > BLACK_HOLE {
                    Failure::NothingArrived
                } else if receiver.outcome() == Some(Outcome::TimedOut) {
                    Failure::TimedOut
                } else {
                    return;
                }
            }
            State::Writing(sender) => {
                sender.handle_timeout(now);
                let window = u64::from(self.granted.window_size.unwrap_or(WindowSize::DEFAULT).blocks());
                if black_hole && sender.acked() == 0 && sender.retransmits() > BLACK_HOLE * window {
                    Failure::NothingArrived
                } else if sender.outcome() == Some(Outcome::TimedOut) {
                    Failure::TimedOut
                } else {
                    return;
                }
            }
            State::Over(_) => return,
        };
        if let Some(peer) = self.peer {
            self.error = Some((peer, ErrorCode::NotDefined, "given up"));
        }
        self.over(Err(failed));
    }

    /// Ends the transfer from our side.
    pub fn cancel(&mut self, code: ErrorCode, message: &'static str) {
        if let (Some(peer), false) = (self.peer, self.is_over()) {
            self.error = Some((peer, code, message));
        }
        if !self.is_over() {
            self.over(Err(Failure::Cancelled(message.to_owned())));
        }
    }

    /// Writes the next packet that is not a block into `out`, which it clears, and says where it goes. Call
    /// until `None` after every `handle_*`.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<SocketAddr> {
        out.clear();
        if let Some((to, code, message)) = self.error.take() {
            encode_error(code, message, out);
            return Some(to);
        }
        match &mut self.state {
            State::Asking { due, .. } => {
                if !std::mem::take(due) {
                    return None;
                }
                let Ask { direction, filename, mode, options, .. } = &self.ask;
                Request { direction: *direction, filename, mode: *mode, options: *options }.encode(out);
                Some(self.server)
            }
            State::Reading(receiver) => {
                out.extend_from_slice(&encode_ack(receiver.poll_ack(now)?));
                self.peer
            }
            _ => None,
        }
    }

    /// The next blocks to send of a file that is written, at most `limit`, without taking them.
    #[must_use]
    pub fn next_blocks(&self, limit: u64) -> Option<std::ops::RangeInclusive<u64>> {
        match &self.state {
            State::Writing(sender) => sender.next_blocks(limit),
            _ => None,
        }
    }

    /// Says that the blocks up to `block` are on their way.
    pub fn mark_sent(&mut self, now: Instant, block: u64) {
        if let State::Writing(sender) = &mut self.state {
            sender.mark_sent(now, block);
        }
    }

    /// Names the last block of a file that is written, once its end is seen.
    pub fn set_last(&mut self, block: u64) {
        if let State::Writing(sender) = &mut self.state {
            sender.set_last(block);
            if sender.is_complete() {
                self.over(Ok(()));
            }
        }
    }

    fn over(&mut self, result: Result<(), Failure>) {
        (self.blocks, self.retransmits) = (self.blocks(), self.retransmits());
        self.state = State::Over(result);
    }

    /// The header of a block that is written.
    #[must_use]
    pub fn data_header(&self, block: u64) -> [u8; 4] {
        encode_data_header(self.ask.rollover.wire(block))
    }

    /// Where blocks go, once the server has answered.
    #[must_use]
    pub const fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The options in force.
    #[must_use]
    pub const fn granted(&self) -> &Options {
        &self.granted
    }

    /// The block size in force.
    #[must_use]
    pub fn block_size(&self) -> BlockSize {
        self.granted.block_size.unwrap_or(BlockSize::DEFAULT)
    }

    /// Blocks the server has acknowledged, or that have arrived.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        match &self.state {
            State::Reading(receiver) => receiver.received(),
            State::Writing(sender) => sender.acked(),
            _ => self.blocks,
        }
    }

    /// Packets that were sent more than once.
    #[must_use]
    pub fn retransmits(&self) -> u64 {
        self.retransmits
            + match &self.state {
                State::Reading(receiver) => receiver.repeats(),
                State::Writing(sender) => sender.retransmits(),
                _ => 0,
            }
    }

    /// How long to stay after the last block, in case its acknowledgement was lost (RFC 1350 §6).
    #[must_use]
    pub fn dally(&self) -> Duration {
        match &self.state {
            State::Reading(receiver) => receiver.dally(),
            _ => Duration::ZERO,
        }
    }

    /// When [`Self::handle_timeout`] wants to be called; `None` once the transfer is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Asking { deadline, .. } => Some(*deadline),
            State::Reading(receiver) => receiver.poll_timeout(),
            State::Writing(sender) => sender.poll_timeout(),
            State::Over(_) => None,
        }
    }

    /// Whether the transfer is over, well or not. A complete read still answers a repeated last block.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match &self.state {
            State::Reading(receiver) => receiver.is_complete(),
            State::Over(_) => true,
            _ => false,
        }
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn result(&self) -> Option<Result<(), Failure>> {
        match &self.state {
            State::Reading(receiver) if receiver.is_complete() => Some(Ok(())),
            State::Over(result) => Some(result.clone()),
            _ => None,
        }
    }
}

fn timeout(options: &Options) -> Option<Duration> {
    options.timeout.map(|timeout| Duration::from_secs(timeout.seconds().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "an origin for virtual time")]
    fn client(options: Options) -> (Instant, Client, SocketAddr, SocketAddr) {
        let (now, server) = (Instant::now(), SocketAddr::from(([192, 0, 2, 1], 69)));
        let ask = Ask {
            direction: Direction::Read,
            filename: b"f".to_vec(),
            mode: Mode::Octet,
            options,
            rollover: Rollover::Zero,
        };
        let mut client = Client::new(now, server, ask, None);
        let mut out = Vec::new();
        assert_eq!(client.poll_transmit(now, &mut out), Some(server));
        assert_eq!(client.poll_transmit(now, &mut out), None);
        (now, client, server, SocketAddr::from(([192, 0, 2, 1], 5000)))
    }

    fn large() -> Options {
        Options { block_size: BlockSize::new(1468), ..Options::default() }
    }

    #[test]
    fn the_first_answer_is_the_transfer_id() {
        // RFC 1350 §4: a packet from elsewhere gets ERROR 5 and disturbs nothing.
        let (now, mut client, _, tid) = client(Options::default());
        assert_eq!(client.handle_datagram(now, tid, b"\0\x03\0\x01abc"), Received::Block(b"abc"));
        let (other, mut out) = (SocketAddr::from(([192, 0, 2, 1], 5001)), Vec::new());
        assert_eq!(client.handle_datagram(now, other, b"\0\x03\0\x01xyz"), Received::Nothing);
        assert_eq!(client.poll_transmit(now, &mut out), Some(other));
        assert_eq!(out.get(..4), Some(&[0, 5, 0, 5][..]));
        assert_eq!(client.poll_transmit(now, &mut out), Some(tid));
        assert_eq!(out, [0, 4, 0, 1]);
        assert_eq!(client.result(), Some(Ok(())));
    }

    #[test]
    fn the_option_ack_again_is_acknowledged_again() {
        // RFC 2347: the acknowledgement of the OACK was lost.
        let (now, mut client, _, tid) = client(large());
        let mut out = Vec::new();
        for _ in 0..2 {
            client.handle_datagram(now, tid, b"\0\x06blksize\x001000\0");
            assert_eq!(client.poll_transmit(now, &mut out), Some(tid));
            assert_eq!(out, [0, 4, 0, 0]);
        }
        assert_eq!(client.block_size().octets(), 1000);
    }

    #[test]
    fn a_path_that_loses_large_blocks_is_noticed() {
        // RFC 2348: the block size must suit the path.
        let (mut now, mut client, _, tid) = client(large());
        client.handle_datagram(now, tid, b"\0\x06blksize\x001468\0");
        while let Some(at) = client.poll_timeout() {
            assert!(at - now < Duration::from_secs(10));
            now = at;
            client.handle_timeout(now);
            while client.poll_transmit(now, &mut Vec::new()).is_some() {}
        }
        assert_eq!(client.result(), Some(Err(Failure::NothingArrived)));
    }

    #[test]
    fn options_nobody_asked_for_end_it() {
        // RFC 2347: ERROR 8.
        let (now, mut client, _, tid) = client(large());
        client.handle_datagram(now, tid, b"\0\x06tsize\x0077\0");
        let mut out = Vec::new();
        assert_eq!(client.poll_transmit(now, &mut out), Some(tid));
        assert_eq!(out.get(..4), Some(&[0, 5, 0, 8][..]));
        assert_eq!(client.result(), Some(Err(Failure::BadOptionAck)));
    }
}
