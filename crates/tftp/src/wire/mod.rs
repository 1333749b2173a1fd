//! TFTP on the wire: requests, options, DATA, ACK, ERROR and OACK (RFC 1350 §5, RFC 2347).
//!
//! Nothing here keeps state or knows a peer. Both engines and the driver may use it.

mod error_code;
mod options;
mod packet;
mod request;

pub use error_code::ErrorCode;
pub use options::{BlockSize, OptionAck, Options, TimeoutSeconds, WindowSize};
pub use packet::{Packet, encode_ack, encode_data_header, encode_error};
pub use request::{Direction, Mode, Request};

/// Octets in front of the payload of a DATA packet: opcode and block number (RFC 1350 §5).
pub const DATA_HEADER: usize = 4;

/// Why octets are no TFTP packet.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The datagram ends before the named field.
    #[error("datagram ends before its {0}")]
    Truncated(&'static str),
    /// The named string has no terminating NUL (RFC 1350 §5).
    #[error("{0} is not terminated")]
    Unterminated(&'static str),
    /// The opcode is none of the expected ones.
    #[error("unknown opcode {0}")]
    UnknownOpcode(u16),
    /// The mode is neither `octet` nor `netascii` (RFC 1350 §1; `mail` is obsolete).
    #[error("unknown transfer mode")]
    UnknownMode,
}

/// Splits the first big-endian number off.
pub(crate) fn take_u16(octets: &[u8]) -> Option<(u16, &[u8])> {
    let (head, rest) = octets.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*head), rest))
}

/// Splits the first NUL-terminated string off.
pub(crate) fn take_string(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = octets.iter().position(|&octet| octet == 0)?;
    Some((octets.get(..end)?, octets.get(end + 1..)?))
}
