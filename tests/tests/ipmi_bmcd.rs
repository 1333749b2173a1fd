//! `ipmi bmcd` as the daemon it is, and `ipmi netboot` against QEMU machines behind it.
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

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use ipmi_support::{Guard, answers, free_port, peer, stdout};

const GUIDS: [&str; 2] = ["00112233-4455-6677-8899-aabbccddee01", "00112233-4455-6677-8899-aabbccddee02"];

fn ipmi(arguments: &[&str]) -> Output {
    let mut command = Command::new(kpc_tests::binary("ipmi"));
    command.args(arguments).env("IPMI_PASSWORD", "secret").stdin(Stdio::null()).output().unwrap()
}

fn bmcd(folder: &Path, listen: SocketAddr, more: &[&str]) -> Guard {
    let mut command = Command::new(kpc_tests::binary("ipmi"));
    command.args(["bmcd", "--listen", &listen.to_string(), "--user", "admin", "--password-file", "pw"]);
    command.args(more).current_dir(folder).stdin(Stdio::null()).stderr(Stdio::null());
    Guard(command.spawn().unwrap())
}

fn signal(guard: &Guard, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &guard.0.id().to_string()]).status();
    assert!(status.unwrap().success());
}

/// Waits until something holds, up to two minutes.
async fn wait_for(what: &str, holds: impl FnMut() -> bool) {
    assert!(holds_in_time(holds).await, "never: {what}");
}

async fn holds_in_time(mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(120);
    while !holds() {
        if Instant::now() > end {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    true
}

fn metrics(addr: SocketAddr) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

const HOOK: &str = "#!/bin/sh
echo \"$@\" >> calls
case $1 in
status) cat power;;
power) [ \"$2\" = cycle ] && sleep 1; case $2 in on|reset|cycle) echo on > power;; *) echo off > power;; esac;;
esac
";

// SIGHUP reads the password again, SIGTERM lets the machine finish, root is given up, metrics count.
#[tokio::test]
async fn a_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let write = |name: &str, text: &str| std::fs::write(path.join(name), text).unwrap();
    write("hook", HOOK);
    write("pw", "secret\n");
    write("power", "off\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path.join("hook"), mode).unwrap();
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let scraped = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let mut daemon = bmcd(path, addr, &["--command", "./hook", "--metrics", &scraped.to_string()]);
    answers(addr).await;
    let port = addr.port().to_string();
    let power = |password: &str, word: &str| {
        let login = ["-H", "127.0.0.1", "-p", &port, "-U", "admin", "-P", password];
        ipmi(&[&login[..], &["power", word]].concat())
    };
    assert_eq!(stdout(&power("secret", "on")), "Chassis Power Control: Up/On");
    assert_eq!(stdout(&power("secret", "status")), "Chassis Power is on");
    // No capability is held, and none can be had again.
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.0.id())).unwrap();
    for line in ["CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    let page = metrics(scraped);
    assert!(page.contains("ipmi_bmc_log_ins_total 2\n"), "{page}");
    write("pw", "changed\n");
    signal(&daemon, "HUP");
    wait_for("the new password", || power("changed", "status").status.success()).await;
    assert_eq!(power("secret", "status").status.code(), Some(1));
    // A cycle takes the hook a second; SIGTERM comes meanwhile, and the console still hears of it.
    let same = port.clone();
    let console = std::thread::spawn(move || {
        let login = ["-H", "127.0.0.1", "-p", &same, "-U", "admin", "-P", "changed"];
        ipmi(&[&login[..], &["power", "cycle"]].concat())
    });
    wait_for("the hook cycles", || {
        std::fs::read_to_string(path.join("calls")).is_ok_and(|calls| calls.contains("power cycle"))
    })
    .await;
    signal(&daemon, "TERM");
    let ended = tokio::task::spawn_blocking(move || daemon.0.wait().unwrap()).await.unwrap();
    assert_eq!(ended.code(), Some(0));
    assert_eq!(stdout(&console.join().unwrap()), "Chassis Power Control: Cycle");
}

// Bad configuration: exit 3, and the place.
#[test]
fn configuration_that_cannot_be() {
    let output =
        ipmi(&["bmcd", "--user", "admin", "--password-file", "/nonexistent", "--command", "/bin/true"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nonexistent"));
}

/// A second QMP socket of a machine, beside the one that bmcd holds.
struct Monitor(BufReader<UnixStream>);

impl Monitor {
    fn open(folder: &Path) -> Self {
        let stream = UnixStream::connect(folder.join("look.qmp")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut monitor = Self(BufReader::new(stream));
        monitor.answer();
        monitor.ask(r#"{"execute":"qmp_capabilities"}"#);
        monitor
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    fn ask(&mut self, request: &str) -> String {
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        loop {
            let line = self.answer();
            if !line.contains("\"event\"") {
                return line;
            }
        }
    }

    /// A line for the human monitor.
    fn line(&mut self, line: &str) -> String {
        let arguments = format!(r#"{{"command-line":"{line}"}}"#);
        self.ask(&format!(r#"{{"execute":"human-monitor-command","arguments":{arguments}}}"#))
    }
}

/// A QEMU machine that waits powered off; its firmware's words go to `FOLDER/bios`.
fn machine(folder: &Path) -> Option<Guard> {
    let mut command = peer("qemu-system-x86_64")?;
    command.args(["-S", "-no-shutdown", "-accel", "tcg", "-m", "32", "-display", "none", "-nodefaults"]);
    command.args(["-machine", "pc", "-qmp", "unix:vm.qmp,server=on,wait=off"]);
    command.args(["-qmp", "unix:look.qmp,server=on,wait=off"]);
    command.args(["-debugcon", "file:bios", "-global", "isa-debugcon.iobase=0x402"]);
    command.args(["-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,id=nic0,bootindex=2"]);
    command.args(["-blockdev", "null-co,node-name=d0,size=1048576"]);
    command.args(["-device", "virtio-blk-pci,drive=d0,id=disk0,bootindex=1"]);
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // The unpacked peers' libraries are not for an installed QEMU.
    command.env_remove("LD_LIBRARY_PATH");
    Some(Guard(command.spawn().unwrap()))
}

// IPMI v2.0 §28.13: a network boot, back to back per host, hosts apart; another GUID than expected writes nothing.
#[tokio::test]
async fn netboot_on_virtual_machines() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let port = free_port();
    let mut guards = Vec::new();
    for ((folder, guid), last) in folders.iter().zip(GUIDS).zip(2u8..) {
        let path = folder.path();
        let Some(qemu) = machine(path) else { return };
        guards.push(qemu);
        std::fs::write(path.join("pw"), "secret\n").unwrap();
        wait_for("the QMP sockets", || {
            ["vm.qmp", "look.qmp"].iter().all(|socket| UnixStream::connect(path.join(socket)).is_ok())
        })
        .await;
        let addr = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port));
        let devices = ["--boot-device", "pxe=nic0", "--boot-device", "disk=disk0"];
        guards.push(bmcd(path, addr, &[&["--qmp", "vm.qmp", "--guid", guid][..], &devices].concat()));
        answers(addr).await;
    }
    let port = port.to_string();
    let netboot = |words: &[&str]| {
        ipmi(&[&["netboot", "--user", "admin", "--port", &port, "--json"][..], words].concat())
    };
    let read = |host: &str, words: &[&str]| {
        let login = ["-H", host, "-p", &port, "-U", "admin", "-E"];
        stdout(&ipmi(&[&login[..], words].concat()))
    };
    // The wrong machine: nothing is written, nothing starts.
    let refused = netboot(&["127.0.0.2", "--guid", GUIDS[1]]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stdout(&refused).contains("\"kind\":\"wrong-machine\""), "{refused:?}");
    assert!(read("127.0.0.2", &["chassis", "bootparam", "get", "5"]).contains("Boot Flag Invalid"));
    assert_eq!(read("127.0.0.2", &["power", "status"]), "Chassis Power is off");
    // The chipset (i440FX, PAM0 to RAM) as a reset finds it while SeaBIOS copies itself there: nothing to run. The first
    // start and the reset begin in ROM all the same.
    let mut monitor = Monitor::open(folders[0].path());
    for line in ["o /w 0xcf8 0x80000058", "o /b 0xcfd 0x30"] {
        monitor.line(line);
    }
    assert!(monitor.line("xp /1xb 0xfe05b").contains(": 0x00"));
    // The right one, in any order of octets; then both, apart.
    let reversed = "01EEDDCC-BBAA-9988-7766-554433221100";
    let booted = netboot(&["127.0.0.2", "--guid", reversed]);
    assert!(booted.status.success() && stdout(&booted).contains("\"action\":\"power on\""), "{booted:?}");
    let start = Instant::now();
    let both = netboot(&["127.0.0.2-3", "--stagger", "1s"]);
    assert!(both.status.success() && start.elapsed() >= Duration::from_secs(1), "{both:?}");
    let text = stdout(&both);
    assert!(text.contains("\"action\":\"reset\"") && text.contains("\"action\":\"power on\""), "{text}");
    // The firmware of both tries the network card first, not the disk.
    for folder in &folders {
        let bios = folder.path().join("bios");
        let boots =
            || String::from_utf8_lossy(&std::fs::read(&bios).unwrap_or_default()).contains("Booting from ");
        if !holds_in_time(boots).await {
            let mut monitor = Monitor::open(folder.path());
            let (status, registers) =
                (monitor.ask(r#"{"execute":"query-status"}"#), monitor.line("info registers"));
            panic!("the firmware never boots: {status}{registers}{:?}", std::fs::read_to_string(&bios));
        }
        let text = String::from_utf8_lossy(&std::fs::read(&bios).unwrap()).into_owned();
        let first = text.split("Booting from ").nth(1).unwrap_or_default();
        assert!(first.starts_with("ROM"), "{first:.60}");
    }
}
