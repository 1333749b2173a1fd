//! GUIDs: IPMI's octet order against SMBIOS's and DHCP option 97's, and how they are written.
//!
//! IPMI v2.0 §20.8 sends a GUID least significant octet first: node first, time_low last. SMBIOS 2.6 and
//! DHCP option 97 send the first three fields little-endian and the rest as written. Real BMCs do either,
//! so two values are compared in every order that occurs.

use std::fmt;

/// Sixteen octets as a BMC sent them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Guid(pub [u8; 16]);

/// The UUID of a GUID in IPMI's order (IPMI v2.0 §20.8, table 20-10): all sixteen octets reversed.
///
/// ```
/// let guid = *b"\x0f\x0e\x0d\x0c\x0b\x0a\x09\x08\x07\x06\x05\x04\x03\x02\x01\x00";
/// assert_eq!(ipmi::guid::reversed(guid)[..4], [0, 1, 2, 3]);
/// ```
pub fn reversed(mut guid: [u8; 16]) -> [u8; 16] {
    guid.reverse();
    guid
}

/// Swaps between the order of RFC 4122 and that of SMBIOS and option 97.
pub fn smbios(mut uuid: [u8; 16]) -> [u8; 16] {
    if let Some((first, rest)) = uuid.split_first_chunk_mut::<4>() {
        first.reverse();
        if let Some((second, rest)) = rest.split_first_chunk_mut::<2>() {
            second.reverse();
            if let Some((third, _)) = rest.split_first_chunk_mut::<2>() {
                third.reverse();
            }
        }
    }
    uuid
}

/// Whether a BMC's GUID and a machine's UUID name the same machine, whichever order either was sent in.
/// The all-zero and all-FFh values match nothing: they mean "not set".
///
/// ```
/// use ipmi::guid_matches_uuid;
/// let uuid = *b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
/// let option_97 = *b"\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
/// assert!(guid_matches_uuid(uuid, uuid));
/// assert!(guid_matches_uuid(uuid, option_97));
/// assert!(guid_matches_uuid(ipmi::guid::reversed(uuid), option_97));
/// assert!(!guid_matches_uuid([0; 16], [0; 16]));
/// ```
pub fn guid_matches_uuid(guid: [u8; 16], uuid: [u8; 16]) -> bool {
    if guid == [0; 16] || guid == [0xff; 16] {
        return false;
    }
    let orders = [uuid, smbios(uuid), reversed(uuid), reversed(smbios(uuid))];
    orders.contains(&guid)
}

/// Reads a UUID as people write it: 32 hex digits, dashes anywhere between octets. RFC 4122 order.
///
/// ```
/// let uuid = ipmi::guid::parse("00112233-4455-6677-8899-aabbccddeeff").unwrap();
/// assert_eq!(ipmi::guid::Guid(uuid).to_string(), "00112233-4455-6677-8899-aabbccddeeff");
/// ```
pub fn parse(text: &str) -> Option<[u8; 16]> {
    let mut digits = text.chars().filter(|c| *c != '-');
    let mut octets = [0; 16];
    for octet in &mut octets {
        let (high, low) = (digits.next()?.to_digit(16)?, digits.next()?.to_digit(16)?);
        *octet = (high * 16 + low) as u8;
    }
    digits.next().is_none().then_some(octets)
}

impl fmt::Display for Guid {
    /// Lower case with dashes, octets in the order they are held.
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
