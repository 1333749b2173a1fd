//! A small FAT16 volume as values: made whole with a few files in its root, and read back. Called by installers, which
//! hand over configuration on it (cloud-init's NoCloud wants a volume labelled CIDATA), and by the installed system.
//!
//! Microsoft's *FAT: General Overview of On-Disk Format*, version 1.03.

use crate::octets::{ReadAt, le16, le32, put};

const SECTOR: usize = 512;
/// One sector is one cluster: the smallest files cost the least.
const RESERVED: usize = 1;
const ROOT_ENTRIES: usize = 512;
const ROOT_SECTORS: usize = ROOT_ENTRIES * 32 / SECTOR;
/// A volume with this many clusters is FAT16, never FAT12 or FAT32 (page 14).
const CLUSTERS: core::ops::RangeInclusive<usize> = 4200..=65_000;
/// The end of a file's chain.
const END: u16 = 0xffff;
/// Directory attributes (page 22).
const VOLUME_ID: u8 = 0x08;
const ARCHIVE: u8 = 0x20;
const LONG_NAME: u8 = 0x0f;
/// Longest file that is read.
const MAX_FILE: u32 = 16 << 20;

/// Smallest volume, in octets.
pub const MIN_VOLUME: u64 = 4 << 20;
/// Largest volume that is made, in octets.
pub const MAX_VOLUME: u64 = 16 << 20;

/// Why no volume was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Smaller than [`MIN_VOLUME`].
    #[error("{0} octets are too few for a volume")]
    TooSmall(u64),
    /// The files need more room.
    #[error("the files do not fit the volume")]
    Full,
    /// A name is empty, too long, or has letters that no file has.
    #[error("a file's name cannot be written")]
    Name,
}

/// A volume with `files` in its root: everything that is to lie at its start, at most `room` octets. `serial` tells
/// volumes apart.
///
/// ```
/// let volume = disk::fat::format(8 << 20, "CIDATA", 7, &[("user-data", b"#cloud-config\n")])?;
/// assert_eq!(disk::fat::read(volume.as_slice(), "user-data").as_deref(), Some(&b"#cloud-config\n"[..]));
/// # Ok::<(), disk::fat::FormatError>(())
/// ```
///
/// # Errors
/// [`FormatError`].
pub fn format(room: u64, label: &str, serial: u32, files: &[(&str, &[u8])]) -> Result<Vec<u8>, FormatError> {
    let sectors = usize::try_from(room.min(MAX_VOLUME)).unwrap_or_default() / SECTOR;
    // Two tables of two octets a cluster, and two entries that are no cluster.
    let table = (2 * (sectors + 2)).div_ceil(SECTOR);
    let data = RESERVED + 2 * table + ROOT_SECTORS;
    let clusters = sectors.checked_sub(data).filter(|clusters| CLUSTERS.contains(clusters));
    let clusters = clusters.ok_or(FormatError::TooSmall(room))?;
    let mut volume = boot_sector(sectors, table, label, serial);
    volume.resize(data * SECTOR, 0);
    let mut chains: Vec<u16> = vec![0xfff8, END];
    let mut root = entry(&padded(label), VOLUME_ID, 0, 0);
    for ((name, contents), number) in files.iter().zip(1_u32..) {
        let needed = contents.len().div_ceil(SECTOR);
        let first = chains.len();
        if first - 2 + needed > clusters {
            return Err(FormatError::Full);
        }
        let next = |cluster: usize| u16::try_from(cluster + 1).unwrap_or(END);
        chains
            .extend((first..first + needed).map(|at| if at + 1 == first + needed { END } else { next(at) }));
        let length = u32::try_from(contents.len()).map_err(|_| FormatError::Full)?;
        let start = if needed == 0 { 0 } else { u16::try_from(first).map_err(|_| FormatError::Full)? };
        root.extend(named(name, number, start, length)?);
        volume.extend_from_slice(contents);
        volume.resize(volume.len().next_multiple_of(SECTOR), 0);
    }
    if root.len() > ROOT_ENTRIES * 32 {
        return Err(FormatError::Full);
    }
    let chains: Vec<u8> = chains.into_iter().flat_map(u16::to_le_bytes).collect();
    put(&mut volume, RESERVED * SECTOR, &chains);
    put(&mut volume, (RESERVED + table) * SECTOR, &chains);
    put(&mut volume, (RESERVED + 2 * table) * SECTOR, &root);
    Ok(volume)
}

/// Pages 9 to 12.
fn boot_sector(sectors: usize, table: usize, label: &str, serial: u32) -> Vec<u8> {
    let number = |value: usize| u16::try_from(value).unwrap_or_default().to_le_bytes();
    let mut sector = vec![0; SECTOR];
    put(&mut sector, 0, b"\xeb\x3c\x90KPC     ");
    put(&mut sector, 11, &number(SECTOR));
    put(&mut sector, 13, &[1]);
    put(&mut sector, 14, &number(RESERVED));
    put(&mut sector, 16, &[2]);
    put(&mut sector, 17, &number(ROOT_ENTRIES));
    put(&mut sector, 19, &number(if sectors < 0x1_0000 { sectors } else { 0 }));
    put(&mut sector, 21, &[0xf8]);
    put(&mut sector, 22, &number(table));
    put(&mut sector, 24, &[63, 0, 255, 0]);
    put(&mut sector, 32, &u32::try_from(sectors).unwrap_or_default().to_le_bytes());
    put(&mut sector, 36, &[0x80, 0, 0x29]);
    put(&mut sector, 39, &serial.to_le_bytes());
    put(&mut sector, 43, &padded(label));
    put(&mut sector, 54, b"FAT16   ");
    put(&mut sector, 510, &[0x55, 0xaa]);
    sector
}

/// A label or short name: eleven octets, blanks behind.
fn padded(text: &str) -> [u8; 11] {
    let mut octets = [b' '; 11];
    for (place, octet) in octets.iter_mut().zip(text.bytes().filter(u8::is_ascii_graphic)) {
        *place = octet.to_ascii_uppercase();
    }
    octets
}

/// Page 22; 1 January 1980, because there is no clock here.
fn entry(name: &[u8; 11], attribute: u8, cluster: u16, length: u32) -> Vec<u8> {
    let mut entry = vec![0; 32];
    put(&mut entry, 0, name);
    put(&mut entry, 11, &[attribute]);
    for at in [16, 18, 24] {
        put(&mut entry, at, &[0x21, 0]);
    }
    put(&mut entry, 26, &cluster.to_le_bytes());
    put(&mut entry, 28, &length.to_le_bytes());
    entry
}

/// Where the thirteen letters of a long name's entry lie (page 29).
const LETTERS: [usize; 13] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

/// The entries of a file: its long name from back to front, then the short one, `KPC~1` with its number.
fn named(name: &str, number: u32, cluster: u16, length: u32) -> Result<Vec<u8>, FormatError> {
    let letters: Vec<u16> = name.encode_utf16().collect();
    let bad = |c: char| c.is_control() || "\"*/:<>?\\|".contains(c);
    if letters.is_empty() || letters.len() > 255 || name.contains(bad) || name.ends_with(['.', ' ']) {
        return Err(FormatError::Name);
    }
    let short = padded(&format!("KPC~{number}"));
    let checksum = checksum(&short);
    let mut entries = Vec::new();
    let parts: Vec<(&[u16], u8)> = letters.chunks(LETTERS.len()).zip(1_u8..).collect();
    let count = letters.len().div_ceil(LETTERS.len());
    for (part, order) in parts.into_iter().rev() {
        let last = if usize::from(order) == count { 0x40 } else { 0 };
        let mut entry = vec![0xff; 32];
        put(&mut entry, 0, &[order | last]);
        put(&mut entry, 11, &[LONG_NAME, 0, checksum]);
        put(&mut entry, 26, &[0, 0]);
        // One NUL behind the name, then FFFF.
        for (at, letter) in LETTERS.iter().zip(part.iter().copied().chain([0])) {
            put(&mut entry, *at, &letter.to_le_bytes());
        }
        entries.extend(entry);
    }
    entries.extend(self::entry(&short, ARCHIVE, cluster, length));
    Ok(entries)
}

/// Page 28.
fn checksum(short: &[u8]) -> u8 {
    short.iter().fold(0_u8, |sum, octet| sum.rotate_right(1).wrapping_add(*octet))
}

/// The contents of the file `name` in the root of the FAT16 volume `of`; letters count as they are, as with
/// [`format()`]. `None` when there is no such file, or the volume is none of FAT16.
pub fn read(of: &(impl ReadAt + ?Sized), name: &str) -> Option<Vec<u8>> {
    let boot = of.octets(0, SECTOR)?;
    let field = |at| le16(&boot, at).map(u64::from);
    if field(11)? != 512 || boot.get(54..59)? != b"FAT16" {
        return None;
    }
    let (cluster_sectors, tables) = (u64::from(*boot.get(13)?), u64::from(*boot.get(16)?));
    let (reserved, entries, table) = (field(14)?, field(17)?, field(22)?);
    let root = (reserved + tables * table) * 512;
    let data = root + entries * 32;
    let directory = of.octets(root, usize::try_from(entries * 32).ok()?)?;
    let (mut cluster, length) = find(&directory, name)?;
    if length > MAX_FILE || cluster_sectors == 0 {
        return None;
    }
    let length = usize::try_from(length).ok()?;
    let step = usize::try_from(cluster_sectors * 512).ok()?;
    let mut contents = Vec::new();
    while contents.len() < length {
        if !(2..0xfff0).contains(&cluster) {
            return None;
        }
        let at = data.checked_next_multiple_of(512)? + (u64::from(cluster) - 2) * cluster_sectors * 512;
        contents.extend(of.octets(at, step.min(length - contents.len()))?);
        cluster = le16(&of.octets(reserved * 512 + u64::from(cluster) * 2, 2)?, 0)?;
    }
    Some(contents)
}

/// First cluster and length of a file in a directory.
fn find(directory: &[u8], name: &str) -> Option<(u16, u32)> {
    let mut long: Vec<u16> = Vec::new();
    for entry in directory.chunks_exact(32) {
        let (first, attribute) = (*entry.first()?, *entry.get(11)?);
        match (first, attribute) {
            (0, _) => return None,
            (0xe5, _) => long.clear(),
            (_, LONG_NAME) => {
                let letters = LETTERS.iter().filter_map(|at| le16(entry, *at));
                let mut letters: Vec<u16> =
                    letters.take_while(|letter| !matches!(letter, 0 | 0xffff)).collect();
                letters.append(&mut long);
                long = letters;
                long.truncate(255);
            }
            (_, attribute) => {
                let spelled =
                    if long.is_empty() { short_name(entry) } else { String::from_utf16_lossy(&long) };
                long.clear();
                if spelled == name && attribute & (VOLUME_ID | 0x10) == 0 {
                    return Some((le16(entry, 26)?, le32(entry, 28)?));
                }
            }
        }
    }
    None
}

/// `NAME.EXT` of an entry without a long name.
fn short_name(entry: &[u8]) -> String {
    let part = |range: std::ops::Range<usize>| {
        String::from_utf8_lossy(entry.get(range).unwrap_or_default()).trim_end().to_owned()
    };
    let (name, ending) = (part(0..8), part(8..11));
    if ending.is_empty() { name } else { format!("{name}.{ending}") }
}
