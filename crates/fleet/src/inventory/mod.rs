//! The Ansible inventory: sorted, byte-stable, types kept, and nothing in it that a machine could turn into
//! code. A value with `{{` runs on the deploy host, so every string that a machine chose is reduced to an
//! allow-list first; names and groups are ours.

mod files;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Value, json};

pub use files::{DhcpServer, known_hosts, reservations, static_text};

use crate::fleet::Fleet;
use crate::identity::Uuid;
use crate::machine::{Lifecycle, Machine};
use crate::record::Vars;
use crate::text::inert;

/// Which machines an inventory lists.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Include {
    /// Those whose system registered: Ansible hangs on the others.
    #[default]
    Registered,
    /// All that are in service (`--all-states`).
    AllStates,
}

impl Include {
    fn takes(self, machine: &Machine) -> bool {
        match self {
            Self::Registered => machine.lifecycle == Lifecycle::Registered,
            Self::AllStates => !matches!(machine.lifecycle, Lifecycle::Retired | Lifecycle::Found),
        }
    }
}

/// What `--list` prints: groups and `_meta.hostvars` (always, or Ansible asks once per host).
pub fn list(fleet: &Fleet, include: Include) -> Value {
    json!(listed(fleet, include))
}

/// The text of `--list`: pretty, keys sorted, a newline at the end; the same bytes for the same fleet.
pub fn list_text(fleet: &Fleet, include: Include) -> String {
    text(&listed(fleet, include))
}

/// A part of the list, under its name.
#[derive(Serialize)]
#[serde(untagged)]
enum Part<'a> {
    Meta { hostvars: BTreeMap<&'a str, HostVars<'a>> },
    Group { hosts: BTreeSet<&'a str>, vars: &'a Vars },
}

fn listed(fleet: &Fleet, include: Include) -> BTreeMap<&str, Part<'_>> {
    let machines = fleet.machines().filter(|machine| include.takes(machine));
    let hostvars = machines.map(|machine| (machine.name.as_str(), vars_of(fleet, machine))).collect();
    let mut out = BTreeMap::from([("_meta", Part::Meta { hostvars })]);
    for (name, hosts) in groups_of(fleet, include) {
        out.insert(name, Part::Group { hosts, vars: group_vars(fleet, name) });
    }
    out
}

/// Pretty, with a newline at the end.
fn text(value: &impl Serialize) -> String {
    // Only a map with keys that are no strings, or a writer, could refuse.
    serde_json::to_string_pretty(value).map(|text| text + "\n").unwrap_or_default()
}

/// The variables of a group.
fn group_vars<'a>(fleet: &'a Fleet, name: &str) -> &'a Vars {
    const NONE: &Vars = &Vars::new();
    fleet.vars.get(&format!("group:{name}")).unwrap_or(NONE)
}

/// The groups and their hosts, both sorted: roles, groups with variables, and `kpc`, which holds all.
fn groups_of(fleet: &Fleet, include: Include) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for machine in fleet.machines().filter(|machine| include.takes(machine)) {
        for role in machine.roles.iter().map(String::as_str).chain(["kpc"]) {
            groups.entry(role).or_default().insert(&machine.name);
        }
    }
    for group in fleet.vars.keys().filter_map(|scope| scope.strip_prefix("group:")) {
        groups.entry(group).or_default();
    }
    groups
}

/// What `--host NAME` prints; an unknown or unlisted host is `{}`.
pub fn host(fleet: &Fleet, name: &str, include: Include) -> Value {
    let machine = fleet.machine_named(name).filter(|machine| include.takes(machine));
    json!(machine.map(|machine| vars_of(fleet, machine)).unwrap_or_default())
}

/// A variable: ours, or an operator's own.
#[derive(Serialize)]
#[serde(untagged)]
enum Var<'a> {
    Address(IpAddr),
    Text(Cow<'a, str>),
    Uuid(Uuid),
    Own(&'a Value),
}

/// Variables of one host, by name.
type HostVars<'a> = BTreeMap<&'a str, Var<'a>>;

/// The variables of one host. Operators' own win over ours.
fn vars_of<'a>(fleet: &'a Fleet, machine: &'a Machine) -> HostVars<'a> {
    let mut vars = HostVars::new();
    if let Some(address) = machine.address {
        vars.insert("ansible_host", Var::Address(address));
    }
    if let Some(mac) = machine.macs.first() {
        vars.insert("kpc_mac", Var::Text(mac.to_string().replace(':', "-").into()));
    }
    if let Some(uuid) = machine.uuid {
        vars.insert("kpc_uuid", Var::Uuid(uuid));
    }
    if let Some(serial) = &machine.serial {
        vars.insert("kpc_serial", Var::Text(inert(serial, 64).into()));
    }
    if let Some(bmc) = &machine.bmc {
        vars.insert("kpc_bmc", Var::Address(bmc.address));
    }
    if let Some(rack) = &machine.rack {
        vars.insert("kpc_rack", Var::Text(rack.into()));
    }
    let named = machine.facts.interfaces.iter().find(|interface| {
        interface.addresses.iter().any(|address| Some(*address) == machine.address)
            && !interface.name.is_empty()
    });
    if let Some(interface) = named {
        vars.insert("network_interface", Var::Text(inert(&interface.name, 15).into()));
    }
    let own = fleet.vars.get(&format!("host:{}", machine.name));
    vars.extend(own.into_iter().flatten().map(|(key, value)| (key.as_str(), Var::Own(value))));
    vars
}
