//! Host names to addresses.

use std::net::{IpAddr, SocketAddr};

/// Resolves one host; literal addresses need no resolver.
pub(crate) async fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let found = tokio::net::lookup_host((host, port)).await;
    let mut found = found.map_err(|error| format!("looking up {host}: {error}"))?;
    found.next().ok_or_else(|| format!("looking up {host}: no address"))
}
