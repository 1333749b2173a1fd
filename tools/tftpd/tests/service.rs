//! tftpd as a service: privileges, signals, sockets of systemd, and who must not be able to stop it.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod common;

use common::{Guard, ask, octets, serve, serve_with, wait_answer};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(10);

fn request(name: &str) -> Vec<u8> {
    [b"\0\x01", name.as_bytes(), b"\0octet\0"].concat()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("good"), "good").unwrap();
    std::fs::write(folder.path().join("better"), "better").unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn content(address: SocketAddr, name: &str) -> Option<Vec<u8>> {
    let answer = ask(address, &request(name), WAIT)?;
    (answer[..4] == [0, 3, 0, 1]).then(|| answer[4..].to_vec())
}

fn signal(server: &Guard, name: &str) {
    let status = Command::new("kill").args(["-s", name, &server.0.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Waits for the end, at most [`WAIT`].
fn ends(server: &mut Guard) -> bool {
    let start = Instant::now();
    while start.elapsed() < WAIT {
        if let Some(status) = server.0.try_wait().unwrap() {
            return status.success();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it does not end");
}

#[test]
fn nothing_of_root_is_left_in_any_thread() {
    if !common::is_root() {
        return;
    }
    let folder = folder();
    let log = folder.path().join("log");
    let (server, address) = serve(folder.path(), "127.0.0.1", &["--access-log", log.to_str().unwrap()]);
    assert_eq!(content(address, "good").unwrap(), b"good"); // the threads that read files are there by now
    let nobody = number_of_nobody();
    let mut threads = 0;
    for task in std::fs::read_dir(format!("/proc/{}/task", server.0.id())).unwrap() {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_start_matches(':').split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(value("Uid"), vec![nobody.clone(); 4]);
        assert!(value("Gid").iter().chain(&value("Groups")).all(|gid| gid != "0"), "{status}");
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(value(set), ["0000000000000000"], "{set}");
        }
        assert_eq!(value("NoNewPrivs"), ["1"]);
        threads += 1;
    }
    assert!(threads > 1);
}

/// The number of the account `nobody`.
fn number_of_nobody() -> String {
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = accounts.lines().find(|line| line.starts_with("nobody:")).unwrap();
    line.split(':').nth(2).unwrap().to_owned()
}

#[test]
fn hangup_reads_the_rules_again_and_wrong_ones_change_nothing() {
    let folder = folder();
    let map = folder.path().join("map.toml");
    let rule = |path: &str| format!("[[rule]]\nmatch = '^boot$'\npath = \"{path}\"\n");
    std::fs::write(&map, rule("good")).unwrap();
    let flags = ["--user", "root", "--map", map.to_str().unwrap()];
    let (server, address) = serve(folder.path(), "127.0.0.1", &flags);
    assert_eq!(content(address, "boot").unwrap(), b"good");
    std::fs::write(&map, rule("better")).unwrap();
    signal(&server, "HUP");
    let start = Instant::now();
    while content(address, "boot").unwrap() != b"better" {
        assert!(start.elapsed() < WAIT);
    }
    std::fs::write(&map, "[[rule]]\nmatch = '('\n").unwrap();
    signal(&server, "HUP");
    assert_eq!(content(address, "boot").unwrap(), b"better");
}

/// A transfer in its middle: the socket, and the server's port for it.
fn middle(address: SocketAddr) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(WAIT)).unwrap();
    socket.send_to(&request("good.long"), address).unwrap();
    let (octets, tid) = socket.recv_from(&mut [0; 600]).unwrap();
    assert_eq!(octets, 516);
    (socket, tid)
}

#[test]
fn terminate_lets_transfers_finish_and_begins_none() {
    let folder = folder();
    std::fs::write(folder.path().join("good.long"), octets(700)).unwrap();
    let (mut server, address) = serve(folder.path(), "127.0.0.1", &["--user", "root"]);
    let (socket, tid) = middle(address);
    signal(&server, "TERM");
    let start = Instant::now();
    while ask(address, &request("good"), Duration::from_millis(100)).is_some() {
        assert!(start.elapsed() < WAIT, "a new transfer begins");
    }
    socket.send_to(&[0, 4, 0, 1], tid).unwrap();
    let mut buffer = [0; 600];
    while socket.recv(&mut buffer).unwrap() != 4 + 700 - 512 {} // the first block may have come twice
    assert!(server.0.try_wait().unwrap().is_none());
    socket.send_to(&[0, 4, 0, 2], tid).unwrap();
    assert!(ends(&mut server));
}

#[test]
fn a_second_signal_waits_for_nobody() {
    let folder = folder();
    std::fs::write(folder.path().join("good.long"), octets(700)).unwrap();
    let (mut server, address) = serve(folder.path(), "127.0.0.1", &["--user", "root", "--drain", "10m"]);
    let _transfer = middle(address);
    signal(&server, "TERM");
    let start = Instant::now();
    while ask(address, &request("good"), Duration::from_millis(100)).is_some() {
        assert!(start.elapsed() < WAIT);
    }
    signal(&server, "INT");
    assert!(ends(&mut server));
}

#[test]
fn a_socket_of_systemd_is_served() {
    // sd_listen_fds(3)
    let folder = folder();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let script = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_tftpd"), "--user", "root", "--root"]);
    let server = command.arg(folder.path()).stdin(Stdio::from(OwnedFd::from(socket))).stdout(Stdio::null());
    let _server = Guard(server.spawn().unwrap());
    wait_answer(address);
    assert_eq!(content(address, "good").unwrap(), b"good");
}

#[test]
fn a_file_system_that_never_answers_stops_nobody_else_and_no_shutdown() {
    if !common::is_root() {
        return;
    }
    let folder = folder();
    std::fs::create_dir(folder.path().join("stalled")).unwrap();
    // Mounted in a name space of its own; nobody reads what the kernel asks of it.
    let script = "exec 3<>/dev/fuse && mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 stalled \"$0\" && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(folder.path().join("stalled"));
    let mut able = Command::new("unshare");
    able.args(["--mount", "sh", "-c", script]).arg(folder.path().join("stalled")).arg("true");
    if !able.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: no FUSE here");
        return;
    }
    command.arg(env!("CARGO_BIN_EXE_tftpd"));
    let (mut server, address) =
        serve_with(command, folder.path(), "127.0.0.1", &["--user", "root", "--drain", "1s"]);
    let sockets: Vec<UdpSocket> = (0..8).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    for (number, socket) in sockets.iter().enumerate() {
        socket.send_to(&request(&format!("stalled/{number}")), address).unwrap();
    }
    for _ in 0..20 {
        assert_eq!(content(address, "good").unwrap(), b"good");
    }
    signal(&server, "TERM");
    assert!(ends(&mut server));
}

#[test]
fn a_reader_of_the_logs_that_has_stopped_stops_nothing() {
    let folder = folder();
    let mut command = common::tftpd();
    command.args([
        "--log-level",
        "debug",
        "--access-log",
        "-",
        "--user",
        "root",
        "--drain",
        "1s",
        "--listen",
    ]);
    let address = SocketAddr::new([127, 0, 0, 1].into(), common::free_port([127, 0, 0, 1].into()));
    command.arg(address.to_string()).arg("--root").arg(folder.path()).stdin(Stdio::null());
    // Pipes that nobody reads.
    let mut server = Guard(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    wait_answer(address);
    let name = "x".repeat(200);
    for _ in 0..2000 {
        let answer = ask(address, &request(&name), WAIT).unwrap(); // 400 KiB of lines
        assert_eq!(answer[..4], [0, 5, 0, 1]);
    }
    assert_eq!(content(address, "good").unwrap(), b"good");
    signal(&server, "TERM");
    assert!(ends(&mut server));
}
