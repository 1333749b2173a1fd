//! Hardware addresses as Go's `net.ParseMAC` reads them: what both originals do with a `mac` label.

/// Reads a MAC address of 6, 8 or 20 octets and writes it with lower-case digits and colons.
///
/// Accepted are `aa:bb:cc:dd:ee:ff`, `aa-bb-cc-dd-ee-ff` and `aabb.ccdd.eeff`; `bare` also admits the digits
/// alone, as Go does since 1.27. Anything else is `None`.
///
/// ```
/// assert_eq!(bootcfg::mac::normalise(b"52-54-00-A1-B2-C3", true).as_deref(), Some("52:54:00:a1:b2:c3"));
/// assert_eq!(bootcfg::mac::normalise(b"525400a1b2c3", false), None);
/// assert_eq!(bootcfg::mac::normalise(b"52:54-00:a1:b2:c3", true), None);
/// ```
pub fn normalise(text: &[u8], bare: bool) -> Option<String> {
    let (group, separator) = match (text.get(2), text.get(4)) {
        (Some(&separator @ (b':' | b'-')), _) => (2, Some(separator)),
        (_, Some(b'.')) => (4, Some(b'.')),
        _ if bare => (2, None),
        _ => return None,
    };
    let mut digits = Vec::with_capacity(40);
    match separator {
        None => digits.extend_from_slice(text),
        Some(separator) => {
            for part in text.split(|&octet| octet == separator) {
                if part.len() != group {
                    return None;
                }
                digits.extend_from_slice(part);
            }
        }
    }
    if !matches!(digits.len(), 12 | 16 | 40) || (separator.is_none() && digits.len() != 12) {
        return None;
    }
    let mut out = String::with_capacity(digits.len() / 2 * 3);
    for (i, digit) in digits.iter().enumerate() {
        if !digit.is_ascii_hexdigit() {
            return None;
        }
        if i > 0 && i % 2 == 0 {
            out.push(':');
        }
        out.push(char::from(digit.to_ascii_lowercase()));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::normalise;

    #[test]
    fn every_form_of_the_corpus() {
        for (text, want) in [
            ("52:54:00:a1:b2:c3", Some("52:54:00:a1:b2:c3")),
            ("5254.00A1.B2C3", Some("52:54:00:a1:b2:c3")),
            ("0123.4567.89ab.cdef", Some("01:23:45:67:89:ab:cd:ef")),
            ("525400a1b2c3", Some("52:54:00:a1:b2:c3")),
            ("52:54:00:a1:b2", None),
            (" 52:54:00:a1:b2:c3", None),
            ("52:54:00:a1:b2:c3:", None),
            ("5254:00a1:b2c3", None),
            ("zz", None),
            ("", None),
        ] {
            assert_eq!(normalise(text.as_bytes(), true).as_deref(), want, "{text}");
        }
    }
}
