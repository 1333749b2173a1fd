//! From Butane's objects to Ignition's: copies, and contents from inline texts and local files.

use super::contents::Encoder;
use super::model::{Config, Dropin, File, Filesystem, Luks, PasswdUser, Resource, Unit};
use super::source::inner_config;
use super::variant::Target;
use crate::files::Files;
use crate::origins::Origins;
use crate::report::{At, Path, Report};
use crate::v3;

/// What a translation needs and gathers.
pub(super) struct Cx<'c> {
    pub(super) target: Target,
    pub(super) files: &'c dyn Files,
    pub(super) encoder: Encoder,
    /// Findings at places in the YAML.
    pub(super) report: &'c mut Report,
    pub(super) origins: Origins,
}

/// Copies everything that has a counterpart.
pub(super) fn translate(config: &Config, cx: &mut Cx<'_>) -> v3::Config {
    let base = &config.base;
    let root = At::ROOT;
    let mut out = v3::Config { kernel_arguments: base.kernel_arguments.clone(), ..v3::Config::default() };
    out.ignition.version =
        crate::SpecVersion::v3(cx.target.level).map(|it| it.to_string()).unwrap_or_default();
    ignition(config, cx, &mut out.ignition, &root.key("ignition"));
    out.passwd.groups = base.passwd.groups.clone();
    let passwd = root.key("passwd");
    for (index, from) in base.passwd.users.iter().enumerate() {
        let to = user(from, index, cx, &passwd.key("users").index(index));
        out.passwd.users.push(to);
    }
    let (from, to) = (&base.storage, &mut out.storage);
    to.directories = from.directories.clone();
    to.disks = from.disks.clone();
    to.links = from.links.clone();
    to.raid = from.raid.clone();
    to.filesystems = from.filesystems.iter().map(filesystem).collect();
    let storage = root.key("storage");
    to.files.reserve(from.files.len());
    for (index, entry) in from.files.iter().enumerate() {
        to.files.push(file(entry, cx, &storage.key("files").index(index)));
    }
    for (index, entry) in from.luks.iter().enumerate() {
        to.luks.push(luks(entry, cx, &storage.key("luks").index(index)));
    }
    let systemd = root.key("systemd");
    for (index, entry) in base.systemd.units.iter().enumerate() {
        out.systemd.units.push(unit(entry, cx, &systemd.key("units").index(index)));
    }
    out
}

fn ignition(config: &Config, cx: &mut Cx<'_>, to: &mut v3::Ignition, at: &At<'_>) {
    let from = &config.base.ignition;
    let at_config = at.key("config");
    let merge = at_config.key("merge");
    for (index, reference) in from.config.merge.iter().enumerate() {
        let at = merge.index(index);
        to.config.merge.push(other_config(reference, cx, &at));
    }
    to.config.replace = other_config(&from.config.replace, cx, &at_config.key("replace"));
    let security = at.key("security");
    let tls = security.key("tls");
    for (index, authority) in from.security.tls.certificate_authorities.iter().enumerate() {
        let list = tls.key("certificate_authorities");
        let at = list.index(index);
        to.security.tls.certificate_authorities.push(if cx.target.level == 0 {
            plain_reference(authority)
        } else {
            resource(authority, cx, &at, false)
        });
    }
    to.proxy = from.proxy.clone();
    to.timeouts = from.timeouts.clone();
}

fn other_config(reference: &Resource, cx: &mut Cx<'_>, at: &At<'_>) -> v3::Resource {
    if cx.target.level == 0 { plain_reference(reference) } else { resource(reference, cx, at, true) }
}

/// References of base 0.1 have a source and a hash.
fn plain_reference(reference: &Resource) -> v3::Resource {
    v3::Resource {
        source: reference.source.clone(),
        verification: reference.verification.clone(),
        ..v3::Resource::default()
    }
}

fn resource(from: &Resource, cx: &mut Cx<'_>, at: &At<'_>, is_config: bool) -> v3::Resource {
    let mut to = v3::Resource {
        compression: from.compression.clone(),
        http_headers: from.http_headers.clone(),
        source: from.source.clone(),
        verification: from.verification.clone(),
    };
    let given = to.compression.clone();
    if let Some(local) = &from.local {
        match cx.files.read(local) {
            Ok(octets) => {
                if is_config {
                    inner_config(&octets, cx.target, cx.report, at, "local");
                }
                embed(&octets, given.as_deref(), cx, &mut to);
            }
            Err(why) => cx.report.error(why.code(), why.to_string(), &at.key("local")),
        }
    }
    if let Some(inline) = &from.inline {
        embed(inline.as_bytes(), given.as_deref(), cx, &mut to);
    }
    to
}

fn embed(octets: &[u8], given: Option<&str>, cx: &mut Cx<'_>, to: &mut v3::Resource) {
    // Base 0.1 only escapes, and leaves the compression alone.
    if cx.target.level == 0 {
        let mut url = "data:,".to_owned();
        crate::data_url::escape(octets, &mut url);
        to.source = Some(url);
        return;
    }
    let (url, compression) = cx.encoder.url(octets, given);
    to.source = Some(url);
    if let Some(compression) = compression {
        to.compression = Some(compression.to_owned());
    }
}

fn file(from: &File, cx: &mut Cx<'_>, at: &At<'_>) -> v3::File {
    v3::File {
        group: from.group.clone(),
        user: from.user.clone(),
        overwrite: from.overwrite,
        path: from.path.clone(),
        mode: from.mode,
        contents: resource(&from.contents, cx, &at.key("contents"), false),
        append: from
            .append
            .iter()
            .enumerate()
            .map(|(index, part)| resource(part, cx, &at.key("append").index(index), false))
            .collect(),
    }
}

fn filesystem(from: &Filesystem) -> v3::Filesystem {
    v3::Filesystem {
        device: from.device.clone(),
        format: from.format.clone(),
        label: from.label.clone(),
        mount_options: from.mount_options.clone(),
        options: from.options.clone(),
        path: from.path.clone(),
        uuid: from.uuid.clone(),
        wipe_filesystem: from.wipe_filesystem,
    }
}

fn luks(from: &Luks, cx: &mut Cx<'_>, at: &At<'_>) -> v3::Luks {
    v3::Luks {
        cex: from.cex.clone(),
        clevis: from.clevis.clone(),
        device: from.device.clone(),
        discard: from.discard,
        key_file: resource(&from.key_file, cx, &at.key("key_file"), false),
        label: from.label.clone(),
        name: from.name.clone(),
        open_options: from.open_options.clone(),
        options: from.options.clone(),
        uuid: from.uuid.clone(),
        wipe_volume: from.wipe_volume,
    }
}

fn user(from: &PasswdUser, index: usize, cx: &mut Cx<'_>, at: &At<'_>) -> v3::PasswdUser {
    let mut to = v3::PasswdUser {
        gecos: from.gecos.clone(),
        groups: from.groups.clone(),
        home_dir: from.home_dir.clone(),
        name: from.name.clone(),
        no_create_home: from.no_create_home,
        no_log_init: from.no_log_init,
        no_user_group: from.no_user_group,
        password_hash: from.password_hash.clone(),
        primary_group: from.primary_group.clone(),
        ssh_authorized_keys: from.ssh_authorized_keys.clone(),
        shell: from.shell.clone(),
        should_exist: from.should_exist,
        system: from.system,
        uid: from.uid,
    };
    let at = at.key("ssh_authorized_keys_local");
    let keys = Path::root().key("passwd").key("users").index(index).key("sshAuthorizedKeys");
    for (number, local) in from.ssh_authorized_keys_local.iter().enumerate() {
        match cx.files.read(local) {
            Ok(octets) => {
                let text = crate::json::text(&octets);
                for line in text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
                    if !line.is_empty() {
                        let place = keys.index(to.ssh_authorized_keys.len());
                        cx.origins.generated(place, at.index(number).path());
                        to.ssh_authorized_keys.push(line.to_owned());
                    }
                }
            }
            Err(crate::files::FilesError::NoDirectory) => {
                let why = crate::files::FilesError::NoDirectory;
                cx.report.error(why.code(), why.to_string(), &at);
                break;
            }
            Err(why) => cx.report.error(why.code(), why.to_string(), &at.index(number)),
        }
    }
    to
}

/// The text of a unit, from the config or from a local file.
fn unit_text(
    contents: &Option<String>,
    local: &Option<String>,
    cx: &mut Cx<'_>,
    at: &At<'_>,
) -> Option<String> {
    let Some(path) = local.as_deref().filter(|path| !path.is_empty()) else { return contents.clone() };
    match cx.files.read(path) {
        Ok(octets) => Some(crate::json::text(&octets).into_owned()),
        Err(why) => {
            cx.report.error(why.code(), why.to_string(), &at.key("contents_local"));
            contents.clone()
        }
    }
}

fn dropin(from: &Dropin, cx: &mut Cx<'_>, at: &At<'_>) -> v3::Dropin {
    v3::Dropin { contents: unit_text(&from.contents, &from.contents_local, cx, at), name: from.name.clone() }
}

fn unit(from: &Unit, cx: &mut Cx<'_>, at: &At<'_>) -> v3::Unit {
    v3::Unit {
        contents: unit_text(&from.contents, &from.contents_local, cx, at),
        dropins: from
            .dropins
            .iter()
            .enumerate()
            .map(|(index, entry)| dropin(entry, cx, &at.key("dropins").index(index)))
            .collect(),
        enabled: from.enabled,
        mask: from.mask,
        name: from.name.clone(),
    }
}
