//! The files that `init` writes: configuration, folders, loaders, profiles and templates. One rule holds for all: what is
//! there stays.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Plan;
use super::ssh::Key;
use crate::args::Init;
use crate::{Failure, assets};

/// What became of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum What {
    /// It is new.
    Wrote,
    /// It was there.
    Kept,
    /// It could not be made, and is not needed at once.
    Missing,
}

impl What {
    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Wrote => "wrote",
            Self::Kept => "kept",
            Self::Missing => "missing",
        }
    }
}

/// One file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Written {
    /// Where.
    pub(crate) path: PathBuf,
    /// New or kept.
    pub(crate) what: What,
    /// Of what it was made, or what would bring it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl Written {
    pub(super) fn kept(path: PathBuf) -> Self {
        Self { path, what: What::Kept, note: None }
    }
}

/// Writes a text that everybody may read, unless it is there.
pub(super) fn text(path: &Path, text: &str) -> Result<Written, String> {
    write_new(path, text.as_bytes(), 0o644)
}

/// Writes what its owner alone may read, unless it is there.
pub(super) fn secret(path: &Path, octets: &[u8]) -> Result<Written, String> {
    write_new(path, octets, 0o600)
}

fn write_new(path: &Path, octets: &[u8], mode: u32) -> Result<Written, String> {
    let said = |error: std::io::Error| format!("{}: {error}", path.display());
    if std::fs::symlink_metadata(path).is_ok() {
        return Ok(Written::kept(path.to_path_buf()));
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(said)?;
    }
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(said)?;
    file.write_all(octets).and_then(|()| file.sync_all()).map_err(said)?;
    Ok(Written { path: path.to_path_buf(), what: What::Wrote, note: None })
}

/// Everything but certificates and units.
pub(super) fn write(plan: &Plan, arguments: &Init) -> Result<Vec<Written>, Failure> {
    let data = &plan.data;
    make_folder(data, 0o700)?;
    for folder in ["loaders", "assets", "bootcfg/groups", "bootcfg/profiles"] {
        make_folder(&data.join(folder), 0o755)?;
    }
    let mut written = vec![text(&plan.config, &config(plan, arguments))?];
    for loader in ["undionly.kpxe", "snponly.efi", "ipxe.efi"] {
        written.extend(copy(&arguments.loaders.join(loader), &data.join("loaders").join(loader))?);
    }
    written.extend(agent(&arguments.agent, &data.join("assets"))?);
    let bootcfg = data.join("bootcfg");
    for (name, content) in PROFILES {
        written.push(text(&bootcfg.join("profiles").join(name), content)?);
    }
    for (name, content) in TEMPLATES {
        written.push(text(&bootcfg.join(name), &with_keys(content, &plan.keys))?);
    }
    Ok(written)
}

fn make_folder(path: &Path, mode: u32) -> Result<(), String> {
    let said = |error: std::io::Error| format!("{}: {error}", path.display());
    if path.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(path).map_err(said)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(said)
}

/// Copies a loader, unless one is there; a missing one is told and no fault: BIOS racks need no UEFI loader.
fn copy(from: &Path, to: &Path) -> Result<Option<Written>, String> {
    if to.exists() {
        return Ok(Some(Written::kept(to.to_path_buf())));
    }
    match std::fs::read(from) {
        Ok(octets) => write_new(to, &octets, 0o644).map(Some),
        Err(_) if from.ends_with("ipxe.efi") => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let note = Some("apt install ipxe, then kpc init".to_owned());
            Ok(Some(Written { path: from.to_path_buf(), what: What::Missing, note }))
        }
        Err(error) => Err(format!("{}: {error}", from.display())),
    }
}

/// The system that installs machines: what is there, else ready made, else made of this host's own kernel.
fn agent(ready: &Path, assets: &Path) -> Result<Vec<Written>, String> {
    const PARTS: [&str; 2] = ["vmlinuz", "initrd.img"];
    let folder = assets.join(assets::agent::NAME);
    let all = |place: &Path| PARTS.iter().all(|part| place.join(part).is_file());
    if all(&folder) || all(ready) {
        let copied = PARTS.iter().map(|part| copy(&ready.join(part), &folder.join(part)));
        return Ok(copied.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect());
    }
    let mut incoming = assets.as_os_str().to_owned();
    incoming.push(".incoming");
    match assets::agent::make(&assets::agent::Host::here(), assets, Path::new(&incoming)) {
        Ok(made) => Ok(PARTS
            .iter()
            .map(|part| Written {
                path: folder.join(part),
                what: What::Wrote,
                note: Some(format!("linux {}, {} drivers", made.kernel, made.modules)),
            })
            .collect()),
        Err(why) => {
            let note = Some(format!("{why}; then kpc assets add agent"));
            Ok(vec![Written { path: folder, what: What::Missing, note }])
        }
    }
}

fn config(plan: &Plan, arguments: &Init) -> String {
    let socket = plan.socket.as_ref().map_or(String::new(), |socket| format!("socket = {socket:?}\n"));
    let mut out = format!(
        "# Written by `kpc init`; yours to change. docs/config.md has every key.\n\
         data_dir = {:?}\n{socket}user = {:?}\n\n\
         [network.mgmt]\ninterface = {:?}\naddress = \"{}\"\n",
        plan.data, plan.user, plan.interface.name, plan.interface.address
    );
    if !arguments.bmc_ranges.is_empty() || arguments.bmc_interface.is_some() {
        out.push_str("\n[network.bmc]\n");
        if let Some(interface) = &arguments.bmc_interface {
            out.push_str(&format!("interface = {interface:?}\n"));
        }
        out.push_str(&format!("ranges = {:?}\n", arguments.bmc_ranges));
    }
    if super::units::has_keeper() {
        out.push_str(
            "\n# The BMCs' logins are another process's: the server has none.\n\
             [bmc]\nkeeper = \"/run/kpc-bmc/kpc-bmc.sock\"\nlogins = \"/var/lib/kpc-bmc/logins.toml\"\n",
        );
    }
    out.push_str(
        "\n# The profile `debian` installs the image that `kpc assets add debian` brings. Only a disk that is the only\n\
         # one, or that `kpc disk set` names, is written, and only under an order.\n\
         [install.debian]\nimage = \"debian\"\n\n[install.flatcar]\nimage = \"flatcar\"\n",
    );
    out
}

/// The template with the keys in place of its mark, one a line, as deep as the mark.
fn with_keys(template: &str, keys: &[Key]) -> String {
    let mut out = String::with_capacity(template.len());
    for line in template.split_inclusive('\n') {
        match line.split_once("@SSH_KEY@") {
            None => out.push_str(line),
            Some((before, after)) => {
                for key in keys {
                    out.push_str(before);
                    out.push_str(&key.line);
                    out.push_str(after);
                }
            }
        }
    }
    out
}

const PROFILES: [(&str, &str); 5] = [
    ("debian.json", include_str!("files/debian.json")),
    ("flatcar.json", include_str!("files/flatcar.json")),
    ("debian-preseed.json", include_str!("files/debian-preseed.json")),
    ("ubuntu-autoinstall.json", include_str!("files/ubuntu-autoinstall.json")),
    ("rocky-kickstart.json", include_str!("files/rocky-kickstart.json")),
];

const TEMPLATES: [(&str, &str); 5] = [
    ("cloud/debian.yaml", include_str!("files/debian.yaml")),
    ("ignition/flatcar.yaml", include_str!("files/flatcar.yaml")),
    ("generic/debian-preseed.cfg", include_str!("files/debian-preseed.cfg")),
    ("generic/ubuntu-autoinstall.yaml", include_str!("files/ubuntu-autoinstall.yaml")),
    ("generic/rocky-kickstart.cfg", include_str!("files/rocky-kickstart.cfg")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_where_the_mark_is() {
        let key = |line: &str| Key {
            line: line.to_owned(),
            fingerprint: String::new(),
            comment: String::new(),
            file: PathBuf::new(),
        };
        assert_eq!(with_keys("a:\n  - @SSH_KEY@\nb\n", &[key("k1"), key("k2")]), "a:\n  - k1\n  - k2\nb\n");
        assert_eq!(with_keys("a:\n  - @SSH_KEY@\nb\n", &[]), "a:\nb\n");
    }

    #[test]
    fn what_is_there_stays() {
        let folder = std::env::temp_dir().join(format!("kpc-init-{}", std::process::id()));
        let path = folder.join("deep/file");
        assert_eq!(secret(&path, b"one").unwrap().what, What::Wrote);
        assert_eq!(secret(&path, b"two").unwrap().what, What::Kept);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::remove_dir_all(folder).unwrap();
    }

    /// Every profile parses, names templates that exist, and renders.
    #[test]
    fn the_profiles_are_whole() {
        use bootcfg::check::{Checks, check};
        let mut files: Vec<(String, String)> =
            PROFILES.iter().map(|(name, text)| (format!("profiles/{name}"), (*text).to_owned())).collect();
        let keys = [Key {
            line: "ssh-ed25519 AAAA me".to_owned(),
            fingerprint: String::new(),
            comment: String::new(),
            file: PathBuf::new(),
        }];
        files.extend(TEMPLATES.iter().map(|(name, text)| ((*name).to_owned(), with_keys(text, &keys))));
        for (name, _) in PROFILES {
            let id = name.trim_end_matches(".json");
            let group = format!(
                "{{\"id\":\"{id}\",\"profile\":\"{id}\",\"selector\":{{\"p\":\"{id}\"}},\"metadata\":{{\"name\":\"n1\",\"roles\":[]}}}}"
            );
            files.push((format!("groups/{id}.json"), group));
        }
        let catalog = bootcfg::Catalog::from_files(bootcfg::Compat::Strict, files);
        let checks = Checks {
            transpile: &bootcfg::transpile::Ignition,
            limits: &bootcfg::Limits::default(),
            asset: None,
        };
        let findings = check(&catalog, checks);
        let shown: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(shown.iter().all(|line| !line.contains(": error[")), "{shown:#?}");
    }

    /// A distribution's own installer erases what it was granted and tells of it; nothing that is written boots a machine
    /// without an order.
    #[test]
    fn installers_ask_before_they_erase() {
        for (name, erases) in [
            ("generic/debian-preseed.cfg", "partman-auto/method"),
            ("generic/rocky-kickstart.cfg", "autopart"),
            ("generic/ubuntu-autoinstall.yaml", "storage:"),
        ] {
            let text = TEMPLATES.iter().find(|(one, _)| *one == name).unwrap().1;
            let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{name}: {words}"));
            assert!(at("kpc-agent grant") > 0 && at("kpc-agent installed --root /") > 0);
            assert!(!text.contains("clearpart --all --initlabel\n"), "{name} names its disk");
            at(erases);
            let profile = name.rsplit_once('/').unwrap().1.rsplit_once('.').unwrap().0;
            let profile = PROFILES.iter().find(|(one, _)| *one == format!("{profile}.json")).unwrap().1;
            assert!(profile.contains("kpc.installer="), "{profile}");
        }
        assert!(TEMPLATES.iter().all(|(name, _)| !name.starts_with("groups/")));
    }
}
