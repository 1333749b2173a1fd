//! Reads recorded traffic, pcap and pcapng, so that it can be explained without a network.
//!
//! Engine layer: octets of a whole file in, frames out. A damaged file gives the frames before the damage.

mod pcap;
mod pcapng;

use crate::wire::frame::UdpFrame;
use crate::wire::{MacAddr, ParseError};
use std::time::Duration;

/// What the frames of a capture begin with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LinkType {
    /// Ethernet (1).
    Ethernet,
    /// Linux cooked (113): `tcpdump -i any`.
    LinuxCooked,
    /// Linux cooked, version 2 (276).
    LinuxCooked2,
    /// IP without a link header (101, 12).
    Raw,
    /// Any other, as it came.
    Unknown(u16),
}

impl LinkType {
    fn from_code(code: u16) -> Self {
        match code {
            1 => Self::Ethernet,
            113 => Self::LinuxCooked,
            276 => Self::LinuxCooked2,
            12 | 101 => Self::Raw,
            other => Self::Unknown(other),
        }
    }
}

/// One recorded frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet<'a> {
    /// When, since 1970.
    pub at: Duration,
    /// What it begins with.
    pub link: LinkType,
    /// The frame, as far as it was kept.
    pub octets: &'a [u8],
}

impl<'a> Packet<'a> {
    /// The UDP datagram in it.
    ///
    /// # Errors
    /// As [`UdpFrame::parse`]; also a link type that is not known.
    pub fn udp(&self) -> Result<UdpFrame<'a>, ParseError> {
        match self.link {
            LinkType::Ethernet => UdpFrame::parse(self.octets),
            LinkType::LinuxCooked => {
                let (header, packet) = split::<16>(self.octets)?;
                let [_, _, _, _, _, _, mac @ .., _, _, kind0, kind1] = *header;
                of_ip(mac, [kind0, kind1], packet)
            }
            LinkType::LinuxCooked2 => {
                let (header, packet) = split::<20>(self.octets)?;
                let [kind0, kind1, _, _, _, _, _, _, _, _, _, _, a, b, c, d, e, f, _, _] = *header;
                of_ip([a, b, c, d, e, f], [kind0, kind1], packet)
            }
            LinkType::Raw => UdpFrame::of_packet(MacAddr::default(), MacAddr::default(), self.octets),
            LinkType::Unknown(_) => Err(ParseError::Not("a known link type")),
        }
    }
}

fn split<const N: usize>(octets: &[u8]) -> Result<(&[u8; N], &[u8]), ParseError> {
    octets.split_first_chunk::<N>().ok_or(ParseError::Truncated("link header"))
}

fn of_ip(mac: [u8; 6], kind: [u8; 2], packet: &[u8]) -> Result<UdpFrame<'_>, ParseError> {
    match kind {
        [0x08, 0x00] => UdpFrame::of_packet(MacAddr(mac), MacAddr::default(), packet),
        _ => Err(ParseError::Not("IPv4")),
    }
}

/// What makes octets not a capture.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("neither pcap nor pcapng: record with `tcpdump -i IF -w FILE 'udp port 67 or 68 or 69 or 4011'`")]
pub struct NotACapture;

/// A recorded file.
#[derive(Clone, Debug)]
pub struct Capture<'a>(Kind<'a>);

#[derive(Clone, Debug)]
enum Kind<'a> {
    Pcap(pcap::Pcap<'a>),
    Pcapng(pcapng::Pcapng<'a>),
}

impl<'a> Capture<'a> {
    /// Reads the head of a file.
    ///
    /// # Errors
    /// The octets start like neither format.
    pub fn parse(file: &'a [u8]) -> Result<Self, NotACapture> {
        let kind = pcap::Pcap::parse(file).map(Kind::Pcap);
        kind.or_else(|| pcapng::Pcapng::parse(file).map(Kind::Pcapng)).map(Self).ok_or(NotACapture)
    }
}

impl<'a> Iterator for Capture<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        match &mut self.0 {
            Kind::Pcap(pcap) => pcap.next(),
            Kind::Pcapng(pcapng) => pcapng.next(),
        }
    }
}

/// The byte order of a file.
#[derive(Clone, Copy, Debug)]
enum Order {
    Big,
    Little,
}

impl Order {
    fn u16(self, octets: [u8; 2]) -> u16 {
        match self {
            Self::Big => u16::from_be_bytes(octets),
            Self::Little => u16::from_le_bytes(octets),
        }
    }

    fn u32(self, octets: [u8; 4]) -> u32 {
        match self {
            Self::Big => u32::from_be_bytes(octets),
            Self::Little => u32::from_le_bytes(octets),
        }
    }

    /// Takes a number off the front.
    fn take_u32(self, octets: &mut &[u8]) -> Option<u32> {
        let (number, rest) = octets.split_first_chunk::<4>()?;
        *octets = rest;
        Some(self.u32(*number))
    }

    /// Takes so many octets off the front.
    fn take<'a>(octets: &mut &'a [u8], length: u32) -> Option<&'a [u8]> {
        let (taken, rest) = octets.split_at_checked(usize::try_from(length).ok()?)?;
        *octets = rest;
        Some(taken)
    }
}
