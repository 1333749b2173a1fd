//! TFTP beside its peers: throughput, CPU, system calls, many clients, half-open requests, loss.
//!
//! `cargo xtask bench tftp`, or `bench-tftp PART [NUMBER…]…` for some of it: `throughput` (windows), `calls`,
//! `clients` (how many), `limits`, `loss` (windows). Servers run in one network namespace, the client in
//! another, joined by veth. Runs of all servers are interleaved; a ratio is the median over pairs of
//! neighbouring runs with its least and greatest. `BENCH_PAIRS` (default 9) says how many.
//!
//! The floor is a sender that does nothing but send. A server has one processor, its clients another
//! (in a crowd, peers with several processes or threads have both). An idle virtual processor is slow to wake, so a process
//! of the lowest priority keeps each awake; waking another one costs a server more than a block does, so its CPU seconds
//! are taken once more with the client on its own processor.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]
#![allow(clippy::disallowed_methods, reason = "benches own clocks and sockets")]

mod clients;
mod floor;
mod load;
mod loss;
mod net;
mod server;
mod throughput;

use kpc_benches::processors::{Awake, Side};
use load::{Job, Result as Run};
use net::Net;
use server::{Kind, Server};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tftp::driver::{Directory, OpenRequest, Opened, Refusal, ServerConfig, Source};

pub(crate) type Outcome<T> = std::result::Result<T, String>;

pub(crate) const SERVER_NS: &str = "kpc-bench-s";
pub(crate) const CLIENT_NS: &str = "kpc-bench-c";

pub(crate) const MIB: u64 = 1 << 20;

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
    // As tftpd does it.
    let config = ServerConfig { own_thread: true, ..ServerConfig::default() };
    let server = tftp::driver::Server::bind(parse(address)?, config);
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
        beside: false,
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
pub(crate) fn client(prefix: &[String], job: &Job) -> Outcome<Run> {
    let myself = std::env::current_exe().map_err(|error| error.to_string())?;
    let Job { server, octets, block, window, clients, loss_per_mille, seed, beside } = job;
    let numbers = [*octets, u64::from(*block), u64::from(*window), *clients as u64, *loss_per_mille, *seed];
    let mut command = Command::new("ip");
    command.args(["netns", "exec", CLIENT_NS]).arg(myself).args(prefix).arg(server.to_string());
    command.args(numbers.map(|number| number.to_string())).stdin(Stdio::null());
    let side = if *beside { Side::Server } else { Side::Client };
    let output = side.run(|| command.output()).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        &[seconds, complete, retries, median, p99] => {
            Ok(Run { seconds, complete: complete as usize, retries: retries as u64, median, p99 })
        }
        _ => Err(text),
    }
}

pub(crate) struct Bench {
    pub(crate) pairs: usize,
    root: PathBuf,
    _folder: tempfile::TempDir,
    _net: Net,
}

fn bench(words: &[&str]) -> Outcome<()> {
    const PARTS: [&str; 5] = ["throughput", "calls", "clients", "limits", "loss"];
    let mut parts: Vec<(&str, Vec<usize>)> = Vec::new();
    for word in words.iter().filter(|word| **word != "--") {
        match (PARTS.contains(word), word.parse(), parts.last_mut()) {
            (true, ..) => parts.push((word, Vec::new())),
            (false, Ok(number), Some((_, numbers))) => numbers.push(number),
            _ => return Err(format!("no part `{word}`; there are: {}", PARTS.join(", "))),
        }
    }
    if parts.is_empty() {
        parts.extend(PARTS.map(|part| (part, Vec::new())));
    }
    let pairs = std::env::var("BENCH_PAIRS").ok().and_then(|pairs| pairs.parse().ok()).unwrap_or(9);
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let bench = Bench { pairs, root: folder.path().to_owned(), _folder: folder, _net: Net::new()? };
    let _awake = Awake::new();
    for (part, numbers) in parts {
        let wanted = |number: usize| numbers.is_empty() || numbers.contains(&number);
        match part {
            "throughput" => bench.throughput(wanted)?,
            "calls" => bench.calls()?,
            "clients" => bench.clients(wanted)?,
            "limits" => bench.limits()?,
            _ => bench.loss(wanted)?,
        }
    }
    Ok(())
}

fn address() -> SocketAddr {
    SocketAddr::from(([10, 99, 0, 1], 69))
}

impl Bench {
    /// The file that all servers serve.
    pub(crate) fn file(&self, octets: u64) -> Outcome<()> {
        let mut file = vec![0_u8; octets as usize];
        let mut state = 1_u64;
        for word in file.chunks_exact_mut(8) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            word.copy_from_slice(&state.to_le_bytes());
        }
        std::fs::write(self.root.join("bench.bin"), file).map_err(|error| error.to_string())
    }

    /// A server; `None`, and a line that says why, if it cannot be had.
    pub(crate) fn start(&self, kind: Kind) -> Option<Server> {
        self.start_for(kind, 1)
    }

    /// A server for so many clients.
    pub(crate) fn start_for(&self, kind: Kind, clients: usize) -> Option<Server> {
        Server::start(kind, address(), &self.root, clients > 1).unwrap_or_else(|error| {
            println!("{error}");
            None
        })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn job(octets: u64, window: u16, clients: usize) -> Job {
        Job {
            server: address(),
            octets,
            block: 1468,
            window,
            clients,
            loss_per_mille: 0,
            seed: 1,
            beside: false,
        }
    }
}

/// Numbers of one kind, a run each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers(pub(crate) Vec<f64>);

impl Numbers {
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn most(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f64::max)
    }

    /// Run by run, these over those.
    pub(crate) fn over(&self, those: &Self) -> Self {
        Self(self.0.iter().zip(&those.0).map(|(this, that)| this / that).collect())
    }

    pub(crate) fn spread(&self) -> String {
        format!("{:.2} ({:.2}..{:.2})", self.median(), self.least(), self.most())
    }
}

/// Says whether a target is reached.
pub(crate) fn verdict(what: &str, figure: f64, most: f64) {
    let word = if figure <= most { "holds" } else { "misses" };
    println!("    {word:<6} {what}: {figure:.3}, at most {most:.3}");
}

/// Says whether a target is reached that is a least.
pub(crate) fn verdict_least(what: &str, figure: f64, least: f64) {
    let word = if figure >= least { "holds" } else { "misses" };
    println!("    {word:<6} {what}: {figure:.3}, at least {least:.3}");
}
