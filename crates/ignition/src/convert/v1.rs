//! Between Ignition 1 and 2.0.

use super::prune::lose;
use crate::report::{At, Report};
use crate::{data_url, v1, v2};

/// To 2.0: filesystems get names, files refer to them.
pub(super) fn up(old: v1::Config) -> v2::Config {
    let mut new = v2::Config::default();
    for disk in old.storage.disks {
        let partitions = disk.partitions.into_iter().map(|partition| v2::Partition {
            label: Some(partition.label).filter(|label| !label.is_empty()),
            number: partition.number,
            size: Some(partition.size),
            start: Some(partition.start),
            type_guid: partition.type_guid,
            ..v2::Partition::default()
        });
        let partitions = partitions.collect();
        new.storage.disks.push(v2::Disk { device: disk.device, wipe_table: disk.wipe_table, partitions });
    }
    for raid in old.storage.raid {
        new.storage.raid.push(v2::Raid {
            name: raid.name,
            level: raid.level,
            devices: raid.devices,
            spares: raid.spares,
            options: Vec::new(),
        });
    }
    for (index, filesystem) in old.storage.filesystems.into_iter().enumerate() {
        let name = format!("_translate-filesystem-{index}");
        for file in filesystem.files {
            let mut source = "data:,".to_owned();
            data_url::escape(file.contents.as_bytes(), &mut source);
            new.storage.files.push(v2::File {
                filesystem: name.clone(),
                path: file.path,
                mode: Some(file.mode).filter(|mode| *mode != 0),
                user: owner(file.uid),
                group: owner(file.gid),
                contents: v2::FileContents { source, ..v2::FileContents::default() },
                ..v2::File::default()
            });
        }
        let create =
            filesystem.create.map(|create| v2::Create { force: create.force, options: create.options });
        let mount = v2::Mount {
            device: filesystem.device,
            format: filesystem.format,
            create,
            ..v2::Mount::default()
        };
        new.storage.filesystems.push(v2::Filesystem { name, mount: Some(mount), path: None });
    }
    for unit in old.systemd.units {
        let dropins = unit.dropins.into_iter();
        let dropins =
            dropins.map(|dropin| v2::Dropin { name: dropin.name, contents: dropin.contents }).collect();
        new.systemd.units.push(v2::Unit {
            name: unit.name,
            enable: unit.enable,
            mask: unit.mask,
            contents: unit.contents,
            dropins,
            enabled: None,
        });
    }
    for unit in old.networkd.units {
        new.networkd.units.push(v2::NetworkdUnit {
            name: unit.name,
            contents: unit.contents,
            dropins: Vec::new(),
        });
    }
    for user in old.passwd.users {
        let create = user.create.map(|create| v2::UserCreate {
            uid: create.uid.map(signed),
            gecos: create.gecos,
            home_dir: create.home_dir,
            no_create_home: create.no_create_home,
            primary_group: create.primary_group,
            groups: create.groups,
            no_user_group: create.no_user_group,
            system: create.system,
            no_log_init: create.no_log_init,
            shell: create.shell,
        });
        new.passwd.users.push(v2::PasswdUser {
            name: user.name,
            password_hash: Some(user.password_hash).filter(|hash| !hash.is_empty()),
            ssh_authorized_keys: user.ssh_authorized_keys,
            create,
            ..v2::PasswdUser::default()
        });
    }
    for group in old.passwd.groups {
        new.passwd.groups.push(v2::PasswdGroup {
            name: group.name,
            gid: group.gid.map(signed),
            password_hash: group.password_hash,
            system: group.system,
        });
    }
    new
}

/// No number of an account is near the limit.
fn signed(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

fn owner(id: i64) -> Option<v2::Owner> {
    (id != 0).then(|| v2::Owner { id: Some(id), name: String::new() })
}

/// To 1: what has no place there is lost.
pub(super) fn down(old: v2::Config, losses: &mut Report) -> v1::Config {
    let mut new = v1::Config { ignition_version: 1, ..v1::Config::default() };
    let (ignition, storage) = (At::ROOT.key("ignition"), At::ROOT.key("storage"));
    if !old.ignition.config.append.is_empty() || old.ignition.config.replace.is_some() {
        lose(losses, "other configs", &ignition.key("config"));
    }
    for disk in old.storage.disks {
        let partitions = disk.partitions.into_iter().map(|partition| v1::Partition {
            label: partition.label.unwrap_or_default(),
            number: partition.number,
            size: partition.size.unwrap_or_default(),
            start: partition.start.unwrap_or_default(),
            type_guid: partition.type_guid,
        });
        let partitions = partitions.collect();
        new.storage.disks.push(v1::Disk { device: disk.device, wipe_table: disk.wipe_table, partitions });
    }
    for raid in old.storage.raid {
        new.storage.raid.push(v1::Raid {
            name: raid.name,
            level: raid.level,
            devices: raid.devices,
            spares: raid.spares,
        });
    }
    let mut names = Vec::new();
    for (index, filesystem) in old.storage.filesystems.into_iter().enumerate() {
        let Some(mount) = filesystem.mount else {
            lose(losses, "a filesystem without device", &storage.key("filesystems").index(index));
            continue;
        };
        names.push(filesystem.name);
        new.storage.filesystems.push(v1::Filesystem {
            device: mount.device,
            format: mount.format,
            create: mount.create.map(|create| v1::Create { force: create.force, options: create.options }),
            files: Vec::new(),
        });
    }
    for (index, file) in old.storage.files.into_iter().enumerate() {
        let list = storage.key("files");
        let at = list.index(index);
        let place = names.iter().position(|name| *name == file.filesystem);
        let Some(filesystem) = place.and_then(|place| new.storage.filesystems.get_mut(place)) else {
            lose(losses, "a file outside the config's own filesystems", &at.key("filesystem"));
            continue;
        };
        let octets = if file.contents.source.is_empty() {
            Some(Vec::new())
        } else {
            data_url::decode(&file.contents.source).ok()
        };
        let text =
            octets.filter(|_| file.contents.compression.is_empty()).and_then(|it| String::from_utf8(it).ok());
        let Some(contents) = text else {
            lose(losses, "contents that are no inline text", &at.key("contents"));
            continue;
        };
        let id = |owner: &Option<v2::Owner>| owner.as_ref().and_then(|owner| owner.id).unwrap_or_default();
        filesystem.files.push(v1::File {
            contents,
            mode: file.mode.unwrap_or_default(),
            uid: id(&file.user),
            gid: id(&file.group),
            path: file.path,
        });
    }
    for unit in old.systemd.units {
        let dropins = unit.dropins.into_iter();
        let dropins =
            dropins.map(|dropin| v1::Dropin { name: dropin.name, contents: dropin.contents }).collect();
        new.systemd.units.push(v1::Unit {
            name: unit.name,
            enable: unit.enable,
            mask: unit.mask,
            contents: unit.contents,
            dropins,
        });
    }
    for unit in old.networkd.units {
        new.networkd.units.push(v1::NetworkdUnit { name: unit.name, contents: unit.contents });
    }
    let passwd = At::ROOT.key("passwd");
    for (index, user) in old.passwd.users.into_iter().enumerate() {
        let create = user.create.map(|create| v1::UserCreate {
            uid: unsigned(create.uid, losses, &passwd.key("users").index(index).key("create").key("uid")),
            gecos: create.gecos,
            home_dir: create.home_dir,
            no_create_home: create.no_create_home,
            primary_group: create.primary_group,
            groups: create.groups,
            no_user_group: create.no_user_group,
            system: create.system,
            no_log_init: create.no_log_init,
            shell: create.shell,
        });
        new.passwd.users.push(v1::User {
            name: user.name,
            password_hash: user.password_hash.unwrap_or_default(),
            ssh_authorized_keys: user.ssh_authorized_keys,
            create,
        });
    }
    for (index, group) in old.passwd.groups.into_iter().enumerate() {
        new.passwd.groups.push(v1::Group {
            name: group.name,
            gid: unsigned(group.gid, losses, &passwd.key("groups").index(index).key("gid")),
            password_hash: group.password_hash,
            system: group.system,
        });
    }
    new
}

fn unsigned(id: Option<i64>, losses: &mut Report, at: &At<'_>) -> Option<u64> {
    let id = id?;
    if id < 0 {
        lose(losses, "a negative number", at);
    }
    u64::try_from(id).ok()
}
