//! What the IPMI bench stands on: virtual BMCs, ipmi_sim, peers' programs, and runs measured in a process of their own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipmi::command::chassis::{BootFlags, ChassisControl};
use ipmi::crypto::keys::Secret;
use ipmi::driver::{BmcServer, Machine, MachineError};
use ipmi::responder::{Config, Faults};
use ipmi::session::UserName;
use nix::sys::resource::{UsageWho, getrusage};

pub(crate) type Failure = Box<dyn std::error::Error>;

/// The port of every BMC here.
pub(crate) const PORT: u16 = 16_623;

/// The time, for measurements.
#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A machine that is always on.
#[derive(Debug)]
pub(crate) struct AlwaysOn;

impl Machine for AlwaysOn {
    async fn power(&mut self, _: ChassisControl) -> Result<(), MachineError> {
        Ok(())
    }
    async fn boot_device(&mut self, _: BootFlags) -> Result<(), MachineError> {
        Ok(())
    }
    async fn status(&mut self) -> Result<bool, MachineError> {
        Ok(true)
    }
}

/// Starts a virtual BMC that answers `delay` late.
pub(crate) fn bmc(addr: SocketAddr, delay: Duration) -> Result<(), Failure> {
    let mut config = Config::new([1; 16], UserName::new(b"root")?, Secret::new(b"calvin")?);
    config.faults = Faults { delay, ..Faults::default() };
    let server = BmcServer::bind(addr, config)?;
    tokio::spawn(server.run(AlwaysOn, Arc::new(|_| {}), std::future::pending()));
    Ok(())
}

/// The address of BMC `n` of a bed; `bed` keeps beds apart.
pub(crate) fn addr(bed: u8, n: usize) -> SocketAddr {
    let (third, fourth) = ((n / 250) as u8, (n % 250) as u8 + 1); // at most 1000 BMCs
    (Ipv4Addr::new(127, bed, third, fourth), PORT).into()
}

fn peers() -> PathBuf {
    let place = std::env::var_os("KPC_PEERS_DIR").map(PathBuf::from);
    place.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers"))
}

/// A peer's program: unpacked, or installed.
pub(crate) fn peer(name: &str) -> Option<PathBuf> {
    let root = peers().join("root");
    let places = [root.join("usr/bin"), root.join("usr/sbin"), "/usr/bin".into(), "/usr/sbin".into()];
    let found = places.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        println!("{name} is missing: cargo xtask deps");
    }
    found
}

/// A command that finds the libraries and data unpacked beside the peers.
pub(crate) fn command(program: &Path) -> Command {
    let root = peers().join("root");
    let mut command = Command::new(program);
    let folders = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/blas"];
    let places = folders.map(|place| root.join(place));
    let places = places.map(|place| place.display().to_string());
    command.env("LD_LIBRARY_PATH", places.join(":"));
    command.env("NMAPDIR", root.join("usr/share/nmap"));
    command
}

/// ipmi_sim without a chassis program, so that it forks nothing; ends with the value.
#[derive(Debug)]
pub(crate) struct Sim {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

impl Sim {
    /// Starts it at this address.
    pub(crate) fn start(addr: SocketAddr) -> Result<Option<Self>, Failure> {
        let Some(program) = peer("ipmi_sim") else { return Ok(None) };
        let folder = tempfile::tempdir()?;
        let conf = include_str!("../../tests/tests/ipmi_support/lan.conf.in")
            .replace("@ADDR@", &addr.ip().to_string())
            .replace("@PORT@", &addr.port().to_string())
            .replace("@GUID@", "a123456789abcdefa123456789ab0001")
            .replace("@KG@", "")
            .replace("@CTL@", "");
        std::fs::write(folder.path().join("lan.conf"), conf)?;
        std::fs::write(
            folder.path().join("sim.emu"),
            include_str!("../../tests/tests/ipmi_support/sim.emu"),
        )?;
        std::fs::create_dir(folder.path().join("state"))?;
        let mut command = command(&program);
        command.current_dir(folder.path()).args(["-n", "-c", "lan.conf", "-f", "sim.emu", "-s", "state"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Some(Self { child: command.spawn()?, _folder: folder }))
    }
}

/// One run of a program.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    /// Wall time.
    pub(crate) wall: f64,
    /// CPU seconds of it and its children.
    pub(crate) cpu: f64,
    /// Peak resident memory of the largest process, in MB.
    pub(crate) peak: f64,
    /// Lines it wrote that contain the wanted word.
    pub(crate) lines: usize,
}

/// `--measure WORD PROGRAM ARGUMENTS…`: runs it, counts lines with the word, prints the figures. In a process of its
/// own, because the kernel keeps one peak for all children.
pub(crate) fn measure(arguments: &[String]) -> Result<(), Failure> {
    let [word, program, arguments @ ..] = arguments else { return Err("nothing to measure".into()) };
    let start = now();
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    let wall = start.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let cpu = seconds(usage.user_time()) + seconds(usage.system_time());
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter(|line| line.contains(word.as_str())).count();
    println!("{wall} {cpu} {} {lines}", usage.max_rss() as f64 / 1024.0);
    Ok(())
}

/// Measures one run without holding the runtime.
pub(crate) async fn run(word: &str, program: &Path, arguments: Vec<String>) -> Result<Run, Failure> {
    let mut command = command(&std::env::current_exe()?);
    command.arg("--measure").arg(word).arg(program).args(arguments).stderr(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let text = String::from_utf8(output.stdout)?;
    let fields: Vec<f64> = text.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    match fields.as_slice() {
        [wall, cpu, peak, lines] => Ok(Run { wall: *wall, cpu: *cpu, peak: *peak, lines: *lines as usize }),
        _ => Err(format!("{}: no figures", program.display()).into()),
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The word for a target.
pub(crate) fn verdict(holds: bool) -> &'static str {
    if holds { "holds" } else { "misses" }
}
