//! The Ignition 2.0.0 document of a Fuze config, octet for octet as bootcfg v0.4.0 printed it.
//!
//! Order and presence of members are those of Go's types in ignition at b685083: structs are written even when empty,
//! zero numbers and `false` are not, partitions always carry number, size and start.

use super::model::{
    Config, ConfigReference, Disk, File, Filesystem, Group, Raid, Unit, User, UserCreate, Verification,
};
use crate::encode::{Style, Writer};
use crate::report::{At, Report};
use crate::size;
use crate::url::Url;

/// Writes a config that was checked; it was read from so many octets.
pub(super) fn config(config: &Config, source: usize) -> Result<String, Report> {
    let mut report = Report::default();
    let mut out = Writer::new(Style::GO, 0).expect(source + source / 4 + 256);
    out.object(|out| {
        out.key("ignition");
        out.object(|out| {
            out.member("version", &"2.0.0".to_owned(), true, 0);
            out.key("config");
            out.object(|out| {
                list(out, "append", &config.ignition.config.append, reference);
                if let Some(replace) = &config.ignition.config.replace {
                    out.key("replace");
                    reference(out, replace);
                }
            });
        });
        out.key("storage");
        out.object(|out| {
            list(out, "disks", &config.storage.disks, disk);
            list(out, "raid", &config.storage.raid, raid);
            list(out, "filesystems", &config.storage.filesystems, filesystem);
            list(out, "files", &config.storage.files, file);
        });
        out.key("systemd");
        out.object(|out| list(out, "units", &config.systemd.units, unit));
        out.key("networkd");
        out.object(|out| {
            list(out, "units", &config.networkd.units, |out, unit| {
                out.object(|out| {
                    out.member("name", &unit.name, false, 0);
                    out.member("contents", &unit.contents, false, 0);
                });
            });
        });
        out.key("passwd");
        out.object(|out| {
            list(out, "users", &config.passwd.users, user);
            list(out, "groups", &config.passwd.groups, group);
        });
    });
    check_raw(config, &mut report);
    if report.is_fatal() { Err(report) } else { Ok(out.text) }
}

/// bootcfg wrote paths, URLs and hashes between quotes without escaping them and failed if that was no JSON.
fn check_raw(config: &Config, report: &mut Report) {
    let mut check = |text: &str, at: &At<'_>| {
        let quoted = format!("\"{text}\"");
        if crate::json::parse(quoted.as_bytes()).is_err() {
            let message = "a quote, backslash or control character cannot stand in a path or a URL";
            report.error("unquotable", message, at);
        }
    };
    let config_at = At::ROOT.key("ignition");
    let config_at = config_at.key("config");
    for (index, reference) in config.ignition.config.append.iter().enumerate() {
        check(&printed(&reference.source), &config_at.key("append").index(index).key("source"));
    }
    if let Some(reference) = &config.ignition.config.replace {
        check(&printed(&reference.source), &config_at.key("replace").key("source"));
    }
    let storage = At::ROOT.key("storage");
    for (index, file) in config.storage.files.iter().enumerate() {
        let files = storage.key("files");
        let at = files.index(index);
        check(&file.path, &at.key("path"));
        if !file.contents.remote.url.is_empty() {
            check(&printed(&file.contents.remote.url), &at.key("contents").key("remote").key("url"));
        }
    }
    for (index, disk) in config.storage.disks.iter().enumerate() {
        check(&disk.device, &storage.key("disks").index(index).key("device"));
    }
    for (index, filesystem) in config.storage.filesystems.iter().enumerate() {
        let filesystems = storage.key("filesystems");
        let at = filesystems.index(index);
        check(&filesystem.path, &at.key("path"));
        if let Some(mount) = &filesystem.mount {
            check(&mount.device, &at.key("mount").key("device"));
        }
    }
    for (index, raid) in config.storage.raid.iter().enumerate() {
        for (device, path) in raid.devices.iter().enumerate() {
            check(path, &storage.key("raid").index(index).key("devices").index(device));
        }
    }
}

fn list<T>(out: &mut Writer, name: &str, items: &[T], each: impl FnMut(&mut Writer, &T)) {
    if !items.is_empty() {
        out.key(name);
        out.list(items.iter(), each);
    }
}

/// Written between quotes as it is, then with Go's HTML escapes.
fn raw(out: &mut Writer, text: &str) {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '<' => quoted.push_str("\\u003c"),
            '>' => quoted.push_str("\\u003e"),
            '&' => quoted.push_str("\\u0026"),
            '\u{2028}' => quoted.push_str("\\u2028"),
            '\u{2029}' => quoted.push_str("\\u2029"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    out.raw(&quoted);
}

fn raw_member(out: &mut Writer, name: &str, text: &str) {
    if !text.is_empty() {
        out.key(name);
        raw(out, text);
    }
}

fn url(out: &mut Writer, name: &str, text: &str) {
    out.key(name);
    raw(out, &printed(text));
}

/// A URL as Go prints it.
fn printed(text: &str) -> String {
    match Url::parse(text, false) {
        Ok(url) => url.to_string(),
        Err(_) => text.to_owned(), // refused by the check before
    }
}

fn verification(out: &mut Writer, verification: &Verification) {
    out.key("verification");
    out.object(|out| {
        let hash = &verification.hash;
        if !hash.function.is_empty() && !hash.sum.is_empty() {
            raw_member(out, "hash", &format!("{}-{}", hash.function, hash.sum));
        }
    });
}

fn reference(out: &mut Writer, reference: &ConfigReference) {
    out.object(|out| {
        url(out, "source", &reference.source);
        verification(out, &reference.verification);
    });
}

fn disk(out: &mut Writer, disk: &Disk) {
    out.object(|out| {
        raw_member(out, "device", &disk.device);
        out.member("wipeTable", &disk.wipe_table, false, 0);
        list(out, "partitions", &disk.partitions, |out, partition| {
            out.object(|out| {
                out.member("label", &partition.label, false, 0);
                out.member("number", &partition.number, true, 0);
                out.member("size", &size::sectors(&partition.size).unwrap_or_default(), true, 0);
                out.member("start", &size::sectors(&partition.start).unwrap_or_default(), true, 0);
                out.member("typeGuid", &partition.type_guid, false, 0);
            });
        });
    });
}

fn raid(out: &mut Writer, raid: &Raid) {
    out.object(|out| {
        out.member("name", &raid.name, true, 0);
        out.member("level", &raid.level, true, 0);
        list(out, "devices", &raid.devices, |out, device| raw(out, device));
        out.member("spares", &raid.spares, false, 0);
    });
}

fn filesystem(out: &mut Writer, filesystem: &Filesystem) {
    out.object(|out| {
        out.member("name", &filesystem.name, false, 0);
        if let Some(mount) = &filesystem.mount {
            out.key("mount");
            out.object(|out| {
                raw_member(out, "device", &mount.device);
                out.member("format", &mount.format, false, 0);
                if let Some(create) = &mount.create {
                    out.key("create");
                    out.object(|out| {
                        out.member("force", &create.force, false, 0);
                        out.member("options", &create.options, false, 0);
                    });
                }
            });
        }
        raw_member(out, "path", &filesystem.path);
    });
}

fn file(out: &mut Writer, file: &File) {
    out.object(|out| {
        out.member("filesystem", &file.filesystem, false, 0);
        raw_member(out, "path", &file.path);
        out.key("contents");
        out.object(|out| {
            let remote = &file.contents.remote;
            out.member("compression", &remote.compression, false, 0);
            if remote.url.is_empty() {
                out.key("source");
                out.raw("\"data:,");
                crate::data_url::escape(file.contents.inline.as_bytes(), &mut out.text);
                out.raw("\"");
            } else {
                url(out, "source", &remote.url);
            }
            verification(out, &remote.verification);
        });
        // os.FileMode has 32 bits
        out.member("mode", &(file.mode & 0xFFFF_FFFF), false, 0);
        for (name, owner) in [("user", &file.user), ("group", &file.group)] {
            out.key(name);
            out.object(|out| out.member("id", &owner.id, false, 0));
        }
    });
}

fn unit(out: &mut Writer, unit: &Unit) {
    out.object(|out| {
        out.member("name", &unit.name, false, 0);
        out.member("enable", &unit.enable, false, 0);
        out.member("mask", &unit.mask, false, 0);
        out.member("contents", &unit.contents, false, 0);
        list(out, "dropins", &unit.dropins, |out, dropin| {
            out.object(|out| {
                out.member("name", &dropin.name, false, 0);
                out.member("contents", &dropin.contents, false, 0);
            });
        });
    });
}

fn user(out: &mut Writer, user: &User) {
    out.object(|out| {
        out.member("name", &user.name, false, 0);
        out.member("passwordHash", &user.password_hash, false, 0);
        out.member("sshAuthorizedKeys", &user.ssh_authorized_keys, false, 0);
        if let Some(new) = &user.create {
            out.key("create");
            create(out, new);
        }
    });
}

fn create(out: &mut Writer, create: &UserCreate) {
    out.object(|out| {
        out.member("uid", &create.uid, false, 0);
        out.member("gecos", &create.gecos, false, 0);
        out.member("homeDir", &create.home_dir, false, 0);
        out.member("noCreateHome", &create.no_create_home, false, 0);
        out.member("primaryGroup", &create.primary_group, false, 0);
        out.member("groups", &create.groups, false, 0);
        out.member("noUserGroup", &create.no_user_group, false, 0);
        out.member("system", &create.system, false, 0);
        out.member("noLogInit", &create.no_log_init, false, 0);
        out.member("shell", &create.shell, false, 0);
    });
}

fn group(out: &mut Writer, group: &Group) {
    out.object(|out| {
        out.member("name", &group.name, false, 0);
        out.member("gid", &group.gid, false, 0);
        out.member("passwordHash", &group.password_hash, false, 0);
        out.member("system", &group.system, false, 0);
    });
}
