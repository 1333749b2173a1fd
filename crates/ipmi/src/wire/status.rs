//! The status codes of RMCP+ Open Session and RAKP messages (IPMI v2.0 §13.24, table 13-15).

use std::fmt;

/// Why a BMC refuses a step of the session set-up.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct StatusCode(pub u8);

impl StatusCode {
    /// No error.
    pub const OK: Self = Self(0x00);
    /// Insufficient resources to create a session.
    pub const NO_RESOURCES: Self = Self(0x01);
    /// Invalid session id.
    pub const INVALID_SESSION_ID: Self = Self(0x02);
    /// Invalid payload type.
    pub const INVALID_PAYLOAD_TYPE: Self = Self(0x03);
    /// Invalid authentication algorithm.
    pub const INVALID_AUTHENTICATION: Self = Self(0x04);
    /// Invalid integrity algorithm.
    pub const INVALID_INTEGRITY: Self = Self(0x05);
    /// No matching authentication payload.
    pub const NO_MATCHING_AUTHENTICATION: Self = Self(0x06);
    /// No matching integrity payload.
    pub const NO_MATCHING_INTEGRITY: Self = Self(0x07);
    /// Inactive session id.
    pub const INACTIVE_SESSION_ID: Self = Self(0x08);
    /// Invalid role.
    pub const INVALID_ROLE: Self = Self(0x09);
    /// Unauthorized role or privilege level requested.
    pub const UNAUTHORIZED_ROLE: Self = Self(0x0a);
    /// Insufficient resources to create a session at the requested role.
    pub const NO_RESOURCES_AT_ROLE: Self = Self(0x0b);
    /// Invalid name length.
    pub const INVALID_NAME_LENGTH: Self = Self(0x0c);
    /// Unauthorized name.
    pub const UNAUTHORIZED_NAME: Self = Self(0x0d);
    /// Unauthorized GUID.
    pub const UNAUTHORIZED_GUID: Self = Self(0x0e);
    /// Invalid integrity check value.
    pub const INVALID_INTEGRITY_CHECK: Self = Self(0x0f);
    /// Invalid confidentiality algorithm.
    pub const INVALID_CONFIDENTIALITY: Self = Self(0x10);
    /// No cipher suite matches the proposed algorithms.
    pub const NO_MATCHING_SUITE: Self = Self(0x11);
    /// Illegal or unrecognized parameter.
    pub const ILLEGAL_PARAMETER: Self = Self(0x12);

    /// Whether the code says that the proposed algorithms are refused, so that another suite may do.
    pub fn refuses_suite(self) -> bool {
        matches!(
            self,
            Self::INVALID_AUTHENTICATION
                | Self::INVALID_INTEGRITY
                | Self::NO_MATCHING_AUTHENTICATION
                | Self::NO_MATCHING_INTEGRITY
                | Self::INVALID_CONFIDENTIALITY
                | Self::NO_MATCHING_SUITE
        )
    }

    /// The specification's words.
    pub fn text(self) -> &'static str {
        match self.0 {
            0x00 => "no errors",
            0x01 => "insufficient resources to create a session",
            0x02 => "invalid session id",
            0x03 => "invalid payload type",
            0x04 => "invalid authentication algorithm",
            0x05 => "invalid integrity algorithm",
            0x06 => "no matching authentication payload",
            0x07 => "no matching integrity payload",
            0x08 => "inactive session id",
            0x09 => "invalid role",
            0x0a => "unauthorized role or privilege level",
            0x0b => "insufficient resources for a session at that role",
            0x0c => "invalid name length",
            0x0d => "unauthorized name",
            0x0e => "unauthorized GUID",
            0x0f => "invalid integrity check value",
            0x10 => "invalid confidentiality algorithm",
            0x11 => "no cipher suite matches the proposed algorithms",
            0x12 => "illegal parameter",
            _ => "unknown status code",
        }
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:02X}h)", self.text(), self.0)
    }
}
