//! Completion codes: the BMC's verdict on a command (IPMI v2.0 §5.2, table 5-2).

use std::fmt;

/// The first octet of every response.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CompletionCode(pub u8);

impl CompletionCode {
    /// Command completed normally.
    pub const OK: Self = Self(0x00);
    /// Node busy.
    pub const BUSY: Self = Self(0xc0);
    /// Invalid command.
    pub const INVALID_COMMAND: Self = Self(0xc1);
    /// Command invalid for the given LUN.
    pub const INVALID_FOR_LUN: Self = Self(0xc2);
    /// Timeout while processing the command.
    pub const TIMEOUT: Self = Self(0xc3);
    /// Out of space.
    pub const OUT_OF_SPACE: Self = Self(0xc4);
    /// Reservation cancelled or invalid.
    pub const RESERVATION_LOST: Self = Self(0xc5);
    /// Request data truncated.
    pub const TRUNCATED: Self = Self(0xc6);
    /// Request data length invalid.
    pub const INVALID_LENGTH: Self = Self(0xc7);
    /// Request data field length limit exceeded.
    pub const LENGTH_LIMIT: Self = Self(0xc8);
    /// Parameter out of range.
    pub const OUT_OF_RANGE: Self = Self(0xc9);
    /// Cannot return the number of requested data bytes.
    pub const CANNOT_RETURN: Self = Self(0xca);
    /// Requested sensor, data or record not found.
    pub const NOT_FOUND: Self = Self(0xcb);
    /// Invalid data field in request.
    pub const INVALID_FIELD: Self = Self(0xcc);
    /// Command illegal for this sensor or record type.
    pub const ILLEGAL: Self = Self(0xcd);
    /// Response could not be provided.
    pub const NO_RESPONSE: Self = Self(0xce);
    /// Duplicated request.
    pub const DUPLICATE: Self = Self(0xcf);
    /// Destination unavailable.
    pub const UNAVAILABLE: Self = Self(0xd3);
    /// Insufficient privilege level.
    pub const PRIVILEGE: Self = Self(0xd4);
    /// Not supported in the present state.
    pub const STATE: Self = Self(0xd5);
    /// Unspecified error.
    pub const UNSPECIFIED: Self = Self(0xff);

    /// Whether the command was carried out.
    pub fn is_ok(self) -> bool {
        self == Self::OK
    }

    /// The words ipmitool prints for it.
    pub fn text(self) -> &'static str {
        match self.0 {
            0x00 => "Command completed normally",
            0xc0 => "Node busy",
            0xc1 => "Invalid command",
            0xc2 => "Invalid command on LUN",
            0xc3 => "Timeout",
            0xc4 => "Out of space",
            0xc5 => "Reservation cancelled or invalid",
            0xc6 => "Request data truncated",
            0xc7 => "Request data length invalid",
            0xc8 => "Request data field length limit exceeded",
            0xc9 => "Parameter out of range",
            0xca => "Cannot return number of requested data bytes",
            0xcb => "Requested sensor, data, or record not found",
            0xcc => "Invalid data field in request",
            0xcd => "Command illegal for specified sensor or record type",
            0xce => "Command response could not be provided",
            0xcf => "Cannot execute duplicated request",
            0xd0 => "SDR Repository in update mode",
            0xd1 => "Device firmware in update mode",
            0xd2 => "BMC initialization in progress",
            0xd3 => "Destination unavailable",
            0xd4 => "Insufficient privilege level",
            0xd5 => "Command not supported in present state",
            0xd6 => "Cannot execute command, command disabled",
            0xff => "Unspecified error",
            _ => "Unknown",
        }
    }
}

impl fmt::Display for CompletionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:02X}h)", self.text(), self.0)
    }
}
