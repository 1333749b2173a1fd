//! The rules of Ignition 2.0.0 that Fuze applies to what it makes, reported on the YAML.

use std::collections::HashSet;

use super::model::{Config, ConfigReference, Disk, Filesystem, Raid, Verification};
use crate::report::{At, Report};
use crate::size;
use crate::url::Url;

/// Reports everything that bootcfg v0.4.0 would refuse.
pub(super) fn check(config: &Config, report: &mut Report) {
    let root = At::ROOT;
    let ignition = root.key("ignition");
    let at = ignition.key("config");
    for (index, reference) in config.ignition.config.append.iter().enumerate() {
        check_reference(reference, report, &at.key("append").index(index));
    }
    if let Some(reference) = &config.ignition.config.replace {
        check_reference(reference, report, &at.key("replace"));
    }
    let storage = root.key("storage");
    for (index, disk) in config.storage.disks.iter().enumerate() {
        check_disk(disk, report, &storage.key("disks").index(index));
    }
    for (index, raid) in config.storage.raid.iter().enumerate() {
        check_raid(raid, report, &storage.key("raid").index(index));
    }
    for (index, filesystem) in config.storage.filesystems.iter().enumerate() {
        check_filesystem(filesystem, report, &storage.key("filesystems").index(index));
    }
    for (index, file) in config.storage.files.iter().enumerate() {
        let files = storage.key("files");
        let at = files.index(index);
        check_path(&file.path, report, &at.key("path"));
        if !(0..=0o7777).contains(&(file.mode & 0xFFFF_FFFF)) {
            report.error("illegal-file-mode", "illegal file mode", &at.key("mode"));
        }
        let contents = at.key("contents");
        let (remote, at) = (&file.contents.remote, contents.key("remote"));
        if !remote.url.is_empty() {
            check_url(&remote.url, report, &at.key("url"));
        }
        if !matches!(remote.compression.as_str(), "" | "gzip") {
            report.error("invalid-compression-method", "invalid compression method", &at.key("compression"));
        }
        check_verification(&remote.verification, report, &at);
    }
    let systemd = root.key("systemd");
    for (index, unit) in config.systemd.units.iter().enumerate() {
        let units = systemd.key("units");
        let at = units.index(index);
        if !crate::unit::UNIT_EXTENSIONS.contains(&crate::unit::extension(&unit.name)) {
            report.error("invalid-systemd-unit-extension", "invalid systemd unit extension", &at.key("name"));
        }
        for (index, dropin) in unit.dropins.iter().enumerate() {
            if crate::unit::extension(&dropin.name) != ".conf" {
                let (message, dropins) = ("invalid systemd unit drop-in extension", at.key("dropins"));
                report.error(
                    "invalid-systemd-unit-drop-in-extension",
                    message,
                    &dropins.index(index).key("name"),
                );
            }
        }
    }
    let networkd = root.key("networkd");
    for (index, unit) in config.networkd.units.iter().enumerate() {
        if !matches!(crate::unit::extension(&unit.name), ".link" | ".netdev" | ".network") {
            let at = networkd.key("units");
            report.error(
                "invalid-networkd-unit-extension",
                "invalid networkd unit extension",
                &at.index(index).key("name"),
            );
        }
    }
}

fn check_reference(reference: &ConfigReference, report: &mut Report, at: &At<'_>) {
    check_url(&reference.source, report, &at.key("source"));
    check_verification(&reference.verification, report, at);
}

fn check_url(url: &str, report: &mut Report, at: &At<'_>) {
    if let Err(why) = Url::parse(url, false) {
        report.error("unable-to-parse-url", format!("unable to parse url: {}", why.0), at);
    }
}

fn check_verification(verification: &Verification, report: &mut Report, at: &At<'_>) {
    let at = at.key("verification");
    let (hash, at) = (&verification.hash, at.key("hash"));
    if hash.function.is_empty() || hash.sum.is_empty() {
        return; // half a hash is dropped: fuze convert.go convertVerification
    }
    if hash.function != "sha512" {
        report.error("unrecognized-hash-function", "unrecognized hash function", &at.key("function"));
    } else if hash.sum.len() != 128 {
        report.error("incorrect-size-for-hash-sum", "incorrect size for hash sum", &at.key("sum"));
    }
}

fn check_path(path: &str, report: &mut Report, at: &At<'_>) {
    if !path.starts_with('/') {
        report.error("path-not-absolute", "path not absolute", at);
    }
}

fn check_disk(disk: &Disk, report: &mut Report, at: &At<'_>) {
    if disk.device.is_empty() {
        report.error("disk-device-is-required", "disk device is required", &at.key("device"));
    } else {
        check_path(&disk.device, report, &at.key("device"));
    }
    let mut numbers = HashSet::new();
    let mut taken = Vec::new();
    for (index, partition) in disk.partitions.iter().enumerate() {
        let partitions = at.key("partitions");
        let at = partitions.index(index);
        let mut sectors = |text: &str, name: &str| {
            size::sectors(text).unwrap_or_else(|why| {
                report.error("bad-dimension", why, &at.key(name));
                0
            })
        };
        let (start, size) = (sectors(&partition.start, "start"), sectors(&partition.size, "size"));
        if start % 2048 != 0 {
            let message = format!("disk {:?}: partitions misaligned", disk.device);
            report.error("disk-partitions-misaligned", message, &at.key("start"));
        }
        if !numbers.insert(partition.number) {
            let message = format!("disk {:?}: partition numbers collide", disk.device);
            report.error("disk-partition-numbers-collide", message, &at.key("number"));
        }
        if partition.label.len() > 36 {
            let message = "partition labels may not exceed 36 characters";
            report.error("partition-labels-may-not-exceed-36-characters", message, &at.key("label"));
        }
        if !partition.type_guid.is_empty() && !crate::partition::is_guid(&partition.type_guid) {
            let message = format!(
                "partition type-guid must have the form \"01234567-89AB-CDEF-EDCB-A98765432101\", got: {:?}",
                partition.type_guid
            );
            report.error("partition-type-guid-must-have-the-form-got", message, &at.key("type_guid"));
        }
        if start != 0 {
            taken.push((start, start.saturating_add(size.max(1) - 1), index));
        }
    }
    for index in crate::partition::overlapping(&mut taken) {
        let message = format!("disk {:?}: partitions overlap", disk.device);
        report.error("disk-partitions-overlap", message, &at.key("partitions").index(index));
    }
}

fn check_raid(raid: &Raid, report: &mut Report, at: &At<'_>) {
    match raid.level.as_str() {
        "linear" | "raid0" | "0" | "stripe" => {
            if raid.spares != 0 {
                let message = format!("spares unsupported for {:?} arrays", raid.level);
                report.error("spares-unsupported-for-level", message, &at.key("level"));
            }
        }
        "raid1" | "1" | "mirror" | "raid4" | "4" | "raid5" | "5" | "raid6" | "6" | "raid10" | "10" => {}
        level => {
            let message = format!("unrecognized raid level: {level:?}");
            report.error("unrecognized-raid-level", message, &at.key("level"));
        }
    }
    for (index, device) in raid.devices.iter().enumerate() {
        check_path(device, report, &at.key("devices").index(index));
    }
}

fn check_filesystem(filesystem: &Filesystem, report: &mut Report, at: &At<'_>) {
    if let Some(mount) = &filesystem.mount {
        let at = at.key("mount");
        check_path(&mount.device, report, &at.key("device"));
        if !matches!(mount.format.as_str(), "ext4" | "btrfs" | "xfs") {
            report.error("invalid-filesystem-format", "invalid filesystem format", &at.key("format"));
        }
    }
    if !filesystem.path.is_empty() {
        check_path(&filesystem.path, report, &at.key("path"));
    }
    match (&filesystem.mount, filesystem.path.is_empty()) {
        (None, true) => {
            let message = "filesystem is missing mount or path";
            report.error("filesystem-is-missing-mount-or-path", message, at);
        }
        (Some(_), false) => {
            let message = "filesystem has both mount and path defined";
            report.error("filesystem-has-both-mount-and-path-defined", message, at);
        }
        _ => {}
    }
}
