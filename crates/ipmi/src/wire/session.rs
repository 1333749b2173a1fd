//! The session header of IPMI 1.5 and of RMCP+ (IPMI v2.0 §13.6), and the whole datagram as a value.

use super::{Reader, asf, rmcp};
use crate::ParseError;

/// How an IPMI 1.5 packet is authenticated (IPMI v2.0 §13.6, table 13-8).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum AuthType {
    /// Not at all.
    None,
    /// An MD2 digest.
    Md2,
    /// An MD5 digest.
    Md5,
    /// The password itself, readable by anybody on the way.
    Password,
    /// Fixed by the maker.
    Oem,
}

impl AuthType {
    /// Reads the wire number; 6 (RMCP+) is not an authentication type of 1.5.
    pub fn from_wire(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::None,
            1 => Self::Md2,
            2 => Self::Md5,
            4 => Self::Password,
            5 => Self::Oem,
            _ => return None,
        })
    }

    /// The wire number.
    pub fn to_wire(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Md2 => 1,
            Self::Md5 => 2,
            Self::Password => 4,
            Self::Oem => 5,
        }
    }
}

/// What an RMCP+ packet carries (IPMI v2.0 §13.27.3, table 13-16).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PayloadType {
    /// An IPMI message.
    Ipmi,
    /// Serial over LAN.
    Sol,
    /// Named by an enterprise number and a payload id of that enterprise.
    Oem {
        /// The enterprise number and a reserved octet.
        iana: u32,
        /// The enterprise's payload number.
        id: u16,
    },
    /// RMCP+ Open Session Request.
    OpenSessionRequest,
    /// RMCP+ Open Session Response.
    OpenSessionResponse,
    /// RAKP Message 1.
    Rakp1,
    /// RAKP Message 2.
    Rakp2,
    /// RAKP Message 3.
    Rakp3,
    /// RAKP Message 4.
    Rakp4,
    /// A number the table does not name.
    Unknown(u8),
}

impl PayloadType {
    /// The low six bits of the payload type octet.
    pub fn to_wire(self) -> u8 {
        match self {
            Self::Ipmi => 0x00,
            Self::Sol => 0x01,
            Self::Oem { .. } => 0x02,
            Self::OpenSessionRequest => 0x10,
            Self::OpenSessionResponse => 0x11,
            Self::Rakp1 => 0x12,
            Self::Rakp2 => 0x13,
            Self::Rakp3 => 0x14,
            Self::Rakp4 => 0x15,
            Self::Unknown(number) => number & 0x3f,
        }
    }
}

/// An IPMI 1.5 session packet (IPMI v2.0 §13.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct V15<'a> {
    /// How it is authenticated.
    pub auth_type: AuthType,
    /// Session sequence number, 0 outside a session.
    pub sequence: u32,
    /// Session id, 0 outside a session.
    pub session_id: u32,
    /// The authentication code; absent with [`AuthType::None`].
    pub auth_code: Option<[u8; 16]>,
    /// The IPMI message.
    pub payload: &'a [u8],
}

impl<'a> V15<'a> {
    fn parse(auth_type: AuthType, mut reader: Reader<'a>) -> Result<Self, ParseError> {
        let sequence = reader.u32("session sequence number")?;
        let session_id = reader.u32("session id")?;
        let auth_code = match auth_type {
            AuthType::None => None,
            _ => Some(reader.array("authentication code")?),
        };
        let length = usize::from(reader.u8("payload length")?);
        // A legacy pad octet may follow (§13.6, table 13-8); anything else behind the payload is ignored.
        let payload = reader.take(length, "payload")?;
        Ok(Self { auth_type, sequence, session_id, auth_code, payload })
    }

    /// Appends the whole datagram, RMCP header included. Payloads above 255 octets do not exist in 1.5.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), ParseError> {
        let length = u8::try_from(self.payload.len()).map_err(|_| ParseError::Length("payload length"))?;
        out.extend_from_slice(&rmcp::Header::IPMI);
        out.push(self.auth_type.to_wire());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.session_id.to_le_bytes());
        if let Some(code) = &self.auth_code {
            out.extend_from_slice(code);
        }
        out.push(length);
        out.extend_from_slice(self.payload);
        Ok(())
    }
}

/// An RMCP+ session packet (IPMI v2.0 §13.6), still sealed: `payload` may be ciphertext.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct V20<'a> {
    /// What it carries.
    pub payload_type: PayloadType,
    /// Whether the payload is encrypted.
    pub encrypted: bool,
    /// Whether a session trailer with an integrity code follows.
    pub authenticated: bool,
    /// Session id of the receiver, 0 outside a session.
    pub session_id: u32,
    /// Session sequence number, 0 outside a session.
    pub sequence: u32,
    /// The payload as it is on the wire.
    pub payload: &'a [u8],
    /// Everything the integrity code may cover and the code itself: authentication type to the end.
    pub covered: &'a [u8],
}

impl<'a> V20<'a> {
    /// The authentication type that says "RMCP+ header".
    pub const AUTH_TYPE: u8 = 0x06;

    fn parse(body: &'a [u8], mut reader: Reader<'a>) -> Result<Self, ParseError> {
        let kind = reader.u8("payload type")?;
        let payload_type = match kind & 0x3f {
            0x00 => PayloadType::Ipmi,
            0x01 => PayloadType::Sol,
            0x02 => PayloadType::Oem {
                iana: reader.u32("OEM enterprise number")?,
                id: reader.u16("OEM payload id")?,
            },
            0x10 => PayloadType::OpenSessionRequest,
            0x11 => PayloadType::OpenSessionResponse,
            0x12 => PayloadType::Rakp1,
            0x13 => PayloadType::Rakp2,
            0x14 => PayloadType::Rakp3,
            0x15 => PayloadType::Rakp4,
            other => PayloadType::Unknown(other),
        };
        let session_id = reader.u32("session id")?;
        let sequence = reader.u32("session sequence number")?;
        let length = usize::from(reader.u16("payload length")?);
        let payload = reader.take(length, "payload")?;
        let (encrypted, authenticated) = (kind & 0x80 != 0, kind & 0x40 != 0);
        Ok(Self { payload_type, encrypted, authenticated, session_id, sequence, payload, covered: body })
    }

    /// Appends RMCP and session header for a payload of `length` octets that the caller appends next.
    /// Payloads above 65535 octets are a programming error of no consequence: the length is cut.
    pub fn encode_header(
        payload_type: PayloadType,
        encrypted: bool,
        authenticated: bool,
        session_id: u32,
        sequence: u32,
        length: usize,
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(&rmcp::Header::IPMI);
        out.push(Self::AUTH_TYPE);
        let flags = if encrypted { 0x80 } else { 0 } | if authenticated { 0x40 } else { 0 };
        out.push(payload_type.to_wire() | flags);
        if let PayloadType::Oem { iana, id } = payload_type {
            out.extend_from_slice(&iana.to_le_bytes());
            out.extend_from_slice(&id.to_le_bytes());
        }
        out.extend_from_slice(&session_id.to_le_bytes());
        out.extend_from_slice(&sequence.to_le_bytes());
        out.extend_from_slice(&(length as u16).to_le_bytes());
    }

    /// Appends a whole packet outside a session: Open Session, RAKP and session-less IPMI messages.
    pub fn encode_plain(payload_type: PayloadType, payload: &[u8], out: &mut Vec<u8>) {
        Self::encode_header(payload_type, false, false, 0, 0, payload.len(), out);
        out.extend_from_slice(payload);
    }
}

/// One datagram on port 623.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Packet<'a> {
    /// Presence ping or pong.
    Asf(asf::Message),
    /// IPMI 1.5 header.
    V15(V15<'a>),
    /// RMCP+ header.
    V20(V20<'a>),
}

impl<'a> Packet<'a> {
    /// Reads one datagram.
    ///
    /// ```
    /// # use ipmi::wire::session::Packet;
    /// # use ipmi::ParseError;
    /// assert_eq!(Packet::parse(&[6, 0, 0xff]), Err(ParseError::Truncated("RMCP class")));
    /// ```
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let (header, body) = rmcp::Header::parse(datagram)?;
        match header.class {
            rmcp::Class::Asf => asf::Message::parse(body).map(Self::Asf),
            rmcp::Class::Ipmi => {
                let mut reader = Reader::new(body);
                match reader.u8("authentication type")? {
                    V20::AUTH_TYPE => V20::parse(body, reader).map(Self::V20),
                    number => {
                        let auth_type = AuthType::from_wire(number)
                            .ok_or(ParseError::Value("authentication type", number))?;
                        V15::parse(auth_type, reader).map(Self::V15)
                    }
                }
            }
        }
    }
}
