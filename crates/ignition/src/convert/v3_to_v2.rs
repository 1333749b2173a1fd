//! 3.1 to 2.4: paths go into named filesystems, defaults change sides.

use super::prune::lose;
use crate::report::{At, Report};
use crate::{v2, v3};

pub(super) fn convert(old: v3::Config, losses: &mut Report) -> v2::Config {
    let mut new = v2::Config::default();
    let (ignition, storage) = (At::ROOT.key("ignition"), At::ROOT.key("storage"));
    let at_config = ignition.key("config");
    for (index, resource) in old.ignition.config.merge.into_iter().enumerate() {
        new.ignition.config.append.extend(reference(resource, losses, &at_config.key("merge").index(index)));
    }
    new.ignition.config.replace = reference(old.ignition.config.replace, losses, &at_config.key("replace"));
    let security = ignition.key("security");
    let tls = security.key("tls");
    for (index, resource) in old.ignition.security.tls.certificate_authorities.into_iter().enumerate() {
        let authority = reference(resource, losses, &tls.key("certificateAuthorities").index(index));
        new.ignition.security.tls.certificate_authorities.extend(authority.map(|authority| {
            v2::CaReference {
                source: authority.source,
                http_headers: authority.http_headers,
                verification: authority.verification,
            }
        }));
    }
    new.ignition.timeouts = v2::Timeouts {
        http_response_headers: old.ignition.timeouts.http_response_headers,
        http_total: old.ignition.timeouts.http_total,
    };
    new.ignition.proxy = v2::Proxy {
        http_proxy: old.ignition.proxy.http_proxy.unwrap_or_default(),
        https_proxy: old.ignition.proxy.https_proxy.unwrap_or_default(),
        no_proxy: old.ignition.proxy.no_proxy,
    };
    new.passwd.users = old.passwd.users.into_iter().map(user).collect();
    new.passwd.groups = old.passwd.groups.into_iter().map(group).collect();
    new.systemd.units = old.systemd.units.into_iter().map(unit).collect();
    new.storage.disks = old.storage.disks.into_iter().map(disk).collect();
    for raid in old.storage.raid {
        new.storage.raid.push(v2::Raid {
            name: raid.name,
            level: raid.level.unwrap_or_default(),
            devices: raid.devices,
            spares: raid.spares.unwrap_or_default(),
            options: raid.options,
        });
    }
    let mounts: Vec<String> =
        old.storage.filesystems.iter().filter_map(|filesystem| filesystem.path.clone()).collect();
    let mut unnamed = 0;
    for (index, filesystem) in old.storage.filesystems.into_iter().enumerate() {
        if !filesystem.mount_options.is_empty() {
            lose(losses, "mountOptions", &storage.key("filesystems").index(index).key("mountOptions"));
        }
        let name = filesystem.path.unwrap_or_else(|| {
            unnamed += 1;
            unnamed.to_string()
        });
        let mount = v2::Mount {
            device: filesystem.device,
            format: filesystem.format.unwrap_or_default(),
            wipe_filesystem: filesystem.wipe_filesystem.unwrap_or_default(),
            label: filesystem.label,
            uuid: filesystem.uuid,
            options: filesystem.options,
            create: None,
        };
        new.storage.filesystems.push(v2::Filesystem { name, mount: Some(mount), path: None });
    }
    for file in old.storage.files {
        files(file, &mounts, &mut new.storage.files);
    }
    for directory in old.storage.directories {
        let (filesystem, path) = place(&directory.path, &mounts);
        new.storage.directories.push(v2::Directory {
            filesystem,
            path,
            user: owner(directory.user.id, directory.user.name),
            group: owner(directory.group.id, directory.group.name),
            overwrite: directory.overwrite,
            mode: directory.mode,
        });
    }
    for link in old.storage.links {
        let (filesystem, path) = place(&link.path, &mounts);
        new.storage.links.push(v2::Link {
            filesystem,
            path,
            user: owner(link.user.id, link.user.name),
            group: owner(link.group.id, link.group.name),
            overwrite: link.overwrite,
            hard: link.hard.unwrap_or_default(),
            target: link.target.unwrap_or_default(),
        });
    }
    new
}

/// The deepest filesystem above a path, and the path inside it.
fn place(path: &str, mounts: &[String]) -> (String, String) {
    let inside = |mount: &String| {
        path.strip_prefix(mount.trim_end_matches('/')).filter(|rest| rest.starts_with('/')).map(str::to_owned)
    };
    let deepest =
        mounts.iter().filter_map(|mount| Some((mount, inside(mount)?))).max_by_key(|(mount, _)| mount.len());
    match deepest {
        Some((mount, rest)) => (mount.clone(), rest),
        None => ("root".to_owned(), path.to_owned()),
    }
}

fn owner(id: Option<i64>, name: Option<String>) -> Option<v2::Owner> {
    (id.is_some() || name.is_some()).then(|| v2::Owner { id, name: name.unwrap_or_default() })
}

fn headers(headers: Vec<v3::HttpHeader>) -> Vec<v2::HttpHeader> {
    let headers = headers.into_iter();
    // Without a value a header is not sent.
    headers.filter_map(|header| Some(v2::HttpHeader { name: header.name, value: header.value? })).collect()
}

fn reference(resource: v3::Resource, losses: &mut Report, at: &At<'_>) -> Option<v2::ConfigReference> {
    if resource.compression.is_some() {
        lose(losses, "compression", &at.key("compression"));
    }
    Some(v2::ConfigReference {
        source: resource.source?,
        http_headers: headers(resource.http_headers),
        verification: v2::Verification { hash: resource.verification.hash },
    })
}

/// One file of 3.x is one of 2.x for its contents and one for each fragment.
fn files(file: v3::File, mounts: &[String], out: &mut Vec<v2::File>) {
    let (filesystem, path) = place(&file.path, mounts);
    let base = v2::File {
        filesystem,
        path,
        user: owner(file.user.id, file.user.name),
        group: owner(file.group.id, file.group.name),
        // 3.x keeps what is there by default, 2.x replaces it.
        overwrite: Some(file.overwrite.unwrap_or_default()),
        mode: file.mode,
        ..v2::File::default()
    };
    let contents = |resource: v3::Resource| v2::FileContents {
        compression: resource.compression.unwrap_or_default(),
        source: resource.source.unwrap_or_default(),
        http_headers: headers(resource.http_headers),
        verification: v2::Verification { hash: resource.verification.hash },
    };
    let appended = v2::File { append: true, overwrite: Some(false), ..base.clone() };
    if file.contents.source.is_some() {
        out.push(v2::File { contents: contents(file.contents), ..base });
    } else if file.append.is_empty() {
        // Nothing appended makes the file if it is not there, and keeps it if it is.
        out.push(appended.clone());
    }
    for fragment in file.append {
        out.push(v2::File { contents: contents(fragment), ..appended.clone() });
    }
}

fn disk(disk: v3::Disk) -> v2::Disk {
    let partitions = disk.partitions.into_iter().map(|partition| v2::Partition {
        label: partition.label,
        number: partition.number,
        size_mib: partition.size_mib,
        start_mib: partition.start_mib,
        type_guid: partition.type_guid.unwrap_or_default(),
        guid: partition.guid.unwrap_or_default(),
        wipe_partition_entry: partition.wipe_partition_entry.unwrap_or_default(),
        should_exist: partition.should_exist,
        size: None,
        start: None,
    });
    v2::Disk {
        device: disk.device,
        wipe_table: disk.wipe_table.unwrap_or_default(),
        partitions: partitions.collect(),
    }
}

fn user(user: v3::PasswdUser) -> v2::PasswdUser {
    v2::PasswdUser {
        name: user.name,
        password_hash: user.password_hash,
        ssh_authorized_keys: user.ssh_authorized_keys,
        uid: user.uid,
        gecos: user.gecos.unwrap_or_default(),
        home_dir: user.home_dir.unwrap_or_default(),
        no_create_home: user.no_create_home.unwrap_or_default(),
        primary_group: user.primary_group.unwrap_or_default(),
        groups: user.groups,
        no_user_group: user.no_user_group.unwrap_or_default(),
        no_log_init: user.no_log_init.unwrap_or_default(),
        shell: user.shell.unwrap_or_default(),
        system: user.system.unwrap_or_default(),
        create: None,
    }
}

fn group(group: v3::PasswdGroup) -> v2::PasswdGroup {
    v2::PasswdGroup {
        name: group.name,
        gid: group.gid,
        password_hash: group.password_hash.unwrap_or_default(),
        system: group.system.unwrap_or_default(),
    }
}

fn unit(unit: v3::Unit) -> v2::Unit {
    v2::Unit {
        name: unit.name,
        enabled: unit.enabled,
        enable: false,
        mask: unit.mask.unwrap_or_default(),
        contents: unit.contents.unwrap_or_default(),
        dropins: unit
            .dropins
            .into_iter()
            .map(|dropin| v2::Dropin { name: dropin.name, contents: dropin.contents.unwrap_or_default() })
            .collect(),
    }
}
