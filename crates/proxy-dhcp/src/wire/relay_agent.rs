//! Relay agent information, option 82 (RFC 3046): which port of which switch a request came through.

use super::Options;

/// The value of option 82.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RelayAgent<'a>(&'a [u8]);

impl<'a> RelayAgent<'a> {
    /// The value of option 82.
    #[must_use]
    pub fn new(value: &'a [u8]) -> Self {
        Self(value)
    }

    /// The octets as they came; a reply carries them back unchanged (RFC 3046 §2.2).
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Agent circuit id (RFC 3046 §3.1).
    #[must_use]
    pub fn circuit_id(self) -> Option<&'a [u8]> {
        Options::encapsulated(self.0).first(1)
    }

    /// Agent remote id (RFC 3046 §3.2).
    #[must_use]
    pub fn remote_id(self) -> Option<&'a [u8]> {
        Options::encapsulated(self.0).first(2)
    }
}
