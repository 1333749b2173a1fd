//! Every kind of firmware, beside dhcpd and dnsmasq as lease server, on our host and on another, several times each,
//! with the time of every phase. Long: `cargo xtask interop firmware` runs it (KPC_SLOW_TESTS).
//!
//! `KPC_FIRMWARE_RUNS` (default 3) and `KPC_FIRMWARE_CLIENTS` (names, default all) narrow it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_methods, clippy::print_stderr)]

mod proxy_dhcp_net;

use kpc_tests::is_root;
use proxy_dhcp_net::LeaseServer;
use proxy_dhcp_net::firmware::{Client, Phases, Scene, Variant};
use std::time::Duration;

fn wanted() -> bool {
    let wanted = std::env::var_os("KPC_SLOW_TESTS").is_some();
    if !wanted {
        eprintln!("skipped: takes long; run: cargo xtask interop firmware");
    }
    wanted && is_root()
}

fn runs() -> u32 {
    std::env::var("KPC_FIRMWARE_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(3)
}

fn clients() -> Vec<Client> {
    let names = std::env::var("KPC_FIRMWARE_CLIENTS").unwrap_or_default();
    let all = Client::ALL.into_iter();
    all.filter(|client| names.is_empty() || names.split(',').any(|name| name == format!("{client:?}")))
        .collect()
}

fn seconds(time: Option<f32>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| format!("{time:.1}"))
}

#[test]
fn every_firmware_boots_beside_every_lease_server() {
    if !wanted() {
        return;
    }
    let mut failed = Vec::new();
    println!("| client | lease server | run | answered | loader | script | marker |");
    println!("|---|---|---|---|---|---|---|");
    for client in clients() {
        for kind in [LeaseServer::Dhcpd, LeaseServer::Dnsmasq { bind_interfaces: false }] {
            for apart in [false, true] {
                for run in 1..=runs() {
                    let name = match kind {
                        LeaseServer::Dhcpd => "dhcpd",
                        LeaseServer::Dnsmasq { .. } => "dnsmasq",
                    };
                    let place = if apart { "apart" } else { "same host" };
                    let (phases, logs) = boot(client, kind, apart);
                    let Some(phases) = phases else { continue };
                    let Phases { answered, loader, script, marker } = phases;
                    println!(
                        "| {client:?} | {name}, {place} | {run} | {} | {} | {} | {} |",
                        seconds(answered),
                        seconds(loader),
                        seconds(script),
                        seconds(marker)
                    );
                    if marker.is_none() {
                        failed.push(format!("{client:?} beside {name}, {place}, run {run}\n{logs}"));
                    }
                }
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn boot(client: Client, kind: LeaseServer, apart: bool) -> (Option<Phases>, String) {
    // GRUB takes its server from the lease only.
    let secure = client == Client::UefiSecureBoot;
    if secure && !matches!(kind, LeaseServer::Dhcpd) {
        return (None, String::new());
    }
    let variant =
        Variant { apart, lease: if secure { "next-server 10.77.0.1;" } else { "" }, ..Variant::default() };
    let Some(scene) = Scene::new(client, kind, variant) else { return (None, String::new()) };
    let phases = scene.boot(client, Duration::from_secs(240));
    let logs = scene.logs();
    scene.stop();
    (phases, logs)
}

/// The router-advertisement responder against dnsmasq without one: time to the script, median of five, interleaved.
#[test]
fn advertisements_shorten_the_chain() {
    if !wanted() {
        return;
    }
    for (client, bound) in [(Client::BiosChain, 0.35), (Client::UefiPxe, 0.75)] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            for (times, dnsmasq_proxy) in [(&mut ours, false), (&mut theirs, true)] {
                let proxy: &[&str] = &["--answer-router-solicitations"];
                let variant = Variant { dnsmasq_proxy, proxy: Some(proxy), ..Variant::default() };
                // dnsmasq cannot share port 67 with another dnsmasq: dhcpd leases in both.
                let Some(scene) = Scene::new(client, LeaseServer::Dhcpd, Variant { apart: true, ..variant })
                else {
                    return;
                };
                let phases = scene.boot(client, Duration::from_secs(240)).unwrap();
                times.push(
                    phases.marker.unwrap_or_else(|| panic!("{client:?}: {phases:?}\n{}", scene.logs())),
                );
                scene.stop();
            }
        }
        let median = |times: &mut Vec<f32>| {
            times.sort_by(f32::total_cmp);
            times[times.len() / 2]
        };
        let (a, b) = (median(&mut ours), median(&mut theirs));
        println!(
            "{client:?}: ours {ours:.1?} median {a:.1} s, dnsmasq {theirs:.1?} median {b:.1} s, ratio {:.2}",
            a / b
        );
        assert!(a / b <= bound, "{client:?}: {a:.1} s / {b:.1} s is above {bound}");
    }
}
