//! Payload and Serial over LAN commands (IPMI v2.0 §24, §26).

use super::{Command, net_fn};
use crate::ParseError;
use crate::session::Privilege;
use crate::wire::Reader;

/// The payload type of SOL.
const SOL: u8 = 0x01;

/// Activate Payload for SOL (IPMI v2.0 §24.1). Completion codes: 80h active elsewhere, 81h disabled, 82h limit
/// reached, 83h and 84h encryption not possible or needed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ActivateSol {
    /// Instance, 1..=15.
    pub instance: u8,
    /// Encrypt the characters: needs a suite that can.
    pub encrypted: bool,
    /// Sign the packets: needs a suite that can.
    pub authenticated: bool,
}

/// What an activated payload may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SolActivated {
    /// Octets of the largest payload towards the BMC.
    pub inbound: u16,
    /// Octets of the largest payload towards the console.
    pub outbound: u16,
    /// UDP port of the payload.
    pub port: u16,
}

impl Command for ActivateSol {
    type Reply = SolActivated;
    const NET_FN: u8 = net_fn::APP;
    const COMMAND: u8 = 0x48;
    const PRIVILEGE: Privilege = Privilege::Administrator;

    fn encode(&self, data: &mut Vec<u8>) {
        let flags = if self.encrypted { 0x80 } else { 0 } | if self.authenticated { 0x40 } else { 0 };
        data.extend_from_slice(&[SOL, self.instance & 0x0f, flags, 0, 0, 0]);
    }

    fn parse_reply(&self, data: &[u8]) -> Result<SolActivated, ParseError> {
        let mut reader = Reader::new(data);
        let _auxiliary = reader.u32("auxiliary data")?;
        let (inbound, outbound) = (reader.u16("inbound size")?, reader.u16("outbound size")?);
        Ok(SolActivated { inbound, outbound, port: reader.u16("port")? })
    }
}

/// Deactivate Payload for SOL (IPMI v2.0 §24.2); 80h: it was not active.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeactivateSol {
    /// Instance, 1..=15.
    pub instance: u8,
}

impl Command for DeactivateSol {
    type Reply = ();
    const NET_FN: u8 = net_fn::APP;
    const COMMAND: u8 = 0x49;
    const PRIVILEGE: Privilege = Privilege::Administrator;

    fn encode(&self, data: &mut Vec<u8>) {
        data.extend_from_slice(&[SOL, self.instance & 0x0f, 0, 0, 0, 0]);
    }

    fn parse_reply(&self, _data: &[u8]) -> Result<(), ParseError> {
        Ok(())
    }
}

/// Get SOL Configuration Parameters (IPMI v2.0 §26.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetSolParameter {
    /// Channel, 0..=15.
    pub channel: u8,
    /// Parameter number (table 26-5).
    pub parameter: u8,
}

impl Command for GetSolParameter {
    /// The parameter's octets, without the revision.
    type Reply = Vec<u8>;
    const NET_FN: u8 = net_fn::TRANSPORT;
    const COMMAND: u8 = 0x22;

    fn encode(&self, data: &mut Vec<u8>) {
        data.extend_from_slice(&[self.channel & 0x0f, self.parameter, 0, 0]);
    }

    fn parse_reply(&self, data: &[u8]) -> Result<Vec<u8>, ParseError> {
        let mut reader = Reader::new(data);
        let _revision = reader.u8("parameter revision")?;
        Ok(reader.rest().to_vec())
    }
}
