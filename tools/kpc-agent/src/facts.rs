//! What the machine says of itself: SMBIOS through sysfs, network cards, addresses.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// SMBIOS and network facts for the registration.
#[derive(Debug)]
pub(crate) struct Facts {
    /// System UUID, lower case; empty where there is none.
    pub(crate) uuid: String,
    /// System serial number; empty where there is none.
    pub(crate) serial: String,
    /// Who made the system.
    pub(crate) vendor: String,
    /// Its product name.
    pub(crate) product: String,
    /// Objects of `name`, `mac`, `addresses`.
    pub(crate) interfaces: Vec<Value>,
}

impl Facts {
    /// Reads them now; `sys` is where the kernel shows devices.
    pub(crate) fn read(sys: &Path) -> Self {
        let dmi = |name: &str| {
            let text = fs::read_to_string(sys.join("class/dmi/id").join(name)).unwrap_or_default();
            text.trim().to_owned()
        };
        Self {
            uuid: dmi("product_uuid").to_ascii_lowercase(),
            serial: dmi("product_serial"),
            vendor: dmi("sys_vendor"),
            product: dmi("product_name"),
            interfaces: interfaces(sys, &addresses()),
        }
    }
}

fn interfaces(sys: &Path, addresses: &str) -> Vec<Value> {
    let mut names: Vec<String> = fs::read_dir(sys.join("class/net"))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name != "lo")
        .collect();
    names.sort();
    names
        .iter()
        .map(|name| {
            let mac =
                fs::read_to_string(sys.join("class/net").join(name).join("address")).unwrap_or_default();
            json!({ "name": name, "mac": mac.trim(), "addresses": of_interface(addresses, name) })
        })
        .collect()
}

/// `ip -o addr`, one address a line; nothing where the program is missing.
fn addresses() -> String {
    let output = Command::new("ip").args(["-o", "addr", "show"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

/// `2: eth0    inet 10.77.0.100/24 scope global eth0`; link-local addresses say nothing to others.
fn of_interface(lines: &str, name: &str) -> Vec<String> {
    lines
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let interface = words.nth(1)?.trim_end_matches(':');
            let family = words.next()?;
            let address = words.next()?.split('/').next()?;
            let ours = interface.split('@').next() == Some(name) && family.starts_with("inet");
            (ours && !address.starts_with("fe80:")).then(|| address.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_of_one_interface() {
        let lines = "1: lo    inet 127.0.0.1/8 scope host lo\n\
                     2: eth0    inet 10.77.0.100/24 scope global eth0\n\
                     2: eth0    inet6 fe80::1/64 scope link\n\
                     3: eth01    inet 10.9.9.9/24 scope global eth01\n";
        assert_eq!(super::of_interface(lines, "eth0"), ["10.77.0.100"]);
    }
}
