//! The clock, set from the server's: a new board's may be years off, and certificates and logs live by it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, Timespec, clock_settime};

use crate::console::{say, warn};

/// A difference that nobody minds: the Date field has whole seconds (RFC 9110 §5.6.7).
const CLOSE: Duration = Duration::from_secs(2);

/// Sets the clock to the server's when it is off.
#[expect(clippy::disallowed_methods, reason = "this is about the clock")]
pub(crate) fn set(date: Option<SystemTime>) {
    let Some((date, off)) = date.and_then(|date| Some((date, off(date, SystemTime::now())?))) else { return };
    let since = date.duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = Timespec { tv_sec: i64::try_from(since.as_secs()).unwrap_or_default(), tv_nsec: 0 };
    match clock_settime(ClockId::Realtime, time) {
        Ok(()) => say(format!("clock set to the server's, it was off by {} s", off.as_secs())),
        Err(error) => warn(format!("the clock is off by {} s and cannot be set: {error}", off.as_secs())),
    }
}

/// By how much, when it matters.
fn off(date: SystemTime, now: SystemTime) -> Option<Duration> {
    let off = date.duration_since(now).or_else(|_| now.duration_since(date)).unwrap_or_default();
    (off > CLOSE).then_some(off)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_close_years_are_not() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(off(at(1000), at(1001)), None);
        assert_eq!(off(at(1000), at(900)), Some(Duration::from_secs(100)));
        assert_eq!(off(at(900), at(1000)), Some(Duration::from_secs(100)));
    }
}
