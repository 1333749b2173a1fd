//! Device, session and channel commands (IPMI v2.0 §20, §22).

use super::{Command, net_fn};
use crate::ParseError;
use crate::session::Privilege;
use crate::wire::Reader;

/// Get Device ID (IPMI v2.0 §20.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetDeviceId;

/// What a BMC says of itself (IPMI v2.0 §20.1, table 20-2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeviceId {
    /// Device id.
    pub device_id: u8,
    /// Device revision, 0..=15.
    pub revision: u8,
    /// Whether the device provides SDRs.
    pub provides_sdrs: bool,
    /// Whether the device is in firmware update or initialisation (true) or operates normally (false).
    pub updating: bool,
    /// Major firmware revision, 0..=127.
    pub firmware_major: u8,
    /// Minor firmware revision, BCD.
    pub firmware_minor: u8,
    /// IPMI version, BCD with the digits swapped: 51h is 1.5, 02h is 2.0.
    pub ipmi_version: u8,
    /// The bits of table 20-2, octet 7: sensor, SDR, SEL, FRU, event receiver, event generator, bridge, chassis.
    pub additional_support: u8,
    /// The maker's enterprise number, 20 bits.
    pub manufacturer: u32,
    /// The maker's product number.
    pub product: u16,
    /// The four optional auxiliary octets of the firmware revision.
    pub auxiliary: Option<[u8; 4]>,
}

impl Command for GetDeviceId {
    type Reply = DeviceId;
    const NET_FN: u8 = net_fn::APP;
    const COMMAND: u8 = 0x01;

    fn encode(&self, _data: &mut Vec<u8>) {}

    fn parse_reply(&self, data: &[u8]) -> Result<DeviceId, ParseError> {
        let mut reader = Reader::new(data);
        let [device_id, revision, major, firmware_minor, ipmi_version, additional_support] =
            reader.array("device id")?;
        let manufacturer = reader.u24("manufacturer id")?;
        let product = reader.u16("product id")?;
        Ok(DeviceId {
            device_id,
            revision: revision & 0x0f,
            provides_sdrs: revision & 0x80 != 0,
            updating: major & 0x80 != 0,
            firmware_major: major & 0x7f,
            firmware_minor,
            ipmi_version,
            additional_support,
            manufacturer: manufacturer & 0x0f_ffff,
            product,
            auxiliary: reader.array("auxiliary firmware revision").ok(),
        })
    }
}

impl DeviceId {
    /// Appends the answer's data: the responder's side.
    pub fn encode(&self, data: &mut Vec<u8>) {
        let revision = self.revision & 0x0f | if self.provides_sdrs { 0x80 } else { 0 };
        let major = self.firmware_major & 0x7f | if self.updating { 0x80 } else { 0 };
        data.extend_from_slice(&[self.device_id, revision, major, self.firmware_minor]);
        data.extend_from_slice(&[self.ipmi_version, self.additional_support]);
        data.extend(self.manufacturer.to_le_bytes().iter().take(3));
        data.extend_from_slice(&self.product.to_le_bytes());
        data.extend(self.auxiliary.iter().flatten());
    }
}

/// A command whose answer is a GUID.
fn guid(data: &[u8]) -> Result<[u8; 16], ParseError> {
    Reader::new(data).array("GUID")
}

/// Get Device GUID: the management controller's own (IPMI v2.0 §20.8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetDeviceGuid;

impl Command for GetDeviceGuid {
    type Reply = [u8; 16];
    const NET_FN: u8 = net_fn::APP;
    const COMMAND: u8 = 0x08;

    fn encode(&self, _data: &mut Vec<u8>) {}

    fn parse_reply(&self, data: &[u8]) -> Result<[u8; 16], ParseError> {
        guid(data)
    }
}

/// Get System GUID: the managed system's (IPMI v2.0 §22.14).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetSystemGuid;

impl Command for GetSystemGuid {
    type Reply = [u8; 16];
    const NET_FN: u8 = net_fn::APP;
    const COMMAND: u8 = 0x37;

    fn encode(&self, _data: &mut Vec<u8>) {}

    fn parse_reply(&self, data: &[u8]) -> Result<[u8; 16], ParseError> {
        guid(data)
    }
}

/// Get Channel Authentication Capabilities (IPMI v2.0 §22.13): the one question anybody may ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetChannelAuthCapabilities {
    /// 0Eh is the channel the question comes in by.
    pub channel: u8,
    /// The level the answer is for.
    pub privilege: Privilege,
    /// Ask for IPMI 2.0 data (bit 7); old BMCs refuse it.
    pub v20: bool,
}

/// What a channel accepts (IPMI v2.0 §22.13, table 22-15).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChannelAuthCapabilities {
    /// The channel answered for.
    pub channel: u8,
    /// IPMI 1.5 authentication types as bits: 0 none, 1 MD2, 2 MD5, 4 password, 5 OEM; 7: RMCP+ data follows.
    pub auth_types: u8,
    /// Bits: 5 K_G set, 4 per-message authentication off, 3 user level off, 2 named users, 1 null user
    /// names with a password, 0 anonymous login.
    pub status: u8,
    /// Bits: 1 IPMI 2.0, 0 IPMI 1.5. 0 from BMCs that do not know the field.
    pub extended: u8,
    /// Enterprise number of the OEM authentication type.
    pub oem: u32,
    /// The OEM's own octet.
    pub oem_data: u8,
}

impl ChannelAuthCapabilities {
    /// Whether RMCP+ sessions can be had.
    pub fn supports_v20(&self) -> bool {
        self.auth_types & 0x80 != 0 && self.extended & 0x02 != 0
    }

    /// Whether IPMI 1.5 sessions can be had.
    pub fn supports_v15(&self) -> bool {
        self.auth_types & 0x80 == 0 || self.extended & 0x01 != 0
    }

    /// Whether a K_G other than zero is set.
    pub fn has_k_g(&self) -> bool {
        self.status & 0x20 != 0
    }

    /// Whether anonymous login (null user, null password) is enabled.
    pub fn anonymous(&self) -> bool {
        self.status & 0x01 != 0
    }

    /// Whether a null user with a password is enabled.
    pub fn null_users(&self) -> bool {
        self.status & 0x02 != 0
    }

    /// Appends the answer's data: the responder's side.
    pub fn encode(&self, data: &mut Vec<u8>) {
        data.extend_from_slice(&[self.channel, self.auth_types, self.status, self.extended]);
        data.extend(self.oem.to_le_bytes().iter().take(3));
        data.push(self.oem_data);
    }
}

impl Command for GetChannelAuthCapabilities {
    type Reply = ChannelAuthCapabilities;
    const NET_FN: u8 = net_fn::APP;
    const COMMAND: u8 = 0x38;
    const PRIVILEGE: Privilege = Privilege::Callback;

    fn encode(&self, data: &mut Vec<u8>) {
        data.push(self.channel & 0x0f | if self.v20 { 0x80 } else { 0 });
        data.push(self.privilege.to_wire());
    }

    fn parse_reply(&self, data: &[u8]) -> Result<ChannelAuthCapabilities, ParseError> {
        let mut reader = Reader::new(data);
        let [channel, auth_types, status, extended] = reader.array("channel authentication capabilities")?;
        let oem = reader.u24("OEM id")?;
        let oem_data = reader.u8("OEM data").unwrap_or(0);
        Ok(ChannelAuthCapabilities { channel, auth_types, status, extended, oem, oem_data })
    }
}

/// Set Session Privilege Level (IPMI v2.0 §22.18).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SetSessionPrivilegeLevel(pub Privilege);

impl Command for SetSessionPrivilegeLevel {
    type Reply = u8;
    const NET_FN: u8 = net_fn::APP;
    const COMMAND: u8 = 0x3b;

    fn encode(&self, data: &mut Vec<u8>) {
        data.push(self.0.to_wire());
    }

    fn parse_reply(&self, data: &[u8]) -> Result<u8, ParseError> {
        Reader::new(data).u8("privilege level")
    }
}
