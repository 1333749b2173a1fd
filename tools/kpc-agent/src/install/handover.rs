//! What the installed system finds on its disk: its configuration, and what it registers with. cloud-init's NoCloud
//! reads a volume labelled CIDATA; an Ignition config goes where the image's own installer would put it. Writes only
//! the disk that was granted.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use disk::{Partition, ReadAt, Table, Window, fat, filesystems};

use crate::console::{say, warn};
use crate::install::disks::{Blocks, Places};

/// Room for the volume.
const VOLUME: u64 = 8 << 20;
/// cloud-init's label (its NoCloud data source), and ours where there is nothing for cloud-init.
pub(crate) const LABELS: [&str; 2] = ["CIDATA", "KPC"];
/// The file that the registration reads.
pub(crate) const CREDENTIALS: &str = "kpc.json";
/// This program itself, for the installed system's unit to register with.
pub(crate) const PROGRAM: &str = "kpc-agent";
/// What the volume's tables and small files take at most.
const TABLES: u64 = 1 << 20;
/// Labels of filesystems that Ignition's images read a config from, and its place there: Fedora CoreOS and its kin
/// (`/boot/ignition/config.ign`), Flatcar (`oem:///config.ign`).
const IGNITION: [(&str, &str); 2] = [("boot", "ignition/config.ign"), ("OEM", "config.ign")];
/// How long a partition's device may take to appear.
const APPEARS: u32 = 100;
const TICK: Duration = Duration::from_millis(50);

/// Files by name.
pub(crate) type Files<'a> = [(&'a str, &'a [u8])];

/// The octets of this program where they go on the volume beside `user_data` octets; nothing where they do not, and an
/// image has to bring the program itself then.
pub(crate) fn own_program(user_data: usize) -> Vec<u8> {
    let place = Path::new("/proc/self/exe");
    let size = fs::metadata(place).map_or(u64::MAX, |metadata| metadata.len());
    if size.saturating_add(user_data as u64) > VOLUME - TABLES {
        warn("kpc-agent does not fit on the volume: the image has to bring it");
        return Vec::new();
    }
    fs::read(place).unwrap_or_else(|error| {
        warn(format!("read {}: {error}; the image has to bring kpc-agent", place.display()));
        Vec::new()
    })
}

/// Whether there will be room for the volume on a disk of `size` octets that starts with `head`: asked before anything
/// is written.
pub(crate) fn check(head: &[u8], size: u64) -> Result<(), String> {
    let table =
        Table::read(head, size).ok_or("the image has no partition table: nothing can be handed over")?;
    match table.add(head, size, VOLUME, LABELS[0], [0; 16]) {
        Ok(_) => Ok(()),
        // It may bring a volume of its own.
        Err(error) if table.partitions().len() > 3 => {
            warn(format!("{error}; the image has to bring a volume labelled {}", LABELS[0]));
            Ok(())
        }
        Err(error) => Err(format!("nothing can be handed over: {error}")),
    }
}

/// Puts `files` into a volume with `label`: one that the image brought, else a new partition behind its last one.
pub(crate) fn volume(
    node: &Path,
    size: u64,
    label: &str,
    random: [u8; 16],
    files: &Files<'_>,
) -> Result<Partition, String> {
    let failed = |error: std::io::Error| format!("write {}: {error}", node.display());
    let file = File::options().read(true).write(true).open(node).map_err(failed)?;
    let blocks = Blocks(file.try_clone().map_err(failed)?);
    let table =
        Table::read(&blocks, size).ok_or("the image has no partition table: nothing can be handed over")?;
    let (writes, partition) = match own(&blocks, &table, label) {
        Some(partition) => (Vec::new(), partition),
        None => table.add(&blocks, size, VOLUME, label, random).map_err(|error| error.to_string())?,
    };
    let [a, b, c, d, ..] = random;
    let format =
        |files: &Files<'_>| fat::format(partition.length, label, u32::from_le_bytes([a, b, c, d]), files);
    let octets = format(files).or_else(|error| {
        // A volume that the image brought may be small.
        let small: Vec<_> = files.iter().copied().filter(|(name, _)| *name != PROGRAM).collect();
        if small.len() == files.len() {
            return Err(error);
        }
        warn(format!("{error}; the image has to bring kpc-agent"));
        format(&small)
    });
    let octets = octets.map_err(|error| error.to_string())?;
    // The table last: what it names is whole.
    file.write_all_at(&octets, partition.offset).map_err(failed)?;
    for write in writes {
        file.write_all_at(&write.octets, write.offset).map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    say(format!("{} on partition {} labelled {label}", names(files), partition.number));
    Ok(partition)
}

fn names(files: &Files<'_>) -> String {
    files.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// The FAT volume with this label that an image brought.
fn own(blocks: &impl ReadAt, table: &Table, label: &str) -> Option<Partition> {
    let is = |partition: &&Partition| {
        let window = Window::new(blocks, partition.offset, partition.length);
        let found = filesystems(&window, partition.length);
        partition.length >= fat::MIN_VOLUME
            && found.iter().any(|one| one.kind == "fat" && one.label.eq_ignore_ascii_case(label))
    };
    table.partitions().iter().find(is).copied()
}

/// Tells the kernel of the new partitions.
pub(crate) fn reread(node: &Path) {
    let told = Command::new("blockdev").arg("--rereadpt").arg(node).output();
    match told {
        Ok(output) if output.status.success() => {}
        Ok(output) => warn(format!("blockdev: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => warn(format!("blockdev: {error}; the kernel sees the partitions after the reboot")),
    }
}

/// Puts an Ignition config onto the filesystem of the image that is made for it.
pub(crate) fn ignition(places: &Places, name: &str, size: u64, config: &[u8]) -> Result<(), String> {
    let node = places.dev.join(name);
    let file = File::open(&node).map_err(|error| format!("open {}: {error}", node.display()))?;
    let blocks = Blocks(file);
    let table = Table::read(&blocks, size).ok_or("the image has no partition table")?;
    let found = table.partitions().iter().find_map(|partition| {
        let window = Window::new(&blocks, partition.offset, partition.length);
        let there = filesystems(&window, partition.length);
        let one = there
            .iter()
            .find_map(|one| Some((one.kind, IGNITION.iter().find(|(label, _)| *label == one.label)?)))?;
        Some((partition.number, one.0, one.1.1))
    });
    drop(blocks);
    let (number, kind, path) =
        found.ok_or("the image has no filesystem labelled boot or OEM for an Ignition config")?;
    reread(&node);
    let partition = device(places, name, number)?;
    let mounted = Mounted::new(&partition, kind)?;
    let place = mounted.0.join(path);
    let made = place.parent().map_or(Ok(()), fs::create_dir_all);
    let written = made.and_then(|()| {
        let mut options = File::options();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&place)?;
        file.write_all_at(config, 0)?;
        file.sync_all()
    });
    written.map_err(|error| format!("write {path} on partition {number}: {error}"))?;
    say(format!("{path} on partition {number}, {kind}"));
    mounted.end()
}

/// A partition's device once it is there: `sda3`, `nvme0n1p3`.
fn device(places: &Places, name: &str, number: u32) -> Result<PathBuf, String> {
    let between = if name.ends_with(|last: char| last.is_ascii_digit()) { "p" } else { "" };
    let path = places.dev.join(format!("{name}{between}{number}"));
    for _ in 0..APPEARS {
        if path.exists() {
            return Ok(path);
        }
        std::thread::sleep(TICK);
    }
    Err(format!("{} did not appear", path.display()))
}

/// A filesystem mounted for a moment.
struct Mounted(PathBuf);

impl Mounted {
    fn new(device: &Path, kind: &str) -> Result<Self, String> {
        let place = PathBuf::from("/run/kpc-agent-mount");
        let kind = if kind == "fat" { "vfat" } else { kind };
        fs::create_dir_all(&place).map_err(|error| format!("make {}: {error}", place.display()))?;
        rustix::mount::mount(device, &place, kind, rustix::mount::MountFlags::empty(), None).map_err(
            |error| format!("mount {} ({kind}): {error}; is the driver in the initrd?", device.display()),
        )?;
        Ok(Self(place))
    }

    fn end(self) -> Result<(), String> {
        rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::empty())
            .map_err(|error| format!("unmount: {error}"))
    }
}

/// The credentials that an installation left on a disk of this machine.
pub(crate) fn find_credentials(places: &Places) -> Result<Vec<u8>, String> {
    let dir = places.sys.join("class/block");
    let entries = fs::read_dir(&dir).map_err(|error| format!("read {}: {error}", dir.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| dir.join(name).join("partition").exists())
        .collect();
    names.sort();
    let read = |name: &String| {
        let blocks = Blocks(File::open(places.dev.join(name)).ok()?);
        let found = filesystems(&blocks, 0);
        let ours = found.iter().any(|one| one.kind == "fat" && LABELS.contains(&one.label.as_str()));
        ours.then(|| fat::read(&blocks, CREDENTIALS)).flatten()
    };
    names.iter().find_map(read).ok_or_else(|| {
        format!(
            "no partition labelled {} with a {CREDENTIALS}: was this system installed by kpc-agent?",
            LABELS.join(" or ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 32 << 20;

    /// An image of 2 MiB with one partition.
    fn image() -> Vec<u8> {
        let mut image = vec![0; 2 << 20];
        image[446..462].copy_from_slice(&[0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0]);
        image[510..512].copy_from_slice(&[0x55, 0xaa]);
        image
    }

    #[test]
    fn a_volume_behind_the_image_then_over_itself() {
        let dir = tempfile::tempdir().unwrap();
        let node = dir.path().join("vda");
        let mut octets = image();
        octets.resize(SIZE, 0);
        fs::write(&node, octets).unwrap();
        check(&image(), SIZE as u64).unwrap();
        let put = |contents: &[u8]| {
            volume(&node, SIZE as u64, "CIDATA", [5; 16], &[("user-data", contents), (CREDENTIALS, b"{}")])
                .unwrap()
        };
        let first = put(b"one");
        assert_eq!((first.number, first.offset), (2, 2 << 20));
        assert_eq!(put(b"two"), first, "a volume that is there is used again");
        let octets = fs::read(&node).unwrap();
        let window = Window::new(octets.as_slice(), first.offset, first.length);
        assert_eq!(fat::read(&window, "user-data").as_deref(), Some(&b"two"[..]));
        assert_eq!(Table::read(octets.as_slice(), SIZE as u64).unwrap().partitions().len(), 2);
        // What a later boot finds: the partition as the kernel shows it.
        let places = Places { sys: dir.path().join("sys"), dev: dir.path().join("dev") };
        for name in ["vda", "vda1", "vda2"] {
            let dir = places.sys.join("class/block").join(name);
            fs::create_dir_all(&dir).unwrap();
            fs::create_dir_all(&places.dev).unwrap();
            if name != "vda" {
                fs::write(dir.join("partition"), "1").unwrap();
            }
        }
        fs::write(places.dev.join("vda1"), [0; 4096]).unwrap();
        assert!(find_credentials(&places).unwrap_err().contains("CIDATA"));
        let (start, end) = (first.offset as usize, (first.offset + first.length) as usize);
        fs::write(places.dev.join("vda2"), &octets[start..end]).unwrap();
        assert_eq!(find_credentials(&places).unwrap(), b"{}");
    }

    #[test]
    fn what_cannot_be_handed_over_is_said_before_a_write() {
        assert!(check(&[0; 4096], SIZE as u64).unwrap_err().contains("no partition table"));
        assert!(check(&image(), 3 << 20).unwrap_err().contains("no room"));
    }
}
