//! Every kind of signature, from the octets that its format's header has, and from the real formatters where they
//! are installed.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use disk::{ReadAt, signatures};

const SIZE: usize = 4 << 20;

/// Octets and where they lie.
type Piece<'a> = (usize, &'a [u8]);

struct Image(Vec<(usize, Vec<u8>)>);

impl ReadAt for Image {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> bool {
        let start = usize::try_from(offset).unwrap();
        if start + into.len() > SIZE {
            return false;
        }
        into.fill(0);
        for (at, octets) in &self.0 {
            for (place, octet) in (*at..).zip(octets) {
                if (start..start + into.len()).contains(&place) {
                    into[place - start] = *octet;
                }
            }
        }
        true
    }
}

fn kinds(pieces: &[Piece<'_>]) -> Vec<&'static str> {
    let image = Image(pieces.iter().map(|(at, octets)| (*at, octets.to_vec())).collect());
    signatures(&image, SIZE as u64).iter().map(|found| found.kind).collect()
}

#[test]
fn each_format_by_its_header() {
    // The numbers are those of the formats' own headers, counted from the start of the disk.
    let cases: &[(&str, &[Piece<'_>])] = &[
        ("xfs", &[(0, b"XFSB")]),
        ("btrfs", &[(0x10040, b"_BHRfS_M")]),
        ("lvm2", &[(512, b"LABELONE"), (512 + 24, b"LVM2 001")]),
        ("lvm2", &[(1536, b"LABELONE"), (1536 + 24, b"LVM2 001")]),
        ("luks", &[(0, b"LUKS\xba\xbe\x00\x02")]),
        ("luks", &[(0x4000, b"SKUL\xba\xbe")]),
        ("ceph_bluestore", &[(0, b"bluestore block device\nf0b2b8a0-0000-0000-0000-000000000000\n")]),
        ("md", &[(4096, b"\xfc\x4e\x2b\xa9\x01\x00\x00\x00")]), // 1.2
        ("md", &[(0, b"\xfc\x4e\x2b\xa9")]),                    // 1.1
        ("md", &[(SIZE - 8192, b"\xfc\x4e\x2b\xa9")]),          // 1.0
        ("md", &[(SIZE - 65536, b"\xfc\x4e\x2b\xa9")]),         // 0.90
        ("md", &[(SIZE - 65536, b"\xa9\x2b\x4e\xfc")]),         // 0.90, big-endian
        ("swap", &[(4086, b"SWAPSPACE2")]),
        ("swap", &[(65526, b"SWAPSPACE2")]),
        ("swap", &[(4086, b"S1SUSPEND\0")]),
        ("zfs", &[(128 << 10, b"\x0c\xb1\xba\x00\0\0\0\0")]),
        ("zfs", &[((256 << 10) + (200 << 10), b"\0\0\0\0\x00\xba\xb1\x0c")]),
        ("zfs", &[(SIZE - (128 << 10), b"\x0c\xb1\xba\x00\0\0\0\0")]), // the last label alone
        ("iso9660", &[(0x8001, b"CD001")]),
        ("ext2", &[(1024 + 0x38, b"\x53\xef")]),
        ("ext3", &[(1024 + 0x38, b"\x53\xef"), (1024 + 0x5c, b"\x04")]),
        ("ext4", &[(1024 + 0x38, b"\x53\xef"), (1024 + 0x5c, b"\x04"), (1024 + 0x60, b"\x40")]),
        ("ntfs", &[(3, b"NTFS    "), (510, b"\x55\xaa")]),
        ("fat", &[(0, b"\xeb\x3c\x90"), (13, b"\x04"), (54, b"FAT16   "), (510, b"\x55\xaa")]),
        ("fat", &[(0, b"\xeb\x58\x90"), (13, b"\x08"), (82, b"FAT32   "), (510, b"\x55\xaa")]),
        ("bcache", &[(0x1018, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81")]),
        ("vmfs", &[(1 << 20, b"\x0d\xd0\x01\xc0")]),
        ("imsm", &[(SIZE - 1024, b"Intel Raid ISM Cfg Sig. ")]),
        ("ddf", &[(SIZE - 512, b"\xde\x11\xde\x11")]),
        ("mbr", &[(510, b"\x55\xaa")]), // boot code without an entry is somebody's too
        ("gpt", &[(512, b"EFI PART")]), // damaged
        ("gpt", &[(SIZE - 512, b"EFI PART")]), // only the backup's mark is left
    ];
    for (kind, pieces) in cases {
        assert_eq!(kinds(pieces), [*kind], "{pieces:?}");
    }
}

#[test]
fn an_empty_disk_and_noise_without_a_mark_show_nothing() {
    assert!(kinds(&[]).is_empty());
    assert!(kinds(&[(0, b"hello"), (8192, b"XFSB"), (SIZE - 100, b"LABELONE")]).is_empty());
    assert!(signatures(&[] as &[u8], 0).is_empty());
    assert!(signatures([0_u8; 3].as_slice(), 3).is_empty());
}

#[test]
fn partitions_are_looked_into() {
    // One entry of type 83 at sector 2048, 1 MiB long; ext4 in it.
    let entry = [0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0];
    let at = 1 << 20;
    let image = Image(vec![
        (446, entry.to_vec()),
        (510, vec![0x55, 0xaa]),
        (at + 1024 + 0x38, vec![0x53, 0xef]),
        (at + 1024 + 0x60, vec![0x40]),
        (at + 1024 + 0x78, b"root".to_vec()),
    ]);
    let found: Vec<String> = signatures(&image, SIZE as u64).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["mbr", "ext4 `root` on partition 1"]);
    // A logical one: an extended partition whose first link names sector 63 behind itself.
    let extended = [0, 0, 0, 0, 5, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0];
    let logical = [0, 0, 0, 0, 0x8e, 0, 0, 0, 63, 0, 0, 0, 0, 4, 0, 0];
    let image = Image(vec![
        (446, extended.to_vec()),
        (510, vec![0x55, 0xaa]),
        (at + 446, logical.to_vec()),
        (at + 510, vec![0x55, 0xaa]),
        (at + 64 * 512, b"LABELONE".to_vec()),
        (at + 64 * 512 + 24, b"LVM2 001".to_vec()),
    ]);
    let found: Vec<String> = signatures(&image, SIZE as u64).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["mbr", "lvm2 on partition 5"]);
}

/// A program in the places where Debian puts it, or below the unpacked parts.
fn program(name: &str) -> Option<PathBuf> {
    let parts = std::env::var_os("KPC_LAB_PARTS").map(|parts| PathBuf::from(parts).join("root"));
    let roots = parts.into_iter().chain([PathBuf::from("/")]);
    roots
        .flat_map(|root| ["sbin", "usr/sbin", "bin", "usr/bin"].map(|dir| root.join(dir).join(name)))
        .find(|path| path.exists())
}

#[test]
fn what_the_formatters_write_is_found() {
    let cases: &[(&str, &[&str], &str)] = &[
        ("mkfs.ext2", &["-q", "-F", "-L", "here"], "ext2 `here`"),
        ("mkfs.ext4", &["-q", "-F", "-L", "here"], "ext4 `here`"),
        ("mkswap", &["-L", "here"], "swap `here`"),
        ("mkfs.fat", &["-n", "HERE"], "fat `HERE`"),
        ("mkfs.xfs", &["-q", "-f", "-L", "here"], "xfs `here`"),
        ("mkfs.btrfs", &["-q", "-f", "-L", "here"], "btrfs `here`"),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (name, arguments, expected) in cases {
        let Some(program) = program(name) else {
            eprintln!("skipped: {name} is not installed");
            continue;
        };
        let path = dir.path().join(name);
        fs::File::create(&path).unwrap().set_len(320 << 20).unwrap();
        let output = Command::new(program).args(*arguments).arg(&path).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let found: Vec<String> = found_in(&path);
        assert_eq!(found, [*expected], "{name}");
        fs::remove_file(&path).unwrap();
    }
}

struct File(fs::File);

impl ReadAt for File {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> bool {
        std::os::unix::fs::FileExt::read_exact_at(&self.0, into, offset).is_ok()
    }
}

fn found_in(path: &Path) -> Vec<String> {
    let file = fs::File::open(path).unwrap();
    let size = file.metadata().unwrap().len();
    signatures(&File(file), size).iter().map(ToString::to_string).collect()
}

/// The volume that we make, judged by dosfstools and read by mtools.
#[test]
fn our_volume_is_a_volume_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("volume");
    let long = vec![b'x'; 100_000];
    let files: &[(&str, &[u8])] =
        &[("meta-data", b"instance-id: a\n"), ("user-data", &long), ("kpc.json", b"{}"), ("empty", b"")];
    let mut volume = disk::fat::format(8 << 20, "CIDATA", 0x1234, files).unwrap();
    assert_eq!(signatures(volume.as_slice(), 8 << 20)[0].to_string(), "fat `CIDATA`");
    volume.resize(8 << 20, 0);
    fs::write(&path, volume).unwrap();
    match program("fsck.fat") {
        Some(fsck) => {
            let output = Command::new(fsck).args(["-n", "-v"]).arg(&path).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{said}");
            assert!(said.contains("5 files") || said.contains("4 files"), "{said}");
        }
        None => eprintln!("skipped: fsck.fat is not installed"),
    }
    let Some(mtools) = program("mtools") else {
        eprintln!("skipped: mtools is not installed");
        return;
    };
    for (name, contents) in files {
        let output = Command::new(&mtools)
            .args(["-c", "mtype", "-i"])
            .arg(&path)
            .arg(format!("::{name}"))
            .output()
            .unwrap();
        assert!(output.stdout == *contents, "{name}: {output:?}");
    }
}
