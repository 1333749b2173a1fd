//! The image that the lab's machines are installed with: one FAT partition that both firmwares start. SeaBIOS reads
//! SYSLINUX through the master boot record, OVMF reads GRUB from the removable media path; both load the lab's own
//! kernel with an initrd that registers. Built by unpacked programs, without mounting anything. Called by `Lab::up`.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{LabError, Result};
use crate::initrd::{self, System};
use crate::machine::DiskSpec;
use crate::parts::Parts;
use crate::process::run;

/// Its name among the assets.
pub const ASSET: &str = "lab-disk.img.gz";
/// Where the partition starts: 1 MiB.
const START: u64 = 1 << 20;
/// Room beside the files, for the tables and the loader.
const SLACK: u64 = 2 << 20;
/// UEFI's system partition (UEFI 2.10 §5.2.2), which is active too: SYSLINUX's record starts the active one.
const ACTIVE: u8 = 0x80;
const EFI_SYSTEM: u8 = 0xef;

/// What the kernel of the image gets; `kpc.marker=` is read back on the console.
const ARGUMENTS: &str = "console=ttyS0 loglevel=6 no_timer_check kpc.marker=";
/// The marker that only this image has.
pub const MARKER: &str = "written-by-the-agent";

/// The programs and files that the image is made of.
struct Tools {
    root: PathBuf,
}

impl Tools {
    fn file(&self, paths: &[&str], package: &'static str) -> Result<PathBuf> {
        let all = paths.iter().flat_map(|path| [self.root.join(path), Path::new("/").join(path)]);
        all.clone().find(|path| path.is_file()).ok_or_else(|| LabError::Missing {
            what: format!("a file of package {package}"),
            path: all.clone().next().unwrap_or_default(),
            remedy: "cargo xtask deps",
        })
    }

    /// A command of mtools or one that calls it.
    fn command(&self, paths: &[&str], package: &'static str) -> Result<Command> {
        let mut command = Command::new(self.file(paths, package)?);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.root.join("usr/bin").display()));
        command.env("MTOOLSRC", "/dev/null").env("MTOOLS_SKIP_CHECK", "1");
        Ok(command)
    }

    fn mtools(&self, what: &str) -> Result<Command> {
        let mut command = self.command(&["usr/bin/mtools"], "mtools")?;
        command.args(["-c", what]);
        Ok(command)
    }
}

/// Builds the image below `dir` and writes it, packed, to `asset`.
///
/// # Errors
/// [`LabError`] naming the part that is missing, or the program that failed.
pub fn write(parts: &Parts, dir: &Path, asset: &Path) -> Result<()> {
    let tools = Tools { root: parts.root.clone() };
    let volume = dir.join("volume");
    let initrd = dir.join("initrd.img");
    put(&initrd, &initrd::build(parts, System::Disk)?)?;
    let grub = tools.file(&["usr/lib/grub/x86_64-efi/monolithic/grubx64.efi"], "grub-efi-amd64-bin")?;
    let record = tools.file(&["usr/lib/syslinux/mbr/mbr.bin"], "syslinux-common")?;
    let (menu, script) = (dir.join("syslinux.cfg"), dir.join("grub.cfg"));
    let entry =
        "SERIAL 0 115200\nDEFAULT lab\nPROMPT 0\nLABEL lab\n KERNEL /vmlinuz\n INITRD /initrd.img\n APPEND";
    put(&menu, format!("{entry} {ARGUMENTS}{MARKER}\n").as_bytes())?;
    let script_text = format!(
        "serial --unit=0 --speed=115200\nterminal_output serial\nlinux /vmlinuz {ARGUMENTS}{MARKER}\n\
         initrd /initrd.img\nboot\n"
    );
    put(&script, script_text.as_bytes())?;
    let files: [(&Path, &str); 5] = [
        (&parts.kernel, "vmlinuz"),
        (&initrd, "initrd.img"),
        (&menu, "syslinux.cfg"),
        // Debian's GRUB looks for its configuration below /EFI/debian.
        (&script, "EFI/debian/grub.cfg"),
        (&grub, "EFI/BOOT/BOOTX64.EFI"),
    ];
    let mut octets = SLACK;
    for (path, _) in &files {
        octets += fs::metadata(path).map_err(LabError::io(format!("read {}", path.display())))?.len();
    }
    let octets = octets.next_multiple_of(1 << 20);
    make(&volume, octets)?;
    run(tools
        .command(&["sbin/mkfs.fat", "usr/sbin/mkfs.fat"], "dosfstools")?
        .args(["-F", "16", "-n", "SYSTEM", "-h", "2048"])
        .arg(&volume))?;
    run(tools.mtools("mmd")?.arg("-i").arg(&volume).args(["::/EFI", "::/EFI/BOOT", "::/EFI/debian"]))?;
    run(tools.command(&["usr/bin/syslinux"], "syslinux")?.arg("--install").arg(&volume))?;
    for (path, name) in files {
        run(tools.mtools("mcopy")?.arg("-i").arg(&volume).arg(path).arg(format!("::/{name}")))?;
    }
    let mut image = read(&record)?;
    image.resize(usize::try_from(START).unwrap_or_default(), 0);
    image.splice(440..444, *b"KPCL");
    image.splice(446..462, entry_of(octets));
    image.splice(510..512, [0x55, 0xaa]);
    image.extend(read(&volume)?);
    let file = File::create(asset).map_err(LabError::io(format!("write {}", asset.display())))?;
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    let written = packed.write_all(&image).and_then(|()| packed.finish().map(drop));
    written.map_err(LabError::io(format!("write {}", asset.display())))?;
    let _ = fs::remove_file(&volume); // a left-over takes room, no more
    Ok(())
}

/// The only entry of the master boot record.
fn entry_of(octets: u64) -> Vec<u8> {
    let sectors = |octets: u64| u32::try_from(octets / 512).unwrap_or(u32::MAX).to_le_bytes();
    let mut entry = vec![ACTIVE, 0xfe, 0xff, 0xff, EFI_SYSTEM, 0xfe, 0xff, 0xff];
    entry.extend(sectors(START));
    entry.extend(sectors(octets));
    entry
}

/// A machine's disk at `path`: empty, or with a filesystem of somebody's.
///
/// # Errors
/// As [`write()`].
pub fn blank(parts: &Parts, path: &Path, disk: &DiskSpec) -> Result<()> {
    make(path, disk.octets)?;
    if disk.holds_data {
        let tools = Tools { root: parts.root.clone() };
        let mut command = tools.command(&["sbin/mkfs.fat", "usr/sbin/mkfs.fat"], "dosfstools")?;
        run(command.args(["-F", "16", "-n", "SOMEBODYS"]).arg(path))?;
    }
    Ok(())
}

fn make(path: &Path, octets: u64) -> Result<()> {
    let made = File::create(path).and_then(|file| file.set_len(octets));
    made.map_err(LabError::io(format!("write {}", path.display())))
}

fn put(path: &Path, octets: &[u8]) -> Result<()> {
    fs::write(path, octets).map_err(LabError::io(format!("write {}", path.display())))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(LabError::io(format!("read {}", path.display())))
}
