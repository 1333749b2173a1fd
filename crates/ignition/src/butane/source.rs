//! The rules of Butane itself, before anything is generated: stage two of three.

use std::collections::HashSet;

use super::model::{BootDevice, Config, Dropin, Quadlet, Resource};
use super::rules;
use super::variant::{Target, Variant};
use crate::path::PathRule;
use crate::report::{At, Report, Severity};
use crate::v3::Tang;

/// Reports every broken rule at its place in the YAML.
pub(super) fn check(config: &Config, target: Target, report: &mut Report) {
    let root = At::ROOT;
    let ignition = root.key("ignition");
    references(config, target, report, &ignition);
    let storage = root.key("storage");
    let base = &config.base.storage;
    for (index, directory) in base.directories.iter().enumerate() {
        decimal(directory.mode, true, report, &storage.key("directories").index(index).key("mode"));
    }
    for (index, file) in base.files.iter().enumerate() {
        let list = storage.key("files");
        let at = list.index(index);
        decimal(file.mode, false, report, &at.key("mode"));
        one_source(&file.contents, report, &at.key("contents"));
        for (index, part) in file.append.iter().enumerate() {
            one_source(part, report, &at.key("append").index(index));
        }
    }
    for (index, filesystem) in base.filesystems.iter().enumerate() {
        if filesystem.with_mount_unit != Some(true) {
            continue;
        }
        let list = storage.key("filesystems");
        let at = list.index(index);
        let format = filesystem.format.as_deref().unwrap_or_default();
        let swap = format == "swap" && target.level >= 3;
        if format.is_empty() {
            broken(rules::MOUNT_UNIT_NO_FORMAT, report, &at.key("format"));
        }
        // Up to 0.3 both are wanted always; later the path only matters once the format is known.
        let wants_path = if target.level >= 3 { !format.is_empty() && !swap } else { true };
        if wants_path && filesystem.path.as_deref().unwrap_or_default().is_empty() {
            broken(rules::MOUNT_UNIT_NO_PATH, report, &at.key("path"));
        }
        if let Some(path) = filesystem.path.as_deref().filter(|_| target.fcos_minor() >= Some(6)) {
            let below = |top: &str| {
                path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            if !below("/etc") && !below("/var") {
                broken(rules::MOUNT_POINT_FORBIDDEN, report, &at.key("path"));
            }
        }
    }
    for (index, luks) in base.luks.iter().enumerate() {
        one_source(&luks.key_file, report, &storage.key("luks").index(index).key("key_file"));
    }
    for (index, tree) in base.trees.iter().enumerate() {
        if tree.local.is_empty() {
            broken(rules::TREE_NO_LOCAL, report, &storage.key("trees").index(index));
        }
    }
    systemd(config, report, &root.key("systemd"));
    if target.has_boot_device() {
        boot_device(&config.boot_device, target, report, &root.key("boot_device"));
        for (index, user) in config.grub.users.iter().enumerate() {
            let list = root.key("grub");
            let list = list.key("users");
            let at = list.index(index);
            if user.name.is_empty() {
                broken(rules::GRUB_USER_NAME_NOT_SPECIFIED, report, &at.key("name"));
            }
            if user.password_hash.as_deref().unwrap_or_default().is_empty() {
                broken(rules::GRUB_PASSWORD_NOT_SPECIFIED, report, &at.key("password_hash"));
            }
        }
    }
    if target.fcos_minor() >= Some(6) {
        reused_partitions(config, report, &storage);
    }
    if target.variant == Variant::OpenShift {
        openshift(config, target, report);
    }
}

pub(super) fn broken((code, message): PathRule, report: &mut Report, at: &At<'_>) {
    report.error(code, message, at);
}

fn doubtful((code, message): PathRule, report: &mut Report, at: &At<'_>) {
    report.warn(code, message, at);
}

/// Configs and certificates that are fetched or given.
fn references(config: &Config, target: Target, report: &mut Report, at: &At<'_>) {
    let ignition = &config.base.ignition;
    let at_config = at.key("config");
    let merge = at_config.key("merge");
    for (index, reference) in ignition.config.merge.iter().enumerate() {
        other_config(reference, target, report, &merge.index(index));
    }
    other_config(&ignition.config.replace, target, report, &at_config.key("replace"));
    let security = at.key("security");
    let tls = security.key("tls");
    for (index, authority) in ignition.security.tls.certificate_authorities.iter().enumerate() {
        let list = tls.key("certificate_authorities");
        let at = list.index(index);
        unknown_in_base_0_1(authority, target, report, &at);
        one_source(authority, report, &at);
    }
}

fn other_config(reference: &Resource, target: Target, report: &mut Report, at: &At<'_>) {
    unknown_in_base_0_1(reference, target, report, at);
    if one_source(reference, report, at)
        && let Some(inline) = reference.inline.as_deref().filter(|_| target.level >= 1)
    {
        inner_config(inline.as_bytes(), target, report, at, "inline");
    }
}

/// Checks a config given inside a config. Its own findings stand where it is given.
pub(super) fn inner_config(json: &[u8], target: Target, report: &mut Report, at: &At<'_>, field: &str) {
    let (config, inner) = crate::check(json);
    let same =
        config.as_ref().is_some_and(|config| Some(config.version) == crate::SpecVersion::v3(target.level));
    let unknown = inner.entries().iter().any(|entry| entry.code == "unsupported-config-version");
    if unknown || config.is_some() && !same {
        doubtful(rules::UNKOWN_IGNITION_VERSION, report, &at.key("version"));
        return;
    }
    for entry in inner.entries() {
        let message = format!("in the config given here, at {}: {}", entry.path, entry.message);
        report.add(entry.severity, entry.code, message, &at.key(field));
    }
}

/// In base 0.1 references to configs and certificates have a source and a hash, nothing else.
fn unknown_in_base_0_1(reference: &Resource, target: Target, report: &mut Report, at: &At<'_>) {
    if target.level > 0 {
        return;
    }
    for (name, given) in
        [("compression", reference.compression.is_some()), ("inline", reference.inline.is_some())]
    {
        if given {
            report.add(Severity::Warning, "unused-key", format!("unused key {name}"), &at.key(name));
        }
    }
}

/// Contents come from one place. `false` if they do not.
fn one_source(resource: &Resource, report: &mut Report, at: &At<'_>) -> bool {
    let given = [
        ("local", resource.local.is_some()),
        ("inline", resource.inline.is_some()),
        ("source", resource.source.is_some()),
    ];
    let mut given = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name);
    match (given.next(), given.next_back()) {
        (Some(_), Some(last)) => {
            broken(rules::TOO_MANY_RESOURCE_SOURCES, report, &at.key(last));
            false
        }
        _ => true,
    }
}

fn systemd(config: &Config, report: &mut Report, at: &At<'_>) {
    let both = |contents: &Option<String>, local: &Option<String>, report: &mut Report, at: &At<'_>| {
        if contents.is_some() && local.is_some() {
            broken(rules::TOO_MANY_SYSTEMD_SOURCES, report, &at.key("contents_local"));
        }
    };
    let dropins = |dropins: &[Dropin], report: &mut Report, at: &At<'_>| {
        for (index, dropin) in dropins.iter().enumerate() {
            both(&dropin.contents, &dropin.contents_local, report, &at.key("dropins").index(index));
        }
    };
    for (index, unit) in config.base.systemd.units.iter().enumerate() {
        let list = at.key("units");
        let at = list.index(index);
        both(&unit.contents, &unit.contents_local, report, &at);
        dropins(&unit.dropins, report, &at);
    }
    for (index, quadlet) in config.base.systemd.quadlets.iter().enumerate() {
        let list = at.key("quadlets");
        let at = list.index(index);
        dropins(&quadlet.dropins, report, &at);
        if !is_quadlet(&quadlet.name) {
            broken(rules::QUADLET_BAD_EXTENSION, report, &at.key("name"));
        } else if template_of(&quadlet.name).is_some() {
            for (name, given) in contents_of(quadlet) {
                if given {
                    broken(rules::TEMPLATE_INSTANCE_CANNOT_HAVE_CONTENTS, report, &at.key(name));
                }
            }
        } else {
            both(&quadlet.contents, &quadlet.contents_local, report, &at);
        }
    }
}

fn contents_of(quadlet: &Quadlet) -> [(&'static str, bool); 2] {
    [("contents", quadlet.contents.is_some()), ("contents_local", quadlet.contents_local.is_some())]
}

/// Every extension of podman-systemd.unit(5).
fn is_quadlet(name: &str) -> bool {
    [".container", ".volume", ".network", ".kube", ".image", ".build", ".pod", ".artifact"]
        .iter()
        .any(|extension| name.ends_with(extension))
}

/// `web@.container` of the instance `web@1.container`.
pub(super) fn template_of(name: &str) -> Option<String> {
    let at = name.find('@')?;
    let dot = name.rfind('.')?;
    if at + 1 == dot {
        return None;
    }
    Some(format!("{}@.{}", name.get(..at)?, name.get(dot + 1..)?))
}

fn boot_device(device: &BootDevice, target: Target, report: &mut Report, at: &At<'_>) {
    let fcos = target.fcos_minor().unwrap_or_default();
    if !device.mirror.devices.is_empty() && device.layout.is_none() {
        let (code, message) = rules::MIRROR_REQUIRES_LAYOUT;
        let severity = if fcos >= 7 { Severity::Error } else { Severity::Warning };
        report.add(severity, code, message, &at.key("mirror"));
    }
    let layout_at = at.key("layout");
    let s390x = device.layout.as_deref().is_some_and(|layout| layout.starts_with("s390x"));
    let disk = device.luks.device.as_deref().filter(|disk| !disk.is_empty());
    match device.layout.as_deref() {
        None | Some("aarch64" | "ppc64le" | "x86_64") => {}
        Some("s390x-virt") if fcos >= 6 => {}
        Some(layout @ ("s390x-eckd" | "s390x-zfcp")) if fcos >= 6 => {
            let prefix = if layout == "s390x-eckd" { "/dev/dasd" } else { "/dev/sd" };
            match disk {
                None => broken(rules::NO_LUKS_BOOT_DEVICE, report, &layout_at),
                Some(disk) if !ends_in_disk(disk, prefix) => {
                    broken(rules::LUKS_BOOT_DEVICE_BAD_NAME, report, &layout_at);
                }
                Some(_) => {}
            }
        }
        Some(_) if fcos >= 6 => broken(rules::UNKNOWN_BOOT_DEVICE_LAYOUT, report, &layout_at),
        Some(_) => broken(rules::UNKNOWN_BOOT_DEVICE_LAYOUT_LEGACY, report, &layout_at),
    }
    if fcos >= 6 {
        if s390x && !device.mirror.devices.is_empty() {
            broken(rules::MIRROR_NOT_SUPPORT, report, &layout_at);
        }
        if device.luks.cex.enabled == Some(true) {
            if device.layout.is_none() {
                broken(rules::CEX_ARCHITECTURE_MISMATCH, report, &at.key("luks").key("cex"));
            } else if !s390x {
                broken(rules::CEX_ARCHITECTURE_MISMATCH, report, &layout_at);
            }
            if !device.luks.tang.is_empty() || device.luks.tpm2 == Some(true) {
                let message = "cannot use cex with clevis";
                report.error("cannot-use-cex-with-clevis", message, &at.key("luks"));
            }
        }
    }
    if fcos >= 7 && disk.is_some() {
        let method = device.luks.tang.iter().any(|tang| *tang != Tang::default())
            || device.luks.tpm2 == Some(true)
            || device.luks.cex.enabled == Some(true);
        if !method {
            broken(rules::NO_LUKS_METHOD_SPECIFIED, report, &at.key("luks").key("luks"));
        }
    }
    if device.mirror.devices.len() == 1 {
        broken(rules::TOO_FEW_MIRROR_DEVICES, report, &at.key("mirror").key("devices"));
    }
}

/// The name ends in the prefix and one letter.
fn ends_in_disk(device: &str, prefix: &str) -> bool {
    device.strip_suffix(|c: char| c.is_ascii_lowercase()).is_some_and(|rest| rest.ends_with(prefix))
}

/// Partitions named by label alone are only found again on the boot disk or a wiped one.
fn reused_partitions(config: &Config, report: &mut Report, at: &At<'_>) {
    let mirrored: HashSet<&String> = config.boot_device.mirror.devices.iter().collect();
    for (index, disk) in config.base.storage.disks.iter().enumerate() {
        if disk.device == "/dev/disk/by-id/coreos-boot-disk"
            || disk.wipe_table == Some(true)
            || mirrored.contains(&disk.device)
        {
            continue;
        }
        let list = at.key("disks");
        let at = list.index(index);
        for (index, partition) in disk.partitions.iter().enumerate() {
            if partition.number == 0 && partition.label.is_some() {
                doubtful(rules::REUSE_BY_LABEL, report, &at.key("partitions").index(index).key("number"));
            }
        }
    }
}

fn openshift(config: &Config, target: Target, report: &mut Report) {
    let (metadata, openshift) = (At::ROOT.key("metadata"), At::ROOT.key("openshift"));
    if config.metadata.name.is_empty() {
        broken(rules::NAME_REQUIRED, report, &metadata.key("name"));
    }
    let role = config.metadata.labels.0.get("machineconfiguration.openshift.io/role");
    if role.is_none_or(String::is_empty) {
        broken(rules::ROLE_REQUIRED, report, &metadata.key("labels"));
    }
    if !matches!(config.openshift.kernel_type.as_deref(), None | Some("" | "default" | "realtime")) {
        broken(rules::INVALID_KERNEL_TYPE, report, &openshift.key("kernel_type"));
    }
    if target.minor >= 19 {
        let root =
            config.base.storage.luks.iter().any(|luks| luks.cex.enabled == Some(true) && luks.name == "root");
        let wanted = "rd.luks.key=/etc/luks/cex.key";
        let given = config.openshift.kernel_arguments.iter().any(|argument| argument == wanted);
        if (root || config.boot_device.luks.cex.enabled == Some(true)) && !given {
            broken(rules::MISSING_KERNEL_ARGUMENT_CEX, report, &openshift.key("kernel_arguments"));
        }
    }
}

/// Warns of modes that were meant to be octal.
fn decimal(mode: Option<i64>, directory: bool, report: &mut Report, at: &At<'_>) {
    if mode.is_some_and(|mode| crate::mode::looks_decimal(mode, directory)) {
        doubtful(rules::DECIMAL_MODE, report, at);
    }
}
