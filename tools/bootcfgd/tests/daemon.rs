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
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

struct Daemon {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
    address: String,
}

impl Daemon {
    /// Starts it on a free port and waits until it says where.
    fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bootcfgd"));
        command.args(["-address=127.0.0.1:0", "--user=root"]).args(arguments);
        Self::run(command.envs(environment.iter().copied()))
    }

    fn run(command: &mut Command) -> Self {
        let mut child = command.arg("--log-format=json").stderr(Stdio::piped()).spawn().unwrap();
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

/// What /proc says of every thread: account, groups, capabilities, and whether new ones are forbidden.
fn privileges(process: u32) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let status = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("status")).unwrap();
    let fields = ["Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs"];
    let told = |line: &&str| fields.iter().any(|field| line.starts_with(&format!("{field}:")));
    let words = |line: &str| line.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    let lines = |text: String| text.lines().filter(told).map(words).collect::<Vec<_>>().join("\n");
    threads.map(|thread| lines(status(thread.unwrap()))).collect()
}

#[test]
fn no_thread_keeps_what_root_may() {
    if !fs::read_to_string("/proc/self/status").unwrap().contains("Uid:\t0\t0") {
        println!("skipped: only root has privileges to give up");
        return;
    }
    let dir = data();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = dir.path().to_str().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bootcfgd"));
    let daemon =
        Daemon::run(command.args(["-address=127.0.0.1:0", "-data-path", path, "--metrics=127.0.0.1:0"]));
    // Reading an asset takes a thread that was not there before.
    assert_eq!(
        (daemon.get("/ipxe"), daemon.get("/assets/f")),
        ("#!ipxe\nkernel /k a\nboot\n".into(), "asset".into())
    );
    let threads = privileges(daemon.child.id());
    assert!(threads.len() > 3, "{threads:?}");
    let none = "0".repeat(16);
    let (user, group) = account("nobody");
    for status in threads {
        let want = format!(
            "Uid: {user} {user} {user} {user}\nGid: {group} {group} {group} {group}\nGroups: {group}\nCapInh: {none}\n\
             CapPrm: {none}\nCapEff: {none}\nCapBnd: {none}\nCapAmb: {none}\nNoNewPrivs: 1"
        );
        assert_eq!(status, want);
    }
    // What the account cannot read is told, not passed over.
    let group = dir.path().join("groups/secret.json");
    fs::write(&group, "{}").unwrap();
    fs::set_permissions(&group, fs::Permissions::from_mode(0o600)).unwrap();
    daemon.signal("-HUP");
    let mut daemon = daemon;
    assert!(daemon.wait_for("groups/secret.json").contains("check its permissions"));
}

/// User and group of an account.
fn account(name: &str) -> (u32, u32) {
    let accounts = fs::read_to_string("/etc/passwd").unwrap();
    let fields: Vec<&str> = accounts
        .lines()
        .map(|line| line.split(':').collect())
        .find(|fields: &Vec<&str>| fields[0] == name)
        .unwrap();
    (fields[2].parse().unwrap(), fields[3].parse().unwrap())
}

#[test]
fn the_socket_that_systemd_holds_is_served() {
    let dir = data();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // systemd's protocol: descriptors from 3 on, their number, and the process they are meant for.
    let script = "exec 3<&0; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_bootcfgd"), "--user=root", "-address=192.0.2.1:1"]);
    command.arg("-data-path").arg(dir.path()).stdin(std::os::fd::OwnedFd::from(listener));
    let mut daemon = Daemon::run(&mut command);
    assert_eq!((&daemon.address, daemon.get("/").as_str()), (&address, "matchbox\n"));
    daemon.signal("-TERM");
    assert_eq!(daemon.child.wait().unwrap().code(), Some(0));
}

#[test]
fn systemd_is_told_when_it_serves_and_when_it_stops() {
    let dir = data();
    let path = dir.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let data = dir.path().to_str().unwrap();
    let mut daemon = Daemon::start(&["-data-path", data], &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    let told = || {
        let mut text = [0; 100];
        let length = socket.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).trim().to_string()
    };
    assert_eq!(told(), "READY=1");
    daemon.signal("-TERM");
    assert_eq!(told(), "STOPPING=1");
    assert_eq!(daemon.child.wait().unwrap().code(), Some(0));
}

#[test]
fn sigterm_lets_a_transfer_come_to_its_end() {
    let dir = data();
    let asset: Vec<u8> = (0..40_000_000_u32).map(|number| (number % 253) as u8).collect();
    fs::write(dir.path().join("assets/image"), &asset).unwrap();
    let path = dir.path().to_str().unwrap();
    let mut daemon = Daemon::start(&["-data-path", path, "--drain=60s"], &[]);
    let mut stream = TcpStream::connect(&daemon.address).unwrap();
    stream.write_all(b"GET /assets/image HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = vec![0; 1000];
    stream.read_exact(&mut answer).unwrap();
    daemon.signal("-TERM");
    daemon.wait_for("stopping: transfers");
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.ends_with(&asset), "{}", answer.len());
    assert_eq!(daemon.child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_edit_is_answered_without_a_signal() {
    let dir = data();
    let path = dir.path().to_str().unwrap();
    let mut daemon = Daemon::start(&["-data-path", path], &[]);
    assert_eq!(daemon.get("/ipxe"), "#!ipxe\nkernel /k a\nboot\n");
    fs::write(dir.path().join("profiles/p.json"), r#"{"id":"p","boot":{"kernel":"/new"}}"#).unwrap();
    daemon.wait_for("read the data folder again");
    assert_eq!(daemon.get("/ipxe"), "#!ipxe\nkernel /new\nboot\n");
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
    assert!(log.contains("names the other server"), "{log}");
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
