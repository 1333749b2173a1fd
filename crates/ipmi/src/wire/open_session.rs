//! RMCP+ Open Session Request and Response (IPMI v2.0 §13.17, §13.18).

use super::{Reader, status::StatusCode};
use crate::ParseError;
use crate::crypto::cipher_suite::Algorithms;

/// The console proposes algorithms (IPMI v2.0 §13.17, table 13-9).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpenSessionRequest {
    /// Returned in the response.
    pub tag: u8,
    /// Highest privilege level wanted, 1..=5; 0 is "the highest the algorithms allow".
    pub max_privilege: u8,
    /// The console's session id.
    pub console_id: u32,
    /// The numbers of the proposed algorithms.
    pub algorithms: Algorithms,
}

/// The BMC accepts or refuses (IPMI v2.0 §13.18, table 13-10).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpenSessionResponse {
    /// The request's tag.
    pub tag: u8,
    /// The outcome.
    pub status: StatusCode,
    /// Highest privilege level granted.
    pub max_privilege: u8,
    /// The console's session id, 0 when a refusal left it out.
    pub console_id: u32,
    /// What only an acceptance holds.
    pub accepted: Option<Accepted>,
}

/// The part of an Open Session Response that refusals leave out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// The BMC's session id.
    pub bmc_id: u32,
    /// The numbers of the chosen algorithms.
    pub algorithms: Algorithms,
}

/// One of the three algorithm blocks: type, 0, 0, length 8, number, 0, 0, 0. Length 0 is a wildcard that
/// lets the BMC choose (§13.17); it reads as `None`.
fn algorithm(reader: &mut Reader<'_>, expected: u8) -> Result<u8, ParseError> {
    let [kind, _, _, length, number, _, _, _] = reader.array("algorithm payload")?;
    if kind != expected {
        return Err(ParseError::Value("algorithm payload type", kind));
    }
    match length {
        8 => Ok(number & 0x3f),
        other => Err(ParseError::Value("algorithm payload length", other)),
    }
}

fn algorithms(reader: &mut Reader<'_>) -> Result<Algorithms, ParseError> {
    Ok(Algorithms {
        authentication: algorithm(reader, 0)?,
        integrity: algorithm(reader, 1)?,
        confidentiality: algorithm(reader, 2)?,
    })
}

fn encode_algorithms(algorithms: &Algorithms, out: &mut Vec<u8>) {
    let numbers = [algorithms.authentication, algorithms.integrity, algorithms.confidentiality];
    for (kind, number) in (0u8..).zip(numbers) {
        out.extend_from_slice(&[kind, 0, 0, 8, number, 0, 0, 0]);
    }
}

impl OpenSessionRequest {
    /// Reads the payload.
    pub fn parse(payload: &[u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(payload);
        let [tag, max_privilege, _, _] = reader.array("Open Session Request")?;
        let console_id = reader.u32("console session id")?;
        let algorithms = algorithms(&mut reader)?;
        Ok(Self { tag, max_privilege: max_privilege & 0x0f, console_id, algorithms })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.tag, self.max_privilege, 0, 0]);
        out.extend_from_slice(&self.console_id.to_le_bytes());
        encode_algorithms(&self.algorithms, out);
    }
}

impl OpenSessionResponse {
    /// Reads the payload. Refusals are taken in the three lengths BMCs send: 2, 4 and 8 octets and more.
    pub fn parse(payload: &[u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(payload);
        let [tag, status] = reader.array("Open Session Response")?;
        let status = StatusCode(status);
        if status != StatusCode::OK {
            let max_privilege = reader.u8("").unwrap_or(0) & 0x0f;
            let _ = reader.u8("");
            let console_id = reader.u32("").unwrap_or(0);
            return Ok(Self { tag, status, max_privilege, console_id, accepted: None });
        }
        let [max_privilege, _] = reader.array("granted privilege level")?;
        let console_id = reader.u32("console session id")?;
        let bmc_id = reader.u32("managed system session id")?;
        let accepted = Accepted { bmc_id, algorithms: algorithms(&mut reader)? };
        let max_privilege = max_privilege & 0x0f;
        Ok(Self { tag, status, max_privilege, console_id, accepted: Some(accepted) })
    }

    /// Appends the payload; a refusal has 8 octets.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.tag, self.status.0, self.max_privilege, 0]);
        out.extend_from_slice(&self.console_id.to_le_bytes());
        if let Some(accepted) = &self.accepted {
            out.extend_from_slice(&accepted.bmc_id.to_le_bytes());
            encode_algorithms(&accepted.algorithms, out);
        }
    }
}
