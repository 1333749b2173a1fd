//! An Ignition config as the few things that a live system can have: files, directories, links, units, keys. Reading
//! and checking is the work of crates/ignition; here is only what this program can carry out.

use ignition::{Body, Config, resolved};

/// What the machine is to have.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Wanted {
    /// Directories with their permissions.
    pub(crate) directories: Vec<(String, u32)>,
    /// Files.
    pub(crate) files: Vec<File>,
    /// Links: path, target, hard.
    pub(crate) links: Vec<(String, String, bool)>,
    /// systemd units.
    pub(crate) units: Vec<Unit>,
    /// Users and their public keys.
    pub(crate) users: Vec<(String, Vec<String>)>,
}

/// A file.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct File {
    /// Absolute.
    pub(crate) path: String,
    /// Permissions.
    pub(crate) mode: u32,
    /// What it holds, one after the other.
    pub(crate) sources: Vec<Source>,
    /// Whether the sources follow what is there already.
    pub(crate) append: bool,
}

/// A piece of a file's contents.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Source {
    /// The octets, or where they are.
    pub(crate) place: Place,
    /// They are a gzip stream.
    pub(crate) gzip: bool,
    /// `sha512-…` or `sha256-…` of the octets as they come.
    pub(crate) hash: Option<String>,
}

/// Where octets come from.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// The config itself.
    Inline(Vec<u8>),
    /// A URL.
    Url(String),
}

/// A systemd unit.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Unit {
    /// Its file name.
    pub(crate) name: String,
    /// Its text, where given.
    pub(crate) contents: Option<String>,
    /// Names and texts of its drop-ins.
    pub(crate) dropins: Vec<(String, String)>,
    /// Whether it is started at boot.
    pub(crate) enabled: bool,
    /// Whether it must never start.
    pub(crate) masked: bool,
}

impl Wanted {
    /// Reads a config of any version that crates/ignition knows.
    pub(crate) fn parse(octets: &[u8]) -> Result<Self, String> {
        let (config, _warnings) = Config::parse(octets).map_err(|report| {
            report
                .entries()
                .first()
                .map_or_else(|| report.to_string(), |entry| entry.to_string().replace('\n', " "))
        })?;
        let mut wanted = Self::default();
        wanted.take_nodes(&config.body)?;
        for file in config.files() {
            wanted.files.push(take_file(file.map_err(|error| error.to_string())?)?);
        }
        for unit in config.units() {
            let dropins = unit.dropins.iter().map(|(name, text)| Ok((plain(name)?, (*text).to_owned())));
            wanted.units.push(Unit {
                name: plain(unit.name)?,
                contents: unit.contents.map(str::to_owned),
                dropins: dropins.collect::<Result<_, String>>()?,
                enabled: unit.enabled == Some(true),
                masked: unit.mask,
            });
        }
        for user in config.users() {
            wanted.users.push((plain(user.name)?, user.ssh_authorized_keys.to_vec()));
        }
        Ok(wanted)
    }

    /// Directories and links.
    fn take_nodes(&mut self, body: &Body) -> Result<(), String> {
        match body {
            Body::V1(_) => {}
            Body::V2(config) => {
                for directory in &config.storage.directories {
                    self.directories.push((path(&directory.path)?, bits(directory.mode, 0o755)));
                }
                for link in &config.storage.links {
                    self.links.push((path(&link.path)?, link.target.clone(), link.hard));
                }
            }
            Body::V3(config) => {
                for directory in &config.storage.directories {
                    self.directories.push((path(&directory.path)?, bits(directory.mode, 0o755)));
                }
                for link in &config.storage.links {
                    let target = link.target.clone().unwrap_or_default();
                    self.links.push((path(&link.path)?, target, link.hard == Some(true)));
                }
            }
        }
        Ok(())
    }
}

fn take_file(file: resolved::File<'_>) -> Result<File, String> {
    let append = file.contents.is_none() && !file.append.is_empty();
    Ok(File {
        path: path(file.path)?,
        mode: file.mode.unwrap_or(0o644) & 0o7777,
        sources: file.contents.into_iter().chain(file.append).map(take_source).collect(),
        append,
    })
}

fn take_source(contents: resolved::Contents<'_>) -> Source {
    Source {
        place: match contents.source {
            resolved::Source::Data(octets) => Place::Inline(octets),
            resolved::Source::Url(url) => Place::Url(url.to_owned()),
        },
        gzip: contents.gzip,
        hash: contents.hash.map(str::to_owned),
    }
}

/// A name that becomes a part of a path.
fn plain(name: &str) -> Result<String, String> {
    let safe = !name.is_empty() && !name.contains(['/', '\0']) && name != "." && name != "..";
    if safe { Ok(name.to_owned()) } else { Err(format!("`{name}` is no plain name")) }
}

fn path(path: &str) -> Result<String, String> {
    let safe = path.starts_with('/') && !path.split('/').any(|part| part == ".." || part.contains('\0'));
    if safe { Ok(path.to_owned()) } else { Err(format!("`{path}` is no absolute path")) }
}

fn bits(mode: Option<i64>, default: u32) -> u32 {
    mode.and_then(|mode| u32::try_from(mode & 0o7777).ok()).unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_generations() {
        let wanted = Wanted::parse(
            br#"{"ignition":{"version":"2.0.0"},"storage":{"files":[{"filesystem":"root","path":"/etc/hostname",
            "contents":{"source":"data:,node1"},"mode":420}]},"systemd":{"units":[{"name":"a.service","enable":true,
            "contents":"[Unit]","dropins":[{"name":"x.conf","contents":"[Service]"}]}]},
            "passwd":{"users":[{"name":"core","sshAuthorizedKeys":["ssh-ed25519 AAAA"]}]}}"#,
        )
        .unwrap();
        assert_eq!(wanted.files[0].mode, 0o644);
        assert_eq!(wanted.files[0].sources[0].place, Place::Inline(b"node1".to_vec()));
        assert!(wanted.units[0].enabled && wanted.units[0].dropins.len() == 1);
        assert_eq!(wanted.users[0].1.len(), 1);
        let wanted = Wanted::parse(
            br#"{"ignition":{"version":"3.1.0"},"storage":{"files":[{"path":"/a","append":[{"source":"data:,x"}]}],
            "links":[{"path":"/b","target":"a"}],"directories":[{"path":"/d"}]}}"#,
        )
        .unwrap();
        assert!(wanted.files[0].append);
        assert_eq!((wanted.files[0].mode, wanted.directories[0].1), (0o644, 0o755));
    }

    #[test]
    fn what_is_no_config_or_leaves_the_root_is_refused() {
        for path in ["../etc/passwd", "/a/../../b", "", "rel"] {
            let config = format!(
                r#"{{"ignition":{{"version":"3.0.0"}},"storage":{{"files":[{{"path":"{path}"}}]}}}}"#
            );
            assert!(Wanted::parse(config.as_bytes()).is_err(), "{path}");
        }
        assert!(
            Wanted::parse(br#"{"ignition":{"version":"3.0.0"},"systemd":{"units":[{"name":"../x"}]}}"#)
                .is_err()
        );
        let error = Wanted::parse(b"#!ipxe").unwrap_err();
        assert!(!error.is_empty() && !error.contains('\n'), "{error}");
        assert!(Wanted::parse(br#"{"ignition":{"version":"9.0.0"}}"#).is_err());
    }
}
