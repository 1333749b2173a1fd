//! Whose certificate a client has shown: the common name of its subject (RFC 5280 §4.1.2.6). TLS has verified the
//! certificate before anybody asks here.

/// DER tags (X.690 §8).
const SEQUENCE: u8 = 0x30;
const OBJECT: u8 = 0x06;
const VERSION: u8 = 0xa0;
/// id-at-commonName, 2.5.4.3 (RFC 5280 appendix A.1).
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

/// The subject's common name, made safe to print; `None` where it has none.
pub(crate) fn common_name(certificate: &[u8]) -> Option<String> {
    let (_, whole, _) = element(certificate)?;
    let (_, mut fields, _) = element(whole)?;
    // version, serialNumber, signature, issuer, validity, subject.
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.2;
    }
    for _ in 0..4 {
        fields = element(fields)?.2;
    }
    let (tag, mut names, _) = element(fields)?;
    let mut found = None;
    while tag == SEQUENCE && !names.is_empty() {
        let (_, set, rest) = element(names)?;
        names = rest;
        let (_, attribute, _) = element(set)?;
        let (kind, object, value) = element(attribute)?;
        if kind == OBJECT && object == COMMON_NAME {
            let (_, text, _) = element(value)?;
            found = std::str::from_utf8(text).ok().map(|text| fleet::text::clean(text, 64));
        }
    }
    found.filter(|name| !name.is_empty())
}

/// One element: its tag, its content and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        short @ 0..=0x7f => (usize::from(*short), rest),
        0x81..=0x83 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (octets.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    fn certificate(name: Option<&str>) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["host.example".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "rack");
        if let Some(name) = name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_subject_is_named() {
        assert_eq!(common_name(&certificate(Some("alice"))).as_deref(), Some("alice"));
        assert_eq!(common_name(&certificate(Some("a\u{1b}[2J"))).as_deref(), Some("a\\u{1b}[2J"));
        assert_eq!(common_name(&certificate(None)), None);
    }

    #[test]
    fn no_octets_panic() {
        let whole = certificate(Some("alice"));
        for end in 0..whole.len() {
            common_name(&whole[..end]);
        }
        let mut turned = whole.clone();
        for at in 0..turned.len() {
            turned[at] ^= 0xff;
            common_name(&turned);
            turned[at] ^= 0xff;
        }
    }
}
