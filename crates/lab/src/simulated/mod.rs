//! Simulated machines: hundreds of them without an emulator, for `kpc lab up --no-vm`. Feature `simulated`. Each has a
//! virtual BMC and, once that is told to power it on, speaks what a machine speaks on real sockets: DHCP with its own
//! MAC, TFTP, HTTP as its firmware, iPXE and agent would. What is not simulated is the work inside: nothing is executed.
//!
//! ```text
//! deploy 10.77.0.1 ─┐
//! leases 10.77.0.2 ─┴─ br0 ── machines 10.77.0.3: addresses 10.77.16.1 …, BMCs 10.76.0.1 …
//! ```

mod boot;
mod chassis;
mod dhcp;
mod http;
mod lease;
mod network;
mod script;
mod tftp;

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::capture::Capture;
use crate::error::{LabError, Result};
use crate::machine::{Mac, Uuid};
use crate::namespace::Namespace;
use crate::network::{BRIDGE, Network};

pub use script::{Action, Script};

/// Most machines of a simulated lab: the addresses of its range.
pub const MAX_MACHINES: u16 = 4000;

/// How far behind the deploy host's programs the others stand for a processor (nice(2); threads have their own).
const OTHER_HOSTS: i32 = 10;

/// Reasons that are kept.
const FAILURES: usize = 100;

/// What to simulate.
#[derive(Clone, Debug)]
pub struct SimulatedConfig {
    /// Everything written lies below.
    pub dir: PathBuf,
    /// Up to [`MAX_MACHINES`].
    pub machines: u16,
    /// Octets of the loader that goes by TFTP; default 64 KiB.
    pub loader: usize,
    /// Octets of kernel and initrd together, halved, that go by HTTP; default 256 KiB.
    pub payload: usize,
    /// Administrator on every BMC.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Whether to write `capture.pcap`.
    pub capture: bool,
}

impl SimulatedConfig {
    /// Defaults for `machines` machines below `dir`.
    #[must_use]
    pub fn new(dir: &Path, machines: u16, user: &str, password: &str) -> Self {
        Self {
            dir: dir.to_owned(),
            machines,
            loader: 64 << 10,
            payload: 256 << 10,
            user: user.to_owned(),
            password: password.to_owned(),
            capture: false,
        }
    }
}

/// Who a simulated machine is.
#[derive(Clone, Debug)]
pub struct SimulatedMachine {
    /// `sim-0001`, …
    pub name: String,
    /// From 0.
    pub index: u16,
    /// Its only network card.
    pub mac: Mac,
    /// SMBIOS UUID and BMC GUID.
    pub uuid: Uuid,
    /// The lease it gets.
    pub address: Ipv4Addr,
    /// Where its BMC answers, UDP port 623.
    pub bmc: Ipv4Addr,
}

impl SimulatedMachine {
    /// Machine `index`.
    #[must_use]
    pub fn new(index: u16) -> Self {
        let [high, low] = index.saturating_add(1).to_be_bytes();
        Self {
            name: format!("sim-{:04}", index.saturating_add(1)),
            index,
            mac: Mac([0x52, 0x54, 0x00, 0x53, high, low]),
            uuid: Uuid([0x6b, 0x70, 0x63, 0x51, 0x1a, 0xb0, 0x40, 0x01, 0x80, 0, 0, 0, 0, 0, high, low]),
            address: Ipv4Addr::new(10, 77, 16_u8.saturating_add(high), low),
            bmc: Ipv4Addr::new(10, 76, high, low),
        }
    }
}

/// A packet of a machine from which others learn how far its boot is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sent {
    /// The machine's index.
    pub machine: u16,
    /// What it shows, in the word that the server has for the phase: `seen` (the firmware's first DISCOVER), `loader`
    /// (the last ACK of the loader's read), `script` (the request for it), `agent` and `registered` (the agent's POSTs).
    pub phase: &'static str,
    /// The wall clock just before it was sent.
    pub at: SystemTime,
}

/// How far the machines are.
#[derive(Debug, Default)]
pub struct Progress {
    started: AtomicUsize,
    registered: AtomicUsize,
    retries: AtomicUsize,
    failures: Mutex<Vec<String>>,
    sent: Mutex<Vec<Sent>>,
}

impl Progress {
    /// Boots begun.
    pub fn started(&self) -> usize {
        self.started.load(Ordering::Relaxed)
    }

    /// Boots that ended with a registration.
    pub fn registered(&self) -> usize {
        self.registered.load(Ordering::Relaxed)
    }

    /// Boots that failed, with the reason; the first hundred.
    pub fn failures(&self) -> Vec<String> {
        self.failures.lock().map(|failures| failures.clone()).unwrap_or_default()
    }

    fn fail(&self, reason: String) {
        if let Ok(mut failures) = self.failures.lock()
            && failures.len() < FAILURES
        {
            failures.push(reason);
        }
    }

    /// The packets that show progress, in the order sent.
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().map(|sent| sent.clone()).unwrap_or_default()
    }

    #[expect(clippy::disallowed_methods, reason = "a simulated machine has a clock")]
    fn sends(&self, machine: &SimulatedMachine, phase: &'static str) {
        if let Ok(mut sent) = self.sent.lock() {
            sent.push(Sent { machine: machine.index, phase, at: SystemTime::now() });
        }
    }

    /// Requests that had to be repeated: an answer that did not come, or one that said "later".
    pub fn retries(&self) -> usize {
        self.retries.load(Ordering::Relaxed)
    }
}

/// A standing simulated lab; dropping it ends everything.
#[derive(Debug)]
pub struct SimulatedLab {
    dir: PathBuf,
    network: Network,
    machines: Vec<SimulatedMachine>,
    progress: Arc<Progress>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    _capture: Option<Capture>,
}

impl SimulatedLab {
    /// Builds everything and leaves the machines powered off. The calling process must be in namespaces of its own
    /// ([`crate::sandbox`]).
    ///
    /// # Errors
    /// One line that says what is missing or failed.
    pub fn up(config: &SimulatedConfig) -> Result<Self> {
        if config.machines > MAX_MACHINES {
            return Err(LabError::Config(format!(
                "{}: {MAX_MACHINES} simulated machines at most",
                config.machines
            )));
        }
        lay_out_files(config)?;
        raise_file_limit()?;
        let machines: Vec<SimulatedMachine> = (0..config.machines).map(SimulatedMachine::new).collect();
        let (network, inside) = network::up(&config.dir, &machines)?;
        let capture =
            config.capture.then(|| Capture::start(BRIDGE, &config.dir.join("capture.pcap"))).transpose()?;
        let (stop, stopped) = watch::channel(false);
        let progress = Arc::new(Progress::default());
        let mut lab = Self {
            dir: config.dir.clone(),
            network,
            machines,
            progress: Arc::clone(&progress),
            stop,
            threads: Vec::new(),
            _capture: capture,
        };
        let leases = lab.network.leases.clone();
        lab.threads.push(run_inside("lease server", &leases, stopped.clone(), lease::serve)?);
        let fleet = boot::Fleet { machines: lab.machines.clone(), progress };
        let (user, password) = (config.user.clone(), config.password.clone());
        let work = move |stopped, ready| chassis::serve(fleet, user, password, stopped, ready);
        lab.threads.push(run_inside("machines", &inside, stopped, work)?);
        Ok(lab)
    }

    /// The machines.
    #[must_use]
    pub fn machines(&self) -> &[SimulatedMachine] {
        &self.machines
    }

    /// The namespaces.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// How far the machines are.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Writes which packet was sent when to `logs/sent.tsv`: microseconds since 1970, machine, phase.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn write_sent(&self) -> Result<()> {
        let mut text = String::new();
        for sent in self.progress.sent() {
            let name = self.machines.get(usize::from(sent.machine)).map_or("", |machine| &machine.name);
            let micros = sent.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
            let _ = writeln!(text, "{micros}\t{name}\t{}", sent.phase); // a String takes what it is given
        }
        let path = self.dir.join("logs/sent.tsv");
        std::fs::write(&path, text).map_err(LabError::io(format!("write {}", path.display())))
    }

    /// The TFTP root.
    #[must_use]
    pub fn tftp_root(&self) -> PathBuf {
        self.dir.join("tftp")
    }

    /// The HTTP assets: `vmlinuz`, `initrd.img`.
    #[must_use]
    pub fn assets(&self) -> PathBuf {
        self.dir.join("assets")
    }
}

impl Drop for SimulatedLab {
    fn drop(&mut self) {
        let _ = self.stop.send(true); // all may have ended already
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Says once that a part stands, or why it does not.
type Ready = mpsc::Sender<Result<()>>;

/// Runs a future on a thread of its own inside a namespace, and returns once it says that it stands.
fn run_inside<F: Future<Output = ()>>(
    name: &str,
    namespace: &Namespace,
    stopped: watch::Receiver<bool>,
    work: impl FnOnce(watch::Receiver<bool>, Ready) -> F + Send + 'static,
) -> Result<JoinHandle<()>> {
    let (ready, is_ready) = mpsc::channel();
    let namespace = namespace.clone();
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let failed = ready.clone();
        // These are other hosts, whose work takes nothing from the deploy host. Where it may not be said, it is not.
        let _ = rustix::process::nice(OTHER_HOSTS);
        let ran = namespace.enter(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(LabError::io("start a runtime"))?;
            runtime.block_on(work(stopped, ready));
            Ok(())
        });
        if let Err(error) = ran {
            let _ = failed.send(Err(error)); // nobody waits once it stands
        }
    });
    let thread = thread.map_err(LabError::io("start a thread"))?;
    match is_ready.recv_timeout(Duration::from_secs(30)) {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(LabError::Config(format!("the {name} did not start"))),
    }
}

/// A loader, a kernel and an initrd of the sizes asked for; their octets do not repeat, so that a mix-up would show.
fn lay_out_files(config: &SimulatedConfig) -> Result<()> {
    for (path, length) in [
        ("tftp/undionly.kpxe", config.loader),
        ("tftp/snponly.efi", config.loader),
        ("assets/vmlinuz", config.payload / 2),
        ("assets/initrd.img", config.payload / 2),
        ("logs/.made", 0),
    ] {
        let path = config.dir.join(path);
        let parent = path.parent().unwrap_or(&config.dir);
        std::fs::create_dir_all(parent).map_err(LabError::io(format!("make {}", parent.display())))?;
        let mut contents = vec![0; length];
        testkit::SplitMix::new(length as u64).fill(&mut contents);
        std::fs::write(&path, contents).map_err(LabError::io(format!("write {}", path.display())))?;
    }
    Ok(())
}

/// A socket for every BMC and a connection for every machine: more than the usual 1024.
fn raise_file_limit() -> Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).map_err(LabError::errno("read the limit of open files"))?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(LabError::errno("raise the limit of open files"))
}
