//! `--map-test` has golden output, and rules hold for clients.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod common;

use std::path::Path;
use std::time::Duration;

fn map() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/map.toml").display().to_string()
}

fn map_test(arguments: &[&str]) -> String {
    let output = common::tftpd().args(["--map", &map(), "--map-test"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn golden() {
    let known = map_test(&["/grub.cfg", "--from", "10.0.0.5", "--mac", "52:54:00:12:34:56"]);
    assert_eq!(known, include_str!("golden/known.txt"));
    let stranger = map_test(&["grub.cfg", "--from", "10.0.0.6"]);
    assert_eq!(stranger, include_str!("golden/stranger.txt"));
    let refused = map_test(&["secret/key"]);
    assert_eq!(refused, include_str!("golden/refused.txt"));
}

#[test]
fn a_wrong_map_is_a_wrong_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("map.toml");
    std::fs::write(&map, "[[rule]]\npath = \"$1\"\n").unwrap();
    let output = common::tftpd().arg("--map").arg(&map).args(["--map-test", "x"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("rule 1"));
}

#[test]
fn a_rendered_file_says_its_own_length() {
    // RFC 2349: tsize is what will be sent, plain and in netascii.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("motd.in"), "you are {{ip}}\n").unwrap();
    let map = folder.path().join("map.toml");
    std::fs::write(&map, "[[rule]]\nmatch = '^motd$'\npath = 'motd.in'\nrender = true\n").unwrap();
    let flags = ["--user", "root", "--map", map.to_str().unwrap()];
    let (_server, address) = common::serve(folder.path(), "127.0.0.1", &flags);
    let wait = Duration::from_secs(10);
    let oack = common::ask(address, b"\0\x01motd\0octet\0tsize\x000\0", wait).unwrap();
    assert_eq!(oack, b"\0\x06tsize\x0018\0");
    let oack = common::ask(address, b"\0\x01motd\0netascii\0tsize\x000\0", wait).unwrap();
    assert_eq!(oack, b"\0\x06tsize\x0019\0");
    let data = common::ask(address, b"\0\x01motd\0netascii\0", wait).unwrap();
    assert_eq!(data, b"\0\x03\0\x01you are 127.0.0.1\r\n");
}
