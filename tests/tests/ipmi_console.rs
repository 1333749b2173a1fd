//! Serial over LAN against ipmi_sim and our virtual BMC, with a reset in the middle; power commands through a
//! relay that loses, repeats and reorders; a thousand virtual BMCs in one process.
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

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ipmi::CipherSuite;
use ipmi::command::chassis::ChassisControl;
use ipmi::driver::{Bmc, BmcConfig, BmcServer, Credentials, Sol, SolEvent, sweep};
use ipmi::script::{PowerControl, PowerStatus};
use ipmi::session::Config;
use ipmi_support::{Flags, Guard, Ours, Sim, config, free_port};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

fn login(addr: SocketAddr) -> BmcConfig {
    BmcConfig::new(addr, Credentials::new("root", b"calvin").unwrap()).with_suites(vec![CipherSuite::SUITE_3])
}

/// Reads until `wanted` has arrived; says how often the stream broke and came back.
async fn hear(sol: &mut Sol, wanted: &[u8]) -> (usize, usize) {
    let (mut heard, mut lost, mut resumed) = (Vec::new(), 0, 0);
    let all = async {
        while !heard.ends_with(wanted) {
            match sol.next().await.unwrap() {
                SolEvent::Received(characters) => heard.extend(characters),
                SolEvent::Lost => lost += 1,
                SolEvent::Resumed => {
                    resumed += 1;
                    sol.send(b"again");
                }
                _ => {}
            }
        }
    };
    timeout(Duration::from_secs(60), all).await.unwrap_or_else(|_| panic!("the console fell silent"));
    (lost, resumed)
}

/// A serial port that echoes in upper case.
async fn echo(mut stream: UnixStream) {
    let mut buffer = [0; 256];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let upper = buffer[..count].to_ascii_uppercase();
        if stream.write_all(&upper).await.is_err() {
            return;
        }
    }
}

async fn virtual_bmc(listen: SocketAddr, folder: &Path) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let path = folder.join("serial");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move { echo(listener.accept().await.unwrap().0).await });
    let mut config = config();
    config.sol = true;
    let server =
        BmcServer::bind(listen, config).unwrap().with_serial(UnixStream::connect(&path).await.unwrap());
    let addr = server.local_addr().unwrap();
    let run = server.run(Flags::default(), Arc::new(|_| {}), std::future::pending());
    (addr, tokio::spawn(async move { run.await.unwrap() }))
}

#[tokio::test]
async fn a_console_survives_the_reset_of_our_bmc() {
    let folder = tempfile::tempdir().unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (addr, task) = virtual_bmc(any, folder.path()).await;
    let mut sol = Sol::connect(login(addr)).await.unwrap();
    sol.send(b"hello");
    assert_eq!(hear(&mut sol, b"HELLO").await, (0, 0));
    let text: Vec<u8> = (0..4000u32).map(|n| b'a' + (n % 26) as u8).collect();
    sol.send(&text);
    hear(&mut sol, &text.to_ascii_uppercase()[3900..]).await;
    // The BMC restarts and forgets every session.
    task.abort();
    let _ = task.await;
    let (_, task) = virtual_bmc(addr, folder.path()).await;
    sol.send(b"?");
    assert_eq!(hear(&mut sol, b"AGAIN").await, (1, 1));
    sol.close().await;
    task.abort();
}

#[tokio::test]
async fn a_console_on_ipmi_sim() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ipmi_support/pty_echo.py");
    let Ok(mut child) = Command::new("python3").arg(script).stdout(Stdio::piped()).spawn() else {
        println!("skipped: no python3");
        return;
    };
    let mut device = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut device).unwrap();
    let _guard = Guard(child);
    let Some(sim) = Sim::start_with("", &format!("sol \"{}\" 115200", device.trim())).await else { return };
    let mut sol = Sol::connect(login(sim.addr)).await.unwrap();
    sol.send(b"hello simulator");
    hear(&mut sol, b"HELLO SIMULATOR").await;
    // The machine resets; the console stays.
    let mut bmc = Bmc::connect(login(sim.addr)).await.unwrap();
    bmc.chassis_control(ChassisControl::HardReset).await.unwrap();
    bmc.close().await;
    sol.send(b"still here");
    hear(&mut sol, b"STILL HERE").await;
    sol.close().await;
}

// 5 % loss, 5 % repeats, reordering each way, seeded: a thousand commands, a thousand actions, none wrong.
#[tokio::test]
async fn a_thousand_power_commands_through_a_bad_network() {
    let Some(corpus) = std::env::var_os("CONFORMANCE_DIR") else {
        println!("skipped: CONFORMANCE_DIR is not set");
        return;
    };
    let relay = Path::new(&corpus).join("ipmi/udp-relay.py");
    let lines: Vec<_> = (1..=5).map(|seed| tokio::spawn(power_commands(relay.clone(), seed, 200))).collect();
    for line in lines {
        line.await.unwrap();
    }
}

async fn power_commands(relay: PathBuf, seed: u32, count: usize) {
    let ours = Ours::start(config());
    let relayed = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let mut command = Command::new("python3");
    command.arg(relay).args(["--listen", &relayed.to_string(), "--to", &ours.addr.to_string()]);
    command.args(["--loss", "0.05", "--dup", "0.05", "--reorder", "0.05", "--seed", &seed.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let _guard = Guard(command.spawn().unwrap());
    let mut config = login(relayed);
    config.session.timeout = Duration::from_millis(80);
    config.session.max_timeout = Duration::from_millis(160);
    config.session.attempts = 16;
    let mut given = 0;
    while given < count {
        // The relay may not listen yet.
        let Ok(mut bmc) = Bmc::connect(config.clone()).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        for _ in 0..50 {
            let control = if given % 2 == 0 { ChassisControl::PowerCycle } else { ChassisControl::HardReset };
            bmc.chassis_control(control).await.unwrap();
            given += 1;
            assert_eq!(ours.log().len(), given, "after command {given}");
            assert!(!bmc.chassis_status().await.unwrap().power_on());
        }
        bmc.close().await;
    }
    assert!(ours.log().chunks(2).all(|pair| pair == ["PowerCycle", "HardReset"]));
}

#[tokio::test]
async fn a_thousand_bmcs_in_one_process() {
    let bmcs: Vec<_> = (0..1000).map(|_| Ours::start(config())).collect();
    let session = Config::new(Credentials::new("root", b"calvin").unwrap());
    let on: Vec<_> = bmcs
        .iter()
        .map(|bmc| (bmc.addr, session.clone(), PowerControl::new(ChassisControl::PowerUp)))
        .collect();
    let mut done = 0;
    sweep(on, Default::default(), |addr, outcome| {
        outcome.unwrap().unwrap_or_else(|error| panic!("{addr}: {error}"));
        done += 1;
    })
    .await
    .unwrap();
    let status = bmcs.iter().map(|bmc| (bmc.addr, session.clone(), PowerStatus)).collect();
    let mut powered = 0;
    sweep(status, Default::default(), |_, outcome| {
        powered += usize::from(outcome.unwrap().unwrap().power_on())
    })
    .await
    .unwrap();
    assert_eq!((done, powered), (1000, 1000));
    assert!(bmcs.iter().all(|bmc| bmc.log() == ["PowerUp"]));
}
