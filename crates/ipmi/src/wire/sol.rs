//! Serial over LAN packets (IPMI v2.0 §15.9).

use super::Reader;
use crate::ParseError;

/// A SOL packet, in either direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SolPacket<'a> {
    /// 1..=15 with data, 0 for an acknowledgement alone.
    pub sequence: u8,
    /// The packet this one acknowledges, 0 for none.
    pub acked: u8,
    /// How many of its octets were accepted.
    pub accepted: u8,
    /// Operation (console to BMC) or status (BMC to console); bit 6 is "not all was accepted" both ways.
    pub operation: u8,
    /// Characters.
    pub data: &'a [u8],
}

/// The acknowledged packet was not (wholly) accepted (tables 15-2, 15-3).
pub const NACK: u8 = 0x40;
/// From the BMC: characters cannot be transferred now.
pub const UNAVAILABLE: u8 = 0x20;
/// From the BMC: SOL was deactivated or taken by somebody else.
pub const DEACTIVATED: u8 = 0x10;
/// From the console: generate a break.
pub const BREAK: u8 = 0x10;

impl<'a> SolPacket<'a> {
    /// Reads a payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(payload);
        let [sequence, acked, accepted, operation] = reader.array("SOL header")?;
        Ok(Self { sequence: sequence & 0x0f, acked: acked & 0x0f, accepted, operation, data: reader.rest() })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.sequence & 0x0f, self.acked & 0x0f, self.accepted, self.operation]);
        out.extend_from_slice(self.data);
    }
}
