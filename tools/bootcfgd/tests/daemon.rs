//! The program as an operator runs it: flags of the originals, exit codes, signals.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

struct Daemon {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
    address: String,
}

impl Daemon {
    /// Starts it on a free port and waits until it says where.
    fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bootcfgd"))
            .args(["-address=127.0.0.1:0", "--log-format=json", "--user=root"])
            .args(arguments)
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let line = Self::line(&mut lines, "\"serving\"");
        let address = line.split("\"address\":\"").nth(1).unwrap().split('"').next().unwrap().to_string();
        Self { child, lines, address }
    }

    fn line(lines: &mut impl BufRead, wanted: &str) -> String {
        let mut line = String::new();
        while !line.contains(wanted) {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "it ended without {wanted}");
        }
        line
    }

    fn wait_for(&mut self, wanted: &str) -> String {
        Self::line(&mut self.lines, wanted)
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_string()
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn data() -> TempDir {
    let dir = TempDir::new().unwrap();
    for folder in ["groups", "profiles", "ignition", "generic", "assets"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
    }
    fs::write(dir.path().join("groups/g.json"), r#"{"profile":"p"}"#).unwrap();
    fs::write(
        dir.path().join("profiles/p.json"),
        r#"{"id":"p","boot":{"kernel":"/k","args":["a"],"cmdline":{"c":""}}}"#,
    )
    .unwrap();
    fs::write(dir.path().join("assets/f"), "asset").unwrap();
    dir
}

#[test]
fn it_serves_reloads_and_stops() {
    let dir = data();
    let path = dir.path().to_str().unwrap();
    let mut daemon = Daemon::start(&["-data-path", path, &format!("-assets-path={path}/assets")], &[]);
    assert_eq!(daemon.get("/"), "matchbox\n");
    assert_eq!(daemon.get("/ipxe"), "#!ipxe\nkernel /k a\nboot\n");
    assert_eq!(daemon.get("/assets/f"), "asset");
    let line = daemon.wait_for("\"path\":\"/ipxe\"");
    for part in ["\"group\":\"g\"", "\"profile\":\"p\"", "\"status\":200"] {
        assert!(line.contains(part), "{line}");
    }
    // SIGHUP names a file that does not parse; its last good text stays.
    fs::write(dir.path().join("groups/g.json"), "{\"profile\":\"p\",\n}").unwrap();
    daemon.signal("-HUP");
    let line = daemon.wait_for("groups/g.json");
    assert!(line.contains("\"line\":1") || line.contains("\"line\":2"), "{line}");
    assert_eq!(daemon.get("/ipxe"), "#!ipxe\nkernel /k a\nboot\n");
    daemon.signal("-TERM");
    assert_eq!(daemon.child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_environment_of_the_originals_is_read() {
    let dir = data();
    let path = dir.path().to_str().unwrap();
    let daemon = Daemon::start(
        &["--compat=bootcfg-0.4.0"],
        &[("BOOTCFG_DATA_PATH", path), ("BOOTCFG_ASSETS_PATH", "")],
    );
    assert_eq!(daemon.get("/"), "bootcfg\n");
    assert_eq!(daemon.get("/ipxe"), "#!ipxe\nkernel /k c\ninitrd \nboot\n");
    assert_eq!(daemon.get("/assets/f"), "404 page not found\n");
}

#[test]
fn metrics_count_what_was_answered() {
    let dir = data();
    let path = dir.path().to_str().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let daemon = Daemon::start(&["-data-path", path, &format!("--metrics=127.0.0.1:{port}")], &[]);
    daemon.get("/ipxe");
    daemon.get("/nope");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    for line in [
        "bootcfg_answers_total{endpoint=\"ipxe\",status=\"200\",reason=\"\"} 1\n",
        "bootcfg_answers_total{endpoint=\"other\",status=\"404\",reason=\"not-found\"} 1\n",
        "bootcfg_groups 1\n",
    ] {
        assert!(page.contains(line), "{page}");
    }
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bootcfgd")).args(arguments).output().unwrap();
    let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn what_is_missing_is_named_with_its_remedy() {
    let (code, _, log) = run(&["-data-path=/nonexistent", "-assets-path="]);
    assert_eq!(code, Some(3), "{log}");
    assert!(log.contains("/nonexistent") && log.contains("create the folder"), "{log}");
    let dir = data();
    let path = dir.path().to_str().unwrap();
    let (code, _, log) = run(&["-data-path", path, "-assets-path=/nonexistent"]);
    assert_eq!(code, Some(3), "{log}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (code, _, log) = run(&["-data-path", path, &format!("-address={}", taken.local_addr().unwrap())]);
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("is another server there?"), "{log}");
    assert_eq!(run(&["--nonsense"]).0, Some(2));
    let (code, _, log) = run(&["-data-path", path, "-key-ring-path=/nonexistent.gpg"]);
    assert_eq!(code, Some(3), "{log}");
    let (code, version, _) = run(&["-version"]);
    assert_eq!((code, version.starts_with("bootcfgd ")), (Some(0), true));
}

#[test]
fn check_finds_faults_and_says_so() {
    let dir = data();
    let path = dir.path().to_str().unwrap();
    let (code, out, _) = run(&["check", path, "--assets="]);
    assert_eq!((code, out.as_str()), (Some(0), "1 groups, 1 profiles: 0 errors, 0 warnings\n"));
    fs::write(dir.path().join("groups/bad.json"), "{\n\"profile\": }").unwrap();
    let (code, out, _) = run(&["check", path, "--assets="]);
    assert_eq!(code, Some(1));
    assert!(out.starts_with("groups/bad.json:2:12: error[group-broken]: "), "{out}");
    let (code, out, _) = run(&["check", path, "--assets=", "--json"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("\"code\": \"group-broken\""), "{out}");
    assert_eq!(run(&["check", "/nonexistent"]).0, Some(3));
}
