//! The way out of a virtual BMC, and the faults that can be injected there.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use super::Faults;
use crate::Entropy;

/// Answers on their way out.
#[derive(Debug)]
pub(super) struct Outbox {
    faults: Faults,
    queue: VecDeque<(SocketAddr, Vec<u8>)>,
    /// Held back: when they go, and whether they still may be hit by a fault.
    late: VecDeque<(Instant, SocketAddr, Vec<u8>)>,
    held: Option<(SocketAddr, Vec<u8>)>,
}

impl Outbox {
    pub(super) fn new(faults: Faults) -> Self {
        Self { faults, queue: VecDeque::new(), late: VecDeque::new(), held: None }
    }

    pub(super) fn push(&mut self, to: SocketAddr, datagram: Vec<u8>) {
        self.queue.push_back((to, datagram));
    }

    /// Whether a fault of this many percent strikes now. Without faults nothing is drawn.
    pub(super) fn strikes(&self, entropy: &mut Entropy, percent: u8) -> bool {
        if percent == 0 {
            return false;
        }
        let [octet] = entropy.draw();
        u16::from(octet) * 100 < u16::from(percent) * 256
    }

    /// The next datagram that may go.
    pub(super) fn pop(&mut self, now: Instant, entropy: &mut Entropy) -> Option<(SocketAddr, Vec<u8>)> {
        while let Some((to, datagram)) = self.queue.pop_front() {
            if self.strikes(entropy, self.faults.drop) {
                continue;
            }
            if self.held.is_none() && self.strikes(entropy, self.faults.reorder) {
                self.held = Some((to, datagram));
                continue;
            }
            let due = now + self.faults.delay;
            if self.strikes(entropy, self.faults.duplicate) {
                self.late.push_back((due, to, datagram.clone()));
            }
            self.late.push_back((due, to, datagram));
            if let Some((to, datagram)) = self.held.take() {
                self.late.push_back((due, to, datagram));
            }
        }
        let (due, ..) = self.late.front()?;
        if *due > now {
            return None;
        }
        self.late.pop_front().map(|(_, to, datagram)| (to, datagram))
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.late.front().map(|(due, ..)| *due)
    }
}
