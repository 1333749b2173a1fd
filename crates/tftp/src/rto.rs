//! When a packet is sent again: the time-out that was negotiated, or one measured from round trips.
//!
//! Used by both halves of a transfer. RFC 1350 leaves the timer to the implementation, RFC 2349 lets the
//! client fix it; where it did not, waiting seconds for a loss on a LAN is what makes lossy boots slow.

use std::time::Duration;

/// A packet is sent again at most this often without progress, unless a long negotiated time-out allows less.
pub const MAX_RETRIES: u8 = 6;

/// The least time before a retransmission that was not negotiated.
const FLOOR: Duration = Duration::from_millis(20);
/// Before the first round trip is known, and from the third retransmission on.
const INITIAL: Duration = Duration::from_secs(1);
/// No interval is longer, unless it was negotiated.
const CEILING: Duration = Duration::from_secs(5);
/// Round trips to see before the measure is trusted: a client that is slow to begin is not lossy.
const TRUSTED: u8 = 8;
/// Retransmissions that follow the measured round trip; later ones wait whole seconds, so that a client
/// that stops to write its flash finds us still there.
const QUICK_RETRIES: u8 = 2;
/// A transfer without progress ends within this time, as long as two retransmissions fit.
const PATIENCE: Duration = Duration::from_secs(30);

/// The retransmission timer of one transfer.
#[derive(Clone, Copy, Debug)]
pub struct RetransmissionTimer {
    negotiated: Option<Duration>,
    smoothed: Option<Duration>,
    /// How far round trips stray from it (RFC 6298 §2).
    variation: Duration,
    samples: u8,
    retries: u8,
}

impl RetransmissionTimer {
    /// `negotiated` is the `timeout` option both sides agreed on (RFC 2349), else the timer measures.
    #[must_use]
    pub const fn new(negotiated: Option<Duration>) -> Self {
        Self { negotiated, smoothed: None, variation: Duration::ZERO, samples: 0, retries: 0 }
    }

    /// Takes a round trip of a packet that was sent once (Karn's rule is the caller's).
    pub fn sample(&mut self, round_trip: Duration) {
        self.samples = self.samples.saturating_add(1);
        let Some(smoothed) = self.smoothed else {
            (self.smoothed, self.variation) = (Some(round_trip), round_trip / 2);
            return;
        };
        self.variation = (self.variation * 3 + smoothed.abs_diff(round_trip)) / 4;
        self.smoothed = Some((smoothed * 7 + round_trip) / 8);
    }

    /// Packets are known to be lost, so that a round trip or two say enough: waiting a second for each loss is slow.
    pub const fn trust(&mut self) {
        self.samples = TRUSTED;
    }

    /// The smoothed round trip, once one was measured.
    #[must_use]
    pub const fn round_trip(&self) -> Option<Duration> {
        self.smoothed
    }

    /// How long to wait for an answer to what was just sent: `max(4 × srtt, srtt + 4 × rttvar, 20 ms)`
    /// once that is known well, doubling, then seconds.
    #[must_use]
    pub fn interval(&self) -> Duration {
        if let Some(negotiated) = self.negotiated {
            return negotiated;
        }
        let doubled = |base: Duration, times: u8| base.saturating_mul(1 << times.min(16)).min(CEILING);
        let Some(smoothed) = self.smoothed.filter(|_| self.samples >= TRUSTED) else {
            return doubled(INITIAL.max(self.measured()), self.retries);
        };
        let measured = doubled((smoothed * 4).max(self.measured()).max(FLOOR), self.retries);
        match self.retries.checked_sub(QUICK_RETRIES) {
            None => measured,
            Some(slow) => measured.max(doubled(INITIAL, slow)),
        }
    }

    /// RFC 6298 §2.3
    fn measured(&self) -> Duration {
        self.smoothed.unwrap_or_default() + self.variation * 4
    }

    /// Spends a retransmission; `false` when none is left.
    pub fn retry(&mut self) -> bool {
        let allowed = match self.negotiated {
            None => MAX_RETRIES,
            Some(each) => {
                let fit = PATIENCE.as_millis() / each.as_millis().max(1);
                u8::try_from(fit).unwrap_or(MAX_RETRIES).clamp(2, MAX_RETRIES)
            }
        };
        self.retries = self.retries.saturating_add(1);
        self.retries <= allowed
    }

    /// The peer answered: the next wait is a first one.
    pub const fn progress(&mut self) {
        self.retries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(mut timer: RetransmissionTimer) -> Vec<u128> {
        let mut waits = vec![timer.interval().as_millis()];
        while timer.retry() {
            waits.push(timer.interval().as_millis());
        }
        waits
    }

    #[test]
    fn unmeasured_waits_seconds() {
        // RFC 1350 §7: time-out and retransmission, bounded.
        assert_eq!(waits(RetransmissionTimer::new(None)), [1000, 2000, 4000, 5000, 5000, 5000, 5000]);
    }

    #[test]
    fn measured_waits_four_round_trips() {
        // RFC 1123 §4.2.3.2: adaptive time-out.
        let mut timer = RetransmissionTimer::new(None);
        timer.sample(Duration::from_micros(150));
        assert_eq!(timer.interval(), INITIAL); // one round trip says little
        (1..TRUSTED).for_each(|_| timer.sample(Duration::from_micros(150)));
        assert_eq!(waits(timer), [20, 40, 1000, 2000, 4000, 5000, 5000]);
        timer.sample(Duration::from_millis(800));
        assert!(timer.interval() > Duration::from_millis(400));
    }

    #[test]
    fn negotiated_waits_what_was_agreed() {
        // RFC 2349: the number of seconds to wait before retransmitting.
        assert_eq!(waits(RetransmissionTimer::new(Some(Duration::from_secs(1)))), [1000; 7]);
        assert_eq!(waits(RetransmissionTimer::new(Some(Duration::from_secs(255)))), [255_000; 3]);
    }
}
