//! iPXE's encapsulated options, option 175: the features a build has and the bus address of its card.

use super::Options;

/// A feature that an iPXE build may have (iPXE `src/include/ipxe/features.h`).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
#[repr(u8)]
pub enum Feature {
    /// PXE API extensions.
    PxeExt = 0x10,
    /// iSCSI.
    Iscsi = 0x11,
    /// ATA over Ethernet.
    Aoe = 0x12,
    /// HTTP.
    Http = 0x13,
    /// HTTPS.
    Https = 0x14,
    /// TFTP.
    Tftp = 0x15,
    /// FTP.
    Ftp = 0x16,
    /// DNS.
    Dns = 0x17,
    /// Linux bzImage.
    Bzimage = 0x18,
    /// Multiboot.
    Multiboot = 0x19,
    /// SCSI over RDMA.
    Srp = 0x1b,
    /// PXE boot programs.
    Pxe = 0x21,
    /// ELF images.
    Elf = 0x22,
    /// COM32 images.
    Comboot = 0x23,
    /// EFI images.
    Efi = 0x24,
    /// Fibre Channel over Ethernet.
    Fcoe = 0x25,
    /// VLANs.
    Vlan = 0x26,
    /// Menus.
    Menu = 0x27,
    /// SDI images.
    Sdi = 0x28,
    /// NFS.
    Nfs = 0x29,
}

impl Feature {
    /// The features with their names in iPXE's banner, lower case.
    pub const NAMES: &[(&'static str, Self)] = &[
        ("pxeext", Self::PxeExt),
        ("iscsi", Self::Iscsi),
        ("aoe", Self::Aoe),
        ("http", Self::Http),
        ("https", Self::Https),
        ("tftp", Self::Tftp),
        ("ftp", Self::Ftp),
        ("dns", Self::Dns),
        ("bzimage", Self::Bzimage),
        ("multiboot", Self::Multiboot),
        ("srp", Self::Srp),
        ("pxe", Self::Pxe),
        ("elf", Self::Elf),
        ("comboot", Self::Comboot),
        ("efi", Self::Efi),
        ("fcoe", Self::Fcoe),
        ("vlan", Self::Vlan),
        ("menu", Self::Menu),
        ("sdi", Self::Sdi),
        ("nfs", Self::Nfs),
    ];
}

/// The value of option 175 in a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IpxeOptions<'a>(&'a [u8]);

impl<'a> IpxeOptions<'a> {
    /// The value of option 175.
    #[must_use]
    pub fn new(value: &'a [u8]) -> Self {
        Self(value)
    }

    /// Whether the build has a feature: its sub-option is there and not zero.
    #[must_use]
    pub fn has_feature(self, feature: Feature) -> bool {
        Options::encapsulated(self.0)
            .first(feature as u8)
            .is_some_and(|value| value.iter().any(|&octet| octet != 0))
    }

    /// The version it reports (sub-option 235), as three octets; builds of today say 1.0.0.
    #[must_use]
    pub fn version(self) -> Option<[u8; 3]> {
        Options::encapsulated(self.0).first(0xeb)?.first_chunk().copied()
    }

    /// Bus type, vendor and device of the card (sub-option 177); bus type 1 is PCI.
    #[must_use]
    pub fn bus_id(self) -> Option<(u8, u16, u16)> {
        let &[bus, v0, v1, d0, d1] = Options::encapsulated(self.0).first(0xb1)? else { return None };
        Some((bus, u16::from_be_bytes([v0, v1]), u16::from_be_bytes([d0, d1])))
    }
}
