//! The versions of the specification.

use std::fmt;

/// A version of the Ignition specification that this crate knows.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum SpecVersion {
    /// `ignitionVersion: 1`.
    V1,
    /// 2.0.0 to 2.4.0: the minor number.
    V2(Minor<4>),
    /// 3.0.0 to 3.7.0-experimental: the minor number.
    V3(Minor<7>),
}

/// A minor version number from 0 to `MAX`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Minor<const MAX: u8>(u8);

impl<const MAX: u8> Minor<MAX> {
    /// The number, if it is at most `MAX`.
    pub const fn new(number: u8) -> Option<Self> {
        if number <= MAX { Some(Self(number)) } else { None }
    }

    /// The number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// The minor number of 3.x that is still experimental.
const EXPERIMENTAL: u8 = 7;

impl SpecVersion {
    /// Every version, oldest first.
    pub fn all() -> impl Iterator<Item = Self> {
        let v2 = (0..=4).filter_map(Minor::new).map(Self::V2);
        let v3 = (0..=EXPERIMENTAL).filter_map(Minor::new).map(Self::V3);
        std::iter::once(Self::V1).chain(v2).chain(v3)
    }

    /// Version 2.`minor`, if there is one.
    pub const fn v2(minor: u8) -> Option<Self> {
        match Minor::new(minor) {
            Some(minor) => Some(Self::V2(minor)),
            None => None,
        }
    }

    /// Version 3.`minor`, if there is one.
    pub const fn v3(minor: u8) -> Option<Self> {
        match Minor::new(minor) {
            Some(minor) => Some(Self::V3(minor)),
            None => None,
        }
    }

    /// Reads exactly what configs carry: `2.2.0`, `3.4.0`, `3.7.0-experimental`, and `1`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::all().find(|version| version.to_string() == text)
    }

    /// 1, 2 or 3.
    pub const fn major(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2(_) => 2,
            Self::V3(_) => 3,
        }
    }

    /// The minor number; 0 for version 1.
    pub const fn minor(self) -> u8 {
        match self {
            Self::V1 => 0,
            Self::V2(minor) => minor.number(),
            Self::V3(minor) => minor.number(),
        }
    }

    /// Whether the version may still change.
    pub const fn is_experimental(self) -> bool {
        matches!(self, Self::V3(Minor(EXPERIMENTAL)))
    }
}

impl fmt::Display for SpecVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V1 => f.write_str("1"),
            Self::V2(minor) => write!(f, "2.{}.0", minor.number()),
            Self::V3(minor) => {
                let experimental = if self.is_experimental() { "-experimental" } else { "" };
                write!(f, "3.{}.0{experimental}", minor.number())
            }
        }
    }
}
