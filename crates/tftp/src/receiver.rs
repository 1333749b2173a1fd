//! The receiving half of a transfer: a client's read, a server's write.
//!
//! Acknowledges in lock-step (RFC 1350 §2) or per window (RFC 7440 §4), and names the first gap once.
//! Blocks arrive in order or not at all, so the receiver holds none.

use crate::rto::RetransmissionTimer;
use crate::sender::{Outcome, Rollover};
use crate::wire::{BlockSize, ErrorCode, WindowSize};
use std::time::{Duration, Instant};

/// What a receiver has to know before the first block.
#[derive(Clone, Copy, Debug)]
pub struct ReceiverConfig {
    /// The agreed block size; a shorter block ends the transfer (RFC 1350 §6).
    pub block_size: BlockSize,
    /// Blocks per acknowledgement. Default 1.
    pub window: WindowSize,
    /// What follows block 65535. Default 0.
    pub rollover: Rollover,
    /// The negotiated `timeout` (RFC 2349). Default: measured, from 1 s.
    pub timeout: Option<Duration>,
    /// Whether an acknowledgement of block 0 is due at once: the answer to an OACK (RFC 2347), or the
    /// answer of a server to a write request without options (RFC 1350 §4).
    pub acknowledge_start: bool,
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self {
            block_size: BlockSize::DEFAULT,
            window: WindowSize::DEFAULT,
            rollover: Rollover::Zero,
            timeout: None,
            acknowledge_start: false,
        }
    }
}

/// What to do with a block that arrived.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Accepted {
    /// The next block of the file: keep it.
    Next,
    /// The next block and the last one.
    Last,
    /// Behind a gap or seen before: drop it.
    Dropped,
    /// Longer than the agreed block size: the transfer is broken; answer with ERROR 4.
    Oversized,
}

/// Receives one file.
///
/// ```
/// use std::time::Instant;
/// use tftp::{Accepted, Receiver, ReceiverConfig};
/// let now = Instant::now();
/// let mut receiver = Receiver::new(now, &ReceiverConfig::default());
/// assert_eq!(receiver.handle_data(now, 1, 512), Accepted::Next);
/// assert_eq!(receiver.poll_ack(now), Some(1));
/// assert_eq!(receiver.handle_data(now, 2, 10), Accepted::Last);
/// assert_eq!(receiver.poll_ack(now), Some(2));
/// assert!(receiver.is_complete());
/// ```
#[derive(Clone, Debug)]
pub struct Receiver {
    block_size: usize,
    window: u64,
    rollover: Rollover,
    /// Every block up to here has arrived.
    received: u64,
    /// Every block up to here was acknowledged.
    acked: u64,
    ack_due: bool,
    /// The gap behind `received` was named already.
    gap_named: bool,
    timer: RetransmissionTimer,
    deadline: Instant,
    timed: Option<Instant>,
    outcome: Option<Outcome>,
    repeats: u64,
}

impl Receiver {
    /// Begins a transfer.
    #[must_use]
    pub fn new(now: Instant, config: &ReceiverConfig) -> Self {
        let timer = RetransmissionTimer::new(config.timeout);
        Self {
            block_size: config.block_size.octets(),
            window: u64::from(config.window.blocks()),
            rollover: config.rollover,
            received: 0,
            acked: 0,
            ack_due: config.acknowledge_start,
            gap_named: false,
            deadline: now + timer.interval(),
            timer,
            timed: None,
            outcome: None,
            repeats: 0,
        }
    }

    /// Takes the number and length of a DATA packet.
    pub fn handle_data(&mut self, now: Instant, number: u16, octets: usize) -> Accepted {
        if matches!(self.outcome, Some(Outcome::Aborted(_) | Outcome::TimedOut)) {
            return Accepted::Dropped;
        }
        if octets > self.block_size {
            self.outcome = Some(Outcome::Aborted(ErrorCode::IllegalOperation));
            return Accepted::Oversized;
        }
        let ahead = self.rollover.distance(self.received, number).unwrap_or(u64::MAX);
        if ahead == 0 {
            // The last block again: our acknowledgement was lost, or the sender went back (RFC 1350 §2, §6).
            if self.received > 0 {
                self.ack_due = true;
                self.repeats += 1;
                self.deadline = now + self.timer.interval();
            }
            return Accepted::Dropped;
        }
        if self.outcome.is_some() {
            return Accepted::Dropped;
        }
        if ahead != 1 {
            if ahead < 0x8000 && self.window > 1 && !self.gap_named {
                (self.gap_named, self.ack_due) = (true, true); // RFC 7440 §4
                self.repeats += 1;
            }
            return Accepted::Dropped;
        }
        if let Some(at) = self.timed.take() {
            self.timer.sample(now.saturating_duration_since(at));
        }
        self.received += 1;
        self.gap_named = false;
        self.timer.progress();
        self.deadline = now + self.timer.interval();
        if octets < self.block_size {
            self.outcome = Some(Outcome::Complete);
            self.ack_due = true;
            return Accepted::Last;
        }
        if self.received - self.acked >= self.window {
            self.ack_due = true;
        }
        Accepted::Next
    }

    /// The packet that began the transfer came again: its acknowledgement was lost, so it is due again.
    pub fn repeat_start(&mut self, now: Instant) {
        if self.received == 0 && self.outcome.is_none() {
            self.ack_due = true;
            self.deadline = now + self.timer.interval();
        }
    }

    /// Takes an ERROR from the peer.
    pub fn handle_error(&mut self, code: ErrorCode) {
        if self.outcome.is_none() {
            self.outcome = Some(Outcome::Aborted(code));
            self.ack_due = false;
        }
    }

    /// Takes the time: at the deadline the last acknowledgement is due again.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.outcome.is_some() || now < self.deadline {
            return;
        }
        if !self.timer.retry() {
            self.outcome = Some(Outcome::TimedOut);
            return;
        }
        self.gap_named = false;
        self.ack_due = true;
        self.timed = None;
        self.repeats += 1;
        self.deadline = now + self.timer.interval();
    }

    /// The acknowledgement to send now. Call until `None` after every `handle_*`.
    pub fn poll_ack(&mut self, now: Instant) -> Option<u16> {
        if !std::mem::take(&mut self.ack_due) {
            return None;
        }
        if self.received > self.acked {
            self.timed = Some(now);
        }
        self.acked = self.received;
        Some(self.rollover.wire(self.received))
    }

    /// When [`Self::handle_timeout`] wants to be called; `None` once the transfer is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.outcome.is_none().then_some(self.deadline)
    }

    /// How long to stay after the last block, in case its acknowledgement was lost (RFC 1350 §6, dallying).
    #[must_use]
    pub fn dally(&self) -> Duration {
        self.timer.interval().saturating_mul(2)
    }

    /// How the transfer ended, once it has.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Whether the last block has arrived.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        matches!(self.outcome, Some(Outcome::Complete))
    }

    /// Blocks that have arrived in order.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Acknowledgements that were sent more than once.
    #[must_use]
    pub const fn repeats(&self) -> u64 {
        self.repeats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "an origin for virtual time")]
    fn receiver(window: u16) -> (Instant, Receiver) {
        let now = Instant::now();
        let window = WindowSize::new(window).unwrap();
        (now, Receiver::new(now, &ReceiverConfig { window, ..ReceiverConfig::default() }))
    }

    #[test]
    fn a_gap_is_named_once() {
        // RFC 7440 §4: acknowledge the last block received in order.
        let (now, mut receiver) = receiver(8);
        assert_eq!(receiver.handle_data(now, 1, 512), Accepted::Next);
        assert_eq!(receiver.poll_ack(now), None);
        for number in [3, 4, 5] {
            assert_eq!(receiver.handle_data(now, number, 512), Accepted::Dropped);
        }
        assert_eq!(receiver.poll_ack(now), Some(1));
        assert_eq!(receiver.poll_ack(now), None);
        assert_eq!(receiver.handle_data(now, 2, 512), Accepted::Next);
    }

    #[test]
    fn the_last_block_again_is_acknowledged_again() {
        // RFC 1350 §6: dallying, in case the final ACK was lost.
        let (now, mut receiver) = receiver(1);
        assert_eq!(receiver.handle_data(now, 1, 3), Accepted::Last);
        assert_eq!(receiver.poll_ack(now), Some(1));
        assert_eq!(receiver.handle_data(now, 1, 3), Accepted::Dropped);
        assert_eq!(receiver.poll_ack(now), Some(1));
        assert_eq!(receiver.poll_timeout(), None);
    }

    #[test]
    fn a_block_longer_than_agreed_breaks_the_transfer() {
        // RFC 2348
        let (now, mut receiver) = receiver(1);
        assert_eq!(receiver.handle_data(now, 1, 513), Accepted::Oversized);
        assert!(!receiver.is_complete());
    }

    #[test]
    fn silence_is_bounded() {
        // RFC 1350 §7
        let (_, mut receiver) = receiver(1);
        let mut acks = 0;
        while let Some(at) = receiver.poll_timeout() {
            receiver.handle_timeout(at);
            acks += u32::from(receiver.poll_ack(at).is_some());
        }
        assert_eq!((acks, receiver.outcome()), (6, Some(Outcome::TimedOut)));
    }
}
