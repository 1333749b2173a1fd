//! The RMCP header in front of every datagram on port 623 (IPMI v2.0 §13.1, ASF 2.0 §3.2.2).

use super::Reader;
use crate::ParseError;

/// The UDP port of RMCP (IPMI v2.0 §13.1.2).
pub const PORT: u16 = 623;

/// The version octet of RMCP 1.0.
const VERSION: u8 = 0x06;
/// The sequence number that asks for no RMCP acknowledge; IPMI always uses it.
pub const NO_ACK: u8 = 0xff;

/// What follows the RMCP header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// An ASF message: presence ping and pong.
    Asf,
    /// An IPMI session packet.
    Ipmi,
}

/// The four octets of an RMCP header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// RMCP's own sequence number, [`NO_ACK`] in IPMI.
    pub sequence: u8,
    /// What follows.
    pub class: Class,
}

impl Header {
    /// The header of an IPMI session packet.
    pub const IPMI: [u8; 4] = [VERSION, 0, NO_ACK, 0x07];

    /// Reads the header and returns what follows it.
    ///
    /// ```
    /// # use ipmi::wire::rmcp::{Class, Header};
    /// let (header, rest) = Header::parse(&[6, 0, 0xff, 7, 1, 2]).unwrap();
    /// assert_eq!((header.class, rest), (Class::Ipmi, &[1, 2][..]));
    /// ```
    pub fn parse(datagram: &[u8]) -> Result<(Self, &[u8]), ParseError> {
        let mut reader = Reader::new(datagram);
        match reader.u8("RMCP version")? {
            VERSION => {}
            other => return Err(ParseError::Value("RMCP version", other)),
        }
        let _reserved = reader.u8("RMCP reserved")?;
        let sequence = reader.u8("RMCP sequence")?;
        let class = match reader.u8("RMCP class")? {
            0x06 => Class::Asf,
            0x07 => Class::Ipmi,
            other => return Err(ParseError::Value("RMCP class", other)), // acknowledges (bit 7) too
        };
        Ok((Self { sequence, class }, reader.rest()))
    }

    /// Appends the header.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let class = match self.class {
            Class::Asf => 0x06,
            Class::Ipmi => 0x07,
        };
        out.extend_from_slice(&[VERSION, 0, self.sequence, class]);
    }
}
