//! The boot medium of BIOS machines: Debian's `ipxe.iso` (isolinux and ipxe.lkrn), with its UEFI image, which no BIOS
//! reads, replaced by a script. Called by `Lab::up`. Format: ECMA-119 (ISO 9660) §9.1 directory records, with Rock
//! Ridge names behind them.

use std::path::Path;

use crate::error::{LabError, Result};

const SECTOR: usize = 2048;

/// The name that both the ISO 9660 record and its Rock Ridge entry get; as long as the one it replaces.
const SCRIPT_NAME: (&[u8; 7], &[u8; 7]) = (b"LAB.IPX", b"lab.ipx");
const REPLACED: (&[u8; 7], &[u8; 7]) = (b"EFI.IMG", b"efi.img");

const ISOLINUX_CFG: &[u8] = b"DEFAULT lab\nLABEL lab\n KERNEL ipxe.krn\n INITRD lab.ipx\n";

/// The script of the medium. The class makes the proxy see a PXE client that is not iPXE; it is cleared before the
/// next stage, which would inherit it and be sent round once more. A proxy that answers by menu alone gives no file
/// name: then iPXE's own `autoboot` reads the menu. Where nobody offers anything, or the loader is refused, the medium
/// leaves for the firmware's next device.
const SCRIPT: &[u8] = b"#!ipxe
set user-class Lab
ifconf --configurator dhcp net0 || reboot
isset ${filename} || goto menu
clear user-class
echo lab: loader tftp://${next-server}/${filename}
chain tftp://${next-server}/${filename} || exit
:menu
autoboot || exit
";

/// Reads the package's image at `from` and writes the lab's medium to `to`.
///
/// # Errors
/// [`LabError::Io`], and [`LabError::Malformed`] when the image is not laid out as Debian's.
pub fn write(from: &Path, to: &Path) -> Result<()> {
    let mut image = std::fs::read(from).map_err(LabError::io(format!("read {}", from.display())))?;
    build(&mut image).ok_or_else(|| LabError::Malformed {
        path: from.to_owned(),
        reason: "not an ISO image with EFI.IMG and ISOLINUX.CFG in its root".into(),
    })?;
    std::fs::write(to, image).map_err(LabError::io(format!("write {}", to.display())))
}

fn build(image: &mut [u8]) -> Option<()> {
    // The primary volume descriptor is sector 16; the root's directory record is at 156 (§8.4).
    let descriptor = image.get(16 * SECTOR..17 * SECTOR)?;
    if descriptor.get(..6)? != b"\x01CD001" {
        return None;
    }
    let (sector, length) = extent(descriptor.get(156..190)?)?;
    let mut at = sector * SECTOR;
    let end = at + length;
    let (mut script, mut config) = (false, false);
    while at < end {
        let record_length = usize::from(*image.get(at)?);
        if record_length == 0 {
            at = (at / SECTOR + 1) * SECTOR; // records do not cross sectors
            continue;
        }
        let record = image.get_mut(at..at + record_length)?;
        let name_length = usize::from(*record.get(32)?);
        let name = record.get(33..33 + name_length)?;
        let contents = if name.starts_with(REPLACED.0) {
            replace(record, REPLACED.0, SCRIPT_NAME.0)?;
            replace(record, REPLACED.1, SCRIPT_NAME.1)?;
            script = true;
            Some(SCRIPT)
        } else if name.starts_with(b"ISOLINUX.CFG") {
            config = true;
            Some(ISOLINUX_CFG)
        } else {
            None
        };
        if let Some(contents) = contents {
            let (sector, old_length) = extent(record)?;
            let room = old_length.next_multiple_of(SECTOR);
            let length = u32::try_from(contents.len()).ok()?;
            record.get_mut(10..14)?.copy_from_slice(&length.to_le_bytes()); // both byte orders (§7.3.3)
            record.get_mut(14..18)?.copy_from_slice(&length.to_be_bytes());
            let place = image.get_mut(sector * SECTOR..sector * SECTOR + room)?;
            place.fill(0);
            place.get_mut(..contents.len())?.copy_from_slice(contents);
        }
        at += record_length;
    }
    (script && config).then_some(())
}

/// First sector and length in octets of what a directory record names.
fn extent(record: &[u8]) -> Option<(usize, usize)> {
    let word = |at: usize| record.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    Some((usize::try_from(word(2)?).ok()?, usize::try_from(word(10)?).ok()?))
}

fn replace(octets: &mut [u8], old: &[u8], new: &[u8]) -> Option<()> {
    let at = octets.windows(old.len()).position(|window| window == old)?;
    octets.get_mut(at..at + new.len())?.copy_from_slice(new);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ECMA-119 §9.1: a record with the given name, sector and length.
    fn record(name: &str, rock_ridge: &str, sector: u32, length: u32) -> Vec<u8> {
        let mut record = vec![0; 33];
        record[2..6].copy_from_slice(&sector.to_le_bytes());
        record[10..14].copy_from_slice(&length.to_le_bytes());
        record[32] = u8::try_from(name.len()).unwrap();
        record.extend(name.bytes());
        record.extend(b"NM");
        record.extend(rock_ridge.bytes());
        record[0] = u8::try_from(record.len()).unwrap();
        record
    }

    #[test]
    fn script_and_menu_are_put_in_place() {
        let mut image = vec![0; 24 * SECTOR];
        image[16 * SECTOR..16 * SECTOR + 6].copy_from_slice(b"\x01CD001");
        let root = record("\0", "", 20, 2048);
        image[16 * SECTOR + 156..][..34].copy_from_slice(&root[..34]);
        let mut at = 20 * SECTOR;
        for entry in
            [record("EFI.IMG;1", "efi.img", 21, 4096), record("ISOLINUX.CFG;1", "isolinux.cfg", 23, 100)]
        {
            image[at..at + entry.len()].copy_from_slice(&entry);
            at += entry.len();
        }
        assert_eq!(build(&mut image), Some(()));
        assert!(image[21 * SECTOR..].starts_with(SCRIPT));
        assert!(image[23 * SECTOR..].starts_with(ISOLINUX_CFG));
        let root = &image[20 * SECTOR..21 * SECTOR];
        assert!(root.windows(9).any(|w| w == b"LAB.IPX;1") && root.windows(7).any(|w| w == b"lab.ipx"));
        image[16 * SECTOR] = 9;
        assert_eq!(build(&mut image), None);
        assert_eq!(build(&mut []), None);
    }
}
