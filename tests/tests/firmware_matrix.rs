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
    let chains = [(Client::BiosChain, 0.35), (Client::UefiPxe, 0.75)];
    for (client, bound) in chains.into_iter().filter(|(client, _)| clients().contains(client)) {
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

/// A machine that stops, and the words that say why: live, from pcap and from pcapng.
struct Stop {
    name: &'static str,
    client: Client,
    proxy: &'static [&'static str],
    /// proxy-dhcpd's configuration file.
    config: &'static str,
    lease: &'static str,
    /// nft rules of the segment's bridge, then of the server's input.
    on_the_way: &'static str,
    at_the_server: &'static str,
    /// Another PXE responder, with a menu, is on the segment.
    rogue: bool,
    words: &'static str,
}

const UEFI: Stop = Stop {
    name: "",
    client: Client::UefiPxe,
    proxy: &["--answer-router-solicitations"],
    config: "",
    lease: "",
    on_the_way: "",
    at_the_server: "",
    rogue: false,
    words: "",
};

const STOPS: &[Stop] = &[
    Stop {
        name: "4011 blocked on the way",
        on_the_way: "udp dport 4011 drop",
        words: "no request on 4011",
        ..UEFI
    },
    Stop {
        name: "4011 dropped here",
        at_the_server: "udp dport 4011 drop",
        words: "a firewall on the server drop udp/4011",
        ..UEFI
    },
    Stop {
        name: "69 blocked on the way",
        on_the_way: "udp dport 69 drop",
        words: "no TFTP read of snponly.efi",
        ..UEFI
    },
    Stop {
        name: "69 dropped here",
        at_the_server: "udp dport 69 drop",
        words: "TFTP read of snponly.efi repeated",
        ..UEFI
    },
    Stop {
        name: "wrong architecture",
        proxy: &["--boot", "x64-uefi=undionly.kpxe"],
        words: "wrong architecture",
        ..UEFI
    },
    Stop {
        name: "GRUB without next-server",
        client: Client::UefiSecureBoot,
        proxy: &["--boot", "x64-uefi=shimx64.efi"],
        words: "which has no next-server",
        ..UEFI
    },
    Stop {
        name: "Secure Boot refuses the loader",
        client: Client::UefiSecureBoot,
        proxy: &["--boot", "x64-uefi=snponly.efi"],
        words: "Secure Boot refuses",
        ..UEFI
    },
    Stop {
        name: "second responder",
        // Which of two offers a machine takes that come at once is its own affair: the other one is first.
        config: "[[rule]]\nboot = 'snponly.efi'\nwhen = { arch = ['x64-uefi'] }\ndelay-ms = 500\n",
        rogue: true,
        words: "a second PXE responder, 10.77.0.2",
        ..UEFI
    },
    Stop {
        name: "loader loop",
        client: Client::BiosChain,
        config: "defaults = false\n[[rule]]\nboot = 'undionly.kpxe'\nwhen = { arch = ['bios'] }\n",
        words: "it loads itself",
        ..UEFI
    },
];

#[test]
fn every_stop_has_its_reason() {
    if !wanted() {
        return;
    }
    let only = std::env::var("KPC_FIRMWARE_STOPS").unwrap_or_default();
    let mut failed = Vec::new();
    for stop in STOPS.iter().filter(|stop| stop.name.contains(&only)) {
        let start = std::time::Instant::now();
        match stops(stop) {
            Ok(()) => println!("{}: named in {:.0} s", stop.name, start.elapsed().as_secs_f32()),
            Err(problem) => failed.push(format!("{}: {problem}", stop.name)),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn stops(stop: &Stop) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy-dhcpd.toml");
    std::fs::write(&file, stop.config).unwrap();
    let mut proxy = stop.proxy.to_vec();
    if !stop.config.is_empty() {
        proxy.extend(["--config", file.to_str().unwrap()]);
    }
    let variant = Variant { lease: stop.lease, proxy: Some(&proxy), ..Variant::default() };
    let scene = Scene::new(stop.client, LeaseServer::Dhcpd, variant).ok_or("a part is missing")?;
    let net = &scene.net;
    if !stop.on_the_way.is_empty() {
        nft(
            &net.segment,
            &format!(
                "table bridge f {{ chain c {{ type filter hook forward priority 0; {}; }}; }}\n",
                stop.on_the_way
            ),
        );
    }
    if !stop.at_the_server.is_empty() {
        nft(
            &net.host,
            &format!(
                "table ip f {{ chain c {{ type filter hook input priority 0; {}; }}; }}\n",
                stop.at_the_server
            ),
        );
    }
    let rogue = if stop.rogue { Some(net.rogue_proxy().ok_or("no dnsmasq")?) } else { None };
    let capture = net.path("boot.pcap");
    let mut tcpdump = net.on_host(&kpc_tests::peer("tcpdump").ok_or("no tcpdump")?);
    tcpdump.args(["-Z", "root", "-U", "-i", "eth0", "-w"]).arg(&capture).args(["udp"]);
    let recorder = kpc_tests::Guard::spawn(net.logged(&mut tcpdump, "tcpdump.log"));
    kpc_tests::wait_for("tcpdump", Duration::from_secs(10), || net.log("tcpdump.log").contains("listening"));
    let machine = scene.machine(stop.client).ok_or("a part of the machine is missing")?;
    let deadline = std::time::Instant::now() + Duration::from_secs(150);
    while !net.log("proxy.log").contains(stop.words) {
        if std::time::Instant::now() > deadline {
            return Err(format!("not named live\n{}", scene.logs()));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    drop(machine);
    drop((recorder, rogue));
    let pcap = std::fs::read(&capture).unwrap();
    let ng = net.path("boot.pcapng");
    std::fs::write(&ng, pcapng(&pcap)).unwrap();
    for recording in [&capture, &ng] {
        let mut explain = std::process::Command::new(kpc_tests::binary("proxy-dhcpd"));
        explain.arg("--dry-run").arg(recording).args(["--address", "10.77.0.1"]).args(&proxy);
        let (done, text) = kpc_tests::run_within(&mut explain, Duration::from_secs(20));
        if !done || !text.contains(stop.words) {
            return Err(format!("{}: not named\n{text}\n{}", recording.display(), scene.logs()));
        }
    }
    scene.stop();
    Ok(())
}

fn nft(namespace: &str, rules: &str) {
    let mut command = std::process::Command::new("ip");
    command.args(["netns", "exec", namespace, "nft", rules]);
    let out = command.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// The same recording in the other format: what Wireshark writes.
fn pcapng(pcap: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let length = 12 + body.len().next_multiple_of(4) as u32;
        file.extend(kind.to_le_bytes());
        file.extend(length.to_le_bytes());
        file.extend_from_slice(body);
        file.resize(file.len().next_multiple_of(4), 0);
        file.extend(length.to_le_bytes());
    };
    block(0x0a0d_0d0a, &[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
    block(1, &[1, 0, 0, 0, 0, 0, 4, 0]);
    let mut rest = &pcap[24..];
    while let Some((head, tail)) = rest.split_at_checked(16) {
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
        let Some((frame, after)) = tail.split_at_checked(word(8) as usize) else { break };
        let time = u64::from(word(0)) * 1_000_000 + u64::from(word(4));
        let mut body = Vec::new();
        for part in [0, (time >> 32) as u32, time as u32, word(8), word(12)] {
            body.extend(part.to_le_bytes());
        }
        body.extend_from_slice(frame);
        block(6, &body);
        rest = after;
    }
    file
}
