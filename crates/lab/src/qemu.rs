//! The command line of a machine (lines that were seen to work with QEMU 7.2). Called by `Lab::up`; the machine comes
//! up powered off (`-S`) and is moved by its BMC over QMP.

use std::path::Path;
use std::process::Command;

use crate::machine::{Firmware, Machine};
use crate::network::port_name;
use crate::parts::Parts;

/// What executes the guest's instructions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Accelerator {
    /// The hardware.
    Kvm,
    /// Translation; works everywhere.
    Tcg,
}

/// Files that a machine needs beside the parts.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    /// The generated boot medium.
    pub medium: &'a Path,
    /// The socket of its [`crate::Pump`]; `None`: a tap.
    pub stream: Option<&'a Path>,
    /// This machine's own copy of OVMF's variables.
    pub ovmf_vars: &'a Path,
}

/// The whole command.
#[must_use]
pub fn command(parts: &Parts, machine: &Machine, files: Files<'_>, accelerator: Accelerator) -> Command {
    let mut command = Command::new(&parts.qemu);
    let firmware = machine.spec.firmware;
    command.args(["-name", &machine.spec.name, "-uuid", &machine.uuid.to_string()]);
    command.args(match accelerator {
        Accelerator::Kvm => ["-accel", "kvm", "-cpu", "host"],
        // RDRAND saves the wait for randomness in early user space.
        Accelerator::Tcg => ["-accel", "tcg,tb-size=128", "-cpu", "qemu64,+rdrand"],
    });
    command.args(["-m", &machine.spec.memory.to_string()]);
    command.args(["-nodefaults", "-vga", "none", "-display", "none", "-monitor", "none"]);
    command.args(["-S", "-no-shutdown"]);
    command.arg("-serial").arg(option("file:", &machine.serial));
    command.arg("-qmp").arg(format!("unix:{},server=on,wait=off", escape(&machine.qmp)));
    command.arg("-netdev").arg(match files.stream {
        None => format!("tap,id=net,ifname={},script=no,downscript=no", port_name(machine.index)),
        Some(path) => format!("stream,id=net,server=off,addr.type=unix,addr.path={}", escape(path)),
    });
    let mac = machine.mac;
    match firmware {
        Firmware::BiosMedium => {
            command.args(["-machine", "pc,graphics=off"]);
            command.arg("-device").arg(format!("virtio-net-pci,id=nic,netdev=net,mac={mac},romfile="));
            let medium = escape(files.medium);
            command
                .arg("-drive")
                .arg(format!("if=none,id=cd,media=cdrom,format=raw,readonly=on,file={medium}"));
            command.args(["-device", "ide-cd,id=medium,drive=cd,bootindex=1"]);
            // Where nothing boots, the firmware starts over at once instead of in a minute.
            command.args(["-boot", "reboot-timeout=1000"]);
        }
        Firmware::BiosRom => {
            command.args(["-machine", "pc,graphics=off"]);
            let rom = escape(&parts.e1000_rom);
            command
                .arg("-device")
                .arg(format!("e1000,id=nic,netdev=net,mac={mac},romfile={rom},bootindex=1"));
        }
        Firmware::Uefi => {
            command.args(["-machine", "q35"]);
            let (code, vars) = (escape(&parts.ovmf_code), escape(files.ovmf_vars));
            command.arg("-drive").arg(format!("if=pflash,unit=0,format=raw,readonly=on,file={code}"));
            command.arg("-drive").arg(format!("if=pflash,unit=1,format=raw,file={vars}"));
            // Without romfile= iPXE's EFI ROM takes over; without the fw_cfg line EDK2 tries IPv6 too.
            // With a disk the order is what UEFI's own variables say: QEMU's would overwrite what the agent sets.
            let index = if machine.spec.disk.is_some() { "" } else { ",bootindex=1" };
            command.arg("-device").arg(format!("virtio-net-pci,id=nic,netdev=net,mac={mac},romfile={index}"));
            command.args(["-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n"]);
        }
    }
    if let Some(disk) = &machine.spec.disk {
        let file = escape(&machine.disk);
        // Nobody needs the disk of a lab after a crash of its host.
        let limit =
            disk.write_limit.map(|limit| format!(",throttling.bps-write={limit}")).unwrap_or_default();
        command.arg("-drive").arg(format!("if=none,id=octets,format=raw,cache=unsafe,file={file}{limit}"));
        let serial = &disk.serial;
        command
            .arg("-device")
            .arg(format!("virtio-blk-pci,id=disk,drive=octets,serial={serial},bootindex=2"));
        command.arg("-device").arg(format!("ipmi-bmc-sim,id=bmc,guid={}", machine.uuid));
        command.args(["-device", "isa-ipmi-kcs,bmc=bmc"]);
    }
    command
}

fn option(prefix: &str, path: &Path) -> String {
    format!("{prefix}{}", escape(path))
}

/// QEMU doubles commas inside option values.
fn escape(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}
