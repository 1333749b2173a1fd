//! `deps`: what the lab and the peers need from Debian and PyPI.
//!
//! Packages without a service are installed. Packages that bring one (a unit or a start link), and the kernel, whose
//! installation would touch /boot, are downloaded and unpacked under the target directory, so that the machine's
//! enabled units are the same before and after.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{Outcome, command, is_root, output, step, target};

/// Installed: none of these brings a service.
const INSTALLED: &[&str] = &[
    "qemu-system-x86",
    "ipxe",
    "ipxe-qemu",
    "ovmf",
    "busybox-static",
    "cpio",
    "iproute2",
    "dnsmasq-base",
    "curl",
    "tcpdump",
    "xz-utils",
    "kmod",
    "util-linux",
    "procps",
    "iputils-ping",
    "python3",
    "python3-venv",
    "gcc",
    "libc6-dev",
];

/// Installed for the tests of the page alone: the browser and what it draws text with.
const BROWSER: &[&str] = &["chromium", "chromium-driver", "fonts-dejavu-core"];

/// Unpacked for `kpc lab`: the lease server, the boot medium's loader, the kernel and its modules, and what the disk
/// image is made with.
const LAB: &[&str] = &[
    "isc-dhcp-server",
    "isolinux",
    "syslinux-common",
    "xorriso",
    "kmod",
    "linux-image-amd64",
    "syslinux",
    "mtools",
    "dosfstools",
    "grub-efi-amd64-bin",
];

/// Unpacked for the interoperability tests and benches.
const PEERS: &[&str] = &[
    "isc-dhcp-server",
    "isc-dhcp-relay",
    "ipmitool",
    "openipmi",
    "freeipmi-tools",
    "tftp-hpa",
    "tftpd-hpa",
    "atftpd",
    "atftp",
    "etcd-server",
    "nftables",
    "nmap",
    "ignition",
];

/// From PyPI into a virtual environment.
const PYTHON: &[&str] = &["ansible-core", "pyghmi"];

/// From PyPI into another one, where PyPI can be reached: what takes the inventory over, with the collections that its
/// playbook names. Not compiled beforehand: of its thirty thousand files few are ever read.
const KOLLA: &[&str] = &["kolla-ansible==22.2.0", "ansible==12.3.0"];

/// Where `kpc lab` finds its parts; also `KPC_LAB_PARTS`.
pub(crate) fn lab_parts() -> PathBuf {
    std::env::var_os("KPC_LAB_PARTS").map_or_else(|| target().join("lab-parts"), PathBuf::from)
}

/// Where the tests find unpacked peers; also `KPC_PEERS_DIR`.
pub(crate) fn peers() -> PathBuf {
    std::env::var_os("KPC_PEERS_DIR").map_or_else(|| target().join("peers"), PathBuf::from)
}

/// Unpacked beside them for `interop firmware`: what other firmware boots, and a machine of another architecture.
const FIRMWARE: &[&str] = &[
    "pxelinux",
    "syslinux-common",
    "shim-signed",
    "shim-signed-common",
    "shim-unsigned",
    "grub-efi-amd64-signed",
    "qemu-efi-aarch64",
    "qemu-system-arm",
];

/// Installed for the package's checks.
const PACKAGE: &[&str] = &["lintian", "binutils", "git"];

/// Installed for `package` and `interop package`: the static C library, and what makes a small Debian.
const RELEASE: &[&str] = &["musl-tools", "make", "binutils", "debootstrap"];

/// Unpacked for the package: systemd itself would bring its services.
const PACKAGE_PEERS: &[&str] = &["systemd"];

/// What the Debian of `interop package` has beside the smallest one.
const MACHINE: &[&str] = &[
    "systemd",
    "systemd-sysv",
    "udev",
    "dbus",
    "iproute2",
    "curl",
    "procps",
    "kmod",
    "adduser",
    "ipxe",
    "busybox-static",
    "dnsmasq-base",
];

/// The verb: everything but what only `interop firmware` and `interop package` need.
pub(crate) fn run() -> Outcome {
    for_lab()?;
    for_tests()?;
    for_package()
}

/// What `kpc lab up` needs.
pub(crate) fn for_lab() -> Outcome {
    install(INSTALLED)?;
    unpack(&lab_parts(), "packages", LAB)
}

/// What the interoperability tests need beyond the lab.
pub(crate) fn for_tests() -> Outcome {
    install(INSTALLED)?;
    install(BROWSER)?;
    unpack(&peers(), "packages", PEERS)?;
    python("venv", PYTHON, &[])?;
    if let Err(why) = python("kolla", KOLLA, &["--no-compile"]) {
        println!("without kolla-ansible, whose part of the tests is skipped: {why}");
    }
    Ok(())
}

/// What the firmware matrix needs beyond the other tests.
pub(crate) fn for_firmware() -> Outcome {
    unpack(&peers(), "firmware-packages", FIRMWARE)
}

/// What the package's checks need beyond the other tests.
pub(crate) fn for_package() -> Outcome {
    install(PACKAGE)?;
    unpack(&peers(), "package-packages", PACKAGE_PEERS)
}

/// What a release needs beyond the checks.
pub(crate) fn for_release() -> Outcome {
    for_package()?;
    install(RELEASE)
}

/// A small Debian with systemd, made once; the release is this host's. `DEBIAN_MIRROR` names another mirror.
pub(crate) fn machine_tree() -> Outcome<PathBuf> {
    let place = target().join("package/machine");
    let (tree, stamp) = (place.join("tree"), place.join("packages"));
    let wanted = MACHINE.join(",");
    if fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(tree);
    }
    if !is_root() {
        return Err("debootstrap needs root".to_owned());
    }
    let said = |error: std::io::Error| format!("{}: {error}", tree.display());
    if tree.exists() {
        fs::remove_dir_all(&tree).map_err(said)?;
    }
    fs::create_dir_all(&place).map_err(said)?;
    let release = fs::read_to_string("/etc/os-release").map_err(said)?;
    let release = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let mirror = std::env::var("DEBIAN_MIRROR").unwrap_or_else(|_| "http://deb.debian.org/debian".to_owned());
    println!("debootstrap under {}: {wanted}", tree.display());
    let mut make = command("debootstrap", &["--variant=minbase", &format!("--include={wanted}")]);
    output(make.arg(release.unwrap_or("stable")).arg(&tree).arg(mirror))?;
    fs::write(&stamp, wanted).map_err(said)?;
    Ok(tree)
}

fn install(packages: &[&'static str]) -> Outcome {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() {
        return Err(format!(
            "these Debian packages are missing; as root run:\n  apt-get update && apt-get install -y --no-install-recommends {}",
            missing.join(" ")
        ));
    }
    println!("installing from Debian: {}", missing.join(" "));
    step(command("apt-get", &["update", "-qq"]).env("DEBIAN_FRONTEND", "noninteractive"))?;
    let before = start_links();
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    // What QEMU depends on (kmod) has a start script that nothing here needs: without it there is no start link.
    arguments.extend(["-o", "Dpkg::Options::=--path-exclude=/etc/init.d/*"]);
    arguments.extend(missing);
    step(command("apt-get", &arguments).env("DEBIAN_FRONTEND", "noninteractive"))?;
    let added: Vec<String> = start_links().difference(&before).cloned().collect();
    if added.is_empty() {
        return Ok(());
    }
    Err(format!("a package brought a service, which none of the lab's may: {}", added.join(", ")))
}

/// Everything that makes a service start: enabled units and start links.
fn start_links() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![PathBuf::from("/etc/systemd/system")];
    open.extend((0..=6).map(|level| PathBuf::from(format!("/etc/rc{level}.d"))));
    open.push("/etc/rcS.d".into());
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(kind) if kind.is_symlink() => {
                    found.insert(entry.path().display().to_string());
                }
                _ => {}
            }
        }
    }
    found
}

fn is_installed(package: &str) -> bool {
    output(&mut command("dpkg-query", &["-W", "-f=${db:Status-Abbrev}", package]))
        .is_ok_and(|status| status.starts_with("ii"))
}

/// Downloads `packages` and what they depend on (as far as the machine lacks it) and unpacks all into `place/root`;
/// `stamp` notes that it is done.
fn unpack(place: &Path, stamp: &str, packages: &[&str]) -> Outcome {
    let stamp = place.join(stamp);
    let wanted = packages.join(" ");
    if fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    println!("unpacking under {}: {wanted}", place.display());
    let (archives, tree) = (place.join("archives"), place.join("root"));
    for folder in [&archives, &tree] {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    if output(&mut command("apt-cache", &["show", "isc-dhcp-server"])).is_err() {
        if !is_root() {
            return Err("Debian's package lists are missing; as root run: apt-get update".to_owned());
        }
        step(&mut command("apt-get", &["update", "-qq"]))?;
    }
    let names = closure(packages)?;
    let mut download = command("apt-get", &["download", "-qq"]);
    // apt drops to its own user, which cannot write below a private folder.
    download.args(["-o", "APT::Sandbox::User=root"]).args(&names).current_dir(&archives);
    step(&mut download)?;
    let entries = fs::read_dir(&archives).map_err(|error| format!("{}: {error}", archives.display()))?;
    for archive in entries.flatten().map(|entry| entry.path()) {
        if archive.extension().is_some_and(|ending| ending == "deb") {
            output(command("dpkg-deb", &["-x"]).arg(&archive).arg(&tree))?;
        }
    }
    fs::remove_dir_all(&archives).map_err(|error| format!("{}: {error}", archives.display()))?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

/// The packages to fetch: the named ones, and what apt would add to this machine for them. A metapackage for the
/// kernel is replaced by the one package that holds it.
fn closure(packages: &[&str]) -> Outcome<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for package in packages {
        if package.starts_with("linux-image") {
            names.insert(kernel_package(package)?);
            continue;
        }
        names.insert((*package).to_owned());
        let plan =
            output(&mut command("apt-get", &["install", "-s", "-qq", "--no-install-recommends", package]))?;
        names.extend(
            plan.lines()
                .filter_map(|line| line.strip_prefix("Inst ")?.split_whitespace().next().map(str::to_owned)),
        );
    }
    Ok(names)
}

fn kernel_package(meta: &str) -> Outcome<String> {
    let depends = output(&mut command("apt-cache", &["depends", meta]))?;
    depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|name| name.starts_with("linux-image-"))
        .map(str::to_owned)
        .ok_or_else(|| format!("{meta} names no kernel package; run: apt-get update"))
}

fn python(name: &str, packages: &[&str], flags: &[&str]) -> Outcome {
    let place = peers().join(name);
    let stamp = place.join("packages");
    let wanted = packages.join(" ");
    if fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    println!("Python peers under {}: {wanted}", place.display());
    let venv = place.to_string_lossy().into_owned();
    step(&mut command("python3", &["-m", "venv", &venv]))?;
    let pip = place.join("bin/pip").to_string_lossy().into_owned();
    let mut install = command(&pip, &["install", "--quiet"]);
    step(install.args(flags).args(packages))?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}
