//! Two network namespaces joined by a veth pair.

use crate::{CLIENT_NS, Outcome, SERVER_NS};
use std::process::Command;

fn ip(arguments: &str) -> Outcome<()> {
    let output = Command::new("ip").args(arguments.split_whitespace()).output();
    let output = output.map_err(|error| format!("ip {arguments}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// The namespaces; gone with the value.
pub(crate) struct Net;

impl Net {
    pub(crate) fn new() -> Outcome<Self> {
        drop(Self); // what an interrupted run has left
        ip(&format!("netns add {SERVER_NS}"))?;
        let net = Self;
        ip(&format!("netns add {CLIENT_NS}"))?;
        ip(&format!("link add veth-s netns {SERVER_NS} type veth peer name veth-c netns {CLIENT_NS}"))?;
        for (ns, link, address) in
            [(SERVER_NS, "veth-s", "10.99.0.1/24"), (CLIENT_NS, "veth-c", "10.99.0.2/24")]
        {
            ip(&format!("-n {ns} addr add {address} dev {link}"))?;
            ip(&format!("-n {ns} link set {link} up"))?;
            ip(&format!("-n {ns} link set lo up"))?;
        }
        Ok(net)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let _ = ip(&format!("netns del {SERVER_NS}"));
        let _ = ip(&format!("netns del {CLIENT_NS}"));
    }
}

/// Whether somebody listens at the UDP port in the server's namespace.
pub(crate) fn listens(port: u16) -> Outcome<bool> {
    let output = Command::new("ip")
        .args(["netns", "exec", SERVER_NS, "cat", "/proc/net/udp", "/proc/net/udp6"])
        .output()
        .map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&output.stdout).contains(&format!(":{port:04X} ")))
}
