//! Role install against the fleet's own answers, on disks that are files: what is written, and what never is.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr
)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use fleet::{Command as Order, Config, Fleet, Mac, NewMachine, Provision, Role, Sighting, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const DISK: usize = 32 << 20;
const SERIAL: &str = "S-1";

/// An image with one partition, 3 MiB and some of text that packs well.
fn image() -> Vec<u8> {
    let mut image: Vec<u8> = (0..3_200_000_u32).flat_map(|at| [(at >> 9) as u8]).collect();
    image.resize(4 << 20, 7);
    image[..512].fill(0);
    image[446..462].copy_from_slice(&[0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0x18, 0, 0]);
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    image
}

fn sha256(octets: &[u8]) -> String {
    Sha256::digest(octets).iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The server: the fleet for grant, report and register, fixed instructions, and the image.
struct Server {
    url: String,
    fleet: Arc<Mutex<Fleet>>,
    claim: String,
    /// Requests as they came: path and body.
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

struct Served {
    instructions: Value,
    octets: Vec<u8>,
    /// The first answers break off after so many octets.
    break_off: Mutex<Vec<usize>>,
    /// Whether Range is understood.
    ranges: bool,
}

impl Server {
    fn start(served: Served) -> Self {
        let mut fleet = Fleet::new(Config::default());
        let mac: Mac = "52:54:00:00:00:21".parse().unwrap();
        let machine = NewMachine { name: "kpc-01".into(), macs: vec![mac], ..NewMachine::default() };
        fleet.command(now(), "test", Order::AddMachine(machine)).unwrap();
        let mut order = Provision::new("kpc-01".parse().unwrap(), "disk", Role::Install);
        order.wipe = served.instructions["wipe"].as_str().map(str::to_owned);
        fleet.command(now(), "test", Order::Provision(order)).unwrap();
        let claim = fleet.claim(now(), &Sighting::of(mac), [7; 16]).unwrap().secret.expose();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (fleet, asked) = (Arc::new(Mutex::new(fleet)), Arc::new(Mutex::new(Vec::new())));
        let (of, log, base) = (Arc::clone(&fleet), Arc::clone(&asked), url.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                one(stream.unwrap(), &served, &of, &log, &base);
            }
        });
        Self { url, fleet, claim: claim.to_string(), asked }
    }

    fn bodies(&self, path: &str) -> Vec<Value> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .filter(|(of, _)| of == path)
            .map(|(_, body)| serde_json::from_str(body).unwrap())
            .collect()
    }

    /// The phases reported, in order, each once.
    fn phases(&self) -> Vec<String> {
        let mut phases: Vec<String> = self
            .bodies("/v1/report")
            .iter()
            .map(|report| report["phase"].as_str().unwrap().to_owned())
            .collect();
        phases.dedup();
        phases
    }

    fn order_state(&self) -> String {
        let fleet = self.fleet.lock().unwrap();
        let machine = fleet.machines().next().unwrap().id;
        fleet.order_of(machine).unwrap().state.word().to_owned()
    }
}

fn now() -> Timestamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(now.as_millis()).unwrap())
}

fn one(
    mut stream: TcpStream,
    served: &Served,
    fleet: &Mutex<Fleet>,
    log: &Mutex<Vec<(String, String)>>,
    base: &str,
) {
    let mut octets = Vec::new();
    let mut piece = [0; 65536];
    let (head, length) = loop {
        let read = stream.read(&mut piece).unwrap_or(0);
        if read == 0 {
            return;
        }
        octets.extend_from_slice(&piece[..read]);
        if let Some(at) = octets.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(octets.drain(..at + 4).collect()).unwrap();
            let length = field(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
            break (head, length);
        }
    };
    while octets.len() < length {
        let read = stream.read(&mut piece).unwrap();
        octets.extend_from_slice(&piece[..read]);
    }
    let path = head.split(' ').nth(1).unwrap().to_owned();
    log.lock().unwrap().push((path.clone(), String::from_utf8(octets.clone()).unwrap()));
    let (status, body) = match path.as_str() {
        "/v1/claim" => {
            let mut install = served.instructions.clone();
            install["image"] = json!(format!("{base}/image"));
            install["user_data"]["url"] = json!(format!("{base}/cloud"));
            (200, json!({ "name": "kpc-01", "install": install }).to_string().into_bytes())
        }
        "/cloud" => (200, b"#cloud-config\n".to_vec()),
        "/image" => {
            let first = field(&head, "range")
                .map_or(0, |text| text["bytes=".len()..].trim_end_matches('-').parse().unwrap());
            let first = if served.ranges { first } else { 0 };
            let status = if first > 0 { 206 } else { 200 };
            let body = &served.octets[first..];
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
            let breaks = served.break_off.lock().unwrap().pop();
            let end = breaks.map_or(body.len(), |after| after.min(body.len()));
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[..end]));
            return;
        }
        _ => {
            let mut fleet = fleet.lock().unwrap();
            let peer = [127, 0, 0, 1].into();
            let answer = fleet::http::answer(&mut fleet, now(), peer, "POST", &path, &octets);
            (answer.status, answer.body.into_bytes())
        }
    };
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

fn field(head: &str, name: &str) -> Option<String> {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

fn instructions(octets: &[u8], format: &str) -> Value {
    json!({
        "format": format, "sha256": sha256(octets), "octets": octets.len(),
        "disk": { "serial": null, "rule": "only", "min_octets": 0 }, "wipe": null, "boot_order": "keep",
        "user_data": { "kind": "nocloud", "meta_data": "instance-id: 1\n" },
    })
}

fn served(octets: Vec<u8>, format: &str) -> Served {
    Served {
        instructions: instructions(&octets, format),
        octets,
        break_off: Mutex::new(Vec::new()),
        ranges: true,
    }
}

/// A machine whose disks are files.
struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new(disks: &[(&str, &str, &[u8])]) -> Self {
        let machine = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(machine.path("dev")).unwrap();
        for (name, serial, octets) in disks {
            let sys = machine.path("sys/block").join(name);
            fs::create_dir_all(&sys).unwrap();
            fs::write(sys.join("size"), format!("{}\n", DISK / 512)).unwrap();
            fs::write(sys.join("serial"), serial).unwrap();
            let mut whole = octets.to_vec();
            whole.resize(DISK, 0);
            fs::write(machine.path("dev").join(name), whole).unwrap();
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn disk(&self, name: &str) -> Vec<u8> {
        fs::read(self.path("dev").join(name)).unwrap()
    }

    fn spawn(&self, server: &Server) -> Child {
        let line = format!("kpc.role=install kpc.server={} kpc.claim={}", server.url, server.claim);
        fs::write(self.path("cmdline"), line).unwrap();
        let mut agent = Command::new(env!("CARGO_BIN_EXE_kpc-agent"));
        agent.arg("--once").arg("--cmdline").arg(self.path("cmdline")).arg("--root").arg(self.path("root"));
        agent.arg("--sys").arg(self.path("sys")).arg("--dev").arg(self.path("dev"));
        agent.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// A step of a distribution's own installer.
    fn step(&self, server: &Server, words: &[&str]) -> Output {
        let line = format!("auto=true kpc.server={} kpc.claim={}", server.url, server.claim);
        fs::write(self.path("cmdline"), line).unwrap();
        let mut agent = Command::new(env!("CARGO_BIN_EXE_kpc-agent"));
        agent.args(words).arg("--cmdline").arg(self.path("cmdline"));
        agent.arg("--sys").arg(self.path("sys")).arg("--dev").arg(self.path("dev"));
        agent.output().unwrap()
    }

    fn install(&self, server: &Server) -> Output {
        self.spawn(server).wait_with_output().unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The image lies on the disk as it was packed, but for the entry of the volume behind it.
fn is_installed(disk: &[u8]) {
    let image = image();
    assert!(disk[..446] == image[..446] && disk[512..image.len()] == image[512..]);
    let table = disk::Table::read(disk, DISK as u64).unwrap();
    let volume = table.partitions()[1];
    let window = disk::Window::new(disk, volume.offset, volume.length);
    assert_eq!(disk::fat::read(&window, "user-data").unwrap(), b"#cloud-config\n");
    assert_eq!(disk::fat::read(&window, "meta-data").unwrap(), b"instance-id: 1\n");
}

fn packed(program: &str) -> Option<Vec<u8>> {
    let mut child =
        Command::new(program).arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    let mut input = child.stdin.take()?;
    let writer = std::thread::spawn(move || input.write_all(&image()));
    let output = child.wait_with_output().ok()?;
    writer.join().unwrap().unwrap();
    Some(output.stdout)
}

#[test]
fn an_image_of_each_kind_is_installed() {
    let kinds =
        [("raw", Some(image())), ("gzip", packed("gzip")), ("xz", packed("xz")), ("zstd", packed("zstd"))];
    for (format, octets) in kinds {
        let Some(octets) = octets else {
            eprintln!("skipped: {format} is not installed");
            continue;
        };
        for name in [format, "auto"] {
            let server = Server::start(served(octets.clone(), name));
            let machine = Machine::new(&[("vda", SERIAL, b"")]);
            let output = machine.install(&server);
            assert!(output.status.success(), "{format}: {}", said(&output));
            is_installed(&machine.disk("vda"));
            assert_eq!(server.order_state(), "done");
            assert_eq!(server.phases(), ["agent", "inventory", "done", "reboot"]);
            assert_eq!(server.bodies("/v1/grant").len(), 1);
        }
    }
}

#[test]
fn a_connection_that_breaks_is_continued() {
    for ranges in [true, false] {
        let octets = image();
        let server = Server::start(Served {
            break_off: Mutex::new(vec![2_000_000, 700_000]),
            ranges,
            ..served(octets, "raw")
        });
        let machine = Machine::new(&[("vda", SERIAL, b"")]);
        let output = machine.install(&server);
        assert!(output.status.success() && said(&output).contains("broke off"), "{}", said(&output));
        is_installed(&machine.disk("vda"));
    }
}

/// Runs an agent until its order has ended, and ends it: it stays for a person to look.
fn stops(machine: &Machine, server: &Server) -> Vec<String> {
    let agent = machine.spawn(server);
    let output = agent.wait_with_output().unwrap();
    assert!(!output.status.success());
    assert_eq!(server.order_state(), "failed", "{}", said(&output));
    let reports = server.bodies("/v1/report");
    let failed = reports.iter().filter(|report| report["phase"] == "failed");
    failed.map(|report| report["detail"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn another_image_than_the_named_one_does_not_start() {
    let mut wrong = served(image(), "raw");
    wrong.instructions["sha256"] = json!("0".repeat(64));
    let server = Server::start(wrong);
    let machine = Machine::new(&[("vda", SERIAL, b"")]);
    let why = stops(&machine, &server);
    assert!(why[0].contains("SHA-256"), "{why:?}");
    assert!(machine.disk("vda")[..1 << 20].iter().all(|octet| *octet == 0), "no firmware starts it");
}

#[test]
fn a_disk_that_holds_data_is_not_touched() {
    // A filesystem, and at the end of the disk the backup of a GPT (UEFI 2.10 §5.3.1) that is there no more.
    let mut data = b"XFSB somebody's".to_vec();
    data.resize(DISK, 0);
    data[DISK - 512..DISK - 504].copy_from_slice(b"EFI PART");
    let server = Server::start(served(image(), "raw"));
    let machine = Machine::new(&[("vda", SERIAL, &data)]);
    let why = stops(&machine, &server);
    assert!(why[0].contains("xfs"), "{why:?}");
    assert!(why[0].contains("gpt") && machine.disk("vda") == data);
    // Given up by its serial, it is.
    let mut wiped = served(image(), "raw");
    wiped.instructions["wipe"] = json!(SERIAL);
    let server = Server::start(wiped);
    let output = machine.install(&server);
    assert!(output.status.success(), "{}", said(&output));
    is_installed(&machine.disk("vda"));
    assert!(
        machine.disk("vda")[DISK - 512..].iter().all(|octet| *octet == 0),
        "nothing of it is left at the end"
    );
}

#[test]
fn an_ambiguous_disk_stops_before_the_grant() {
    let disks: &[(&str, &str, &[u8])] = &[("vda", SERIAL, b""), ("vdb", "S-2", b"")];
    let server = Server::start(served(image(), "raw"));
    let machine = Machine::new(disks);
    let why = stops(&machine, &server);
    assert!(why[0].contains("vda (S-1") && why[0].contains("vdb (S-2"), "{why:?}");
    assert!(server.bodies("/v1/grant").is_empty());
    // Named by its serial, it is written, and the other is not.
    let mut named = served(image(), "raw");
    named.instructions["disk"]["serial"] = json!("S-2");
    let output = machine.install(&Server::start(named));
    assert!(output.status.success(), "{}", said(&output));
    is_installed(&machine.disk("vdb"));
    assert!(machine.disk("vda").iter().all(|octet| *octet == 0));
}

#[test]
fn what_cannot_be_installed_spends_no_grant() {
    let cases: [(Vec<u8>, &str, &str); 4] = [
        (b"QFI\xfb and so on".to_vec(), "raw", "qcow2"),
        (vec![1; 4096], "raw", "no partition table"),
        (vec![1; 4096], "gzip", "unpack"),
        (image(), "tar", "`tar`"),
    ];
    for (octets, format, expected) in cases {
        let server = Server::start(served(octets, format));
        let machine = Machine::new(&[("vda", SERIAL, b"")]);
        let why = stops(&machine, &server);
        assert!(why[0].contains(expected), "{why:?}");
        assert!(server.bodies("/v1/grant").is_empty());
        assert!(machine.disk("vda").iter().all(|octet| *octet == 0));
    }
}

#[test]
fn the_installed_system_registers_by_claim_then_by_key() {
    let server = Server::start(served(image(), "raw"));
    let machine = Machine::new(&[("vda", SERIAL, b"")]);
    assert!(machine.install(&server).status.success());
    // The partitions as the kernel shows them after the reboot.
    let disk = machine.disk("vda");
    let volume = disk::Table::read(disk.as_slice(), DISK as u64).unwrap().partitions()[1];
    let sys = machine.path("sys/class/block/vda2");
    fs::create_dir_all(&sys).unwrap();
    fs::write(sys.join("partition"), "2\n").unwrap();
    let (start, end) = (volume.offset as usize, (volume.offset + volume.length) as usize);
    fs::write(machine.path("dev/vda2"), &disk[start..end]).unwrap();
    let card = machine.path("sys/class/net/eth0");
    fs::create_dir_all(&card).unwrap();
    fs::write(card.join("address"), "52:54:00:00:00:21\n").unwrap();
    let register = || {
        let mut agent = Command::new(env!("CARGO_BIN_EXE_kpc-agent"));
        agent.arg("register").arg("--sys").arg(machine.path("sys")).arg("--dev").arg(machine.path("dev"));
        agent.output().unwrap()
    };
    for _ in 0..2 {
        let output = register();
        assert!(
            output.status.success() && said(&output).contains("registered as kpc-01"),
            "{}",
            said(&output)
        );
    }
    let bodies = server.bodies("/v1/register");
    assert!(
        bodies.iter().all(|body| body["key"] == bodies[0]["key"] && body["claim"] == server.claim.as_str())
    );
    assert_eq!(bodies[0]["digests"]["image"], sha256(&image()));
    // Another order takes the claim away; the key still says who it is.
    {
        let mut fleet = server.fleet.lock().unwrap();
        let mut order = Provision::new("kpc-01".parse().unwrap(), "disk", Role::Install);
        order.again = true;
        fleet.command(now(), "test", Order::Provision(order)).unwrap();
    }
    let output = register();
    assert!(output.status.success() && said(&output).contains("by the key alone"), "{}", said(&output));
    assert!(server.bodies("/v1/register").last().unwrap().get("claim").is_none());
}

/// A preseed, kickstart or autoinstall file asks for the grant before its installer writes, and tells after it.
#[test]
fn an_installer_of_a_distribution_asks_and_tells() {
    let server = Server::start(served(image(), "raw"));
    let machine = Machine::new(&[("vda", SERIAL, b"")]);
    let (root, target) = (machine.path("root"), machine.path("target"));
    let root = root.to_str().unwrap();
    let asked = machine.step(&server, &["grant", "--root", root]);
    assert!(asked.status.success(), "{}", said(&asked));
    let named = fs::read_to_string(machine.path("root/tmp/kpc-disk")).unwrap();
    assert_eq!(named.trim(), machine.path("dev/vda").to_str().unwrap());
    assert_eq!((server.order_state().as_str(), machine.disk("vda")), ("granted", vec![0; DISK]));
    // Once: a second run of the installer is not let write.
    assert!(!machine.step(&server, &["grant", "--root", root]).status.success());
    assert_eq!(server.order_state(), "failed");

    let server = Server::start(served(image(), "raw"));
    let machine = Machine::new(&[("vda", SERIAL, b"")]);
    assert!(machine.step(&server, &["grant", "--root", root]).status.success());
    let told = machine.step(&server, &["installed", "--root", target.to_str().unwrap()]);
    assert!(told.status.success(), "{}", said(&told));
    assert_eq!(server.order_state(), "done");
    let credentials = target.join("etc/kpc/kpc.json");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&credentials).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(target.join("etc/systemd/system/multi-user.target.wants/kpc-register.service").is_symlink());
    let mut system = Command::new(target.join("usr/local/bin/kpc-agent"));
    let output =
        system.args(["register", "--from"]).arg(credentials).arg("--sys").arg(machine.path("sys")).output();
    let output = output.unwrap();
    assert!(output.status.success() && said(&output).contains("registered as kpc-01"), "{}", said(&output));
}

/// Two disks and no word which: nothing is granted, and the order ends with the question.
#[test]
fn an_installer_never_guesses_a_disk() {
    let server = Server::start(served(image(), "raw"));
    let machine = Machine::new(&[("vda", SERIAL, b""), ("vdb", "S-2", b"")]);
    let asked = machine.step(&server, &["grant", "--root", machine.path("root").to_str().unwrap()]);
    assert!(!asked.status.success());
    assert_eq!((server.order_state().as_str(), server.bodies("/v1/grant").len()), ("failed", 0));
    assert!(!machine.path("root/tmp/kpc-disk").exists());
}
