//! A DHCPv4 message as PXE sees it: borrowed from its datagram, every option in wire order.
//!
//! The lowest layer: nothing here knows policy, time or sockets. [`crate::BootRequest`] reads requests through it,
//! [`crate::Reply`] writes answers through [`Writer`]. RFC 2131 §2, RFC 2132, PXE 2.1 §2.

mod arch;
pub mod code;
pub mod frame;
mod ipxe;
mod option43;
mod options;
mod relay_agent;
mod router;
mod user_class;
mod writer;

use std::net::Ipv4Addr;

pub use arch::{ClientArch, ClientArchs, UnknownArchName};
pub use ipxe::{Feature, IpxeOptions};
pub use option43::{BootItem, DiscoveryControl, VendorOptions};
pub use options::{DhcpOption, Iter, Options};
pub use relay_agent::RelayAgent;
pub use router::{RouterSolicitation, advertisement, advertising_router};
pub use user_class::UserClass;
pub use writer::{Encapsulated, Header, Writer};

/// What makes octets not a DHCP message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The octets end inside the named field.
    #[error("truncated in {0}")]
    Truncated(&'static str),
    /// `op` is neither BOOTREQUEST nor BOOTREPLY (RFC 2131 §2).
    #[error("op {0} is neither request nor reply")]
    UnknownOp(u8),
    /// The options do not start with 99.130.83.99 (RFC 2131 §3).
    #[error("wrong magic cookie {0:#010x}")]
    WrongCookie(u32),
    /// A frame or packet is not what the filter lets through: the named layer differs.
    #[error("not {0}")]
    Not(&'static str),
    /// The checksum of the named layer is wrong.
    #[error("wrong {0} checksum")]
    Checksum(&'static str),
}

/// The message type of option 53 (RFC 2132 §9.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub enum MessageType {
    /// DHCPDISCOVER
    Discover,
    /// DHCPOFFER
    Offer,
    /// DHCPREQUEST
    Request,
    /// DHCPDECLINE
    Decline,
    /// DHCPACK
    Ack,
    /// DHCPNAK
    Nak,
    /// DHCPRELEASE
    Release,
    /// DHCPINFORM
    Inform,
    /// Any other number, as it came.
    Unknown(u8),
}

impl MessageType {
    /// The type a number stands for.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Discover,
            2 => Self::Offer,
            3 => Self::Request,
            4 => Self::Decline,
            5 => Self::Ack,
            6 => Self::Nak,
            7 => Self::Release,
            8 => Self::Inform,
            other => Self::Unknown(other),
        }
    }

    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Discover => 1,
            Self::Offer => 2,
            Self::Request => 3,
            Self::Decline => 4,
            Self::Ack => 5,
            Self::Nak => 6,
            Self::Release => 7,
            Self::Inform => 8,
            Self::Unknown(other) => other,
        }
    }
}

impl std::fmt::Display for MessageType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Self::Discover => "DHCPDISCOVER",
            Self::Offer => "DHCPOFFER",
            Self::Request => "DHCPREQUEST",
            Self::Decline => "DHCPDECLINE",
            Self::Ack => "DHCPACK",
            Self::Nak => "DHCPNAK",
            Self::Release => "DHCPRELEASE",
            Self::Inform => "DHCPINFORM",
            Self::Unknown(code) => return write!(f, "message type {code}"),
        };
        f.write_str(name)
    }
}

/// `op`: who speaks (RFC 2131 §2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Op {
    /// BOOTREQUEST: a client.
    Request,
    /// BOOTREPLY: a server.
    Reply,
}

/// A hardware address of six octets.
#[derive(Clone, Copy, Default, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// ff:ff:ff:ff:ff:ff
    pub const BROADCAST: Self = Self([0xff; 6]);
}

impl std::fmt::Display for MacAddr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl std::fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// One DHCPv4 message, borrowed from its datagram (RFC 2131 §2).
///
/// ```
/// # use proxy_dhcp::wire::{Message, ParseError};
/// assert_eq!(Message::parse(&[1; 20]), Err(ParseError::Truncated("header")));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Message<'a> {
    /// Who speaks.
    pub op: Op,
    /// Hardware type; 1 is Ethernet.
    pub htype: u8,
    /// Length of the hardware address in octets.
    pub hlen: u8,
    /// Relays passed.
    pub hops: u8,
    /// Transaction id.
    pub xid: u32,
    /// Seconds since the client began, as it counts them.
    pub secs: u16,
    /// Flags; bit 15 asks for a broadcast reply.
    pub flags: u16,
    /// The client's address when it already has one.
    pub ciaddr: Ipv4Addr,
    /// "Your" address; a proxy leaves it zero.
    pub yiaddr: Ipv4Addr,
    /// Address of the server of the next step.
    pub siaddr: Ipv4Addr,
    /// Address of the relay agent.
    pub giaddr: Ipv4Addr,
    /// Client hardware address, padded.
    pub chaddr: [u8; 16],
    sname: &'a [u8],
    file: &'a [u8],
    options: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads one datagram. Options are not judged here: [`Options::iter`] stops at the first that lies about its
    /// length and keeps those before it.
    ///
    /// # Errors
    /// Fewer than 240 octets, an unknown `op` or a wrong magic cookie.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let (head, rest) = datagram.split_first_chunk::<44>().ok_or(ParseError::Truncated("header"))?;
        let (sname, rest) = rest.split_at_checked(64).ok_or(ParseError::Truncated("sname"))?;
        let (file, rest) = rest.split_at_checked(128).ok_or(ParseError::Truncated("file"))?;
        let (cookie, options) = rest.split_first_chunk::<4>().ok_or(ParseError::Truncated("magic cookie"))?;
        let cookie = u32::from_be_bytes(*cookie);
        if cookie != code::MAGIC_COOKIE {
            return Err(ParseError::WrongCookie(cookie));
        }
        let [op, htype, hlen, hops, x0, x1, x2, x3, s0, s1, f0, f1, rest @ ..] = *head;
        let [c0, c1, c2, c3, y0, y1, y2, y3, n0, n1, n2, n3, g0, g1, g2, g3, chaddr @ ..] = rest;
        Ok(Self {
            op: match op {
                1 => Op::Request,
                2 => Op::Reply,
                other => return Err(ParseError::UnknownOp(other)),
            },
            htype,
            hlen,
            hops,
            xid: u32::from_be_bytes([x0, x1, x2, x3]),
            secs: u16::from_be_bytes([s0, s1]),
            flags: u16::from_be_bytes([f0, f1]),
            ciaddr: Ipv4Addr::new(c0, c1, c2, c3),
            yiaddr: Ipv4Addr::new(y0, y1, y2, y3),
            siaddr: Ipv4Addr::new(n0, n1, n2, n3),
            giaddr: Ipv4Addr::new(g0, g1, g2, g3),
            chaddr,
            sname,
            file,
            options,
        })
    }

    /// Every option, also those in overloaded fields (RFC 2132 §9.3).
    #[must_use]
    pub fn options(&self) -> Options<'a> {
        Options::new(self.options, self.file, self.sname)
    }

    /// The hardware address when it is one of Ethernet: type 1, six octets.
    #[must_use]
    pub fn mac(&self) -> Option<MacAddr> {
        let [a, b, c, d, e, f, ..] = self.chaddr;
        (self.htype == 1 && self.hlen == 6).then_some(MacAddr([a, b, c, d, e, f]))
    }

    /// The boot file name up to its NUL; the octets mean options when the field is overloaded.
    #[must_use]
    pub fn file(&self) -> &'a [u8] {
        until_nul(self.file)
    }

    /// The server host name up to its NUL; the octets mean options when the field is overloaded.
    #[must_use]
    pub fn sname(&self) -> &'a [u8] {
        until_nul(self.sname)
    }

    /// Writes the fixed part again; options follow through the [`Writer`].
    #[must_use]
    pub fn header(&self) -> Header {
        Header {
            op: self.op,
            htype: self.htype,
            hlen: self.hlen,
            hops: self.hops,
            xid: self.xid,
            secs: self.secs,
            flags: self.flags,
            ciaddr: self.ciaddr,
            yiaddr: self.yiaddr,
            siaddr: self.siaddr,
            giaddr: self.giaddr,
            chaddr: self.chaddr,
        }
    }

    /// `sname` and `file` as they came, with everything behind their NUL.
    #[must_use]
    pub fn raw_names(&self) -> (&'a [u8], &'a [u8]) {
        (self.sname, self.file)
    }
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|&octet| octet == 0).next().unwrap_or_default()
}
