//! tftpd against the clients that people have: curl, busybox, tftp-hpa, atftp. Octets are compared.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr
)]
#![allow(clippy::disallowed_methods, reason = "tests own sockets")]

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use kpc_tests::{Guard, binary, peer, peer_command, run_within, wait_for};

const LIMIT: Duration = Duration::from_secs(120);

/// A tftpd over a folder of its own with files whose sizes sit on block boundaries.
struct Served {
    _server: Guard,
    port: u16,
    root: tempfile::TempDir,
}

impl Served {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(flags: &[&str]) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        for (name, size) in FILES {
            let octets: Vec<u8> = (0..*size).map(|at| (at * 31 + at / 251) as u8).collect();
            std::fs::write(root.path().join(name), octets).expect("a file");
        }
        let port =
            UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let server = Guard::spawn(
            Command::new(binary("tftpd"))
                .args(["--listen", &format!("127.0.0.1:{port}"), "--root"])
                .arg(root.path())
                .args(flags)
                .stdout(Stdio::null()),
        );
        let probe = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        probe.set_read_timeout(Some(Duration::from_millis(100))).expect("a time-out");
        wait_for("tftpd answers", LIMIT, || {
            let _ = probe.send_to(b"\x00\x01no-such-file\x00octet\x00", ("127.0.0.1", port));
            matches!(probe.recv(&mut [0; 600]), Ok(length) if length > 4)
        });
        Self { _server: server, port, root }
    }

    fn original(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.root.path().join(name)).expect("the original")
    }
}

const FILES: &[(&str, usize)] = &[
    ("empty", 0),
    ("one", 1),
    ("block", 512),
    ("blocks", 1024),
    ("odd", 1_000_003),
    ("big", 40 * 1024 * 1024),
];

/// Fetches every file with `fetch(name, output)` and compares.
fn compare(served: &Served, names: &[&str], mut fetch: impl FnMut(&str, &Path) -> Command) {
    let out = tempfile::tempdir().expect("a folder");
    for name in names {
        let path: PathBuf = out.path().join(name);
        let mut command = fetch(name, &path);
        let (good, text) = run_within(command.current_dir(out.path()), LIMIT);
        assert!(good, "{command:?}: {text}");
        let got = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: {text}", path.display()));
        assert_eq!(got.len(), served.original(name).len(), "{name}");
        assert!(got == served.original(name), "{name}: octets differ");
    }
}

#[test]
fn curl_reads_every_size() {
    // RFC 1350 §6: a file of k × blksize octets ends with an empty block; an empty file is one.
    let Some(curl) = peer("curl") else { return };
    let served = Served::start();
    compare(&served, &["one", "block", "blocks", "odd"], |name, out| {
        let mut command = Command::new(&curl);
        command.args(["--silent", "--show-error", "--max-time", "20", "--output"]).arg(out);
        command.arg(format!("tftp://127.0.0.1:{}/{name}", served.port));
        command
    });
    // A block size of its own, and more blocks than a block number has (RFC 2348; roll-over to 0).
    compare(&served, &["big"], |name, out| {
        let mut command = Command::new(&curl);
        command
            .args(["--silent", "--show-error", "--tftp-blksize", "512", "--max-time", "25", "--output"])
            .arg(out);
        command.arg(format!("tftp://127.0.0.1:{}/{name}", served.port));
        command
    });
}

#[test]
fn busybox_reads_with_and_without_a_block_size() {
    let Some(busybox) = peer("busybox") else { return };
    let served = Served::start();
    for size in [None, Some("1468")] {
        compare(&served, &["one", "block", "blocks", "odd"], |name, out| {
            let mut command = Command::new(&busybox);
            command.args(["tftp", "-g", "-r", name, "-l"]).arg(out);
            if let Some(size) = size {
                command.args(["-b", size]);
            }
            command.args(["127.0.0.1", &served.port.to_string()]);
            command
        });
    }
}

#[test]
fn tftp_hpa_reads_in_octet_mode() {
    let Some(tftp) = peer("tftp") else { return };
    let served = Served::start();
    compare(&served, &["empty", "one", "block", "blocks", "odd"], |name, out| {
        let mut command = peer_command(&tftp);
        command.args(["-m", "binary", "127.0.0.1", &served.port.to_string(), "-c", "get", name]).arg(out);
        command
    });
}

#[test]
fn atftp_reads_with_its_options() {
    let Some(atftp) = peer("atftp") else { return };
    let served = Served::start();
    compare(&served, &["one", "block", "odd"], |name, out| {
        let mut command = peer_command(&atftp);
        command.args([
            "--option",
            "blksize 1428",
            "--option",
            "windowsize 8",
            "--get",
            "--remote-file",
            name,
        ]);
        command.arg("--local-file").arg(out).args(["127.0.0.1", &served.port.to_string()]);
        command
    });
}

/// Writes every file with `store(local, name)` and compares what lies in the root.
fn compare_stored(names: &[&str], mut store: impl FnMut(&Served, &Path, &str) -> Command) {
    let served = Served::start_with(&["--writable", "--user", "root"]);
    let stored = tempfile::tempdir().expect("a folder");
    for name in names {
        let (local, remote) = (stored.path().join(name), format!("new-{name}"));
        std::fs::copy(served.root.path().join(name), &local).expect("a copy");
        let mut command = store(&served, &local, &remote);
        let (good, text) = run_within(command.current_dir(stored.path()), LIMIT);
        assert!(good, "{command:?}: {text}");
        assert!(served.original(&remote) == served.original(name), "{name}: octets differ");
    }
}

const STORED: &[&str] = &["one", "block", "blocks", "odd"];

#[test]
fn curl_writes() {
    let Some(curl) = peer("curl") else { return };
    compare_stored(STORED, |served, local, remote| {
        let mut command = Command::new(&curl);
        command.args(["--silent", "--show-error", "--max-time", "20", "--upload-file"]).arg(local);
        command.arg(format!("tftp://127.0.0.1:{}/{remote}", served.port));
        command
    });
}

#[test]
fn busybox_writes() {
    let Some(busybox) = peer("busybox") else { return };
    compare_stored(STORED, |served, local, remote| {
        let mut command = Command::new(&busybox);
        command.args(["tftp", "-p", "-b", "1024", "-r", remote, "-l"]).arg(local);
        command.args(["127.0.0.1", &served.port.to_string()]);
        command
    });
}

#[test]
fn tftp_hpa_writes() {
    let Some(tftp) = peer("tftp") else { return };
    compare_stored(STORED, |served, local, remote| {
        let mut command = peer_command(&tftp);
        command
            .args(["-m", "binary", "127.0.0.1", &served.port.to_string(), "-c", "put"])
            .arg(local)
            .arg(remote);
        command
    });
}

#[test]
fn atftp_writes() {
    let Some(atftp) = peer("atftp") else { return };
    compare_stored(&["one", "block", "odd"], |served, local, remote| {
        let mut command = peer_command(&atftp);
        command
            .args(["--option", "blksize 1428", "--put", "--remote-file", remote, "--local-file"])
            .arg(local);
        command.args(["127.0.0.1", &served.port.to_string()]);
        command
    });
}

#[test]
fn a_missing_file_is_said_so() {
    // RFC 1350 §5: ERROR 1. curl's exit code 68 is CURLE_TFTP_NOTFOUND.
    let Some(curl) = peer("curl") else { return };
    let served = Served::start();
    let status = Command::new(curl)
        .args(["--silent", "--max-time", "20", &format!("tftp://127.0.0.1:{}/absent", served.port)])
        .status()
        .expect("curl runs");
    assert_eq!(status.code(), Some(68));
}
