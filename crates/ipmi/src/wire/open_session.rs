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
pub struct OpenSessionResponse<'a> {
    /// The request's tag.
    pub tag: u8,
    /// The outcome.
    pub status: StatusCode,
    /// What an acceptance holds; of a refusal the octets behind the status, as many as the BMC sent.
    pub outcome: Result<Accepted, Refusal<'a>>,
}

/// The body of an accepting Open Session Response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// Highest privilege level granted; some BMCs return the 0 they were asked with.
    pub max_privilege: u8,
    /// The console's session id.
    pub console_id: u32,
    /// The BMC's session id.
    pub bmc_id: u32,
    /// The numbers of the chosen algorithms.
    pub algorithms: Algorithms,
}

/// What follows the status code of a refusal: nothing (ipmi_sim), two octets and the console's session id
/// (the specification), or more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refusal<'a>(pub &'a [u8]);

impl Refusal<'_> {
    /// The console's session id, if the refusal names it.
    pub fn console_id(&self) -> Option<u32> {
        let mut reader = Reader::new(self.0);
        reader.u16("").and_then(|_| reader.u32("")).ok()
    }

    /// Whether it may be meant for the set-up with this console session id.
    pub fn concerns(&self, console_id: u32) -> bool {
        self.console_id().is_none_or(|id| id == console_id || id == 0)
    }
}

/// One of the three algorithm blocks: type, 0, 0, length 8, number, 0, 0, 0. Length 0, the
/// wildcard that lets the BMC choose (§13.17), is refused: nobody sends it.
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

impl<'a> OpenSessionResponse<'a> {
    /// Reads the payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(payload);
        let [tag, status] = reader.array("Open Session Response")?;
        let status = StatusCode(status);
        if status != StatusCode::OK {
            return Ok(Self { tag, status, outcome: Err(Refusal(reader.rest())) });
        }
        let [max_privilege, _] = reader.array("granted privilege level")?;
        let console_id = reader.u32("console session id")?;
        let bmc_id = reader.u32("managed system session id")?;
        let algorithms = algorithms(&mut reader)?;
        let accepted = Accepted { max_privilege: max_privilege & 0x0f, console_id, bmc_id, algorithms };
        Ok(Self { tag, status, outcome: Ok(accepted) })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.tag, self.status.0]);
        match &self.outcome {
            Err(refusal) => out.extend_from_slice(refusal.0),
            Ok(accepted) => {
                out.extend_from_slice(&[accepted.max_privilege, 0]);
                out.extend_from_slice(&accepted.console_id.to_le_bytes());
                out.extend_from_slice(&accepted.bmc_id.to_le_bytes());
                encode_algorithms(&accepted.algorithms, out);
            }
        }
    }
}
