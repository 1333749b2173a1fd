//! Steps between versions of 2.x.

use super::Options;
use super::prune::{Prune as _, lose};
use crate::report::{At, Report};
use crate::v2::{Config, Create, Mount, Owner, Partition, PasswdUser, UserCreate};

/// Octets of a MiB in sectors of 512.
const SECTORS: i64 = 2048;

/// Up to `level`: what was implied becomes explicit where the newer version tells it from absent.
pub(super) fn up(mut config: Config, level: u8) -> Config {
    let storage = &mut config.storage;
    match level {
        1 => {
            for file in &mut storage.files {
                for owner in [&mut file.user, &mut file.group] {
                    let owner = owner.get_or_insert_default();
                    owner.id.get_or_insert_default();
                }
            }
            for user in &mut config.passwd.users {
                user.password_hash = user.password_hash.take().filter(|hash| !hash.is_empty());
            }
        }
        2 => {
            for file in &mut storage.files {
                file.mode.get_or_insert_default();
            }
            for directory in &mut storage.directories {
                directory.mode.get_or_insert_default();
            }
        }
        3 => {
            for partition in storage.disks.iter_mut().flat_map(|disk| &mut disk.partitions) {
                partition.label.get_or_insert_default();
                partition.size.get_or_insert_default();
                partition.start.get_or_insert_default();
            }
        }
        _ => {}
    }
    config
}

/// Down to `level`.
pub(super) fn down(mut config: Config, level: u8, options: &Options, losses: &mut Report) -> Config {
    let storage = At::ROOT.key("storage");
    if level == 2 {
        for (index, disk) in config.storage.disks.iter_mut().enumerate() {
            let list = storage.key("disks");
            let at = list.index(index);
            for (index, partition) in disk.partitions.iter_mut().enumerate() {
                to_sectors(partition, options, losses, &at.key("partitions").index(index));
            }
        }
    }
    if level == 1 {
        for (index, file) in config.storage.files.iter_mut().enumerate() {
            // Replacing what is there is the default, and the only way before 2.2.
            if file.overwrite == Some(true) {
                file.overwrite = None;
            } else if file.overwrite == Some(false) && !file.append {
                lose(losses, "keeping an existing file", &storage.key("files").index(index).key("overwrite"));
                file.overwrite = None;
            }
        }
    }
    if level == 0 {
        for mount in config.storage.filesystems.iter_mut().filter_map(|filesystem| filesystem.mount.as_mut())
        {
            to_create(mount);
        }
        for unit in &mut config.systemd.units {
            unit.enable |= unit.enabled == Some(true);
            unit.enabled = unit.enabled.filter(|enabled| !enabled);
        }
        for user in &mut config.passwd.users {
            user_to_create(user);
        }
        for owner in config.storage.files.iter_mut().flat_map(|file| [&mut file.user, &mut file.group]) {
            if owner.as_ref().is_some_and(|owner| *owner == Owner::default()) {
                *owner = None;
            }
        }
    }
    config.prune(level, losses, &At::ROOT);
    config
}

/// 2.2 has sizes in sectors only.
fn to_sectors(partition: &mut Partition, options: &Options, losses: &mut Report, at: &At<'_>) {
    let fields = [
        ("sizeMiB", partition.size_mib.take(), &mut partition.size),
        ("startMiB", partition.start_mib.take(), &mut partition.start),
    ];
    for (name, mib, sectors) in fields {
        match mib.map(|mib| mib.checked_mul(SECTORS)) {
            Some(Some(value)) if value == 0 || options.sectors => *sectors = Some(value),
            Some(_) => lose(losses, "a size in MiB (exact in sectors of 512 octets only)", &at.key(name)),
            None => {}
        }
    }
}

/// Filesystem options of 2.1 as 2.0's `create`.
fn to_create(mount: &mut Mount) {
    if mount.create.is_none() && mount.wipe_filesystem {
        let options = std::mem::take(&mut mount.options);
        mount.create = Some(Create { force: true, options });
        mount.wipe_filesystem = false;
    }
}

/// User fields of 2.1 as 2.0's `create`.
fn user_to_create(user: &mut PasswdUser) {
    let create = UserCreate {
        gecos: std::mem::take(&mut user.gecos),
        groups: std::mem::take(&mut user.groups),
        home_dir: std::mem::take(&mut user.home_dir),
        no_create_home: std::mem::take(&mut user.no_create_home),
        no_log_init: std::mem::take(&mut user.no_log_init),
        no_user_group: std::mem::take(&mut user.no_user_group),
        primary_group: std::mem::take(&mut user.primary_group),
        shell: std::mem::take(&mut user.shell),
        system: std::mem::take(&mut user.system),
        uid: user.uid.take(),
    };
    if user.create.is_none() && create != UserCreate::default() {
        user.create = Some(create);
    }
}
