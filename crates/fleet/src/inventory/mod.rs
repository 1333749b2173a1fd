//! The Ansible inventory: sorted, byte-stable, types kept, and nothing in it that a machine could turn into
//! code. A value with `{{` runs on the deploy host, so every string that a machine chose is reduced to an
//! allow-list first; names and groups are ours.

mod files;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

pub use files::{DhcpServer, known_hosts, reservations, static_text};

use crate::fleet::Fleet;
use crate::machine::{Lifecycle, Machine};
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
    let machines = fleet.machines().filter(|machine| include.takes(machine));
    let hostvars: BTreeMap<_, _> =
        machines.map(|machine| (machine.name.as_str(), vars_of(fleet, machine))).collect();
    let mut out = BTreeMap::from([("_meta", json!({ "hostvars": hostvars }))]);
    for (name, hosts) in groups_of(fleet, include) {
        let vars = fleet.vars.get(&format!("group:{name}")).cloned().unwrap_or_default();
        out.insert(name, json!({ "hosts": hosts, "vars": vars }));
    }
    json!(out)
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

/// The text of `--list`: pretty, keys sorted, a newline at the end; the same bytes for the same fleet.
pub fn list_text(fleet: &Fleet, include: Include) -> String {
    format!("{:#}\n", list(fleet, include))
}

/// The variables of one host. Operators' own win over ours.
fn vars_of(fleet: &Fleet, machine: &Machine) -> BTreeMap<String, Value> {
    let mut vars: BTreeMap<String, Value> = BTreeMap::new();
    if let Some(address) = machine.address {
        vars.insert("ansible_host".into(), json!(address));
    }
    if let Some(mac) = machine.macs.first() {
        vars.insert("kpc_mac".into(), json!(mac.to_string().replace(':', "-")));
    }
    if let Some(uuid) = machine.uuid {
        vars.insert("kpc_uuid".into(), json!(uuid));
    }
    if let Some(serial) = &machine.serial {
        vars.insert("kpc_serial".into(), json!(inert(serial, 64)));
    }
    if let Some(bmc) = &machine.bmc {
        vars.insert("kpc_bmc".into(), json!(bmc.address));
    }
    if let Some(rack) = &machine.rack {
        vars.insert("kpc_rack".into(), json!(rack));
    }
    let named = machine.facts.interfaces.iter().find(|interface| {
        interface.addresses.iter().any(|address| Some(*address) == machine.address)
            && !interface.name.is_empty()
    });
    if let Some(interface) = named {
        vars.insert("network_interface".into(), json!(inert(&interface.name, 15)));
    }
    let own = fleet.vars.get(&format!("host:{}", machine.name));
    vars.extend(own.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
    vars
}
