//! A lab that stands: network, lease server, capture, powered-off machines. Called by `kpc lab up` inside the
//! sandbox, and by tests.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::capture::Capture;
use crate::console::Console;
use crate::dir;
use crate::error::{LabError, Result};
use crate::initrd::{self, System};
use crate::kvm;
use crate::machine::{Firmware, Machine, MachineSpec};
use crate::network::{Attachment, BRIDGE, MAX_MACHINES, Network, pump_name};
use crate::parts::Parts;
use crate::process::Process;
use crate::pump::Pump;
use crate::qemu::{self, Accelerator, Files};
use crate::{disk_image, lease_server, medium};

/// How long QEMU may take to open its machine protocol.
const QMP_PATIENCE: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_millis(10);

/// What to build.
#[derive(Clone, Debug)]
pub struct LabConfig {
    /// Everything written lies below; see [`crate::LabDir`].
    pub dir: PathBuf,
    /// The programs and firmware.
    pub parts: Parts,
    /// Up to [`MAX_MACHINES`].
    pub machines: Vec<MachineSpec>,
    /// Whether to write `capture.pcap`.
    pub capture: bool,
}

/// A standing lab. Dropping it kills every process it started; the namespaces go with the last of them.
#[derive(Debug)]
pub struct Lab {
    dir: PathBuf,
    network: Network,
    accelerator: Accelerator,
    attachment: Attachment,
    machines: Vec<Machine>,
    processes: Vec<Process>,
    pumps: Vec<Pump>,
    capture: Option<Capture>,
}

impl Lab {
    /// Builds everything and leaves the machines powered off. The calling process must be in namespaces of its own
    /// ([`crate::sandbox`]).
    ///
    /// # Errors
    /// One line that says what is missing or failed.
    pub fn up(config: &LabConfig) -> Result<Self> {
        let LabConfig { dir, parts, .. } = config;
        let count = u8::try_from(config.machines.len()).ok().filter(|count| *count <= MAX_MACHINES);
        let count = count.ok_or_else(|| {
            LabError::Config(format!("{} machines: a lab has {MAX_MACHINES} at most", config.machines.len()))
        })?;
        for kind in ["logs", "tftp", "assets", "disks"] {
            let path = dir.join(kind);
            std::fs::create_dir_all(&path).map_err(LabError::io(format!("make {}", path.display())))?;
        }
        let sockets = dir::private_sockets(dir)?;
        lay_out_files(config)?;
        let accelerator = kvm::choose(parts, dir)?;
        let attachment = Attachment::choose()?;
        let network = Network::up(count, attachment)?;
        let logs = dir.join("logs");
        let capture =
            config.capture.then(|| Capture::start(BRIDGE, &dir.join("capture.pcap"))).transpose()?;
        let lease =
            network.leases.enter(|| lease_server::start(parts, dir, &fresh(&logs, "lease-server.log")))?;
        let mut lab = Self {
            dir: dir.clone(),
            network,
            accelerator,
            attachment,
            machines: Vec::new(),
            processes: vec![lease],
            pumps: Vec::new(),
            capture,
        };
        for (index, spec) in (0_u8..).zip(&config.machines) {
            let machine = Machine::new(index, spec.clone(), &logs, &sockets);
            if let Some(disk) = &spec.disk {
                disk_image::blank(parts, &machine.disk, disk)?;
            }
            let stream = (attachment == Attachment::Stream).then(|| sockets.join(format!("{index}.net")));
            if let Some(path) = &stream {
                lab.pumps.push(Pump::start(&pump_name(index), path)?);
            }
            lab.processes.push(start(parts, &machine, dir, accelerator, stream.as_deref())?);
            lab.machines.push(machine);
        }
        lab.wait_for_machines()?;
        lab.check()?;
        Ok(lab)
    }

    /// The machines, in the order of the configuration.
    #[must_use]
    pub fn machines(&self) -> &[Machine] {
        &self.machines
    }

    /// The namespaces.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// What executes the guests.
    #[must_use]
    pub fn accelerator(&self) -> Accelerator {
        self.accelerator
    }

    /// How the machines are plugged in.
    #[must_use]
    pub fn attachment(&self) -> Attachment {
        self.attachment
    }

    /// The lab's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where `undionly.kpxe` and `snponly.efi` lie: the TFTP root.
    #[must_use]
    pub fn tftp_root(&self) -> PathBuf {
        self.dir.join("tftp")
    }

    /// Where `vmlinuz` and `initrd.img` lie: the HTTP assets.
    #[must_use]
    pub fn assets(&self) -> PathBuf {
        self.dir.join("assets")
    }

    /// The capture of the bridge, where one runs.
    #[must_use]
    pub fn capture(&self) -> Option<&Path> {
        self.capture.as_ref().map(Capture::path)
    }

    /// Ends the capture, so that its file is whole.
    pub fn end_capture(&mut self) {
        self.capture = None;
    }

    /// What machine `index` has printed so far.
    #[must_use]
    pub fn console(&self, index: usize) -> Console {
        self.machines.get(index).map(|machine| Console::read(&machine.serial)).unwrap_or_default()
    }

    /// An error when any process of the lab has ended by itself.
    ///
    /// # Errors
    /// [`LabError::Ended`] names it and its log.
    pub fn check(&mut self) -> Result<()> {
        self.processes.iter_mut().try_for_each(Process::check)
    }

    /// Puts a process under the lab's care: [`Lab::check`] watches it, dropping the lab ends it.
    pub fn keep(&mut self, process: Process) {
        self.processes.push(process);
    }

    #[expect(clippy::disallowed_methods, reason = "the lab runs in real time")]
    fn wait_for_machines(&mut self) -> Result<()> {
        let start = Instant::now();
        while !self.machines.iter().all(|machine| listens(&machine.qmp)) {
            self.check()?;
            if start.elapsed() > QMP_PATIENCE {
                return Err(LabError::Config(format!(
                    "QEMU opened no socket in {} s",
                    QMP_PATIENCE.as_secs()
                )));
            }
            std::thread::sleep(TICK);
        }
        Ok(())
    }
}

/// Whether a process listens on a socket: the file is there a moment before. To try it would take QEMU's only place.
fn listens(path: &Path) -> bool {
    const ACCEPTS: &str = "00010000"; // __SO_ACCEPTCON in the column of flags, proc(5) /proc/net/unix
    let sockets = std::fs::read_to_string("/proc/thread-self/net/unix").unwrap_or_default();
    sockets.lines().any(|line| {
        let mut words = line.split_ascii_whitespace();
        words.nth(3) == Some(ACCEPTS) && words.nth(3).map(Path::new) == Some(path)
    })
}

/// An empty log file: the last lab's lines are not this one's.
fn fresh(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    let _ = std::fs::remove_file(&path); // usually there is none
    path
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to).map(drop).map_err(LabError::io(format!(
        "copy {} to {}",
        from.display(),
        to.display()
    )))
}

/// The boot medium, the loaders, the kernel, the initrd, and the image for disks.
fn lay_out_files(config: &LabConfig) -> Result<()> {
    let LabConfig { dir, parts, machines, .. } = config;
    for loader in ["undionly.kpxe", "snponly.efi"] {
        copy(&parts.loaders.join(loader), &dir.join("tftp").join(loader))?;
    }
    copy(&parts.kernel, &dir.join("assets/vmlinuz"))?;
    medium::write(&parts.ipxe_iso, &dir.join("medium.iso"))?;
    let initrd = dir.join("assets/initrd.img");
    let disks = machines.iter().any(|machine| machine.disk.is_some());
    std::fs::write(&initrd, initrd::build(parts, System::Network { disks })?)
        .map_err(LabError::io(format!("write {}", initrd.display())))?;
    if disks {
        disk_image::write(parts, &dir.join("disks"), &dir.join("assets").join(disk_image::ASSET))?;
    }
    Ok(())
}

fn start(
    parts: &Parts,
    machine: &Machine,
    dir: &Path,
    accelerator: Accelerator,
    stream: Option<&Path>,
) -> Result<Process> {
    let name = &machine.spec.name;
    let ovmf_vars = dir.join(format!("{name}.vars.fd"));
    if machine.spec.firmware == Firmware::Uefi {
        copy(&parts.ovmf_vars, &ovmf_vars)?;
    }
    let logs = dir.join("logs");
    fresh(&logs, &format!("{name}.serial.log"));
    let files = Files { medium: &dir.join("medium.iso"), stream, ovmf_vars: &ovmf_vars };
    let command = qemu::command(parts, machine, files, accelerator);
    Process::spawn(&format!("machine {name}"), command, &fresh(&logs, &format!("{name}.qemu.log")))
}
