//! One end of a Serial over LAN stream (IPMI v2.0 §15.11): one packet on the way, repeated until it is
//! acknowledged, every character once and in order. Both sides use it.
//!
//! A pure engine: payloads in and out belong to a `Session` or a `BmcResponder`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::wire::sol::{NACK, SolPacket, UNAVAILABLE};
use crate::{Ignored, ParseError};

/// How a stream is kept.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Characters per packet, 1..=251; what Activate Payload allows. Default 200.
    pub packet: usize,
    /// Wait for an acknowledgement before repeating; default 250 ms.
    pub retry: Duration,
    /// Sends of one packet before the peer counts as gone; default 8.
    pub attempts: u8,
    /// Characters kept while they cannot be sent; more are refused. Default 64 KiB.
    pub backlog: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { packet: 200, retry: Duration::from_millis(250), attempts: 8, backlog: 64 * 1024 }
    }
}

#[derive(Debug)]
struct Flying {
    sequence: u8,
    length: usize,
    deadline: Instant,
    left: u8,
}

/// One end of a stream.
#[derive(Debug)]
pub struct SolLink {
    config: Config,
    outgoing: VecDeque<u8>,
    flying: Option<Flying>,
    next_sequence: u8,
    /// The last packet with data that came, and how many of its characters were taken.
    last: (u8, usize),
    /// What the next packet acknowledges.
    acknowledge: Option<(u8, u8)>,
    resend: bool,
    gone: bool,
}

impl SolLink {
    /// A fresh stream.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            outgoing: VecDeque::new(),
            flying: None,
            next_sequence: 1,
            last: (0, 0),
            acknowledge: None,
            resend: false,
            gone: false,
        }
    }

    /// Queues characters; says how many were taken.
    pub fn send(&mut self, characters: &[u8]) -> usize {
        let room = self.config.backlog.saturating_sub(self.outgoing.len());
        let taken = characters.len().min(room);
        self.outgoing.extend(characters.iter().take(taken));
        taken
    }

    /// Takes a payload; appends the characters that are new.
    pub fn handle_payload(
        &mut self,
        now: Instant,
        payload: &[u8],
        fresh: &mut Vec<u8>,
    ) -> Result<(), Ignored> {
        let packet = SolPacket::parse(payload)?;
        if packet.acked != 0 {
            self.acknowledged(now, &packet);
        }
        if packet.sequence == 0 {
            return Ok(());
        }
        // A repeat may hold more than the packet it repeats: what was taken is skipped (§15.11).
        let known = if packet.sequence == self.last.0 { self.last.1 } else { 0 };
        let new = packet.data.get(known..).unwrap_or_default();
        fresh.extend_from_slice(new);
        let taken = packet.data.len().max(known);
        self.last = (packet.sequence, taken);
        let accepted = u8::try_from(taken).map_err(|_| ParseError::Length("SOL characters"))?;
        self.acknowledge = Some((packet.sequence, accepted));
        Ok(())
    }

    fn acknowledged(&mut self, now: Instant, packet: &SolPacket<'_>) {
        let Some(flying) = self.flying.as_mut().filter(|flying| flying.sequence == packet.acked) else {
            return;
        };
        let accepted = usize::from(packet.accepted).min(flying.length);
        if packet.operation & UNAVAILABLE != 0 && accepted == 0 {
            flying.deadline = now + self.config.retry; // later, the same
            return;
        }
        if packet.operation & NACK != 0 && accepted == 0 && flying.length > 0 {
            flying.deadline = now + self.config.retry;
            return;
        }
        self.outgoing.drain(..accepted.min(self.outgoing.len()));
        self.flying = None; // what was not accepted goes out under a new number
    }

    /// The next payload to send: replaces the contents of `out`. Call until false.
    pub fn poll_payload(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        let acknowledge = self.acknowledge.take();
        let resend = std::mem::take(&mut self.resend);
        let start = self.flying.is_none() && !self.outgoing.is_empty() && !self.gone;
        if !start && !resend && acknowledge.is_none() {
            return false;
        }
        if start {
            let length = self.outgoing.len().min(self.config.packet.clamp(1, 251));
            let sequence = self.next_sequence;
            self.next_sequence = if sequence == 15 { 1 } else { sequence + 1 };
            let left = self.config.attempts.saturating_sub(1);
            self.flying = Some(Flying { sequence, length, deadline: now + self.config.retry, left });
        }
        let (acked, accepted) = acknowledge.unwrap_or((0, 0));
        let flying = self.flying.as_ref().filter(|_| start || resend);
        let data: Vec<u8> =
            flying.map(|f| self.outgoing.iter().take(f.length).copied().collect()).unwrap_or_default();
        let sequence = flying.map_or(0, |flying| flying.sequence);
        out.clear();
        SolPacket { sequence, acked, accepted, operation: 0, data: &data }.encode(out);
        true
    }

    /// Tells the link that the time of [`SolLink::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some(flying) = self.flying.as_mut().filter(|flying| flying.deadline <= now) else { return };
        match flying.left.checked_sub(1) {
            Some(left) => {
                flying.left = left;
                flying.deadline = now + self.config.retry;
                self.resend = true;
            }
            None => {
                self.flying = None;
                self.gone = true;
            }
        }
    }

    /// When to call [`SolLink::handle_timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.flying.as_ref().map(|flying| flying.deadline)
    }

    /// Whether the peer stopped acknowledging.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether everything sent was acknowledged.
    pub fn is_idle(&self) -> bool {
        self.flying.is_none() && self.outgoing.is_empty()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests begin at some time")]
mod tests {
    use super::*;

    // IPMI v2.0 §15.11: loss and repeats change nothing about what arrives.
    #[test]
    fn every_character_once_and_in_order() {
        let mut now = Instant::now();
        let (mut here, mut there) = (SolLink::new(Config::default()), SolLink::new(Config::default()));
        let text: Vec<u8> = (0..5000u32).map(|n| (n * 7 % 251) as u8).collect();
        let mut arrived = Vec::new();
        assert_eq!(here.send(&text), text.len());
        let (mut payload, mut random) = (Vec::new(), 1u32);
        let mut lose = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            random >> 24 < 64
        };
        for _ in 0..10_000 {
            while here.poll_payload(now, &mut payload) {
                if !lose() {
                    there.handle_payload(now, &payload, &mut arrived).unwrap();
                    if lose() {
                        there.handle_payload(now, &payload, &mut arrived).unwrap();
                    }
                }
            }
            while there.poll_payload(now, &mut payload) {
                if !lose() {
                    here.handle_payload(now, &payload, &mut Vec::new()).unwrap();
                }
            }
            if here.is_idle() {
                break;
            }
            now += Duration::from_millis(250);
            here.handle_timeout(now);
        }
        assert_eq!(arrived, text);
    }

    // §15.11: a repeat with more characters than before; only the new ones count.
    #[test]
    fn a_longer_repeat() {
        let (now, mut link, mut fresh) = (Instant::now(), SolLink::new(Config::default()), Vec::new());
        link.handle_payload(now, &[3, 0, 0, 0, b'a', b'b'], &mut fresh).unwrap();
        link.handle_payload(now, &[3, 0, 0, 0, b'a', b'b', b'c'], &mut fresh).unwrap();
        assert_eq!(fresh, b"abc");
        let mut payload = Vec::new();
        assert!(link.poll_payload(now, &mut payload));
        assert_eq!(payload, [0, 3, 3, 0]);
    }

    // A partly accepted packet: the rest goes out under the next number.
    #[test]
    fn the_rest_of_a_partly_accepted_packet() {
        let (now, mut link) = (Instant::now(), SolLink::new(Config::default()));
        link.send(b"hello");
        let mut payload = Vec::new();
        assert!(link.poll_payload(now, &mut payload));
        link.handle_payload(now, &[0, 1, 2, NACK], &mut Vec::new()).unwrap();
        assert!(link.poll_payload(now, &mut payload));
        assert_eq!(payload, [2, 0, 0, 0, b'l', b'l', b'o']);
    }
}
