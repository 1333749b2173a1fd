//! Time as a value. The engine never reads a clock: drivers hand a [`Timestamp`] to every call.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, as the caller's wall clock says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Never.
    pub const NEVER: Self = Self(u64::MAX);

    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This much later; stops at the end of time instead of wrapping.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// The engine's own time: it follows the wall clock forward and stands still when that is set back, so a
/// wrong clock never brings an expired claim back to life and never stops deadlines for ever.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    wall: Option<Timestamp>,
    own: Timestamp,
}

impl Clock {
    /// The clock of an engine whose youngest record was written at `own`.
    pub(crate) fn resumed(own: Timestamp) -> Self {
        Self { wall: None, own }
    }

    /// The engine's time when the wall clock says `wall`.
    pub(crate) fn at(&self, wall: Timestamp) -> Timestamp {
        self.wall.map_or(self.own.max(wall), |before| self.own.plus(wall.since(before)))
    }

    /// Moves on to `wall` and returns the engine's time.
    pub(crate) fn advance(&mut self, wall: Timestamp) -> Timestamp {
        self.own = self.at(wall);
        self.wall = Some(wall);
        self.own
    }

    /// What the wall clock will say when the engine's time is `own`.
    pub(crate) fn wall_of(&self, own: Timestamp) -> Timestamp {
        self.wall.unwrap_or(self.own).plus(own.since(self.own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_stops_nothing_and_revives_nothing() {
        let mut clock = Clock::default();
        assert_eq!(clock.advance(Timestamp(10_000)), Timestamp(10_000));
        assert_eq!(clock.advance(Timestamp(4_000)), Timestamp(10_000));
        assert_eq!(clock.advance(Timestamp(5_000)), Timestamp(11_000));
        assert_eq!(clock.wall_of(Timestamp(12_000)), Timestamp(6_000));
    }
}
