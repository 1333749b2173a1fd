//! `bench-bootcfg`: processor time per request at 1, 100 and 10,000 groups, assets, start, idle memory, 100,000 groups,
//! edits, and 10,000 half-open connections, of bootcfgd as it is installed.
//!
//! matchbox cannot be installed from Debian: its figures are recorded ones, scaled by how fast this machine parses JSON
//! with serde_json now and then. Template engines render the same template in the same run. Every request has another
//! mac and uuid, and the server keeps nothing by them. Each line with a target says whether it holds.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]

mod client;
mod data;
mod peers;
mod server;

use std::time::{Duration, Instant};

use client::{Client, half_open};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use server::Child;

/// Rounds of each case; in each the servers of every size have one batch, so that what disturbs one disturbs all.
const ROUNDS: usize = 21;
/// Requests of one batch.
const REQUESTS: usize = 200;
/// How much more a request may cost among 10,000 groups than with one.
const MOST_GROWTH: f64 = 1.2;

struct Case {
    name: &'static str,
    path: &'static str,
    /// Microseconds of processor time at 1, 100 and 10,000 groups (matchbox master, Go 1.27.3, two cores).
    recorded: [f64; 3],
    /// Microseconds that a request may cost here.
    most: Option<f64>,
}

const fn case(name: &'static str, path: &'static str, recorded: [f64; 3], most: Option<f64>) -> Case {
    Case { name, path, recorded, most }
}

const CASES: [Case; 6] = [
    case("/ipxe", "ipxe", [65.0, 1260.0, 142_000.0], Some(50.0)),
    case("/metadata", "metadata", [56.0, 1230.0, 142_000.0], None),
    case("/generic 10 KiB", "generic", [630.0, 1870.0, 140_000.0], None),
    case("/ignition raw 10 KiB", "ignition", [1800.0, 3100.0, 143_000.0], Some(100.0)),
    case("/ignition raw 100 KiB", "ignition", [13_800.0, 16_100.0, 152_000.0], Some(1000.0)),
    case("/ignition YAML 10 KiB", "ignition", [39_000.0, 40_000.0, 186_000.0], Some(2000.0)),
];
/// serde_json reading 1 MiB into a Value where the figures were recorded.
const RECORDED_PARSE: Duration = Duration::from_micros(3140);

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    raise_descriptor_limit();
    let scale = peers::serde_json_parse().as_secs_f64() / RECORDED_PARSE.as_secs_f64();
    println!(
        "this machine reads JSON in {scale:.2} of the recorded time; recorded figures are multiplied by that\n"
    );
    let everywhere = sched_getaffinity(Pid::from_raw(0)).unwrap();
    sched_setaffinity(Pid::from_raw(0), &first_of(&everywhere)).unwrap();
    requests(scale, if quick { 100 } else { REQUESTS });
    sched_setaffinity(Pid::from_raw(0), &everywhere).unwrap();
    peers::templates();
    assets();
    start_and_idle();
    many_groups();
    edits();
    crowd(if quick { 1000 } else { 10_000 });
}

fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
}

/// The first processor of a set.
fn first_of(set: &CpuSet) -> CpuSet {
    let mut first = CpuSet::new();
    let number = (0..CpuSet::count()).find(|&number| set.is_set(number).unwrap()).unwrap();
    first.set(number).unwrap();
    first
}

/// Whether a target is met.
fn verdict(met: bool) -> &'static str {
    if met { "holds" } else { "misses" }
}

fn median<T: Copy + PartialOrd>(list: &mut [T]) -> T {
    list.sort_by(|a, b| a.partial_cmp(b).unwrap());
    list[list.len() / 2]
}

fn requests(scale: f64, count: usize) {
    println!(
        "processor time of bootcfgd per request, µs (least of {ROUNDS} batches of {count}; growth: median of"
    );
    println!(
        "{ROUNDS} rounds over the batch with one group in the same round; another mac and uuid each time)"
    );
    println!("client and server share a processor, so that no request pays for waking another one");
    println!("{:24} {:>7} {:>9} {:>20} {:>7}", "", "groups", "ours", "matchbox, recorded", "growth");
    for (number, case) in CASES.iter().enumerate() {
        let sizes = [1, 100, 10_000];
        let dirs = sizes.map(|groups| data::store(groups, number));
        let children = dirs.each_ref().map(|dir| Child::start(dir.path()));
        let mut clients = children.each_ref().map(|child| Client::connect(child.addr));
        let mut asked = 0;
        let mut batch = |at: usize| {
            let before = children[at].cpu();
            for _ in 0..count {
                asked += 1;
                let (path, mac) = (case.path, data::mac(asked * 7919 % sizes[at]));
                let uuid = format!("{asked:08x}-0000-4000-8000-000000000000");
                let answer = clients[at].get(&format!("/{path}?uuid={uuid}&mac={mac}"));
                assert_eq!(answer.status, 200, "{path}");
            }
            (children[at].cpu() - before).as_secs_f64() * 1e6 / count as f64
        };
        (0..sizes.len()).for_each(|at| _ = batch(at));
        let rounds: Vec<[f64; 3]> = (0..ROUNDS).map(|_| [batch(0), batch(1), batch(2)]).collect();
        for (at, groups) in sizes.iter().enumerate() {
            let least = rounds.iter().map(|round| round[at]).fold(f64::INFINITY, f64::min);
            let mut growths: Vec<f64> = rounds.iter().map(|round| round[at] / round[0]).collect();
            let growth = median(&mut growths);
            let mut told = Vec::new();
            if let Some(most) = case.most {
                told.push(format!("≤ {most:.0} µs {}", verdict(least <= most)));
            }
            if at == 2 {
                told.push(format!("≤ {MOST_GROWTH} x {}", verdict(growth <= MOST_GROWTH)));
            }
            let recorded = case.recorded[at] * scale;
            let told = told.join(", ");
            println!("{:24} {groups:>7} {least:>9.1} {recorded:>20.0} {growth:>6.2}x  {told}", case.name);
        }
    }
    println!();
}

fn assets() {
    const SIZE: usize = 200 << 20;
    let dir = data::store(1, 0);
    std::fs::write(dir.path().join("assets/big"), vec![7; SIZE]).unwrap();
    let child = Child::start(dir.path());
    let peer = peers::file_server(&dir.path().join("assets"));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..7 {
        ours.push(Client::connect(child.addr).download("/assets/big", SIZE));
        if let Some(peer) = &peer {
            theirs.push(Client::connect(peer.addr).download("/big", SIZE));
        }
    }
    let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    println!("/assets, 200 MiB from the page cache, MB/s, median of 7 pairs");
    println!("{:24} {:>9.0}", "ours", median(&mut ours));
    if let Some(peer) = &peer {
        let (theirs, ratio) = (median(&mut theirs), median(&mut ratios));
        println!("{:24} {theirs:>9.0}   ours / theirs {ratio:.2}, ≥ 1 {}", peer.name, verdict(ratio >= 1.0));
    }
    println!("{:24} {:>9}\n", "matchbox, recorded", 1300);
}

fn start_and_idle() {
    let dir = data::store(1, 0);
    let mut times: Vec<Duration> = (0..15)
        .map(|_| {
            let begin = Instant::now();
            let child = Child::start(dir.path());
            assert_eq!(Client::connect(child.addr).get("/ipxe?mac=52:54:00:00:00:00").status, 200);
            begin.elapsed()
        })
        .collect();
    let (middle, least) = (median(&mut times), times[0]);
    let child = Child::start(dir.path());
    assert_eq!(Client::connect(child.addr).get("/ipxe?mac=52:54:00:00:00:00").status, 200);
    println!(
        "start to the first answer: least {least:?}, median {middle:?}, ≤ 4 ms {} (matchbox, recorded: 4.3 ms, 5.9 ms)",
        verdict(middle <= Duration::from_millis(4))
    );
    let memory = child.memory("VmRSS");
    println!(
        "resident when idle: {memory} KiB, ≤ 6 MB {} (matchbox, recorded: 14,400)\n",
        verdict(memory * 1024 <= 6_000_000)
    );
}

fn many_groups() {
    let dir = data::store(100_000, 0);
    let begin = Instant::now();
    let child = Child::start(dir.path());
    assert_eq!(Client::connect(child.addr).get(&format!("/ipxe?mac={}", data::mac(99_999))).status, 200);
    let took = begin.elapsed();
    let (cpu, memory) = (child.cpu(), child.memory("VmHWM"));
    println!(
        "100,000 groups: first answer after {took:?}, ≤ 2 s {}; {cpu:?} of processor time",
        verdict(took <= Duration::from_secs(2))
    );
    println!("  resident at most {memory} KiB, ≤ 200 MB {}", verdict(memory * 1024 <= 200_000_000));
    edit_of(dir.path(), &child, 100_000);
}

fn edits() {
    for groups in [100, 10_000] {
        let dir = data::store(groups, 0);
        let child = Child::start(dir.path());
        edit_of(dir.path(), &child, groups);
    }
    println!();
}

/// How long it takes until an edited group is answered with its new metadata.
fn edit_of(dir: &std::path::Path, child: &Child, groups: usize) {
    let mut client = Client::connect(child.addr);
    let mut edit = |number: usize, role: &str| {
        let begin = Instant::now();
        data::edit(dir, number, role);
        let want = format!("ROLE={role}\n");
        loop {
            let answer = client.get(&format!("/metadata?mac={}", data::mac(number)));
            if String::from_utf8_lossy(&answer.body).contains(&want) {
                return begin.elapsed();
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "the edit is seen");
        }
    };
    edit(1, "first");
    let mut times: Vec<Duration> = (0..21).map(|round| edit(round * 3 % 90, &format!("r{round}"))).collect();
    let middle = median(&mut times);
    println!(
        "an edit among {groups} groups is answered after {middle:?} (median of 21), at most {:?}, ≤ 100 ms {}",
        times[20],
        verdict(times[20] <= Duration::from_millis(100))
    );
}

fn crowd(count: usize) {
    let dir = data::store(100, 0);
    let child = Child::start(dir.path());
    let run = |child: &Child| {
        let mut client = Client::connect(child.addr);
        let mut times: Vec<Duration> = (0..4000)
            .map(|number| {
                let begin = Instant::now();
                assert_eq!(client.get(&format!("/ipxe?mac={}", data::mac(number % 100))).status, 200);
                begin.elapsed()
            })
            .collect();
        times.sort();
        (times[2000], times[3960])
    };
    let three = |child: &Child| {
        let runs = [run(child), run(child), run(child)];
        (median(&mut runs.map(|run| run.0)), median(&mut runs.map(|run| run.1)))
    };
    run(&child);
    let idle = three(&child);
    let held = half_open(child.addr, count);
    let crowded = three(&child);
    println!(
        "{} half-open connections: p50 {:?}, p99 {:?} (idle {:?}, {:?}; medians of 3 runs), p99 < 2 x idle {}",
        held.len(),
        crowded.0,
        crowded.1,
        idle.0,
        idle.1,
        verdict(held.len() == count && crowded.1 < idle.1 * 2)
    );
    let memory = child.memory("VmHWM");
    println!("  resident at most {memory} KiB, < 64 MB {}", verdict(memory * 1024 < 64_000_000));
}
