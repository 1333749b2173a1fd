//! What a variant forbids of what Ignition can do, checked on the generated config: part of stage three.

use super::rules;
use super::variant::{Target, Variant};
use crate::encode::Encode;
use crate::path::PathRule;
use crate::report::{At, Report};
use crate::url::Url;
use crate::v3::Config;

/// Reports forbidden fields at their place in the generated config.
pub(super) fn check(config: &Config, target: Target, report: &mut Report) {
    let storage = At::ROOT.key("storage");
    match target.variant {
        Variant::Fcos => {}
        Variant::Flatcar => {
            for (index, luks) in config.storage.luks.iter().enumerate() {
                let list = storage.key("luks");
                let at = list.index(index);
                if target.level < 7 {
                    forbid(&luks.clevis, rules::CLEVIS_SUPPORT, report, &at.key("clevis"));
                } else {
                    forbid(&luks.cex, rules::CEX_NOT_SUPPORTED, report, &at.key("cex"));
                }
            }
        }
        Variant::R4e | Variant::Fiot => {
            let arguments = At::ROOT.key("kernelArguments");
            forbid(&config.kernel_arguments, rules::GENERAL_KERNEL_ARGUMENT_SUPPORT, report, &arguments);
            forbid(&config.storage.disks, rules::DISK_SUPPORT, report, &storage.key("disks"));
            forbid(
                &config.storage.filesystems,
                rules::FILESYSTEM_SUPPORT,
                report,
                &storage.key("filesystems"),
            );
            forbid(&config.storage.luks, rules::LUKS_SUPPORT, report, &storage.key("luks"));
            forbid(&config.storage.raid, rules::RAID_SUPPORT, report, &storage.key("raid"));
        }
        Variant::OpenShift => openshift(config, target, report),
    }
}

fn forbid<T: Encode>(value: &T, (code, message): PathRule, report: &mut Report, at: &At<'_>) {
    if !value.is_empty() {
        report.error(code, message, at);
    }
}

/// What the machine-config operator rejects, ignores, or would degrade a node over.
fn openshift(config: &Config, target: Target, report: &mut Report) {
    let (storage, passwd) = (At::ROOT.key("storage"), At::ROOT.key("passwd"));
    if target.minor >= 14 {
        let arguments = At::ROOT.key("kernelArguments");
        forbid(&config.kernel_arguments, rules::KERNEL_ARGUMENT_SUPPORT, report, &arguments);
    }
    forbid(&config.passwd.groups, rules::GROUP_SUPPORT, report, &passwd.key("groups"));
    for (index, user) in config.passwd.users.iter().enumerate() {
        let list = passwd.key("users");
        let at = list.index(index);
        let rule = rules::USER_FIELD_SUPPORT;
        forbid(&user.gecos, rule, report, &at.key("gecos"));
        forbid(&user.groups, rule, report, &at.key("groups"));
        forbid(&user.home_dir, rule, report, &at.key("homeDir"));
        forbid(&user.no_create_home, rule, report, &at.key("noCreateHome"));
        forbid(&user.no_log_init, rule, report, &at.key("noLogInit"));
        forbid(&user.no_user_group, rule, report, &at.key("noUserGroup"));
        forbid(&user.primary_group, rule, report, &at.key("primaryGroup"));
        forbid(&user.shell, rule, report, &at.key("shell"));
        forbid(&user.should_exist, rule, report, &at.key("shouldExist"));
        forbid(&user.system, rule, report, &at.key("system"));
        forbid(&user.uid, rule, report, &at.key("uid"));
        if target.minor < 13 {
            forbid(&user.password_hash, rule, report, &at.key("passwordHash"));
        }
        if user.name != "core" {
            report.error(rules::USER_NAME_SUPPORT.0, rules::USER_NAME_SUPPORT.1, &at.key("name"));
        }
    }
    forbid(&config.storage.directories, rules::DIRECTORY_SUPPORT, report, &storage.key("directories"));
    forbid(&config.storage.links, rules::LINK_SUPPORT, report, &storage.key("links"));
    for (index, file) in config.storage.files.iter().enumerate() {
        let list = storage.key("files");
        let at = list.index(index);
        forbid(&file.append, rules::FILE_APPEND_SUPPORT, report, &at.key("append"));
        let (contents, at_contents) = (&file.contents, at.key("contents"));
        forbid(&contents.http_headers, rules::FILE_HEADER_SUPPORT, report, &at_contents.key("httpHeaders"));
        // An empty choice is what inline contents leave behind.
        let compressed = contents.compression.as_deref().is_some_and(|compression| !compression.is_empty());
        if target.minor < 10 && compressed {
            let (code, message) = rules::FILE_COMPRESSION_SUPPORT;
            report.error(code, message, &at_contents.key("compression"));
        }
        let elsewhere = contents.source.as_deref().is_some_and(|source| {
            !source.starts_with("data:") && Url::parse(source, true).is_ok_and(|url| url.scheme != "data")
        });
        if elsewhere {
            report.error(
                rules::FILE_SCHEME_SUPPORT.0,
                rules::FILE_SCHEME_SUPPORT.1,
                &at_contents.key("source"),
            );
        }
        if target.minor >= 10 && file.mode.is_some_and(|mode| mode & !0o777 != 0) {
            report.error(
                rules::FILE_SPECIAL_MODE_SUPPORT.0,
                rules::FILE_SPECIAL_MODE_SUPPORT.1,
                &at.key("mode"),
            );
        }
    }
    for (index, filesystem) in config.storage.filesystems.iter().enumerate() {
        let (code, message) = match filesystem.format.as_deref() {
            Some("btrfs") => rules::BTRFS_SUPPORT,
            Some("none") if target.minor >= 14 => rules::FILESYSTEM_NONE_SUPPORT,
            _ => continue,
        };
        report.error(code, message, &storage.key("filesystems").index(index).key("format"));
    }
}
