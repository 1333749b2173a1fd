//! Makes the machine what its config says: directories, files, links, units, keys, in this order, below one root.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::digest;
use crate::http;
use crate::wanted::{File, Place, Source, Unit, Wanted};

/// One file's contents at most; everything is in memory here.
const LARGEST: u64 = 64 << 20;

/// Writes everything below `root` and returns path and SHA-256 of each file.
pub(crate) fn apply(wanted: &Wanted, root: &Path) -> Result<Vec<(String, String)>, String> {
    for (path, mode) in &wanted.directories {
        let place = below(root, path);
        fs::create_dir_all(&place).map_err(|error| format!("make {path}: {error}"))?;
        permit(&place, *mode)?;
    }
    let mut digests = Vec::new();
    for file in &wanted.files {
        digests.push((file.path.clone(), write_file(file, root)?));
    }
    for (path, target, hard) in &wanted.links {
        let place = prepare(root, path)?;
        let linked = if *hard { fs::hard_link(below(root, target), &place) } else { symlink(target, &place) };
        linked.map_err(|error| format!("link {path}: {error}"))?;
    }
    for unit in &wanted.units {
        write_unit(unit, root, &mut digests)?;
    }
    for (user, keys) in wanted.users.iter().filter(|(_, keys)| !keys.is_empty()) {
        let home = if user == "root" { "/root".to_owned() } else { format!("/home/{user}") };
        let path = format!("{home}/.ssh/authorized_keys");
        let mut text = keys.join("\n");
        text.push('\n');
        digests.push((path.clone(), write(root, &path, 0o600, text.as_bytes())?));
        permit(&below(root, &format!("{home}/.ssh")), 0o700)?;
    }
    Ok(digests)
}

fn write_file(file: &File, root: &Path) -> Result<String, String> {
    let mut contents = Vec::new();
    if file.append {
        match fs::read(below(root, &file.path)) {
            Ok(there) => contents = there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("read {}: {error}", file.path)),
        }
    }
    for source in &file.sources {
        contents.extend(octets(source).map_err(|error| format!("{}: {error}", file.path))?);
    }
    write(root, &file.path, file.mode, &contents)
}

fn write_unit(unit: &Unit, root: &Path, digests: &mut Vec<(String, String)>) -> Result<(), String> {
    let path = format!("/etc/systemd/system/{}", unit.name);
    if unit.masked {
        let link = symlink("/dev/null", prepare(root, &path)?);
        return link.map_err(|error| format!("mask {}: {error}", unit.name));
    }
    if let Some(contents) = &unit.contents {
        digests.push((path.clone(), write(root, &path, 0o644, contents.as_bytes())?));
    }
    for (name, contents) in &unit.dropins {
        let path = format!("{path}.d/{name}");
        digests.push((path.clone(), write(root, &path, 0o644, contents.as_bytes())?));
    }
    // `systemctl enable` as far as a text allows: WantedBy= and RequiredBy= of the unit itself.
    for (key, suffix) in [("WantedBy=", "wants"), ("RequiredBy=", "requires")] {
        let contents = unit.contents.as_deref().filter(|_| unit.enabled).unwrap_or_default();
        for line in contents.lines().filter_map(|line| line.trim().strip_prefix(key)) {
            for target in line.split_whitespace().filter(|target| !target.contains('/')) {
                let link = prepare(root, &format!("/etc/systemd/system/{target}.{suffix}/{}", unit.name))?;
                symlink(&path, link).map_err(|error| format!("enable {}: {error}", unit.name))?;
            }
        }
    }
    Ok(())
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// The place for a new file: parents made, an older file gone.
fn prepare(root: &Path, path: &str) -> Result<PathBuf, String> {
    let place = below(root, path);
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).map_err(|error| format!("make the directory of {path}: {error}"))?;
    }
    match fs::remove_file(&place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(format!("replace {path}: {error}")),
        _ => Ok(place),
    }
}

/// Writes a file and returns the SHA-256 of what can be read back.
fn write(root: &Path, path: &str, mode: u32, contents: &[u8]) -> Result<String, String> {
    let place = prepare(root, path)?;
    let written = fs::File::create(&place).and_then(|mut file| file.write_all(contents));
    written.map_err(|error| format!("write {path}: {error}"))?;
    let back = fs::read(&place).map_err(|error| format!("read {path} back: {error}"))?;
    permit(&place, mode)?;
    Ok(digest::of(&back))
}

fn permit(place: &Path, mode: u32) -> Result<(), String> {
    let set = fs::set_permissions(place, fs::Permissions::from_mode(mode));
    set.map_err(|error| format!("set the permissions of {}: {error}", place.display()))
}

/// What a source brings, checked against its hash and unpacked.
fn octets(source: &Source) -> Result<Vec<u8>, String> {
    let octets = match &source.place {
        Place::Inline(octets) => octets.clone(),
        Place::Url(url) => http::get(url)?.success(LARGEST)?,
    };
    if let Some(hash) = &source.hash {
        let found = match hash.split_once('-') {
            Some(("sha256", _)) => format!("sha256-{}", digest::of(&octets)),
            Some(("sha512", _)) => format!("sha512-{}", digest::sha512(&octets)),
            _ => return Err(format!("the hash function of `{hash}` is not known here")),
        };
        if !found.eq_ignore_ascii_case(hash) {
            return Err(format!("is {found}, but should be {hash}"));
        }
    }
    if source.gzip { gunzip(&octets) } else { Ok(octets) }
}

fn gunzip(octets: &[u8]) -> Result<Vec<u8>, String> {
    let mut contents = Vec::new();
    let read = flate2::read::GzDecoder::new(octets).take(LARGEST + 1).read_to_end(&mut contents);
    read.map_err(|error| format!("bad gzip: {error}"))?;
    if u64::try_from(contents.len()).is_ok_and(|length| length > LARGEST) {
        return Err(format!("longer than {LARGEST} octets unpacked"));
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_becomes_a_tree() {
        let root = tempfile::tempdir().unwrap();
        let wanted = Wanted::parse(
            br#"{"ignition":{"version":"3.1.0"},
            "storage":{"files":[{"path":"/etc/hostname","mode":420,"contents":{"source":"data:,node%201"}},
              {"path":"/etc/b","mode":384,"contents":{"source":"data:text/plain;base64,aGk="}},
              {"path":"/etc/c","append":[{"source":"data:,!"}]}],
              "links":[{"path":"/etc/link","target":"/etc/b"}]},
            "systemd":{"units":[{"name":"a.service","enabled":true,"contents":"[Install]\nWantedBy=multi-user.target\n"}]},
            "passwd":{"users":[{"name":"core","sshAuthorizedKeys":["k1","k2"]}]}}"#,
        )
        .unwrap();
        let digests = apply(&wanted, root.path()).unwrap();
        let read = |path: &str| fs::read_to_string(root.path().join(path)).unwrap();
        assert_eq!(read("etc/hostname"), "node 1");
        assert_eq!(read("etc/b"), "hi");
        assert_eq!(read("etc/c"), "!");
        assert_eq!(read("home/core/.ssh/authorized_keys"), "k1\nk2\n");
        assert_eq!(fs::read_link(root.path().join("etc/link")).unwrap(), Path::new("/etc/b"));
        let link = root.path().join("etc/systemd/system/multi-user.target.wants/a.service");
        assert_eq!(fs::read_link(link).unwrap(), Path::new("/etc/systemd/system/a.service"));
        assert_eq!(digests[0], ("/etc/hostname".to_owned(), digest::of(b"node 1")));
        apply(&wanted, root.path()).unwrap(); // a second run replaces, or appends where the config says so
        assert_eq!(fs::read_to_string(root.path().join("etc/c")).unwrap(), "!!");
    }

    #[test]
    fn bad_sources_are_named() {
        let root = tempfile::tempdir().unwrap();
        let source = |place, gzip, hash: Option<&str>| Source { place, gzip, hash: hash.map(str::to_owned) };
        let inline = || Place::Inline(b"hi".to_vec());
        for bad in [
            source(Place::Url("ftp://h/x".into()), false, None),
            source(inline(), true, None),
            source(inline(), false, Some("sha256-00")),
            source(inline(), false, Some("md5-00")),
        ] {
            let file = File { path: "/x".into(), sources: vec![bad], ..File::default() };
            assert!(write_file(&file, root.path()).unwrap_err().starts_with("/x: "));
        }
        let hash = "sha512-150a14ed5bea6cc731cf86c41566ac427a8db48ef1b9fd626664b3bfbb99071fa4c922f33dde38719b8c8354e2b7ab9d77e0e67fc12843920a712e73d558e197";
        assert_eq!(octets(&source(inline(), false, Some(hash))).unwrap(), b"hi");
    }
}
