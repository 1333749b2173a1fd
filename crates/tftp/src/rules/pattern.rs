//! What clients are told apart by: networks and MAC addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A MAC address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct MacAddr(pub [u8; 6]);

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for MacAddr {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pattern: MacPattern = text.parse()?;
        let mut octets = [0; 6];
        for (octet, part) in octets.iter_mut().zip(pattern.0) {
            *octet = part.ok_or("a MAC address has six octets")?;
        }
        Ok(Self(octets))
    }
}

/// A MAC address with octets that do not matter: `52:54:00:*` or `52-54-00-12-34-56`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct MacPattern([Option<u8>; 6]);

impl MacPattern {
    pub(super) fn matches(&self, mac: MacAddr) -> bool {
        self.0.iter().zip(mac.0).all(|(wanted, octet)| wanted.is_none_or(|wanted| wanted == octet))
    }
}

impl FromStr for MacPattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "write a MAC address as 52:54:00:12:34:56, or its beginning and `*`";
        let mut octets = [None; 6];
        let mut parts = text.split([':', '-']);
        for octet in &mut octets {
            match parts.next() {
                Some("*") => return if parts.next().is_none() { Ok(Self(octets)) } else { Err(FORM) },
                Some(part) if part.len() == 2 => {
                    *octet = Some(u8::from_str_radix(part, 16).map_err(|_| FORM)?)
                }
                _ => return Err(FORM),
            }
        }
        if parts.next().is_none() { Ok(Self(octets)) } else { Err(FORM) }
    }
}

/// An address or a network: `10.0.0.5`, `10.0.0.0/24`, `fd00::/8`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    /// Whether an address lies in it.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let same = |a: u128, b: u128, width: u32| {
            let shift = width - self.prefix;
            self.prefix == 0 || a >> shift == b >> shift
        };
        match (self.address, ip) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "write an address or a network as 10.0.0.0/24";
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| FORM)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(width), str::parse).map_err(|_| FORM)?;
        if prefix > width {
            return Err(FORM);
        }
        Ok(Self { address, prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let contains = |net: &str, ip: &str| net.parse::<Network>().unwrap().contains(ip.parse().unwrap());
        assert!(contains("10.0.0.0/24", "10.0.0.255") && !contains("10.0.0.0/24", "10.0.1.0"));
        assert!(contains("0.0.0.0/0", "192.0.2.1") && !contains("0.0.0.0/0", "::1"));
        assert!(contains("fd00::/8", "fd12::1") && contains("::1", "::1") && !contains("::1", "::2"));
        assert!("10.0.0.0/33".parse::<Network>().is_err() && "x/8".parse::<Network>().is_err());
    }

    #[test]
    fn mac_patterns() {
        let mac: MacAddr = "52-54-00-12-34-56".parse().unwrap();
        assert_eq!(mac.to_string(), "52:54:00:12:34:56");
        let matches = |text: &str| text.parse::<MacPattern>().map(|pattern| pattern.matches(mac));
        assert_eq!(matches("52:54:00:*"), Ok(true));
        assert_eq!(matches("*"), Ok(true));
        assert_eq!(matches("52:54:01:*"), Ok(false));
        for bad in ["52:54", "52:54:00:12:34:56:78", "52:*:00", "5g:*", "", "52:54:00:*"] {
            assert!(bad.parse::<MacAddr>().is_err(), "{bad}");
        }
    }
}
