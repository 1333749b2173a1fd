//! Channels and sessions (IPMI v2.0 §22.15, §22.20, §22.22–22.24).

use super::{Command, net_fn};
use crate::ParseError;
use crate::session::Privilege;
use crate::wire::Reader;

/// Get Channel Info (IPMI v2.0 §22.24).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetChannelInfo(pub u8);

/// What a channel is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChannelInfo {
    /// The channel.
    pub channel: u8,
    /// Medium: 1 IPMB, 4 802.3 LAN, 5 serial, 0Ch system interface…
    pub medium: u8,
    /// Protocol: 1 IPMB-1.0, 5 KCS…
    pub protocol: u8,
    /// 0 session-less, 1 single, 2 multiple, 3 session-based and configurable.
    pub session_support: u8,
    /// Sessions in force.
    pub active_sessions: u8,
    /// Enterprise number of the protocol's vendor.
    pub vendor: u32,
}

impl Command for GetChannelInfo {
    type Reply = ChannelInfo;
    const NET_FN: u8 = net_fn::APP;
    const COMMAND: u8 = 0x42;

    fn encode(&self, data: &mut Vec<u8>) {
        data.push(self.0 & 0x0f);
    }

    fn parse_reply(&self, data: &[u8]) -> Result<ChannelInfo, ParseError> {
        let mut reader = Reader::new(data);
        let [channel, medium, protocol, sessions] = reader.array("channel info")?;
        let vendor = reader.u24("vendor")?;
        Ok(ChannelInfo {
            channel: channel & 0x0f,
            medium: medium & 0x7f,
            protocol: protocol & 0x1f,
            session_support: sessions >> 6,
            active_sessions: sessions & 0x3f,
            vendor,
        })
    }
}

/// Get Channel Access (IPMI v2.0 §22.23).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetChannelAccess {
    /// Channel, 0..=15.
    pub channel: u8,
    /// The settings in force now, not the stored ones.
    pub volatile: bool,
}

impl Command for GetChannelAccess {
    /// Bits: 5 alerting off, 4 per-message authentication off, 3 user level authentication off, 2:0 access
    /// mode; then the privilege limit.
    type Reply = [u8; 2];
    const NET_FN: u8 = net_fn::APP;
    const COMMAND: u8 = 0x41;

    fn encode(&self, data: &mut Vec<u8>) {
        data.extend_from_slice(&[self.channel & 0x0f, if self.volatile { 0x80 } else { 0x40 }]);
    }

    fn parse_reply(&self, data: &[u8]) -> Result<[u8; 2], ParseError> {
        Reader::new(data).array("channel access")
    }
}

/// Get Channel Cipher Suites (IPMI v2.0 §22.15): sixteen octets of records at a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetChannelCipherSuites {
    /// Channel, 0..=15.
    pub channel: u8,
    /// Payload type: 0 IPMI, 1 SOL.
    pub payload_type: u8,
    /// Which sixteen octets, 0..=63.
    pub index: u8,
}

impl Command for GetChannelCipherSuites {
    type Reply = Vec<u8>;
    const NET_FN: u8 = net_fn::APP;
    const COMMAND: u8 = 0x54;
    const PRIVILEGE: Privilege = Privilege::Callback;

    fn encode(&self, data: &mut Vec<u8>) {
        data.extend_from_slice(&[self.channel & 0x0f, self.payload_type & 0x3f, 0x80 | self.index & 0x3f]);
    }

    fn parse_reply(&self, data: &[u8]) -> Result<Vec<u8>, ParseError> {
        let mut reader = Reader::new(data);
        let _channel = reader.u8("channel")?;
        Ok(reader.rest().to_vec())
    }
}

/// One record of the list: number, enterprise number of an OEM suite, and the three algorithms.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CipherSuiteRecord {
    /// Its number.
    pub id: u8,
    /// The enterprise whose suite it is; `None` for the specification's own.
    pub iana: Option<u32>,
    /// Authentication, integrity and confidentiality algorithm numbers.
    pub algorithms: [u8; 3],
}

/// Reads the records of a whole list (IPMI v2.0 §22.15.1); what is cut off at the end is left out.
pub fn cipher_suite_records(octets: &[u8]) -> Vec<CipherSuiteRecord> {
    let mut records: Vec<CipherSuiteRecord> = Vec::new();
    let mut reader = Reader::new(octets);
    while let Ok(tag) = reader.u8("record") {
        match tag {
            0xc0 | 0xc1 => {
                let Ok(id) = reader.u8("suite") else { break };
                let iana = if tag == 0xc1 { reader.u24("enterprise number").ok() } else { None };
                records.push(CipherSuiteRecord { id, iana, algorithms: [0; 3] });
            }
            other => {
                let at = match other >> 6 {
                    0 => 0,
                    1 => 1,
                    2 => 2,
                    _ => continue,
                };
                if let Some(slot) = records.last_mut().and_then(|record| record.algorithms.get_mut(at)) {
                    *slot = other & 0x3f;
                }
            }
        }
    }
    records
}

/// Get Session Info (IPMI v2.0 §22.20).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GetSessionInfo {
    /// This session.
    Current,
    /// The nth active session, from 1.
    Index(u8),
    /// By handle.
    Handle(u8),
    /// By id.
    Id(u32),
}

impl Command for GetSessionInfo {
    /// The answer's octets: handle, slots, active; and of an active session user, level, type and channel.
    type Reply = Vec<u8>;
    const NET_FN: u8 = net_fn::APP;
    const COMMAND: u8 = 0x3d;

    fn encode(&self, data: &mut Vec<u8>) {
        match self {
            Self::Current => data.push(0),
            Self::Index(index) => data.push(*index),
            Self::Handle(handle) => data.extend_from_slice(&[0xfe, *handle]),
            Self::Id(id) => {
                data.push(0xff);
                data.extend_from_slice(&id.to_le_bytes());
            }
        }
    }

    fn parse_reply(&self, data: &[u8]) -> Result<Vec<u8>, ParseError> {
        if data.len() < 3 { Err(ParseError::Truncated("session info")) } else { Ok(data.to_vec()) }
    }
}
