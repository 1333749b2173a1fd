//! Twenty faults, each injected into a real `kpc serve` on real sockets: `kpc status`, `kpc why` and the page name the
//! cause, by the word that tests/data/faults.tsv has for it. Machines are scripts that speak DHCP, TFTP and HTTP; what
//! installs is the real agent on disks that are files; the lease server is Debian's dhcpd, the second responder dnsmasq.
//! Needs root for network namespaces.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod kpc_rack;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use kpc_rack::{BIOS, HOST, LEASES, LIMIT, Machine, Rack, X64_UEFI, argument, enter, inside, nft, text};
use kpc_tests::{Guard, binary, is_root, peer, root, run_within, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proxy_dhcp::MacAddr;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A host that is not ours: the second responder, and the server of an image that stops half way.
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 9);

/// Machine, architecture, profile of its order.
const MACHINES: [(&str, u16, &str); 18] = [
    ("udp69", BIOS, "live"),
    ("udp4011", X64_UEFI, "live"),
    ("nolease", BIOS, "live"),
    ("rogue", BIOS, "live"),
    ("arch", 0x27, "live"),
    ("biosloader", 6, "live"),
    ("noloader", 10, "live"),
    ("grub", 11, "live"),
    ("secureboot", X64_UEFI, "live"),
    ("cut", BIOS, "live"),
    ("signature", BIOS, "signed"),
    ("noasset", BIOS, "noasset"),
    ("template", BIOS, "template"),
    ("group", BIOS, "live"),
    ("nodisk", BIOS, "big"),
    ("data", BIOS, "disk"),
    ("died", BIOS, "slow"),
    ("store", BIOS, "live"),
];

/// What the test's table has: machine, fault, word.
fn table() -> Vec<(String, String, String)> {
    let text = fs::read_to_string(root().join("tests/data/faults.tsv")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut columns = line.split('\t').map(str::to_owned);
            let mut next = || columns.next().unwrap_or_else(|| panic!("{line}: three columns"));
            (next(), next(), next())
        })
        .collect()
}

/// An image with one partition.
fn image() -> Vec<u8> {
    let mut image = vec![7; 4 << 20];
    image[..512].fill(0);
    image[446..462].copy_from_slice(&[0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0x18, 0, 0]);
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    image
}

fn sha256(octets: &[u8]) -> String {
    Sha256::digest(octets).iter().map(|octet| format!("{octet:02x}")).collect()
}

fn lay_out(rack: &Rack) {
    for (loader, octets) in [("undionly.kpxe", 3000), ("snponly.efi", 3000), ("grubaa64.efi", 3000)] {
        rack.write(&format!("loaders/{loader}"), vec![1; octets]);
    }
    rack.write("assets/vmlinuz", vec![2; 16 << 20]);
    let profile = |name: &str, kernel: &str, ignition: &str| {
        let text = format!(
            "{{\"id\": \"{name}\", \"name\": \"{name}\", \"ignition_id\": \"{ignition}\",\n \
             \"boot\": {{\"kernel\": \"/assets/{kernel}\", \"initrd\": []}}}}"
        );
        rack.write(&format!("bootcfg/profiles/{name}.json"), text);
    };
    for name in ["live", "signed", "big", "disk", "slow"] {
        profile(name, "vmlinuz", "good.yaml");
    }
    profile("noasset", "gone", "good.yaml");
    profile("template", "vmlinuz", "bad.yaml");
    rack.write("bootcfg/ignition/good.yaml", "---\nstorage: {}\n");
    rack.write("bootcfg/ignition/bad.yaml", "---\nstorage: {}\n# {{.nobody_sets_this}}\n");
    fs::create_dir_all(rack.path("bootcfg/groups")).unwrap();
    let image = image();
    rack.write("assets/disk.img", &image);
    rack.write("assets/disk.img.sha256", sha256(&image));
    let mut other = image.clone();
    other[1 << 20] = 8;
    rack.write("assets/signed.img", other);
    rack.write("assets/signed.img.sha256", sha256(&image));
    for (file, password) in [("bmc-password", "right-one\n"), ("other-password", "another-one\n")] {
        rack.write(file, password);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(rack.path(file), mode).unwrap();
    }
}

fn configuration(rack: &Rack) -> String {
    let folder = rack.folder.path().display();
    let image = sha256(&image());
    format!(
        "[bootcfg]\ndata = \"{folder}/bootcfg\"\nassets = \"{folder}/assets\"\n\
         live_profiles = [\"live\", \"noasset\", \"template\"]\n\
         [dhcp.boot]\nia32-uefi = \"undionly.kpxe\"\narm64-uefi = \"grubaa64.efi\"\n\
         [bmc]\nuser = \"admin\"\npassword_file = \"{folder}/bmc-password\"\n\
         [install.signed]\nimage = \"signed.img\"\n\
         [install.disk]\nimage = \"disk.img\"\n\
         [install.big]\nimage = \"disk.img\"\nmin_size = \"1TiB\"\n\
         [install.slow]\nimage = \"http://{OTHER}:9000/image\"\nsha256 = \"{image}\"\n\
         [timeouts.phases]\nseen = \"4s\"\noffered = \"25s\"\nloader = \"30s\"\nscript = \"6s\"\nkernel = \"8s\"\n\
         agent = \"8s\"\nwriting = \"8s\"\n"
    )
}

/// Serves half of the image, and then nothing for as long as anybody waits.
fn stalling_server(namespace: &str) {
    let listener = inside(namespace, || TcpListener::bind((OTHER, 9000)).unwrap());
    thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked);
            let image = image();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", image.len());
            let _ =
                stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&image[..image.len() / 2]));
            held.push(stream);
        }
    });
}

/// The page behind its login, and what it is told while it is open.
struct Page {
    namespace: String,
    cookie: String,
    feed: Arc<Mutex<String>>,
    events: Arc<Mutex<String>>,
}

impl Page {
    fn open(namespace: &str, token: &str) -> Self {
        let form = format!("token={token}");
        let answer = inside(namespace, || {
            let mut stream = TcpStream::connect("127.0.0.1:8443").unwrap();
            write!(
                stream,
                "POST /login HTTP/1.1\r\nHost: 127.0.0.1:8443\r\nConnection: close\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
                form.len()
            )
            .unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let follow = |path: &'static str| {
            let (told, into) = (Arc::new(Mutex::new(String::new())), namespace.to_owned());
            let (kept, cookie) = (Arc::clone(&told), cookie.clone());
            thread::spawn(move || {
                enter(&into);
                let Some(mut stream) = ask(path, &cookie) else { return };
                let mut piece = [0; 65536];
                while let Ok(read @ 1..) = stream.read(&mut piece) {
                    kept.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..read]));
                }
            });
            told
        };
        let (feed, events) = (follow("/feed"), follow("/v1/events"));
        Self { namespace: namespace.to_owned(), cookie, feed, events }
    }

    fn get(&self, path: &str) -> String {
        inside(&self.namespace, || {
            let mut text = String::new();
            ask(path, &self.cookie).unwrap().read_to_string(&mut text).unwrap();
            text
        })
    }
}

fn ask(path: &str, cookie: &str) -> Option<TcpStream> {
    let mut stream = TcpStream::connect("127.0.0.1:8443").ok()?;
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:8443\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).ok()?;
    Some(stream)
}

/// The real agent on a machine whose only disk is a file of 32 MiB that begins with these octets.
fn agent(rack: &Rack, machine: &Machine, script: &str, begins: &[u8]) -> Guard {
    const DISK: usize = 32 << 20;
    let line = format!(
        "kpc.role=install kpc.server={} kpc.claim={}",
        argument(script, "kpc.server"),
        argument(script, "kpc.claim")
    );
    let path = |name: &str| format!("{}/{name}", machine.name);
    rack.write(&path("cmdline"), line);
    rack.write(&path("sys/block/vda/size"), format!("{}\n", DISK / 512));
    rack.write(&path("sys/block/vda/serial"), format!("S-{}", machine.name));
    let mut disk = begins.to_vec();
    disk.resize(DISK, 0);
    rack.write(&path("dev/vda"), disk);
    let mut agent = rack.command(&machine.namespace, binary("kpc-agent"));
    agent.arg("--once").arg("--cmdline").arg(rack.path(&path("cmdline")));
    agent.arg("--root").arg(rack.path(&path("root"))).arg("--sys").arg(rack.path(&path("sys")));
    let log = fs::File::create(rack.path(&path("agent.log"))).unwrap();
    agent.arg("--dev").arg(rack.path(&path("dev"))).stdout(log.try_clone().unwrap()).stderr(log);
    Guard::spawn(&mut agent)
}

/// What one machine does, in its own namespace, until the fault has struck.
fn act(rack: &Rack, machine: &Machine) {
    let boots_again = |server: Ipv4Addr, file: &str| {
        machine.tftp(server, file, 10).unwrap();
        machine.discover(false, 2);
    };
    let runs = |begins: &[u8]| {
        let (_, script) = machine.script();
        machine.http(&argument(&script, "kpc.kernel"), None, None);
        agent(rack, machine, &script, begins)
    };
    let ends = |mut agent: Guard| wait_for("the agent's end", LIMIT, || !agent.is_running());
    match machine.name.as_str() {
        "udp69" => {
            let (server, file) = machine.boot_file();
            assert!(machine.tftp(server, &file, 4).is_err());
        }
        "udp4011" => {
            let offer = machine.lease(false);
            assert!(machine.ask_boot_server(offer.siaddr.or(offer.server).unwrap(), 2).is_none());
        }
        "nolease" => {
            for _ in 0..5 {
                let (_, lease, _) = machine.discover(false, 1);
                assert!(lease.is_none());
            }
        }
        "rogue" => {
            // It takes the other one's answer, and asks there for what it names.
            let offer = machine.lease(false);
            let server = offer.siaddr.or(offer.server).unwrap_or(OTHER);
            let file = if offer.file.is_empty() { "other.0".to_owned() } else { offer.file };
            let _ = machine.tftp(if server == HOST { OTHER } else { server }, &file, 1);
        }
        "arch" => drop(machine.discover(false, 1)),
        "biosloader" | "secureboot" => {
            let (server, file) = machine.boot_file();
            boots_again(server, &file);
        }
        "noloader" => {
            let (server, file) = machine.boot_file();
            assert_eq!(machine.tftp(server, &file, 10), Err("error 1".to_owned()));
        }
        "grub" => {
            let (server, file) = machine.boot_file();
            machine.tftp(server, &file, 10).unwrap();
        }
        "cut" => {
            let (_, script) = machine.script();
            machine.http(&argument(&script, "kpc.kernel"), None, Some(8 << 20));
        }
        "noasset" => {
            let (_, script) = machine.script();
            assert_eq!(machine.http(&argument(&script, "kpc.kernel"), None, None).0, 404);
        }
        "template" => {
            let (_, script) = machine.script();
            machine.http(&argument(&script, "kpc.kernel"), None, None);
            let claim = argument(&script, "kpc.claim");
            let report = json!({ "claim": claim, "phase": "agent" });
            let reports = format!("{}/v1/report", argument(&script, "kpc.server"));
            assert_eq!(machine.http(&reports, Some(&report), None).0, 204);
            assert!(machine.http(&argument(&script, "ignition.config.url"), None, None).0 >= 400);
        }
        "group" => assert_eq!(machine.script().0, 503),
        "signature" | "nodisk" => ends(runs(&[])),
        "data" => ends(runs(&image()[..512])),
        "died" => {
            let agent = runs(&[]);
            wait_for("the grant", LIMIT, || rack.status("died")["order"]["state"] == "granted");
            drop(agent); // by SIGKILL, as a power cut would
        }
        "store" => {}
        other => panic!("no script for {other}"),
    }
}

/// An OFFER from a server on the other host's cable; with `pxe` one of a PXE responder.
fn offer_from(namespace: &str, server: Ipv4Addr, pxe: bool) {
    let mut offer = vec![2, 1, 6, 0, 7, 7, 7, 7, 0, 0, 0x80, 0];
    offer.extend([0; 16]);
    offer.extend([0x52, 0x54, 0, 0x79, 9, 9]);
    offer.resize(236, 0);
    offer.extend([99, 130, 83, 99, 53, 1, 2, 54, 4]);
    offer.extend(server.octets());
    if pxe {
        offer.extend([60, 9]);
        offer.extend(b"PXEClient");
    }
    offer.push(255);
    offer.resize(300, 0);
    inside(namespace, || {
        kpc_rack::ip("route replace 255.255.255.255 dev eth0\n");
        let socket = UdpSocket::bind((OTHER, 67)).unwrap();
        socket.set_broadcast(true).unwrap();
        socket.send_to(&offer, "255.255.255.255:68").unwrap();
    });
}

#[test]
fn twenty_of_twenty_faults_are_named() {
    if !is_root() || peer("dhcpd").is_none() || peer("dnsmasq").is_none() || peer("nft").is_none() {
        return;
    }
    let mut rack = Rack::new("faults");
    let (switch, host) = (rack.name("s"), rack.name("host"));
    lay_out(&rack);
    let leases = rack.host_on("leases", &switch, LEASES, MacAddr([0x52, 0x54, 0, 0x79, 0, 2]));
    let other = rack.host_on("other", &switch, OTHER, MacAddr([0x52, 0x54, 0, 0x79, 0, 9]));
    stalling_server(&other);
    let machines: BTreeMap<&str, Machine> = MACHINES
        .iter()
        .zip(11..)
        .map(|((name, arch, _), number)| {
            (*name, Machine::plug(&mut rack, &switch, name, number, *arch, [10, 79, 0]))
        })
        .collect();
    let hosts: String = machines
        .values()
        .map(|machine| machine.host_block(if machine.name == "nolease" { "deny booting;" } else { "" }))
        .collect();
    let conf = format!(
        "authoritative; ping-check false; ddns-update-style none; default-lease-time 600;\n\
         subnet 10.79.0.0 netmask 255.255.255.0 {{ }}\n{hosts}"
    );
    assert!(rack.dhcpd(&leases, &conf));
    let rules = format!(
        "table inet faults {{\nchain input {{\ntype filter hook input priority 0;\n\
         ip saddr {} udp dport 69 drop\nip saddr {} udp dport 4011 drop\n}}\n}}\n",
        machines["udp69"].address, machines["udp4011"].address
    );
    rack.write("faults.nft", rules);
    let filter = format!("{} -f '{}'", nft(), text(&rack.path("faults.nft")));
    let (good, said) = run_within(rack.command(&host, "sh").args(["-c", &filter]), LIMIT);
    assert!(good, "{said}");

    // The store on a file system of the server's own, so that it can be filled.
    let config = configuration(&rack);
    let state = rack.path("state");
    let server = rack.serve_on_tmpfs(&config, "24m");
    let inner = format!("/proc/{server}/root{}", text(&state));
    let token = fs::read_to_string(format!("{inner}/page-token")).unwrap();
    let page = Page::open(&host, token.trim());

    // A BMC with another password, and one that hears and says nothing.
    let mut bmcd = rack.command(&host, binary("ipmi"));
    bmcd.args(["bmcd", "--listen", "127.0.0.1:6231", "--user", "admin", "--password-file"]);
    bmcd.arg(rack.path("other-password")).args(["--command", "/bin/true"]);
    rack.keep(&mut bmcd, "bmcd.log");
    rack.wait_for_port(&host, 6231);
    let _silent = inside(&host, || UdpSocket::bind("127.0.0.1:6232").unwrap());
    for (name, bmc, mac) in [
        ("password", "127.0.0.1:6231", "52:54:00:79:00:f1"),
        ("silent", "127.0.0.1:6232", "52:54:00:79:00:f2"),
    ] {
        rack.good(&["machine", "add", name, "--mac", mac, "--bmc", bmc]);
    }
    for (name, _, profile) in MACHINES {
        rack.good(&["machine", "add", name, "--mac", &machines[name].mac.to_string()]);
        let answer = rack.order(name, profile, false);
        assert_eq!(answer["machines"][0], name, "{answer}");
    }
    let in_time = ["group", "store", "rogue"];
    let rack = &rack;
    let seen: Mutex<BTreeSet<String>> = Mutex::default();
    let is_named = |name: &str, word: &str| {
        let mut last = Value::Null;
        let shown = || {
            last = rack.status(name);
            last["hint"] == word && last["failed"].is_string()
        };
        let start = std::time::Instant::now();
        let mut shown = shown;
        while !shown() {
            assert!(
                start.elapsed() < LIMIT,
                "{name}: not {word}: {}\n{}",
                rack.status(name),
                rack.log("serve.log")
            );
            thread::sleep(std::time::Duration::from_millis(200));
        }
        let (_, table) = rack.kpc(&["status"]);
        let line = table.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        assert!(line.contains(&format!("[{word}]")), "{line}");
        assert!(table.lines().any(|line| line.starts_with(&format!("[{word}] "))), "the remedy: {table}");
        let why = rack.good(&["why", name]);
        assert!(why.contains(&format!("[{word}]")) && why.contains("do   "), "{why}");
        let html = page.get("/");
        let start = html.find(&format!("data-name=\"{name}\"")).unwrap();
        let row = &html[start..start + html[start..].find("</tr>").unwrap()];
        assert!(row.contains(word), "{row}");
        seen.lock().unwrap().insert(name.to_owned());
    };
    let words: BTreeMap<String, String> = table().into_iter().map(|(name, _, word)| (name, word)).collect();
    assert_eq!(words.len(), 20);
    thread::scope(|scope| {
        for (name, machine) in machines.iter().filter(|(name, _)| !in_time.contains(name)) {
            let word = &words[*name];
            let is_named = &is_named;
            scope.spawn(move || {
                let scripted = thread::Builder::new().name((*name).to_owned());
                thread::scope(|inner| {
                    let acting = scripted.spawn_scoped(inner, || {
                        enter(&machine.namespace);
                        act(rack, machine);
                    });
                    acting.unwrap().join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                });
                is_named(name, word);
            });
        }
        for name in ["password", "silent"] {
            let (word, is_named) = (&words[name], &is_named);
            scope.spawn(move || {
                let (good, said) = rack.kpc(&["provision", name, "--profile", "live", "--yes"]);
                assert!(!good, "{said}");
                is_named(name, word);
            });
        }
    });

    // A second lease server while orders are open is an alarm; a second responder refuses orders until it is told to.
    offer_from(&other, Ipv4Addr::new(10, 79, 0, 7), false);
    wait_for("word of the new lease server", LIMIT, || {
        page.events.lock().unwrap().contains("10.79.0.7, answers beside 10.79.0.2")
    });
    let rogue = &machines["rogue"];
    let mut second = rack.command(&other, peer("dnsmasq").unwrap());
    second.args(["-k", "--conf-file=/dev/null", "--port=0", "--user=root", "--interface=eth0"]);
    second.args([format!("--dhcp-range={OTHER},proxy"), format!("--dhcp-mac=set:victim,{}", rogue.mac)]);
    second.args(["--bind-interfaces", "--dhcp-ignore=tag:!victim", "--pxe-service=x86PC,Other,other"]);
    let second = Guard::spawn(&mut second);
    rack.wait_for_port(&other, 4011);
    inside(&rogue.namespace, || act(rack, rogue));
    is_named("rogue", &words["rogue"]);
    drop(second);
    rack.good(&["machine", "add", "late", "--mac", "52:54:00:79:00:f3"]);
    let (good, said) = rack.kpc(&["provision", "late", "--profile", "live", "--yes"]);
    assert!(!good && said.contains("10.79.0.9") && said.contains("--despite-responders"), "{said}");
    assert!(rack.order("late", "live", false)["error"].as_str().unwrap().contains("10.79.0.9"));
    assert_eq!(rack.order("late", "live", true)["machines"][0], "late");
    assert!(rack.kpc(&["status"]).1.contains("[second-responder] another PXE responder"));
    assert!(page.get("/").contains("another PXE responder answers"));

    // A group's file that does not parse: it might be meant for anybody.
    rack.write("bootcfg/groups/broken.json", "{\n  \"profile\": \"live\",\n");
    kill(Pid::from_raw(server.try_into().unwrap()), Signal::SIGHUP).unwrap();
    wait_for("the broken file's log line", LIMIT, || rack.log("serve.log").contains("does not parse"));
    inside(&machines["group"].namespace, || act(rack, &machines["group"]));
    is_named("group", &words["group"]);
    assert!(rack.status("group")["failed"].as_str().unwrap().contains("groups/broken.json"));

    // The store's file system full, and then not.
    let full = format!("{inner}/filler");
    let mut filler = fs::File::create(&full).unwrap();
    let mut size = 1 << 20;
    while size > 0 {
        if filler.write_all(&vec![1; size]).is_err() {
            size /= 2;
        }
    }
    let mut number = 0;
    wait_for("a refusal", LIMIT, || {
        number += 1;
        !rack.kpc(&["var", "set", "group:all", &format!("v{number}={}", "x".repeat(2000))]).0
    });
    is_named("store", &words["store"]);
    assert!(rack.kpc(&["status"]).1.contains("[store-refuses] the store refuses writes"));
    assert!(page.get("/").contains("the store refuses writes"));
    fs::remove_file(full).unwrap();
    drop(filler);
    wait_for("the store writes again", LIMIT, || rack.kpc(&["var", "set", "group:all", "last=1"]).0);
    wait_for("it is forgotten", LIMIT, || rack.status("store")["hint"] != "store-refuses");

    let seen = seen.into_inner().unwrap();
    assert_eq!(seen, words.keys().cloned().collect(), "every line of the table was injected");
    // A page that was open all the time was told of each. The end of an order is an event with its reason in words.
    let (feed, events) = (page.feed.lock().unwrap().clone(), page.events.lock().unwrap().clone());
    for (name, word) in &words {
        assert!(feed.contains(word.as_str()), "the feed has no {word} of {name}");
        let told = ["password", "silent", "store", "signature", "nodisk"].contains(&name.as_str())
            || events.contains(word.as_str());
        assert!(told, "the events have no {word} of {name}");
    }
    eprintln!("{} of {} faults named", seen.len(), words.len());
}

/// One line with the place and the remedy, and the exit code that docs/config.md names.
#[test]
fn wrong_flags_and_files_get_one_line_with_place_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kpc.toml");
    let kpc = |arguments: &[&str]| {
        let mut command = Command::new(binary("kpc"));
        command.env("KPC_SOCKET", folder.path().join("kpc.sock"));
        let out = command.arg("--config").arg(&file).args(arguments).output().unwrap();
        (out.status.code().unwrap(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    const MGMT: &str = "[network.mgmt]\ninterface = \"lo\"\naddress = \"127.0.0.1\"\n";
    let long = format!("{MGMT}[http]\npage = \"0.0.0.0:8443\"\n");
    for (text, place, remedy) in [
        ("[network.mgmt\n", "kpc.toml:1:", "]"),
        ("socket = 3\n", "kpc.toml:1:", "string"),
        ("[network]\n", "kpc.toml:1:", "mgmt"),
        ("[network.mgmt]\ninterface = \"lo\"\naddress = \"ten\"\n", "kpc.toml:3:", "IPv4"),
        (&format!("{MGMT}speed = 3\n"), "kpc.toml:4:", "expected `interface` or `address`"),
        (&long, "kpc.toml: http.page", "127.0.0.1"),
        (&format!("{MGMT}[dhcp.boot]\nx86 = \"a\"\n"), "[dhcp.boot] x86", "x64-uefi"),
        (&format!("{MGMT}[timeouts]\nclaim = \"soon\"\n"), "kpc.toml:5:", "10s"),
        (&format!("{MGMT}[timeouts.phases]\nlunch = \"1h\"\n"), "kpc.toml:5:", "offered"),
        (&format!("{MGMT}[install.disk]\nimage = \"../a\"\n"), "[install.disk]", "below the assets folder"),
        (
            &format!("{MGMT}[network.bmc]\nranges = [\"10.0.0.1-999\"]\n"),
            "network.bmc.ranges",
            "10.0.0.1-999",
        ),
        (&format!("{MGMT}[[rack]]\nname = \"a b\"\n"), "[[rack]] name", "letters"),
        (&format!("{MGMT}[[rack]]\nname = \"a\"\nnaming = \"A {{}}\"\n"), "[[rack]] naming", "r1-{}"),
    ] {
        fs::write(&file, text).unwrap();
        let (code, said) = kpc(&["serve"]);
        assert_eq!(code, 3, "{text}: {said}");
        assert!(
            said.contains(place) && said.contains(remedy) && said.trim_end().lines().count() == 1,
            "{text}: {said}"
        );
    }
    fs::write(
        &file,
        format!("{MGMT}socket = \"x\"\n").replace("[network.mgmt]", "user = \"nobody-here\"\n[network.mgmt]"),
    )
    .unwrap();
    for (arguments, code, place, remedy) in [
        (&["status", "--colour"][..], 2, "--colour", "--help"),
        (&["provision", "n1"][..], 2, "--profile", "--help"),
        (&["provision", "n1", "--profile", "p", "--firmware", "coreboot"][..], 2, "coreboot", "uefi"),
        (&["provision", "n1", "--profile", "p", "--stagger", "soon"][..], 2, "soon", "10s"),
        (&["power", "explode", "n1"][..], 2, "explode", "cycle"),
        (&["machine", "add", "n1"][..], 2, "--mac", "--help"),
        (&["why"][..], 2, "MACHINE", "--help"),
        (&["power", "on", "n1", "--hard"][..], 2, "--hard", "power off"),
    ] {
        let (found, said) = kpc(arguments);
        assert_eq!(found, code, "{arguments:?}: {said}");
        assert!(said.contains(place) && said.contains(remedy), "{arguments:?}: {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{arguments:?}: {said}");
    }
    // Nobody serves: the socket and the remedy.
    fs::write(&file, MGMT).unwrap();
    let (code, said) = kpc(&["status"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("kpc.sock") && said.contains("kpc serve") && said.lines().count() == 1, "{said}");
}

/// docs/faults.md is the table of the words, whole.
#[test]
fn every_word_is_in_the_documentation() {
    let docs = fs::read_to_string(root().join("docs/faults.md")).unwrap();
    for (_, fault, word) in table() {
        assert!(docs.contains(&format!("`{word}`")), "{fault}");
    }
}
