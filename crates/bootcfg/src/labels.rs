//! The labels of a request: what a machine says about itself in the query string.
//! Read as Go's `url.ParseQuery` does; [`crate::catalog::Catalog::select`] is what looks at them.

use std::collections::BTreeMap;

use crate::compat::Compat;
use crate::mac;

/// Key and value pairs, octets as Go's strings are, in the order of their keys. The first value of a key counts.
///
/// ```
/// use bootcfg::{Compat, Labels};
/// let labels = Labels::from_query(b"mac=52-54-00-AB-CD-EF&os=a+b&os=c&bad=%zz", Compat::Matchbox);
/// assert_eq!(labels.get("mac"), Some("52:54:00:ab:cd:ef"));
/// assert_eq!(labels.get("os"), Some("a b"));
/// assert_eq!(labels.len(), 2);
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Labels {
    pairs: BTreeMap<Box<[u8]>, Box<[u8]>>,
}

/// Why strict mode refuses a query.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// A `%` that is not followed by two hex digits.
    #[error("a `%` in the query is not followed by two hex digits")]
    BadEscape,
    /// A `;`, which some servers take for a separator.
    #[error("a `;` in the query: write `%3B`, or `&` between pairs")]
    Semicolon,
    /// The same key twice.
    #[error("a key is given twice in the query")]
    Repeated,
    /// A control character in a key or value.
    #[error("a control character in the query")]
    Control,
    /// A `mac` that is no hardware address.
    #[error("`mac` is no hardware address")]
    BadMac,
}

impl Labels {
    /// Reads a raw query string (without `?`). Pairs with a bad escape or a `;` are dropped, the others kept. A `mac`
    /// key in any letter case is normalised; one that is no hardware address is dropped.
    pub fn from_query(raw: &[u8], compat: Compat) -> Self {
        let mut labels = Self::default();
        for pair in raw.split(|&octet| octet == b'&') {
            if pair.is_empty() || pair.contains(&b';') {
                continue;
            }
            let (key, value) = split_pair(pair);
            if let (Some(key), Some(value)) = (unescape(key), unescape(value)) {
                labels.pairs.entry(key.into()).or_insert_with(|| value.into());
            }
        }
        labels.normalise_mac(compat);
        labels
    }

    /// Checks what [`Self::from_query`] forgives.
    ///
    /// # Errors
    /// The first fault of the query.
    pub fn check_query(raw: &[u8], compat: Compat) -> Result<(), QueryError> {
        let mut seen = std::collections::BTreeSet::new();
        for pair in raw.split(|&octet| octet == b'&').filter(|pair| !pair.is_empty()) {
            if pair.contains(&b';') {
                return Err(QueryError::Semicolon);
            }
            let (key, value) = split_pair(pair);
            let key = unescape(key).ok_or(QueryError::BadEscape)?;
            let value = unescape(value).ok_or(QueryError::BadEscape)?;
            if key.iter().chain(&value).any(|&octet| octet < 0x20 || octet == 0x7f) {
                return Err(QueryError::Control);
            }
            if key.eq_ignore_ascii_case(b"mac")
                && !value.is_empty()
                && mac::normalise(&value, compat.bare_mac()).is_none()
            {
                return Err(QueryError::BadMac);
            }
            if !seen.insert(key) {
                return Err(QueryError::Repeated);
            }
        }
        Ok(())
    }

    /// Labels as they are, without the reading of `mac`: what gRPC's Select gets.
    pub fn from_pairs<K: AsRef<[u8]>, V: AsRef<[u8]>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let pairs = pairs.into_iter().map(|(k, v)| (k.as_ref().into(), v.as_ref().into())).collect();
        Self { pairs }
    }

    /// The value of a key, if it is UTF-8.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.get_bytes(key).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The value of a key.
    pub fn get_bytes(&self, key: &str) -> Option<&[u8]> {
        self.pairs.get(key.as_bytes()).map(AsRef::as_ref)
    }

    /// All pairs in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.pairs.iter().map(|(k, v)| (k.as_ref(), v.as_ref()))
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    fn normalise_mac(&mut self, compat: Compat) {
        self.pairs.retain(|key, value| {
            if !key.eq_ignore_ascii_case(b"mac") {
                return true;
            }
            match mac::normalise(value, compat.bare_mac()) {
                Some(address) => {
                    *value = address.into_bytes().into();
                    true
                }
                None => false,
            }
        });
    }
}

fn split_pair(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair.iter().position(|&octet| octet == b'=') {
        Some(at) => (pair.get(..at).unwrap_or_default(), pair.get(at + 1..).unwrap_or_default()),
        None => (pair, &[]),
    }
}

/// Go's `url.QueryUnescape`: `+` is a space, `%` needs two hex digits.
fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    percent_decode(text, true)
}

/// Percent-decodes; `plus` turns `+` into a space. `None` for a bad escape.
pub(crate) fn percent_decode(text: &[u8], plus: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&octet) = rest.next() {
        match octet {
            b'%' => {
                let high = char::from(*rest.next()?).to_digit(16)?;
                let low = char::from(*rest.next()?).to_digit(16)?;
                out.push(u8::try_from(high * 16 + low).ok()?);
            }
            b'+' if plus => out.push(b' '),
            other => out.push(other),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(raw: &str) -> Vec<(String, String)> {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        Labels::from_query(raw.as_bytes(), Compat::Matchbox).iter().map(|(k, v)| (text(k), text(v))).collect()
    }

    #[test]
    fn go_drops_the_bad_pairs_and_keeps_the_rest() {
        assert_eq!(
            show("region=a&w=%zz&zone=z"),
            [("region".into(), "a".into()), ("zone".into(), "z".into())]
        );
        assert_eq!(show("region=a;zone=z"), []);
        assert_eq!(show("&&region=a&&x"), [("region".into(), "a".into()), ("x".into(), String::new())]);
        assert_eq!(show("=v"), [(String::new(), "v".into())]);
    }

    #[test]
    fn the_first_mac_counts_even_if_it_is_bad() {
        assert_eq!(show("mac=zz&mac=52:54:00:a1:b2:c3"), []);
        assert_eq!(show("MAC=00-00-00-00-00-0A"), [("MAC".into(), "00:00:00:00:00:0a".into())]);
    }

    #[test]
    fn strict_names_what_go_forgives() {
        let check = |raw: &str| Labels::check_query(raw.as_bytes(), Compat::Strict);
        assert_eq!(check("a=1&b=%20"), Ok(()));
        assert_eq!(check("a=%zz"), Err(QueryError::BadEscape));
        assert_eq!(check("a;b"), Err(QueryError::Semicolon));
        assert_eq!(check("a=1&a=2"), Err(QueryError::Repeated));
        assert_eq!(check("a=%00"), Err(QueryError::Control));
        assert_eq!(check("mac=x"), Err(QueryError::BadMac));
        assert_eq!(check("mac="), Ok(()));
    }
}
