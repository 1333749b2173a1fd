//! Partition tables: the master boot record with its extended partitions, and GPT (UEFI 2.10 §5). Read to see what a
//! disk holds; one partition is added behind an image that was just written. Called by `signature` and by installers.

use crate::octets::{ReadAt, Write, crc32, le32, le64, put};

const SECTOR: u64 = 512;
/// Partitions start at multiples of this.
const ALIGNMENT: u64 = 1 << 20;
/// Links of a chain of extended partitions followed at most.
const MAX_LOGICAL: u32 = 60;
/// Longest array of GPT entries taken, in octets.
const MAX_ENTRIES: usize = 1 << 18;
/// GPT's header in its own words: its revision 1.0 is 92 octets long (UEFI 2.10 §5.3.2).
const HEADER: usize = 92;
/// Basic data: what a FAT volume for everybody is (EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, on disk as it lies there).
const BASIC_DATA: [u8; 16] =
    [0xa2, 0xa0, 0xd0, 0xeb, 0xe5, 0xb9, 0x33, 0x44, 0x87, 0xc0, 0x68, 0xb6, 0xb7, 0x26, 0x99, 0xc7];
/// The system partition of UEFI (C12A7328-F81F-11D2-BA4B-00A0C93EC93B).
const EFI_SYSTEM: [u8; 16] =
    [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];
/// In a master boot record: FAT32 with LBA, and UEFI's system partition (UEFI 2.10 §5.2.2).
const MBR_FAT: u8 = 0x0c;
const MBR_EFI: u8 = 0xef;
const MBR_EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];
const MBR_PROTECTIVE: u8 = 0xee;

/// Which kind of table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TableKind {
    /// A master boot record with at least one entry.
    Mbr,
    /// A GUID partition table, read from its primary or its backup header.
    Gpt,
}

impl TableKind {
    /// `mbr` or `gpt`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mbr => "mbr",
            Self::Gpt => "gpt",
        }
    }
}

/// A partition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Partition {
    /// As the kernel numbers it: from 1, logical ones from 5.
    pub number: u32,
    /// Its first octet.
    pub offset: u64,
    /// In octets.
    pub length: u64,
    /// Whether firmware looks for loaders in it: UEFI's system partition by its type.
    pub is_efi_system: bool,
    /// Whether it carries the mark of the active partition (master boot record only).
    pub is_active: bool,
    /// What a boot entry calls it: GPT's unique GUID as it lies on disk, or the disk's signature in the first four.
    pub signature: [u8; 16],
}

/// A partition table as read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Table {
    kind: TableKind,
    /// Octets of a sector.
    sector: u64,
    partitions: Vec<Partition>,
    /// GPT's header and entries, to be written again with one entry more.
    gpt: Option<(Vec<u8>, Vec<u8>)>,
}

/// Why no partition can be added.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// All entries are used.
    #[error("its partition table has no free entry")]
    NoEntry,
    /// The disk ends too soon.
    #[error("no room behind its last partition")]
    NoRoom,
    /// A master boot record counts 2^32 sectors.
    #[error("its master boot record does not reach so far")]
    TooFar,
    /// The GPT cannot be read from its first header.
    #[error("its GPT is damaged")]
    Damaged,
}

impl Table {
    /// Reads the table of a disk of `size` octets; `None` when there is none.
    pub fn read(disk: &(impl ReadAt + ?Sized), size: u64) -> Option<Self> {
        [512, 4096]
            .into_iter()
            .find_map(|sector| read_gpt(disk, size, sector))
            .or_else(|| read_mbr(disk, size))
    }

    /// Which kind it is.
    pub fn kind(&self) -> TableKind {
        self.kind
    }

    /// Its partitions, each inside the disk.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// Octets of a logical sector.
    pub fn sector(&self) -> u64 {
        self.sector
    }

    /// A partition of `length` octets (rounded up to 1 MiB) behind the last one, on a disk of `size` octets: what to
    /// write, and the partition. `unique` are sixteen random octets for GPT's unique GUID; `name` its name there. A
    /// GPT's backup goes to the end of the disk, where an image's cannot have been.
    ///
    /// # Errors
    /// [`AddError`] when there is no room, in the table or on the disk.
    pub fn add(
        &self,
        disk: &(impl ReadAt + ?Sized),
        size: u64,
        length: u64,
        name: &str,
        unique: [u8; 16],
    ) -> Result<(Vec<Write>, Partition), AddError> {
        let used = self.partitions.iter().map(|one| one.offset.saturating_add(one.length)).max();
        let offset = used.unwrap_or(ALIGNMENT).max(ALIGNMENT).checked_next_multiple_of(ALIGNMENT);
        let offset = offset.ok_or(AddError::NoRoom)?;
        let length = length.max(1).checked_next_multiple_of(ALIGNMENT).ok_or(AddError::NoRoom)?;
        let end = offset.checked_add(length).ok_or(AddError::NoRoom)?;
        match &self.gpt {
            Some((header, entries)) => {
                let room = GptRoom { sector: self.sector, size, offset, end };
                room.add(header, entries, name, unique)
            }
            None => add_mbr(disk, size, offset, length),
        }
    }
}

fn read_mbr(disk: &(impl ReadAt + ?Sized), size: u64) -> Option<Table> {
    let first = disk.octets(0, 512)?;
    let entries = mbr_entries(&first)?;
    // A boot sector of a filesystem has the same mark; its text is no table. What holds is: flags 00 or 80.
    if entries.iter().any(|entry| entry.flag & 0x7f != 0) || entries.iter().all(|entry| entry.kind == 0) {
        return None;
    }
    let mut signature = [0; 16];
    put(&mut signature, 0, first.get(440..444)?);
    let mut partitions = Vec::new();
    for (entry, number) in entries.iter().zip(1..) {
        if MBR_EXTENDED.contains(&entry.kind) {
            read_logical(disk, size, entry, signature, &mut partitions);
        } else if entry.kind != MBR_PROTECTIVE {
            partitions.extend(entry.partition(number, 0, size, signature));
        }
    }
    Some(Table { kind: TableKind::Mbr, sector: SECTOR, partitions, gpt: None })
}

struct MbrEntry {
    flag: u8,
    kind: u8,
    start: u32,
    sectors: u32,
}

fn mbr_entries(sector: &[u8]) -> Option<Vec<MbrEntry>> {
    if sector.get(510..512)? != [0x55, 0xaa] {
        return None;
    }
    let entry = |octets: &[u8]| {
        let (flag, kind) = (*octets.first()?, *octets.get(4)?);
        Some(MbrEntry { flag, kind, start: le32(octets, 8)?, sectors: le32(octets, 12)? })
    };
    sector.get(446..510)?.chunks_exact(16).map(entry).collect()
}

impl MbrEntry {
    fn partition(&self, number: u32, base: u64, size: u64, signature: [u8; 16]) -> Option<Partition> {
        let offset = base.checked_add(u64::from(self.start) * SECTOR)?;
        let length = (u64::from(self.sectors) * SECTOR).min(size.checked_sub(offset)?);
        let there = self.kind != 0 && length > 0;
        there.then_some(Partition {
            number,
            offset,
            length,
            is_efi_system: self.kind == MBR_EFI,
            is_active: self.flag == 0x80,
            signature,
        })
    }
}

/// The chain inside an extended partition: each link holds one logical partition and the next link.
fn read_logical(
    disk: &(impl ReadAt + ?Sized),
    size: u64,
    extended: &MbrEntry,
    signature: [u8; 16],
    partitions: &mut Vec<Partition>,
) {
    let base = u64::from(extended.start) * SECTOR;
    let (mut link, mut number) = (base, 5);
    while number < 5 + MAX_LOGICAL {
        let Some(entries) = disk.octets(link, 512).and_then(|sector| mbr_entries(&sector)) else { return };
        let Some([logical, next]) = entries.first_chunk::<2>() else { return };
        if let Some(partition) = logical.partition(number, link, size, signature) {
            partitions.push(partition);
            number += 1;
        }
        let further = base.checked_add(u64::from(next.start) * SECTOR);
        match further.filter(|further| MBR_EXTENDED.contains(&next.kind) && *further > link) {
            Some(further) => link = further,
            None => return,
        }
    }
}

fn read_gpt(disk: &(impl ReadAt + ?Sized), size: u64, sector: u64) -> Option<Table> {
    let backup = (size / sector).checked_sub(1)?;
    let (header, entries) = gpt_at(disk, sector, 1).or_else(|| gpt_at(disk, sector, backup))?;
    let entry_length = usize::try_from(le32(&header, 84)?).ok()?;
    let partitions = entries.chunks_exact(entry_length).zip(1..).filter_map(|(entry, number)| {
        let kind = entry.first_chunk::<16>().filter(|kind| **kind != [0; 16])?;
        let (first, last) = (le64(entry, 32)?, le64(entry, 40)?);
        let offset = first.checked_mul(sector)?;
        let length = last.checked_sub(first)?.checked_add(1)?.checked_mul(sector)?;
        let length = length.min(size.checked_sub(offset)?);
        (length > 0).then_some(Partition {
            number,
            offset,
            length,
            is_efi_system: *kind == EFI_SYSTEM,
            is_active: false,
            signature: *entry.get(16..32)?.first_chunk()?,
        })
    });
    let partitions = partitions.collect();
    Some(Table { kind: TableKind::Gpt, sector, partitions, gpt: Some((header, entries)) })
}

/// A header with its array of entries, both with the checksums that they should have.
fn gpt_at(disk: &(impl ReadAt + ?Sized), sector: u64, lba: u64) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut header = disk.octets(lba.checked_mul(sector)?, 512)?;
    let length = usize::try_from(le32(&header, 12)?).ok()?;
    if !header.starts_with(b"EFI PART") || !(HEADER..=512).contains(&length) {
        return None;
    }
    header.truncate(length);
    let checksum = le32(&header, 16)?;
    let mut cleared = header.clone();
    put(&mut cleared, 16, &[0; 4]);
    let (count, entry) = (le32(&header, 80)?, le32(&header, 84)?);
    let octets = usize::try_from(count.checked_mul(entry)?).ok()?;
    if crc32(&cleared) != checksum || entry < 128 || entry % 8 != 0 || octets == 0 || octets > MAX_ENTRIES {
        return None;
    }
    let entries = disk.octets(le64(&header, 72)?.checked_mul(sector)?, octets)?;
    (crc32(&entries) == le32(&header, 88)?).then_some((header, entries))
}

/// Where a new partition of a GPT goes.
struct GptRoom {
    sector: u64,
    size: u64,
    offset: u64,
    end: u64,
}

impl GptRoom {
    fn add(
        &self,
        header: &[u8],
        entries: &[u8],
        name: &str,
        unique: [u8; 16],
    ) -> Result<(Vec<Write>, Partition), AddError> {
        let damaged = AddError::Damaged;
        let sector = self.sector;
        let entry_length = le32(header, 84).and_then(|length| usize::try_from(length).ok()).ok_or(damaged)?;
        let octets = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let array_sectors = octets.div_ceil(sector);
        let sectors = self.size / sector;
        let backup = sectors.checked_sub(1).ok_or(AddError::NoRoom)?;
        // Behind the last usable sector come the backup's entries and its header (UEFI 2.10 §5.3.1).
        let last_usable = backup.checked_sub(array_sectors + 1).ok_or(AddError::NoRoom)?;
        let (first, last) = (self.offset / sector, self.end / sector - 1);
        if last > last_usable {
            return Err(AddError::NoRoom);
        }
        let mut entries = entries.to_vec();
        let free = entries
            .chunks_exact_mut(entry_length)
            .zip(1_u32..)
            .find(|(entry, _)| entry.get(..16).is_some_and(|kind| kind == [0; 16]));
        let (entry, number) = free.ok_or(AddError::NoEntry)?;
        let mut guid = unique;
        // Version 4, variant 1 (RFC 9562 §5.4); the third field lies little-endian.
        let [_, _, _, _, _, _, _, version, variant, ..] = &mut guid;
        (*version, *variant) = (*version & 0x0f | 0x40, *variant & 0x3f | 0x80);
        entry.fill(0);
        put(entry, 0, &BASIC_DATA);
        put(entry, 16, &guid);
        put(entry, 32, &first.to_le_bytes());
        put(entry, 40, &last.to_le_bytes());
        let letters: Vec<u8> = name.encode_utf16().take(36).flat_map(u16::to_le_bytes).collect();
        put(entry, 56, &letters);
        let primary_array = 2;
        let backup_array = last_usable + 1;
        let headers = [(1, backup, primary_array), (backup, 1, backup_array)].map(|(own, other, array)| {
            let mut header = header.to_vec();
            put(&mut header, 16, &[0; 8]);
            put(&mut header, 24, &u64::to_le_bytes(own));
            put(&mut header, 32, &u64::to_le_bytes(other));
            put(&mut header, 48, &last_usable.to_le_bytes());
            put(&mut header, 72, &u64::to_le_bytes(array));
            put(&mut header, 88, &crc32(&entries).to_le_bytes());
            let checksum = crc32(&header);
            put(&mut header, 16, &checksum.to_le_bytes());
            Write { offset: own * sector, octets: header }
        });
        let [primary, secondary] = headers;
        // The backup first: whatever is cut off in between, one of the two is whole.
        let writes = vec![
            Write { offset: backup_array * sector, octets: entries.clone() },
            secondary,
            Write { offset: primary_array * sector, octets: entries },
            primary,
            protective(sectors),
        ];
        let partition = Partition {
            number,
            offset: self.offset,
            length: self.end - self.offset,
            is_efi_system: false,
            is_active: false,
            signature: guid,
        };
        Ok((writes, partition))
    }
}

/// The length in the protective record's only entry (UEFI 2.10 §5.2.3).
fn protective(sectors: u64) -> Write {
    let length = u32::try_from(sectors - 1).unwrap_or(u32::MAX);
    Write { offset: 446 + 12, octets: length.to_le_bytes().to_vec() }
}

fn add_mbr(
    disk: &(impl ReadAt + ?Sized),
    size: u64,
    offset: u64,
    length: u64,
) -> Result<(Vec<Write>, Partition), AddError> {
    let end = offset.checked_add(length).filter(|end| *end <= size).ok_or(AddError::NoRoom)?;
    let first = disk.octets(0, 512).ok_or(AddError::NoRoom)?;
    let entries = mbr_entries(&first).ok_or(AddError::NoEntry)?;
    // An extended partition may hold logical ones behind what was read: nothing is put behind it.
    let extended = entries.iter().filter(|entry| MBR_EXTENDED.contains(&entry.kind));
    let behind = extended.map(|entry| (u64::from(entry.start) + u64::from(entry.sectors)) * SECTOR).max();
    if behind.is_some_and(|behind| behind > offset) {
        return Err(AddError::NoRoom);
    }
    let free = entries.iter().zip(1_u32..).find(|(entry, _)| entry.kind == 0);
    let (_, number) = free.ok_or(AddError::NoEntry)?;
    let lba = |at: u64| u32::try_from(at / SECTOR).map_err(|_| AddError::TooFar);
    let (start, sectors) = (lba(offset)?, lba(length)?);
    lba(end)?;
    let mut entry = vec![0, 0xfe, 0xff, 0xff, MBR_FAT, 0xfe, 0xff, 0xff];
    entry.extend(start.to_le_bytes());
    entry.extend(sectors.to_le_bytes());
    let mut signature = [0; 16];
    put(&mut signature, 0, first.get(440..444).unwrap_or_default());
    let partition = Partition { number, offset, length, is_efi_system: false, is_active: false, signature };
    let at = 446 + 16 * u64::from(number - 1);
    Ok((vec![Write { offset: at, octets: entry }], partition))
}
