//! Rules for files, directories and links: paths, owners, and what they do to each other.

use std::collections::HashSet;

use super::resource::resource;
use super::{duplicates_into, filled};
use crate::report::{At, Report};
use crate::v3::{Config, NodeGroup, NodeUser, Storage};

/// Paths that the config's units take.
pub(super) fn unit_paths(config: &Config, report: &mut Report) {
    let storage = &config.storage;
    if storage.files.is_empty() && storage.directories.is_empty() && storage.links.is_empty() {
        return;
    }
    let mut taken = HashSet::new();
    for unit in &config.systemd.units {
        if filled(&unit.contents).is_some() {
            taken.insert(format!("/etc/systemd/system/{}", unit.name));
        }
        for dropin in unit.dropins.iter().filter(|dropin| filled(&dropin.contents).is_some()) {
            taken.insert(format!("/etc/systemd/system/{}.d/{}", unit.name, dropin.name));
        }
    }
    let files = storage.files.iter().map(|node| &node.path).enumerate().map(|node| ("files", node));
    let directories =
        storage.directories.iter().map(|node| &node.path).enumerate().map(|node| ("directories", node));
    let links = storage.links.iter().map(|node| &node.path).enumerate().map(|node| ("links", node));
    for (list, (index, path)) in files.chain(directories).chain(links) {
        if taken.contains(path) {
            let message = "path conflicts with systemd unit or dropin";
            let at = At::ROOT.key("storage");
            report.error(
                "path-conflicts-with-systemd-unit-or-dropin",
                message,
                &at.key(list).index(index).key("path"),
            );
        }
    }
}

/// Files, directories and links.
pub(super) fn nodes(storage: &Storage, level: u8, report: &mut Report, at: &At<'_>) {
    let links: HashSet<&str> = storage.links.iter().map(|link| link.path.as_str()).collect();
    let directories: HashSet<&str> = storage.directories.iter().map(|node| node.path.as_str()).collect();
    let mut seen = HashSet::new();
    let list = at.key("directories");
    for (index, node) in storage.directories.iter().enumerate() {
        let at = list.index(index);
        path_and_owner(&node.path, &node.user, &node.group, report, &at);
        mode(node.mode, level, report, &at);
        if below(&node.path, &links) {
            let message = "directory path includes link in config";
            report.error("directory-path-includes-link-in-config", message, &at);
        }
    }
    duplicates_into(&mut seen, storage.directories.iter().map(|node| node.path.as_str()), report, &list);
    let list = at.key("files");
    for (index, file) in storage.files.iter().enumerate() {
        let at = list.index(index);
        path_and_owner(&file.path, &file.user, &file.group, report, &at);
        mode(file.mode, level, report, &at);
        if file.overwrite == Some(true) && file.contents.source.is_none() {
            let message = "overwrite must be false if source is unspecified";
            report.error("overwrite-must-be-false-if-source-is-unspecified", message, &at.key("overwrite"));
        }
        resource(&file.contents, level, report, &at.key("contents"));
        for (index, part) in file.append.iter().enumerate() {
            resource(part, level, report, &at.key("append").index(index));
        }
        if below(&file.path, &links) {
            report.error("file-path-includes-link-in-config", "file path includes link in config", &at);
        }
    }
    duplicates_into(&mut seen, storage.files.iter().map(|node| node.path.as_str()), report, &list);
    let list = at.key("links");
    for (index, link) in storage.links.iter().enumerate() {
        let at = list.index(index);
        path_and_owner(&link.path, &link.user, &link.group, report, &at);
        if below(&link.path, &links) {
            report.error("link-path-includes-link-in-config", "link path includes link in config", &at);
        }
        let target = link.target.as_deref().unwrap_or_default();
        if target.is_empty() && level >= 3 {
            report.error("link-target-is-required", "link target is required", &at.key("target"));
            continue;
        }
        if link.hard != Some(true) {
            continue;
        }
        let mut absolute = crate::path::clean(target);
        if !absolute.starts_with('/') {
            absolute = crate::path::clean(&format!("{}/{target}", link.path));
        }
        if directories.contains(absolute.as_str()) {
            report.error("hard-link-target-is-a-directory", "hard link target is a directory", &at);
        }
        let owners = [
            ("user", "id", link.user.id.is_some()),
            ("user", "name", link.user.name.is_some()),
            ("group", "id", link.group.id.is_some()),
            ("group", "name", link.group.name.is_some()),
        ];
        for (owner, field, _) in owners.into_iter().filter(|(_, _, given)| *given) {
            let message = "user/group ignored for hard link";
            report.warn("user-group-ignored-for-hard-link", message, &at.key(owner).key(field));
        }
    }
    duplicates_into(&mut seen, storage.links.iter().map(|node| node.path.as_str()), report, &list);
}

/// Whether a directory on the way to `path` is a link of the config.
fn below(path: &str, links: &HashSet<&str>) -> bool {
    !links.is_empty()
        && path
            .match_indices('/')
            .any(|(slash, _)| path.get(..slash).is_some_and(|above| links.contains(above)))
}

fn path_and_owner(path: &str, user: &NodeUser, group: &NodeGroup, report: &mut Report, at: &At<'_>) {
    super::path(path, report, &at.key("path"));
    for (owner, id, name) in [("user", user.id, &user.name), ("group", group.id, &group.name)] {
        if id.is_some() && filled(name).is_some() {
            report.error("cannot-set-both-id-and-name", "cannot set both id and name", &at.key(owner));
        }
    }
}

fn mode(mode: Option<i64>, level: u8, report: &mut Report, at: &At<'_>) {
    let Some(mode) = mode else { return };
    if !(0..=0o7777).contains(&mode) {
        report.error("illegal-file-mode", "illegal file mode", &at.key("mode"));
    }
    if level < 6 && mode & 0o7000 != 0 {
        let message =
            "setuid/setgid/sticky bits are not supported or functional in spec versions older than 3.6.0";
        report.warn("setuid-setgid-sticky-bits-are-not-supported-or-functional", message, &at.key("mode"));
    }
}
