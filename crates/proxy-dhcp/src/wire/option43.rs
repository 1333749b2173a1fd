//! PXE's sub-options of option 43 (PXE 2.1 table 2-1): discovery control, boot servers, menu, prompt, boot item.

use super::Options;

/// PXE_DISCOVERY_CONTROL.
pub(crate) const DISCOVERY_CONTROL: u8 = 6;
/// PXE_BOOT_ITEM.
pub(crate) const BOOT_ITEM: u8 = 71;

/// PXE_DISCOVERY_CONTROL, sub-option 6: how the client may look for boot servers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DiscoveryControl(pub u8);

impl DiscoveryControl {
    /// Bit 0: no broadcast discovery.
    pub const NO_BROADCAST: Self = Self(1);
    /// Bit 1: no multicast discovery.
    pub const NO_MULTICAST: Self = Self(2);
    /// Bit 2: only servers of the list in sub-option 8.
    pub const SERVER_LIST_ONLY: Self = Self(4);
    /// Bit 3: no prompt, menu or discovery: boot the `file` of this packet.
    pub const BOOT_FILE: Self = Self(8);
}

impl std::ops::BitOr for DiscoveryControl {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// PXE_BOOT_ITEM, sub-option 71: which boot server type, and which layer of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BootItem {
    /// Boot server type; 0 is local boot.
    pub server_type: u16,
    /// Layer; bit 15 asks for credentials (BIS).
    pub layer: u16,
}

impl BootItem {
    /// Whether the client wants signed boot (BIS), which this responder refuses.
    #[must_use]
    pub fn wants_credentials(self) -> bool {
        self.layer & 0x8000 != 0
    }
}

/// The value of option 43 between PXE client and server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VendorOptions<'a>(&'a [u8]);

impl<'a> VendorOptions<'a> {
    /// The value of option 43.
    #[must_use]
    pub fn new(value: &'a [u8]) -> Self {
        Self(value)
    }

    /// Every sub-option, in wire order.
    #[must_use]
    pub fn options(self) -> Options<'a> {
        Options::encapsulated(self.0)
    }

    /// What the client is asked or asks to boot.
    #[must_use]
    pub fn boot_item(self) -> Option<BootItem> {
        let &[t0, t1, l0, l1] = self.options().first(BOOT_ITEM)? else { return None };
        Some(BootItem { server_type: u16::from_be_bytes([t0, t1]), layer: u16::from_be_bytes([l0, l1]) })
    }

    /// How the client may look for boot servers.
    #[must_use]
    pub fn discovery_control(self) -> Option<DiscoveryControl> {
        let &[bits] = self.options().first(DISCOVERY_CONTROL)? else { return None };
        Some(DiscoveryControl(bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_item_is_read() {
        // PXE 2.1 table 2-1, tag 71
        let item = VendorOptions::new(&[0x47, 4, 0x80, 1, 0x80, 2, 255]).boot_item().unwrap();
        assert_eq!((item.server_type, item.layer), (0x8001, 0x8002));
        assert!(item.wants_credentials());
        assert_eq!(VendorOptions::new(&[0x47, 3, 0x80, 1, 0]).boot_item(), None);
    }
}
