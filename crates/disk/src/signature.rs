//! What lies on a disk: partition tables, filesystems, volume managers, swap. A disk that shows any of these holds
//! somebody's data. Called by whoever is about to write a disk, before it does.
//!
//! Places and magic numbers are those of the formats' own headers; libblkid looks at the same ones.

use std::fmt;

use crate::octets::{ReadAt, Window, le16, le32};
use crate::table::Table;

/// Partitions looked into at most.
const MAX_PARTITIONS: usize = 128;
/// Findings at most.
const MAX_FOUND: usize = 64;

/// One thing found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signature {
    /// Its short name: `gpt`, `ext4`, `lvm2`, …
    pub kind: &'static str,
    /// The number of the partition that it lies in; `None`: the disk itself.
    pub partition: Option<u32>,
    /// The filesystem's own label; empty where it has none.
    pub label: String,
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        if !self.label.is_empty() {
            write!(f, " `{}`", self.label)?;
        }
        match self.partition {
            Some(number) => write!(f, " on partition {number}"),
            None => Ok(()),
        }
    }
}

/// A magic number at a fixed place.
struct Magic {
    kind: &'static str,
    at: u64,
    octets: &'static [u8],
    /// Place and length of the label.
    label: Option<(u64, usize)>,
}

const fn magic(kind: &'static str, at: u64, octets: &'static [u8]) -> Magic {
    Magic { kind, at, octets, label: None }
}

const fn labelled(kind: &'static str, at: u64, octets: &'static [u8], label: u64, length: usize) -> Magic {
    Magic { kind, at, octets, label: Some((label, length)) }
}

/// From the start of the disk or partition.
const MAGICS: &[Magic] = &[
    labelled("xfs", 0, b"XFSB", 108, 12),
    labelled("btrfs", 0x1_0040, b"_BHRfS_M", 0x1_012b, 256),
    labelled("luks", 0, b"LUKS\xba\xbe", 24, 48),
    magic("luks", 0x4000, b"SKUL\xba\xbe"),
    magic("ceph_bluestore", 0, b"bluestore block device"),
    magic("gpt", 512, b"EFI PART"),
    magic("gpt", 4096, b"EFI PART"),
    magic("md", 0, b"\xfc\x4e\x2b\xa9"),
    magic("md", 4096, b"\xfc\x4e\x2b\xa9"),
    labelled("iso9660", 0x8001, b"CD001", 0x8028, 32),
    magic("udf", 0x8001, b"BEA01"),
    magic("ntfs", 3, b"NTFS    "),
    magic("exfat", 3, b"EXFAT   "),
    magic("refs", 3, b"ReFS\0\0\0\0"),
    magic("bitlocker", 3, b"-FVE-FS-"),
    magic("bcache", 0x1018, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"),
    magic("bcachefs", 0x1018, b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef"),
    magic("vmfs", 0x10_0000, b"\x0d\xd0\x01\xc0"),
    magic("f2fs", 0x400, b"\x10\x20\xf5\xf2"),
    magic("erofs", 0x400, b"\xe2\xe1\xf5\xe0"),
    magic("squashfs", 0, b"hsqs"),
    magic("jfs", 0x8000, b"JFS1"),
    magic("reiserfs", 0x1_0034, b"ReIsEr"),
    magic("gfs2", 0x1_0000, b"\x01\x16\x19\x70"),
    magic("ocfs2", 0x2000, b"OCFSV2"),
    magic("lvm1", 0, b"HM\x01\0"),
    magic("stratis", 0x204, b"!Stra0tis\x86\xff\x02^\x41rh"),
    magic("vdo", 0, b"dmvdo001"),
];

/// The swap header's last ten octets of a page (Linux's `union swap_header`), and what hibernation leaves there.
const SWAPS: &[&[u8]] =
    &[b"SWAPSPACE2", b"SWAP-SPACE", b"S1SUSPEND\0", b"S2SUSPEND\0", b"ULSUSPEND\0", b"LINHIB0001"];
const PAGES: [u64; 4] = [4096, 8192, 16_384, 65_536];

/// Everything found on a disk of `size` octets and in its partitions. Empty: it carries nothing that is known here.
pub fn signatures(disk: &(impl ReadAt + ?Sized), size: u64) -> Vec<Signature> {
    let mut found: Vec<Signature> = Vec::new();
    let table = Table::read(disk, size);
    if let Some(table) = &table {
        found.push(Signature { kind: table.kind().name(), partition: None, label: String::new() });
    }
    whole(disk, size, None, &mut found);
    if table.is_none() && !found.iter().any(|one| BOOT_SECTORS.contains(&one.kind)) && has_boot_mark(disk) {
        found.push(Signature { kind: "mbr", partition: None, label: String::new() });
    }
    for partition in table.iter().flat_map(|table| table.partitions().iter()).take(MAX_PARTITIONS) {
        let window = Window::new(disk, partition.offset, partition.length);
        whole(&window, partition.length, Some(partition.number), &mut found);
    }
    found.truncate(MAX_FOUND);
    found
}

/// What lies on a partition, or on a disk that is not partitioned.
pub fn filesystems(of: &(impl ReadAt + ?Sized), size: u64) -> Vec<Signature> {
    let mut found = Vec::new();
    whole(of, size, None, &mut found);
    found
}

/// Filesystems whose first sector carries the mark 55 AA itself.
const BOOT_SECTORS: &[&str] = &["fat", "ntfs", "exfat", "refs", "bitlocker"];

fn has_boot_mark(disk: &(impl ReadAt + ?Sized)) -> bool {
    disk.octets(510, 2).is_some_and(|mark| mark == [0x55, 0xaa])
}

fn whole(of: &(impl ReadAt + ?Sized), size: u64, partition: Option<u32>, found: &mut Vec<Signature>) {
    let mut add = |kind: &'static str, label: String| {
        if !found.iter().any(|one| one.kind == kind && one.partition == partition) {
            found.push(Signature { kind, partition, label });
        }
    };
    for magic in MAGICS {
        if of.octets(magic.at, magic.octets.len()).is_some_and(|there| there == magic.octets) {
            let label = magic.label.and_then(|(at, length)| of.octets(at, length));
            add(magic.kind, label.map(|octets| text(&octets)).unwrap_or_default());
        }
    }
    if let Some((kind, label)) = extended(of) {
        add(kind, label);
    }
    if let Some(label) = fat_label(of) {
        add("fat", label);
    }
    // The label of a physical volume is in one of the first four sectors.
    for sector in 0..4 {
        let header = of.octets(sector * 512, 32).unwrap_or_default();
        if header.starts_with(b"LABELONE")
            && header.get(24..).is_some_and(|rest| rest.starts_with(b"LVM2 001"))
        {
            add("lvm2", String::new());
        }
    }
    let is_swap =
        |page: u64| of.octets(page - 10, 10).is_some_and(|there| SWAPS.iter().any(|mark| there == **mark));
    if PAGES.into_iter().any(is_swap) {
        add("swap", of.octets(1024 + 28, 16).map(|label| text(&label)).unwrap_or_default());
    }
    if is_md_at_the_end(of, size) {
        add("md", String::new());
    }
    if is_zfs(of, size) {
        add("zfs", String::new());
    }
    let at_end = |back: u64, mark: &[u8]| {
        let at = size.checked_sub(back)?;
        Some(of.octets(at, mark.len())? == mark)
    };
    if [512, 4096].iter().any(|back| at_end(*back, b"EFI PART") == Some(true)) {
        add("gpt", String::new());
    }
    if at_end(1024, b"Intel Raid ISM Cfg Sig. ") == Some(true) {
        add("imsm", String::new());
    }
    for mark in [b"\xde\x11\xde\x11", b"\x11\xde\x11\xde"] {
        if at_end(512, mark) == Some(true) {
            add("ddf", String::new());
        }
    }
}

/// ext2, ext3, ext4: the superblock at 1024 (Documentation/filesystems/ext4, "The Super Block").
fn extended(of: &(impl ReadAt + ?Sized)) -> Option<(&'static str, String)> {
    const JOURNAL: u32 = 0x4;
    const JOURNAL_DEVICE: u32 = 0x8;
    /// Extents, 64 bits, flexible groups, and the later ones.
    const LATER: u32 = 0xffff_ffc0;
    let block = of.octets(1024, 1024)?;
    if le16(&block, 0x38)? != 0xef53 {
        return None;
    }
    let (compatible, incompatible) = (le32(&block, 0x5c)?, le32(&block, 0x60)?);
    let kind = match () {
        () if incompatible & JOURNAL_DEVICE != 0 => "jbd",
        () if incompatible & LATER != 0 => "ext4",
        () if compatible & JOURNAL != 0 => "ext3",
        () => "ext2",
    };
    Some((kind, text(block.get(0x78..0x88)?)))
}

/// FAT12, FAT16, FAT32: jump, a power of two for the cluster, the name that formatters write (Microsoft's
/// specification 1.03 calls it informational; every one of them writes it).
fn fat_label(of: &(impl ReadAt + ?Sized)) -> Option<String> {
    let sector = of.octets(0, 512)?;
    let jump = matches!(sector.first()?, 0xeb | 0xe9);
    let cluster = *sector.get(13)?;
    if !jump || !cluster.is_power_of_two() || sector.get(510..)? != [0x55, 0xaa] {
        return None;
    }
    if sector.get(54..57)? == b"FAT" {
        return Some(text(sector.get(43..54)?));
    }
    (sector.get(82..87)? == b"FAT32").then(|| sector.get(71..82).map(text).unwrap_or_default())
}

/// Versions 1.0 (8 to 12 KiB before the end) and 0.90 (the last whole 64 KiB); the others are at fixed places.
fn is_md_at_the_end(of: &(impl ReadAt + ?Sized), size: u64) -> bool {
    const LITTLE: [u8; 4] = [0xfc, 0x4e, 0x2b, 0xa9];
    const BIG: [u8; 4] = [0xa9, 0x2b, 0x4e, 0xfc];
    let one = (size / 512).checked_sub(16).map(|sector| (sector & !7) * 512);
    let zero = (size & !0xffff).checked_sub(0x1_0000);
    let is = |at: Option<u64>| {
        at.and_then(|at| of.octets(at, 4)).is_some_and(|there| there == LITTLE || there == BIG)
    };
    is(one) || is(zero)
}

/// An uberblock in any of the four labels: two at the start, two at the end, each with 128 KiB of uberblocks behind
/// 128 KiB of its own.
fn is_zfs(of: &(impl ReadAt + ?Sized), size: u64) -> bool {
    const LABEL: u64 = 256 << 10;
    const MAGIC: u64 = 0x00ba_b10c;
    let end = size / LABEL * LABEL;
    [Some(0), Some(LABEL), end.checked_sub(2 * LABEL), end.checked_sub(LABEL)].into_iter().flatten().any(
        |label| {
            let Some(ring) = of.octets(label + (128 << 10), 128 << 10) else { return false };
            ring.chunks_exact(1024)
                .filter_map(|slot| slot.first_chunk::<8>())
                .any(|word| u64::from_le_bytes(*word) == MAGIC || u64::from_be_bytes(*word) == MAGIC)
        },
    )
}

/// A label as text: up to the first NUL, without blanks around, printable.
fn text(octets: &[u8]) -> String {
    let octets = octets.split(|octet| *octet == 0).next().unwrap_or_default();
    let text: String = String::from_utf8_lossy(octets).chars().filter(|c| !c.is_control()).take(64).collect();
    let text = text.trim();
    if text == "NO NAME" { String::new() } else { text.to_owned() }
}
