//! The Ansible inventory of a thousand registered machines: the engine's text, and `kpc inventory --list` as a whole
//! process against a running `kpc serve` over a store that holds them, and what that server keeps resident. Peer (recorded, docs of the original): a script
//! over etcd, 0.41 s and more for three hosts.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use fleet::inventory::{Include, list_text};
use fleet::store::{Keeper, RedbStore, Store as _};
use fleet::{
    Bmc, Command as Order, Config, Facts, Fleet, Interface, Mac, NewMachine, Provision, Registration, Role,
    Selector, Sighting, Timestamp,
};
use kpc_benches::shipped;

type Failure = Box<dyn std::error::Error>;

/// Machines.
const MACHINES: u32 = 1000;
/// Runs of each measurement; the median counts.
const RUNS: usize = 51;
/// DESIGN 6 and issue 9.
const TARGET: Duration = Duration::from_millis(10);

/// Issue 9: what an idle server keeps resident, KiB.
const RESIDENT: u64 = 20 * 1024;
/// How long a server is left alone before it counts as idle.
const REST: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("bench-inventory: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Failure> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("fleet.redb");
    let mut keeper = Keeper::open(Config::default(), RedbStore::open(&path)?)?;
    let filled = keeper.change(now(0), fill)?;
    filled?;
    let text = list_text(keeper.fleet(), Include::Registered);
    // The store gives its records in another order than they were made in.
    let again = Fleet::restore(Config::default(), keeper.store().load()?);
    let stable = text == list_text(&again, Include::Registered);
    println!("{MACHINES} machines, {} octets, the same after a restart: {stable}", text.len());
    let engine = median(|| list_text(keeper.fleet(), Include::Registered).len());
    let mut good = stable & told("engine's text", engine);
    drop(keeper);
    let empty = tempfile::tempdir()?;
    let fresh = RedbStore::open(empty.path().join("fleet.redb"))?;
    let nothing = list_text(Keeper::open(Config::default(), fresh)?.fleet(), Include::Registered);
    let (Some(served), Some(idle)) = (served(folder.path(), &text)?, served(empty.path(), &nothing)?) else {
        println!("whole process: left out, it needs root and the binary kpc beside this one");
        return Ok(good);
    };
    good &= told("kpc inventory --list, whole process", served.took);
    for (what, resident) in [("no machine", idle.resident), ("1000 machines", served.resident)] {
        let held = resident <= RESIDENT;
        let word = if held { "holds" } else { "misses" };
        println!("kpc serve at rest, {what}: {resident} KiB resident, target {RESIDENT} KiB: {word}");
        good &= held;
    }
    Ok(good)
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn median(mut act: impl FnMut() -> usize) -> Duration {
    let mut took: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let began = Instant::now();
            std::hint::black_box(act());
            began.elapsed()
        })
        .collect();
    took.sort_unstable();
    took.get(RUNS / 2).copied().unwrap_or_default()
}

fn told(what: &str, took: Duration) -> bool {
    let good = took <= TARGET;
    let word = if good { "holds" } else { "misses" };
    println!("{what}: {took:.2?} (median of {RUNS}), target {TARGET:?}: {word}");
    good
}

fn now(n: u32) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + u64::from(n))
}

/// Adds, orders, claims and registers every machine.
fn fill(fleet: &mut Fleet) -> Result<(), String> {
    for n in 0..MACHINES {
        let [_, _, c, d] = n.to_be_bytes();
        let mac = Mac([0x52, 0x54, 0, 0, c, d]);
        let address = [10, 101, c, d].into();
        let new = NewMachine {
            name: format!("rack{}-{:03}", n / 40, n % 40),
            macs: vec![mac],
            bmc: Some(Bmc::at([10, 100, c, d].into())),
            rack: Some(format!("r{}", n / 40)),
            roles: vec!["compute".to_owned()],
            ..NewMachine::default()
        };
        let name = new.name.clone();
        let said = |refusal: fleet::Refusal| refusal.to_string();
        fleet.command(now(n), "bench", Order::AddMachine(new)).map_err(said)?;
        let order = Provision::new(Selector::Names(vec![name.clone()]), "live", Role::Live);
        fleet.command(now(n), "bench", Order::Provision(order)).map_err(said)?;
        let mut fresh = [7; 16];
        fresh.iter_mut().zip(n.to_be_bytes()).for_each(|(slot, octet)| *slot = octet);
        let claim = fleet.claim(now(n), &Sighting::of(mac), fresh).map_err(|refused| refused.to_string())?;
        let interface = Interface { name: "eno1".into(), mac: Some(mac), addresses: vec![address] };
        let facts = Facts {
            hostname: name,
            serial: format!("S{n:06}"),
            interfaces: vec![interface],
            ..Facts::default()
        };
        let registration =
            Registration { claim: Some(claim.secret), key: None, peer: Some(address), uuid: None, facts };
        fleet.register(now(n), &registration).map_err(|refused| refused.to_string())?;
    }
    Ok(())
}

/// A running server, ended with this.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What was measured of a running server.
struct Served {
    /// A whole `kpc inventory --list`.
    took: Duration,
    /// The server's resident memory before it was asked for anything, KiB.
    resident: u64,
}

/// A process' resident memory, KiB.
fn resident(pid: u32) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Whole processes: `None` where that cannot be run here.
#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn served(folder: &Path, wanted: &str) -> Result<Option<Served>, Failure> {
    let kpc = shipped("kpc")?;
    if !kpc.exists() || !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    for part in ["loaders", "bootcfg/groups", "bootcfg/profiles"] {
        std::fs::create_dir_all(folder.join(part))?;
    }
    let config = folder.join("kpc.toml");
    let text = format!(
        "data_dir = \"{0}\"\nsocket = \"{0}/kpc.sock\"\n[network.mgmt]\ninterface = \"eth0\"\naddress = \"10.9.9.1\"\n",
        folder.display()
    );
    std::fs::File::create(&config)?.write_all(text.as_bytes())?;
    let script = "ip link set lo up && ip link add eth0 type veth peer name wire0 && \
                  ip addr add 10.9.9.1/24 dev eth0 && ip link set eth0 up && ip link set wire0 up && exec \"$@\"";
    let mut server = Command::new("unshare");
    server.args(["--net", "sh", "-c", script, "sh"]).arg(&kpc);
    server.args(["--log-level", "error", "serve", "--keep-root-privileges", "--config"]).arg(&config);
    let server = Server(server.stdout(Stdio::null()).spawn()?);
    let list = || -> std::io::Result<Vec<u8>> {
        let mut list = Command::new(&kpc);
        list.arg("--socket").arg(folder.join("kpc.sock")).args(["inventory", "--list"]);
        Ok(list.stderr(Stdio::null()).output()?.stdout)
    };
    let began = Instant::now();
    while !folder.join("kpc.sock").exists() {
        if began.elapsed() > Duration::from_secs(20) {
            return Err("kpc serve does not answer".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(REST);
    let resident = resident(server.0.id())?;
    if list()? != wanted.as_bytes() {
        return Err("the served inventory is not the engine's".into());
    }
    Ok(Some(Served { took: median(|| list().map_or(0, |text| text.len())), resident }))
}
