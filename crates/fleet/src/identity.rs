//! What a machine says of itself, and the ids we mint. MAC, UUID and serial are claims, not proof.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An Ethernet address.
#[derive(Clone, Copy, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Whether one interface can have it: not a group address, not zero (IEEE 802 §8.2).
    pub fn is_station(self) -> bool {
        let [first, ..] = self.0;
        first & 1 == 0 && self.0 != [0; 6]
    }
}

/// The text is no Ethernet address, UUID or claim.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Not six octets in hexadecimal, divided by `:` or `-` or not at all.
    #[error("not an Ethernet address (want six octets such as 52:54:00:12:34:56)")]
    Mac,
    /// Not 32 hexadecimal digits, with or without the dashes of RFC 9562 §4.
    #[error("not a UUID (want 32 hexadecimal digits, dashes as in RFC 9562)")]
    Uuid,
    /// Not 32 hexadecimal digits.
    #[error("not a claim (want 32 hexadecimal digits)")]
    Claim,
    /// Not 64 hexadecimal digits.
    #[error("not an agent's key (want 64 hexadecimal digits)")]
    Key,
}

impl FromStr for Mac {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        hex::<6>(text, &[':', '-']).map(Self).ok_or(ParseError::Mac)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads `N` octets of hexadecimal, with any of `dividers` between octets.
pub(crate) fn hex<const N: usize>(text: &str, dividers: &[char]) -> Option<[u8; N]> {
    let mut out = [0; N];
    let mut slots = out.iter_mut();
    let mut digits = text.chars().peekable();
    let mut first = true;
    while digits.peek().is_some() {
        if !first && digits.peek().is_some_and(|c| dividers.contains(c)) {
            digits.next();
        }
        first = false;
        let (high, low) = (digits.next()?.to_digit(16)?, digits.next()?.to_digit(16)?);
        *slots.next()? = u8::try_from(high * 16 + low).ok()?;
    }
    slots.next().is_none().then_some(out)
}

/// Writes `octets` as lower-case hexadecimal.
fn to_hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// An SMBIOS UUID, a BMC's GUID or option 97's client identifier, in the byte order it came in.
///
/// Firmware and BMCs disagree about the order of the first three fields (SMBIOS 2.6 §7.2.1 against RFC 9562),
/// so [`Uuid::matches`] takes either.
#[derive(Clone, Copy, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// The same UUID with its first three fields in the other byte order.
    #[must_use]
    pub fn swapped(self) -> Self {
        let [a, b, c, d, e, f, g, h, rest @ ..] = self.0;
        let mut out = [d, c, b, a, f, e, h, g, 0, 0, 0, 0, 0, 0, 0, 0];
        out.iter_mut().skip(8).zip(rest).for_each(|(slot, octet)| *slot = octet);
        Self(out)
    }

    /// One form for both byte orders: the key of indexes.
    #[must_use]
    pub fn canonical(self) -> Self {
        self.min(self.swapped())
    }

    /// Whether both name the same board, in either byte order.
    pub fn matches(self, other: Self) -> bool {
        self.canonical() == other.canonical()
    }

    /// Whether it says anything: all zeros, all ones and the placeholders that boards leave the factory with
    /// identify nothing.
    pub fn is_telling(self) -> bool {
        const PLACEHOLDER: [u8; 16] = [3, 0, 2, 0, 4, 0, 5, 0, 0, 6, 0, 7, 0, 8, 0, 9];
        const COUNTING: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        let first = self.0.first();
        !self.0.iter().all(|octet| Some(octet) == first)
            && !self.matches(Self(PLACEHOLDER))
            && !self.matches(Self(COUNTING))
    }
}

impl FromStr for Uuid {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        hex::<16>(text, &['-']).map(Self).ok_or(ParseError::Uuid)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, octet) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{octet:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The secret that a claim of an order carries: whoever shows it is the boot that claimed. Sixteen random
/// octets, given by the caller; never printed by `Debug`.
#[derive(Clone, Copy, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct ClaimSecret([u8; 16]);

impl ClaimSecret {
    /// Wraps sixteen octets from a cryptographic source.
    pub fn new(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The text that goes into a boot script and comes back with reports: 32 hexadecimal digits. The name
    /// warns: this goes to the machine and nowhere else, neither into logs nor onto pages.
    pub fn expose(&self) -> String {
        to_hex(&self.0)
    }
}

impl FromStr for ClaimSecret {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        hex::<16>(text, &[]).map(Self).ok_or(ParseError::Claim)
    }
}

impl fmt::Debug for ClaimSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimSecret(…)")
    }
}

/// `Serialize` and `Deserialize` as text.
macro_rules! as_text {
    ($name:ident, |$value:ident| $text:expr) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $value = self;
                serializer.serialize_str(&$text)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}
as_text!(Mac, |value| value.to_string());
as_text!(Uuid, |value| value.to_string());
as_text!(ClaimSecret, |value| value.expose());

/// A machine's id, minted by us; never derived from anything a machine says.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MachineId(pub u64);

/// An order's id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(pub u64);

impl fmt::Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}", self.0)
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "o{}", self.0)
    }
}

/// Whether a serial says anything: not the fillers that boards leave the factory with.
pub fn is_telling_serial(serial: &str) -> bool {
    const FILLERS: [&str; 12] = [
        "none",
        "n/a",
        "na",
        "default string",
        "not specified",
        "not available",
        "not applicable",
        "to be filled by o.e.m.",
        "system serial number",
        "chassis serial number",
        "0123456789",
        "123456789",
    ];
    let serial = serial.trim().to_ascii_lowercase();
    let mut letters = serial.chars().filter(|c| !c.is_whitespace());
    let first = letters.next();
    first.is_some() && letters.any(|c| Some(c) != first) && !FILLERS.contains(&serial.as_str())
}

/// Whether two serials contradict each other: both say something, and not the same.
pub fn serials_contradict(one: &str, other: &str) -> bool {
    is_telling_serial(one) && is_telling_serial(other) && !one.trim().eq_ignore_ascii_case(other.trim())
}

/// What one packet or request tells about the machine it came from. Everything in it is unproven, except
/// that whoever shows a claim's secret was given it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sighting {
    /// The Ethernet address: `chaddr`, or the `mac` of a URL.
    pub mac: Option<Mac>,
    /// Option 97, or the `uuid` of a URL.
    pub uuid: Option<Uuid>,
    /// The address the packet came from, when it has one of its own.
    pub peer: Option<IpAddr>,
    /// The claim of an order, from the `claim` of a URL.
    pub claim: Option<ClaimSecret>,
}

impl Sighting {
    /// A sighting of this Ethernet address.
    pub fn of(mac: Mac) -> Self {
        Self { mac: Some(mac), ..Self::default() }
    }

    /// A sighting that is known by its source address alone, such as a TFTP read.
    pub fn from_peer(peer: IpAddr) -> Self {
        Self { peer: Some(peer), ..Self::default() }
    }

    /// The same with option 97's UUID.
    #[must_use]
    pub fn with_uuid(mut self, uuid: Uuid) -> Self {
        self.uuid = Some(uuid);
        self
    }

    /// The same with the address it came from.
    #[must_use]
    pub fn with_peer(mut self, peer: IpAddr) -> Self {
        self.peer = Some(peer);
        self
    }

    /// The same with a claim.
    #[must_use]
    pub fn with_claim(mut self, claim: ClaimSecret) -> Self {
        self.claim = Some(claim);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_every_usual_form() {
        let mac = Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        for form in ["52:54:00:12:34:56", "52-54-00-12-34-56", "525400123456"] {
            assert_eq!(form.parse(), Ok(mac));
        }
        assert!(mac.is_station() && !Mac([0xff; 6]).is_station() && !Mac([0; 6]).is_station());
        for bad in [
            "",
            "52:54:00:12:34",
            "52:54:00:12:34:56:78",
            ":525400123456",
            "5:2:5:4:0:0",
            "52:54:00:12:34:5é",
        ] {
            assert_eq!(bad.parse::<Mac>(), Err(ParseError::Mac), "{bad}");
        }
    }

    // SMBIOS 2.6 §7.2.1: the first three fields are little-endian there, big-endian in RFC 9562.
    #[test]
    fn a_guid_matches_in_either_byte_order() {
        let wire: Uuid = "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap();
        assert_eq!(wire.swapped().to_string(), "33221100-5544-7766-8899-aabbccddeeff");
        assert!(wire.matches(wire.swapped()) && wire.is_telling());
        assert!(!Uuid([0; 16]).is_telling() && !Uuid([0xff; 16]).is_telling());
        assert!(!"03000200-0400-0500-0006-000700080009".parse::<Uuid>().unwrap().is_telling());
    }

    #[test]
    fn fillers_contradict_nothing() {
        for filler in
            ["", " ", "0", "00000000", "Default string", "To be filled by O.E.M.", "Not Specified", "xxxxxxx"]
        {
            assert!(!is_telling_serial(filler) && !serials_contradict(filler, "S1A01"), "{filler}");
        }
        assert!(serials_contradict("S1A01", "S1A02") && !serials_contradict("S1A01", " s1a01 "));
    }

    #[test]
    fn a_claim_is_never_printed() {
        let secret = ClaimSecret::new([7; 16]);
        assert_eq!(format!("{secret:?}"), "ClaimSecret(…)");
        assert_eq!(secret.expose().parse(), Ok(secret));
    }
}
