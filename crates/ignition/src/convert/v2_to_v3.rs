//! 2.4 to 3.1: named filesystems become paths, defaults change sides.

use std::collections::BTreeMap;

use super::Options;
use crate::report::{At, Report};
use crate::{v2, v3};

/// Octets of a MiB in sectors of 512.
const SECTORS: i64 = 2048;

pub(super) fn convert(old: v2::Config, options: &Options, losses: &mut Report) -> v3::Config {
    if !old.networkd.units.is_empty() {
        let message = "config includes deprecated networkd section - use Files instead";
        losses.error("lost", message, &At::ROOT.key("networkd"));
    }
    let storage = At::ROOT.key("storage");
    let mounts = mount_points(&old.storage.filesystems, options, losses, &storage);
    let mut new = v3::Config::default();
    let ignition = &mut new.ignition;
    ignition.config.replace = old.ignition.config.replace.map(reference).unwrap_or_default();
    ignition.config.merge = old.ignition.config.append.into_iter().map(reference).collect();
    let authorities = old.ignition.security.tls.certificate_authorities.into_iter();
    ignition.security.tls.certificate_authorities = authorities
        .map(|authority| resource(authority.source, authority.verification, authority.http_headers))
        .collect();
    ignition.timeouts = v3::Timeouts {
        http_response_headers: old.ignition.timeouts.http_response_headers,
        http_total: old.ignition.timeouts.http_total,
    };
    ignition.proxy = v3::Proxy {
        http_proxy: text(old.ignition.proxy.http_proxy),
        https_proxy: text(old.ignition.proxy.https_proxy),
        no_proxy: old.ignition.proxy.no_proxy,
    };
    new.passwd.users = old.passwd.users.into_iter().map(user).collect();
    new.passwd.groups = old.passwd.groups.into_iter().map(group).collect();
    new.systemd.units = old.systemd.units.into_iter().map(unit).collect();
    for (index, disk) in old.storage.disks.into_iter().enumerate() {
        let list = storage.key("disks");
        let at = list.index(index);
        let list = at.key("partitions");
        let partitions = disk.partitions.into_iter().enumerate();
        let partitions =
            partitions.map(|(index, entry)| partition(entry, options, losses, &list.index(index))).collect();
        new.storage.disks.push(v3::Disk {
            device: disk.device,
            wipe_table: switch(disk.wipe_table),
            partitions,
        });
    }
    for raid in old.storage.raid {
        new.storage.raid.push(v3::Raid {
            name: raid.name,
            level: Some(raid.level),
            devices: raid.devices,
            spares: Some(raid.spares).filter(|spares| *spares != 0),
            options: raid.options,
        });
    }
    for filesystem in old.storage.filesystems {
        // `root` is implied; a filesystem without device is where it is.
        let (false, Some(mount)) = (filesystem.name == "root", filesystem.mount) else { continue };
        let (wipe, options) = match mount.create {
            Some(create) => (create.force || mount.wipe_filesystem, create.options),
            None => (mount.wipe_filesystem, mount.options),
        };
        new.storage.filesystems.push(v3::Filesystem {
            device: mount.device,
            format: text(mount.format),
            wipe_filesystem: switch(wipe),
            label: mount.label,
            uuid: mount.uuid,
            options,
            path: mounts.get(filesystem.name.as_str()).cloned().filter(|path| !path.is_empty()),
            mount_options: Vec::new(),
        });
    }
    let place = |filesystem: &str, path: &str| {
        let mount = mounts.get(filesystem).map_or("/", String::as_str);
        crate::path::clean(&format!("{mount}/{path}"))
    };
    for file in old.storage.files {
        let contents = v3::Resource {
            compression: text(file.contents.compression),
            source: Some(file.contents.source),
            http_headers: headers(file.contents.http_headers),
            verification: v3::Verification { hash: file.contents.verification.hash },
        };
        // 2.x replaces by default; what is appended must not replace.
        let overwrite = if file.append { Some(false) } else { Some(file.overwrite.unwrap_or(true)) };
        let mut new_file = v3::File {
            path: place(&file.filesystem, &file.path),
            user: owner_user(file.user),
            group: owner_group(file.group),
            overwrite,
            mode: file.mode,
            ..v3::File::default()
        };
        if file.append {
            new_file.append.push(contents);
        } else {
            new_file.contents = contents;
        }
        new.storage.files.push(new_file);
    }
    for directory in old.storage.directories {
        new.storage.directories.push(v3::Directory {
            path: place(&directory.filesystem, &directory.path),
            user: owner_user(directory.user),
            group: owner_group(directory.group),
            overwrite: directory.overwrite,
            mode: directory.mode,
        });
    }
    for link in old.storage.links {
        new.storage.links.push(v3::Link {
            path: place(&link.filesystem, &link.path),
            user: owner_user(link.user),
            group: owner_group(link.group),
            overwrite: link.overwrite,
            hard: switch(link.hard),
            target: Some(link.target),
        });
    }
    new
}

/// Where each named filesystem is mounted.
fn mount_points(
    filesystems: &[v2::Filesystem],
    options: &Options,
    losses: &mut Report,
    at: &At<'_>,
) -> BTreeMap<String, String> {
    let mut mounts = options.fs_map.clone();
    mounts.insert("root".to_owned(), "/".to_owned());
    for (index, filesystem) in filesystems.iter().enumerate() {
        if mounts.contains_key(&filesystem.name) {
            continue;
        }
        match (&filesystem.path, &filesystem.mount) {
            (Some(path), None) => {
                mounts.insert(filesystem.name.clone(), path.clone());
            }
            _ => {
                let message = format!(
                    "filesystem {:?} has no mount point: name one with --fsmap {}=PATH",
                    filesystem.name, filesystem.name
                );
                losses.error("no-mount-point", message, &at.key("filesystems").index(index).key("name"));
            }
        }
    }
    mounts
}

fn text(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn switch(on: bool) -> Option<bool> {
    on.then_some(true)
}

fn headers(headers: Vec<v2::HttpHeader>) -> Vec<v3::HttpHeader> {
    let headers = headers.into_iter();
    headers.map(|header| v3::HttpHeader { name: header.name, value: text(header.value) }).collect()
}

fn resource(source: String, verification: v2::Verification, list: Vec<v2::HttpHeader>) -> v3::Resource {
    v3::Resource {
        source: Some(source),
        http_headers: headers(list),
        verification: v3::Verification { hash: verification.hash },
        compression: None,
    }
}

fn reference(reference: v2::ConfigReference) -> v3::Resource {
    resource(reference.source, reference.verification, reference.http_headers)
}

fn owner_user(owner: Option<v2::Owner>) -> v3::NodeUser {
    owner.map(|owner| v3::NodeUser { id: owner.id, name: text(owner.name) }).unwrap_or_default()
}

fn owner_group(owner: Option<v2::Owner>) -> v3::NodeGroup {
    owner.map(|owner| v3::NodeGroup { id: owner.id, name: text(owner.name) }).unwrap_or_default()
}

fn partition(old: v2::Partition, options: &Options, losses: &mut Report, at: &At<'_>) -> v3::Partition {
    let mut mib = |mib: Option<i64>, sectors: Option<i64>, name: &str| match sectors {
        None => mib,
        Some(sectors) if options.sectors && sectors % SECTORS == 0 => Some(sectors / SECTORS),
        Some(_) => {
            let message = format!(
                "{name} is in sectors, which 3.x does not have: use {name}MiB, or --sectors if the disk's have 512 octets"
            );
            losses.error("lost", message, &at.key(name));
            None
        }
    };
    v3::Partition {
        size_mib: mib(old.size_mib, old.size, "size"),
        start_mib: mib(old.start_mib, old.start, "start"),
        label: old.label,
        number: old.number,
        type_guid: text(old.type_guid),
        guid: text(old.guid),
        wipe_partition_entry: switch(old.wipe_partition_entry),
        should_exist: old.should_exist,
        resize: None,
    }
}

fn user(user: v2::PasswdUser) -> v3::PasswdUser {
    let create = user.create.unwrap_or_default();
    // A user has `create` or the fields of 2.1, never both.
    let either = |new: String, old: String| text(new).or_else(|| text(old));
    v3::PasswdUser {
        name: user.name,
        password_hash: user.password_hash,
        ssh_authorized_keys: user.ssh_authorized_keys,
        uid: user.uid.or(create.uid),
        gecos: either(user.gecos, create.gecos),
        home_dir: either(user.home_dir, create.home_dir),
        no_create_home: switch(user.no_create_home || create.no_create_home),
        primary_group: either(user.primary_group, create.primary_group),
        groups: if user.groups.is_empty() { create.groups } else { user.groups },
        no_user_group: switch(user.no_user_group || create.no_user_group),
        no_log_init: switch(user.no_log_init || create.no_log_init),
        shell: either(user.shell, create.shell),
        system: switch(user.system || create.system),
        should_exist: None,
    }
}

fn group(group: v2::PasswdGroup) -> v3::PasswdGroup {
    v3::PasswdGroup {
        name: group.name,
        gid: group.gid,
        password_hash: text(group.password_hash),
        system: switch(group.system),
        should_exist: None,
    }
}

fn unit(unit: v2::Unit) -> v3::Unit {
    v3::Unit {
        name: unit.name,
        // `enabled` wins over the older `enable`.
        enabled: unit.enabled.or(switch(unit.enable)),
        mask: switch(unit.mask),
        contents: text(unit.contents),
        dropins: unit
            .dropins
            .into_iter()
            .map(|dropin| v3::Dropin { name: dropin.name, contents: text(dropin.contents) })
            .collect(),
    }
}
