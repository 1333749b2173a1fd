//! ASF presence ping and pong (IPMI v2.0 §13.2.3, ASF 2.0 §3.2.4).

use super::{Reader, rmcp};
use crate::ParseError;

/// The enterprise number of ASF.
pub const ASF_IANA: u32 = 4542;

/// An ASF message as IPMI uses it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Message {
    /// "Who is there?"
    Ping {
        /// Returned in the pong.
        tag: u8,
    },
    /// "I am", and what I speak.
    Pong(Pong),
}

/// The answer to a presence ping (IPMI v2.0 §13.2.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pong {
    /// The ping's tag.
    pub tag: u8,
    /// The enterprise number of the next field; [`ASF_IANA`] when nothing OEM is said.
    pub iana: u32,
    /// Defined by the enterprise.
    pub oem: u32,
    /// Bit 7: IPMI is supported; low bits: 1 = ASF 1.0.
    pub entities: u8,
    /// Bit 7: RMCP security extensions; bit 5: DASH.
    pub interactions: u8,
}

impl Pong {
    /// Whether the machine says that it speaks IPMI.
    pub fn speaks_ipmi(&self) -> bool {
        self.entities & 0x80 != 0
    }
}

impl Message {
    /// Reads what follows the RMCP header.
    pub fn parse(octets: &[u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(octets);
        let iana = u32::from_be_bytes(reader.array("ASF enterprise number")?);
        if iana != ASF_IANA {
            return Err(ParseError::Value("ASF enterprise number", iana as u8));
        }
        let kind = reader.u8("ASF message type")?;
        let tag = reader.u8("ASF message tag")?;
        let _reserved = reader.u8("ASF reserved")?;
        let length = usize::from(reader.u8("ASF data length")?);
        let mut data = Reader::new(reader.take(length, "ASF data")?);
        match kind {
            0x80 => Ok(Self::Ping { tag }),
            0x40 => Ok(Self::Pong(Pong {
                tag,
                iana: u32::from_be_bytes(data.array("pong enterprise number")?),
                oem: u32::from_be_bytes(data.array("pong OEM field")?),
                entities: data.u8("pong entities")?,
                interactions: data.u8("pong interactions")?,
            })),
            other => Err(ParseError::Value("ASF message type", other)),
        }
    }

    /// Appends the whole datagram, RMCP header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        rmcp::Header { sequence: rmcp::NO_ACK, class: rmcp::Class::Asf }.encode(out);
        out.extend_from_slice(&ASF_IANA.to_be_bytes());
        match self {
            Self::Ping { tag } => out.extend_from_slice(&[0x80, *tag, 0, 0]),
            Self::Pong(pong) => {
                out.extend_from_slice(&[0x40, pong.tag, 0, 16]);
                out.extend_from_slice(&pong.iana.to_be_bytes());
                out.extend_from_slice(&pong.oem.to_be_bytes());
                out.extend_from_slice(&[pong.entities, pong.interactions, 0, 0, 0, 0, 0, 0]);
            }
        }
    }
}
