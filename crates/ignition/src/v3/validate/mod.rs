//! The rules of 3.x: everything that is wrong with a config, each finding at the path the reference uses.
//!
//! <https://coreos.github.io/ignition/specs/>; `level` is the minor version. Every check is linear or sorts.

mod device;
mod node;
mod resource;
mod unit;

use std::collections::HashSet;
use std::hash::Hash;

use super::Config;
use crate::report::{At, Report};

/// Reports every broken rule.
pub(crate) fn validate(config: &Config, level: u8, report: &mut Report) {
    let root = At::ROOT;
    resource::ignition(&config.ignition, level, report, &root.key("ignition"));
    node::unit_paths(config, report);
    if level >= 3 {
        let at = root.key("kernelArguments");
        let arguments = &config.kernel_arguments;
        let mut seen = HashSet::new();
        duplicates_into(&mut seen, arguments.should_exist.iter(), report, &at.key("shouldExist"));
        duplicates_into(&mut seen, arguments.should_not_exist.iter(), report, &at.key("shouldNotExist"));
    }
    passwd(config, report, &root.key("passwd"));
    let at = root.key("storage");
    node::nodes(&config.storage, level, report, &at);
    device::disks(&config.storage, report, &at);
    device::filesystems(&config.storage, level, report, &at);
    device::raids(&config.storage, report, &at);
    if level >= 2 {
        device::luks(&config.storage, level, report, &at);
    }
    unit::units(&config.systemd, report, &root.key("systemd"));
}

fn passwd(config: &Config, report: &mut Report, at: &At<'_>) {
    let (groups, users) = (at.key("groups"), at.key("users"));
    duplicates(config.passwd.groups.iter().map(|group| &group.name), report, &groups);
    duplicates(config.passwd.users.iter().map(|user| &user.name), report, &users);
    for (index, user) in config.passwd.users.iter().enumerate() {
        let at = users.index(index);
        duplicates(user.groups.iter(), report, &at.key("groups"));
        duplicates(user.ssh_authorized_keys.iter(), report, &at.key("sshAuthorizedKeys"));
    }
}

/// Reports the elements whose key was there before.
fn duplicates<K: Hash + Eq>(keys: impl Iterator<Item = K>, report: &mut Report, at: &At<'_>) {
    duplicates_into(&mut HashSet::new(), keys, report, at);
}

/// The same for lists that share their keys.
fn duplicates_into<K: Hash + Eq>(
    seen: &mut HashSet<K>,
    keys: impl Iterator<Item = K>,
    report: &mut Report,
    at: &At<'_>,
) {
    for (index, key) in keys.enumerate() {
        if !seen.insert(key) {
            report.error("duplicate-entry-defined", "duplicate entry defined", &at.index(index));
        }
    }
}

/// Reports a broken rule about a path.
fn path(path: &str, report: &mut Report, at: &At<'_>) {
    if let Err((code, message)) = crate::path::check(path) {
        report.error(code, message, at);
    }
}

fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}
