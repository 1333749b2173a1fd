//! What the kernel says of our interfaces and routes, and the lines that a firewall needs.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde::Serialize;

use crate::args::Init;

/// An interface that machines may be on.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Interface {
    /// Its name.
    pub(crate) name: String,
    /// Its first IPv4 address.
    pub(crate) address: Ipv4Addr,
    /// Bits of its network.
    pub(crate) prefix: u32,
    /// Whether the default route leaves by it.
    pub(crate) default_route: bool,
    /// Its Ethernet address.
    pub(crate) mac: Option<fleet::Mac>,
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.name, self.address, self.prefix)?;
        if self.default_route { f.write_str(" (default route)") } else { Ok(()) }
    }
}

/// Interfaces with an IPv4 address, but no loopback.
pub(crate) fn interfaces() -> Result<Vec<Interface>, String> {
    let routes = routes();
    let mut found: Vec<Interface> = Vec::new();
    for one in nix::ifaddrs::getifaddrs().map_err(|error| format!("interfaces: {error}"))? {
        let name = one.interface_name;
        let address = one.address.as_ref().and_then(|address| Some(address.as_sockaddr_in()?.ip()));
        let mask = one.netmask.as_ref().and_then(|mask| Some(mask.as_sockaddr_in()?.ip()));
        let Some(address) = address.filter(|address| !address.is_loopback()) else { continue };
        if found.iter().any(|known| known.name == name) {
            continue;
        }
        found.push(Interface {
            address,
            prefix: mask.map_or(32, |mask| u32::from(mask).count_ones()),
            default_route: routes.iter().any(|route| route.interface == name && route.mask == 0),
            mac: std::fs::read_to_string(format!("/sys/class/net/{name}/address"))
                .ok()
                .and_then(|text| text.trim().parse().ok()),
            name,
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

struct Route {
    interface: String,
    destination: u32,
    mask: u32,
}

/// The IPv4 routes of the main table.
fn routes() -> Vec<Route> {
    let text = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let routes = text.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace();
        let interface = words.next()?.to_owned();
        let number = |text: &str| u32::from_str_radix(text, 16).ok().map(u32::swap_bytes);
        let destination = number(words.next()?)?;
        Some(Route { interface, destination, mask: number(words.nth(5)?)? })
    });
    routes.collect()
}

/// By which interface packets to `address` leave, and whether that is only the default route.
pub(crate) fn route_to(address: Ipv4Addr) -> Option<(String, bool)> {
    let best = routes()
        .into_iter()
        .filter(|route| u32::from(address) & route.mask == route.destination)
        .max_by_key(|route| route.mask)?;
    Some((best.interface, best.mask == 0))
}

/// What is odd about the way to the BMCs.
pub(super) fn bmc_warnings(arguments: &Init, machines: &Interface) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(name) = &arguments.bmc_interface
        && !std::path::Path::new("/sys/class/net").join(name).exists()
    {
        let hint = name.rsplit_once('.').filter(|(_, id)| id.parse::<u16>().is_ok()).map_or_else(
            || format!("no interface {name}"),
            |(device, id)| {
                format!(
                    "no interface {name}; a tagged VLAN is made by: ip link add link {device} name {name} type vlan id {id} && ip link set {name} up && ip addr add ADDRESS/BITS dev {name}"
                )
            },
        );
        warnings.push(hint);
    }
    for range in &arguments.bmc_ranges {
        warnings.extend(way_to(range, arguments.bmc_interface.as_deref().unwrap_or(&machines.name)));
    }
    warnings
}

/// Why the way to this range is not as it should be.
pub(crate) fn way_to(range: &str, wanted: &str) -> Option<String> {
    let first = ipmi::hostrange::expand(range).ok()?.into_iter().next()?;
    let IpAddr::V4(address) = first.parse().ok()? else { return None };
    match route_to(address) {
        None => Some(format!("no route to the BMCs at {range}")),
        Some((by, true)) => Some(format!(
            "the route to the BMCs at {range} is the default gateway's, by {by}: their passwords would leave your network; give this host an address on theirs"
        )),
        Some((by, false)) if by != wanted => {
            Some(format!("packets to the BMCs at {range} leave by {by}, not by {wanted}"))
        }
        Some(_) => None,
    }
}

/// The rules that let booting machines in.
pub(super) fn firewall(interface: &Interface) -> Vec<String> {
    let name = &interface.name;
    vec![
        format!("nft add rule inet filter input iifname \"{name}\" udp dport {{ 67, 69, 4011 }} accept"),
        format!("nft add rule inet filter input iifname \"{name}\" tcp dport 8080 accept"),
        "nft add rule inet filter input ct state established,related accept".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_network_is_reached_without_a_gateway() {
        for interface in interfaces().unwrap() {
            assert!(!interface.address.is_loopback());
            assert!(interface.prefix <= 32);
        }
    }

    #[test]
    fn a_vlan_that_is_missing_is_told_with_its_line() {
        use clap::Parser as _;
        let words = ["kpc", "init", "--bmc-interface", "none0.100", "--yes"];
        let crate::args::Verb::Init(init) = crate::args::Arguments::try_parse_from(words).unwrap().verb
        else {
            panic!("init")
        };
        let interface = Interface {
            name: "eth0".into(),
            address: Ipv4Addr::new(10, 0, 0, 1),
            prefix: 24,
            default_route: false,
            mac: None,
        };
        let warnings = bmc_warnings(&init, &interface);
        assert!(
            warnings[0].contains("ip link add link none0 name none0.100 type vlan id 100"),
            "{warnings:?}"
        );
        assert!(firewall(&interface).iter().any(|rule| rule.contains("4011")));
    }
}
