//! Options and their acknowledgement (RFC 2347, 2348, 2349, 7440).
//!
//! Limits live in the types: a block size outside 8..=65464 cannot be named. A value we cannot honour
//! is left out of the answer, which is how a server declines an option (RFC 2347).

use super::{ErrorCode, take_string};
use std::num::NonZeroU16;

/// A block size in octets, 8..=65464 (RFC 2348).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct BlockSize(u16);

impl BlockSize {
    /// 8 octets (RFC 2348).
    pub const MIN: Self = Self(8);
    /// 65464 octets (RFC 2348).
    pub const MAX: Self = Self(65464);
    /// 512 octets, without negotiation (RFC 1350 §2).
    pub const DEFAULT: Self = Self(512);

    /// `None` outside 8..=65464.
    #[must_use]
    pub const fn new(octets: u16) -> Option<Self> {
        if octets >= Self::MIN.0 && octets <= Self::MAX.0 { Some(Self(octets)) } else { None }
    }

    /// The size in octets.
    #[must_use]
    pub const fn octets(self) -> usize {
        self.0 as usize
    }
}

impl From<BlockSize> for u16 {
    fn from(size: BlockSize) -> Self {
        size.0
    }
}

/// Blocks sent before an acknowledgement is awaited, 1..=65535 (RFC 7440 §3).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct WindowSize(NonZeroU16);

impl WindowSize {
    /// One block, without negotiation: RFC 1350 §2.
    pub const DEFAULT: Self = Self(NonZeroU16::MIN);
    /// 65535 blocks (RFC 7440 §3).
    pub const MAX: Self = Self(NonZeroU16::MAX);

    /// `None` for 0.
    #[must_use]
    pub const fn new(blocks: u16) -> Option<Self> {
        match NonZeroU16::new(blocks) {
            Some(blocks) => Some(Self(blocks)),
            None => None,
        }
    }

    /// The number of blocks.
    #[must_use]
    pub const fn blocks(self) -> u16 {
        self.0.get()
    }
}

/// Seconds before a packet is sent again, 1..=255 (RFC 2349).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct TimeoutSeconds(u8);

impl TimeoutSeconds {
    /// `None` for 0.
    #[must_use]
    pub const fn new(seconds: u8) -> Option<Self> {
        if seconds == 0 { None } else { Some(Self(seconds)) }
    }

    /// The number of seconds.
    #[must_use]
    pub const fn seconds(self) -> u8 {
        self.0
    }
}

/// The options of a request or of an OACK; `None` is an option that was absent or invalid.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Options {
    /// `blksize` (RFC 2348).
    pub block_size: Option<BlockSize>,
    /// `timeout` (RFC 2349).
    pub timeout: Option<TimeoutSeconds>,
    /// `tsize` in octets as they are transferred: 0 in a read request (RFC 2349).
    pub transfer_size: Option<u64>,
    /// `windowsize` (RFC 7440).
    pub window_size: Option<WindowSize>,
}

const BLOCK_SIZE: &str = "blksize";
const TIMEOUT: &str = "timeout";
const TRANSFER_SIZE: &str = "tsize";
const WINDOW_SIZE: &str = "windowsize";

impl Options {
    /// Reads name and value pairs. Names compare without regard to case; unknown names, invalid values and
    /// a pair cut short are left out; of an option given twice the first valid value counts.
    #[must_use]
    pub fn parse(mut octets: &[u8]) -> Self {
        let mut options = Self::default();
        while let Some((name, rest)) = take_string(octets) {
            let Some((value, rest)) = take_string(rest) else { break };
            octets = rest;
            options.take(name, value);
        }
        options
    }

    fn take(&mut self, name: &[u8], value: &[u8]) {
        if name.eq_ignore_ascii_case(BLOCK_SIZE.as_bytes()) {
            self.block_size = self.block_size.or_else(|| BlockSize::new(decimal(value)?));
        } else if name.eq_ignore_ascii_case(TIMEOUT.as_bytes()) {
            self.timeout = self.timeout.or_else(|| TimeoutSeconds::new(decimal(value)?));
        } else if name.eq_ignore_ascii_case(TRANSFER_SIZE.as_bytes()) {
            self.transfer_size = self.transfer_size.or_else(|| decimal(value));
        } else if name.eq_ignore_ascii_case(WINDOW_SIZE.as_bytes()) {
            self.window_size = self.window_size.or_else(|| WindowSize::new(decimal(value)?));
        }
    }

    /// Whether no option is set, so that no OACK is due (RFC 2347).
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.block_size.is_none()
            && self.timeout.is_none()
            && self.transfer_size.is_none()
            && self.window_size.is_none()
    }

    /// Appends the pairs in the order blksize, timeout, tsize, windowsize.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let pairs = [
            (BLOCK_SIZE, self.block_size.map(|size| u64::from(size.0))),
            (TIMEOUT, self.timeout.map(|timeout| u64::from(timeout.0))),
            (TRANSFER_SIZE, self.transfer_size),
            (WINDOW_SIZE, self.window_size.map(|window| u64::from(window.blocks()))),
        ];
        for (name, value) in pairs {
            if let Some(value) = value {
                out.extend_from_slice(name.as_bytes());
                out.push(0);
                out.extend_from_slice(value.to_string().as_bytes());
                out.push(0);
            }
        }
    }
}

/// An OACK: what the server accepts of what was asked (RFC 2347).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OptionAck(pub Options);

impl OptionAck {
    /// Appends the packet, opcode and all.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0, 6]);
        self.0.encode(out);
    }

    /// Reads the octets behind the opcode as the client that sent `asked`.
    ///
    /// # Errors
    /// [`ErrorCode::OptionRefused`] is what to answer when the server names an option that was not asked
    /// for, a larger block or window, another timeout, or a value that is not valid (RFC 2347, 2348, 2349, 7440 §3).
    pub fn parse(mut octets: &[u8], asked: &Options) -> Result<Self, ErrorCode> {
        let all = octets;
        while !octets.is_empty() {
            let (name, rest) = take_string(octets).ok_or(ErrorCode::OptionRefused)?;
            let (value, rest) = take_string(rest).ok_or(ErrorCode::OptionRefused)?;
            octets = rest;
            let mut one = Options::default();
            one.take(name, value);
            if one.is_empty() {
                return Err(ErrorCode::OptionRefused);
            }
        }
        let got = Options::parse(all);
        let fits = match (got.block_size, asked.block_size) {
            (Some(got), Some(asked)) => got <= asked,
            (got, _) => got.is_none(),
        } && match (got.window_size, asked.window_size) {
            (Some(got), Some(asked)) => got <= asked,
            (got, _) => got.is_none(),
        } && (got.timeout.is_none() || got.timeout == asked.timeout)
            && (got.transfer_size.is_none() || asked.transfer_size.is_some());
        if fits { Ok(Self(got)) } else { Err(ErrorCode::OptionRefused) }
    }
}

/// ASCII digits and nothing else; `None` when there are none or the number does not fit.
fn decimal<N: TryFrom<u64>>(value: &[u8]) -> Option<N> {
    if value.is_empty() {
        return None;
    }
    let mut number = 0_u64;
    for &octet in value {
        let digit = octet.checked_sub(b'0').filter(|&digit| digit < 10)?;
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    N::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_size(value: &str) -> Option<u16> {
        Options::parse(format!("blksize\0{value}\0").as_bytes()).block_size.map(u16::from)
    }

    #[test]
    fn block_sizes_are_decimal_and_bounded() {
        // RFC 2348: ASCII decimal, 8 to 65464.
        assert_eq!(block_size("8"), Some(8));
        assert_eq!(block_size("65464"), Some(65464));
        for bad in
            ["", "7", "0", "65465", "-512", "+512", " 512", "1024x", "0x400", "1.5", "18446744073709552640"]
        {
            assert_eq!(block_size(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn bounds_of_the_others() {
        // RFC 2349: timeout 1 to 255; RFC 7440 §3: windowsize 1 to 65535.
        let options = Options::parse(b"timeout\x000\0windowsize\x000\0tsize\x0018446744073709551616\0");
        assert!(options.is_empty());
        let options = Options::parse(b"TIMEOUT\x00255\0WindowSize\x0065535\0tsize\x0018446744073709551615\0");
        assert_eq!(options.timeout.map(TimeoutSeconds::seconds), Some(255));
        assert_eq!(options.window_size, Some(WindowSize::MAX));
        assert_eq!(options.transfer_size, Some(u64::MAX));
        assert!(Options::parse(b"timeout\x00256\0windowsize\x0065536\0").is_empty());
    }

    #[test]
    fn twice_and_cut_short() {
        // RFC 2347: an option may be specified at most once; one value comes back.
        let options = Options::parse(b"blksize\x001024\0blksize\x002048\0tsize\x000");
        assert_eq!(options.block_size.map(u16::from), Some(1024));
        assert_eq!(options.transfer_size, None);
    }

    #[test]
    fn a_client_refuses_what_it_did_not_ask() {
        // RFC 2347: the server must not add options nor raise values.
        let asked =
            Options { block_size: BlockSize::new(1024), transfer_size: Some(0), ..Options::default() };
        assert!(OptionAck::parse(b"blksize\x00512\0tsize\x00700\0", &asked).is_ok());
        for bad in
            [&b"blksize\x001025\0"[..], b"windowsize\x004\0", b"timeout\x001\0", b"x\0y\0", b"blksize\x00512"]
        {
            assert_eq!(OptionAck::parse(bad, &asked), Err(ErrorCode::OptionRefused));
        }
    }
}
