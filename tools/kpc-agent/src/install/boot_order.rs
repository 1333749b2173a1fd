//! UEFI's boot order, through efivarfs: an entry for the disk that was written, first or behind the network card
//! (UEFI 2.10 §3.1.3 load options, §10.3.5.1 hard drive device path).

use std::fs;
use std::path::Path;

use disk::{Partition, TableKind};

/// The GUID of UEFI's own variables (UEFI 2.10 §3.3).
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// Non-volatile, for boot and run time (UEFI 2.10 §8.2).
const ATTRIBUTES: [u8; 4] = [7, 0, 0, 0];
/// LOAD_OPTION_ACTIVE.
const ACTIVE: u32 = 1;
/// Where firmware looks by itself on x64 (UEFI 2.10 §3.5.1.1).
const LOADER: &str = "\\EFI\\BOOT\\BOOTX64.EFI";
/// What the entry is called; one of an earlier installation is replaced.
const DESCRIPTION: &str = "kpc disk";

/// Puts the loader on `partition` into the boot order: first, or right behind the entry of this boot. Returns the
/// order as text.
pub(crate) fn set(
    variables: &Path,
    partition: &Partition,
    kind: TableKind,
    sector: u64,
    first: bool,
) -> Result<String, String> {
    let order = numbers(read(variables, "BootOrder")?.unwrap_or_default());
    let current = numbers(read(variables, "BootCurrent")?.unwrap_or_default()).first().copied();
    let number = ours_or_free(variables)?;
    write(variables, &format!("Boot{number:04X}"), &load_option(partition, kind, sector))?;
    let order = ordered(&order, number, current, first);
    let octets: Vec<u8> = order.iter().flat_map(|number| number.to_le_bytes()).collect();
    write(variables, "BootOrder", &octets)?;
    Ok(order.iter().map(|number| format!("{number:04X}")).collect::<Vec<_>>().join(","))
}

/// The order with `number` first, or behind `current`.
fn ordered(order: &[u16], number: u16, current: Option<u16>, first: bool) -> Vec<u16> {
    let mut order: Vec<u16> = order.iter().copied().filter(|one| *one != number).collect();
    let behind = current.and_then(|current| order.iter().position(|one| *one == current)).map(|at| at + 1);
    let at = if first { 0 } else { behind.unwrap_or(order.len()) };
    order.insert(at.min(order.len()), number);
    order
}

/// A load option for the partition's loader.
fn load_option(partition: &Partition, kind: TableKind, sector: u64) -> Vec<u8> {
    let mut path = vec![4, 1, 42, 0];
    path.extend(partition.number.to_le_bytes());
    path.extend((partition.offset / sector).to_le_bytes());
    path.extend((partition.length / sector).to_le_bytes());
    path.extend(partition.signature);
    path.extend(match kind {
        TableKind::Mbr => [1, 1],
        TableKind::Gpt => [2, 2],
    });
    let loader = utf16(LOADER);
    let length = u16::try_from(loader.len() + 4).unwrap_or_default();
    path.extend([4, 4]);
    path.extend(length.to_le_bytes());
    path.extend(loader);
    path.extend([0x7f, 0xff, 4, 0]);
    let mut option = ACTIVE.to_le_bytes().to_vec();
    option.extend(u16::try_from(path.len()).unwrap_or_default().to_le_bytes());
    option.extend(utf16(DESCRIPTION));
    option.extend(path);
    option
}

/// With a NUL behind.
fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// The entry of an earlier installation, else the lowest number that none has.
fn ours_or_free(variables: &Path) -> Result<u16, String> {
    let mut free = None;
    for number in 0..=0x2000_u16 {
        match read(variables, &format!("Boot{number:04X}"))? {
            Some(option) if option.get(6..).is_some_and(|rest| rest.starts_with(&utf16(DESCRIPTION))) => {
                return Ok(number);
            }
            Some(_) => {}
            None => free = free.or(Some(number)),
        }
        // Firmware numbers from 0 on; a gap this long is the end.
        if free.is_some_and(|free| number > free + 0x100) {
            break;
        }
    }
    free.ok_or_else(|| "no free boot entry".to_owned())
}

fn numbers(octets: Vec<u8>) -> Vec<u16> {
    octets.chunks_exact(2).filter_map(|pair| Some(u16::from_le_bytes(pair.try_into().ok()?))).collect()
}

/// A variable without its attributes; `None` when there is none.
fn read(variables: &Path, name: &str) -> Result<Option<Vec<u8>>, String> {
    match fs::read(variables.join(format!("{name}-{GLOBAL}"))) {
        Ok(octets) => Ok(Some(octets.get(4..).unwrap_or_default().to_vec())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("read {name}: {error}")),
    }
}

fn write(variables: &Path, name: &str, value: &[u8]) -> Result<(), String> {
    // One write call: efivarfs takes a variable whole.
    let octets = [&ATTRIBUTES, value].concat();
    fs::write(variables.join(format!("{name}-{GLOBAL}")), octets)
        .map_err(|error| format!("write {name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> Partition {
        Partition {
            number: 2,
            offset: 1 << 20,
            length: 3 << 20,
            is_efi_system: true,
            is_active: false,
            signature: [9; 16],
        }
    }

    #[test]
    fn a_load_option_as_the_specification_draws_it() {
        // UEFI 2.10 §3.1.3: attributes, length of the path, description, path.
        let option = load_option(&partition(), TableKind::Gpt, 512);
        assert_eq!(option[..4], [1, 0, 0, 0]);
        let description = utf16("kpc disk");
        assert_eq!(option[6..6 + description.len()], description);
        let path = &option[6 + description.len()..];
        assert_eq!(usize::from(u16::from_le_bytes([option[4], option[5]])), path.len());
        // §10.3.5.1: type 4, subtype 1, 42 octets: number, start, size, signature, format, kind of signature.
        assert_eq!(path[..8], [4, 1, 42, 0, 2, 0, 0, 0]);
        assert_eq!(path[8..24], [0, 8, 0, 0, 0, 0, 0, 0, 0, 0x18, 0, 0, 0, 0, 0, 0]);
        assert_eq!(path[40..42], [2, 2]);
        // §10.3.5.4: the file; §10.3.1: the end.
        assert_eq!(path[42..44], [4, 4]);
        assert_eq!(usize::from(path[44]), path.len() - 42 - 4);
        assert!(path.ends_with(&[0x7f, 0xff, 4, 0]));
        assert_eq!(load_option(&partition(), TableKind::Mbr, 512)[6 + description.len() + 40..][..2], [1, 1]);
    }

    #[test]
    fn first_or_behind_the_network_card_and_never_twice() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, octets: &[u8]| {
            fs::write(dir.path().join(format!("{name}-{GLOBAL}")), octets).unwrap()
        };
        put("BootOrder", &[7, 0, 0, 0, 0, 0, 3, 0, 1, 0]);
        put("BootCurrent", &[6, 0, 0, 0, 3, 0]);
        for number in [0, 1, 3] {
            put(&format!("Boot{number:04X}"), &[7, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
        }
        let set = |first| set(dir.path(), &partition(), TableKind::Gpt, 512, first).unwrap();
        assert_eq!(set(false), "0000,0003,0002,0001");
        assert_eq!(set(true), "0002,0000,0003,0001");
        assert_eq!(set(true), "0002,0000,0003,0001");
        let order = fs::read(dir.path().join(format!("BootOrder-{GLOBAL}"))).unwrap();
        assert_eq!(order, [7, 0, 0, 0, 2, 0, 0, 0, 3, 0, 1, 0]);
        assert_eq!(ordered(&[1, 2], 5, Some(9), false), [1, 2, 5]);
    }
}
