//! The initrd of the lab: busybox, the network cards' modules, the agent and a script that starts it. Called by
//! `Lab::up`. Not compressed: under translation unpacking costs more than carrying.

use std::path::Path;

use crate::cpio::Archive;
use crate::error::{LabError, Result};
use crate::modules::{ModuleIndex, Resolved};
use crate::parts::Parts;

/// What the machines' network cards need; their dependencies are read from the modules themselves.
const MODULES: [&str; 3] = ["e1000", "virtio_pci", "virtio_net"];
/// What machines with a disk need beside them: the disk, UEFI's variables, their own BMC.
const DISK_MODULES: [&str; 3] = ["virtio_blk", "efivarfs", "ipmi_si"];

/// Which system starts from the initrd.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum System {
    /// From the network: the agent does what the kernel's arguments say.
    Network {
        /// Whether some machine has a disk.
        disks: bool,
    },
    /// From the disk that an agent has written: it registers.
    Disk,
}

/// The host name of a system that runs from a disk.
pub const DISK_HOSTNAME: &str = "lab-disk";

/// What the system does once it has a lease.
const FROM_NETWORK: &str = "\
kpc-agent || echo \"kpc-agent: ended with $?\"
";
const FROM_DISK: &str = "\
echo lab-disk > /proc/sys/kernel/hostname
for word in $(cat /proc/cmdline); do
    case $word in kpc.marker=*) echo \"kpc-lab: booted from disk, marker ${word#kpc.marker=}, host $(hostname)\";; esac
done
until kpc-agent register; do sleep 5; done
";

/// Process 1. The kernel has no network driver built in, and no address until a lease is there.
const INIT: &str = "#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /run /tmp /root /etc/systemd/system /var/lib
for module in $(cat /lib/modules/order); do insmod /lib/modules/$module; done
# A notice of the kernel in the middle of one of the agent's lines would hide it from those who read the console.
dmesg -n 4
ip link set lo up
for try in 1 2 3 4 5 6 7 8 9 10; do
    card=$(ls /sys/class/net | grep -v lo | head -n 1)
    [ -n \"$card\" ] && break
    sleep 1
done
[ -n \"$card\" ] || echo \"kpc-lab: no network card\"
ip link set \"$card\" up
# A DISCOVER sent before the link is up is lost, and the next one comes a second later.
for try in $(seq 100); do
    [ \"$(cat \"/sys/class/net/$card/carrier\" 2>/dev/null)\" = 1 ] && break
    usleep 50000
done
until udhcpc -i \"$card\" -s /bin/lease -n -q -t 20 -T 1 -A 1 >/dev/null 2>&1; do
    echo \"kpc-lab: no lease on $card, asking again\"
done
echo \"kpc-lab: up $(cut -d' ' -f1 /proc/uptime) s, lease $(cat /run/lease)\"
";
const STAYS: &str = "while true; do sleep 3600; done\n";

/// What udhcpc calls with a lease in its environment.
const LEASE: &str = "#!/bin/sh
[ \"$1\" = bound ] || [ \"$1\" = renew ] || exit 0
ip addr flush dev $interface
ip addr add $ip/${mask:-24} dev $interface
echo $ip > /run/lease
for gateway in $router; do ip route replace default via $gateway dev $interface; break; done
: > /etc/resolv.conf
for server in $dns; do echo nameserver $server >> /etc/resolv.conf; done
";

/// Programs that the scripts use.
const APPLETS: &[&str] = &[
    "sh",
    "mount",
    "mkdir",
    "cat",
    "insmod",
    "ip",
    "ls",
    "grep",
    "head",
    "sleep",
    "echo",
    "udhcpc",
    "sync",
    "reboot",
    "poweroff",
    "dmesg",
    "ps",
    "ln",
    "rm",
    "hostname",
    "sha256sum",
    "wget",
    "find",
    "vi",
    "seq",
    "usleep",
    "cut",
    "blockdev",
];

/// Builds the archive.
///
/// # Errors
/// [`LabError`] naming the part that cannot be read, or the module that does not exist.
pub fn build(parts: &Parts, system: System) -> Result<Vec<u8>> {
    let mut archive = Archive::new();
    for directory in ["bin", "dev", "etc", "lib", "lib/modules", "proc", "sys", "run", "tmp", "root", "var"] {
        archive.directory(directory);
    }
    // Before devtmpfs is mounted, /init's output needs a console.
    archive.character_device("dev/console", 0o600, 5, 1);
    archive.character_device("dev/null", 0o666, 1, 3);
    let (does, more) = match system {
        System::Network { disks: false } => (FROM_NETWORK, &DISK_MODULES[..0]),
        System::Network { disks: true } => (FROM_NETWORK, &DISK_MODULES[..]),
        System::Disk => (FROM_DISK, &DISK_MODULES[..1]),
    };
    archive.file("init", 0o755, [INIT, does, STAYS].concat().as_bytes());
    archive.file("bin/lease", 0o755, LEASE.as_bytes());
    archive.file("bin/busybox", 0o755, &read(&parts.busybox)?);
    for applet in APPLETS {
        archive.symlink(&format!("bin/{applet}"), "busybox");
    }
    archive.file("bin/kpc-agent", 0o755, &read(&parts.agent)?);
    let index = ModuleIndex::read(&parts.modules)?;
    let mut order = Resolved::default();
    for module in MODULES.iter().chain(more) {
        order.add(&index, module)?;
    }
    let mut names = String::new();
    for module in &order.modules {
        archive.file(&format!("lib/modules/{}.ko", module.name), 0o644, &module.contents);
        names.push_str(&module.name);
        names.push_str(".ko\n");
    }
    archive.file("lib/modules/order", 0o644, names.as_bytes());
    Ok(archive.finish())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(LabError::io(format!("read {}", path.display())))
}
