//! The inventory as files for people who keep files: a static inventory, SSH's known_hosts, and reservations
//! for a DHCP server that can be changed.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::{Include, group_vars, groups_of, text, vars_of};
use crate::fleet::Fleet;
use crate::host_keys::host_key;
use crate::machine::Machine;

/// A static inventory (`--static`): the YAML form of Ansible's own, written as JSON, which YAML reads. Sorted;
/// the same bytes for the same fleet. Name the file `.yml`.
pub fn static_text(fleet: &Fleet, include: Include) -> String {
    let hosts: BTreeMap<_, _> = fleet
        .machines()
        .filter(|machine| include.takes(machine))
        .map(|machine| (machine.name.as_str(), vars_of(fleet, machine)))
        .collect();
    let children: BTreeMap<&str, Value> = groups_of(fleet, include)
        .into_iter()
        .map(|(name, members)| {
            let members: BTreeMap<_, _> = members.into_iter().map(|host| (host, json!({}))).collect();
            (name, json!({ "hosts": members, "vars": group_vars(fleet, name) }))
        })
        .collect();
    text(&json!({ "all": { "children": children, "hosts": hosts } }))
}

/// Lines for `known_hosts` (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"): each registered machine's name and address
/// with each host key that it showed; while it shows others, those that it showed before. What is no key of a known type
/// is left out.
pub fn known_hosts(fleet: &Fleet, include: Include) -> String {
    let mut out = String::new();
    for machine in sorted(fleet, include) {
        let address = machine.address.map(|address| format!(",{address}")).unwrap_or_default();
        for key in machine.facts.ssh_host_keys.iter().filter_map(|key| host_key(key)) {
            let _ = writeln!(out, "{}{address} {key}", machine.name); // a String takes what it is given
        }
    }
    out
}

/// Whose configuration reservations are printed for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DhcpServer {
    /// `dhcp-host=` lines (dnsmasq(8)).
    Dnsmasq,
    /// `host { }` blocks (dhcpd.conf(5)).
    Dhcpd,
    /// The elements of Kea's `reservations` list, comma between them (Kea's manual, "Host Reservation in DHCPv4").
    Kea,
}

/// Lines that keep every machine at its present IPv4 address, for a DHCP server that can be changed.
pub fn reservations(fleet: &Fleet, include: Include, server: DhcpServer) -> String {
    let mut out = String::new();
    for machine in sorted(fleet, include) {
        let interface = machine.facts.interfaces.iter().find(|interface| {
            machine.address.is_some_and(|address| address.is_ipv4() && interface.addresses.contains(&address))
        });
        let mac = interface.and_then(|interface| interface.mac).or(machine.macs.first().copied());
        let (Some(mac), Some(address)) = (mac, machine.address.filter(std::net::IpAddr::is_ipv4)) else {
            continue;
        };
        let name = &machine.name;
        if server == DhcpServer::Kea && !out.is_empty() {
            out.insert(out.len() - 1, ',');
        }
        let _ = match server {
            DhcpServer::Dnsmasq => writeln!(out, "dhcp-host={mac},{address},{name}"),
            DhcpServer::Kea => {
                let one = json!({ "hw-address": mac, "ip-address": address, "hostname": name });
                writeln!(out, "{one}")
            }
            DhcpServer::Dhcpd => {
                writeln!(
                    out,
                    "host {name} {{ hardware ethernet {mac}; fixed-address {address}; option host-name \"{name}\"; }}"
                )
            }
        };
    }
    out
}

fn sorted(fleet: &Fleet, include: Include) -> impl Iterator<Item = &Machine> {
    let machines: BTreeMap<_, _> = fleet
        .machines()
        .filter(|machine| include.takes(machine))
        .map(|machine| (&machine.name, machine))
        .collect();
    machines.into_values()
}
