//! The rules of Ignition 1.

use std::collections::HashSet;

use super::{Config, Disk};
use crate::report::{At, Report, Severity};
use crate::unit::{UNIT_EXTENSIONS, extension};

/// Reports every broken rule, and that the format is deprecated.
pub(crate) fn validate(config: &Config, report: &mut Report) {
    let root = At::ROOT;
    let message = "config format deprecated";
    report.add(Severity::Deprecated, "config-format-deprecated", message, &root);
    let storage = root.key("storage");
    for (index, entry) in config.storage.disks.iter().enumerate() {
        disk(entry, report, &storage.key("disks").index(index));
    }
    for (index, raid) in config.storage.raid.iter().enumerate() {
        let list = storage.key("raid");
        let at = list.index(index);
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
    for (index, filesystem) in config.storage.filesystems.iter().enumerate() {
        let list = storage.key("filesystems");
        let at = list.index(index);
        path(&filesystem.device, report, &at.key("device"));
        if !matches!(filesystem.format.as_str(), "ext4" | "btrfs" | "xfs") {
            report.error("invalid-filesystem-format", "invalid filesystem format", &at.key("format"));
        }
        for (index, file) in filesystem.files.iter().enumerate() {
            let list = at.key("files");
            let at = list.index(index);
            path(&file.path, report, &at.key("path"));
            if file.mode & !0o7777 != 0 {
                report.error("illegal-file-mode", "illegal file mode", &at.key("mode"));
            }
        }
    }
    for (index, unit) in config.systemd.units.iter().enumerate() {
        let list = root.key("systemd");
        let list = list.key("units");
        let at = list.index(index);
        if !UNIT_EXTENSIONS.contains(&extension(&unit.name)) {
            report.error("invalid-systemd-unit-extension", "invalid systemd unit extension", &at.key("name"));
        }
        for (index, dropin) in unit.dropins.iter().enumerate() {
            if extension(&dropin.name) != ".conf" {
                let at = at.key("dropins");
                let message = "invalid systemd drop-in extension";
                report.error("invalid-systemd-drop-in-extension", message, &at.index(index).key("name"));
            }
        }
    }
    for (index, unit) in config.networkd.units.iter().enumerate() {
        if !matches!(extension(&unit.name), ".link" | ".netdev" | ".network") {
            let at = root.key("networkd");
            let message = "invalid networkd unit extension";
            report.error(
                "invalid-networkd-unit-extension",
                message,
                &at.key("units").index(index).key("name"),
            );
        }
    }
}

fn path(path: &str, report: &mut Report, at: &At<'_>) {
    if !path.starts_with('/') {
        report.error("path-not-absolute", "path not absolute", at);
    }
}

fn disk(disk: &Disk, report: &mut Report, at: &At<'_>) {
    if disk.device.is_empty() {
        report.error("disk-device-is-required", "disk device is required", &at.key("device"));
    } else {
        path(&disk.device, report, &at.key("device"));
    }
    let at = at.key("partitions");
    let (mut numbers, mut taken) = (HashSet::new(), Vec::new());
    for (index, partition) in disk.partitions.iter().enumerate() {
        let at = at.index(index);
        if !numbers.insert(partition.number) {
            report.error("partition-numbers-collide", "partition numbers collide", &at);
        }
        if partition.start & 2047 != 0 {
            report.error("partitions-misaligned", "partitions misaligned", &at.key("start"));
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
            report.error("partition-type-guid-must-have-the-form-got", message, &at.key("typeGuid"));
        }
        if partition.start != 0 {
            let end = partition.start.saturating_add(partition.size.max(1)).saturating_sub(1);
            taken.push((partition.start, end, index));
        }
    }
    if let Some(index) = crate::partition::overlapping(&mut taken).pop() {
        report.error("partitions-overlap", "partitions overlap", &at.index(index));
    }
}
