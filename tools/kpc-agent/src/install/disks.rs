//! The disks of this machine, from sysfs, and what lies on them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use disk::{ReadAt, signatures};

use crate::install::rule::{Disk, Kind};

/// Block devices that are no disks of the machine.
const OTHERS: [&str; 9] = ["loop", "ram", "zram", "sr", "fd", "dm-", "md", "nbd", "mtdblock"];

/// Where the kernel shows devices: `/sys` and `/dev`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Places {
    /// `/sys`.
    pub(crate) sys: PathBuf,
    /// `/dev`.
    pub(crate) dev: PathBuf,
}

/// A disk opened for reading.
#[derive(Debug)]
pub(crate) struct Blocks(pub(crate) File);

impl ReadAt for Blocks {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> bool {
        self.0.read_exact_at(into, offset).is_ok()
    }
}

/// Every fixed disk that can be written, by name.
pub(crate) fn all(places: &Places) -> Result<Vec<Disk>, String> {
    let dir = places.sys.join("block");
    let entries = fs::read_dir(&dir).map_err(|error| format!("read {}: {error}", dir.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_disk(name))
        .collect();
    names.sort();
    names.iter().filter_map(|name| one(places, name).transpose()).collect()
}

fn is_disk(name: &str) -> bool {
    // nvme0c0n1 is one path of nvme0n1.
    let is_path = name.strip_prefix("nvme").is_some_and(|rest| rest.contains('c'));
    !is_path && !OTHERS.iter().any(|other| name.starts_with(other))
}

/// `None`: empty, removable, or not to be written.
fn one(places: &Places, name: &str) -> Result<Option<Disk>, String> {
    let dir = places.sys.join("block").join(name);
    let text = |file: &str| fs::read_to_string(dir.join(file)).unwrap_or_default().trim().to_owned();
    // The kernel counts sectors of 512 octets whatever the disk has.
    let octets = text("size").parse::<u64>().unwrap_or(0).saturating_mul(512);
    if octets == 0 || text("removable") == "1" || text("ro") == "1" {
        return Ok(None);
    }
    let kind = match () {
        () if name.starts_with("nvme") => Kind::Nvme,
        () if text("queue/rotational") == "0" => Kind::Ssd,
        () => Kind::Hdd,
    };
    let node = places.dev.join(name);
    let file = File::open(&node).map_err(|error| format!("open {}: {error}", node.display()))?;
    let found = signatures(&Blocks(file), octets);
    Ok(Some(Disk {
        name: name.to_owned(),
        serial: serial(&dir),
        model: text("device/model"),
        octets,
        kind,
        signatures: found,
    }))
}

/// virtio and NVMe show it as text, SCSI and SATA as a page of their vital product data (SPC-4 §7.8.15); else the
/// World Wide Name.
fn serial(dir: &Path) -> String {
    let text = |file: &str| fs::read_to_string(dir.join(file)).unwrap_or_default();
    let page = fs::read(dir.join("device/vpd_pg80")).unwrap_or_default();
    let page = String::from_utf8_lossy(page.get(4..).unwrap_or_default()).into_owned();
    let all = [text("serial"), text("device/serial"), page, text("wwid"), text("device/wwid")];
    let clean = |text: &String| text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned();
    all.iter().map(clean).find(|serial| !serial.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sysfs_as_disks() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { sys: dir.path().join("sys"), dev: dir.path().join("dev") };
        let put = |path: &str, octets: &[u8]| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, octets).unwrap();
        };
        for (name, size) in
            [("vda", "8192\n"), ("sda", "4096\n"), ("sr0", "99\n"), ("sdb", "0\n"), ("nvme0n1", "16\n")]
        {
            put(&format!("sys/block/{name}/size"), size.as_bytes());
            put(&format!("dev/{name}"), &[0; 8192]);
        }
        put("sys/block/sdu/size", b"100\n");
        put("sys/block/sdu/removable", b"1\n");
        put("sys/block/nvme0c0n1/size", b"16\n");
        put("sys/block/vda/serial", b"V1");
        put("sys/block/sda/device/vpd_pg80", b"\x00\x80\x00\x08  S  1  ");
        put("sys/block/sda/queue/rotational", b"0\n");
        put("sys/block/nvme0n1/device/serial", b"N1   \n");
        put("dev/sda", b"XFSB");
        let disks = all(&places).unwrap();
        let said: Vec<String> = disks.iter().map(ToString::to_string).collect();
        assert_eq!(said, ["nvme0n1 (N1, 0 MiB nvme)", "sda (S  1, 2 MiB ssd, xfs)", "vda (V1, 4 MiB hdd)"]);
        assert!(all(&Places { sys: dir.path().join("none"), dev: dir.path().into() }).is_err());
    }
}
