//! Whether a busy server lets requests gather for a moment, so that several cost one waking and one pair of calls.
//!
//! As network cards moderate their interrupts. Where clients wait for one another's answers (or one client asks again
//! and again) a pause only costs time, which shows in the rate: it is tried, and kept only if no fewer requests come.

use std::time::{Duration, Instant};

/// As many requests are to gather,
const GATHERED: f64 = 24.0;
/// but none waits longer than this and the 50 µs that the system adds. A machine waits seconds for its offers.
const LONGEST: f64 = 1e-3;
/// A batch of so many is worth its calls without a pause.
const MANY: usize = 32;
/// Below so many requests a second there is nothing to save.
const BUSY: f64 = 5_000.0;
/// Part of the rate without pauses that must be left with them.
const KEPT: f64 = 0.8;
/// How long pauses are kept, and how long they are left out after they cost requests, before the rate is compared again.
const TRUSTED: Duration = Duration::from_millis(100);

/// The pace of one server.
#[derive(Debug, Default)]
pub(super) struct Pace {
    pauses: bool,
    /// Requests a second when there was no pause.
    plain: f64,
    /// When the other way is tried.
    again: Option<Instant>,
}

impl Pace {
    /// How long to wait after a batch of `count` requests.
    pub(super) fn pause(&self, count: usize) -> Option<Duration> {
        (self.pauses && count < MANY)
            .then(|| Duration::from_secs_f64((GATHERED / self.plain.max(BUSY)).min(LONGEST)))
    }

    /// Learns from `count` requests that came in `elapsed`, one behind the other.
    pub(super) fn learn(&mut self, now: Instant, count: usize, elapsed: Duration) {
        let rate = count as f64 / elapsed.as_secs_f64().max(1e-6);
        let due = self.again.is_none_or(|again| now >= again);
        if !self.pauses {
            self.plain = rate;
            self.pauses = due && rate >= BUSY;
        } else if rate < self.plain * KEPT {
            (self.pauses, self.again) = (false, Some(now + TRUSTED));
        } else if due {
            // Once more without, to know the rate of today; then with them again at once.
            (self.pauses, self.again) = (false, None);
            return;
        }
        if self.pauses && due {
            self.again = Some(now + TRUSTED);
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant")]
mod tests {
    use super::*;

    /// Windows of 2 ms for a second: the part of them with pauses, when `rate` requests come without and with them.
    fn part_with_pauses(rate: impl Fn(bool) -> f64) -> f64 {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        let window = Duration::from_millis(2);
        let mut paused = 0;
        for _ in 0..500 {
            let pauses = pace.pause(1).is_some();
            paused += u32::from(pauses);
            now += window;
            pace.learn(now, (rate(pauses) * 0.002) as usize, window);
        }
        f64::from(paused) / 500.0
    }

    #[test]
    fn requests_that_come_anyway_gather() {
        assert!(part_with_pauses(|_| 20_000.0) > 0.95);
    }

    #[test]
    fn clients_that_wait_for_their_answers_are_not_held_up() {
        // One in flight: 30 µs without a pause, 550 µs with it.
        assert!(part_with_pauses(|pauses| if pauses { 1_800.0 } else { 33_000.0 }) < 0.03);
    }

    #[test]
    fn a_quiet_network_knows_no_pause() {
        assert!(part_with_pauses(|_| 1_000.0) == 0.0);
    }

    #[test]
    fn large_batches_are_not_delayed() {
        let mut pace = Pace::default();
        pace.learn(Instant::now(), 40, Duration::from_millis(2));
        assert_eq!((pace.pause(1), pace.pause(32)), (Some(Duration::from_millis(1)), None));
        let mut pace = Pace::default();
        pace.learn(Instant::now(), 320, Duration::from_millis(2));
        assert_eq!(pace.pause(1), Some(Duration::from_micros(150)));
    }
}
