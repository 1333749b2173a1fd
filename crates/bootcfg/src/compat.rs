//! Whose behaviour is followed. A value of the engine: every module may read it, none may guess it.

use std::fmt;
use std::str::FromStr;

/// The program whose answers are given, byte for byte where it has one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Compat {
    /// matchbox as of 2026: `args` lists, Butane, Ignition encoded again as 3.4.0, a bare 404 for any failure.
    #[default]
    Matchbox,
    /// bootcfg v0.4.0 of 2016: `cmdline` maps, Fuze, raw Ignition served as stored, pixiecore's endpoint.
    Bootcfg040,
    /// Our own: errors with a reason, no fall through a broken group, no broken Ignition with status 200.
    Strict,
}

impl Compat {
    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Matchbox => "matchbox",
            Self::Bootcfg040 => "bootcfg-0.4.0",
            Self::Strict => "strict",
        }
    }

    /// Whether faults are told to the client instead of a bare 404.
    pub fn is_strict(self) -> bool {
        self == Self::Strict
    }

    /// Whether a MAC may be written as 12 hex digits without separators (Go 1.27 reads that, Go 1.19 does not).
    pub fn bare_mac(self) -> bool {
        self != Self::Bootcfg040
    }

    /// The status of a redirect to the cleaned path: 301 of Go 1.19, 307 of today's.
    pub fn redirect_status(self) -> u16 {
        if self == Self::Bootcfg040 { 301 } else { 307 }
    }
}

impl fmt::Display for Compat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no mode.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unknown mode: say matchbox, bootcfg-0.4.0 or strict")]
pub struct UnknownCompat;

impl FromStr for Compat {
    type Err = UnknownCompat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "matchbox" => Ok(Self::Matchbox),
            "bootcfg-0.4.0" => Ok(Self::Bootcfg040),
            "strict" => Ok(Self::Strict),
            _ => Err(UnknownCompat),
        }
    }
}
