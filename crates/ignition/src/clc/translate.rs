//! From a Container Linux Config to Ignition 2.3.0.

use super::dynamic::Platform;
use super::model::{Config, File, Owner, Partition, Reference, Verification};
use super::sugar::{self, Rule};
use crate::files::Files;
use crate::origins::Origins;
use crate::report::{At, Path, Report};
use crate::url::Url;
use crate::v2;

/// Octets of a MiB.
const MIB: i64 = 1 << 20;

/// Translates everything; findings stand at places in the YAML.
pub(super) fn translate(
    config: &Config,
    platform: Option<Platform>,
    files: &dyn Files,
    report: &mut Report,
    origins: &mut Origins,
) -> v2::Config {
    let root = At::ROOT;
    let mut out = v2::Config::default();
    out.ignition.version = "2.3.0".to_owned();
    ignition(config, &mut out, report, &root.key("ignition"));
    disks(config, &mut out, report, &root.key("storage"));
    let mut push = |out: &mut v2::Config, from: &str, unit: Result<v2::Unit, Rule>| match unit {
        Ok(unit) => {
            let place = Path::root().key("systemd").key("units").index(out.systemd.units.len());
            origins.generated(place, Path::root().key(from));
            out.systemd.units.push(unit);
        }
        Err((code, message)) => report.error(code, message, &At::ROOT.key(from)),
    };
    for unit in platform.map(sugar::metadata).unwrap_or_default() {
        push(&mut out, "systemd", Ok(unit));
    }
    if let Some(docker) = &config.docker {
        push(&mut out, "docker", Ok(sugar::docker(&docker.flags)));
    }
    if let Some(etcd) = &config.etcd {
        push(&mut out, "etcd", sugar::etcd(etcd, platform));
    }
    if let Some(flannel) = &config.flannel {
        push(&mut out, "flannel", sugar::flannel(flannel, platform));
    }
    nodes(config, &mut out, files, report);
    filesystems(config, &mut out);
    networkd(config, &mut out);
    passwd(config, &mut out);
    for raid in &config.storage.raid {
        out.storage.raid.push(v2::Raid {
            name: raid.name.clone(),
            level: raid.level.clone(),
            devices: raid.devices.clone(),
            spares: raid.spares,
            options: raid.options.clone(),
        });
    }
    let units = Path::root().key("systemd").key("units");
    let before = out.systemd.units.len();
    for (index, unit) in config.systemd.units.iter().enumerate() {
        if before > 0 {
            origins.copied(units.index(before + index), units.index(index));
        }
        out.systemd.units.push(v2::Unit {
            name: unit.name.clone(),
            enable: unit.enable,
            enabled: unit.enabled,
            mask: unit.mask,
            contents: unit.contents.clone(),
            dropins: unit
                .dropins
                .iter()
                .map(|dropin| v2::Dropin { name: dropin.name.clone(), contents: dropin.contents.clone() })
                .collect(),
        });
    }
    if let Some(file) = sugar::update(config) {
        let from = if config.update.is_some() { "update" } else { "locksmith" };
        let place = Path::root().key("storage").key("files").index(out.storage.files.len());
        origins.generated(place, Path::root().key(from));
        out.storage.files.push(file);
    }
    out
}

fn hash(verification: &Verification) -> v2::Verification {
    let hash = &verification.hash;
    let whole = !hash.function.is_empty() && !hash.sum.is_empty();
    v2::Verification { hash: whole.then(|| format!("{}-{}", hash.function, hash.sum)) }
}

fn check_url(url: &str, report: &mut Report, at: &At<'_>) {
    if let Err(why) = Url::parse(url, true) {
        report.error("unable-to-parse-url", format!("unable to parse url: {}", why.0), at);
    }
}

fn ignition(config: &Config, out: &mut v2::Config, report: &mut Report, at: &At<'_>) {
    let from = &config.ignition;
    out.ignition.timeouts = v2::Timeouts {
        http_response_headers: from.timeouts.http_response_headers,
        http_total: from.timeouts.http_total,
    };
    let at = at.key("config");
    let reference = |reference: &Reference| v2::ConfigReference {
        source: reference.source.clone(),
        verification: hash(&reference.verification),
        http_headers: Vec::new(),
    };
    for (index, entry) in from.config.append.iter().enumerate() {
        check_url(&entry.source, report, &at.key("append").index(index).key("source"));
        out.ignition.config.append.push(reference(entry));
    }
    if let Some(entry) = &from.config.replace {
        check_url(&entry.source, report, &at.key("replace").key("source"));
        out.ignition.config.replace = Some(reference(entry));
    }
    for authority in &from.security.tls.certificate_authorities {
        out.ignition.security.tls.certificate_authorities.push(v2::CaReference {
            source: authority.source.clone(),
            verification: hash(&authority.verification),
            http_headers: Vec::new(),
        });
    }
}

fn disks(config: &Config, out: &mut v2::Config, report: &mut Report, at: &At<'_>) {
    for (index, disk) in config.storage.disks.iter().enumerate() {
        let list = at.key("disks");
        let at = list.index(index);
        let list = at.key("partitions");
        let partitions = disk.partitions.iter().enumerate();
        let partitions =
            partitions.map(|(index, entry)| partition(entry, report, &list.index(index))).collect();
        out.storage.disks.push(v2::Disk {
            device: disk.device.clone(),
            wipe_table: disk.wipe_table,
            partitions,
        });
    }
}

fn partition(partition: &Partition, report: &mut Report, at: &At<'_>) -> v2::Partition {
    let mut mib = |text: &str, name: &str| {
        if text.is_empty() {
            return None;
        }
        let why = match crate::size::octets(text) {
            Ok(octets) if octets < 0 => format!("invalid dimension (negative): {text:?}"),
            Ok(octets) if octets % MIB != 0 => "invalid dimension (finest granularity is 1MiB)".to_owned(),
            Ok(octets) => return Some(octets / MIB),
            Err(why) => why,
        };
        report.error("bad-dimension", why, &at.key(name));
        None
    };
    v2::Partition {
        size_mib: mib(&partition.size, "size"),
        start_mib: mib(&partition.start, "start"),
        label: partition.label.clone(),
        number: partition.number,
        guid: partition.guid.clone(),
        type_guid: match partition.type_guid.as_str() {
            "raid_containing_root" => "be9067b9-ea49-4f15-b4f6-f36f8c9e1818",
            "linux_filesystem_data" => "0fc63daf-8483-4772-8e79-3d69d8477de4",
            "swap_partition" => "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f",
            "raid_partition" => "a19d880f-05fc-4d3b-a006-743f0f84911e",
            guid => guid,
        }
        .to_owned(),
        ..v2::Partition::default()
    }
}

fn owner(owner: &Option<Owner>) -> Option<v2::Owner> {
    owner.as_ref().map(|owner| v2::Owner { id: owner.id, name: owner.name.clone() })
}

fn filesystem_of(name: &str) -> String {
    if name.is_empty() { "root".to_owned() } else { name.to_owned() }
}

fn nodes(config: &Config, out: &mut v2::Config, files: &dyn Files, report: &mut Report) {
    let storage = At::ROOT.key("storage");
    for (index, file) in config.storage.files.iter().enumerate() {
        let list = storage.key("files");
        let at = list.index(index);
        out.storage.files.push(v2::File {
            filesystem: filesystem_of(&file.filesystem),
            path: file.path.clone(),
            user: owner(&file.user),
            group: owner(&file.group),
            overwrite: file.overwrite,
            append: file.append,
            mode: Some(file.mode.unwrap_or(0o644)),
            contents: contents(file, files, report, &at.key("contents")),
        });
    }
    for directory in &config.storage.directories {
        out.storage.directories.push(v2::Directory {
            filesystem: filesystem_of(&directory.filesystem),
            path: directory.path.clone(),
            user: owner(&directory.user),
            group: owner(&directory.group),
            overwrite: directory.overwrite,
            mode: Some(directory.mode.unwrap_or(0o755)),
        });
    }
    for link in &config.storage.links {
        out.storage.links.push(v2::Link {
            filesystem: filesystem_of(&link.filesystem),
            path: link.path.clone(),
            user: owner(&link.user),
            group: owner(&link.group),
            overwrite: link.overwrite,
            hard: link.hard,
            target: link.target.clone(),
        });
    }
}

fn contents(file: &File, files: &dyn Files, report: &mut Report, at: &At<'_>) -> v2::FileContents {
    let from = &file.contents;
    let embed = |octets: &[u8]| {
        let mut url = "data:,".to_owned();
        crate::data_url::escape(octets, &mut url);
        url
    };
    let mut source = embed(from.inline.as_bytes());
    if !from.local.is_empty() {
        match files.read(&from.local) {
            Ok(octets) => source = embed(&octets),
            Err(crate::files::FilesError::NoDirectory) => {
                let message = "local files require setting the --files-dir flag to the directory that contains the file";
                report.error("local-files-require-setting-the-files-dir-flag-to", message, &at.key("local"));
            }
            Err(why) => report.error(why.code(), why.to_string(), &at.key("local")),
        }
    }
    if !from.remote.url.is_empty() {
        let remote = at.key("remote");
        match Url::parse(&from.remote.url, true) {
            Ok(url) => source = url.to_string(),
            Err(why) => {
                let message = format!("unable to parse url: {}", why.0);
                report.error("unable-to-parse-url", message, &remote.key("url"));
            }
        }
    }
    v2::FileContents {
        source,
        compression: from.remote.compression.clone(),
        verification: hash(&from.remote.verification),
        http_headers: Vec::new(),
    }
}

fn filesystems(config: &Config, out: &mut v2::Config) {
    for filesystem in &config.storage.filesystems {
        out.storage.filesystems.push(v2::Filesystem {
            name: filesystem.name.clone(),
            path: filesystem.path.clone(),
            mount: filesystem.mount.as_ref().map(|mount| v2::Mount {
                device: mount.device.clone(),
                format: mount.format.clone(),
                wipe_filesystem: mount.wipe_filesystem,
                label: mount.label.clone(),
                uuid: mount.uuid.clone(),
                options: mount.options.clone(),
                create: mount
                    .create
                    .as_ref()
                    .map(|create| v2::Create { force: create.force, options: create.options.clone() }),
            }),
        });
    }
}

fn networkd(config: &Config, out: &mut v2::Config) {
    for unit in &config.networkd.units {
        let dropins = unit.dropins.iter();
        out.networkd.units.push(v2::NetworkdUnit {
            name: unit.name.clone(),
            contents: unit.contents.clone(),
            dropins: dropins
                .map(|dropin| v2::Dropin { name: dropin.name.clone(), contents: dropin.contents.clone() })
                .collect(),
        });
    }
}

fn passwd(config: &Config, out: &mut v2::Config) {
    for user in &config.passwd.users {
        let create = user.create.as_ref().map(|create| v2::UserCreate {
            uid: create.uid.and_then(|uid| i64::try_from(uid).ok()),
            gecos: create.gecos.clone(),
            home_dir: create.home_dir.clone(),
            no_create_home: create.no_create_home,
            primary_group: create.primary_group.clone(),
            groups: create.groups.clone(),
            no_user_group: create.no_user_group,
            system: create.system,
            no_log_init: create.no_log_init,
            shell: create.shell.clone(),
        });
        out.passwd.users.push(v2::PasswdUser {
            name: user.name.clone(),
            password_hash: user.password_hash.clone(),
            ssh_authorized_keys: user.ssh_authorized_keys.clone(),
            create,
            uid: user.uid,
            gecos: user.gecos.clone(),
            home_dir: user.home_dir.clone(),
            no_create_home: user.no_create_home,
            primary_group: user.primary_group.clone(),
            groups: user.groups.clone(),
            no_user_group: user.no_user_group,
            system: user.system,
            no_log_init: user.no_log_init,
            shell: user.shell.clone(),
        });
    }
    for group in &config.passwd.groups {
        out.passwd.groups.push(v2::PasswdGroup {
            name: group.name.clone(),
            gid: group.gid.and_then(|gid| i64::try_from(gid).ok()),
            password_hash: group.password_hash.clone(),
            system: group.system,
        });
    }
}
