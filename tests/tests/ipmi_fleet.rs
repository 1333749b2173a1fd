//! The tool's forms for many hosts: what a scan tells over IPv4 and IPv6, ranges that are too large, messages, and the
//! suite that is remembered from one process to the next.
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

mod ipmi_support;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ipmi::CipherSuite;
use ipmi::crypto::keys::Secret;
use ipmi::driver::{Bmc, BmcConfig, Credentials, sweep};
use ipmi::script::PowerStatus;
use ipmi::session::Config;
use ipmi_support::{Ours, Sim, config, free_port, stdout};
use serde_json::Value;

/// Runs the tool without holding the runtime; its cache is in `home`.
async fn ipmi(home: &Path, line: &str) -> Output {
    let mut command = Command::new(kpc_tests::binary("ipmi"));
    command.args(line.split(' ')).env("IPMI_PASSWORD", "calvin").env("XDG_CACHE_HOME", home);
    command.stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn objects(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn plain() -> ipmi::responder::Config {
    let mut config = config();
    config.auth_types.clear();
    config.suites = vec![CipherSuite::SUITE_3, CipherSuite::SUITE_17];
    config
}

// A BMC on IPv6 is found, asked and switched as one on IPv4; a mixed list works in one process.
#[tokio::test]
async fn ipv6() {
    let port = free_port();
    let (six, four) =
        (SocketAddr::from((Ipv6Addr::LOCALHOST, port)), SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        println!("skipped: no IPv6 here");
        return;
    }
    let bmcs = [Ours::start_at(six, plain()), Ours::start_at(four, plain())];
    let home = tempfile::tempdir().unwrap();
    // The whole /126 is asked; one address of it is there.
    let scanned = ipmi(home.path(), &format!("scan ::/126 127.0.0.1 --port {port} --json")).await;
    let mut found: Vec<_> =
        objects(&scanned).iter().map(|bmc| bmc["address"].as_str().unwrap().to_owned()).collect();
    found.sort();
    assert_eq!(found, ["127.0.0.1", "::1"], "{scanned:?}");
    let told = ipmi(home.path(), &format!("-H ::1,127.0.0.1 -p {port} -U root -E --json power on")).await;
    let told = objects(&told);
    assert!(told.len() == 2 && told.iter().all(|host| host["ok"] == true), "{told:?}");
    for bmc in &bmcs {
        assert_eq!(bmc.log(), ["PowerUp"]);
    }
    // The library's handle and sweep.
    let credentials = Credentials::new("root", b"calvin").unwrap();
    let mut bmc = Bmc::connect(BmcConfig::new(six, credentials.clone())).await.unwrap();
    assert!(bmc.chassis_status().await.unwrap().power_on());
    bmc.close().await;
    let mut on = 0;
    let targets = [six, four].map(|addr| (addr, Config::new(credentials.clone()), PowerStatus));
    let count = |_, outcome: Result<Result<_, _>, _>| on += usize::from(matches!(outcome, Ok(Ok(_))));
    sweep(targets.to_vec(), ipmi::sweep::Config::default(), count).await.unwrap();
    assert_eq!(on, 2);
}

// What is told of each BMC: versions, types, suites, suite 0, K_G, null users; ipmi_sim beside ours.
#[tokio::test]
async fn a_scan_tells_what_stands_open() {
    let port = free_port();
    let at = |last| SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port));
    let mut locked = plain();
    locked.k_g = Secret::new(b"key").unwrap();
    let _bmcs = [Ours::start_at(at(2), locked), Ours::start_at(at(3), config())];
    let home = tempfile::tempdir().unwrap();
    let scanned = ipmi(home.path(), &format!("scan 127.0.0.2-6 --port {port} --json --rounds 4")).await;
    assert!(scanned.status.success());
    let mut found = objects(&scanned);
    found.sort_by_key(|bmc| bmc["address"].to_string());
    assert_eq!(found.len(), 2, "{found:?}");
    let expect = |bmc: &Value, name: &str, value: Value| assert_eq!(bmc[name], value, "{name}: {bmc}");
    for (bmc, open) in found.iter().zip([false, true]) {
        let all: Vec<u8> = CipherSuite::ALL.iter().map(|suite| suite.id).collect();
        expect(bmc, "suites", if open { all.into() } else { vec![3, 17].into() });
        expect(bmc, "cipher_zero", open.into());
        expect(bmc, "k_g", (!open).into());
        expect(bmc, "ipmi_1_5", open.into());
        expect(bmc, "ipmi_2_0", true.into());
        expect(bmc, "null_users", false.into());
        expect(bmc, "pong", true.into());
        expect(bmc, "port", port.into());
        let types = if open { vec!["none", "md5", "password"] } else { Vec::new() };
        expect(bmc, "auth_types", types.into());
        assert!(bmc["rtt_ms"].as_f64().is_some_and(|rtt| rtt > 0.0));
    }
    let text = stdout(&ipmi(home.path(), &format!("scan 127.0.0.2-3 --port {port} --rounds 4")).await);
    assert!(text.contains("SUITE 0 OPEN") && text.contains("K_G set"), "{text}");
    // ipmi_sim says nothing of its suites before a session, and lets suite 0 in.
    let Some(sim) = Sim::start("").await else { return };
    let line = format!("scan 127.0.0.1 --port {} --json --rounds 4", sim.addr.port());
    let found = objects(&ipmi(home.path(), &line).await);
    assert_eq!(found.len(), 1);
    expect(&found[0], "suites", Value::Null);
    expect(&found[0], "cipher_zero", true.into());
    expect(&found[0], "ipmi_1_5", true.into());
}

// Ranges that are larger than anybody means want `--yes`: before anything is sent, exit 1 in ipmitool's grammar.
#[tokio::test]
async fn large_ranges_want_a_yes() {
    let home = tempfile::tempdir().unwrap();
    let said = |line: &'static str| {
        let home = home.path().to_owned();
        async move {
            let output = ipmi(&home, line).await;
            (output.status.code(), stderr(&output))
        }
    };
    for (line, code) in [
        ("-H 127.9.0.0/23 -U root -E power off", 1),
        ("-H 127.9.0.0/23 -U root -E chassis bootdev pxe", 1),
        ("-H 127.9.0.0/19 -U root -E power status", 1),
        ("scan 127.9.0.0/19", 2),
        ("netboot 127.9.0.0/23 --user root", 2),
    ] {
        let (found, text) = said(line).await;
        assert!(found == Some(code) && text.contains("add --yes"), "{line}: {found:?} {text}");
    }
    let (code, text) = said("-H 127.9.0.0/12 -U root -E --yes power status").await;
    assert!(code == Some(1) && text.contains("more than 65536"), "{text}");
    // With it they are asked; nobody is there.
    let line = "-H 127.9.0.0/23 -p 1 -U root -E --yes --fanout 512 -N 1 -R 1 --json power off";
    let output = ipmi(home.path(), line).await;
    let told = objects(&output);
    assert_eq!(told.len(), 510);
    assert!(
        told.iter().all(|host| host["kind"] == "unreachable" || host["kind"] == "silent"),
        "{:?}",
        told[0]
    );
}

// Hosts from a file, and messages as asked for.
#[tokio::test]
async fn hosts_from_a_file_and_messages_for_programs() {
    let bmc = Ours::start(plain());
    let (home, port) = (tempfile::tempdir().unwrap(), bmc.addr.port());
    let list = home.path().join("hosts");
    std::fs::write(&list, "127.0.0.1 # the one that is there\n\n127.0.0.9\n").unwrap();
    let list = list.display();
    let line = format!("-H @{list} -p {port} -U root -E -N 1 -R 1 --log-format json power on");
    let output = ipmi(home.path(), &line).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output), "127.0.0.1: Chassis Power Control: Up/On");
    let messages: Vec<Value> =
        stderr(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(messages[0]["message"].as_str().unwrap().starts_with("127.0.0.9: "), "{messages:?}");
    assert!(messages.iter().all(|message| message["level"] == "error"), "{messages:?}");
    let found = ipmi(home.path(), &format!("scan @{list} --port {port} --rounds 4 --log-level error")).await;
    assert!(stdout(&found).starts_with("127.0.0.1") && stderr(&found).is_empty(), "{found:?}");
    assert_eq!(bmc.log(), ["PowerUp"]);
}

/// Passes datagrams on to a BMC and counts its Open Session Requests.
fn counted(bmc: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let outside = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let inside = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    inside.connect(bmc).unwrap();
    let (addr, count) = (outside.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let client = Arc::new(Mutex::new(addr));
    // Both threads end with the process.
    let (from_bmc, to_client, back) = (Arc::clone(&inside), Arc::clone(&outside), Arc::clone(&client));
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok(length) = from_bmc.recv(&mut buffer) {
            let _ = to_client.send_to(&buffer[..length], *back.lock().unwrap()); // who asked may have ended
        }
    });
    let counter = Arc::clone(&count);
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = outside.recv_from(&mut buffer) {
            // RMCP header, authentication type 06h, payload type 10h (IPMI v2.0 §13.6).
            counter.fetch_add(usize::from(buffer[4..6] == [0x06, 0x10]), Ordering::SeqCst);
            *client.lock().unwrap() = from;
            let _ = inside.send(&buffer[..length]); // as above
        }
    });
    (addr, count)
}

// A BMC that refused suite 17 is asked for 3 first the next time, by any form; a forged memory brings nothing weaker.
#[tokio::test]
async fn the_suite_taken_last_is_remembered() {
    let mut only_3 = config();
    only_3.suites = vec![CipherSuite::SUITE_3, CipherSuite::from_id(0).unwrap()];
    let bmc = Ours::start(only_3);
    let (relay, opened) = counted(bmc.addr);
    let home = tempfile::tempdir().unwrap();
    let login = format!("-p {} -U root -E", relay.port());
    let opens = async |line: String| {
        let before = opened.load(Ordering::SeqCst);
        let output = ipmi(home.path(), &line).await;
        assert!(stdout(&output).contains("Power is"), "{output:?}");
        opened.load(Ordering::SeqCst) - before
    };
    let status = format!("-H 127.0.0.1 {login} power status");
    assert_eq!(opens(status.clone()).await, 2, "17 refused, then 3");
    assert_eq!(opens(status.clone()).await, 1, "3 at once");
    assert_eq!(opens(format!("-H 127.0.0.1,127.0.0.1 {login} -R 1 power status")).await, 1);
    let file = home.path().join("ipmi/suites");
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept.starts_with(&format!("{relay} 3 ")) && kept.lines().count() == 1, "{kept}");
    // Suite 0 asks for no password and is open there: no file may bring it in.
    std::fs::write(&file, kept.replace(" 3 ", " 0 ")).unwrap();
    assert_eq!(opens(status.clone()).await, 2);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(opens(status).await, 2);
    // One suite by name leaves nothing to remember.
    std::fs::remove_file(&file).unwrap();
    assert_eq!(opens(format!("-H 127.0.0.1 {login} -C 3 power status")).await, 1);
    assert!(!file.exists());
}
