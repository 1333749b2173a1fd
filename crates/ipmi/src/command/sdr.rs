//! Sensor data records and their repository (IPMI v2.0 §33, §43).

use super::{Command, net_fn};
use crate::ParseError;
use crate::wire::Reader;

/// Get SDR Repository Info (IPMI v2.0 §33.9).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetSdrRepositoryInfo;

/// What the repository says of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SdrRepositoryInfo {
    /// 51h for this specification.
    pub version: u8,
    /// Records held.
    pub records: u16,
    /// Free octets; FFFEh is 64 KiB - 2 or more, FFFFh unspecified.
    pub free: u16,
    /// Time of the last addition.
    pub added: u32,
    /// Time of the last erasure.
    pub erased: u32,
    /// Bits: 7 overflow, 6:5 update modes, 3 delete, 2 partial add, 1 reserve, 0 allocation info.
    pub support: u8,
}

impl Command for GetSdrRepositoryInfo {
    type Reply = SdrRepositoryInfo;
    const NET_FN: u8 = net_fn::STORAGE;
    const COMMAND: u8 = 0x20;

    fn encode(&self, _data: &mut Vec<u8>) {}

    fn parse_reply(&self, data: &[u8]) -> Result<SdrRepositoryInfo, ParseError> {
        let mut reader = Reader::new(data);
        Ok(SdrRepositoryInfo {
            version: reader.u8("SDR version")?,
            records: reader.u16("record count")?,
            free: reader.u16("free space")?,
            added: reader.u32("addition time")?,
            erased: reader.u32("erase time")?,
            support: reader.u8("operation support")?,
        })
    }
}

/// Reserve SDR Repository (IPMI v2.0 §33.11), or with `device` the device's own SDRs (§35.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReserveSdrRepository;

impl Command for ReserveSdrRepository {
    type Reply = u16;
    const NET_FN: u8 = net_fn::STORAGE;
    const COMMAND: u8 = 0x22;

    fn encode(&self, _data: &mut Vec<u8>) {}

    fn parse_reply(&self, data: &[u8]) -> Result<u16, ParseError> {
        Reader::new(data).u16("reservation id")
    }
}

/// Get SDR (IPMI v2.0 §33.12): a part of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetSdr {
    /// From [`ReserveSdrRepository`].
    pub reservation: u16,
    /// Record id; 0 is the first.
    pub record: u16,
    /// First octet wanted.
    pub offset: u8,
    /// Octets wanted; FFh is the whole record.
    pub count: u8,
}

/// A part of a record, and which record follows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SdrPart {
    /// The next record's id; FFFFh after the last.
    pub next: u16,
    /// The octets asked for.
    pub data: Vec<u8>,
}

impl Command for GetSdr {
    type Reply = SdrPart;
    const NET_FN: u8 = net_fn::STORAGE;
    const COMMAND: u8 = 0x23;

    fn encode(&self, data: &mut Vec<u8>) {
        data.extend_from_slice(&self.reservation.to_le_bytes());
        data.extend_from_slice(&self.record.to_le_bytes());
        data.extend_from_slice(&[self.offset, self.count]);
    }

    fn parse_reply(&self, data: &[u8]) -> Result<SdrPart, ParseError> {
        let mut reader = Reader::new(data);
        let next = reader.u16("next record id")?;
        Ok(SdrPart { next, data: reader.rest().to_vec() })
    }
}

/// A sensor data record (IPMI v2.0 §43).
#[derive(Clone, Debug, PartialEq)]
pub struct Sdr {
    /// Record id.
    pub id: u16,
    /// Version, 51h.
    pub version: u8,
    /// What it describes.
    pub body: SdrBody,
}

/// What a record describes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SdrBody {
    /// Type 01h or 02h: a sensor.
    Sensor(Box<Sensor>),
    /// Type 03h: a sensor that only sends events.
    EventOnly {
        /// Sensor number.
        number: u8,
        /// Entity id and instance.
        entity: (u8, u8),
        /// Sensor type.
        sensor_type: u8,
        /// Event/reading type.
        event_type: u8,
        /// Name.
        name: String,
    },
    /// Type 10h: a device on a bus.
    Generic(Locator),
    /// Type 11h: a FRU device.
    Fru(Locator),
    /// Type 12h: a management controller.
    Controller {
        /// Slave address.
        address: u8,
        /// Channel.
        channel: u8,
        /// Power state notification; bit 0: the controller is static.
        notification: u8,
        /// Device capabilities, as in Get Device ID.
        support: u8,
        /// Entity id and instance.
        entity: (u8, u8),
        /// Name.
        name: String,
    },
    /// Any other type, with its octets.
    Other(u8, Vec<u8>),
}

/// A device found by its address (types 10h, 11h).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Locator {
    /// Device access address.
    pub access_address: u8,
    /// FRU device id or slave address.
    pub device: u8,
    /// Type 11h: the FRU device is logical (behind the controller).
    pub logical: bool,
    /// LUN, 0..=3.
    pub lun: u8,
    /// Private bus, 0..=7.
    pub bus: u8,
    /// Channel, 0..=15.
    pub channel: u8,
    /// Device type and modifier.
    pub device_type: (u8, u8),
    /// Entity id and instance.
    pub entity: (u8, u8),
    /// The OEM's octet.
    pub oem: u8,
    /// Name.
    pub name: String,
}

/// A sensor of a full (01h) or compact (02h) record.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensor {
    /// Address of the controller that owns it.
    pub owner: u8,
    /// LUN at the owner, 0..=3.
    pub lun: u8,
    /// Channel to the owner, 0..=15.
    pub channel: u8,
    /// Number at the owner.
    pub number: u8,
    /// Entity id and instance.
    pub entity: (u8, u8),
    /// Initialisation octet.
    pub initialization: u8,
    /// Capabilities: bits 3:2 threshold access, 1:0 event control.
    pub capabilities: u8,
    /// Sensor type.
    pub sensor_type: u8,
    /// Event/reading type: 1 threshold, 6Fh the sensor type's own states.
    pub event_type: u8,
    /// Assertion mask, deassertion mask, and readable/settable mask.
    pub masks: [u16; 3],
    /// Units: analog format 7:6, rate 5:3, modifier 2:1, percentage 0; base unit; modifier unit.
    pub units: [u8; 3],
    /// Positive and negative hysteresis.
    pub hysteresis: [u8; 2],
    /// What only a full record holds.
    pub full: Option<FullSensor>,
    /// The OEM's octet.
    pub oem: u8,
    /// Name.
    pub name: String,
}

/// The part of a full record that compact ones lack.
#[derive(Clone, Debug, PartialEq)]
pub struct FullSensor {
    /// How raw readings become values.
    pub conversion: super::reading::Conversion,
    /// Which of the next three hold: bit 0 nominal, 1 normal maximum, 2 normal minimum.
    pub analog_flags: u8,
    /// Nominal reading, normal maximum, normal minimum, sensor maximum, sensor minimum; raw.
    pub readings: [u8; 5],
    /// Upper non-recoverable, critical, non-critical, lower non-recoverable, critical, non-critical; raw.
    pub thresholds: [u8; 6],
}

/// A name: length and code, then octets (IPMI v2.0 §43.15). 8-bit ASCII and Latin-1 are read as they are,
/// 6-bit ASCII and BCD plus are unpacked.
fn name(reader: &mut Reader<'_>) -> Result<String, ParseError> {
    let code = reader.u8("id string type and length")?;
    let length = usize::from(code & 0x1f).min(reader.rest().len());
    let octets = reader.take(length, "id string")?;
    Ok(super::fru::text(code >> 6, octets))
}

impl Sdr {
    /// Reads a whole record with its header.
    ///
    /// # Errors
    /// It is shorter than its header says or than its type needs.
    pub fn parse(octets: &[u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(octets);
        let id = reader.u16("record id")?;
        let [version, kind, length] = reader.array("record header")?;
        let body = reader.take(usize::from(length), "record body")?;
        let mut reader = Reader::new(body);
        let body = match kind {
            0x01 | 0x02 => SdrBody::Sensor(Box::new(Sensor::parse(kind == 0x01, &mut reader)?)),
            0x03 => {
                let [_, _, number] = reader.array("record key")?;
                let entity = reader.array("entity")?;
                let [sensor_type, event_type] = reader.array("sensor type")?;
                let _sharing = reader.take(4, "sharing")?;
                let name = name(&mut reader)?;
                SdrBody::EventOnly { number, entity: entity.into(), sensor_type, event_type, name }
            }
            0x10 => {
                let [access_address, device, lun_channel, span] = reader.array("record key")?;
                let _ = reader.u8("reserved")?;
                let device_type: [u8; 2] = reader.array("device type")?;
                let entity: [u8; 2] = reader.array("entity")?;
                SdrBody::Generic(Locator {
                    access_address,
                    device,
                    logical: false,
                    lun: lun_channel >> 3 & 3,
                    bus: lun_channel & 7,
                    channel: span >> 5,
                    device_type: device_type.into(),
                    entity: entity.into(),
                    oem: reader.u8("OEM")?,
                    name: name(&mut reader)?,
                })
            }
            0x11 => {
                let [access_address, device, lun_bus, channel] = reader.array("record key")?;
                let _ = reader.u8("reserved")?;
                let device_type: [u8; 2] = reader.array("device type")?;
                let entity: [u8; 2] = reader.array("entity")?;
                SdrBody::Fru(Locator {
                    access_address,
                    device,
                    logical: lun_bus & 0x80 != 0,
                    lun: lun_bus >> 3 & 3,
                    bus: lun_bus & 7,
                    channel: channel >> 4,
                    device_type: device_type.into(),
                    entity: entity.into(),
                    oem: reader.u8("OEM")?,
                    name: name(&mut reader)?,
                })
            }
            0x12 => {
                let [address, channel, notification, support] = reader.array("record key")?;
                let _ = reader.take(3, "reserved")?;
                let entity: [u8; 2] = reader.array("entity")?;
                let _oem = reader.u8("OEM")?;
                let name = name(&mut reader)?;
                let channel = channel & 0x0f;
                SdrBody::Controller { address, channel, notification, support, entity: entity.into(), name }
            }
            other => SdrBody::Other(other, body.to_vec()),
        };
        Ok(Self { id, version, body })
    }

    /// The record's name, if its type has one.
    pub fn name(&self) -> &str {
        match &self.body {
            SdrBody::Sensor(sensor) => &sensor.name,
            SdrBody::EventOnly { name, .. } | SdrBody::Controller { name, .. } => name,
            SdrBody::Generic(locator) | SdrBody::Fru(locator) => &locator.name,
            SdrBody::Other(..) => "",
        }
    }

    /// The entity it belongs to.
    pub fn entity(&self) -> Option<(u8, u8)> {
        match &self.body {
            SdrBody::Sensor(sensor) => Some(sensor.entity),
            SdrBody::EventOnly { entity, .. } | SdrBody::Controller { entity, .. } => Some(*entity),
            SdrBody::Generic(locator) | SdrBody::Fru(locator) => Some(locator.entity),
            SdrBody::Other(..) => None,
        }
    }
}

impl Sensor {
    fn parse(full: bool, reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let [owner, lun_channel, number] = reader.array("record key")?;
        let entity: [u8; 2] = reader.array("entity")?;
        let [initialization, capabilities, sensor_type, event_type] = reader.array("sensor type")?;
        let masks = [reader.u16("masks")?, reader.u16("masks")?, reader.u16("masks")?];
        let units: [u8; 3] = reader.array("units")?;
        let (hysteresis, part);
        if full {
            let factors: [u8; 7] = reader.array("reading factors")?;
            let analog_flags = reader.u8("analog flags")?;
            let readings = reader.array("nominal readings")?;
            let thresholds = reader.array("thresholds")?;
            hysteresis = reader.array("hysteresis")?;
            let conversion = super::reading::Conversion::new(units[0] >> 6, factors);
            part = Some(FullSensor { conversion, analog_flags, readings, thresholds });
            let _ = reader.u16("reserved")?;
        } else {
            let _sharing = reader.u16("sharing")?;
            hysteresis = reader.array("hysteresis")?;
            let _ = reader.take(3, "reserved")?;
            part = None;
        }
        Ok(Self {
            owner,
            lun: lun_channel & 3,
            channel: lun_channel >> 4,
            number,
            entity: entity.into(),
            initialization,
            capabilities,
            sensor_type,
            event_type,
            masks,
            units,
            hysteresis,
            full: part,
            oem: reader.u8("OEM")?,
            name: name(reader)?,
        })
    }

    /// Whether it has thresholds (event/reading type 1).
    pub fn is_threshold(&self) -> bool {
        self.event_type == 0x01
    }

    /// The conversion of an analog sensor; `None` for discrete ones.
    pub fn analog(&self) -> Option<&super::reading::Conversion> {
        let [format, _, _] = self.units;
        self.full.as_ref().map(|full| &full.conversion).filter(|_| format >> 6 != 3)
    }

    /// The unit in words.
    pub fn unit(&self) -> String {
        let [flags, base, modifier] = self.units;
        let percent = flags & 1 != 0;
        let prefix = if percent { "% " } else { "" };
        let (base_name, modifier) = (super::names::unit(base), super::names::unit(modifier));
        match flags >> 1 & 3 {
            2 => format!("{prefix}{base_name}*{modifier}"),
            1 => format!("{prefix}{base_name}/{modifier}"),
            _ if base == 0 && percent => "percent".to_owned(),
            _ => format!("{prefix}{base_name}"),
        }
    }
}
