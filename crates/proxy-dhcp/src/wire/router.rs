//! The two messages that end iPXE's wait for an IPv6 router: solicitation in, advertisement out (RFC 4861 §4.1, §4.2).

use super::frame::{fold, sum};
use super::{MacAddr, ParseError};
use std::net::Ipv6Addr;

const ETHERTYPE_IPV6: u16 = 0x86dd;
const ICMPV6: u8 = 58;
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
/// Every neighbour discovery message carries it, so that no router can have passed it on (RFC 4861 §6.1).
const HOP_LIMIT: u8 = 255;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// A router solicitation and who sent it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RouterSolicitation {
    /// The machine that asks.
    pub source_mac: MacAddr,
    /// Its address; unspecified while it has none.
    pub source: Ipv6Addr,
}

impl RouterSolicitation {
    /// Reads one Ethernet frame.
    ///
    /// # Errors
    /// Truncation, another protocol, a hop limit below 255, a wrong checksum.
    pub fn parse(frame: &[u8]) -> Result<Self, ParseError> {
        let (kind, source_mac, source) = neighbour_message(frame)?;
        match kind {
            ROUTER_SOLICITATION => Ok(Self { source_mac, source }),
            _ => Err(ParseError::Not("a router solicitation")),
        }
    }
}

/// The sender of a router advertisement, when the frame is one.
#[must_use]
pub fn advertising_router(frame: &[u8]) -> Option<MacAddr> {
    let (kind, source_mac, _) = neighbour_message(frame).ok()?;
    (kind == ROUTER_ADVERTISEMENT).then_some(source_mac)
}

/// ICMPv6 type, Ethernet source and IPv6 source of a valid neighbour discovery message.
fn neighbour_message(frame: &[u8]) -> Result<(u8, MacAddr, Ipv6Addr), ParseError> {
    let (ethernet, packet) = frame.split_first_chunk::<14>().ok_or(ParseError::Truncated("Ethernet"))?;
    let [_, _, _, _, _, _, s0, s1, s2, s3, s4, s5, t0, t1] = *ethernet;
    if u16::from_be_bytes([t0, t1]) != ETHERTYPE_IPV6 {
        return Err(ParseError::Not("IPv6"));
    }
    let (fixed, rest) = packet.split_first_chunk::<40>().ok_or(ParseError::Truncated("IPv6"))?;
    let [version, _, _, _, l0, l1, next, hops, addresses @ ..] = *fixed;
    if version >> 4 != 6 || next != ICMPV6 || hops != HOP_LIMIT {
        return Err(ParseError::Not("neighbour discovery"));
    }
    let length = u16::from_be_bytes([l0, l1]);
    let icmp = rest.get(..usize::from(length)).ok_or(ParseError::Truncated("ICMPv6"))?;
    let &[kind, _code, ..] = icmp else { return Err(ParseError::Truncated("ICMPv6")) };
    if fold(sum(icmp, pseudo_header(&addresses, icmp.len()))) != 0xffff {
        return Err(ParseError::Checksum("ICMPv6"));
    }
    let source: [u8; 16] = addresses.first_chunk().copied().unwrap_or_default();
    Ok((kind, MacAddr([s0, s1, s2, s3, s4, s5]), Ipv6Addr::from(source)))
}

/// A router advertisement frame that makes nobody a router: lifetime 0, no prefix, no option, no flag, to one MAC.
///
/// It says "there is no IPv6 router here" to a client that would otherwise ask for 15 seconds (RFC 4861 §4.2:
/// a lifetime of 0 means not a default router).
#[must_use]
pub fn advertisement(our_mac: MacAddr, our_address: Ipv6Addr, to: &RouterSolicitation) -> [u8; 70] {
    let destination = if to.source.is_unspecified() { ALL_NODES } else { to.source };
    let mut frame = [0; 70];
    let addresses: [u8; 32] = {
        let mut both = [0; 32];
        let (from, dest) = both.split_at_mut(16);
        from.copy_from_slice(&our_address.octets());
        dest.copy_from_slice(&destination.octets());
        both
    };
    // type, code, checksum, current hop limit (0: unspecified), flags, lifetime, reachable time, retransmit timer
    let mut icmp = [ROUTER_ADVERTISEMENT, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let [c0, c1] = (!fold(sum(&icmp, pseudo_header(&addresses, icmp.len())))).to_be_bytes();
    let [_, _, high, low, ..] = &mut icmp;
    (*high, *low) = (c0, c1);
    let parts: [&[u8]; 6] = [
        &to.source_mac.0,
        &our_mac.0,
        &ETHERTYPE_IPV6.to_be_bytes(),
        &[0x60, 0, 0, 0, 0, 16, ICMPV6, HOP_LIMIT],
        &addresses,
        &icmp,
    ];
    for (place, octet) in frame.iter_mut().zip(parts.iter().flat_map(|part| part.iter())) {
        *place = *octet;
    }
    frame
}

fn pseudo_header(addresses: &[u8; 32], length: usize) -> u64 {
    sum(addresses, 0) + length as u64 + u64::from(ICMPV6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solicitation(hops: u8) -> Vec<u8> {
        let mut frame = vec![0x33, 0x33, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1, 0x86, 0xdd];
        frame.extend_from_slice(&[0x60, 0, 0, 0, 0, 8, ICMPV6, hops]);
        let mut addresses = [0; 32];
        addresses[..16].copy_from_slice(&"fe80::1".parse::<Ipv6Addr>().unwrap().octets());
        addresses[16..].copy_from_slice(&"ff02::2".parse::<Ipv6Addr>().unwrap().octets());
        let checksum = !fold(sum(&[133, 0, 0, 0, 0, 0, 0, 0], pseudo_header(&addresses, 8)));
        frame.extend_from_slice(&addresses);
        frame.extend_from_slice(&[133, 0]);
        frame.extend_from_slice(&checksum.to_be_bytes());
        frame.extend_from_slice(&[0; 4]);
        frame
    }

    #[test]
    fn a_solicitation_gets_an_advertisement_that_says_no_router() {
        // RFC 4861 §4.1, §4.2
        let asked = RouterSolicitation::parse(&solicitation(255)).unwrap();
        assert_eq!(asked.source, "fe80::1".parse::<Ipv6Addr>().unwrap());
        let answer = advertisement(MacAddr([2, 0, 0, 0, 0, 9]), "fe80::9".parse().unwrap(), &asked);
        assert_eq!(advertising_router(&answer), Some(MacAddr([2, 0, 0, 0, 0, 9])));
        assert_eq!(answer[..6], asked.source_mac.0);
        assert_eq!(answer[60..62], [0, 0], "lifetime 0");
    }

    #[test]
    fn messages_that_passed_a_router_are_refused() {
        // RFC 4861 §6.1.1
        assert!(RouterSolicitation::parse(&solicitation(254)).is_err());
        let mut wrong = solicitation(255);
        wrong[56] ^= 1;
        assert_eq!(RouterSolicitation::parse(&wrong), Err(ParseError::Checksum("ICMPv6")));
    }
}
