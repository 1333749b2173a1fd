//! Bad input and bad luck: nothing hangs, nothing leaks, nothing is lost.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod common;

use common::{ask, get, octets, serve, serve_with};
use std::io::Read;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(10);

fn request(name: &[u8]) -> Vec<u8> {
    [b"\0\x01", name, b"\0octet\0"].concat()
}

fn code(answer: Option<Vec<u8>>) -> Option<u16> {
    match answer?.as_slice() {
        [0, 5, high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

fn is_alive(address: SocketAddr) {
    let data = ask(address, &request(b"good"), WAIT).unwrap();
    assert_eq!(data, [&b"\0\x03\0\x01"[..], b"good"].concat());
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("good"), "good").unwrap();
    folder
}

fn run(command: &str, at: &Path) {
    let status = Command::new("sh").args(["-c", command]).current_dir(at).status().unwrap();
    assert!(status.success(), "{command}");
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    // A fifo, a directory, a socket and a device never block and are never read.
    let folder = folder();
    run(
        "mkfifo pipe; mkdir dir; ln -s /dev/zero zero; ln -s /etc/passwd out; ln -s loop loop; ln -s good link",
        folder.path(),
    );
    let _listener = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    if common::is_root() {
        run("mknod device c 1 5", folder.path());
    } else {
        run("ln -s /dev/zero device", folder.path());
    }
    let (_server, address) = serve(folder.path(), "127.0.0.1", &["--user", "root"]);
    for name in
        ["pipe", "dir", "socket", "device", "zero", "out", "loop", "", "/", ".", "..", "../x", "dir/../../x"]
    {
        let start = Instant::now();
        assert_eq!(code(ask(address, &request(name.as_bytes()), WAIT)), Some(2), "{name}");
        assert!(start.elapsed() < WAIT, "{name}");
    }
    assert_eq!(ask(address, &request(b"link"), WAIT).unwrap()[4..], *b"good");
    is_alive(address);
}

#[test]
fn strange_names_get_an_error() {
    let folder = folder();
    let (_server, address) = serve(folder.path(), "127.0.0.1", &["--user", "root"]);
    let long = vec![b'a'; 1500];
    let deep = b"a/".repeat(700);
    let names: [&[u8]; 8] =
        [&long, &deep, b"%2e%2e/x", b"..%2fx", b"\xff\xfe", b"\xc0\xae\xc0\xae/x", b"..\\..\\x", b"good/"];
    for name in names {
        assert_eq!(code(ask(address, &request(name), WAIT)), Some(1), "{}", String::from_utf8_lossy(name));
    }
    // A name longer than any buffer: refused or left unanswered.
    let answer = ask(address, &request(&vec![b'x'; 60_000]), Duration::from_millis(500));
    assert!(answer.is_none() || code(answer) == Some(4));
    is_alive(address);
}

#[test]
fn option_bombs_cost_nothing() {
    // RFC 2347: unknown options are left out, however many there are.
    let folder = folder();
    std::fs::write(folder.path().join("large"), octets(8 << 20)).unwrap();
    let (server, address) = serve(folder.path(), "127.0.0.1", &["--user", "root"]);
    let mut bomb = request(b"good");
    (0..300).for_each(|_| bomb.extend_from_slice(b"x\0y\0"));
    assert_eq!(ask(address, &bomb, WAIT).unwrap()[..4], [0, 3, 0, 1]);
    let before = resident(server.0.id());
    let request = [&request(b"large")[..], b"blksize\x0065464\0windowsize\x0065535\0"].concat();
    let sockets: Vec<UdpSocket> = (0..50).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    for socket in &sockets {
        socket.set_read_timeout(Some(WAIT)).unwrap();
        socket.send_to(&request, address).unwrap();
        let mut buffer = [0; 600];
        let octets = socket.recv(&mut buffer).unwrap();
        assert!(octets <= request.len() && buffer[..2] == [0, 6], "an OACK no longer than its request");
    }
    let grown = resident(server.0.id()).saturating_sub(before);
    assert!(grown <= 50 * 32, "{grown} KiB for 50 unacknowledged requests");
    is_alive(address);
}

/// Resident memory in KiB.
fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_file_that_shrinks_ends_with_an_error() {
    let folder = folder();
    let path = folder.path().join("shrinks");
    std::fs::write(&path, octets(2 << 20)).unwrap();
    let (_server, address) = serve(folder.path(), "127.0.0.1", &["--user", "root"]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(WAIT)).unwrap();
    socket.send_to(&[&request(b"shrinks")[..], b"blksize\x0060000\0"].concat(), address).unwrap();
    let mut buffer = vec![0; 65_536];
    let (_, tid) = socket.recv_from(&mut buffer).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(1000).unwrap();
    for block in 0..u16::MAX {
        let [high, low] = block.to_be_bytes();
        socket.send_to(&[0, 4, high, low], tid).unwrap();
        let octets = socket.recv(&mut buffer).unwrap();
        if buffer[..2] == [0, 5] {
            assert!(octets > 5);
            return is_alive(address);
        }
        assert!(octets == 60_004, "no short block pretends to be the end");
    }
    panic!("no ERROR");
}

#[test]
fn a_full_disk_ends_with_error_3_and_leaves_nothing() {
    // RFC 1350 appendix I: 3, disk full or allocation exceeded.
    if !common::is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let listing = folder.path().join("listing");
    let script = "mount -t tmpfs -o size=1m none \"$1\" || exit 9; shift; exec \"$@\"";
    let small = folder.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--kill-child", "--fork", "sh", "-c", script, "sh"]).arg(&small);
    command.arg(env!("CARGO_BIN_EXE_tftpd"));
    let (server, address) = serve_with(command, &small, "127.0.0.1", &["--writable", "--user", "root"]);
    std::fs::write(folder.path().join("file"), octets(4 << 20)).unwrap();
    let put = |name: &str, flags: &[&str]| {
        let mut put = common::tftpd();
        put.args(["put", "--quiet"]).args(flags).arg(folder.path().join("file"));
        let output = put.arg(format!("tftp://{address}/{name}")).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (good, text) = put("announced", &[]);
    assert!(!good && text.contains("ERROR 3"), "{text}");
    // What the server has left, seen from inside its mount namespace.
    let inside = children(server.0.id()).into_iter().next().unwrap_or(server.0.id());
    let status = Command::new("nsenter")
        .args(["--mount", "--target", &inside.to_string(), "sh", "-c"])
        .arg(format!("ls -A {} > {}", small.display(), listing.display()))
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(std::fs::read_to_string(&listing).unwrap(), "");
}

fn children(id: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn writes_keep_to_their_quota_and_replace_nothing() {
    let folder = folder();
    let (_server, address) =
        serve(folder.path(), "127.0.0.1", &["--writable", "--quota", "1", "--user", "root"]);
    std::fs::write(folder.path().join("large.src"), octets(3 << 20)).unwrap();
    let put = |from: &str, name: &str| {
        let mut put = common::tftpd();
        put.args(["put", "--quiet"]).arg(folder.path().join(from)).arg(format!("tftp://{address}/{name}"));
        let output = put.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(put("large.src", "large").1.contains("ERROR 3"));
    assert!(put("large.src", "good").1.contains("ERROR 6"));
    assert!(put("good", "../x").1.contains("ERROR 2"));
    assert!(put("good", "absent/x").1.contains("ERROR 1"));
    assert!(put("good", "copy").0);
    let mut names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["copy", "good", "large.src"]);
}

#[test]
fn our_client_reads_every_size_in_every_way() {
    let folder = folder();
    let sizes = [0, 1, 511, 512, 513, 1024, 100_000, 1_000_003];
    for size in sizes {
        std::fs::write(folder.path().join(size.to_string()), octets(size)).unwrap();
    }
    let out = folder.path().join("out");
    for flags in [&["--user", "root"][..], &["--user", "root", "--single-port"]] {
        for host in ["127.0.0.1", "::1"] {
            let (_server, address) = serve(folder.path(), host, flags);
            for size in sizes {
                for options in [&[][..], &["--blksize", "512", "--windowsize", "1"], &["--blksize", "8192"]] {
                    assert!(get(address, &size.to_string(), &out, options), "{size} {options:?}");
                    assert!(std::fs::read(&out).unwrap() == octets(size), "{size} {options:?}");
                }
            }
        }
    }
}

#[test]
fn a_dual_stack_server_answers_from_the_address_asked() {
    // RFC 1350 §4: a client drops what comes from elsewhere.
    let folder = folder();
    let (_server, address) = {
        let any = "::";
        let port = common::free_port("127.0.0.1".parse().unwrap());
        let address = SocketAddr::new(any.parse().unwrap(), port);
        let mut command = common::tftpd();
        command.args(["--log-level", "error", "--user", "root", "--listen", &address.to_string(), "--root"]);
        let guard = common::Guard(command.arg(folder.path()).spawn().unwrap());
        common::wait_answer(SocketAddr::from(([127, 0, 0, 1], port)));
        (guard, address)
    };
    for host in ["127.0.0.1", "127.0.0.2", "127.1.2.3", "::1"] {
        let target = SocketAddr::new(host.parse().unwrap(), address.port());
        let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        socket.send_to(&request(b"good"), target).unwrap();
        let (octets, from) = socket.recv_from(&mut [0; 600]).unwrap();
        assert_eq!((octets, from.ip()), (8, target.ip()));
    }
}

#[test]
fn the_access_log_and_the_metrics_tell_what_happened() {
    let folder = folder();
    let log = folder.path().join("access.json");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let metrics = format!("127.0.0.1:{port}");
    let flags = ["--user", "root", "--access-log", log.to_str().unwrap(), "--metrics", &metrics];
    let (mut server, address) = serve(folder.path(), "127.0.0.1", &flags);
    assert!(get(address, "good", &folder.path().join("out"), &[]));
    let probe = UdpSocket::bind("127.0.0.1:0").unwrap();
    probe.set_read_timeout(Some(WAIT)).unwrap();
    probe.send_to(&[&request(b"good")[..], b"tsize\x000\0"].concat(), address).unwrap();
    let (_, tid) = probe.recv_from(&mut [0; 600]).unwrap();
    probe.send_to(b"\0\x05\0\x08size only\0", tid).unwrap();
    assert_eq!(code(ask(address, &request(b"absent"), WAIT)), Some(1));
    let scrape = || {
        let mut stream = TcpStream::connect(&metrics).unwrap();
        std::io::Write::write_all(&mut stream, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    let start = Instant::now();
    while !scrape().contains("tftp_transfers_total{cause=\"probe\"} 1") {
        assert!(start.elapsed() < WAIT, "{}", scrape());
    }
    let text = scrape();
    assert!(text.contains("tftp_transfers_total{cause=\"complete\"} 1"), "{text}");
    Command::new("kill").arg(server.0.id().to_string()).status().unwrap();
    assert!(server.0.wait().unwrap().success(), "SIGTERM is a good end");
    let lines: Vec<serde_json::Value> = std::fs::read_to_string(&log)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let cause = |path: &str| -> Vec<String> {
        let of = lines.iter().filter(|line| line["path"] == path);
        of.map(|line| line["cause"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(cause("good"), ["complete", "probe"]);
    assert_eq!(cause("absent"), ["refused"]);
}
