//! RAKP messages 1 to 4: both sides prove that they know the password (IPMI v2.0 §13.20–13.23).

pub use super::open_session::Refusal;
use super::{Reader, status::StatusCode};
use crate::ParseError;

/// Most octets of a user name (IPMI v2.0 §13.20).
pub const MAX_USER_NAME: usize = 16;
/// The bit of the role octet that says "look the user up by name alone" (IPMI v2.0 §13.20).
pub const NAME_ONLY: u8 = 0x10;

/// The console names itself and sends its random number (IPMI v2.0 §13.20).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rakp1<'a> {
    /// Returned in RAKP 2.
    pub tag: u8,
    /// The BMC's session id.
    pub bmc_id: u32,
    /// The console's random number.
    pub console_random: [u8; 16],
    /// Privilege level wanted, and [`NAME_ONLY`].
    pub role: u8,
    /// User name, at most 16 octets; empty is the null user.
    pub user: &'a [u8],
}

/// The BMC answers with its random number, its GUID and the first proof (IPMI v2.0 §13.21).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rakp2<'a> {
    /// RAKP 1's tag.
    pub tag: u8,
    /// The outcome.
    pub status: StatusCode,
    /// What a success holds; of a refusal the octets behind the status.
    pub outcome: Result<Rakp2Proof<'a>, Refusal<'a>>,
}

/// The body of a successful RAKP 2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rakp2Proof<'a> {
    /// The console's session id.
    pub console_id: u32,
    /// The BMC's random number.
    pub bmc_random: [u8; 16],
    /// The managed system's GUID.
    pub guid: [u8; 16],
    /// The key exchange authentication code: 0, 16, 20 or 32 octets.
    pub code: &'a [u8],
}

/// The console's proof (IPMI v2.0 §13.22).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rakp3<'a> {
    /// Returned in RAKP 4.
    pub tag: u8,
    /// Not OK: the console gives up, the BMC frees the session.
    pub status: StatusCode,
    /// The BMC's session id.
    pub bmc_id: u32,
    /// The key exchange authentication code: 0, 16, 20 or 32 octets.
    pub code: &'a [u8],
}

/// The BMC's proof that it derived the same session key (IPMI v2.0 §13.23).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rakp4<'a> {
    /// RAKP 3's tag.
    pub tag: u8,
    /// The outcome.
    pub status: StatusCode,
    /// What a success holds; of a refusal the octets behind the status.
    pub outcome: Result<Rakp4Proof<'a>, Refusal<'a>>,
}

/// The body of a successful RAKP 4.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rakp4Proof<'a> {
    /// The console's session id.
    pub console_id: u32,
    /// The integrity check value: 0, 12 or 16 octets.
    pub code: &'a [u8],
}

impl<'a> Rakp1<'a> {
    /// Reads the payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(payload);
        let [tag, _, _, _] = reader.array("RAKP 1")?;
        let bmc_id = reader.u32("managed system session id")?;
        let console_random = reader.array("console random number")?;
        let [role, _, _, length] = reader.array("RAKP 1 role")?;
        let length = usize::from(length);
        if length > MAX_USER_NAME {
            return Err(ParseError::Length("user name length"));
        }
        let user = reader.take(length, "user name")?;
        Ok(Self { tag, bmc_id, console_random, role, user })
    }

    /// Appends the payload; a user name is cut at 16 octets.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let user = self.user.get(..MAX_USER_NAME).unwrap_or(self.user);
        out.extend_from_slice(&[self.tag, 0, 0, 0]);
        out.extend_from_slice(&self.bmc_id.to_le_bytes());
        out.extend_from_slice(&self.console_random);
        out.extend_from_slice(&[self.role, 0, 0, user.len() as u8]);
        out.extend_from_slice(user);
    }
}

impl<'a> Rakp2<'a> {
    /// Reads the payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(payload);
        let [tag, status] = reader.array("RAKP 2")?;
        let status = StatusCode(status);
        if status != StatusCode::OK {
            return Ok(Self { tag, status, outcome: Err(Refusal(reader.rest())) });
        }
        let _reserved = reader.u16("RAKP 2 reserved")?;
        let console_id = reader.u32("console session id")?;
        let bmc_random = reader.array("managed system random number")?;
        let guid = reader.array("managed system GUID")?;
        let proof = Rakp2Proof { console_id, bmc_random, guid, code: reader.rest() };
        Ok(Self { tag, status, outcome: Ok(proof) })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.tag, self.status.0]);
        match &self.outcome {
            Err(refusal) => out.extend_from_slice(refusal.0),
            Ok(proof) => {
                out.extend_from_slice(&[0, 0]);
                out.extend_from_slice(&proof.console_id.to_le_bytes());
                out.extend_from_slice(&proof.bmc_random);
                out.extend_from_slice(&proof.guid);
                out.extend_from_slice(proof.code);
            }
        }
    }
}

impl<'a> Rakp3<'a> {
    /// Reads the payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(payload);
        let [tag, status, _, _] = reader.array("RAKP 3")?;
        let bmc_id = reader.u32("managed system session id")?;
        Ok(Self { tag, status: StatusCode(status), bmc_id, code: reader.rest() })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.tag, self.status.0, 0, 0]);
        out.extend_from_slice(&self.bmc_id.to_le_bytes());
        out.extend_from_slice(self.code);
    }
}

impl<'a> Rakp4<'a> {
    /// Reads the payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(payload);
        let [tag, status] = reader.array("RAKP 4")?;
        let status = StatusCode(status);
        if status != StatusCode::OK {
            return Ok(Self { tag, status, outcome: Err(Refusal(reader.rest())) });
        }
        let _reserved = reader.u16("RAKP 4 reserved")?;
        let console_id = reader.u32("console session id")?;
        Ok(Self { tag, status, outcome: Ok(Rakp4Proof { console_id, code: reader.rest() }) })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.tag, self.status.0]);
        match &self.outcome {
            Err(refusal) => out.extend_from_slice(refusal.0),
            Ok(proof) => {
                out.extend_from_slice(&[0, 0]);
                out.extend_from_slice(&proof.console_id.to_le_bytes());
                out.extend_from_slice(proof.code);
            }
        }
    }
}
