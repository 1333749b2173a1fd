//! Rules for disks, partitions, filesystems, arrays and encrypted volumes.

use std::collections::{HashMap, HashSet};

use super::resource::resource;
use super::{duplicates, filled};
use crate::report::{At, Report};
use crate::source::{Schemes, check_url};
use crate::url::Url;
use crate::v3::{Clevis, Disk, Filesystem, Luks, Partition, Storage, Tang};

/// What makes two partitions of a disk the same.
#[derive(Eq, Hash, PartialEq)]
pub(crate) enum PartitionKey<'p> {
    Number(i64),
    Label(&'p str),
    None,
}

impl Partition {
    pub(crate) fn key(&self) -> PartitionKey<'_> {
        match (self.number, &self.label) {
            (0, Some(label)) => PartitionKey::Label(label),
            (0, None) => PartitionKey::None,
            (number, _) => PartitionKey::Number(number),
        }
    }
}

pub(super) fn disks(storage: &Storage, report: &mut Report, at: &At<'_>) {
    let list = at.key("disks");
    for (index, disk) in storage.disks.iter().enumerate() {
        let at = list.index(index);
        if disk.device.is_empty() {
            report.error("disk-device-is-required", "disk device is required", &at.key("device"));
        } else {
            super::path(&disk.device, report, &at.key("device"));
            table(disk, report, &at.key("partitions"));
        }
        let partitions = at.key("partitions");
        for (index, entry) in disk.partitions.iter().enumerate() {
            partition(entry, report, &partitions.index(index));
        }
        duplicates(disk.partitions.iter().map(Partition::key), report, &partitions);
    }
    duplicates(storage.disks.iter().map(|disk| &disk.device), report, &list);
}

/// What partitions do to each other. As the reference, one collision of each kind is reported.
fn table(disk: &Disk, report: &mut Report, at: &At<'_>) {
    let (mut numbers, mut labels, mut taken) = (HashSet::new(), HashSet::new(), Vec::new());
    let (mut same_number, mut same_label) = (None, None);
    for (index, partition) in disk.partitions.iter().enumerate() {
        if partition.number != 0 && !numbers.insert(partition.number) {
            same_number = same_number.or(Some(index));
        }
        if let Some(label) = &partition.label
            && !labels.insert(label)
        {
            same_label = same_label.or(Some(index));
        }
        if let (Some(start), Some(size)) = (partition.start_mib, partition.size_mib)
            && start != 0
        {
            let end = if size == 0 { start } else { start.saturating_add(size).saturating_sub(1) };
            taken.push((start, end, index));
        }
    }
    if let Some(index) = same_number {
        report.error("partition-numbers-collide", "partition numbers collide", &at.index(index));
    }
    if let Some(index) = overlapped(&disk.partitions, &mut taken) {
        report.error("partitions-overlap", "partitions overlap", &at.index(index));
    }
    if let Some(index) = same_label {
        report.error(
            "cannot-use-the-same-partition-label-twice",
            "cannot use the same partition label twice",
            &at.index(index),
        );
    }
}

/// The partition the reference names: the first one that overlaps the first one that overlaps anything.
///
/// It skips partitions equal to the one it looks at; those only matter when everything else is free of overlaps.
fn overlapped(partitions: &[Partition], taken: &mut [(i64, i64, usize)]) -> Option<usize> {
    let mut distinct: Vec<(i64, i64, usize)> = Vec::new();
    let candidates = crate::partition::overlapping(taken);
    if candidates.is_empty() {
        return None;
    }
    let ranges: HashMap<usize, (i64, i64)> =
        taken.iter().map(|(start, end, index)| (*index, (*start, *end))).collect();
    distinct.extend(
        candidates.iter().filter_map(|index| ranges.get(index).map(|(start, end)| (*start, *end, *index))),
    );
    // Every candidate overlaps some other; the first in order is where the reference stops.
    for (start, end, index) in &distinct {
        let found = distinct.iter().find(|(other_start, other_end, other)| {
            other != index
                && partitions.get(*other) != partitions.get(*index)
                && start <= other_end
                && other_start <= end
        });
        if let Some((_, _, other)) = found {
            return Some(*other);
        }
    }
    None
}

fn partition(partition: &Partition, report: &mut Report, at: &At<'_>) {
    if partition.should_exist == Some(false)
        && (partition.label.is_some()
            || filled(&partition.type_guid).is_some()
            || filled(&partition.guid).is_some()
            || partition.start_mib.is_some()
            || partition.size_mib.is_some())
    {
        let message = "shouldExist specified false with other options also specified";
        report.error("shouldexist-specified-false-with-other-options-also-specified", message, at);
    }
    if partition.number == 0 && partition.label.is_none() {
        let message = "a partition number >= 1 or a label must be specified";
        report.error("a-partition-number-1-or-a-label-must-be", message, at);
    }
    if let Some(label) = &partition.label {
        if label.len() > 36 {
            let message = "partition labels may not exceed 36 characters";
            report.error("partition-labels-may-not-exceed-36-characters", message, &at.key("label"));
        } else if label.contains(':') {
            let message = "partition label will be truncated to text before the colon";
            report.error("partition-label-will-be-truncated-to-text-before-the", message, &at.key("label"));
        }
    }
    for (name, guid) in [("guid", &partition.guid), ("typeGuid", &partition.type_guid)] {
        if filled(guid).is_some_and(|guid| !crate::partition::is_guid(guid)) {
            let message = "doesn't match the form \"01234567-89AB-CDEF-EDCB-A98765432101\"";
            report.error("doesn-t-match-the-form", message, &at.key(name));
        }
    }
}

pub(super) fn filesystems(storage: &Storage, level: u8, report: &mut Report, at: &At<'_>) {
    let list = at.key("filesystems");
    let disks: HashMap<&str, &Disk> = storage.disks.iter().map(|disk| (disk.device.as_str(), disk)).collect();
    for (index, filesystem) in storage.filesystems.iter().enumerate() {
        let at = list.index(index);
        if let Some(path) = filled(&filesystem.path) {
            super::path(path, report, &at.key("path"));
        }
        device_and_format(filesystem, level, report, &at);
        label(filesystem, level, report, &at.key("label"));
        match disks.get(filesystem.device.as_str()) {
            Some(disk) if !disk.partitions.is_empty() => {
                let message = "filesystem overwrites partitioned device";
                report.warn("filesystem-overwrites-partitioned-device", message, &at.key("device"));
            }
            Some(disk) if disk.wipe_table == Some(true) && filesystem.wipe_filesystem != Some(true) => {
                let message = "device matches disk with wipeTable enabled; filesystem will be wiped";
                let code = "device-matches-disk-with-wipetable-enabled-filesystem-will-be";
                report.warn(code, message, &at.key("device"));
            }
            _ => {}
        }
    }
    duplicates(storage.filesystems.iter().map(|filesystem| &filesystem.device), report, &list);
}

fn device_and_format(filesystem: &Filesystem, level: u8, report: &mut Report, at: &At<'_>) {
    let tagged = level >= 7 && filesystem.format.as_deref() == Some("virtiofs");
    if !tagged {
        super::path(&filesystem.device, report, &at.key("device"));
    } else if filesystem.device.is_empty() {
        report.error("device-not-specified", "device not specified", &at.key("device"));
    } else if filesystem.device.len() > 36 {
        let message = "virtiofs device tag cannot be longer than 36 bytes";
        report.error("virtiofs-device-tag-cannot-be-longer-than-36-bytes", message, &at.key("device"));
    }
    match filled(&filesystem.format) {
        None => {
            let others = filled(&filesystem.path).is_some()
                || filled(&filesystem.label).is_some()
                || filled(&filesystem.uuid).is_some()
                || filesystem.wipe_filesystem == Some(true)
                || !filesystem.mount_options.is_empty()
                || !filesystem.options.is_empty();
            if others {
                let message = "format cannot be empty when path, label, uuid, wipeFilesystem, options, or mountOptions is specified";
                let code = "format-cannot-be-empty-when-path-label-uuid-wipefilesystem";
                report.error(code, message, &at.key("format"));
            }
        }
        Some("ext4" | "btrfs" | "xfs" | "swap" | "vfat") => {}
        Some("none") if level >= 3 => {}
        Some("virtiofs") if level >= 7 => {}
        Some(_) => report.error("invalid-filesystem-format", "invalid filesystem format", &at.key("format")),
    }
    if tagged {
        if filled(&filesystem.uuid).is_some() {
            let message = "filesystem uuid cannot be set for non-block-device filesystems";
            report.error("filesystem-uuid-cannot-be-set-for-non-block-device", message, &at.key("uuid"));
        }
        if filesystem.wipe_filesystem == Some(true) {
            let message = "wipeFilesystem cannot be set for non-block-device filesystems";
            let code = "wipefilesystem-cannot-be-set-for-non-block-device-filesystems";
            report.error(code, message, &at.key("wipeFilesystem"));
        }
        if !filesystem.options.is_empty() {
            let message = "filesystem options (mkfs) cannot be set for non-block-device filesystems";
            let code = "filesystem-options-cannot-be-set-for-non-block-device";
            report.error(code, message, &at.key("options"));
        }
    }
}

fn label(filesystem: &Filesystem, level: u8, report: &mut Report, at: &At<'_>) {
    let Some(label) = filled(&filesystem.label) else { return };
    let (limit, code) = match filled(&filesystem.format) {
        None => {
            let message = "filesystem must specify format if label is specified";
            report.error("filesystem-must-specify-format-if-label-is-specified", message, at);
            return;
        }
        Some("virtiofs") if level >= 7 => {
            let message = "filesystem labels cannot be set when using virtiofs";
            report.error("filesystem-labels-cannot-be-set-when-using-virtiofs", message, at);
            return;
        }
        Some("ext4") => (16, "filesystem-labels-cannot-be-longer-than-16-characters-when"),
        Some("btrfs") => (256, "filesystem-labels-cannot-be-longer-than-256-characters-when"),
        Some("xfs") => (12, "filesystem-labels-cannot-be-longer-than-12-characters-when"),
        Some("swap") => (15, "filesystem-labels-cannot-be-longer-than-15-characters-when"),
        Some("vfat") => (11, "filesystem-labels-cannot-be-longer-than-11-characters-when"),
        Some(_) => return,
    };
    if label.len() > limit {
        let format = filesystem.format.as_deref().unwrap_or_default();
        let message =
            format!("filesystem labels cannot be longer than {limit} characters when using {format}");
        report.error(code, message, at);
    }
}

pub(super) fn raids(storage: &Storage, report: &mut Report, at: &At<'_>) {
    let list = at.key("raid");
    for (index, raid) in storage.raid.iter().enumerate() {
        let at = list.index(index);
        match filled(&raid.level) {
            None => report.error("raid-level-is-required", "raid level is required", &at.key("level")),
            Some("linear" | "raid0" | "0" | "stripe") => {
                if !matches!(raid.spares, None | Some(0)) {
                    let message = "spares unsupported for linear and raid0 arrays";
                    report.error("spares-unsupported-for-level", message, &at.key("level"));
                }
            }
            Some(
                "raid1" | "1" | "mirror" | "raid4" | "4" | "raid5" | "5" | "raid6" | "6" | "raid10" | "10",
            ) => {}
            Some(_) => report.error("unrecognized-raid-level", "unrecognized raid level", &at.key("level")),
        }
        let devices = at.key("devices");
        if raid.devices.is_empty() {
            report.error("raid-devices-required", "raid devices required", &devices);
        }
        for (index, device) in raid.devices.iter().enumerate() {
            super::path(device, report, &devices.index(index));
        }
        duplicates(raid.devices.iter(), report, &devices);
    }
    duplicates(storage.raid.iter().map(|raid| &raid.name), report, &list);
}

pub(super) fn luks(storage: &Storage, level: u8, report: &mut Report, at: &At<'_>) {
    let list = at.key("luks");
    for (index, luks) in storage.luks.iter().enumerate() {
        let at = list.index(index);
        volume(luks, level, report, &at);
        clevis(&luks.clevis, level, report, &at.key("clevis"));
        resource(&luks.key_file, level, report, &at.key("keyFile"));
        duplicates(luks.open_options.iter(), report, &at.key("openOptions"));
    }
    duplicates(storage.luks.iter().map(|luks| &luks.name), report, &list);
}

/// Clevis is asked for at all.
fn is_bound(clevis: &Clevis) -> bool {
    filled(&clevis.custom.pin).is_some()
        || !clevis.tang.is_empty()
        || clevis.tpm2 == Some(true)
        || !matches!(clevis.threshold, None | Some(0))
}

fn volume(luks: &Luks, level: u8, report: &mut Report, at: &At<'_>) {
    if luks.name.contains('/') {
        report.error(
            "device-names-cannot-contain-slashes",
            "device names cannot contain slashes",
            &at.key("name"),
        );
    }
    if luks.label.as_ref().is_some_and(|label| label.len() > 47) {
        let message = "luks device labels cannot be longer than 47 characters";
        report.error("luks-device-labels-cannot-be-longer-than-47-characters", message, &at.key("label"));
    }
    match filled(&luks.device) {
        None => report.error("disk-device-is-required", "disk device is required", &at.key("device")),
        Some(device) => super::path(device, report, &at.key("device")),
    }
    let custom = &luks.clevis.custom;
    let has_custom = if level >= 3 {
        filled(&custom.pin).is_some()
    } else {
        *custom != crate::v3::ClevisCustom::default()
    };
    let others = !luks.clevis.tang.is_empty()
        || luks.clevis.tpm2 == Some(true)
        || !matches!(luks.clevis.threshold, None | Some(0));
    if has_custom && others {
        let message = "cannot use custom clevis config with tpm2, tang, or threshold";
        report.error("cannot-use-custom-clevis-config-with-tpm2-tang-or", message, &at.key("clevis"));
    }
    let key = filled(&luks.key_file.source);
    if key.is_some_and(|source| check_url(source, Schemes::V3(level)).is_err()) {
        report.error("invalid-key-file-source", "invalid key-file source", &at.key("keys"));
    }
    if luks.cex.enabled == Some(true) {
        if is_bound(&luks.clevis) {
            report.error("cannot-use-cex-with-clevis", "cannot use cex with clevis", &at.key("cex"));
        }
        if key.is_some() {
            report.error("cannot-use-key-file-with-cex", "cannot use key file with cex", &at.key("cex"));
        }
    }
}

fn clevis(clevis: &Clevis, level: u8, report: &mut Report, at: &At<'_>) {
    let list = at.key("tang");
    for (index, server) in clevis.tang.iter().enumerate() {
        tang(server, report, &list.index(index));
    }
    duplicates(clevis.tang.iter().map(|server| &server.url), report, &list);
    let (custom, at) = (&clevis.custom, at.key("custom"));
    let network = custom.needs_network == Some(true) && level >= 3;
    if filled(&custom.pin).is_none() && filled(&custom.config).is_none() && !network {
        return;
    }
    match filled(&custom.pin) {
        None if level >= 3 => {
            report.error(
                "missing-required-custom-clevis-pin",
                "missing required custom clevis pin",
                &at.key("pin"),
            );
        }
        Some("tpm2" | "tang" | "sss") => {}
        Some(_) if level >= 6 => {}
        _ => report.error("unsupported-clevis-pin", "unsupported clevis pin", &at.key("pin")),
    }
    if filled(&custom.config).is_none() {
        let message = "missing required custom clevis config";
        report.error("missing-required-custom-clevis-config", message, &at.key("config"));
    }
}

fn tang(server: &Tang, report: &mut Report, at: &At<'_>) {
    match Url::parse(&server.url, true) {
        Err(_) => report.error("unable-to-parse-url", "unable to parse url", &at.key("url")),
        Ok(url) if matches!(url.scheme.as_str(), "http" | "https") => {}
        Ok(_) => report.error("invalid-url-scheme", "invalid url scheme", &at.key("url")),
    }
    if filled(&server.thumbprint).is_none() {
        report.error("thumbprint-is-required", "thumbprint is required", &at.key("thumbprint"));
    }
    if filled(&server.advertisement).is_some_and(|text| crate::json::parse(text.as_bytes()).is_err()) {
        let message = "advertisement is not valid JSON";
        report.error("advertisement-is-not-valid-json", message, &at.key("advertisement"));
    }
}
