//! Chassis commands: power and boot device (IPMI v2.0 §28).

use super::{Command, net_fn};
use crate::session::{Privilege, Repeat};
use crate::wire::Reader;
use crate::{CompletionCode, ParseError};

/// Get Chassis Status (IPMI v2.0 §28.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetChassisStatus;

/// The chassis' state (IPMI v2.0 §28.2, table 28-3), with the octets as they came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChassisStatus {
    /// Current power state: bit 0 on, 1 overload, 2 interlock, 3 fault, 4 control fault, 6:5 restore policy.
    pub power_state: u8,
    /// Last power event: bit 0 AC failed, 1 overload, 2 interlock, 3 fault, 4 on by IPMI command.
    pub last_event: u8,
    /// Bit 0 intrusion, 1 lockout, 2 drive fault, 3 cooling fault, 6:4 identify.
    pub misc: u8,
    /// Front panel buttons: bits 3:0 disabled, 7:4 disabling allowed. Optional.
    pub front_panel: Option<u8>,
}

impl ChassisStatus {
    /// Whether the system power is on.
    pub fn power_on(&self) -> bool {
        self.power_state & 0x01 != 0
    }

    /// Appends the answer's data: the responder's side.
    pub fn encode(&self, data: &mut Vec<u8>) {
        data.extend_from_slice(&[self.power_state, self.last_event, self.misc]);
        data.extend(self.front_panel);
    }
}

impl Command for GetChassisStatus {
    type Reply = ChassisStatus;
    const NET_FN: u8 = net_fn::CHASSIS;
    const COMMAND: u8 = 0x01;

    fn encode(&self, _data: &mut Vec<u8>) {}

    fn parse_reply(&self, data: &[u8]) -> Result<ChassisStatus, ParseError> {
        let mut reader = Reader::new(data);
        let [power_state, last_event, misc] = reader.array("chassis status")?;
        Ok(ChassisStatus { power_state, last_event, misc, front_panel: reader.u8("").ok() })
    }
}

/// Chassis Control (IPMI v2.0 §28.3).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ChassisControl {
    /// Power down at once.
    PowerDown,
    /// Power up.
    PowerUp,
    /// Power down, wait, power up.
    PowerCycle,
    /// Hard reset.
    HardReset,
    /// Pulse the diagnostic interrupt (NMI).
    DiagnosticInterrupt,
    /// Ask the operating system to shut down.
    SoftShutdown,
}

impl ChassisControl {
    /// Reads the wire number.
    pub fn from_wire(number: u8) -> Option<Self> {
        Some(match number & 0x0f {
            0 => Self::PowerDown,
            1 => Self::PowerUp,
            2 => Self::PowerCycle,
            3 => Self::HardReset,
            4 => Self::DiagnosticInterrupt,
            5 => Self::SoftShutdown,
            _ => return None,
        })
    }

    /// The wire number.
    pub fn to_wire(self) -> u8 {
        match self {
            Self::PowerDown => 0,
            Self::PowerUp => 1,
            Self::PowerCycle => 2,
            Self::HardReset => 3,
            Self::DiagnosticInterrupt => 4,
            Self::SoftShutdown => 5,
        }
    }

    /// The power state that proves it was carried out, where a state can prove it.
    pub fn leaves_power(self) -> Option<bool> {
        match self {
            Self::PowerDown => Some(false),
            Self::PowerUp => Some(true),
            _ => None,
        }
    }
}

impl Command for ChassisControl {
    type Reply = ();
    const NET_FN: u8 = net_fn::CHASSIS;
    const COMMAND: u8 = 0x02;
    const PRIVILEGE: Privilege = Privilege::Operator;
    const REPEAT: Repeat = Repeat::SameDatagram;

    fn encode(&self, data: &mut Vec<u8>) {
        data.push(self.to_wire());
    }

    fn parse_reply(&self, _data: &[u8]) -> Result<(), ParseError> {
        Ok(())
    }
}

/// What to boot from (IPMI v2.0 §28.13, table 28-14, data 2 bits 5:2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum BootDevice {
    /// No override.
    None,
    /// The network.
    Pxe,
    /// The default hard drive.
    Disk,
    /// The default hard drive in safe mode.
    SafeDisk,
    /// The diagnostic partition.
    Diagnostic,
    /// The CD or DVD drive.
    CdRom,
    /// The firmware's set-up.
    BiosSetup,
    /// The floppy or another removable medium.
    Floppy,
    /// A number the table does not name, 0..=15.
    Unknown(u8),
}

impl BootDevice {
    /// Reads the four-bit wire number.
    pub fn from_wire(number: u8) -> Self {
        match number & 0x0f {
            0 => Self::None,
            1 => Self::Pxe,
            2 => Self::Disk,
            3 => Self::SafeDisk,
            4 => Self::Diagnostic,
            5 => Self::CdRom,
            6 => Self::BiosSetup,
            15 => Self::Floppy,
            other => Self::Unknown(other),
        }
    }

    /// The four-bit wire number.
    pub fn to_wire(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Pxe => 1,
            Self::Disk => 2,
            Self::SafeDisk => 3,
            Self::Diagnostic => 4,
            Self::CdRom => 5,
            Self::BiosSetup => 6,
            Self::Floppy => 15,
            Self::Unknown(other) => other & 0x0f,
        }
    }
}

/// The boot flags, boot option parameter 5, with their octets as they are (IPMI v2.0 table 28-14).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BootFlags(pub [u8; 5]);

impl BootFlags {
    /// Flags that ask for a device.
    pub fn new(device: BootDevice, options: BootOptions) -> Self {
        let mut first = 0x80;
        if options.persistent {
            first |= 0x40;
        }
        if options.efi {
            first |= 0x20;
        }
        Self([first, device.to_wire() << 2, 0, 0, 0])
    }

    /// The same, clearing the CMOS at the next boot (data 2 bit 7).
    #[must_use]
    pub fn with_cmos_cleared(self) -> Self {
        let [first, second, rest @ ..] = self.0;
        let [a, b, c] = rest;
        Self([first, second | 0x80, a, b, c])
    }

    /// Whether the flags hold.
    pub fn valid(&self) -> bool {
        let [first, ..] = self.0;
        first & 0x80 != 0
    }

    /// Whether they hold for all boots, not only for the next.
    pub fn persistent(&self) -> bool {
        let [first, ..] = self.0;
        first & 0x40 != 0
    }

    /// Whether an EFI boot is asked for (false is legacy BIOS).
    pub fn efi(&self) -> bool {
        let [first, ..] = self.0;
        first & 0x20 != 0
    }

    /// The device.
    pub fn device(&self) -> BootDevice {
        let [_, second, ..] = self.0;
        BootDevice::from_wire(second >> 2)
    }
}

/// How a boot device is asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BootOptions {
    /// For EFI. Without it a BMC takes the request for legacy BIOS.
    pub efi: bool,
    /// For all boots; default only for the next.
    pub persistent: bool,
    /// Set parameter 3 first, so that the flags outlive the BMC's 60 seconds and resets (§28.13).
    pub keep_valid_bit: bool,
}

/// Set System Boot Options (IPMI v2.0 §28.12).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SetBootOptions {
    /// Parameter number, 0..=127.
    pub parameter: u8,
    /// Its data.
    pub data: Vec<u8>,
}

impl SetBootOptions {
    /// Parameter 0: set in progress (1), set complete (0), commit write (2).
    pub fn progress(state: u8) -> Self {
        Self { parameter: 0, data: vec![state] }
    }

    /// Parameter 3: conditions that do not clear the valid bit; 1Fh is all of them (table 28-14).
    pub fn keep_valid_bit() -> Self {
        Self { parameter: 3, data: vec![0x1f] }
    }

    /// Parameter 4: the boot info acknowledge that lets the firmware's flags be used anew.
    pub fn acknowledge() -> Self {
        Self { parameter: 4, data: vec![0x01, 0x01] }
    }

    /// Parameter 5: the boot flags.
    pub fn flags(flags: BootFlags) -> Self {
        Self { parameter: 5, data: flags.0.to_vec() }
    }
}

impl Command for SetBootOptions {
    type Reply = ();
    const NET_FN: u8 = net_fn::CHASSIS;
    const COMMAND: u8 = 0x08;
    const PRIVILEGE: Privilege = Privilege::Operator;

    fn encode(&self, data: &mut Vec<u8>) {
        data.push(self.parameter & 0x7f);
        data.extend_from_slice(&self.data);
    }

    fn parse_reply(&self, _data: &[u8]) -> Result<(), ParseError> {
        Ok(())
    }

    fn completion_text(&self, code: CompletionCode) -> Option<&'static str> {
        match code.0 {
            0x80 => Some("Parameter not supported"),
            0x81 => Some("Attempt to set 'set in progress' while it is set"),
            0x82 => Some("Attempt to write a read-only parameter"),
            _ => None,
        }
    }
}

/// Get System Boot Options (IPMI v2.0 §28.13).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetBootOptions {
    /// Parameter number, 0..=127.
    pub parameter: u8,
    /// Set selector, 0 unless the parameter has sets.
    pub set: u8,
    /// Block selector, 0 unless the parameter has blocks.
    pub block: u8,
}

/// One boot option parameter as the BMC holds it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BootParameter {
    /// Parameter version, 1.
    pub version: u8,
    /// Parameter number.
    pub parameter: u8,
    /// Whether the BMC marks it invalid or locked.
    pub locked: bool,
    /// Its data.
    pub data: Vec<u8>,
}

impl Command for GetBootOptions {
    type Reply = BootParameter;
    const NET_FN: u8 = net_fn::CHASSIS;
    const COMMAND: u8 = 0x09;
    const PRIVILEGE: Privilege = Privilege::Operator;

    fn encode(&self, data: &mut Vec<u8>) {
        data.extend_from_slice(&[self.parameter & 0x7f, self.set, self.block]);
    }

    fn parse_reply(&self, data: &[u8]) -> Result<BootParameter, ParseError> {
        let mut reader = Reader::new(data);
        let [version, parameter] = reader.array("boot option parameter")?;
        let (parameter, locked) = (parameter & 0x7f, parameter & 0x80 != 0);
        Ok(BootParameter { version, parameter, locked, data: reader.rest().to_vec() })
    }

    fn completion_text(&self, code: CompletionCode) -> Option<&'static str> {
        (code.0 == 0x80).then_some("Parameter not supported")
    }
}
