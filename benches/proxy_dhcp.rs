//! proxy-dhcpd beside dnsmasq over a veth: the same generator, interleaved runs, medians of the ratios.
//!
//! `cargo xtask bench proxy-dhcp`. `BENCH_PAIRS` (default 5) says how many pairs; `BENCH_ONLY`
//! (`decode;closed;turn;floor;open;burst;log;memory`, or whole names of lines) which parts. Needs root for network
//! namespaces. The server has one processor, the generator, which never sleeps, another; with one request in flight they
//! also take turns on one. The floor is a server of one call to receive and one to send,
//! once with nothing between them and once with the decision.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]
#![allow(clippy::disallowed_methods, reason = "benches own clocks and sockets")]

#[path = "proxy_dhcp/floor.rs"]
mod floor;
#[path = "proxy_dhcp/generator.rs"]
mod generator;
#[path = "proxy_dhcp/server.rs"]
mod server;

use generator::{Generator, Kind, Run};
use kpc_benches::processors::Side;
use proxy_dhcp::wire::Message;
use proxy_dhcp::{Arrival, BootRequest, Policy, Port, Responder, Subnet};
use server::{Net, Peer, Server};
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

/// What is timed, on one packet.
type Work<'a> = Box<dyn FnMut(&[u8]) + 'a>;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("floor") => floor::serve(false),
        Some("stateless") => floor::serve(true),
        _ => {}
    }
    let mut verdicts = Verdicts::default();
    Side::Client.run(|| measure(&mut verdicts));
    verdicts.print();
}

fn measure(verdicts: &mut Verdicts) {
    let only = std::env::var("BENCH_ONLY").unwrap_or_default();
    let wanted = |part: &str| only.is_empty() || only.split(';').any(|name| name == part);
    if wanted("decode") {
        decode(verdicts);
    }
    let net = Net::new();
    let pairs: usize = std::env::var("BENCH_PAIRS").ok().and_then(|pairs| pairs.parse().ok()).unwrap_or(5);
    let beside = [Peer::Ours, Peer::Dnsmasq];
    println!("\noffers/s, p50/p99 µs, server CPU µs per offer: medians of {pairs} interleaved pairs");
    let all = [
        ("closed loop, 1 in flight, BIOS", Kind::Bios, 1),
        ("closed loop, 8 in flight, BIOS", Kind::Bios, 8),
        ("closed loop, 64 in flight, BIOS", Kind::Bios, 64),
        ("closed loop, 64 in flight, x64 UEFI", Kind::Uefi, 64),
        ("closed loop, 64 in flight, iPXE", Kind::Ipxe, 64),
        ("closed loop, 64 in flight, x64 UEFI on port 4011", Kind::BootServer, 64),
    ];
    for (name, kind, window) in all.into_iter().filter(|one| wanted("closed") || wanted(one.0)) {
        let count = if window == 1 { 100_000 } else { 150_000 };
        let ratios = compare(&net, name, pairs, &beside, |generator, server| {
            server.measure(|| generator.closed(kind, window, count))
        });
        verdicts.at_least(&format!("{name}: offers per CPU second"), ratios.per_cpu, "x dnsmasq", 2.5);
    }
    if wanted("closed") || wanted("turn") {
        let name = "closed loop, 1 in flight on one processor, BIOS";
        let ratios = compare(&net, name, pairs, &beside, |generator, server| {
            server.measure(|| generator.in_turn(Kind::Bios, 100_000))
        });
        verdicts.at_least(&format!("{name}: offers per CPU second"), ratios.per_cpu, "x dnsmasq", 2.5);
    }
    if wanted("closed") || wanted("floor") {
        let one = |peers: &[Peer; 2]| {
            compare(&net, "closed loop, 1 in flight, BIOS", pairs, peers, |generator, server| {
                server.measure(|| generator.closed(Kind::Bios, 1, 100_000))
            })
        };
        let floor = one(&[Peer::Floor, Peer::Dnsmasq]).per_cpu;
        let stateless = one(&[Peer::Stateless, Peer::Dnsmasq]).per_cpu;
        let ours = one(&[Peer::Ours, Peer::Stateless]).per_cpu;
        println!(
            "  offers per CPU second: a bare echo {floor:.2} x dnsmasq's, one that decides and does nothing else \
             {stateless:.2} x dnsmasq's, ours {ours:.2} x that"
        );
    }
    for rate in [20_000, 40_000, 80_000, 160_000] {
        let name = format!("open loop, {rate}/s, BIOS");
        if !wanted("open") && !wanted(&name) {
            continue;
        }
        let ratios = compare(&net, &name, pairs, &beside, |generator, server| {
            server.measure(|| generator.open(Kind::Bios, rate, 2 * rate))
        });
        verdicts.at_least(&format!("{name}: offers per CPU second"), ratios.per_cpu, "x dnsmasq", 2.5);
    }
    for burst in [256, 1024, 4096].into_iter().filter(|_| wanted("burst")) {
        let ratios =
            compare(&net, &format!("burst of {burst} DISCOVERs at once"), 3, &beside, |generator, server| {
                server.measure(|| generator.burst(Kind::Bios, burst))
            });
        verdicts.at_most(&format!("burst of {burst} DISCOVERs: most lost in a run"), ratios.lost, "", 0.0);
    }
    for (flight, window, count) in [("1 in flight", 1, 100_000), ("64 in flight", 64, 150_000)] {
        let name = format!("logging, {flight}");
        if !wanted("log") && !wanted(&name) {
            continue;
        }
        println!("\nlogging every answer to a file, JSON, against none");
        let ratios = compare(&net, &name, pairs, &[Peer::OursLogging, Peer::Ours], |generator, server| {
            server.measure(|| generator.closed(Kind::Bios, window, count))
        });
        let cost = (1.0 - ratios.rate) * 100.0;
        verdicts.at_most(&format!("{name}: offers/s that it costs"), cost, "%", 10.0);
        // On two cores the writing thread, the server and the generator share what the rate shows; this they do not.
        let cost = (1.0 / ratios.per_cpu - 1.0) * 100.0;
        verdicts.at_most(&format!("{name}: CPU per offer that it costs"), cost, "%", 10.0);
    }
    if wanted("memory") {
        let server = Server::start(&net, Peer::Ours);
        let run = Generator::new(&net).closed(Kind::Bios, 64, 1_000_000);
        println!(
            "\na million machines: {} answered, {} kB resident at most",
            run.answered,
            server.peak_kib()
        );
        let resident = server.peak_kib() as f64 / 1024.0;
        verdicts.at_most("resident after a million machines", resident, "MiB", 8.0);
    }
}

/// What the figures say about the targets.
#[derive(Default)]
struct Verdicts(Vec<String>);

impl Verdicts {
    fn add(&mut self, holds: bool, what: &str, figure: f64, unit: &str, target: &str) {
        let word = if holds { "holds" } else { "misses" };
        self.0.push(format!("  {word:<6} {what}: {figure:.2} {unit} (target {target})"));
    }

    fn at_least(&mut self, what: &str, figure: f64, unit: &str, target: f64) {
        self.add(figure >= target, what, figure, unit, &format!("≥ {target}"));
    }

    fn at_most(&mut self, what: &str, figure: f64, unit: &str, target: f64) {
        self.add(figure <= target, what, figure, unit, &format!("≤ {target}"));
    }

    fn print(&self) {
        println!("\ntargets");
        self.0.iter().for_each(|line| println!("{line}"));
    }
}

/// Medians of the first peer's figures over the second's.
struct Ratios {
    rate: f64,
    per_cpu: f64,
    /// The most that the first peer left unanswered in one run.
    lost: f64,
}

/// Interleaved runs; each server is started for its run and answers from the first packet.
fn compare(
    net: &Net,
    name: &str,
    pairs: usize,
    peers: &[Peer; 2],
    measure: impl Fn(&mut Generator, &Server) -> Run,
) -> Ratios {
    let mut runs: [Vec<Run>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..pairs {
        for (peer, runs) in peers.iter().zip(&mut runs) {
            let server = Server::start(net, *peer);
            runs.push(measure(&mut Generator::new(net), &server));
        }
    }
    let ratios = |value: fn(&Run) -> f64| {
        let mut ratios: Vec<f64> = runs[0].iter().zip(&runs[1]).map(|(a, b)| value(a) / value(b)).collect();
        ratios.sort_by(f64::total_cmp);
        (ratios[ratios.len() / 2], ratios[0], ratios[ratios.len() - 1])
    };
    for (peer, runs) in peers.iter().zip(&runs) {
        let median = |value: fn(&Run) -> f64| {
            let mut values: Vec<f64> = runs.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        println!(
            "  {name} | {peer:?} | {:.0}/s | {:.0} of {} lost | p50 {:.0} p99 {:.0} | {:.2} µs CPU",
            median(Run::rate),
            median(|run| (run.asked - run.answered) as f64),
            runs[0].asked,
            median(|run| run.p50),
            median(|run| run.p99),
            median(Run::cpu),
        );
    }
    let ((rate, low, high), (cpu, less, more)) = (ratios(Run::rate), ratios(|run| 1.0 / run.cpu()));
    println!(
        "  {name} | ratio: offers/s {rate:.2} ({low:.2} to {high:.2}), offers per CPU second {cpu:.2} ({less:.2} to {more:.2})"
    );
    let lost = runs[0].iter().map(|run| (run.asked - run.answered) as f64).fold(0.0, f64::max);
    Ratios { rate, per_cpu: cpu, lost }
}

/// Time to read one packet, and to read, decide and write the answer.
fn decode(verdicts: &mut Verdicts) {
    let packets = [
        generator::discover(Kind::Bios, 1, 1),
        generator::discover(Kind::Uefi, 2, 2),
        generator::discover(Kind::Ipxe, 3, 3),
    ];
    let responder = Responder::new(Policy::default_for("http://{server}:8080/boot.ipxe"));
    let subnets = [Subnet { address: Ipv4Addr::new(10, 77, 0, 1), mask: Ipv4Addr::new(255, 255, 255, 0) }];
    let source = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
    let arrival = Arrival { interface: "eth0", subnets: &subnets, port: Port::Dhcp, source };
    let mut time = |name: &str, target: Option<f64>, mut work: Work<'_>| {
        let mut times: Vec<f64> = (0..9)
            .map(|_| {
                let start = Instant::now();
                for _ in 0..200_000 {
                    packets.iter().for_each(|packet| work(black_box(packet)));
                }
                start.elapsed().as_nanos() as f64 / 600_000.0
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{name}: {:.0} ns a packet (median of 9)", times[4]);
        if let Some(target) = target {
            verdicts.at_most(name, times[4], "ns", target);
        }
    };
    time(
        "decode: message and every option",
        Some(60.0),
        Box::new(|packet| {
            let message = Message::parse(packet).unwrap();
            black_box(message.options().iter().fold(0, |sum, option| sum + option.value.len()));
        }),
    );
    time(
        "decode: all facts of a boot request",
        Some(60.0),
        Box::new(|packet| {
            black_box(BootRequest::new(Message::parse(packet).unwrap(), arrival));
        }),
    );
    let mut buffer = Vec::with_capacity(1472);
    time(
        "decode, decide and encode the answer",
        None,
        Box::new(move |packet| {
            let request = BootRequest::new(Message::parse(packet).unwrap(), arrival);
            buffer.clear();
            black_box(responder.respond(&request).unwrap().encode(&mut buffer));
        }),
    );
}
