//! The programs, firmware and kernel that a lab is made of, found on this machine. Called first by `Lab::up`; the
//! unpacked tree is what `cargo xtask deps` leaves under `target/lab-parts/root`.

use std::path::{Path, PathBuf};

use crate::error::{LabError, Result};

const REMEDY: &str = "cargo xtask deps";

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Parts {
    /// `bzImage` of the unpacked linux-image package.
    pub kernel: PathBuf,
    /// `lib/modules/VERSION` that belongs to it.
    pub modules: PathBuf,
    /// A static busybox.
    pub busybox: PathBuf,
    /// The agent, static.
    pub agent: PathBuf,
    /// Debian's `ipxe.iso`: isolinux with ipxe.lkrn, the pattern of the boot medium.
    pub ipxe_iso: PathBuf,
    /// `undionly.kpxe` and `snponly.efi` lie here.
    pub loaders: PathBuf,
    /// `pxe-e1000.rom`.
    pub e1000_rom: PathBuf,
    /// OVMF's code, 4 MiB.
    pub ovmf_code: PathBuf,
    /// OVMF's empty variable store, copied for each machine.
    pub ovmf_vars: PathBuf,
    /// The machine emulator.
    pub qemu: PathBuf,
    /// The existing lease server.
    pub lease_server: LeaseServer,
    /// The root of the unpacked packages, for `LD_LIBRARY_PATH`.
    pub root: PathBuf,
}

/// The program that plays the existing DHCP server.
#[derive(Clone, Debug)]
pub enum LeaseServer {
    /// ISC dhcpd, unpacked.
    Dhcpd(PathBuf),
    /// dnsmasq, where dhcpd is not there.
    Dnsmasq(PathBuf),
}

impl Parts {
    /// Looks for everything. `KPC_LAB_PARTS` names the directory of unpacked packages, else `parts` is it;
    /// `KPC_AGENT` names the agent, else it is expected beside this program.
    ///
    /// # Errors
    /// [`LabError::Missing`] for the first part that is not there.
    pub fn find(parts: &Path) -> Result<Self> {
        let beside = std::env::current_exe().unwrap_or_default().with_file_name("kpc-agent");
        Self::find_with_agent(parts, std::env::var_os("KPC_AGENT").map_or(beside, PathBuf::from))
    }

    /// The same with an agent named by the caller.
    ///
    /// # Errors
    /// As [`Parts::find`].
    pub fn find_with_agent(parts: &Path, agent: PathBuf) -> Result<Self> {
        let parts = std::env::var_os("KPC_LAB_PARTS").map_or_else(|| parts.to_owned(), PathBuf::from);
        let root = parts.join("root");
        let (kernel, modules) = kernel(&root)?;
        let lease_server = match installed(&root, "dhcpd") {
            Some(dhcpd) => LeaseServer::Dhcpd(dhcpd),
            None => {
                installed(&root, "dnsmasq").map(LeaseServer::Dnsmasq).ok_or_else(|| LabError::Missing {
                    what: "a DHCP server (package isc-dhcp-server, unpacked)".into(),
                    path: root.join("usr/sbin/dhcpd"),
                    remedy: REMEDY,
                })?
            }
        };
        let program = |name: &str, package: &str| {
            installed(&root, name).ok_or_else(|| LabError::Missing {
                what: format!("{name} (package {package})"),
                path: PathBuf::from(name),
                remedy: REMEDY,
            })
        };
        let file = |path: &str, package: &str| {
            let unpacked = root.join(path);
            let system = Path::new("/").join(path);
            if unpacked.exists() {
                return Ok(unpacked);
            }
            if system.exists() {
                return Ok(system);
            }
            Err(LabError::Missing {
                what: format!("a file of package {package}"),
                path: system,
                remedy: REMEDY,
            })
        };
        let loader = file("usr/lib/ipxe/undionly.kpxe", "ipxe")?;
        file("usr/lib/ipxe/snponly.efi", "ipxe")?;
        for program in ["ip", "unshare"] {
            installed(&root, program).ok_or_else(|| LabError::Missing {
                what: format!("the program {program} (packages iproute2, util-linux)"),
                path: PathBuf::from(program),
                remedy: "apt-get install iproute2 util-linux",
            })?;
        }
        if !agent.exists() {
            return Err(LabError::Missing {
                what: "the static kpc-agent (KPC_AGENT names it)".into(),
                path: agent,
                remedy: "cargo xtask lab",
            });
        }
        Ok(Self {
            kernel,
            modules,
            agent,
            lease_server,
            busybox: program("busybox", "busybox-static")?,
            qemu: program("qemu-system-x86_64", "qemu-system-x86")?,
            ipxe_iso: file("usr/lib/ipxe/ipxe.iso", "ipxe")?,
            loaders: loader.parent().unwrap_or(Path::new("/")).to_owned(),
            e1000_rom: file("usr/lib/ipxe/qemu/pxe-e1000.rom", "ipxe-qemu")?,
            ovmf_code: file("usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf")?,
            ovmf_vars: file("usr/share/OVMF/OVMF_VARS_4M.fd", "ovmf")?,
            root,
        })
    }

    /// `LD_LIBRARY_PATH` for programs of the unpacked tree.
    #[must_use]
    pub fn library_path(&self) -> String {
        let dirs = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib"];
        dirs.map(|dir| self.root.join(dir).display().to_string()).join(":")
    }
}

/// A program in the unpacked tree, else in the system.
fn installed(root: &Path, name: &str) -> Option<PathBuf> {
    let dirs = ["usr/sbin", "usr/bin", "sbin", "bin"];
    let unpacked = dirs.map(|dir| root.join(dir).join(name));
    let system = dirs.map(|dir| Path::new("/").join(dir).join(name));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = std::env::split_paths(&path).map(|dir| dir.join(name)).collect();
    unpacked.into_iter().chain(system).chain(path).find(|path| path.is_file())
}

/// The kernel and its modules: the newest of the unpacked tree.
fn kernel(root: &Path) -> Result<(PathBuf, PathBuf)> {
    let boot = root.join("boot");
    let missing = |path: PathBuf| LabError::Missing {
        what: "the kernel (package linux-image-amd64, unpacked)".into(),
        path,
        remedy: REMEDY,
    };
    let mut versions: Vec<String> = std::fs::read_dir(&boot)
        .map_err(|_| missing(boot.join("vmlinuz-*")))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_prefix("vmlinuz-").map(str::to_owned))
        .collect();
    versions.sort();
    let version = versions.pop().ok_or_else(|| missing(boot.join("vmlinuz-*")))?;
    let kernel = boot.join(format!("vmlinuz-{version}"));
    for lib in ["lib/modules", "usr/lib/modules"] {
        let modules = root.join(lib).join(&version);
        if modules.is_dir() {
            return Ok((kernel, modules));
        }
    }
    Err(missing(root.join("lib/modules").join(version)))
}
