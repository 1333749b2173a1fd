//! proxy-dhcpd beside dnsmasq over a veth: the same generator, interleaved runs, medians of the ratios.
//!
//! `cargo xtask bench proxy-dhcp`. `BENCH_PAIRS` (default 5) says how many pairs. Needs root for network namespaces.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]
#![allow(clippy::disallowed_methods, reason = "benches own clocks and sockets")]

#[path = "proxy_dhcp/generator.rs"]
mod generator;
#[path = "proxy_dhcp/server.rs"]
mod server;

use generator::{Generator, Kind, Run};
use proxy_dhcp::wire::Message;
use proxy_dhcp::{Arrival, BootRequest, Policy, Port, Responder, Subnet};
use server::{Net, Peer, Server};
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

/// What is timed, on one packet.
type Work<'a> = Box<dyn FnMut(&[u8]) + 'a>;

fn main() {
    decode();
    let net = Net::new();
    let pairs: usize = std::env::var("BENCH_PAIRS").ok().and_then(|pairs| pairs.parse().ok()).unwrap_or(5);
    println!(
        "\nclosed loop (offers/s, p50/p99 µs, server CPU µs per offer), median of {pairs} interleaved pairs"
    );
    for (name, kind, window) in [
        ("1 in flight, BIOS", Kind::Bios, 1),
        ("8 in flight, BIOS", Kind::Bios, 8),
        ("64 in flight, BIOS", Kind::Bios, 64),
        ("64 in flight, x64 UEFI", Kind::Uefi, 64),
        ("64 in flight, iPXE", Kind::Ipxe, 64),
    ] {
        let count = if window == 1 { 30_000 } else { 150_000 };
        compare(&net, name, pairs, &[Peer::Ours, Peer::Dnsmasq], |generator, server| {
            server.measure(|| generator.closed(kind, window, count))
        });
    }
    println!("\nopen loop (lost, p50/p99 µs)");
    for rate in [20_000, 40_000, 80_000, 160_000] {
        compare(
            &net,
            &format!("{rate}/s, BIOS"),
            pairs,
            &[Peer::Ours, Peer::Dnsmasq],
            |generator, server| server.measure(|| generator.open(Kind::Bios, rate, 2 * rate)),
        );
    }
    println!("\nburst of DISCOVERs at once");
    for burst in [256, 1024, 4096] {
        compare(&net, &format!("{burst}"), 1, &[Peer::Ours, Peer::Dnsmasq], |generator, server| {
            server.measure(|| generator.burst(Kind::Bios, burst))
        });
    }
    println!("\nlogging every answer to a file, JSON, against none");
    compare(&net, "64 in flight, BIOS", pairs, &[Peer::OursLogging, Peer::Ours], |generator, server| {
        server.measure(|| generator.closed(Kind::Bios, 64, 150_000))
    });
    println!("\nmemory after a million machines");
    let server = Server::start(&net, Peer::Ours);
    let run = Generator::new(&net).closed(Kind::Bios, 64, 1_000_000);
    println!("  ours: {} answered, {} kB resident at most", run.answered, server.peak_kib());
}

/// Interleaved runs; each server is started for its run and answers from the first packet.
fn compare(
    net: &Net,
    name: &str,
    pairs: usize,
    peers: &[Peer; 2],
    measure: impl Fn(&mut Generator, &Server) -> Run,
) {
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
}

/// Time to read one packet, and to read, decide and write the answer.
fn decode() {
    let packets = [
        generator::discover(Kind::Bios, 1, 1),
        generator::discover(Kind::Uefi, 2, 2),
        generator::discover(Kind::Ipxe, 3, 3),
    ];
    let responder = Responder::new(Policy::default_for("http://{server}:8080/boot.ipxe"));
    let subnets = [Subnet { address: Ipv4Addr::new(10, 77, 0, 1), mask: Ipv4Addr::new(255, 255, 255, 0) }];
    let source = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
    let arrival = Arrival { interface: "eth0", subnets: &subnets, port: Port::Dhcp, source };
    let time = |name: &str, mut work: Work<'_>| {
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
    };
    time(
        "decode: message and every option",
        Box::new(|packet| {
            let message = Message::parse(packet).unwrap();
            black_box(message.options().iter().fold(0, |sum, option| sum + option.value.len()));
        }),
    );
    time(
        "decode: all facts of a boot request",
        Box::new(|packet| {
            black_box(BootRequest::new(Message::parse(packet).unwrap(), arrival));
        }),
    );
    let mut buffer = Vec::with_capacity(1472);
    time(
        "decode, decide and encode the answer",
        Box::new(move |packet| {
            let request = BootRequest::new(Message::parse(packet).unwrap(), arrival);
            buffer.clear();
            black_box(responder.respond(&request).unwrap().encode(&mut buffer));
        }),
    );
}
