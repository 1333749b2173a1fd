//! Which of the options asked for a server grants (RFC 2347, 2348, 2349, 7440).

use crate::wire::{BlockSize, Options, WindowSize};

/// What a server is ready to grant for one transfer.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The largest block. Default 65464; a driver lowers it so that no datagram is fragmented.
    pub block_size: BlockSize,
    /// The largest window in blocks. Default 256.
    pub window_size: WindowSize,
    /// Octets that may be under way at once, window × block. Default 4 MiB, at least one block.
    pub window_octets: usize,
    /// The length of what will be sent, in octets as they are sent; `None` leaves `tsize` out (RFC 2349).
    /// For a write request: whatever the client announced.
    pub transfer_size: Option<u64>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            block_size: BlockSize::MAX,
            window_size: WindowSize::new(256).unwrap_or(WindowSize::MAX),
            window_octets: 4 << 20,
            transfer_size: None,
        }
    }
}

impl Terms {
    /// The options to put in the OACK; if empty, there is none. Never an option that was not asked for.
    ///
    /// ```
    /// # use tftp::{negotiate::Terms, wire::{BlockSize, Options}};
    /// let asked = Options { block_size: BlockSize::new(65464), ..Options::default() };
    /// let terms = Terms { block_size: BlockSize::new(1468).unwrap(), ..Terms::default() };
    /// assert_eq!(terms.grant(&asked).block_size, BlockSize::new(1468));
    /// ```
    #[must_use]
    pub fn grant(&self, asked: &Options) -> Options {
        let block_size = asked.block_size.map(|size| size.min(self.block_size));
        let octets = block_size.unwrap_or(BlockSize::DEFAULT).octets();
        let fits = u16::try_from((self.window_octets / octets).max(1)).unwrap_or(u16::MAX);
        let fits = WindowSize::new(fits).unwrap_or(WindowSize::DEFAULT);
        Options {
            block_size,
            timeout: asked.timeout,
            transfer_size: asked.transfer_size.and(self.transfer_size),
            window_size: asked.window_size.map(|window| window.min(self.window_size).min(fits)),
        }
    }
}

/// The number of the short block that ends a transfer of `octets` octets (RFC 1350 §6): a length that is
/// a multiple of the block size ends with an empty block.
#[must_use]
pub const fn last_block(octets: u64, block_size: BlockSize) -> u64 {
    octets / block_size.octets() as u64 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_not_asked() {
        // RFC 2347: the OACK holds only options of the request.
        assert!(Terms { transfer_size: Some(9), ..Terms::default() }.grant(&Options::default()).is_empty());
    }

    #[test]
    fn a_window_is_bounded_in_octets() {
        // RFC 7440 §3: the server may answer a smaller window.
        let asked = Options {
            block_size: Some(BlockSize::MAX),
            window_size: Some(WindowSize::MAX),
            ..Options::default()
        };
        assert_eq!(Terms::default().grant(&asked).window_size, WindowSize::new(64));
    }

    #[test]
    fn tsize_is_the_length_whatever_was_sent() {
        // RFC 2349: the server returns the size; it does not echo.
        let asked = Options { transfer_size: Some(77), ..Options::default() };
        assert_eq!(
            Terms { transfer_size: Some(700), ..Terms::default() }.grant(&asked).transfer_size,
            Some(700)
        );
        assert_eq!(Terms::default().grant(&asked).transfer_size, None);
    }

    #[test]
    fn an_exact_multiple_ends_with_an_empty_block() {
        // RFC 1350 §6
        assert_eq!(last_block(0, BlockSize::DEFAULT), 1);
        assert_eq!(last_block(511, BlockSize::DEFAULT), 1);
        assert_eq!(last_block(512, BlockSize::DEFAULT), 2);
        assert_eq!(last_block(1 << 40, BlockSize::MIN), (1 << 37) + 1);
    }
}
