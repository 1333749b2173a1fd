//! Virtual time. Called by simulations; engines take its `Instant`s as values.

use std::time::{Duration, Instant};

/// A clock that stands still until a test advances it.
#[derive(Clone, Debug)]
pub struct Clock {
    start: Instant,
    now: Instant,
}

impl Clock {
    /// A clock at its own zero. The real time of day does not matter to any user of it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "an Instant can only be made from the real clock")]
    pub fn new() -> Self {
        let start = Instant::now();
        Self { start, now: start }
    }

    /// The virtual now.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Time since the clock was made.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now.duration_since(self.start)
    }

    /// Moves time forward.
    pub fn advance(&mut self, by: Duration) {
        self.now += by;
    }

    /// Moves time forward to `at`; a moment already past changes nothing.
    pub fn advance_to(&mut self, at: Instant) {
        self.now = self.now.max(at);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_moves_only_forward() {
        let mut clock = Clock::new();
        let zero = clock.now();
        clock.advance(Duration::from_secs(3));
        clock.advance_to(zero);
        assert_eq!(clock.elapsed(), Duration::from_secs(3));
        clock.advance_to(zero + Duration::from_secs(5));
        assert_eq!(clock.elapsed(), Duration::from_secs(5));
    }
}
