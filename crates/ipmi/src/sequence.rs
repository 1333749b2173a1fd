//! Session sequence numbers: counting up past 0, and the window on what arrives (IPMI v2.0 §6.12.8–13).

use crate::Ignored;

/// The next number to send: starts at 1, skips 0 when it wraps (IPMI v2.0 §6.12.8).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outbound(u32);

impl Outbound {
    /// Starts so that the next number is `first`.
    pub(crate) fn starting_at(first: u32) -> Self {
        Self(first.wrapping_sub(1))
    }

    /// Takes the next number.
    pub(crate) fn take(&mut self) -> u32 {
        self.0 = match self.0.wrapping_add(1) {
            0 => 1,
            next => next,
        };
        self.0
    }
}

/// Which inbound numbers are new (IPMI v2.0 §6.12.13): a window of 32 behind the highest seen, and
/// `ahead` above it. The first number of a session may be any.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    highest: Option<u32>,
    seen: u32, // bit n: `highest - n` was seen
    ahead: u32,
    behind: u32,
}

impl Window {
    /// The window of RMCP+: 16 behind, 15 ahead, widened ahead to survive bursts of loss.
    pub(crate) const V20: Self = Self { highest: None, seen: 0, ahead: 1 << 16, behind: 16 };

    /// The window of IPMI 1.5: 8 either way, widened ahead likewise.
    pub(crate) const V15: Self = Self { highest: None, seen: 0, ahead: 1 << 16, behind: 8 };

    /// Takes a number that was authenticated; says whether its packet is new.
    pub(crate) fn accept(&mut self, number: u32) -> Result<(), Ignored> {
        let Some(highest) = self.highest else {
            (self.highest, self.seen) = (Some(number), 1);
            return Ok(());
        };
        let forward = number.wrapping_sub(highest);
        let backward = highest.wrapping_sub(number);
        if forward == 0 {
            Err(Ignored::Repeated)
        } else if forward <= self.ahead {
            self.seen = self.seen.checked_shl(forward).unwrap_or(0) | 1;
            self.highest = Some(number);
            Ok(())
        } else if backward <= self.behind {
            let bit = 1u32 << backward;
            if self.seen & bit != 0 {
                return Err(Ignored::Repeated);
            }
            self.seen |= bit;
            Ok(())
        } else {
            Err(Ignored::OutOfWindow)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // IPMI v2.0 §6.12.13: late packets inside the window are taken once, repeats never.
    #[test]
    fn late_once_repeats_never() {
        let mut window = Window::V20;
        assert_eq!(window.accept(3), Ok(()));
        assert_eq!(window.accept(3), Err(Ignored::Repeated));
        assert_eq!(window.accept(20), Ok(()));
        assert_eq!(window.accept(5), Ok(()));
        assert_eq!(window.accept(5), Err(Ignored::Repeated));
        assert_eq!(window.accept(3), Err(Ignored::OutOfWindow));
        assert_eq!(window.accept(0x8000_0000), Err(Ignored::OutOfWindow));
    }

    // IPMI v2.0 §6.12.8: 0 is never a session sequence number.
    #[test]
    fn zero_is_skipped() {
        let mut outbound = Outbound::starting_at(u32::MAX);
        assert_eq!((outbound.take(), outbound.take()), (u32::MAX, 1));
    }

    #[test]
    fn window_crosses_the_wrap() {
        let mut window = Window::V20;
        assert_eq!(window.accept(u32::MAX), Ok(()));
        assert_eq!(window.accept(1), Ok(()));
        assert_eq!(window.accept(u32::MAX), Err(Ignored::Repeated));
        assert_eq!(window.accept(u32::MAX - 1), Ok(()));
    }
}
