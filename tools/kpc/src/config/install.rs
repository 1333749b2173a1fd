//! `[install.PROFILE]`: what the agent writes where, once an order of that profile is granted a disk.

use std::path::{Component, Path};

use serde::Deserialize;

/// One install section.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Install {
    /// The disk image: a path below the assets folder, or an `http://` or `https://` URL.
    pub(crate) image: String,
    /// SHA-256 of the image's file as it is served, in hexadecimal. Default: the first word of `IMAGE.sha256`.
    #[serde(default)]
    pub(crate) sha256: Option<String>,
    /// How the image is packed. Default: by the end of its name.
    #[serde(default)]
    pub(crate) format: Format,
    /// Which disk, where the order names none. Default: the only one.
    #[serde(default)]
    pub(crate) disk: DiskRule,
    /// Smaller disks do not count, such as `8GiB`. Default: none.
    #[serde(default)]
    pub(crate) min_size: Option<String>,
    /// Whether UEFI's boot order is changed. Default: the disk goes first.
    #[serde(default)]
    pub(crate) boot_order: BootOrder,
}

/// How an image is packed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    #[default]
    Auto,
    Raw,
    Gzip,
    Xz,
    Zstd,
}

/// Which disk is chosen where the order names none; where the rule leaves more than one, the agent stops.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DiskRule {
    #[default]
    Only,
    Smallest,
    Largest,
    SmallestNvme,
    LargestNvme,
    SmallestSsd,
    LargestSsd,
    SmallestHdd,
    LargestHdd,
}

/// What the agent does to UEFI's boot order.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BootOrder {
    /// The disk goes first.
    #[default]
    Disk,
    /// It stays as it is.
    Keep,
}

impl DiskRule {
    /// The word that the agent is told.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Only => "only",
            Self::Smallest => "smallest",
            Self::Largest => "largest",
            Self::SmallestNvme => "smallest-nvme",
            Self::LargestNvme => "largest-nvme",
            Self::SmallestSsd => "smallest-ssd",
            Self::LargestSsd => "largest-ssd",
            Self::SmallestHdd => "smallest-hdd",
            Self::LargestHdd => "largest-hdd",
        }
    }
}

impl Install {
    /// The format, found by the end of the name where it is not said.
    pub(crate) fn format(&self) -> &'static str {
        match self.format {
            Format::Raw => "raw",
            Format::Gzip => "gzip",
            Format::Xz => "xz",
            Format::Zstd => "zstd",
            Format::Auto => {
                match Path::new(&self.image).extension().and_then(|end| end.to_str()).unwrap_or_default() {
                    "gz" => "gzip",
                    "xz" => "xz",
                    "zst" | "zstd" => "zstd",
                    _ => "raw",
                }
            }
        }
    }

    /// Whether the image is somebody else's to serve.
    pub(crate) fn is_remote(&self) -> bool {
        self.image.starts_with("http://") || self.image.starts_with("https://")
    }

    /// The least size of a disk, in octets.
    pub(crate) fn min_octets(&self) -> u64 {
        self.min_size.as_deref().and_then(octets).unwrap_or(0)
    }

    /// What cannot be used, with the remedy.
    pub(crate) fn check(&self, profile: &str) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("[install.{profile}]: {what}"));
        let plain = Path::new(&self.image).components().all(|part| matches!(part, Component::Normal(_)));
        if !self.is_remote() && (self.image.is_empty() || !plain) {
            return wrong("`image` is a path below the assets folder, without `..`, or an http(s) URL");
        }
        if self.sha256.as_deref().is_some_and(|digest| !is_digest(digest)) {
            return wrong("`sha256` is 64 hexadecimal digits (`sha256sum IMAGE` prints them)");
        }
        if self.is_remote() && self.sha256.is_none() {
            return wrong("an image behind a URL needs its `sha256`");
        }
        if self.min_size.as_deref().is_some_and(|size| octets(size).is_none()) {
            return wrong("`min_size` is a number with B, MiB, GiB or TiB, such as `8GiB`");
        }
        Ok(())
    }
}

/// Whether this is a SHA-256 in hexadecimal.
pub(crate) fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

fn octets(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let shift = match unit.trim() {
        "B" => 0,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(text: &str) -> Result<Install, String> {
        let install: Install = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        install.check("debian").map(|()| install)
    }

    #[test]
    fn the_image_alone_is_enough() {
        let install = section("image = \"debian/12.raw.zst\"").unwrap();
        assert_eq!((install.format(), install.min_octets(), install.disk), ("zstd", 0, DiskRule::Only));
        let install = section(
            "image = \"a.img\"\nformat = \"xz\"\nmin_size = \"8GiB\"\ndisk = \"smallest-nvme\"\nboot_order = \"keep\"",
        )
        .unwrap();
        assert_eq!((install.format(), install.min_octets()), ("xz", 8 << 30));
        assert_eq!((install.disk, install.boot_order), (DiskRule::SmallestNvme, BootOrder::Keep));
    }

    #[test]
    fn faults_name_the_key() {
        for (text, what) in [
            ("image = \"../etc/shadow\"", "`..`"),
            ("image = \"/etc/shadow\"", "`..`"),
            ("image = \"http://mirror/a.img\"", "`sha256`"),
            ("image = \"a\"\nsha256 = \"12\"", "64 hexadecimal"),
            ("image = \"a\"\nmin_size = \"8 GB\"", "`min_size`"),
            ("image = \"a\"\nmin_size = \"99999999999TiB\"", "`min_size`"),
            ("image = \"a\"\ndisk = \"any\"", "unknown variant"),
            ("image = \"a\"\ndisc = \"only\"", "unknown field"),
        ] {
            let error = section(text).unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
    }
}
