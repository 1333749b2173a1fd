//! The system event log (IPMI v2.0 §31, §32).

use super::{Command, net_fn};
use crate::ParseError;
use crate::session::Privilege;
use crate::wire::Reader;

/// Get SEL Info (IPMI v2.0 §31.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetSelInfo;

/// What the log says of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SelInfo {
    /// 51h for this specification.
    pub version: u8,
    /// Entries held.
    pub entries: u16,
    /// Free octets; FFFFh is "65535 or more".
    pub free: u16,
    /// Time of the last addition; FFFFFFFFh is never.
    pub added: u32,
    /// Time of the last erasure; FFFFFFFFh is never.
    pub erased: u32,
    /// Bits: 7 overflow, 3 delete, 2 partial add, 1 reserve, 0 allocation info.
    pub support: u8,
}

impl Command for GetSelInfo {
    type Reply = SelInfo;
    const NET_FN: u8 = net_fn::STORAGE;
    const COMMAND: u8 = 0x40;

    fn encode(&self, _data: &mut Vec<u8>) {}

    fn parse_reply(&self, data: &[u8]) -> Result<SelInfo, ParseError> {
        let mut reader = Reader::new(data);
        Ok(SelInfo {
            version: reader.u8("SEL version")?,
            entries: reader.u16("entries")?,
            free: reader.u16("free space")?,
            added: reader.u32("addition time")?,
            erased: reader.u32("erase time")?,
            support: reader.u8("operation support")?,
        })
    }
}

/// Reserve SEL (IPMI v2.0 §31.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReserveSel;

impl Command for ReserveSel {
    type Reply = u16;
    const NET_FN: u8 = net_fn::STORAGE;
    const COMMAND: u8 = 0x42;

    fn encode(&self, _data: &mut Vec<u8>) {}

    fn parse_reply(&self, data: &[u8]) -> Result<u16, ParseError> {
        Reader::new(data).u16("reservation id")
    }
}

/// Get SEL Entry (IPMI v2.0 §31.5): a whole record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetSelEntry(pub u16);

impl Command for GetSelEntry {
    /// The next record's id (FFFFh after the last), and the record.
    type Reply = (u16, SelRecord);
    const NET_FN: u8 = net_fn::STORAGE;
    const COMMAND: u8 = 0x43;

    fn encode(&self, data: &mut Vec<u8>) {
        data.extend_from_slice(&[0, 0]);
        data.extend_from_slice(&self.0.to_le_bytes());
        data.extend_from_slice(&[0, 0xff]);
    }

    fn parse_reply(&self, data: &[u8]) -> Result<(u16, SelRecord), ParseError> {
        let mut reader = Reader::new(data);
        let next = reader.u16("next record id")?;
        Ok((next, SelRecord { id: reader.u16("record id")?, octets: reader.array("SEL record")? }))
    }
}

/// A record of the log: id, and the fourteen octets behind it (IPMI v2.0 §32.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SelRecord {
    /// Record id.
    pub id: u16,
    /// Record type, timestamp and the rest.
    pub octets: [u8; 14],
}

/// A system event, record type 02h (IPMI v2.0 §32.1, table 32-1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SystemEvent {
    /// Seconds; below 20000000h since the start of the system, else since 1970.
    pub time: u32,
    /// Who generated it.
    pub generator: u16,
    /// Event message revision, 04h.
    pub revision: u8,
    /// Sensor type.
    pub sensor_type: u8,
    /// Sensor number.
    pub sensor: u8,
    /// Event type, 0..=127.
    pub event_type: u8,
    /// Whether the event ends a state.
    pub deassertion: bool,
    /// Event data 1 to 3.
    pub data: [u8; 3],
}

impl SelRecord {
    /// Record type.
    pub fn kind(&self) -> u8 {
        let [kind, ..] = self.octets;
        kind
    }

    /// The event, if the type is 02h.
    pub fn event(&self) -> Option<SystemEvent> {
        let [kind, t0, t1, t2, t3, g0, g1, revision, sensor_type, sensor, event, d1, d2, d3] = self.octets;
        (kind == 0x02).then_some(SystemEvent {
            time: u32::from_le_bytes([t0, t1, t2, t3]),
            generator: u16::from_le_bytes([g0, g1]),
            revision,
            sensor_type,
            sensor,
            event_type: event & 0x7f,
            deassertion: event & 0x80 != 0,
            data: [d1, d2, d3],
        })
    }
}

impl SystemEvent {
    /// The specification's words for it (IPMI v2.0 tables 42-2, 42-3).
    pub fn text(&self) -> Option<&'static str> {
        let [first, second, _] = self.data;
        let offset = first & 0x0f;
        let mut best = None;
        for name in super::names::events(self.sensor_type, self.event_type) {
            if name.offset != offset {
                continue;
            }
            // The second octet refines the state when bits 7:6 of the first say that it does.
            if name.data2 == 0xff {
                best = best.or(Some(name.text));
            } else if first & 0xc0 == 0xc0 && name.data2 == second {
                return Some(name.text);
            }
        }
        best
    }

    /// Raw reading and raw threshold that caused a threshold event, where the record holds them.
    pub fn trigger(&self) -> Option<(u8, u8)> {
        let [first, reading, threshold] = self.data;
        (self.event_type == 0x01 && first >> 6 & 3 == 1 && first >> 4 & 3 == 1)
            .then_some((reading, threshold))
    }
}

/// Clear SEL (IPMI v2.0 §31.9).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClearSel {
    /// From [`ReserveSel`].
    pub reservation: u16,
    /// AAh starts the erasure, 00h asks how far it is.
    pub start: bool,
}

impl Command for ClearSel {
    /// Whether the erasure is complete.
    type Reply = bool;
    const NET_FN: u8 = net_fn::STORAGE;
    const COMMAND: u8 = 0x47;
    const PRIVILEGE: Privilege = Privilege::Operator;

    fn encode(&self, data: &mut Vec<u8>) {
        data.extend_from_slice(&self.reservation.to_le_bytes());
        data.extend_from_slice(b"CLR");
        data.push(if self.start { 0xaa } else { 0x00 });
    }

    fn parse_reply(&self, data: &[u8]) -> Result<bool, ParseError> {
        Ok(Reader::new(data).u8("erasure progress")? & 0x0f == 1)
    }
}

/// Get SEL Time (IPMI v2.0 §31.10).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetSelTime;

impl Command for GetSelTime {
    type Reply = u32;
    const NET_FN: u8 = net_fn::STORAGE;
    const COMMAND: u8 = 0x48;

    fn encode(&self, _data: &mut Vec<u8>) {}

    fn parse_reply(&self, data: &[u8]) -> Result<u32, ParseError> {
        Reader::new(data).u32("SEL time")
    }
}
