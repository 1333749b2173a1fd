//! Variants and versions of Butane, and which Ignition each makes.

use std::fmt;

/// A variant.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Variant {
    /// Fedora CoreOS.
    Fcos,
    /// Flatcar.
    Flatcar,
    /// OpenShift: the result is a MachineConfig.
    OpenShift,
    /// RHEL for Edge.
    R4e,
    /// Fedora IoT.
    Fiot,
}

/// A variant in one of its versions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Target {
    /// The variant.
    pub variant: Variant,
    /// Minor number of the variant's version (openshift: of 4.x).
    pub minor: u8,
    /// The version may still change.
    pub experimental: bool,
    /// Minor number of the Ignition 3.x made.
    pub level: u8,
}

/// Every version of every variant.
pub const TARGETS: [Target; 33] = {
    const fn target(variant: Variant, minor: u8, level: u8) -> Target {
        Target { variant, minor, experimental: level == 7, level }
    }
    use Variant::{Fcos, Fiot, Flatcar, OpenShift, R4e};
    [
        target(Fcos, 0, 0),
        target(Fcos, 1, 1),
        target(Fcos, 2, 2),
        target(Fcos, 3, 2),
        target(Fcos, 4, 3),
        target(Fcos, 5, 4),
        target(Fcos, 6, 5),
        target(Fcos, 7, 6),
        target(Fcos, 8, 7),
        target(Flatcar, 0, 3),
        target(Flatcar, 1, 4),
        target(Flatcar, 2, 7),
        target(OpenShift, 8, 2),
        target(OpenShift, 9, 2),
        target(OpenShift, 10, 2),
        target(OpenShift, 11, 2),
        target(OpenShift, 12, 2),
        target(OpenShift, 13, 2),
        target(OpenShift, 14, 4),
        target(OpenShift, 15, 4),
        target(OpenShift, 16, 4),
        target(OpenShift, 17, 4),
        target(OpenShift, 18, 4),
        target(OpenShift, 19, 5),
        target(OpenShift, 20, 5),
        target(OpenShift, 21, 5),
        target(OpenShift, 22, 5),
        target(OpenShift, 23, 7),
        target(R4e, 0, 3),
        target(R4e, 1, 4),
        target(R4e, 2, 7),
        target(Fiot, 0, 4),
        target(Fiot, 1, 7),
    ]
};

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fcos => "fcos",
            Self::Flatcar => "flatcar",
            Self::OpenShift => "openshift",
            Self::R4e => "r4e",
            Self::Fiot => "fiot",
        })
    }
}

impl Target {
    /// The version as configs carry it.
    pub fn version(self) -> String {
        let major = if self.variant == Variant::OpenShift { 4 } else { 1 };
        let experimental = if self.experimental { "-experimental" } else { "" };
        format!("{major}.{}.0{experimental}", self.minor)
    }

    /// Finds a target by the words of a config.
    pub fn find(variant: &str, version: &str) -> Option<Self> {
        TARGETS
            .into_iter()
            .find(|target| target.variant.to_string() == variant && target.version() == version)
    }

    /// Whether the boot disk has sugar: fcos from 1.3, openshift.
    pub(crate) fn has_boot_device(self) -> bool {
        match self.variant {
            Variant::Fcos => self.minor >= 3,
            Variant::OpenShift => true,
            Variant::Flatcar | Variant::R4e | Variant::Fiot => false,
        }
    }

    /// The version of fcos whose rules about disks apply; `None` for variants without.
    pub(crate) fn fcos_minor(self) -> Option<u8> {
        match (self.variant, self.level) {
            (Variant::Fcos, _) => Some(self.minor),
            (Variant::OpenShift, 2) => Some(3),
            (Variant::OpenShift, level) => Some(level + 1),
            (Variant::Flatcar | Variant::R4e | Variant::Fiot, _) => None,
        }
    }
}
