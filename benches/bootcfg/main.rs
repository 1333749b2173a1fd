//! `bench-bootcfg`: processor time per request at 1, 100 and 10,000 groups, assets, start, idle memory, 100,000 groups,
//! and 10,000 half-open connections, against our server in a process of its own.
//!
//! matchbox cannot be installed from Debian: its figures are recorded ones, scaled by how fast this machine parses JSON
//! with serde_json now and then. Template engines render the same template in the same run. Every request has another
//! mac and uuid, and the server keeps nothing by them.
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
use server::Child;

/// Batches of each case; the least is printed, as for the recorded figures.
const BATCHES: usize = 5;
/// Requests of one batch, for the quick and the slow cases.
const REQUESTS: usize = 400;

/// Case, path, recorded microseconds at 1, 100 and 10,000 groups (matchbox master, Go 1.27.3, two cores).
const CASES: [(&str, &str, [Option<f64>; 3]); 6] = [
    ("/ipxe", "ipxe", [Some(65.0), Some(1260.0), Some(142_000.0)]),
    ("/metadata", "metadata", [Some(56.0), Some(1230.0), Some(142_000.0)]),
    ("/generic 10 KiB", "generic", [Some(630.0), Some(1870.0), Some(140_000.0)]),
    ("/ignition raw 10 KiB", "ignition", [Some(1800.0), Some(3100.0), Some(143_000.0)]),
    ("/ignition raw 100 KiB", "ignition", [Some(13_800.0), Some(16_100.0), Some(152_000.0)]),
    ("/ignition YAML 10 KiB", "ignition", [Some(39_000.0), Some(40_000.0), Some(186_000.0)]),
];
/// serde_json reading 1 MiB into a Value where the figures were recorded.
const RECORDED_PARSE: Duration = Duration::from_micros(3140);

fn main() {
    if let Some(dir) = std::env::args().nth(1).filter(|argument| argument != "--quick") {
        return server::run(std::path::Path::new(&dir));
    }
    let quick = std::env::args().any(|argument| argument == "--quick");
    let scale = peers::serde_json_parse().as_secs_f64() / RECORDED_PARSE.as_secs_f64();
    println!(
        "this machine reads JSON in {scale:.2} of the recorded time; recorded figures are multiplied by that\n"
    );
    requests(scale, if quick { 100 } else { REQUESTS });
    peers::templates();
    assets();
    start_and_idle();
    many_groups();
    crowd(if quick { 1000 } else { 10_000 });
}

fn requests(scale: f64, count: usize) {
    println!("processor time of the server per request, µs (least of {BATCHES} batches of {count})");
    println!("{:24} {:>7} {:>9} {:>20} {:>7}", "", "groups", "ours", "matchbox, recorded", "ratio");
    for (case, (name, path, recorded)) in CASES.iter().enumerate() {
        let mut first = None;
        for (groups, recorded) in [1, 100, 10_000].into_iter().zip(recorded) {
            let dir = data::store(groups, case);
            let child = Child::start(dir.path());
            let mut client = Client::connect(child.addr);
            let mut number = 0;
            let mut batch = || {
                let before = child.cpu();
                for _ in 0..count {
                    number += 1;
                    let mac = data::mac(number * 7919 % groups);
                    let answer = client
                        .get(&format!("/{path}?uuid={number:08x}-0000-4000-8000-000000000000&mac={mac}"));
                    assert_eq!(answer.status, 200, "{path}");
                }
                (child.cpu() - before).as_secs_f64() * 1e6 / count as f64
            };
            batch();
            let least = (0..BATCHES).map(|_| batch()).fold(f64::INFINITY, f64::min);
            let first = *first.get_or_insert(least);
            let recorded = recorded.map_or("-".to_string(), |recorded| format!("{:.0}", recorded * scale));
            println!("{name:24} {groups:>7} {least:>9.1} {recorded:>20} {:>6.2}x", least / first);
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
    let median = |list: &mut Vec<f64>| {
        list.sort_by(f64::total_cmp);
        list.get(list.len() / 2).copied().unwrap_or_default()
    };
    let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    println!("/assets, 200 MiB from the page cache, MB/s, median of 7 pairs");
    println!("{:24} {:>9.0}", "ours", median(&mut ours));
    if let Some(peer) = &peer {
        println!("{:24} {:>9.0}   ours / theirs {:.2}", peer.name, median(&mut theirs), median(&mut ratios));
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
    times.sort();
    let child = Child::start(dir.path());
    println!(
        "start to the first answer: least {:?}, median {:?} (matchbox, recorded: 4.3 ms, 5.9 ms)",
        times[0], times[7]
    );
    println!("resident when idle: {} KiB (matchbox, recorded: 14,400)\n", child.memory("VmRSS"));
}

fn many_groups() {
    let dir = data::store(100_000, 0);
    let begin = Instant::now();
    let child = Child::start(dir.path());
    let took = begin.elapsed();
    let (cpu, memory) = (child.cpu(), child.memory("VmHWM"));
    println!("100,000 groups: loaded in {took:?}, {cpu:?} of processor time, at most {memory} KiB");
    let mut client = Client::connect(child.addr);
    let version = |client: &mut Client| client.get(&format!("/metadata?mac={}", data::mac(1))).body;
    let before = version(&mut client);
    let begin = Instant::now();
    data::edit(dir.path(), 1);
    while version(&mut client) == before {
        assert!(begin.elapsed() < Duration::from_secs(20), "the edit is seen");
    }
    println!("an edit among them is answered after {:?}", begin.elapsed());
    drop(child);
    let dir = data::store(100, 0);
    let child = Child::start(dir.path());
    let mut client = Client::connect(child.addr);
    let before = version(&mut client);
    let begin = Instant::now();
    data::edit(dir.path(), 1);
    while version(&mut client) == before {}
    println!("an edit among 100 after {:?}\n", begin.elapsed());
}

fn crowd(count: usize) {
    let dir = data::store(100, 0);
    let child = Child::start(dir.path());
    let p99 = |child: &Child| {
        let mut client = Client::connect(child.addr);
        let mut times: Vec<Duration> = (0..2000)
            .map(|number| {
                let begin = Instant::now();
                assert_eq!(client.get(&format!("/ipxe?mac={}", data::mac(number % 100))).status, 200);
                begin.elapsed()
            })
            .collect();
        times.sort();
        (times[1000], times[1980])
    };
    p99(&child);
    let idle = p99(&child);
    let held = half_open(child.addr, count);
    let crowded = p99(&child);
    println!(
        "{} half-open connections: p50 {:?}, p99 {:?} (idle {:?}, {:?})",
        held.len(),
        crowded.0,
        crowded.1,
        idle.0,
        idle.1
    );
    println!("resident at most {} KiB", child.memory("VmHWM"));
}
