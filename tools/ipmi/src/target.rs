//! Ranges to hosts, and host names to addresses.

use std::net::{IpAddr, SocketAddr};

use ipmi::hostrange;

/// Expands ranges; `@FILE` has one range a line (`#` begins a comment).
pub(crate) fn expand<'a>(ranges: impl IntoIterator<Item = &'a str>) -> Result<Vec<String>, String> {
    let mut listed = String::new();
    for range in ranges {
        let Some(path) = range.strip_prefix('@') else {
            listed.push_str(range);
            listed.push(',');
            continue;
        };
        let read = std::fs::read_to_string(path);
        let text = read.map_err(|error| format!("reading hosts from {path}: {error}"))?;
        for line in text.lines() {
            listed.push_str(line.split('#').next().unwrap_or_default());
            listed.push('\n');
        }
    }
    hostrange::expand(&listed).map_err(|error| error.to_string())
}

/// Resolves one host; literal addresses need no resolver.
pub(crate) async fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let found = tokio::net::lookup_host((host, port)).await;
    let mut found = found.map_err(|error| format!("looking up {host}: {error}"))?;
    found.next().ok_or_else(|| format!("looking up {host}: no address"))
}
