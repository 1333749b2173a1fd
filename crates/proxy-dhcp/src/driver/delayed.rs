//! Answers that are held back: each waits by itself and nobody behind it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Answers held back at most.
const CAPACITY: usize = 4096;

/// A frame, the link it leaves by, and when.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Held {
    due: Instant,
    link: usize,
    frame: Vec<u8>,
}

/// The frames, the next one first.
#[derive(Debug, Default)]
pub(super) struct Delayed(BinaryHeap<Reverse<Held>>);

impl Delayed {
    /// Holds a frame; `false` when there is no room.
    pub(super) fn push(&mut self, due: Instant, link: usize, frame: &[u8]) -> bool {
        let room = self.0.len() < CAPACITY;
        if room {
            self.0.push(Reverse(Held { due, link, frame: frame.to_vec() }));
        }
        room
    }

    /// When the next frame is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse(held)| held.due)
    }

    /// A frame that is due, and its link.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(usize, Vec<u8>)> {
        if self.due()? > now {
            return None;
        }
        self.0.pop().map(|Reverse(held)| (held.link, held.frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant")]
    fn frames_leave_when_they_are_due_and_the_queue_is_bounded() {
        let start = Instant::now();
        let mut delayed = Delayed::default();
        assert!(delayed.push(start + Duration::from_millis(20), 1, b"late"));
        assert!(delayed.push(start + Duration::from_millis(10), 0, b"early"));
        assert_eq!(delayed.pop(start), None);
        assert_eq!(delayed.pop(start + Duration::from_millis(10)), Some((0, b"early".to_vec())));
        assert_eq!(delayed.due(), Some(start + Duration::from_millis(20)));
        let taken = (0..5000).filter(|_| delayed.push(start, 0, b"x")).count();
        assert_eq!(taken, CAPACITY - 1);
    }
}
