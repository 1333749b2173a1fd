//! TFTP beside its peers: throughput, CPU, system calls, many clients, half-open requests, loss.
//!
//! `cargo xtask bench tftp [-- PART…]`; parts: one, calls, many, half-open, loss. Servers run in one network
//! namespace, the client in another, joined by veth. Runs of all servers are interleaved; a ratio is the
//! median over pairs of neighbouring runs with its least and greatest. `BENCH_PAIRS` (default 9) says how many.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]
#![allow(clippy::disallowed_methods, reason = "benches own clocks and sockets")]

mod floor;
mod load;
mod net;
mod server;

use load::{Job, Result as Run};
use net::{Awake, Net};
use server::{Kind, Server};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tftp::driver::{Directory, OpenRequest, Opened, Refusal, ServerConfig, Source};

pub(crate) type Outcome<T> = std::result::Result<T, String>;

pub(crate) const SERVER_NS: &str = "kpc-bench-s";
pub(crate) const CLIENT_NS: &str = "kpc-bench-c";

const MIB: u64 = 1 << 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["serve", address, root] => serve(address, root, false),
        ["rendered", address, root] => serve(address, root, true),
        ["floor", address, root] => std::fs::read(Path::new(root).join("bench.bin"))
            .map_err(|error| error.to_string())
            .and_then(|file| floor::serve(parse(address)?, &file)),
        ["async", address, root] => serve_async(address, root),
        ["load", rest @ ..] => load_child(rest),
        ["half-open", rest @ ..] => half_open_child(rest),
        parts => bench(parts),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> Outcome<T> {
    text.parse().map_err(|_| format!("`{text}` is not understood"))
}

/// The file out of a directory, or the same octets from memory as a rendered file would be.
struct Both(Directory, Option<bytes::Bytes>);

/// A server with its p99 times, client retries, peak memory, and how many rounds failed.
type Series = (Kind, Vec<f64>, Vec<f64>, Vec<f64>, usize);

impl Source for Both {
    async fn open(&self, request: OpenRequest) -> std::result::Result<Opened, Refusal> {
        match &self.1 {
            Some(bytes) => Ok(Opened::bytes(bytes.clone())),
            None => self.0.open(request).await,
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn serve(address: &str, root: &str, rendered: bool) -> Outcome<()> {
    let text = |error: std::io::Error| error.to_string();
    let directory = Directory::open(root).map_err(text)?;
    let bytes =
        rendered.then(|| std::fs::read(Path::new(root).join("bench.bin"))).transpose().map_err(text)?;
    let server = tftp::driver::Server::bind(parse(address)?, ServerConfig::default());
    let server = server.map_err(|error| error.to_string())?;
    let source = Both(directory, bytes.map(Into::into));
    server.run(source, Arc::new(|_| {}), std::future::pending()).await.map_err(|error| error.to_string())
}

fn serve_async(address: &str, root: &str) -> Outcome<()> {
    let text = |error: async_tftp::Error| error.to_string();
    futures_lite::future::block_on(async {
        let builder = async_tftp::server::TftpServerBuilder::with_dir_ro(root).map_err(text)?;
        builder.bind(parse(address)?).build().await.map_err(text)?.serve().await.map_err(text)
    })
}

fn job(words: &[&str]) -> Outcome<Job> {
    let &[server, octets, block, window, clients, loss_per_mille, seed] = words else {
        return Err("load SERVER OCTETS BLOCK WINDOW CLIENTS LOSS SEED".into());
    };
    Ok(Job {
        server: parse(server)?,
        octets: parse(octets)?,
        block: parse(block)?,
        window: parse(window)?,
        clients: parse(clients)?,
        loss_per_mille: parse(loss_per_mille)?,
        seed: parse(seed)?,
    })
}

fn load_child(words: &[&str]) -> Outcome<()> {
    let Run { seconds, complete, retries, median, p99 } = load::run(&job(words)?)?;
    println!("{seconds} {complete} {retries} {median} {p99}");
    Ok(())
}

/// Half-open requests, then one real read, whose time it prints.
fn half_open_child(words: &[&str]) -> Outcome<()> {
    let (count, rest) = words.split_first().ok_or("half-open COUNT …")?;
    let job = job(rest)?;
    let sockets = load::half_open(&job, parse(count)?)?;
    std::thread::sleep(Duration::from_millis(300));
    let Run { seconds, complete, retries, median, p99 } = load::run(&job)?;
    println!("{seconds} {complete} {retries} {median} {p99}");
    drop(sockets);
    Ok(())
}

/// Runs a client in its namespace.
fn client(prefix: &[String], job: &Job) -> Outcome<Run> {
    let myself = std::env::current_exe().map_err(|error| error.to_string())?;
    let Job { server, octets, block, window, clients, loss_per_mille, seed } = job;
    let numbers = [*octets, u64::from(*block), u64::from(*window), *clients as u64, *loss_per_mille, *seed];
    let output = Command::new("ip")
        .args(["netns", "exec", CLIENT_NS])
        .arg(myself)
        .args(prefix)
        .arg(server.to_string())
        .args(numbers.map(|number| number.to_string()))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        &[seconds, complete, retries, median, p99] => {
            Ok(Run { seconds, complete: complete as usize, retries: retries as u64, median, p99 })
        }
        _ => Err(text),
    }
}

struct Bench {
    pairs: usize,
    root: PathBuf,
    _folder: tempfile::TempDir,
    _net: Net,
}

fn bench(parts: &[&str]) -> Outcome<()> {
    let parts: Vec<&str> = parts.iter().filter(|part| **part != "--").copied().collect();
    let pairs = std::env::var("BENCH_PAIRS").ok().and_then(|pairs| pairs.parse().ok()).unwrap_or(9);
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let bench = Bench { pairs, root: folder.path().to_owned(), _folder: folder, _net: Net::new()? };
    let _awake = Awake::new();
    let wanted = |part: &str| parts.is_empty() || parts.contains(&part);
    if wanted("one") {
        bench.one_client()?;
    }
    if wanted("calls") {
        bench.system_calls()?;
    }
    if wanted("many") {
        bench.many_clients()?;
    }
    if wanted("half-open") {
        bench.half_open()?;
    }
    if wanted("loss") {
        bench.loss()?;
    }
    Ok(())
}

const ALL: [Kind; 7] =
    [Kind::Ours, Kind::Floor, Kind::Rendered, Kind::AsyncTftp, Kind::Atftpd, Kind::Hpa, Kind::Dnsmasq];

fn address() -> SocketAddr {
    SocketAddr::from(([10, 99, 0, 1], 69))
}

impl Bench {
    fn file(&self, octets: u64) -> Outcome<()> {
        let mut file = vec![0_u8; octets as usize];
        let mut state = 1_u64;
        for word in file.chunks_exact_mut(8) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            word.copy_from_slice(&state.to_le_bytes());
        }
        std::fs::write(self.root.join("bench.bin"), file).map_err(|error| error.to_string())
    }

    fn start(&self, kind: Kind) -> Option<Server> {
        match Server::start(kind, address(), &self.root) {
            Ok(Some(server)) => Some(server),
            Ok(None) => None,
            Err(error) => {
                println!("{error}");
                None
            }
        }
    }

    fn job(octets: u64, window: u16, clients: usize) -> Job {
        Job { server: address(), octets, block: 1468, window, clients, loss_per_mille: 0, seed: 1 }
    }

    /// 64 MiB to one client.
    fn one_client(&self) -> Outcome<()> {
        const OCTETS: u64 = 64 * MIB;
        self.file(OCTETS)?;
        println!(
            "\n64 MiB, one client, blksize 1468, veth, {} rounds: MB/s, CPU seconds per GiB, ours/it",
            self.pairs
        );
        for window in [1, 4, 16, 64] {
            let kinds = ALL.iter().filter(|kind| window == 1 || kind.has_windows());
            let mut series: Vec<(Kind, Vec<f64>, Vec<f64>)> =
                kinds.map(|&kind| (kind, Vec::new(), Vec::new())).collect();
            for _ in 0..self.pairs {
                for (kind, rates, cpu) in &mut series {
                    let Some(server) = self.start(*kind) else { continue };
                    let run = client(&["load".into()], &Self::job(OCTETS, window, 1))?;
                    let rate = if run.complete == 1 { OCTETS as f64 / run.seconds / 1e6 } else { 0.0 };
                    rates.push(rate);
                    cpu.push(server.usage().cpu * (1 << 30) as f64 / OCTETS as f64);
                }
            }
            let ours = series.first().map(|(_, rates, _)| rates.clone()).unwrap_or_default();
            for (kind, rates, cpu) in &series {
                let ratios: Vec<f64> = ours.iter().zip(rates).map(|(ours, it)| ours / it).collect();
                println!(
                    "  W{window:<3} {:<11} {:7.0} MB/s  {:5.2} s/GiB  {}",
                    kind.name(),
                    median(rates),
                    median(cpu),
                    spread(&ratios)
                );
            }
        }
        Ok(())
    }

    /// System calls per block, by strace.
    fn system_calls(&self) -> Outcome<()> {
        const OCTETS: u64 = 4 * MIB;
        self.file(OCTETS)?;
        println!("\nsystem calls per 1468-octet block (strace -c, 4 MiB)");
        for window in [1, 16, 64] {
            for kind in ALL.into_iter().filter(|kind| window == 1 || kind.has_windows()) {
                let Some(server) = self.start(kind) else { continue };
                let report = self.root.join("strace");
                let strace = Command::new("strace")
                    .args(["-f", "-c", "-o"])
                    .arg(&report)
                    .args(["-p", &server.id().to_string()])
                    .stdin(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn();
                let Ok(mut strace) = strace else {
                    println!("  strace is missing");
                    return Ok(());
                };
                std::thread::sleep(Duration::from_millis(500));
                client(&["load".into()], &Self::job(OCTETS, window, 1))?;
                drop(server);
                let _ = strace.wait();
                let text = std::fs::read_to_string(&report).unwrap_or_default();
                let total = text.lines().find(|line| line.ends_with("total"));
                let calls = total.and_then(|line| line.split_whitespace().nth(3)?.parse::<f64>().ok());
                let blocks = (OCTETS / 1468 + 1) as f64;
                println!("  W{window:<3} {:<11} {:5.2}", kind.name(), calls.unwrap_or(f64::NAN) / blocks);
            }
        }
        Ok(())
    }

    /// Many clients of 1 MiB.
    fn many_clients(&self) -> Outcome<()> {
        self.file(MIB)?;
        let rounds = self.pairs.min(5);
        println!(
            "\nN clients at once, 1 MiB each, blksize 1468, {rounds} rounds: p99 s, client retries, peak MiB"
        );
        for (clients, window) in [(1, 1), (16, 1), (256, 1), (1000, 1), (1000, 16)] {
            let kinds = ALL.iter().filter(|kind| window == 1 || kind.has_windows());
            let mut series: Vec<Series> =
                kinds.map(|&kind| (kind, Vec::new(), Vec::new(), Vec::new(), 0)).collect();
            for _ in 0..rounds {
                for (kind, p99, retries, peak, lost) in &mut series {
                    let Some(server) = self.start(*kind) else { continue };
                    let run = client(&["load".into()], &Self::job(MIB, window, clients))?;
                    p99.push(run.p99);
                    retries.push(run.retries as f64);
                    peak.push(server.usage().peak_kib as f64 / 1024.0);
                    *lost += clients - run.complete;
                }
            }
            let ours = series.first().map(|(_, p99, ..)| p99.clone()).unwrap_or_default();
            for (kind, p99, retries, peak, lost) in series.iter().filter(|(_, p99, ..)| !p99.is_empty()) {
                let ratios: Vec<f64> = ours.iter().zip(p99).map(|(ours, it)| ours / it).collect();
                let most = |numbers: &[f64]| numbers.iter().copied().fold(0.0, f64::max);
                println!(
                    "  N{clients:<5} W{window:<3} {:<11} p99 {:7.3} s  retries {:5.0}  peak {:7.1} MiB  unfinished {lost}  {}",
                    kind.name(),
                    median(p99),
                    most(retries),
                    most(peak),
                    spread(&ratios)
                );
            }
        }
        Ok(())
    }

    /// 10,000 requests that are never answered, and one that is.
    fn half_open(&self) -> Outcome<()> {
        self.file(MIB)?;
        println!("\n10,000 half-open requests, then one client of 1 MiB at window 16");
        let count = 10_000;
        for kind in [Kind::Ours, Kind::Atftpd] {
            let Some(server) = self.start(kind) else { continue };
            let run = client(&["half-open".into(), count.to_string()], &Self::job(MIB, 16, 1));
            let usage = server.usage();
            match run {
                Ok(run) => println!(
                    "  {:<11} real client done after {:.3} s ({} complete), peak {:.1} MiB",
                    kind.name(),
                    run.seconds,
                    run.complete,
                    usage.peak_kib as f64 / 1024.0
                ),
                Err(error) => println!("  {:<11} {error}", kind.name()),
            }
        }
        Ok(())
    }

    /// One in a hundred packets lost each way.
    fn loss(&self) -> Outcome<()> {
        self.file(MIB)?;
        println!(
            "\n1 % loss each way, 1 MiB, blksize 1468, client retries after 1 s: seconds, median (least..greatest)"
        );
        for window in [1, 4, 16, 64] {
            for kind in [Kind::Ours, Kind::Floor, Kind::Atftpd, Kind::AsyncTftp] {
                let ours = kind == Kind::Ours;
                let rounds = if ours { self.pairs } else { self.pairs.min(3) };
                let mut seconds = Vec::new();
                for round in 0..rounds {
                    let Some(server) = self.start(kind) else { continue };
                    let job = Job { loss_per_mille: 10, seed: round as u64 + 1, ..Self::job(MIB, window, 1) };
                    let started = Instant::now();
                    let run = client(&["load".into()], &job)?;
                    seconds.push(if run.complete == 1 {
                        run.seconds
                    } else {
                        started.elapsed().as_secs_f64()
                    });
                    drop(server);
                }
                if !seconds.is_empty() {
                    println!("  W{window:<3} {:<11} {}", kind.name(), spread(&seconds));
                }
            }
        }
        Ok(())
    }
}

fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn spread(numbers: &[f64]) -> String {
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let most = numbers.iter().copied().fold(0.0, f64::max);
    format!("{:.2} ({least:.2}..{most:.2})", median(numbers))
}
