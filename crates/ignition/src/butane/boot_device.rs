//! Sugar for the boot disk: mirroring, encryption, and passwords of the boot loader.
//!
//! The partitions are those of the operating system's image and must not change.

use super::contents::Encoder;
use super::model::{Config, Grub};
use super::rules;
use crate::origins::Origins;
use crate::report::{At, Path, Report};
use crate::v3;

const RESERVED: (&str, i64, &str) = ("reserved", 1, "8DA63339-0007-60C0-C436-083AC8230908");
const BIOS: (&str, i64, &str) = ("bios", 1, "21686148-6449-6E6F-744E-656564454649");
const PREP: (&str, i64, &str) = ("prep", 4, "9E1A2D38-C612-4316-AA26-8B49521E5A8B");
const ESP: (&str, i64, &str) = ("esp", 127, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
const BOOT_MIB: i64 = 384;

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn filesystem(device: &str, format: &str, label: &str) -> v3::Filesystem {
    v3::Filesystem {
        device: device.to_owned(),
        format: text(format),
        label: text(label),
        wipe_filesystem: Some(true),
        ..v3::Filesystem::default()
    }
}

/// What `boot_device` generates. `None` if it asks for nothing.
pub(super) fn generate(config: &Config) -> Option<(v3::Config, Origins)> {
    let device = &config.boot_device;
    let luks = &device.luks;
    let cex = luks.cex.enabled == Some(true);
    let encrypt = luks.tpm2 == Some(true) || !luks.tang.is_empty() || cex;
    let mirror = !device.mirror.devices.is_empty();
    if !encrypt && !mirror {
        return None;
    }
    let mut made = v3::Config::default();
    let mut origins = Origins::default();
    let (storage, yaml) = (Path::root().key("storage"), Path::root().key("boot_device"));
    origins.generated(storage.clone(), yaml.clone());
    if mirror {
        mirrored(config, &mut made, &mut origins);
    }
    let layout = device.layout.as_deref();
    if encrypt {
        let disk = luks.device.as_deref().unwrap_or_default();
        let partition = match layout {
            Some("s390x-eckd") => format!("{disk}2"),
            Some("s390x-zfcp") => format!("{disk}4"),
            _ if mirror => "/dev/md/md-root".to_owned(),
            _ => "/dev/disk/by-partlabel/root".to_owned(),
        };
        let mut volume = v3::Luks {
            device: Some(partition),
            discard: luks.discard,
            label: text("luks-root"),
            name: "root".to_owned(),
            wipe_volume: Some(true),
            ..v3::Luks::default()
        };
        let place = storage.key("luks").index(0);
        origins.generated(storage.key("luks"), yaml.key("luks"));
        origins.generated(place.key("discard"), yaml.key("luks").key("discard"));
        if cex {
            volume.cex = luks.cex.clone();
            origins.copied(place.key("cex"), yaml.key("luks"));
        } else {
            volume.clevis.tang = luks.tang.clone();
            volume.clevis.threshold = luks.threshold;
            volume.clevis.tpm2 = luks.tpm2;
            origins.copied(place.key("clevis"), yaml.key("luks"));
        }
        made.storage.luks.push(volume);
    }
    let root = if encrypt { "/dev/mapper/root" } else { "/dev/md/md-root" };
    made.storage.filesystems.push(filesystem(root, "xfs", "root"));
    Some((made, origins))
}

fn mirrored(config: &Config, made: &mut v3::Config, origins: &mut Origins) {
    let layout = config.boot_device.layout.as_deref();
    let (first, second) = match layout {
        None | Some("x86_64") => (BIOS, ESP),
        Some("aarch64") => (RESERVED, ESP),
        Some("ppc64le") => (PREP, RESERVED),
        Some(_) => (RESERVED, RESERVED),
    };
    let (storage, yaml) = (Path::root().key("storage"), Path::root().key("boot_device").key("mirror"));
    let devices = &config.boot_device.mirror.devices;
    for (index, device) in devices.iter().enumerate() {
        let number = index + 1;
        let fixed = |(name, size, guid): (&str, i64, &str)| v3::Partition {
            label: Some(format!("{name}-{number}")),
            size_mib: Some(size),
            type_guid: text(guid),
            ..v3::Partition::default()
        };
        let named = |name: &str, size: Option<i64>| v3::Partition {
            label: Some(format!("{name}-{number}")),
            size_mib: size,
            ..v3::Partition::default()
        };
        let source = yaml.key("devices").index(index);
        origins.generated(storage.key("disks").index(index), source.clone());
        made.storage.disks.push(v3::Disk {
            device: device.clone(),
            wipe_table: Some(true),
            partitions: vec![fixed(first), fixed(second), named("boot", Some(BOOT_MIB)), named("root", None)],
        });
        if second == ESP {
            let place = storage.key("filesystems").index(made.storage.filesystems.len());
            origins.generated(place, source);
            let label = format!("esp-{number}");
            let esp = filesystem(&format!("/dev/disk/by-partlabel/{label}"), "vfat", &label);
            made.storage.filesystems.push(esp);
        }
    }
    let parts = |name: &str| -> Vec<String> {
        (1..=devices.len()).map(|number| format!("/dev/disk/by-partlabel/{name}-{number}")).collect()
    };
    origins.generated(storage.key("raid"), yaml.clone());
    made.storage.raid.push(v3::Raid {
        devices: parts("boot"),
        level: text("raid1"),
        name: "md-boot".to_owned(),
        // The superblock at the end: GRUB on BIOS need not understand RAID.
        options: vec!["--metadata=1.0".to_owned()],
        spares: None,
    });
    made.storage.raid.push(v3::Raid {
        devices: parts("root"),
        level: text("raid1"),
        name: "md-root".to_owned(),
        ..v3::Raid::default()
    });
    let place = storage.key("filesystems").index(made.storage.filesystems.len());
    origins.generated(place, yaml);
    made.storage.filesystems.push(filesystem("/dev/md/md-boot", "ext4", "boot"));
}

/// What `grub` generates: a file of the boot loader on the boot filesystem. `appended`: as a fragment.
pub(super) fn grub(grub: &Grub, encoder: &mut Encoder, appended: bool) -> Option<(v3::Config, Origins)> {
    if grub.users.is_empty() {
        return None;
    }
    let names: Vec<&str> = grub.users.iter().map(|user| user.name.as_str()).collect();
    let mut text = format!("# Generated by Butane\n\nset superusers=\"{}\"\n", names.join(" "));
    for user in &grub.users {
        let hash = user.password_hash.as_deref().unwrap_or_default();
        text.push_str(&format!("password_pbkdf2 {} {hash}\n", user.name));
    }
    let (url, compression) = encoder.url(text.as_bytes(), None);
    let contents = v3::Resource {
        source: Some(url),
        compression: compression.map(str::to_owned),
        ..v3::Resource::default()
    };
    let mut file = v3::File { path: "/boot/grub2/user.cfg".to_owned(), ..v3::File::default() };
    if appended {
        file.append.push(contents);
    } else {
        file.contents = contents;
    }
    let mut made = v3::Config::default();
    made.storage.files.push(file);
    made.storage.filesystems.push(v3::Filesystem {
        device: "/dev/disk/by-label/boot".to_owned(),
        format: Some("ext4".to_owned()),
        path: Some("/boot".to_owned()),
        ..v3::Filesystem::default()
    });
    let mut origins = Origins::default();
    origins.generated(Path::root().key("storage"), Path::root().key("grub").key("users"));
    Some((made, origins))
}

/// Warns of partitions that would not come out as meant. `sizes`: also of small root partitions (fcos 1.3).
pub(super) fn partitions(config: &v3::Config, sizes: bool, report: &mut Report) {
    let storage = At::ROOT.key("storage");
    for (index, disk) in config.storage.disks.iter().enumerate() {
        let list = storage.key("disks");
        let at = list.index(index);
        for (index, partition) in disk.partitions.iter().enumerate() {
            let list = at.key("partitions");
            let at = list.index(index);
            let label = partition.label.as_deref();
            if sizes && label == Some("root") {
                match partition.size_mib.unwrap_or_default() {
                    0 => {
                        let mut others =
                            disk.partitions.iter().enumerate().filter(|(other, _)| *other != index);
                        if others.any(|(_, other)| other.start_mib.unwrap_or_default() == 0) {
                            report.warn(
                                rules::ROOT_CONSTRAINED.0,
                                rules::ROOT_CONSTRAINED.1,
                                &at.key("label"),
                            );
                        }
                    }
                    size if size < 8192 => {
                        report.warn(rules::ROOT_TOO_SMALL.0, rules::ROOT_TOO_SMALL.1, &at.key("sizeMiB"));
                    }
                    _ => {}
                }
            }
            let number = match label {
                Some("BIOS-BOOT" | "PowerPC-PReP-boot") => 1,
                Some("EFI-SYSTEM") => 2,
                Some("boot") => 3,
                Some("root") => 4,
                _ => continue,
            };
            if disk.wipe_table != Some(true) && partition.number != number {
                report.warn(
                    rules::WRONG_PARTITION_NUMBER.0,
                    rules::WRONG_PARTITION_NUMBER.1,
                    &at.key("label"),
                );
            }
        }
    }
}
