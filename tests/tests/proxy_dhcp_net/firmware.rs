//! Machines under QEMU whose firmware is the client, and what each boots.

#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use super::{HOST, LeaseServer, Net, run};
use kpc_tests::{Guard, binary, peer, peers};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What every chain ends in.
pub const MARKER: &str = "KPC-SCRIPT-RUNS";

/// A kind of client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Client {
    /// SeaBIOS with QEMU's iPXE ROM.
    BiosRom,
    /// A BIOS PXE client that does not say iPXE; loads undionly.kpxe.
    BiosChain,
    /// The same, loads pxelinux.
    BiosPxelinux,
    /// OVMF's PXE loads snponly.efi.
    UefiPxe,
    /// OVMF's PXE loads ipxe.efi.
    UefiPxeIpxe,
    /// OVMF with QEMU's iPXE ROM.
    UefiRom,
    /// OVMF's HTTP Boot loads snponly.efi.
    UefiHttp,
    /// OVMF with Secure Boot: shim, signed GRUB, and a lease that names a next-server.
    UefiSecureBoot,
    /// arm64 UEFI loads a program that prints the marker.
    Arm64Uefi,
}

impl Client {
    pub const ALL: [Self; 9] = [
        Self::BiosRom,
        Self::BiosChain,
        Self::BiosPxelinux,
        Self::UefiPxe,
        Self::UefiPxeIpxe,
        Self::UefiRom,
        Self::UefiHttp,
        Self::UefiSecureBoot,
        Self::Arm64Uefi,
    ];

    /// What proxy-dhcpd is told beside its defaults.
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::BiosPxelinux => &["--boot", "bios=pxelinux.0"],
            Self::UefiPxeIpxe => &["--boot", "x64-uefi=ipxe.efi"],
            Self::UefiHttp => &["--boot", "x64-uefi-http=http://{server}:8080/snponly.efi"],
            Self::UefiSecureBoot => &["--boot", "x64-uefi=shimx64.efi"],
            Self::Arm64Uefi => &["--boot", "arm64-uefi=marker.efi"],
            Self::BiosRom | Self::BiosChain | Self::UefiPxe | Self::UefiRom => &[],
        }
    }

    /// The loader, when one is read.
    pub fn loader(self) -> Option<&'static str> {
        match self {
            Self::BiosRom | Self::UefiRom => None,
            Self::BiosChain => Some("undionly.kpxe"),
            Self::BiosPxelinux => Some("pxelinux.0"),
            Self::UefiPxe | Self::UefiHttp => Some("snponly.efi"),
            Self::UefiPxeIpxe => Some("ipxe.efi"),
            Self::UefiSecureBoot => Some("shimx64.efi"),
            Self::Arm64Uefi => Some("marker.efi"),
        }
    }

    /// Words for QEMU beside the common ones; `None` when a part is not on this machine.
    fn qemu(self, net: &Net, nic: &str) -> Option<Vec<String>> {
        let e1000 = |rom: &str| format!("e1000,{nic},romfile={rom},bootindex=1");
        let virtio = |rom: &str| format!("virtio-net-pci,{nic},romfile={rom},bootindex=1");
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let bios = || words("-m 256 -machine pc,graphics=off -device");
        let no_v6 = "-fw_cfg name=opt/org.tianocore/IPv6PXESupport,string=n";
        Some(match self {
            Self::BiosRom => [bios(), vec![e1000(installed("/usr/lib/ipxe/qemu/pxe-e1000.rom")?)]].concat(),
            Self::BiosChain | Self::BiosPxelinux => {
                std::fs::write(net.path("lab.ipxe"), "#!ipxe\nset user-class Lab\nautoboot\n").unwrap();
                let kernel = format!(
                    "-kernel {} -initrd {}",
                    installed("/usr/lib/ipxe/ipxe.lkrn")?,
                    net.path("lab.ipxe").display()
                );
                [bios(), vec![e1000("")], words(&kernel)].concat()
            }
            Self::UefiPxe | Self::UefiPxeIpxe | Self::UefiRom | Self::UefiHttp => {
                let flash = ovmf(net, "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd")?;
                let rom =
                    if self == Self::UefiRom { installed("/usr/lib/ipxe/qemu/efi-virtio.rom")? } else { "" };
                let mut line = format!("-m 512 -machine q35 {flash} {no_v6}");
                if self == Self::UefiHttp {
                    line += " -fw_cfg name=opt/org.tianocore/IPv4PXESupport,string=n";
                }
                [words(&line), vec!["-device".to_owned(), virtio(rom)]].concat()
            }
            Self::UefiSecureBoot => {
                unpacked("usr/lib/shim/shimx64.efi.signed")?;
                let flash = ovmf(net, "OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.ms.fd")?;
                let line = format!(
                    "-m 768 -machine q35,smm=on -global driver=cfi.pflash01,property=secure,value=on \
                     -global ICH9-LPC.disable_s3=1 {flash} {no_v6}"
                );
                [words(&line), vec!["-device".to_owned(), virtio("")]].concat()
            }
            Self::Arm64Uefi => {
                let code = unpacked("usr/share/AAVMF/AAVMF_CODE.fd")?;
                std::fs::copy(unpacked("usr/share/AAVMF/AAVMF_VARS.fd")?, net.path("vars")).unwrap();
                let line = format!(
                    "-m 1024 -machine virt -cpu cortex-a57 -drive if=pflash,format=raw,readonly=on,file={} \
                     -drive if=pflash,format=raw,file={} {no_v6}",
                    code.display(),
                    net.path("vars").display()
                );
                [words(&line), vec!["-device".to_owned(), virtio("")]].concat()
            }
        })
    }

    fn program(self) -> &'static str {
        if self == Self::Arm64Uefi { "qemu-system-aarch64" } else { "qemu-system-x86_64" }
    }
}

/// What a console shows without the sequences that move its cursor, which SeaBIOS puts even into words.
fn plain(console: &str) -> String {
    let mut parts = console.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.trim_start_matches(|char: char| !('@'..='~').contains(&char)).get(1..).unwrap_or_default()
    })
}

fn installed(path: &str) -> Option<&str> {
    let there = Path::new(path).is_file();
    if !there {
        eprintln!("skipped: {path} is missing; run: cargo xtask deps");
    }
    there.then_some(path)
}

fn unpacked(path: &str) -> Option<PathBuf> {
    let path = peers().join("root").join(path);
    installed(path.to_str()?).map(PathBuf::from)
}

fn ovmf(net: &Net, code: &str, vars: &str) -> Option<String> {
    let (code, vars) = (format!("/usr/share/OVMF/{code}"), format!("/usr/share/OVMF/{vars}"));
    std::fs::copy(installed(&vars)?, net.path("vars")).unwrap();
    Some(format!(
        "-drive if=pflash,format=raw,unit=0,readonly=on,file={} -drive if=pflash,format=raw,unit=1,file={}",
        installed(&code)?,
        net.path("vars").display()
    ))
}

/// Seconds from QEMU's start to each step.
#[derive(Clone, Copy, Debug, Default)]
pub struct Phases {
    pub answered: Option<f32>,
    pub loader: Option<f32>,
    pub script: Option<f32>,
    pub marker: Option<f32>,
}

/// Everything but the machine: lease server, proxy, TFTP and HTTP.
pub struct Scene {
    pub net: Net,
    guards: Vec<Guard>,
}

/// How a scene differs from the ordinary one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Variant<'a> {
    /// The lease server is on a host of its own.
    pub apart: bool,
    /// Lines for dhcpd's subnet block.
    pub lease: &'a str,
    /// Flags for proxy-dhcpd in place of the client's.
    pub proxy: Option<&'a [&'a str]>,
    /// dnsmasq with KPC's flags answers instead of proxy-dhcpd.
    pub dnsmasq_proxy: bool,
    /// No TFTP server runs.
    pub no_tftp: bool,
}

impl Scene {
    /// Starts everything. `None` when a part is not on this machine.
    pub fn new(client: Client, kind: LeaseServer, variant: Variant<'_>) -> Option<Self> {
        let net = Net::new();
        let mut guards = Vec::new();
        if variant.apart {
            let lease = net.third_host();
            guards.push(net.lease_server_in(&lease, kind, variant.lease)?);
        } else {
            guards.push(net.lease_server_in(&net.host, kind, variant.lease)?);
        }
        let folder = net.path("boot");
        std::fs::create_dir_all(folder.join("pxelinux.cfg")).unwrap();
        std::fs::create_dir_all(folder.join("grub")).unwrap();
        let put = |from: PathBuf, name: &str| std::fs::copy(from, folder.join(name)).map(|_| ());
        for name in ["undionly.kpxe", "snponly.efi", "ipxe.efi"] {
            put(Path::new("/usr/lib/ipxe").join(name), name).ok()?;
        }
        let tree = peers().join("root");
        // Not every client needs these; `Client::qemu` says what is missing.
        let _ = put(tree.join("usr/lib/PXELINUX/pxelinux.0"), "pxelinux.0");
        let _ = put(tree.join("usr/lib/syslinux/modules/bios/ldlinux.c32"), "ldlinux.c32");
        let _ = put(tree.join("usr/lib/shim/shimx64.efi.signed"), "shimx64.efi");
        let _ = put(tree.join("usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"), "grubx64.efi");
        std::fs::write(folder.join("marker.efi"), arm64_program()).unwrap();
        std::fs::write(folder.join("boot.ipxe"), format!("#!ipxe\necho {MARKER}\nsleep 600\n")).unwrap();
        let label = format!("SERIAL 0 115200\nSAY {MARKER}\nPROMPT 1\nTIMEOUT 0\n");
        std::fs::write(folder.join("pxelinux.cfg/default"), label).unwrap();
        for name in ["grub/grub.cfg", "grub.cfg"] {
            std::fs::write(folder.join(name), format!("echo {MARKER}\nsleep 600\n")).unwrap();
        }
        let mut http = net.on_host(&peer("python3")?);
        http.args(["-u", "-m", "http.server", "8080", "--directory"]).arg(&folder);
        guards.push(Guard::spawn(net.logged(&mut http, "http.log")));
        if !variant.no_tftp {
            let mut tftp = net.on_host(&binary("tftpd"));
            tftp.args(["--listen", "0.0.0.0:69", "--log-level", "info", "--root"]).arg(&folder);
            if kpc_tests::is_root() {
                run(&format!("chmod 755 {}", net.folder.path().display()));
            }
            guards.push(Guard::spawn(net.logged(&mut tftp, "tftp.log")));
            net.wait_for_port(&net.host, 69);
        }
        if variant.dnsmasq_proxy {
            guards.push(net.dnsmasq_proxy()?);
        } else {
            let flags = variant.proxy.unwrap_or(client.flags());
            guards.push(net.proxy(flags));
        }
        Some(Self { net, guards })
    }

    /// Starts a machine. It ends with the guard.
    pub fn machine(&self, client: Client) -> Option<Guard> {
        let tap = self.net.tap();
        let program = peer(client.program())?;
        let words = client.qemu(&self.net, "netdev=n0,mac=52:54:00:77:00:02")?;
        let mut machine = self.net.on_segment(&program);
        machine.args("-accel tcg -display none -nodefaults -vga none -monitor none".split(' '));
        machine.arg("-serial").arg(format!("file:{}", self.net.path("serial").display()));
        machine.arg("-netdev").arg(format!("tap,id=n0,ifname={tap},script=no,downscript=no")).args(words);
        // The firmware files of a machine that was unpacked, not installed.
        machine
            .arg("-L")
            .arg("/usr/share/qemu")
            .arg("-L")
            .arg("/usr/share/seabios")
            .arg("-L")
            .arg("/usr/lib/ipxe/qemu");
        Some(Guard::spawn(self.net.logged(&mut machine, "qemu.log")))
    }

    /// Boots a machine to the marker and says when each step was seen.
    pub fn boot(&self, client: Client, limit: Duration) -> Option<Phases> {
        let start = Instant::now();
        let _machine = self.machine(client)?;
        let mut phases = Phases::default();
        while phases.marker.is_none() && start.elapsed() < limit {
            let seen = |file: &str, text: &str| {
                self.net.log(file).contains(text).then(|| start.elapsed().as_secs_f32())
            };
            phases.answered = phases.answered.or_else(|| seen("proxy.log", "answered"));
            if let Some(loader) = client.loader() {
                phases.loader =
                    phases.loader.or_else(|| seen("tftp.log", loader)).or_else(|| seen("http.log", loader));
            }
            phases.script = phases.script.or_else(|| seen("http.log", "boot.ipxe"));
            phases.marker =
                plain(&self.net.log("serial")).contains(MARKER).then(|| start.elapsed().as_secs_f32());
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(phases)
    }

    /// Every log, for a failed test.
    pub fn logs(&self) -> String {
        ["proxy.log", "lease.log", "tftp.log", "http.log", "qemu.log", "serial"]
            .map(|name| {
                let log = self.net.log(name);
                let tail = log.lines().rev().take(40).collect::<Vec<_>>();
                format!("---- {name}\n{}\n", tail.into_iter().rev().collect::<Vec<_>>().join("\n"))
            })
            .concat()
    }

    /// Our address.
    pub fn server() -> std::net::Ipv4Addr {
        HOST
    }

    /// Ends everything that runs, in the order it was started.
    pub fn stop(mut self) {
        self.guards.clear();
    }
}

/// A UEFI program for arm64 of one page: prints the marker and stays. Nothing in Debian for amd64 has a loader of that
/// architecture.
fn arm64_program() -> Vec<u8> {
    let code: [u32; 7] = [
        0xa9bf_7bfd, // stp x29, x30, [sp, #-16]!
        0xf940_2020, // ldr x0, [x1, #64]    SystemTable->ConOut
        0xf940_0402, // ldr x2, [x0, #8]     ->OutputString
        0x1000_0081, // adr x1, .+16         the text
        0xd63f_0040, // blr x2
        0x1400_0000, // b .
        0xd503_201f, // nop
    ];
    let mut section: Vec<u8> = code.iter().flat_map(|word| word.to_le_bytes()).collect();
    section.extend(format!("{MARKER}\r\n\0").encode_utf16().flat_map(u16::to_le_bytes));
    section.resize(0x200, 0);
    let mut image = vec![0; 0x80];
    image[..2].copy_from_slice(b"MZ");
    image[0x3c] = 0x80;
    image.extend_from_slice(b"PE\0\0");
    let halves: [u16; 2] = [0xaa64, 1]; // arm64, one section
    image.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
    image.extend([0; 12]);
    image.extend([240u16, 0x0022].iter().flat_map(|half| half.to_le_bytes())); // optional header, executable
    let optional = image.len();
    image.extend(0x20bu16.to_le_bytes());
    image.extend([0, 0]);
    for word in [0x200u32, 0, 0, 0x1000, 0x1000] {
        image.extend(word.to_le_bytes()); // code size, data sizes, entry, base of code
    }
    image.extend(0u64.to_le_bytes()); // image base
    for word in [0x1000u32, 0x200, 0, 0, 0, 0, 0x2000, 0x200, 0] {
        image.extend(word.to_le_bytes()); // alignments, versions, image size, header size, checksum
    }
    image.extend([10u16, 0].iter().flat_map(|half| half.to_le_bytes())); // EFI application
    image.extend([0; 32]); // stack and heap
    image.extend([0u32, 16].iter().flat_map(|word| word.to_le_bytes()));
    image.resize(optional + 240, 0);
    image.extend_from_slice(b".text\0\0\0");
    for word in [0x200u32, 0x1000, 0x200, 0x200, 0, 0, 0, 0x6000_0020] {
        image.extend(word.to_le_bytes());
    }
    image.resize(0x200, 0);
    image.extend(section);
    image
}
