//! The sending half of a transfer: a server's read, a client's write.
//!
//! Lock-step with a window of 1 (RFC 1350 §2), go-back-N above (RFC 7440 §4). The sender numbers blocks
//! and never holds one: whoever drives it reads the block where files are read.

use crate::rto::RetransmissionTimer;
use crate::wire::{ErrorCode, WindowSize};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// What follows block 65535. RFC 1350 does not say; nearly every client expects 0.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Rollover {
    /// Block 0 (the block number is the count modulo 65536).
    #[default]
    Zero,
    /// Block 1.
    One,
}

impl Rollover {
    /// The number on the wire of a block counted from 1; 0 stays 0.
    #[must_use]
    pub const fn wire(self, block: u64) -> u16 {
        match self {
            Self::Zero => (block & 0xffff) as u16,
            Self::One if block == 0 => 0,
            Self::One => ((block - 1) % 65535 + 1) as u16,
        }
    }

    /// How many blocks `number` is ahead of `block`, modulo the period.
    pub(crate) fn distance(self, block: u64, number: u16) -> Option<u64> {
        let here = self.wire(block);
        match self {
            Self::Zero => Some(u64::from(number.wrapping_sub(here))),
            Self::One if number == 0 => (block == 0).then_some(0),
            Self::One => Some((u64::from(number) + 65535 - u64::from(here)) % 65535),
        }
    }
}

/// What a sender has to know before its first packet.
#[derive(Clone, Copy, Debug)]
pub struct SenderConfig {
    /// Blocks per acknowledgement. Default 1.
    pub window: WindowSize,
    /// Whether an OACK goes first and is acknowledged as block 0 (RFC 2347).
    pub option_ack: bool,
    /// What follows block 65535. Default 0.
    pub rollover: Rollover,
    /// The negotiated `timeout` (RFC 2349). Default: measured.
    pub timeout: Option<Duration>,
    /// The number of the short block that ends the transfer (RFC 1350 §6), if the length is known.
    pub last: Option<u64>,
}

impl Default for SenderConfig {
    fn default() -> Self {
        Self {
            window: WindowSize::DEFAULT,
            option_ack: false,
            rollover: Rollover::Zero,
            timeout: None,
            last: None,
        }
    }
}

/// How a transfer ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Every block was acknowledged.
    Complete,
    /// The peer sent an ERROR; it is never answered (RFC 1350 §7).
    Aborted(ErrorCode),
    /// The peer did not answer any retransmission.
    TimedOut,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// The OACK waits for ACK 0.
    Negotiating {
        due: bool,
    },
    Sending,
    Over(Outcome),
}

/// Sends one file.
///
/// ```
/// use std::time::Instant;
/// use tftp::{Sender, SenderConfig};
/// let now = Instant::now();
/// let mut sender = Sender::new(now, &SenderConfig { last: Some(2), ..SenderConfig::default() });
/// assert_eq!(sender.poll_block(now), Some(1));
/// assert_eq!(sender.poll_block(now), None); // the window is 1
/// sender.handle_ack(now, 1);
/// assert_eq!(sender.poll_block(now), Some(2));
/// sender.handle_ack(now, 2);
/// assert!(sender.is_complete());
/// ```
#[derive(Clone, Debug)]
pub struct Sender {
    window: u64,
    rollover: Rollover,
    state: State,
    last: Option<u64>,
    /// Every block up to here has arrived.
    acked: u64,
    /// Every block up to here is on its way.
    sent: u64,
    /// The highest block ever sent: above it nothing is a retransmission.
    highest: u64,
    timer: RetransmissionTimer,
    deadline: Instant,
    /// A block sent once, and when (Karn's rule).
    timed: Option<(u64, Instant)>,
    /// Before this, an acknowledgement may not be an answer to what was sent last.
    quiet_until: Instant,
    /// Repeated acknowledgements that blocks already under way will still provoke.
    echoes: u64,
    /// After this, a repeated acknowledgement is no such echo.
    echoes_until: Instant,
    /// Whether the peer has answered anything.
    answered: bool,
    retransmits: u64,
}

impl Sender {
    /// Begins a transfer: the OACK or block 1 is due at once.
    #[must_use]
    pub fn new(now: Instant, config: &SenderConfig) -> Self {
        let timer = RetransmissionTimer::new(config.timeout);
        Self {
            window: u64::from(config.window.blocks()),
            rollover: config.rollover,
            state: if config.option_ack { State::Negotiating { due: true } } else { State::Sending },
            last: config.last,
            acked: 0,
            sent: 0,
            highest: 0,
            deadline: now + timer.interval(),
            timer,
            timed: None,
            quiet_until: now,
            echoes: 0,
            echoes_until: now,
            answered: false,
            retransmits: 0,
        }
    }

    /// Names the block that ends the transfer, once a source of unknown length has ended.
    pub fn set_last(&mut self, last: u64) {
        self.last = Some(last);
        self.settle();
    }

    /// Takes the block number of an ACK. It counts modulo 65536; files of any size work.
    pub fn handle_ack(&mut self, now: Instant, number: u16) {
        match self.state {
            State::Over(_) => return,
            State::Negotiating { due } => {
                if number == 0 && !due {
                    self.state = State::Sending;
                    self.answered = true;
                    self.take_round_trip(now, 0);
                    self.timer.progress();
                    self.deadline = now + self.timer.interval();
                    self.settle();
                }
                return;
            }
            State::Sending => {}
        }
        let outstanding = self.sent - self.acked;
        let Some(advance) = self.rollover.distance(self.acked, number) else { return };
        if advance > outstanding {
            return; // from the past or from the future
        }
        if advance == 0 {
            if self.window > 1 && outstanding > 0 {
                self.handle_gap(now);
            }
            return; // in lock-step a duplicate never makes us send: RFC 1123 §4.2.3.1
        }
        self.acked += advance;
        self.answered = true;
        self.take_round_trip(now, self.acked);
        self.timer.progress();
        self.deadline = now + self.timer.interval();
        if self.sent > self.acked {
            // The first gap is behind the block it names: RFC 7440 §4.
            self.timer.trust();
            if now >= self.quiet_until {
                self.go_back(now);
            } else {
                // Or the peer names each block it takes. One that told of a gap says no more until that is mended.
                self.deadline = self.quiet_until;
            }
        } else {
            self.quiet_until = now + self.round_trip() / 2;
            self.echoes = 0;
        }
        self.settle();
    }

    /// Nothing new, in a window: its first block was lost. Once per gap, because some clients acknowledge
    /// every block behind a gap (EDK2 does).
    fn handle_gap(&mut self, now: Instant) {
        if self.echoes > 0 && now < self.echoes_until {
            self.echoes -= 1;
            self.suspect(now);
        } else if now >= self.quiet_until {
            self.timer.trust();
            self.go_back(now);
            self.deadline = now + self.timer.interval();
        } else {
            self.suspect(now);
        }
    }

    /// The peer may have told of a gap, or not: it has until the measured time-out to get on.
    fn suspect(&mut self, now: Instant) {
        self.timer.trust();
        self.deadline = self.deadline.min(now + self.timer.interval());
    }

    fn go_back(&mut self, now: Instant) {
        self.echoes = (self.sent - self.acked).saturating_sub(1);
        self.retransmits += self.sent - self.acked;
        self.sent = self.acked;
        self.timed = None;
        self.quiet_until = now + self.round_trip();
        self.echoes_until = now + self.round_trip().saturating_mul(4).max(Duration::from_millis(20));
    }

    fn round_trip(&self) -> Duration {
        self.timer.round_trip().unwrap_or(Duration::from_millis(5))
    }

    fn take_round_trip(&mut self, now: Instant, acked: u64) {
        if let Some((block, at)) = self.timed
            && acked >= block
        {
            self.timer.sample(now.saturating_duration_since(at));
            self.timed = None;
        }
    }

    fn settle(&mut self) {
        if self.state == State::Sending && self.last == Some(self.acked) {
            self.state = State::Over(Outcome::Complete);
        }
    }

    /// Takes an ERROR from the peer: the transfer is over (RFC 1350 §7).
    pub fn handle_error(&mut self, code: ErrorCode) {
        if !self.is_over() {
            self.state = State::Over(Outcome::Aborted(code));
        }
    }

    /// Takes the time. Before the deadline it does nothing; at the deadline it steps back to the last
    /// acknowledged block and spends a retransmission.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.is_over() || now < self.deadline {
            return;
        }
        let idle = match self.state {
            State::Sending => self.sent == self.acked, // the source is slow, the peer owes us nothing
            State::Negotiating { due } => due,
            State::Over(_) => true,
        };
        if idle {
            self.deadline = now + self.timer.interval();
            return;
        }
        if !self.timer.retry() {
            self.state = State::Over(Outcome::TimedOut);
            return;
        }
        if let State::Negotiating { due } = &mut self.state {
            *due = true;
            self.retransmits += 1;
            self.timed = None;
        } else {
            self.go_back(now);
        }
        self.deadline = now + self.timer.interval();
    }

    /// Asks for the current packet once more, because the peer repeated its request.
    pub fn repeat(&mut self, now: Instant) {
        match &mut self.state {
            State::Negotiating { due } if !*due => {
                *due = true;
                self.timed = None;
                self.retransmits += 1;
            }
            State::Sending if self.acked == 0 && self.sent > 0 => self.go_back(now),
            _ => {}
        }
    }

    /// Whether the OACK is due. Call after every `handle_*`; the caller sends it.
    pub fn poll_option_ack(&mut self, now: Instant) -> bool {
        let State::Negotiating { due } = &mut self.state else { return false };
        if std::mem::take(due) {
            if self.retransmits == 0 {
                self.timed = Some((0, now));
            }
            self.deadline = now + self.timer.interval();
            return true;
        }
        false
    }

    /// The next blocks the window allows, without taking them; at most `limit`.
    #[must_use]
    pub fn next_blocks(&self, limit: u64) -> Option<RangeInclusive<u64>> {
        if self.state != State::Sending {
            return None;
        }
        let end = self.last.unwrap_or(u64::MAX).min(self.acked + self.window);
        let end = end.min(self.sent.saturating_add(limit));
        (end > self.sent).then(|| self.sent + 1..=end)
    }

    /// Says that the blocks up to `block` are on their way.
    pub fn mark_sent(&mut self, now: Instant, block: u64) {
        if block <= self.sent {
            return;
        }
        if self.sent == self.acked {
            self.deadline = now + self.timer.interval();
        }
        if block > self.highest {
            if self.sent >= self.highest {
                self.timed = Some((block, now));
            }
            self.highest = block;
        }
        self.sent = block;
    }

    /// The next block to put on the wire. Call until `None` after every `handle_*`.
    pub fn poll_block(&mut self, now: Instant) -> Option<u64> {
        let block = *self.next_blocks(1)?.end();
        self.mark_sent(now, block);
        Some(block)
    }

    /// The number on the wire of a block.
    #[must_use]
    pub const fn wire_number(&self, block: u64) -> u16 {
        self.rollover.wire(block)
    }

    /// When [`Self::handle_timeout`] wants to be called; `None` once the transfer is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        (!self.is_over()).then_some(self.deadline)
    }

    /// How the transfer ended, once it has.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        match self.state {
            State::Over(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Whether the transfer is over, well or not.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over(_))
    }

    /// Whether every block was acknowledged.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        matches!(self.state, State::Over(Outcome::Complete))
    }

    /// Blocks that have arrived.
    #[must_use]
    pub const fn acked(&self) -> u64 {
        self.acked
    }

    /// Blocks per acknowledgement.
    #[must_use]
    pub const fn window(&self) -> u64 {
        self.window
    }

    /// Whether the peer has answered anything, so that its address is not made up.
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        self.answered
    }

    /// Packets that were sent more than once.
    #[must_use]
    pub const fn retransmits(&self) -> u64 {
        self.retransmits
    }
}

#[cfg(test)]
mod tests;
