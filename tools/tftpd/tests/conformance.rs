//! The recorded conformance cases against tftpd: IPv4 and IPv6, as root and as nobody, with a port per
//! transfer and with one port.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

fn script() -> PathBuf {
    let corpora =
        std::env::var_os("CONFORMANCE_DIR").map(|folder| PathBuf::from(folder).join("tftp/conformance.py"));
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conformance.py");
    corpora.filter(|path| path.is_file()).unwrap_or(own)
}

fn run(host: &str, flags: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    // `nobody` has to get in.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let root = folder.path().join("root");
    let prepared = Command::new("python3").arg(script()).arg("--prepare").arg(&root).status();
    if !prepared.is_ok_and(|status| status.success()) {
        eprintln!("skipped: python3 is missing");
        return;
    }
    let (_server, address) = common::serve(&root, host, flags);
    let output = Command::new("python3")
        .arg(script())
        .args([host, &address.port().to_string()])
        .arg(&root)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let last = text.lines().last().unwrap();
    let (passed, all) = last.trim_end_matches(" pass").split_once(" of ").unwrap();
    assert_eq!(passed, all, "{text}");
    assert!(all.parse::<u32>().unwrap() >= 32, "{text}");
}

#[test]
fn ports_of_their_own_as_we_are() {
    // RFC 1350 §4
    run("127.0.0.1", &["--user", "root"]);
    run("::1", &["--user", "root"]);
}

#[test]
fn ports_of_their_own_as_nobody() {
    if common::is_root() {
        run("127.0.0.1", &[]);
        run("::1", &[]);
    }
}

#[test]
fn one_port() {
    run("127.0.0.1", &["--single-port", "--user", "root"]);
    run("::1", &["--single-port", "--user", "root"]);
}

#[test]
fn one_port_as_nobody() {
    if common::is_root() {
        run("127.0.0.1", &["--single-port"]);
        run("::1", &["--single-port"]);
    }
}
