//! The octets of RMCP, ASF, IPMI 1.5 and RMCP+ packets, and of the IPMI messages inside them.
//!
//! The lowest layer: no time, no randomness, no keys. Parsers borrow from the datagram; encoders append to
//! a buffer of the caller. Used by the engines and by the fuzz targets.

pub mod asf;
pub mod message;
pub mod open_session;
pub mod rakp;
pub mod rmcp;
pub mod session;
pub mod sol;
pub mod status;

use crate::ParseError;

/// Most octets of an RMCP datagram that is read; longer ones are truncated by drivers and then refused.
pub const MAX_DATAGRAM: usize = 2048;

/// Takes octets off the front of a slice, naming the field that was missing.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts at the front of `octets`.
    pub fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// What is left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Whether nothing is left.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Takes `count` octets.
    pub fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], ParseError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(ParseError::Truncated(field))?;
        self.0 = rest;
        Ok(taken)
    }

    /// Takes an array of octets.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], ParseError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(ParseError::Truncated(field))?;
        self.0 = rest;
        Ok(*taken)
    }

    /// Takes one octet.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, ParseError> {
        self.array::<1>(field).map(|[octet]| octet)
    }

    /// Takes a 16-bit number, least significant octet first as everywhere in IPMI.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, ParseError> {
        self.array(field).map(u16::from_le_bytes)
    }

    /// Takes a 24-bit number, least significant octet first (IANA enterprise numbers, capacities).
    pub fn u24(&mut self, field: &'static str) -> Result<u32, ParseError> {
        self.array::<3>(field).map(|[low, middle, high]| u32::from_le_bytes([low, middle, high, 0]))
    }

    /// Takes a 32-bit number, least significant octet first.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, ParseError> {
        self.array(field).map(u32::from_le_bytes)
    }
}
