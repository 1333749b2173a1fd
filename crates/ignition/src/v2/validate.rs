//! The rules of 2.x, as Flatcar's Ignition has them; `level` is the minor version.
//!
//! The reference gives lines but no paths; ours are where its positions point.

use std::collections::HashSet;

use super::{
    Config, Disk, File, Filesystem, HttpHeader, Mount, Owner, Partition, PasswdUser, Raid, Verification,
};
use crate::report::{At, Report};
use crate::source::{Schemes, check_hash, check_header_scheme, check_url};
use crate::unit::{UNIT_EXTENSIONS, extension, has_install};

/// Reports every broken rule.
pub(crate) fn validate(config: &Config, level: u8, report: &mut Report) {
    let root = At::ROOT;
    ignition(config, level, report, &root.key("ignition"));
    let storage = root.key("storage");
    named_filesystems(config, report, &storage);
    let list = storage.key("disks");
    for (index, entry) in config.storage.disks.iter().enumerate() {
        disk(entry, level, report, &list.index(index));
    }
    let list = storage.key("raid");
    for (index, entry) in config.storage.raid.iter().enumerate() {
        raid(entry, report, &list.index(index));
    }
    let list = storage.key("filesystems");
    for (index, entry) in config.storage.filesystems.iter().enumerate() {
        filesystem(entry, level, report, &list.index(index));
    }
    let list = storage.key("files");
    for (index, entry) in config.storage.files.iter().enumerate() {
        file(entry, level, report, &list.index(index));
    }
    let list = storage.key("directories");
    for (index, entry) in config.storage.directories.iter().enumerate() {
        let at = list.index(index);
        node(&entry.filesystem, &entry.path, &entry.user, &entry.group, report, &at);
        mode(entry.mode, level >= 2, report, &at.key("mode"));
    }
    let list = storage.key("links");
    for (index, entry) in config.storage.links.iter().enumerate() {
        node(&entry.filesystem, &entry.path, &entry.user, &entry.group, report, &list.index(index));
    }
    units(config, report);
    let list = root.key("passwd");
    for (index, entry) in config.passwd.users.iter().enumerate() {
        user(entry, level, report, &list.key("users").index(index));
    }
}

fn ignition(config: &Config, level: u8, report: &mut Report, at: &At<'_>) {
    let config_at = at.key("config");
    let append = config_at.key("append");
    for (index, reference) in config.ignition.config.append.iter().enumerate() {
        let at = append.index(index);
        url(&reference.source, level, report, &at.key("source"));
        headers(&reference.http_headers, &reference.source, report, &at.key("httpHeaders"));
        hash(&reference.verification, report, &at);
    }
    if let Some(reference) = &config.ignition.config.replace {
        let at = config_at.key("replace");
        url(&reference.source, level, report, &at.key("source"));
        headers(&reference.http_headers, &reference.source, report, &at.key("httpHeaders"));
        hash(&reference.verification, report, &at);
    }
    let authorities = &config.ignition.security.tls.certificate_authorities;
    let security = at.key("security");
    let list = security.key("tls");
    for (index, reference) in authorities.iter().enumerate() {
        let list = list.key("certificateAuthorities");
        let at = list.index(index);
        url(&reference.source, level, report, &at.key("source"));
        headers(&reference.http_headers, &reference.source, report, &at.key("httpHeaders"));
        hash(&reference.verification, report, &at);
    }
}

fn url(url: &str, level: u8, report: &mut Report, at: &At<'_>) {
    // An empty URL is an empty file.
    if !url.is_empty()
        && let Err((code, message)) = check_url(url, Schemes::V2(level))
    {
        report.error(code, message, at);
    }
}

fn hash(verification: &Verification, report: &mut Report, at: &At<'_>) {
    if let Some(Err((code, message))) = verification.hash.as_deref().map(|hash| check_hash(hash, false)) {
        report.error(code, message, &at.key("verification").key("hash"));
    }
}

fn headers(headers: &[HttpHeader], source: &str, report: &mut Report, at: &At<'_>) {
    if headers.is_empty() {
        return;
    }
    if let Err((code, message)) = check_header_scheme(source) {
        report.error(code, message, at);
    }
    let mut seen = HashSet::new();
    for (index, header) in headers.iter().enumerate() {
        if header.name.is_empty() {
            let message = "HTTP header name can't be empty";
            report.error("http-header-name-can-t-be-empty", message, &at.index(index).key("name"));
        } else if !seen.insert(&header.name) {
            let message = format!("Found duplicate HTTP header: {:?}", header.name);
            report.error("duplicate-http-header", message, &at.index(index).key("name"));
        }
    }
}

/// Nodes name a filesystem; `root` is always there.
fn named_filesystems(config: &Config, report: &mut Report, at: &At<'_>) {
    let storage = &config.storage;
    let mut known = HashSet::from(["root"]);
    let list = at.key("filesystems");
    for (index, filesystem) in storage.filesystems.iter().enumerate() {
        if !known.insert(&filesystem.name) {
            let message = format!("Filesystem {:?} shadows exising filesystem definition", filesystem.name);
            report.warn("filesystem-shadowed", message, &list.index(index).key("name"));
        }
    }
    let files = storage.files.iter().map(|node| (&node.filesystem, &node.path)).enumerate();
    let links = storage.links.iter().map(|node| (&node.filesystem, &node.path)).enumerate();
    let directories = storage.directories.iter().map(|node| (&node.filesystem, &node.path)).enumerate();
    let all = files
        .map(|node| ("files", "File", node))
        .chain(links.map(|node| ("links", "Link", node)))
        .chain(directories.map(|node| ("directories", "Directory", node)));
    for (list, kind, (index, (filesystem, path))) in all {
        if !filesystem.is_empty() && !known.contains(filesystem.as_str()) {
            let message = format!(
                "{kind} {path:?} references nonexistent filesystem {filesystem:?}. \
                 (This is ok if it is defined in a referenced config)"
            );
            report.warn("nonexistent-filesystem", message, &at.key(list).index(index).key("filesystem"));
        }
    }
}

fn path(path: &str, report: &mut Report, at: &At<'_>) {
    if !path.starts_with('/') {
        report.error("path-not-absolute", "path not absolute", at);
    }
}

fn disk(disk: &Disk, level: u8, report: &mut Report, at: &At<'_>) {
    if disk.device.is_empty() {
        report.error("disk-device-is-required", "disk device is required", &at.key("device"));
    } else {
        path(&disk.device, report, &at.key("device"));
    }
    let at = at.key("partitions");
    let (mut numbers, mut taken) = (HashSet::new(), Vec::new());
    for (index, entry) in disk.partitions.iter().enumerate() {
        if entry.number != 0 && !numbers.insert(entry.number) {
            report.error("partition-numbers-collide", "partition numbers collide", &at.index(index));
        }
        let start = entry.start.unwrap_or_default();
        // From 2.3 a partition without size is not compared.
        if start != 0 && (level < 3 || entry.size.is_some()) {
            let size = entry.size.unwrap_or_default();
            let end = if size == 0 { start } else { start.saturating_add(size).saturating_sub(1) };
            taken.push((start, end, index));
        }
        if start & 2047 != 0 {
            report.error("partitions-misaligned", "partitions misaligned", &at.index(index).key("start"));
        }
        partition(entry, level, report, &at.index(index));
    }
    // The reference skips pairs that are equal in every field.
    let equal_only = |index: &usize| {
        let this = disk.partitions.get(*index);
        level < 3
            && disk.partitions.iter().enumerate().all(|(other, entry)| other == *index || Some(entry) == this)
    };
    if let Some(index) =
        crate::partition::overlapping(&mut taken).into_iter().rfind(|index| !equal_only(index))
    {
        report.error("partitions-overlap", "partitions overlap", &at.index(index));
    }
    if level >= 3 {
        let mut partitions = disk.partitions.iter();
        let absent = partitions.clone().any(|entry| entry.should_exist == Some(false));
        if absent && partitions.clone().any(|entry| entry.number == 0) {
            let message = "shouldExist is false for a partition and other partition(s) has start or size 0";
            report.error("shouldexist-is-false-for-a-partition-and-other-partition", message, &at);
        }
        let sectors = partitions.clone().any(|entry| entry.size.is_some() || entry.start.is_some());
        if sectors && partitions.any(|entry| entry.size_mib.is_some() || entry.start_mib.is_some()) {
            units_mixed(report, &at);
        }
    }
}

fn units_mixed(report: &mut Report, at: &At<'_>) {
    report.error("cannot-mix-mbs-and-sectors-within-a-disk", "cannot mix MBs and sectors within a disk", at);
}

fn partition(partition: &Partition, level: u8, report: &mut Report, at: &At<'_>) {
    if let Some(label) = &partition.label {
        if label.len() > 36 {
            let message = "partition labels may not exceed 36 characters";
            report.error("partition-labels-may-not-exceed-36-characters", message, &at.key("label"));
        }
        if label.contains(':') {
            let message = "partition label will be truncated to text before the colon";
            report.warn("partition-label-will-be-truncated-to-text-before-the", message, &at.key("label"));
        }
    }
    for (name, guid) in [("typeGuid", &partition.type_guid), ("guid", &partition.guid)] {
        if !guid.is_empty() && !crate::partition::is_guid(guid) {
            let message = "doesn't match the form \"01234567-89AB-CDEF-EDCB-A98765432101\"";
            report.error("doesn-t-match-the-form", message, &at.key(name));
        }
    }
    if level < 3 {
        return;
    }
    let sectors = partition.start.is_some() || partition.size.is_some();
    if sectors && (partition.start_mib.is_some() || partition.size_mib.is_some()) {
        units_mixed(report, at);
    }
    if partition.should_exist == Some(false)
        && (partition.label.is_some()
            || !partition.type_guid.is_empty()
            || !partition.guid.is_empty()
            || sectors)
    {
        let message = "shouldExist specified false with other options also specified";
        report.error("shouldexist-specified-false-with-other-options-also-specified", message, at);
    }
    let deprecated = crate::report::Severity::Deprecated;
    if partition.size.is_some() {
        report.add(
            deprecated,
            "size-is-deprecated-use-sizemb-instead",
            "size is deprecated; use sizeMB instead",
            &at.key("size"),
        );
    }
    if partition.start.is_some() {
        let message = "start is deprecated; use startMB instead";
        report.add(deprecated, "start-is-deprecated-use-startmb-instead", message, &at.key("start"));
    }
}

fn raid(raid: &Raid, report: &mut Report, at: &At<'_>) {
    match raid.level.as_str() {
        "linear" | "raid0" | "0" | "stripe" if raid.spares != 0 => {
            let message = "spares unsupported for arrays with a level greater than 0";
            report.error("spares-unsupported-for-level", message, &at.key("level"));
        }
        "linear" | "raid0" | "0" | "stripe" => {}
        "raid1" | "1" | "mirror" | "raid4" | "4" | "raid5" | "5" | "raid6" | "6" | "raid10" | "10" => {}
        _ => report.error("unrecognized-raid-level", "unrecognized raid level", &at.key("level")),
    }
    for (index, device) in raid.devices.iter().enumerate() {
        path(device, report, &at.key("devices").index(index));
    }
}

fn filesystem(filesystem: &Filesystem, level: u8, report: &mut Report, at: &At<'_>) {
    if filesystem.path.as_ref().is_some_and(|path| !path.starts_with('/')) {
        if level >= 3 {
            let message = format!("filesystem {:?}: path not absolute", filesystem.name);
            report.error("filesystem-path-not-absolute", message, &at.key("path"));
        } else {
            report.error("path-not-absolute", "path not absolute", &at.key("path"));
        }
    }
    let Some(mount) = &filesystem.mount else {
        if filesystem.path.is_none() {
            report.error("filesystem-is-missing-mount-or-path", "filesystem is missing mount or path", at);
        }
        return;
    };
    if filesystem.path.is_some() {
        let message = "filesystem has both mount and path defined";
        report.error("filesystem-has-both-mount-and-path-defined", message, at);
    }
    let at = at.key("mount");
    path(&mount.device, report, &at.key("device"));
    match mount.format.as_str() {
        "ext4" | "btrfs" | "xfs" => {}
        "swap" | "vfat" if level >= 1 => {}
        _ => report.error("invalid-filesystem-format", "invalid filesystem format", &at.key("format")),
    }
    if level >= 1 {
        label(mount, report, &at.key("label"));
        if mount.create.is_some() {
            if mount.wipe_filesystem {
                let message = "cannot use both create object and wipeFilesystem field";
                report.error("cannot-use-both-create-object-and-wipefilesystem-field", message, &at);
            }
            if !mount.options.is_empty() {
                let message = "cannot use both create object and mount-level options field";
                report.error("cannot-use-both-create-object-and-mount-level-options", message, &at);
            }
            let message = "the create object has been deprecated in favor of mount-level options";
            report.warn("the-create-object-has-been-deprecated-in-favor-of", message, &at.key("create"));
        }
    }
}

fn label(mount: &Mount, report: &mut Report, at: &At<'_>) {
    let (limit, code) = match mount.format.as_str() {
        "ext4" => (16, "filesystem-labels-cannot-be-longer-than-16-characters-when"),
        "btrfs" => (256, "filesystem-labels-cannot-be-longer-than-256-characters-when"),
        "xfs" => (12, "filesystem-labels-cannot-be-longer-than-12-characters-when"),
        "swap" => (15, "filesystem-labels-cannot-be-longer-than-15-characters-when"),
        "vfat" => (11, "filesystem-labels-cannot-be-longer-than-11-characters-when"),
        _ => return,
    };
    if mount.label.as_ref().is_some_and(|label| label.len() > limit) {
        let message =
            format!("filesystem labels cannot be longer than {limit} characters when using {}", mount.format);
        report.error(code, message, at);
    }
}

fn node(
    filesystem: &str,
    node_path: &str,
    user: &Option<Owner>,
    group: &Option<Owner>,
    report: &mut Report,
    at: &At<'_>,
) {
    if filesystem.is_empty() {
        report.error("no-filesystem-specified", "no filesystem specified", at);
    }
    path(node_path, report, &at.key("path"));
    for (name, owner) in [("user", user), ("group", group)] {
        if owner.as_ref().is_some_and(|owner| owner.id.is_some() && !owner.name.is_empty()) {
            report.error("cannot-set-both-id-and-name", "cannot set both id and name", &at.key(name));
        }
    }
}

fn mode(mode: Option<i64>, may_be_unset: bool, report: &mut Report, at: &At<'_>) {
    match mode {
        None if may_be_unset => {
            let message = "permissions unset, defaulting to 0000";
            report.warn("permissions-unset-defaulting-to-0000", message, at);
        }
        Some(mode) if !(0..=0o7777).contains(&mode) => {
            report.error("illegal-file-mode", "illegal file mode", at);
        }
        _ => {}
    }
}

fn file(file: &File, level: u8, report: &mut Report, at: &At<'_>) {
    node(&file.filesystem, &file.path, &file.user, &file.group, report, at);
    mode(file.mode, level >= 2, report, &at.key("mode"));
    if file.overwrite == Some(true) && file.append {
        let message = "cannot set both append and overwrite to true";
        report.error("cannot-set-both-append-and-overwrite-to-true", message, at);
    }
    let (contents, at) = (&file.contents, at.key("contents"));
    if !matches!(contents.compression.as_str(), "" | "gzip") {
        report.error("invalid-compression-method", "invalid compression method", &at.key("compression"));
    }
    url(&contents.source, level, report, &at.key("source"));
    headers(&contents.http_headers, &contents.source, report, &at.key("httpHeaders"));
    hash(&contents.verification, report, &at);
}

fn units(config: &Config, report: &mut Report) {
    let (systemd, networkd) = (At::ROOT.key("systemd"), At::ROOT.key("networkd"));
    let list = systemd.key("units");
    for (index, unit) in config.systemd.units.iter().enumerate() {
        let at = list.index(index);
        if !UNIT_EXTENSIONS.contains(&extension(&unit.name)) {
            report.error("invalid-systemd-unit-extension", "invalid systemd unit extension", &at.key("name"));
        }
        let enabled = unit.enable || unit.enabled == Some(true);
        match has_install(&unit.contents) {
            Err(why) => report.error("unit-syntax", why.to_string(), &at.key("contents")),
            Ok(false) if enabled && !unit.contents.is_empty() => {
                let message = format!(
                    "unit {:?} is enabled, but has no install section so enable does nothing",
                    unit.name
                );
                report.warn("unit-no-install", message, &at.key("contents"));
            }
            Ok(_) => {}
        }
        for (index, dropin) in unit.dropins.iter().enumerate() {
            let code = ("invalid-systemd-drop-in-extension", "invalid systemd drop-in extension");
            let list = at.key("dropins");
            file_of_unit(&dropin.name, &dropin.contents, &[".conf"], code, report, &list.index(index));
        }
    }
    let list = networkd.key("units");
    for (index, unit) in config.networkd.units.iter().enumerate() {
        let at = list.index(index);
        let code = ("invalid-networkd-unit-extension", "invalid networkd unit extension");
        file_of_unit(&unit.name, &unit.contents, &[".link", ".netdev", ".network"], code, report, &at);
        for (index, dropin) in unit.dropins.iter().enumerate() {
            let code = ("invalid-networkd-drop-in-extension", "invalid networkd drop-in extension");
            let list = at.key("dropins");
            file_of_unit(&dropin.name, &dropin.contents, &[".conf"], code, report, &list.index(index));
        }
    }
}

/// A drop-in, or a unit of networkd: syntax and extension.
pub(crate) fn file_of_unit(
    name: &str,
    contents: &str,
    extensions: &[&str],
    (code, message): (&'static str, &str),
    report: &mut Report,
    at: &At<'_>,
) {
    if let Err(why) = has_install(contents) {
        report.error("unit-syntax", why.to_string(), &at.key("contents"));
    }
    if !extensions.contains(&extension(name)) {
        report.error(code, message, &at.key("name"));
    }
}

fn user(user: &PasswdUser, level: u8, report: &mut Report, at: &At<'_>) {
    if user.create.is_none() || level == 0 {
        return;
    }
    let message = "the create object has been deprecated in favor of user-level options";
    report.warn("the-create-object-has-been-deprecated-in-favor-of", message, &at.key("create"));
    for (field, given) in [
        ("gecos", !user.gecos.is_empty()),
        ("groups", !user.groups.is_empty()),
        ("homeDir", !user.home_dir.is_empty()),
        ("noCreateHome", user.no_create_home),
        ("noLogInit", user.no_log_init),
        ("noUserGroup", user.no_user_group),
        ("primaryGroup", !user.primary_group.is_empty()),
        ("shell", !user.shell.is_empty()),
        ("system", user.system),
        ("uid", user.uid.is_some()),
    ] {
        if given {
            let message = format!("cannot use both the create object and the user-level {field} field");
            report.error("cannot-use-both-the-create-object-and-the-user", message, &at.key(field));
        }
    }
}
