//! An Ignition config as the few things that a live system can have: files, directories, links, units, keys.

use serde_json::Value;

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
    /// What it holds, one after the other; each a URL and whether it is gzip.
    pub(crate) sources: Vec<(String, bool)>,
    /// Whether the sources follow what is there already.
    pub(crate) append: bool,
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
}

impl Wanted {
    /// Reads a config of specification 2.x or 3.x.
    pub(crate) fn parse(octets: &[u8]) -> Result<Self, String> {
        let config: Value =
            serde_json::from_slice(octets).map_err(|error| format!("not a JSON config: {error}"))?;
        let version = text(&config, "/ignition/version").unwrap_or_default();
        let default_mode = match version.split('.').next() {
            // 2.x: a file without a mode has none (0000); 3.x: 0644.
            Some("2") => 0,
            Some("3") => 0o644,
            _ => return Err(format!("Ignition version `{version}` is not known here")),
        };
        let mode =
            |value: &Value, default| value.pointer("/mode").and_then(Value::as_u64).map_or(default, low_bits);
        let mut wanted = Self::default();
        for directory in list(&config, "/storage/directories") {
            wanted.directories.push((path(directory)?, mode(directory, 0o755)));
        }
        for file in list(&config, "/storage/files") {
            let mut sources: Vec<(String, bool)> =
                file.pointer("/contents").and_then(source).into_iter().collect();
            let append = file.pointer("/append");
            // 2.x says `append: true`, 3.x gives a list of contents to append.
            let appended = append.and_then(Value::as_array).into_iter().flatten().filter_map(source);
            sources.extend(appended);
            let only_appended =
                append.is_some_and(Value::is_array) && file.pointer("/contents/source").is_none();
            wanted.files.push(File {
                path: path(file)?,
                mode: mode(file, default_mode),
                append: only_appended || append == Some(&Value::Bool(true)),
                sources,
            });
        }
        for link in list(&config, "/storage/links") {
            let target = text(link, "/target").unwrap_or_default();
            wanted.links.push((path(link)?, target, link.pointer("/hard") == Some(&Value::Bool(true))));
        }
        for unit in list(&config, "/systemd/units") {
            let dropins = list(unit, "/dropins")
                .filter_map(|dropin| Some((name(dropin)?, text(dropin, "/contents")?)))
                .collect();
            let enabled =
                ["/enabled", "/enable"].iter().any(|key| unit.pointer(key) == Some(&Value::Bool(true)));
            let name = name(unit).ok_or("a unit without a name, or with a path for a name")?;
            wanted.units.push(Unit { name, contents: text(unit, "/contents"), dropins, enabled });
        }
        for user in list(&config, "/passwd/users") {
            let keys =
                list(user, "/sshAuthorizedKeys").filter_map(|key| key.as_str().map(str::to_owned)).collect();
            let name = name(user).ok_or("a user without a name, or with a path for a name")?;
            wanted.users.push((name, keys));
        }
        Ok(wanted)
    }
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

/// A name that becomes a part of a path.
fn name(value: &Value) -> Option<String> {
    text(value, "/name").filter(|name| !name.is_empty() && !name.contains('/') && name != "." && name != "..")
}

fn path(value: &Value) -> Result<String, String> {
    let path = text(value, "/path").unwrap_or_default();
    let safe = path.starts_with('/') && !path.split('/').any(|part| part == ".." || part.contains('\0'));
    if safe { Ok(path) } else { Err(format!("`{path}` is no absolute path")) }
}

fn low_bits(mode: u64) -> u32 {
    u32::try_from(mode & 0o7777).unwrap_or_default()
}

fn source(contents: &Value) -> Option<(String, bool)> {
    Some((text(contents, "/source")?, text(contents, "/compression").as_deref() == Some("gzip")))
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
        assert_eq!(wanted.files[0].sources, [("data:,node1".to_owned(), false)]);
        assert!(wanted.units[0].enabled && wanted.units[0].dropins.len() == 1);
        assert_eq!(wanted.users[0].1.len(), 1);
        let wanted = Wanted::parse(
            br#"{"ignition":{"version":"3.4.0"},"storage":{"files":[{"path":"/a","append":[{"source":"data:,x"}]}],
            "links":[{"path":"/b","target":"a"}],"directories":[{"path":"/d"}]}}"#,
        )
        .unwrap();
        assert!(wanted.files[0].append);
        assert_eq!((wanted.files[0].mode, wanted.directories[0].1), (0o644, 0o755));
    }

    #[test]
    fn paths_stay_inside() {
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
        assert!(Wanted::parse(b"#!ipxe").is_err());
        assert!(Wanted::parse(br#"{"ignition":{"version":"1"}}"#).unwrap_err().contains("version"));
    }
}
