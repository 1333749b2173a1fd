//! What holds for all octets: nothing panics, what is added is found again, what is written is read back.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use disk::{ReadAt as _, Table, fat, signatures};
use proptest::collection::vec;
use proptest::prelude::*;

const SIZE: u64 = 4 << 20;

/// A disk with a few pieces of octets at interesting places.
fn disks() -> impl Strategy<Value = Vec<u8>> {
    let places = prop::sample::select(vec![
        0_usize,
        440,
        446,
        462,
        510,
        512,
        1024,
        1080,
        4096,
        65_536,
        65_600,
        1 << 20,
    ]);
    let pieces = prop_oneof![
        vec(any::<u8>(), 0..600),
        Just(b"EFI PART\0\0\x01\0\x5c\0\0\0".to_vec()),
        Just(vec![0x55, 0xaa]),
        Just(vec![0, 0, 0, 0, 5, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0]),
    ];
    vec((places, pieces), 0..8).prop_map(|pieces| {
        let mut disk = vec![0; SIZE as usize];
        for (at, piece) in pieces {
            disk[at..at + piece.len()].copy_from_slice(&piece);
        }
        disk
    })
}

fn write(disk: &mut [u8], writes: &[disk::Write]) {
    for write in writes {
        let at = write.offset as usize;
        disk[at..at + write.octets.len()].copy_from_slice(&write.octets);
    }
}

/// A GPT as an image of `image` octets has it, on a larger disk.
fn gpt(image: u64) -> Vec<u8> {
    // An empty table is itself made by adding to one with a checksum over 128 empty entries.
    let mut header = vec![0; 92];
    header[..16].copy_from_slice(b"EFI PART\0\0\x01\0\x5c\0\0\0");
    header[24] = 1;
    header[32..40].copy_from_slice(&(image / 512 - 1).to_le_bytes());
    header[40] = 34;
    header[48..56].copy_from_slice(&(image / 512 - 34).to_le_bytes());
    header[72] = 2;
    header[80] = 128;
    header[84] = 128;
    header[88..92].copy_from_slice(&crc32(&[0; 128 * 128]).to_le_bytes());
    let checksum = crc32(&header);
    header[16..20].copy_from_slice(&checksum.to_le_bytes());
    let mut disk = vec![0; SIZE as usize];
    disk[446..462].copy_from_slice(&[0, 0, 2, 0, 0xee, 255, 255, 255, 1, 0, 0, 0, 255, 7, 0, 0]);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk[512..604].copy_from_slice(&header);
    disk
}

/// CRC-32 once more, by another way than the crate's.
fn crc32(octets: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for octet in octets {
        for bit in 0..8 {
            let feed = (crc ^ u32::from(octet >> bit)) & 1;
            crc = (crc >> 1) ^ (0xedb8_8320 * feed);
        }
    }
    !crc
}

proptest! {
    #[test]
    fn no_octets_panic(disk in disks(), more in vec(any::<u8>(), 0..4096)) {
        for octets in [disk.as_slice(), more.as_slice()] {
            let size = octets.len() as u64;
            let found = signatures(octets, size);
            prop_assert!(found.len() <= 64);
            fat::read(octets, "user-data");
            if let Some(table) = Table::read(octets, size) {
                for one in table.partitions() {
                    prop_assert!(one.offset + one.length <= size);
                }
                if let Ok((writes, partition)) = table.add(octets, size, 1 << 20, "x", [7; 16]) {
                    prop_assert!(partition.offset + partition.length <= size);
                    for write in writes {
                        prop_assert!(write.offset + write.octets.len() as u64 <= size);
                        // The tables only: never a place inside a partition that is there.
                        for one in table.partitions() {
                            let end = write.offset + write.octets.len() as u64;
                            prop_assert!(end <= one.offset.max(34 * 512) || write.offset >= one.offset + one.length);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_added_to_a_gpt_is_found(name in "[a-z]{1,40}", unique: [u8; 16], image in 1_u64..4) {
        // UEFI 2.10 §5.3.1: the backup lies in the last sector, wherever the image's own one was.
        let mut disk = gpt(image << 20);
        let table = Table::read(disk.as_slice(), SIZE).unwrap();
        prop_assert!(table.partitions().is_empty());
        let (writes, added) = table.add(disk.as_slice(), SIZE, 1 << 20, &name, unique).unwrap();
        write(&mut disk, &writes);
        let again = Table::read(disk.as_slice(), SIZE).unwrap();
        prop_assert_eq!(again.partitions(), &[added][..]);
        prop_assert_eq!((added.number, added.offset), (1, 1 << 20));
        // The backup alone tells the same.
        disk[512..1024].fill(0);
        let backup = Table::read(disk.as_slice(), SIZE).unwrap();
        prop_assert_eq!(backup.partitions(), &[added][..]);
    }

    #[test]
    fn what_is_added_to_a_master_boot_record_is_found(first in 1_u32..3, free in 0_usize..4) {
        let mut disk = vec![0; SIZE as usize];
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        for slot in (0..4).filter(|slot| *slot != free) {
            let at = 446 + 16 * slot;
            disk[at + 4] = 0x83;
            disk[at + 8..at + 12].copy_from_slice(&(first * 2048).to_le_bytes());
            disk[at + 12..at + 16].copy_from_slice(&100_u32.to_le_bytes());
        }
        let table = Table::read(disk.as_slice(), SIZE).unwrap();
        let (writes, added) = table.add(disk.as_slice(), SIZE, 1 << 20, "", [0; 16]).unwrap();
        write(&mut disk, &writes);
        prop_assert_eq!(added.offset, u64::from(first + 1) << 20);
        let again = Table::read(disk.as_slice(), SIZE).unwrap();
        prop_assert_eq!(again.partitions().len(), 4);
        prop_assert!(again.partitions().contains(&added));
        let full = again.add(disk.as_slice(), SIZE, 1 << 20, "", [0; 16]);
        prop_assert!(full.is_err());
    }

    #[test]
    fn files_are_read_back(contents in vec(vec(any::<u8>(), 0..3000), 1..8), room in 4_u64..20) {
        let names: Vec<String> = (0..contents.len()).map(|at| format!("{}-long file {at}", "n".repeat(at * 9))).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(contents.iter().map(Vec::as_slice)).collect();
        let volume = fat::format(room << 20, "LABEL", 1, &files).unwrap();
        prop_assert!(volume.len() as u64 <= room << 20);
        for (name, contents) in files {
            prop_assert_eq!(fat::read(volume.as_slice(), name), Some(contents.to_vec()));
        }
        prop_assert_eq!(fat::read(volume.as_slice(), "other"), None);
    }
}

#[test]
fn a_disk_of_4096_octets_a_sector() {
    // Entries and header count in sectors of the disk (UEFI 2.10 §5.3.2).
    let small = gpt(SIZE);
    let mut disk = vec![0; SIZE as usize];
    let mut header = small[512..604].to_vec();
    header[32..40].copy_from_slice(&(SIZE / 4096 - 1).to_le_bytes());
    header[16..20].fill(0);
    let checksum = crc32(&header);
    header[16..20].copy_from_slice(&checksum.to_le_bytes());
    disk[4096..4096 + 92].copy_from_slice(&header);
    let table = Table::read(disk.as_slice(), SIZE).unwrap();
    assert_eq!(table.sector(), 4096);
    let (writes, added) = table.add(disk.as_slice(), SIZE, 1, "x", [1; 16]).unwrap();
    write(&mut disk, &writes);
    assert_eq!(Table::read(disk.as_slice(), SIZE).unwrap().partitions(), [added]);
    assert!(disk.as_slice().octets(SIZE - 4096, 8).unwrap().starts_with(b"EFI PART"));
}

#[test]
fn what_does_not_fit_is_said() {
    let big = vec![0; 9 << 20];
    assert!(fat::format(1 << 20, "X", 1, &[]).is_err());
    assert!(fat::format(8 << 20, "X", 1, &[("a", &big)]).is_err());
    for name in ["", "a/b", "dot.", &"n".repeat(300)] {
        assert!(fat::format(8 << 20, "X", 1, &[(name, b"")]).is_err(), "{name}");
    }
    let disk = gpt(SIZE);
    let table = Table::read(disk.as_slice(), SIZE).unwrap();
    assert!(table.add(disk.as_slice(), SIZE, 8 << 20, "x", [0; 16]).is_err());
}
