//! What follows a request: DATA, ACK, ERROR (RFC 1350 §5) and OACK (RFC 2347).

use super::{DATA_HEADER, ErrorCode, ParseError, take_string, take_u16};

const DATA: u16 = 3;
const ACK: u16 = 4;
const ERROR: u16 = 5;
const OACK: u16 = 6;

/// A DATA, ACK, ERROR or OACK packet, borrowed from its datagram (RFC 1350 §5, RFC 2347).
///
/// ```
/// # use tftp::wire::{Packet, ParseError};
/// assert_eq!(Packet::parse(&[0, 4, 0, 7]), Ok(Packet::Ack(7)));
/// assert_eq!(Packet::parse(&[0, 9, 0, 0]), Err(ParseError::UnknownOpcode(9)));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Packet<'a> {
    /// A block of the file and its number.
    Data(u16, &'a [u8]),
    /// The number of the last block that arrived in order.
    Ack(u16),
    /// The end of the transfer: code and message. A message without its NUL is taken as it is.
    Error(ErrorCode, &'a [u8]),
    /// The options the server accepts, as octets for [`super::OptionAck::parse`].
    OptionAck(&'a [u8]),
}

impl<'a> Packet<'a> {
    /// Reads one datagram.
    ///
    /// # Errors
    /// [`ParseError::Truncated`] or [`ParseError::UnknownOpcode`]; requests are unknown here.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let (opcode, rest) = take_u16(datagram).ok_or(ParseError::Truncated("opcode"))?;
        if opcode == OACK {
            return Ok(Self::OptionAck(rest));
        }
        if !(DATA..=ERROR).contains(&opcode) {
            return Err(ParseError::UnknownOpcode(opcode));
        }
        let (number, rest) = take_u16(rest).ok_or(ParseError::Truncated("block or code"))?;
        Ok(match opcode {
            DATA => Self::Data(number, rest),
            ACK => Self::Ack(number),
            _ => Self::Error(number.into(), take_string(rest).map_or(rest, |(message, _)| message)),
        })
    }
}

/// The four octets in front of a block (RFC 1350 §5).
#[must_use]
pub const fn encode_data_header(block: u16) -> [u8; DATA_HEADER] {
    let [high, low] = block.to_be_bytes();
    [0, DATA as u8, high, low]
}

/// An ACK packet (RFC 1350 §5).
#[must_use]
pub const fn encode_ack(block: u16) -> [u8; 4] {
    let [high, low] = block.to_be_bytes();
    [0, ACK as u8, high, low]
}

/// Appends an ERROR packet (RFC 1350 §5). The message ends at its first NUL, as it does on the wire.
pub fn encode_error(code: ErrorCode, message: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&ERROR.to_be_bytes());
    out.extend_from_slice(&u16::from(code).to_be_bytes());
    out.extend(message.bytes().take_while(|&octet| octet != 0));
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_rfc_1350() {
        // RFC 1350 §5, figures 5-2 to 5-4
        assert_eq!(Packet::parse(&[0, 3, 1, 0, b'x']), Ok(Packet::Data(256, b"x")));
        assert_eq!(Packet::parse(&[0, 3, 0, 1]), Ok(Packet::Data(1, b"")));
        assert_eq!(Packet::parse(&[0, 5, 0, 1, b'n', 0]), Ok(Packet::Error(ErrorCode::FileNotFound, b"n")));
        assert_eq!(Packet::parse(&[0, 5, 0, 8]), Ok(Packet::Error(ErrorCode::OptionRefused, b"")));
        assert_eq!(Packet::parse(&[0, 6]), Ok(Packet::OptionAck(b"")));
        assert_eq!(Packet::parse(&[0]), Err(ParseError::Truncated("opcode")));
        assert_eq!(Packet::parse(&[0, 4, 0]), Err(ParseError::Truncated("block or code")));
        assert_eq!(Packet::parse(&[0, 1, 0, 0]), Err(ParseError::UnknownOpcode(1)));
    }

    #[test]
    fn an_error_ends_with_one_nul() {
        // RFC 1350 §5: the message is terminated by a NUL, so it holds none.
        let mut out = Vec::new();
        encode_error(ErrorCode::AccessViolation, "no\0way", &mut out);
        assert_eq!(out, [0, 5, 0, 2, b'n', b'o', 0]);
    }
}
