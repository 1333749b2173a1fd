//! The IPMI message inside a packet, request or response, with its two checksums (IPMI v2.0 §13.8).

use super::Reader;
use crate::ParseError;

/// The BMC's own slave address (IPMI v2.0 §13.8).
pub const BMC_ADDRESS: u8 = 0x20;
/// The software id of the remote console; BMCs return it as they got it.
pub const REMOTE_CONSOLE: u8 = 0x81;

/// An IPMI message. In a response (odd network function) the first octet of `data` is the completion code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Message<'a> {
    /// Address of the receiver.
    pub to: u8,
    /// Network function, 0..=63; odd in responses.
    pub net_fn: u8,
    /// Logical unit of the receiver, 0..=3.
    pub to_lun: u8,
    /// Address of the sender.
    pub from: u8,
    /// Sequence number that pairs a response with its request, 0..=63.
    pub sequence: u8,
    /// Logical unit of the sender, 0..=3.
    pub from_lun: u8,
    /// The command.
    pub command: u8,
    /// What the command carries.
    pub data: &'a [u8],
}

/// The two's complement checksum of IPMI: octets and checksum add up to 0.
pub fn checksum(octets: &[u8]) -> u8 {
    octets.iter().fold(0u8, |sum, octet| sum.wrapping_add(*octet)).wrapping_neg()
}

impl<'a> Message<'a> {
    /// Reads a message and checks both checksums.
    pub fn parse(octets: &'a [u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(octets);
        let [to, net_fn_lun, header_sum] = reader.array("message header")?;
        if checksum(&[to, net_fn_lun]) != header_sum {
            return Err(ParseError::Checksum("message header"));
        }
        let rest = reader.rest();
        let [from, sequence_lun, command] = reader.array("message body")?;
        let (sum, data) = reader.rest().split_last().ok_or(ParseError::Truncated("message checksum"))?;
        let summed = rest.get(..rest.len().saturating_sub(1)).unwrap_or_default();
        if checksum(summed) != *sum {
            return Err(ParseError::Checksum("message body"));
        }
        Ok(Self {
            to,
            net_fn: net_fn_lun >> 2,
            to_lun: net_fn_lun & 3,
            from,
            sequence: sequence_lun >> 2,
            from_lun: sequence_lun & 3,
            command,
            data,
        })
    }

    /// Appends the message with its checksums.
    ///
    /// ```
    /// # use ipmi::wire::message::Message;
    /// let status = Message { to: 0x20, net_fn: 0, to_lun: 0, from: 0x81, sequence: 12, from_lun: 0, command: 1, data: &[] };
    /// let mut octets = Vec::new();
    /// status.encode(&mut octets);
    /// assert_eq!(octets, [0x20, 0x00, 0xe0, 0x81, 0x30, 0x01, 0x4e]);
    /// assert_eq!(Message::parse(&octets), Ok(status));
    /// ```
    pub fn encode(&self, out: &mut Vec<u8>) {
        let header = [self.to, (self.net_fn << 2) | (self.to_lun & 3)];
        let body = [self.from, (self.sequence << 2) | (self.from_lun & 3), self.command];
        out.extend_from_slice(&header);
        out.push(checksum(&header));
        out.extend_from_slice(&body);
        out.extend_from_slice(self.data);
        out.push(checksum(&body).wrapping_add(checksum(self.data)));
    }

    /// Whether this is a response.
    pub fn is_response(&self) -> bool {
        self.net_fn & 1 == 1
    }

    /// The response to this request: addresses and units swapped. `data` starts with the completion code.
    pub fn reply<'b>(&self, data: &'b [u8]) -> Message<'b> {
        Message {
            to: self.from,
            net_fn: self.net_fn | 1,
            to_lun: self.from_lun,
            from: self.to,
            sequence: self.sequence,
            from_lun: self.to_lun,
            command: self.command,
            data,
        }
    }
}
