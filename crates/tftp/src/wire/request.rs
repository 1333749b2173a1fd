//! A read or write request (RFC 1350 §5, RFC 2347).

use super::{Options, ParseError, take_string, take_u16};

const RRQ: u16 = 1;
const WRQ: u16 = 2;

/// Which way the file goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// RRQ: the client reads.
    Read,
    /// WRQ: the client writes.
    Write,
}

/// How octets of the file appear in DATA (RFC 1350 §1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// As they are.
    Octet,
    /// Lines end with CR LF, a bare CR is CR NUL (RFC 764).
    Netascii,
}

impl Mode {
    /// The mode as it is written in a request.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Octet => "octet",
            Self::Netascii => "netascii",
        }
    }
}

/// A read or write request, borrowed from its datagram (RFC 1350 §5, RFC 2347).
///
/// ```
/// # use tftp::wire::{Direction, Mode, Request};
/// let request = Request::parse(b"\0\x01undionly.kpxe\0octet\0blksize\x001432\0tsize\x000\0").unwrap();
/// assert_eq!(request.direction, Direction::Read);
/// assert_eq!(request.filename, b"undionly.kpxe");
/// assert_eq!(request.mode, Mode::Octet);
/// assert_eq!(request.options.transfer_size, Some(0));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request<'a> {
    /// RRQ or WRQ.
    pub direction: Direction,
    /// The name as it was sent: any octets but NUL, of any length.
    pub filename: &'a [u8],
    /// The mode, compared without regard to case.
    pub mode: Mode,
    /// The options we know and whose values are valid.
    pub options: Options,
}

impl<'a> Request<'a> {
    /// Whether the datagram is meant as a request, well formed or not.
    #[must_use]
    pub fn has_opcode(datagram: &[u8]) -> bool {
        matches!(take_u16(datagram), Some((RRQ | WRQ, _)))
    }

    /// The direction a datagram asks for, well formed or not.
    #[must_use]
    pub fn direction(datagram: &[u8]) -> Option<Direction> {
        match take_u16(datagram)?.0 {
            RRQ => Some(Direction::Read),
            WRQ => Some(Direction::Write),
            _ => None,
        }
    }

    /// Reads one datagram.
    ///
    /// # Errors
    /// Unterminated file name or mode, unknown mode, or an opcode other than 1 and 2.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let (opcode, rest) = take_u16(datagram).ok_or(ParseError::Truncated("opcode"))?;
        let direction = match opcode {
            RRQ => Direction::Read,
            WRQ => Direction::Write,
            _ => return Err(ParseError::UnknownOpcode(opcode)),
        };
        let (filename, rest) = take_string(rest).ok_or(ParseError::Unterminated("file name"))?;
        let (mode, rest) = take_string(rest).ok_or(ParseError::Unterminated("mode"))?;
        let mode = if mode.eq_ignore_ascii_case(b"octet") {
            Mode::Octet
        } else if mode.eq_ignore_ascii_case(b"netascii") {
            Mode::Netascii
        } else {
            return Err(ParseError::UnknownMode);
        };
        Ok(Self { direction, filename, mode, options: Options::parse(rest) })
    }

    /// Appends the request. A file name ends at its first NUL, as it does on the wire.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let opcode = match self.direction {
            Direction::Read => RRQ,
            Direction::Write => WRQ,
        };
        out.extend_from_slice(&opcode.to_be_bytes());
        out.extend(self.filename.iter().take_while(|&&octet| octet != 0));
        out.push(0);
        out.extend_from_slice(self.mode.as_str().as_bytes());
        out.push(0);
        self.options.encode(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_requests_are_refused() {
        // RFC 1350 §5: two strings, each ended by a NUL; the mode is one of two words.
        assert_eq!(Request::parse(b"\0"), Err(ParseError::Truncated("opcode")));
        assert_eq!(Request::parse(b"\0\x01abc"), Err(ParseError::Unterminated("file name")));
        assert_eq!(Request::parse(b"\0\x01abc\0octet"), Err(ParseError::Unterminated("mode")));
        assert_eq!(Request::parse(b"\0\x01abc\0mail\0"), Err(ParseError::UnknownMode));
        assert_eq!(Request::parse(b"\0\x01abc\0octet \0"), Err(ParseError::UnknownMode));
        assert_eq!(Request::parse(b"\0\x08abc\0octet\0"), Err(ParseError::UnknownOpcode(8)));
        assert_eq!(Request::parse(b"\0\x01abc\0OcTeT\0").map(|r| r.mode), Ok(Mode::Octet));
    }

    #[test]
    fn ipxe_multicast_does_not_hide_what_follows() {
        // RFC 2347: an empty value is a value (iPXE sends `multicast NUL NUL` for tftm).
        let request = Request::parse(b"\0\x01f\0octet\0multicast\0\0blksize\x001432\0").unwrap();
        assert_eq!(request.options.block_size.map(u16::from), Some(1432));
    }
}
