//! LAN configuration (IPMI v2.0 §23).

use super::{Command, net_fn};
use crate::ParseError;
use crate::session::Privilege;
use crate::wire::Reader;

/// Get LAN Configuration Parameters (IPMI v2.0 §23.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetLanParameter {
    /// Channel, 0..=15.
    pub channel: u8,
    /// Parameter number (table 23-4): 3 address, 4 source, 5 MAC, 6 mask, 12 gateway, 20 VLAN…
    pub parameter: u8,
    /// Set selector, 0 unless the parameter has sets.
    pub set: u8,
}

impl Command for GetLanParameter {
    /// The parameter's octets, without the revision.
    type Reply = Vec<u8>;
    const NET_FN: u8 = net_fn::TRANSPORT;
    const COMMAND: u8 = 0x02;
    const PRIVILEGE: Privilege = Privilege::Operator;

    fn encode(&self, data: &mut Vec<u8>) {
        data.extend_from_slice(&[self.channel & 0x0f, self.parameter, self.set, 0]);
    }

    fn parse_reply(&self, data: &[u8]) -> Result<Vec<u8>, ParseError> {
        let mut reader = Reader::new(data);
        let _revision = reader.u8("parameter revision")?;
        Ok(reader.rest().to_vec())
    }
}

/// Set LAN Configuration Parameters (IPMI v2.0 §23.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SetLanParameter {
    /// Channel, 0..=15.
    pub channel: u8,
    /// Parameter number.
    pub parameter: u8,
    /// Its octets.
    pub data: Vec<u8>,
}

impl SetLanParameter {
    /// The 802.1q VLAN of shared ports (parameter 20): `None` is off; ids are 1..=4094.
    pub fn vlan(channel: u8, id: Option<u16>) -> Self {
        let data = id.map_or([0, 0], |id| (id & 0x0fff | 0x8000).to_le_bytes()).to_vec();
        Self { channel, parameter: 20, data }
    }
}

impl Command for SetLanParameter {
    type Reply = ();
    const NET_FN: u8 = net_fn::TRANSPORT;
    const COMMAND: u8 = 0x01;
    const PRIVILEGE: Privilege = Privilege::Administrator;

    fn encode(&self, data: &mut Vec<u8>) {
        data.extend_from_slice(&[self.channel & 0x0f, self.parameter]);
        data.extend_from_slice(&self.data);
    }

    fn parse_reply(&self, _data: &[u8]) -> Result<(), ParseError> {
        Ok(())
    }
}
