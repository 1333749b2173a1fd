//! Any octets as a disk: what lies on it, a partition added behind it, a file of its volume.
#![no_main]

use disk::{Table, fat, signatures};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    // The structures at fixed places are reached by repeating a short input at each of them.
    let mut disk = vec![0; 256 << 10];
    for place in [0, 446, 512, 1024, 4096, 32_768, 65_536, disk.len() - 512] {
        for (to, from) in disk.iter_mut().skip(place).zip(octets.iter().take(512)) {
            *to = *from;
        }
    }
    for disk in [octets, disk.as_slice()] {
        let size = disk.len() as u64;
        assert!(signatures(disk, size).len() <= 64);
        let _ = fat::read(disk, "user-data");
        if let Some(table) = Table::read(disk, size) {
            if let Ok((writes, added)) = table.add(disk, size, 4096, "name", [3; 16]) {
                assert!(added.offset + added.length <= size);
                assert!(writes.iter().all(|write| write.offset + write.octets.len() as u64 <= size));
            }
        }
    }
});
