//! `kpc assets add agent`: the small system that machines boot to be installed, made from this host's own kernel. Its
//! initrd holds a static busybox, the static kpc-agent, and the drivers of network cards, disks and BMCs. `kpc init` makes
//! it too, where there is none yet.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use lab::cpio::Archive;
use lab::modules::{Module, ModuleIndex, Resolved};

use super::manifest::{self, Entry, Manifest};
use super::sums;

/// The asset's name, which the shipped profiles have in their paths.
pub(crate) const NAME: &str = "agent";
/// Who vouches for files that were made and not fetched.
const MADE_HERE: &str = "made on this host";

/// Folders of the kernel's tree whose modules all come along: what servers have to be reached by and written to.
const DRIVERS: &[&str] = &[
    "drivers/ata",
    "drivers/message",
    "drivers/net/ethernet",
    "drivers/net/hyperv",
    "drivers/net/mdio",
    "drivers/net/pcs",
    "drivers/net/phy",
    "drivers/net/vmxnet3",
    "drivers/nvme/host",
    "drivers/scsi",
    "drivers/virtio",
];
/// Single modules, each left out where this kernel has it built in or not at all: disks, filesystems for Ignition's
/// configs with their checksums, UEFI's variables, the machine's own BMC.
const SINGLE: &[&str] = &[
    "virtio_blk",
    "virtio_net",
    "ext4",
    "vfat",
    "nls_ascii",
    "nls_cp437",
    "nls_utf8",
    "btrfs",
    "crc32c_generic",
    "crc32c_intel",
    "xxhash_generic",
    "blake2b_generic",
    "efivarfs",
    "ipmi_si",
];
/// What the folders hold and no server boots from.
const LEFT_OUT: &[&str] = &["scsi_debug", "mlxsw_"];

/// What the scripts use of busybox.
const APPLETS: &[&str] = &[
    "blockdev", "cat", "cut", "echo", "find", "grep", "hostname", "ip", "ls", "mkdir", "modprobe", "mount",
    "ps", "reboot", "sed", "sh", "sleep", "sort", "sync", "tr", "udhcpc", "uname", "usleep", "xargs",
];

const INIT: &str = include_str!("agent/init.sh");
const LEASE: &str = include_str!("agent/lease.sh");

/// Where this host has what the system is made of.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// `vmlinuz-VERSION` lies here.
    pub(crate) boot: PathBuf,
    /// `VERSION/kernel/…` lies below one of these.
    pub(crate) modules: Vec<PathBuf>,
    /// A static busybox is one of these.
    pub(crate) busybox: Vec<PathBuf>,
    /// A static kpc-agent is one of these.
    pub(crate) agent: Vec<PathBuf>,
    /// The kernel that runs here, which is taken where it is installed.
    pub(crate) running: String,
}

impl Host {
    /// This host, as Debian and Ubuntu lay it out.
    pub(crate) fn here() -> Self {
        let beside = std::env::current_exe().unwrap_or_default().with_file_name("kpc-agent");
        let running = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            boot: "/boot".into(),
            modules: vec!["/lib/modules".into(), "/usr/lib/modules".into()],
            busybox: vec!["/bin/busybox".into(), "/usr/bin/busybox".into()],
            agent: vec!["/usr/lib/kpc/kpc-agent".into(), beside],
            running: running.trim().to_owned(),
        }
    }

    /// The kernel: the one that runs here, else the newest that has its modules.
    fn kernel(&self) -> Result<(String, PathBuf, PathBuf), String> {
        let entries = std::fs::read_dir(&self.boot).into_iter().flatten().flatten();
        let mut found: Vec<(Vec<u64>, String, PathBuf, PathBuf)> = entries
            .filter_map(|entry| {
                let version = entry.file_name().to_str()?.strip_prefix("vmlinuz-")?.to_owned();
                let modules = self.modules.iter().map(|place| place.join(&version));
                let modules = modules.into_iter().find(|place| place.join("kernel").is_dir())?;
                Some((numbers(&version), version, entry.path(), modules))
            })
            .collect();
        found.sort();
        let running = found.iter().position(|(_, version, ..)| *version == self.running);
        let chosen = match running {
            Some(at) => Some(found.swap_remove(at)),
            None => found.pop(),
        };
        chosen.map(|(_, version, kernel, modules)| (version, kernel, modules)).ok_or_else(|| {
            format!(
                "no kernel in {} has its modules in {}: apt install linux-image-amd64",
                self.boot.display(),
                self.modules.first().cloned().unwrap_or_default().display()
            )
        })
    }
}

/// The numbers of a version, for its order: 6.1.0-9 is before 6.1.0-10.
fn numbers(version: &str) -> Vec<u64> {
    let digits = |letter: char| !letter.is_ascii_digit();
    version.split(digits).filter_map(|number| number.parse().ok()).collect()
}

/// What was made.
#[derive(Debug)]
pub(crate) struct Made {
    /// The kernel's version.
    pub(crate) kernel: String,
    /// How many drivers came along.
    pub(crate) modules: usize,
    /// The files as they are listed and verified.
    pub(crate) manifest: Manifest,
}

/// Makes `vmlinuz`, `initrd.img` and `kpc-agent` in `ASSETS/agent`, by way of the folder that is not served.
pub(crate) fn make(host: &Host, assets: &Path, incoming: &Path) -> Result<Made, String> {
    let (folder, incoming) = (assets.join(NAME), incoming.join(NAME));
    let (version, kernel, modules) = host.kernel()?;
    let busybox = program("busybox", &host.busybox, "apt install busybox-static")?;
    let agent = program("kpc-agent", &host.agent, "it comes with kpc; put it beside the program kpc")?;
    let index = ModuleIndex::read(&modules).map_err(|error| error.to_string())?;
    let (initrd, count) = initrd(&index, &version, &busybox, &agent)?;
    let octets = std::fs::read(&kernel).map_err(|error| format!("{}: {error}", kernel.display()))?;
    std::fs::create_dir_all(&incoming).map_err(|error| format!("{}: {error}", incoming.display()))?;
    let mut entries = Vec::new();
    // The program by itself, for distributions' own installers.
    for (name, octets) in [("vmlinuz", octets), ("initrd.img", initrd), ("kpc-agent", agent)] {
        let place = incoming.join(name);
        std::fs::write(&place, octets).map_err(|error| format!("{}: {error}", place.display()))?;
        let measured = sums::measure(&place)?;
        manifest::serve(&place, &folder.join(name), &measured.sha256)?;
        entries.push(Entry {
            name: name.to_owned(),
            octets: measured.octets,
            sha256: measured.sha256,
            signed_by: Some(MADE_HERE.to_owned()),
        });
    }
    // Nothing else may lie there.
    let _ = std::fs::remove_dir(&incoming);
    let mut manifest = Manifest::new(NAME);
    manifest.channel = Some(format!("linux {version}"));
    manifest.take(entries, None);
    manifest.write(&folder)?;
    Ok(Made { kernel: version, modules: count, manifest })
}

/// The octets of the first of these programs, which must run without any library.
fn program(name: &str, places: &[PathBuf], remedy: &str) -> Result<Vec<u8>, String> {
    let named = || places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ");
    let mut dynamic = None;
    for place in places {
        let Ok(octets) = std::fs::read(place) else { continue };
        if is_static(&octets) {
            return Ok(octets);
        }
        dynamic = Some(place);
    }
    Err(match dynamic {
        Some(place) => {
            format!("{} needs libraries, and the initrd has none; a static one: {remedy}", place.display())
        }
        None => format!("no {name} (looked for {}): {remedy}", named()),
    })
}

/// Whether an ELF program asks for no interpreter (ELF-64 Object File Format, "Program header": PT_INTERP is 3).
fn is_static(program: &[u8]) -> bool {
    let field = |at: usize, size: usize| {
        let octets = program.get(at..at + size)?;
        Some(octets.iter().rev().fold(0_u64, |value, octet| value << 8 | u64::from(*octet)))
    };
    let (Some(b"\x7fELF\x02\x01"), Some(table), Some(size), Some(count)) =
        (program.get(..6), field(32, 8), field(54, 2), field(56, 2))
    else {
        return false;
    };
    let kind = |number: u64| {
        let at = usize::try_from(table.checked_add(number.checked_mul(size)?)?).ok()?;
        // A header that is cut off says nothing.
        program.get(at..at.checked_add(usize::try_from(size).ok()?)?)?;
        field(at, 4)
    };
    (0..count).all(|number| kind(number).is_some_and(|kind| kind != 3))
}

/// The initrd, and how many drivers are in it.
fn initrd(
    index: &ModuleIndex,
    version: &str,
    busybox: &[u8],
    agent: &[u8],
) -> Result<(Vec<u8>, usize), String> {
    let mut resolved = Resolved::default();
    let wanted = DRIVERS.iter().flat_map(|folder| index.below(folder));
    let wanted = wanted.filter(|name| !LEFT_OUT.iter().any(|start| name.starts_with(start)));
    for name in wanted.chain(SINGLE.iter().copied().filter(|name| index.has(name))) {
        resolved.add(index, name).map_err(|error| error.to_string())?;
    }
    let mut archive = Archive::new();
    let modules = format!("lib/modules/{version}");
    for directory in
        ["bin", "dev", "etc", "lib", "lib/modules", &modules, "proc", "sys", "run", "tmp", "root", "var"]
    {
        archive.directory(directory);
    }
    // Before devtmpfs is mounted, /init's output needs a console.
    archive.character_device("dev/console", 0o600, 5, 1);
    archive.character_device("dev/null", 0o666, 1, 3);
    archive.file("init", 0o755, INIT.as_bytes());
    archive.file("bin/lease", 0o755, LEASE.as_bytes());
    archive.file("bin/busybox", 0o755, busybox);
    for applet in APPLETS {
        archive.symlink(&format!("bin/{applet}"), "busybox");
    }
    archive.file("bin/kpc-agent", 0o755, agent);
    let (mut needs, mut aliases) = (String::new(), String::new());
    for (at, module) in resolved.modules.iter().enumerate() {
        archive.file(&format!("{modules}/{}.ko.gz", module.name), 0o644, &packed(&module.contents)?);
        // A String takes what it is given.
        let _ = writeln!(
            needs,
            "{}.ko.gz:{}",
            module.name,
            all_needs(resolved.modules.get(..at).unwrap_or_default(), module)
        );
        for alias in module.aliases() {
            let _ = writeln!(aliases, "alias {alias} {}", module.name);
        }
    }
    archive.file(&format!("{modules}/modules.dep"), 0o644, needs.as_bytes());
    archive.file(&format!("{modules}/modules.alias"), 0o644, aliases.as_bytes());
    Ok((archive.finish(), resolved.modules.len()))
}

/// A module packed: only what a machine needs of them is ever unpacked, by its modprobe.
fn packed(contents: &[u8]) -> Result<Vec<u8>, String> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    let done = packed.write_all(contents).and_then(|()| packed.finish());
    done.map_err(|error| format!("packing a driver: {error}"))
}

/// Everything that a module needs, near and far, the first to be loaded last: so modprobe reads modules.dep.
fn all_needs(before: &[Module], module: &Module) -> String {
    let mut wanted: Vec<&str> = module.needs.iter().map(String::as_str).collect();
    let mut list = String::new();
    // Each comes after what it needs, so backwards no need is met before who needs it.
    for one in before.iter().rev().filter(|one| one.name != module.name) {
        if wanted.contains(&one.name.as_str()) {
            wanted.extend(one.needs.iter().map(String::as_str));
            let _ = write!(list, " {}.ko.gz", one.name);
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(kinds: &[u32]) -> Vec<u8> {
        let mut program = vec![0; 64];
        program[..6].copy_from_slice(b"\x7fELF\x02\x01");
        program[32] = 64;
        program[54] = 56;
        program[56] = u8::try_from(kinds.len()).unwrap();
        for kind in kinds {
            program.extend(kind.to_le_bytes());
            program.extend([0; 52]);
        }
        program
    }

    #[test]
    fn a_program_that_asks_for_a_loader_is_no_static_one() {
        assert!(is_static(&elf(&[1, 2, 6])));
        assert!(!is_static(&elf(&[6, 3, 1])));
        assert!(!is_static(&elf(&[1])[..70]) && !is_static(b"#!/bin/sh\n") && !is_static(b""));
    }

    #[test]
    fn needs_are_listed_near_and_far() {
        let module = |name: &str, needs: &[&str]| Module {
            name: name.to_owned(),
            contents: Vec::new(),
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        };
        let all =
            [module("crc", &[]), module("scsi", &["crc"]), module("ata", &["scsi"]), module("mii", &[])];
        assert_eq!(all_needs(&all, &module("piix", &["ata", "crc"])), " ata.ko.gz scsi.ko.gz crc.ko.gz");
        assert_eq!(all_needs(&all, &module("alone", &[])), "");
    }

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        assert!(numbers("6.1.0-9-amd64") < numbers("6.1.0-10-amd64"));
        assert!(numbers("6.12.48+deb13-amd64") > numbers("6.1.0-56-amd64"));
    }

    /// What is missing is named with what brings it; what is there comes together as the kernel and modprobe want it.
    #[test]
    fn the_system_is_made_of_this_hosts_parts() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let put = |name: &str, octets: &[u8]| {
            std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
            std::fs::write(path(name), octets).unwrap();
        };
        let host = Host {
            boot: path("boot"),
            modules: vec![path("modules")],
            busybox: vec![path("busybox")],
            agent: vec![path("kpc-agent")],
            running: String::new(),
        };
        let make = |host: &Host| make(host, &path("assets"), &path("assets.incoming"));
        let said = || make(&host).unwrap_err();
        assert!(said().contains("linux-image-amd64"), "{}", said());
        for version in ["6.1.0-9-amd64", "6.1.0-10-amd64"] {
            put(&format!("boot/vmlinuz-{version}"), version.as_bytes());
            let below = |name: &str| format!("modules/{version}/kernel/{name}");
            put(&below("drivers/net/ethernet/intel/e1000.ko"), b"\0alias=pci:v00008086*\0depends=mii\0");
            put(&below("drivers/net/mii.ko"), b"\0depends=\0");
            put(&below("drivers/scsi/scsi_debug.ko"), b"\0depends=\0");
            put(&below("sound/beep.ko"), b"\0depends=\0");
        }
        put("boot/vmlinuz-7.0.0-amd64", b"without modules");
        assert!(said().contains("busybox-static"), "{}", said());
        put("busybox", &elf(&[1]));
        put("kpc-agent", &elf(&[3]));
        assert!(said().contains("needs libraries"), "{}", said());
        put("kpc-agent", &elf(&[1]));
        let made = make(&host).unwrap();
        assert_eq!((made.kernel.as_str(), made.modules), ("6.1.0-10-amd64", 2));
        assert_eq!(std::fs::read(path("assets/agent/vmlinuz")).unwrap(), b"6.1.0-10-amd64");
        let running = Host { running: "6.1.0-9-amd64".to_owned(), ..host.clone() };
        assert_eq!(make(&running).unwrap().kernel, "6.1.0-9-amd64");
        let octets = std::fs::read(path("assets/agent/initrd.img")).unwrap();
        let text = String::from_utf8_lossy(&octets);
        for part in [
            "lib/modules/6.1.0-9-amd64/e1000.ko.gz",
            "e1000.ko.gz: mii.ko.gz\n",
            "alias pci:v00008086* e1000\n",
            "bin/kpc-agent",
            "init\0",
        ] {
            assert!(text.contains(part), "{part:?}");
        }
        assert!(!text.contains("scsi_debug") && !text.contains("beep"));
        assert!(!path("assets.incoming/agent").exists());
    }
}
