//! Option numbers by their names in RFC 2132 and the IANA registry, and the fixed numbers of RFC 2131.

/// 99.130.83.99 before the options (RFC 2131 §3).
pub const MAGIC_COOKIE: u32 = 0x6382_5363;
/// Padding.
pub const PAD: u8 = 0;
/// End of options.
pub const END: u8 = 255;
/// Vendor-specific information: PXE's sub-options (RFC 2132 §8.4, PXE 2.1 table 2-1).
pub const VENDOR_SPECIFIC: u8 = 43;
/// Which of `file` and `sname` hold options (RFC 2132 §9.3).
pub const OVERLOAD: u8 = 52;
/// Message type (RFC 2132 §9.6).
pub const MESSAGE_TYPE: u8 = 53;
/// Server identifier (RFC 2132 §9.7).
pub const SERVER_ID: u8 = 54;
/// Largest message the client takes (RFC 2132 §9.10).
pub const MAX_MESSAGE_SIZE: u8 = 57;
/// Vendor class identifier (RFC 2132 §9.13).
pub const VENDOR_CLASS: u8 = 60;
/// TFTP server name (RFC 2132 §9.4).
pub const TFTP_SERVER: u8 = 66;
/// Boot file name (RFC 2132 §9.5).
pub const BOOT_FILE: u8 = 67;
/// User class (RFC 3004).
pub const USER_CLASS: u8 = 77;
/// Relay agent information (RFC 3046).
pub const RELAY_AGENT: u8 = 82;
/// Client system architecture (RFC 4578 §2.1).
pub const CLIENT_ARCH: u8 = 93;
/// Client network interface identifier (RFC 4578 §2.2).
pub const CLIENT_NDI: u8 = 94;
/// Client machine identifier (RFC 4578 §2.3).
pub const CLIENT_UUID: u8 = 97;
/// iPXE's encapsulated options (registered to Etherboot).
pub const IPXE: u8 = 175;
