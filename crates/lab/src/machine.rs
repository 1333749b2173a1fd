//! A machine of the lab as data: who it is, which firmware it has, where its files are. No process here; `qemu` makes
//! the command line of it.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::network;

/// What runs when the machine is powered on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Firmware {
    /// SeaBIOS from a boot medium whose iPXE says user class `Lab`: a PXE client that is not iPXE to a server, asks
    /// for an offer and loads undionly.kpxe by our TFTP.
    BiosMedium,
    /// SeaBIOS with the iPXE of the e1000's own ROM, which says iPXE at once.
    BiosRom,
    /// OVMF, 64 bits, with its own PXE client.
    Uefi,
}

/// What a caller chooses for a machine.
#[derive(Clone, Debug)]
pub struct MachineSpec {
    /// Its name in messages and file names: letters, digits, `-`.
    pub name: String,
    /// Which firmware.
    pub firmware: Firmware,
    /// Memory in MiB; 512 is enough for a kernel with a small initrd.
    pub memory: u32,
    /// A disk behind the network in the boot order, and a BMC that the guest itself can ask.
    pub disk: Option<DiskSpec>,
}

/// A virtual disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DiskSpec {
    /// What the guest reads as its serial number: at most 20 octets (VirtIO 1.2 §5.2.6.1).
    pub serial: String,
    /// Its size.
    pub octets: u64,
    /// Whether somebody's filesystem lies on it; else it is empty.
    pub holds_data: bool,
    /// Octets that it takes in a second; `None`: what the host takes.
    pub write_limit: Option<u64>,
}

impl DiskSpec {
    /// Empty, large enough for the lab's image.
    #[must_use]
    pub fn empty(serial: impl Into<String>) -> Self {
        Self { serial: serial.into(), octets: 64 << 20, holds_data: false, write_limit: None }
    }
}

impl MachineSpec {
    /// `lab-01`, `lab-02`, … with one firmware.
    #[must_use]
    pub fn numbered(count: u8, firmware: Firmware) -> Vec<Self> {
        (1..=count)
            .map(|number| Self { name: format!("lab-{number:02}"), firmware, memory: 512, disk: None })
            .collect()
    }
}

/// A machine of a standing lab.
#[derive(Clone, Debug)]
pub struct Machine {
    /// As configured.
    pub spec: MachineSpec,
    /// From 0; gives MAC, UUID, tap and BMC address.
    pub index: u8,
    /// Of its only network card.
    pub mac: Mac,
    /// SMBIOS UUID and GUID of its BMC.
    pub uuid: Uuid,
    /// Where its BMC answers, UDP port 623, from the deploy host's namespace.
    pub bmc: Ipv4Addr,
    /// The machine protocol of QEMU.
    pub qmp: PathBuf,
    /// What it prints to its serial port.
    pub serial: PathBuf,
    /// The octets of its disk, where it has one.
    pub disk: PathBuf,
}

impl Machine {
    /// Machine `index` with its files below `dir` (logs) and `sockets`.
    #[must_use]
    pub fn new(index: u8, spec: MachineSpec, dir: &Path, sockets: &Path) -> Self {
        let file = |kind: &str| dir.join(format!("{}.{kind}", spec.name));
        Self {
            index,
            mac: Mac([0x52, 0x54, 0x00, 0x4b, 0x00, index.saturating_add(1)]),
            uuid: Uuid::of_machine(index),
            bmc: network::bmc_address(index),
            qmp: sockets.join(format!("{index}.qmp")),
            serial: file("serial.log"),
            disk: dir.with_file_name("disks").join(format!("{}.img", spec.name)),
            spec,
        }
    }

    /// QEMU's id of the device that boots from the network.
    #[must_use]
    pub fn network_boot_device(&self) -> &'static str {
        match self.spec.firmware {
            Firmware::BiosMedium => "medium",
            Firmware::BiosRom | Firmware::Uefi => "nic",
        }
    }
}

/// An Ethernet address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([a, b, c, d, e, g]) = self;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A UUID in the order it is written (RFC 9562 §4); SMBIOS keeps the first three fields little-endian (SMBIOS §7.2.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// The lab's own: different first fields, so that a byte order mixed up anywhere shows.
    fn of_machine(index: u8) -> Self {
        Self([
            0x6b,
            0x70,
            0x63,
            index,
            0x1a,
            0xb0,
            0x40,
            0x01,
            0x80,
            0,
            0,
            0,
            0,
            0,
            0x4b,
            index.saturating_add(1),
        ])
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, octet) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{octet:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_written_as_people_write_them() {
        let spec = MachineSpec::numbered(2, Firmware::BiosMedium).pop().unwrap();
        let machine = Machine::new(1, spec, Path::new("/lab"), Path::new("/lab/run"));
        assert_eq!(machine.mac.to_string(), "52:54:00:4b:00:02");
        assert_eq!(machine.uuid.to_string(), "6b706301-1ab0-4001-8000-000000004b02");
        assert_eq!(machine.bmc.to_string(), "10.77.1.12");
        assert_eq!(machine.serial, Path::new("/lab/lab-02.serial.log"));
    }
}
