//! Ranges of hosts as operators write them: `10.100.0.1-254`, `bmc[1-40,50]`, `10.1.0.0/24`, lists of these.
//!
//! Pure text to text: names are resolved and files are read by tools.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most hosts one expansion gives without being asked for more.
pub const MAX_HOSTS: usize = 65_536;

/// A range that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HostRangeError {
    /// It is not of a known form.
    #[error("{0:?} is no host range; write 10.0.0.1-254, bmc[1-40], 10.0.0.0/24 or a name")]
    Syntax(String),
    /// It names more than [`MAX_HOSTS`] hosts.
    #[error("{0:?} names more than {MAX_HOSTS} hosts")]
    TooMany(String),
}

/// Expands a comma-separated list of ranges, in order.
///
/// ```
/// use ipmi::hostrange::expand;
/// assert_eq!(expand("10.0.0.1-3").unwrap(), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
/// assert_eq!(expand("bmc[08-10,12],x").unwrap(), ["bmc08", "bmc09", "bmc10", "bmc12", "x"]);
/// assert_eq!(expand("10.0.0.0/30").unwrap(), ["10.0.0.1", "10.0.0.2"]);
/// ```
///
/// # Errors
/// The text is of no known form or names too many hosts.
pub fn expand(text: &str) -> Result<Vec<String>, HostRangeError> {
    let mut hosts = Vec::new();
    for item in split(text) {
        expand_one(item, &mut hosts)?;
        if hosts.len() > MAX_HOSTS {
            return Err(HostRangeError::TooMany(text.to_owned()));
        }
    }
    if hosts.is_empty() { Err(HostRangeError::Syntax(text.to_owned())) } else { Ok(hosts) }
}

/// Splits at commas and blanks outside brackets.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0i32;
    text.split(move |c: char| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        depth <= 0 && (c == ',' || c.is_whitespace())
    })
    .filter(|item| !item.is_empty())
}

fn expand_one(item: &str, hosts: &mut Vec<String>) -> Result<(), HostRangeError> {
    let syntax = || HostRangeError::Syntax(item.to_owned());
    if let Some((address, prefix)) = item.split_once('/') {
        let address: IpAddr = address.parse().map_err(|_| syntax())?;
        let prefix: u32 = prefix.parse().map_err(|_| syntax())?;
        return expand_cidr(item, address, prefix, hosts);
    }
    if let Some((prefix, rest)) = item.split_once('[') {
        if item.parse::<IpAddr>().is_ok() {
            return Err(syntax());
        }
        let (list, suffix) = rest.split_once(']').ok_or_else(syntax)?;
        let mut tails = Vec::new();
        if suffix.contains('[') {
            expand_one(suffix, &mut tails)?;
        } else {
            tails.push(suffix.to_owned());
        }
        for part in list.split(',') {
            for number in numbers(part).ok_or_else(syntax)? {
                hosts.extend(tails.iter().map(|tail| format!("{prefix}{number}{tail}")));
                if hosts.len() > MAX_HOSTS {
                    return Err(HostRangeError::TooMany(item.to_owned()));
                }
            }
        }
        return Ok(());
    }
    if let Some((first, last)) = item.split_once('-')
        && let Ok(first) = first.parse::<Ipv4Addr>()
    {
        let last = match last.parse::<Ipv4Addr>() {
            Ok(last) => last,
            Err(_) => {
                let [a, b, c, _] = first.octets();
                Ipv4Addr::new(a, b, c, last.parse().map_err(|_| syntax())?)
            }
        };
        let (first, last) = (u32::from(first), u32::from(last));
        if first > last {
            return Err(syntax());
        }
        if (last - first) as usize >= MAX_HOSTS {
            return Err(HostRangeError::TooMany(item.to_owned()));
        }
        hosts.extend((first..=last).map(|n| Ipv4Addr::from(n).to_string()));
        return Ok(());
    }
    let name = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
    if !item.chars().all(name) {
        return Err(syntax());
    }
    hosts.push(item.to_owned());
    Ok(())
}

/// `3` or `1-40`; leading zeros fix the width.
fn numbers(part: &str) -> Option<Vec<String>> {
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    let digits = |s: &str| !s.is_empty() && s.len() <= 9 && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return None;
    }
    let width = if first.starts_with('0') { first.len() } else { 0 };
    let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
    if first > last || last - first > MAX_HOSTS {
        return None;
    }
    Some((first..=last).map(|n| format!("{n:0width$}")).collect())
}

/// Host addresses of a network: without network and broadcast address below /31 (IPv4).
fn expand_cidr(
    item: &str,
    address: IpAddr,
    prefix: u32,
    hosts: &mut Vec<String>,
) -> Result<(), HostRangeError> {
    let bits = if address.is_ipv4() { 32 } else { 128 };
    if prefix > bits {
        return Err(HostRangeError::Syntax(item.to_owned()));
    }
    if bits - prefix > 16 {
        return Err(HostRangeError::TooMany(item.to_owned()));
    }
    let count = 1u128 << (bits - prefix);
    match address {
        IpAddr::V4(address) => {
            let base = u128::from(u32::from(address)) & !(count - 1);
            let inner = if prefix < 31 { base + 1..base + count - 1 } else { base..base + count };
            hosts.extend(inner.map(|n| Ipv4Addr::from(n as u32).to_string()));
        }
        IpAddr::V6(address) => {
            let base = u128::from(address) & !(count - 1);
            hosts.extend((base..base + count).map(|n| Ipv6Addr::from(n).to_string()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        assert_eq!(expand("10.0.0.254-10.0.1.1").unwrap().len(), 4);
        assert_eq!(expand("10.0.0.7").unwrap(), ["10.0.0.7"]);
        assert_eq!(expand("r[1-2]n[1-2].x").unwrap(), ["r1n1.x", "r1n2.x", "r2n1.x", "r2n2.x"]);
        assert_eq!(expand("fe80::1").unwrap(), ["fe80::1"]);
        assert_eq!(expand("10.0.0.0/31").unwrap().len(), 2);
        assert_eq!(expand("fd00::/126").unwrap().len(), 4);
        assert_eq!(expand("my-host,other-1").unwrap(), ["my-host", "other-1"]);
    }

    #[test]
    fn refusals() {
        for text in ["", "a[1-", "a[x]", "10.0.0.9-3", "10.0.0.0/33", "a b;c", "10.0.0.1-300"] {
            assert!(expand(text).is_err(), "{text}");
        }
        assert!(matches!(expand("10.0.0.0/8"), Err(HostRangeError::TooMany(_))));
        assert!(matches!(expand("a[0-60000]b[0-60000]"), Err(HostRangeError::TooMany(_))));
        assert!(matches!(expand("1.0.0.0-9.0.0.0"), Err(HostRangeError::TooMany(_))));
    }
}
