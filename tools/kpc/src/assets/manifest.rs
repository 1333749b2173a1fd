//! What is in the assets folder and was checked: `asset.json` of each, and beside each file its digest for the agent.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

const FILE: &str = "asset.json";
/// The file that names the image; `[install.NAME] image = "FOLDER"` reads it.
pub(crate) const IMAGE: &str = "image";

/// One asset: an operating system's files.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Manifest {
    pub(super) name: String,
    #[serde(default)]
    pub(super) channel: Option<String>,
    /// Which file machines' disks are written with.
    #[serde(default)]
    pub(super) image: Option<String>,
    #[serde(default)]
    pub(super) files: Vec<Entry>,
}

/// One file.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Entry {
    pub(super) name: String,
    pub(super) octets: u64,
    pub(super) sha256: String,
    /// Fingerprint of the key, or the words that this host made it; `None`: nobody, and that was allowed.
    pub(super) signed_by: Option<String>,
}

impl Manifest {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), channel: None, image: None, files: Vec::new() }
    }

    /// The manifest of a folder; `None` where there is none.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, String> {
        let path = folder.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                serde_json::from_str(&text).map(Some).map_err(|error| format!("{}: {error}", path.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// Every asset, by name.
    pub(super) fn all(assets: &Path) -> Result<Vec<Self>, String> {
        let mut all = Vec::new();
        let entries = match std::fs::read_dir(assets) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(all),
            Err(error) => return Err(format!("{}: {error}", assets.display())),
        };
        for entry in entries.flatten() {
            all.extend(Self::read(&entry.path())?);
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Takes files in, in place of those of their names; the image is the one that is named, else the largest that can
    /// be one.
    pub(super) fn take(&mut self, entries: Vec<Entry>, image: Option<&str>) {
        for entry in entries {
            self.files.retain(|known| known.name != entry.name);
            self.files.push(entry);
        }
        self.files.sort_by(|a, b| a.name.cmp(&b.name));
        const ENDS: [&str; 7] = [".raw", ".img", ".bin", ".zst", ".xz", ".gz", ".zstd"];
        let may = |entry: &&Entry| {
            let boots = ["vmlinuz", "initrd", "cpio", "linux"].iter().any(|word| entry.name.contains(word));
            !boots && ENDS.iter().any(|end| entry.name.ends_with(end))
        };
        let largest = self.files.iter().filter(may).max_by_key(|entry| entry.octets);
        let named = image.filter(|image| self.files.iter().any(|entry| entry.name == *image));
        self.image = named.map(str::to_owned).or_else(|| largest.map(|entry| entry.name.clone()));
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        replace(&folder.join(FILE), &format!("{text}\n"))?;
        match &self.image {
            Some(image) => replace(&folder.join(IMAGE), &format!("{image}\n")),
            None => Ok(()),
        }
    }
}

/// Whether this can be an asset's name: it becomes a folder and a part of URLs.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    check_file(name).map_err(|_| format!("`{name}`: a name has letters, digits, -, _ and . only"))
}

/// Whether this can be a file's name in it.
pub(super) fn check_file(name: &str) -> Result<(), String> {
    let good = |letter: char| letter.is_ascii_alphanumeric() || "-_.+".contains(letter);
    let taken = name == FILE || name == IMAGE || name.ends_with(".sha256");
    if name.is_empty() || name.starts_with('.') || taken || !name.chars().all(good) {
        return Err(format!(
            "`{name}`: a file's name has letters, digits, -, _, + and . only, and is none of ours"
        ));
    }
    Ok(())
}

/// Puts a checked file where machines get it, its digest first: an agent never finds one without the other.
pub(super) fn serve(from: &Path, to: &Path, sha256: &str) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let said = |error: std::io::Error| format!("{}: {error}", to.display());
    let name = to.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).map_err(said)?;
    }
    std::fs::set_permissions(from, std::fs::Permissions::from_mode(0o644)).map_err(said)?;
    let mut beside = to.as_os_str().to_owned();
    beside.push(".sha256");
    let _ = std::fs::remove_file(to);
    replace(Path::new(&beside), &format!("{sha256}  {name}\n"))?;
    std::fs::rename(from, to).map_err(said)
}

/// Writes a small file whole.
fn replace(path: &Path, text: &str) -> Result<(), String> {
    let said = |error: std::io::Error| format!("{}: {error}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(said)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, path)).map_err(said)
}

/// Unpacks a bzip2 file, which the agent does not read; Debian has the program in every system.
pub(super) fn unpack(from: &Path, to: &Path) -> Result<PathBuf, String> {
    let said = |error: std::io::Error| format!("{}: {error}", to.display());
    let out = std::fs::File::create(to).map_err(said)?;
    let done = Command::new("bzip2").arg("-dc").arg(from).stdin(Stdio::null()).stdout(out).output();
    let done = done.map_err(|error| format!("bzip2: {error}; install it (apt install bzip2)"))?;
    if !done.status.success() {
        let why = String::from_utf8_lossy(&done.stderr);
        return Err(format!("{}: bzip2: {}", from.display(), why.trim()));
    }
    std::fs::remove_file(from).map_err(said)?;
    Ok(to.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, octets: u64) -> Entry {
        Entry { name: name.to_owned(), octets, sha256: String::new(), signed_by: None }
    }

    #[test]
    fn the_image_is_the_largest_that_can_be_one() {
        let mut manifest = Manifest::new("x");
        manifest.take(
            vec![entry("vmlinuz", 9), entry("initrd.img", 99), entry("a.raw.zst", 5), entry("b.raw", 7)],
            None,
        );
        assert_eq!(manifest.image.as_deref(), Some("b.raw"));
        manifest.take(vec![entry("a.raw.zst", 50)], None);
        assert_eq!(manifest.image.as_deref(), Some("a.raw.zst"));
        assert_eq!(manifest.files.len(), 4);
        manifest.take(Vec::new(), Some("b.raw"));
        assert_eq!(manifest.image.as_deref(), Some("b.raw"));
    }

    #[test]
    fn names_stay_in_their_folder() {
        for bad in ["", "..", "../x", "a/b", ".hidden", "a b", "asset.json", "image", "x.sha256", "a\n"] {
            assert!(check_file(bad).is_err(), "{bad}");
        }
        for good in ["a.raw.zst", "debian-13-generic-amd64.raw", "x_y+z"] {
            assert_eq!(check_file(good), Ok(()), "{good}");
        }
    }
}
