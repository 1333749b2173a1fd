//! IPMI beside its peers, in one run: whole-process `power status`, fleets, requests on one session, a sweep.
//!
//! The BMCs are our own virtual ones in this process, so that every client meets the same; ipmitool and
//! FreeIPMI are taken from the system or from `target/peers/root`. A peer that is missing is left out.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipmi::command::chassis::{BootFlags, ChassisControl};
use ipmi::crypto::keys::Secret;
use ipmi::driver::{Bmc, BmcConfig, BmcServer, Credentials, Machine, MachineError, ScanConfig, scan};
use ipmi::responder::Config;
use ipmi::session::{Request, UserName};

type Failure = Box<dyn std::error::Error>;

/// The port of every BMC here.
const PORT: u16 = 16_623;
/// Runs of each measurement; the median counts.
const RUNS: usize = 7;

struct AlwaysOn;

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

fn addr(n: usize) -> SocketAddr {
    let (third, fourth) = ((n / 250) as u8, (n % 250) as u8 + 1);
    (Ipv4Addr::new(127, 61, third, fourth), PORT).into()
}

async fn bmcs(count: usize) -> Result<(), Failure> {
    for n in 0..count {
        let config = Config::new([1; 16], UserName::new(b"root")?, Secret::new(b"calvin")?);
        let run = BmcServer::bind(addr(n), config)?;
        tokio::spawn(run.run(AlwaysOn, Arc::new(|_| {}), std::future::pending()));
    }
    Ok(())
}

fn peer(name: &str) -> Option<(PathBuf, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers/root");
    let places = [root.join("usr/bin"), root.join("usr/sbin"), "/usr/bin".into(), "/usr/sbin".into()];
    let found = places.iter().map(|folder| folder.join(name)).find(|path| path.exists())?;
    Some((found, root.join("usr/lib/x86_64-linux-gnu")))
}

/// Wall time of one run of a program, which must succeed.
async fn timed(program: &Path, libraries: &Path, arguments: &[String]) -> Result<Duration, Failure> {
    let mut command = Command::new(program);
    command.args(arguments).env("LD_LIBRARY_PATH", libraries).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let run = move || -> std::io::Result<(bool, Duration)> {
        let start = now();
        let status = command.status()?;
        Ok((status.success(), start.elapsed()))
    };
    let (good, time) = tokio::task::spawn_blocking(run).await??;
    if good { Ok(time) } else { Err(format!("{} failed", program.display()).into()) }
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn now() -> Instant {
    Instant::now()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The contenders, interleaved; prints median and ratio to ours.
async fn contest(title: &str, contenders: &[(&str, PathBuf, PathBuf, Vec<String>)]) -> Result<(), Failure> {
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); contenders.len()];
    for _ in 0..RUNS {
        for ((_, program, libraries, arguments), times) in contenders.iter().zip(&mut times) {
            times.push(timed(program, libraries, arguments).await?);
        }
    }
    let medians: Vec<_> = times.into_iter().map(median).collect();
    let ours = medians.first().copied().unwrap_or_default();
    for ((name, ..), time) in contenders.iter().zip(&medians) {
        let ratio = time.as_secs_f64() / ours.as_secs_f64();
        println!("{title:<26} {name:<22} {:>9.2} ms  {ratio:>6.2} x", time.as_secs_f64() * 1e3);
    }
    Ok(())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<(), Failure> {
    bmcs(1000).await?;
    let folder = std::env::current_exe()?.parent().map(Path::to_path_buf).unwrap_or_default();
    let ours = folder.join("ipmi");
    if !ours.exists() {
        return Err(format!("{} is missing: cargo build --profile bench -p ipmi", ours.display()).into());
    }
    let login = format!("-U root -P calvin -C 3 -p {PORT}");
    let tool = |hosts: &str| words(&format!("-I lanplus -H {hosts} {login} power status"));
    let power = |hosts: &str| words(&format!("-D LAN_2_0 -I 3 -l ADMIN -h {hosts} -u root -p calvin --stat"));

    let one = addr(0).ip().to_string();
    let mut contenders = vec![("ours", ours.clone(), PathBuf::new(), tool(&one))];
    if let Some((program, libraries)) = peer("ipmitool") {
        contenders.push(("ipmitool -C 3", program, libraries, tool(&one)));
    }
    if let Some((program, libraries)) = peer("ipmipower") {
        contenders.push(("ipmipower", program, libraries, power(&format!("{one}:{PORT}"))));
    }
    contest("power status, one BMC", &contenders).await?;

    for count in [16usize, 64, 256, 1000] {
        let all: Vec<String> = (0..count).map(|n| addr(n).ip().to_string()).collect();
        let mut contenders = vec![("ours", ours.clone(), PathBuf::new(), tool(&all.join(",")))];
        if let Some((program, libraries)) = peer("ipmipower") {
            let hosts: Vec<_> = all.iter().map(|host| format!("{host}:{PORT}")).collect();
            contenders.push(("ipmipower", program, libraries, power(&hosts.join(","))));
        }
        contest(&format!("power status, {count} BMCs"), &contenders).await?;
    }

    let mut config = BmcConfig::new(addr(0), Credentials::new("root", b"calvin")?);
    config.session.window = 8;
    let mut bmc = Bmc::connect(config).await?;
    let requests = 3000;
    let start = now();
    bmc.request_all((0..requests).map(|_| Request::new(0x06, 0x01, Vec::new())).collect()).await?;
    println!(
        "one session, window 8        {:>9.0} requests/s",
        f64::from(requests) / start.elapsed().as_secs_f64()
    );
    bmc.close().await;

    let targets = (1..=254).map(|n| (Ipv4Addr::new(127, 61, 9, n), PORT).into()).chain((0..100).map(addr));
    let start = now();
    let found = scan(targets.collect(), ScanConfig::default(), |_| {}).await?;
    println!(
        "sweep, 100 BMCs of 354       {:>9.2} ms, {} found",
        start.elapsed().as_secs_f64() * 1e3,
        found.len()
    );
    Ok(())
}
