//! A look into captured Ethernet frames, just enough to ask a capture what was said. Called by tests; no parser of
//! ours is used, so that a capture judges them independently.

use std::net::{Ipv4Addr, SocketAddrV4};

/// An IPv4 UDP datagram inside an Ethernet frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Udp<'a> {
    /// Ethernet destination.
    pub to_mac: [u8; 6],
    /// Ethernet source.
    pub from_mac: [u8; 6],
    /// IPv4 source and UDP source port.
    pub from: SocketAddrV4,
    /// IPv4 destination and UDP destination port.
    pub to: SocketAddrV4,
    /// What the datagram carries.
    pub payload: &'a [u8],
}

impl<'a> Udp<'a> {
    /// The datagram in `frame`, or `None` when the frame carries anything else (or a later fragment).
    #[must_use]
    pub fn parse(frame: &'a [u8]) -> Option<Self> {
        let ip = Ip::parse(frame)?;
        if ip.protocol != 17 {
            return None;
        }
        let length = usize::from(u16_at(ip.payload, 4)?);
        Some(Self {
            to_mac: frame.get(..6)?.try_into().ok()?,
            from_mac: frame.get(6..12)?.try_into().ok()?,
            from: SocketAddrV4::new(ip.from, u16_at(ip.payload, 0)?),
            to: SocketAddrV4::new(ip.to, u16_at(ip.payload, 2)?),
            payload: ip.payload.get(8..length.min(ip.payload.len()))?,
        })
    }
}

/// Source, destination and payload of an IPv4 TCP segment, or `None`.
#[must_use]
pub fn tcp_payload(frame: &[u8]) -> Option<(SocketAddrV4, SocketAddrV4, &[u8])> {
    let ip = Ip::parse(frame)?;
    if ip.protocol != 6 {
        return None;
    }
    let header = usize::from(ip.payload.get(12)? >> 4) * 4;
    Some((
        SocketAddrV4::new(ip.from, u16_at(ip.payload, 0)?),
        SocketAddrV4::new(ip.to, u16_at(ip.payload, 2)?),
        ip.payload.get(header..)?,
    ))
}

struct Ip<'a> {
    protocol: u8,
    from: Ipv4Addr,
    to: Ipv4Addr,
    payload: &'a [u8],
}

impl<'a> Ip<'a> {
    fn parse(frame: &'a [u8]) -> Option<Self> {
        if u16_at(frame, 12)? != 0x0800 {
            return None;
        }
        let packet = frame.get(14..)?;
        let first = *packet.first()?;
        if first >> 4 != 4 || u16_at(packet, 6)? & 0x1fff != 0 {
            return None;
        }
        let address = |at: usize| {
            let octets: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
            Some(Ipv4Addr::from(octets))
        };
        // Total length 0: segmentation offload on the way to the capture; the frame says how long it is.
        let total = match usize::from(u16_at(packet, 2)?) {
            0 => packet.len(),
            total => total.min(packet.len()),
        };
        Some(Self {
            protocol: *packet.get(9)?,
            from: address(12)?,
            to: address(16)?,
            payload: packet.get(usize::from(first & 15) * 4..total)?,
        })
    }
}

fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(protocol: u8, transport: &[u8]) -> Vec<u8> {
        let mut frame = vec![0xff; 6];
        frame.extend([2, 0, 0, 0, 0, 1, 8, 0]);
        let total = u16::try_from(20 + transport.len()).unwrap().to_be_bytes();
        frame.extend([0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, protocol, 0, 0]);
        frame.extend([10, 77, 0, 1, 10, 77, 0, 2]);
        frame.extend(transport);
        frame.extend([0; 3]); // Ethernet padding is not payload
        frame
    }

    #[test]
    fn a_datagram_without_its_padding() {
        let octets = frame(17, &[0, 69, 8, 0, 0, 10, 0, 0, b'h', b'i']);
        let udp = Udp::parse(&octets).unwrap();
        assert_eq!(udp.from, "10.77.0.1:69".parse().unwrap());
        assert_eq!(udp.to, "10.77.0.2:2048".parse().unwrap());
        assert_eq!(udp.payload, b"hi");
        assert_eq!(tcp_payload(&octets), None);
    }

    #[test]
    fn cut_short_is_none() {
        let octets = frame(17, &[0, 69, 8, 0, 0, 10, 0, 0, b'h', b'i']);
        for end in 0..41 {
            assert_eq!(Udp::parse(&octets[..end]), None, "{end}");
        }
    }
}
