//! UDP over IPv4 over Ethernet, as a packet socket gives and takes it. Only what DHCP needs: RFC 894, 791, 768.

use super::{MacAddr, ParseError};
use std::net::{Ipv4Addr, SocketAddrV4};

/// Octets before the UDP payload of a frame that [`seal`] builds.
pub const HEADERS: usize = ETHERNET + IPV4 + UDP;

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;
const ETHERTYPE_IPV4: u16 = 0x0800;
const PROTOCOL_UDP: u8 = 17;

/// A UDP datagram with the addresses of the frame that brought it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UdpFrame<'a> {
    /// Who put the frame on this segment: the client, its relay or a router.
    pub source_mac: MacAddr,
    /// Whom the frame was for.
    pub destination_mac: MacAddr,
    /// Source address and port.
    pub source: SocketAddrV4,
    /// Destination address and port.
    pub destination: SocketAddrV4,
    /// The datagram.
    pub payload: &'a [u8],
}

impl<'a> UdpFrame<'a> {
    /// Reads one Ethernet frame. A UDP checksum that a virtual card has not filled in yet (it holds the sum of the
    /// pseudo header) is taken as right: the octets never left this host.
    ///
    /// # Errors
    /// Truncation, another protocol, a fragment, a wrong checksum.
    pub fn parse(frame: &'a [u8]) -> Result<Self, ParseError> {
        let (ethernet, packet) =
            frame.split_first_chunk::<ETHERNET>().ok_or(ParseError::Truncated("Ethernet"))?;
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = *ethernet;
        if u16::from_be_bytes([t0, t1]) != ETHERTYPE_IPV4 {
            return Err(ParseError::Not("IPv4"));
        }
        Self::of_packet(MacAddr([s0, s1, s2, s3, s4, s5]), MacAddr([d0, d1, d2, d3, d4, d5]), packet)
    }

    /// Reads an IPv4 packet whose link addresses are known otherwise.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn of_packet(
        source_mac: MacAddr,
        destination_mac: MacAddr,
        packet: &'a [u8],
    ) -> Result<Self, ParseError> {
        let (source, destination, datagram) = ipv4(packet)?;
        let (udp, rest) = datagram.split_first_chunk::<UDP>().ok_or(ParseError::Truncated("UDP"))?;
        let [p0, p1, q0, q1, l0, l1, c0, c1] = *udp;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let payload = length
            .checked_sub(UDP)
            .and_then(|payload| rest.get(..payload))
            .ok_or(ParseError::Truncated("UDP payload"))?;
        let checksum = u16::from_be_bytes([c0, c1]);
        let pseudo = pseudo_header(source, destination, length);
        let whole = fold(sum(datagram.get(..length).unwrap_or_default(), pseudo));
        if checksum != 0 && whole != 0xffff && checksum != fold(pseudo) {
            return Err(ParseError::Checksum("UDP"));
        }
        Ok(Self {
            source_mac,
            destination_mac,
            source: SocketAddrV4::new(source, u16::from_be_bytes([p0, p1])),
            destination: SocketAddrV4::new(destination, u16::from_be_bytes([q0, q1])),
            payload,
        })
    }
}

/// Checks the header and gives source, destination and the octets behind it, cut to the total length.
fn ipv4(packet: &[u8]) -> Result<(Ipv4Addr, Ipv4Addr, &[u8]), ParseError> {
    let (fixed, _) = packet.split_first_chunk::<IPV4>().ok_or(ParseError::Truncated("IPv4"))?;
    let [v, _tos, l0, l1, _, _, f0, f1, _ttl, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *fixed;
    if v >> 4 != 4 || protocol != PROTOCOL_UDP {
        return Err(ParseError::Not("UDP over IPv4"));
    }
    if u16::from_be_bytes([f0, f1]) & 0x3fff != 0 {
        return Err(ParseError::Not("a whole packet"));
    }
    let header = usize::from(v & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([l0, l1]));
    let whole = packet.get(..total).ok_or(ParseError::Truncated("IPv4 packet"))?;
    let (head, rest) = whole.split_at_checked(header).ok_or(ParseError::Truncated("IPv4 options"))?;
    if header < IPV4 {
        return Err(ParseError::Truncated("IPv4 header"));
    }
    if fold(sum(head, 0)) != 0xffff {
        return Err(ParseError::Checksum("IPv4"));
    }
    Ok((Ipv4Addr::new(s0, s1, s2, s3), Ipv4Addr::new(d0, d1, d2, d3), rest))
}

/// Turns `frame`, [`HEADERS`] octets of room and then a datagram, into an Ethernet frame. `false` when it is shorter
/// than that room or longer than IPv4 carries.
#[must_use]
pub fn seal(
    frame: &mut [u8],
    source_mac: MacAddr,
    destination_mac: MacAddr,
    source: SocketAddrV4,
    destination: SocketAddrV4,
) -> bool {
    let Some((headers, payload)) = frame.split_first_chunk_mut::<HEADERS>() else { return false };
    let length = UDP + payload.len();
    let Ok(total) = u16::try_from(IPV4 + length) else { return false };
    let udp_length = total - IPV4 as u16;
    let (ethernet, rest) = headers.split_at_mut(ETHERNET);
    let (ip, udp) = rest.split_at_mut(IPV4);
    let [s0, s1, s2, s3] = source.ip().octets();
    let [d0, d1, d2, d3] = destination.ip().octets();
    let [t0, t1] = total.to_be_bytes();
    let mut header = [0x45, 0x10, t0, t1, 0, 0, 0, 0, 64, PROTOCOL_UDP, 0, 0, s0, s1, s2, s3, d0, d1, d2, d3];
    let [c0, c1] = (!fold(sum(&header, 0))).to_be_bytes();
    let [_, _, _, _, _, _, _, _, _, _, high, low, ..] = &mut header;
    (*high, *low) = (c0, c1);
    ip.copy_from_slice(&header);

    let [p0, p1] = source.port().to_be_bytes();
    let [q0, q1] = destination.port().to_be_bytes();
    let [l0, l1] = udp_length.to_be_bytes();
    let start = sum(&[p0, p1, q0, q1, l0, l1], pseudo_header(*source.ip(), *destination.ip(), length));
    let checksum = match !fold(sum(payload, start)) {
        0 => 0xffff, // RFC 768: an all-zero checksum means none
        other => other,
    };
    let [k0, k1] = checksum.to_be_bytes();
    udp.copy_from_slice(&[p0, p1, q0, q1, l0, l1, k0, k1]);

    let (to, rest) = ethernet.split_at_mut(6);
    let (from, kind) = rest.split_at_mut(6);
    to.copy_from_slice(&destination_mac.0);
    from.copy_from_slice(&source_mac.0);
    kind.copy_from_slice(&ETHERTYPE_IPV4.to_be_bytes());
    true
}

fn pseudo_header(source: Ipv4Addr, destination: Ipv4Addr, length: usize) -> u64 {
    let addresses = sum(&destination.octets(), sum(&source.octets(), 0));
    addresses + u64::from(PROTOCOL_UDP) + length as u64
}

/// One's complement sum of RFC 1071, not folded: 48 bits of room above the 16.
pub(crate) fn sum(octets: &[u8], start: u64) -> u64 {
    let (words, odd) = octets.as_chunks::<4>();
    let words: u64 = words.iter().map(|word| u64::from(u32::from_be_bytes(*word))).sum();
    let (pairs, last) = odd.as_chunks::<2>();
    let pairs: u64 = pairs.iter().map(|pair| u64::from(u16::from_be_bytes(*pair))).sum();
    let last: u64 = last.iter().map(|octet| u64::from(*octet) << 8).sum();
    start + words + pairs + last
}

/// Folds a [`sum`] to 16 bits.
pub(crate) fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; HEADERS];
        frame.extend_from_slice(payload);
        let from = SocketAddrV4::new(Ipv4Addr::new(10, 77, 0, 2), 67);
        let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, 68);
        assert!(seal(&mut frame, MacAddr([2, 0, 0, 0, 0, 1]), MacAddr::BROADCAST, from, to));
        frame
    }

    #[test]
    fn a_sealed_frame_reads_back() {
        // RFC 768, RFC 791 §3.1
        for payload in [&b""[..], b"x", b"odd", b"even"] {
            let frame = frame(payload);
            let read = UdpFrame::parse(&frame).unwrap();
            assert_eq!((read.payload, read.source.port(), read.destination.port()), (payload, 67, 68));
            assert_eq!(read.destination_mac, MacAddr::BROADCAST);
        }
    }

    #[test]
    fn unfilled_checksums_pass_and_wrong_ones_do_not() {
        let mut bytes = frame(b"payload");
        let length = bytes.len() - ETHERNET - IPV4;
        let partial = fold(pseudo_header(Ipv4Addr::new(10, 77, 0, 2), Ipv4Addr::BROADCAST, length));
        bytes[40..42].copy_from_slice(&partial.to_be_bytes());
        assert!(UdpFrame::parse(&bytes).is_ok());
        bytes[40] ^= 1;
        assert_eq!(UdpFrame::parse(&bytes), Err(ParseError::Checksum("UDP")));
        bytes[40..42].fill(0);
        assert!(UdpFrame::parse(&bytes).is_ok());
        bytes[20] |= 0x20; // more fragments
        assert_eq!(UdpFrame::parse(&bytes), Err(ParseError::Not("a whole packet")));
    }
}
