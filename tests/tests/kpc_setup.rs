//! `kpc init`, `kpc assets` and `kpc bmc scan` as an operator runs them: on fresh folders, in a network namespace of the
//! test, against a DHCP server, a mirror that cuts connections, gpg, and virtual BMCs.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kpc_tests::{Guard, binary, is_root, run_within, wait_for};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEqFzvHs5GEOHlz0kRTKUX6P3RPAf4B+04rV7GSrrIqT me@host\n";

/// A namespace that ends with its test: `eth0` 10.79.0.1 for the deploy host, `wire0` beside it.
struct Namespace(String);

impl Namespace {
    fn new(name: &str) -> Self {
        let namespace = Self(format!("kpc-{name}-{}", std::process::id()));
        ip(&["netns", "add", &namespace.0]);
        for words in [
            &["link", "set", "lo", "up"][..],
            &["link", "add", "eth0", "type", "veth", "peer", "name", "wire0"],
            &["addr", "add", "10.79.0.1/24", "dev", "eth0"],
            &["link", "set", "eth0", "up"],
            &["link", "set", "wire0", "up"],
        ] {
            ip(&[&["-n", &namespace.0][..], words].concat());
        }
        namespace
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn ip(words: &[&str]) {
    let (good, text) = run_within(Command::new("ip").args(words), LIMIT);
    assert!(good, "ip {}: {text}", words.join(" "));
}

/// A fresh host: configuration, data and keys in a folder.
struct Host {
    namespace: Namespace,
    folder: tempfile::TempDir,
}

impl Host {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(folder.path().join("ipxe")).unwrap();
        for loader in ["undionly.kpxe", "snponly.efi"] {
            fs::write(folder.path().join("ipxe").join(loader), loader).unwrap();
        }
        fs::write(folder.path().join("me.pub"), KEY).unwrap();
        Self { namespace: Namespace::new(name), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn kpc(&self, words: &[&str]) -> (bool, String) {
        let mut command = self.namespace.command(binary("kpc"));
        command
            .arg("--config")
            .arg(self.path("kpc.toml"))
            .args(["--socket".as_ref(), self.path("kpc.sock").as_os_str()]);
        command.arg("--data-dir").arg(self.path("data")).args(words);
        run_within(&mut command, LIMIT)
    }

    fn init(&self, more: &[&str]) -> (bool, String) {
        let ipxe = self.path("ipxe").display().to_string();
        let units = self.path("units").display().to_string();
        let key = self.path("me.pub").display().to_string();
        let words = ["init", "--interface", "eth0", "--ssh-key", &key, "--loaders", &ipxe, "--units", &units];
        self.kpc(&[&words[..], &["--user", "root", "--no-start", "--listen", "2s", "--yes"], more].concat())
    }
}

/// DHCP on the wire, with a boot program or without.
fn dhcp(namespace: &Namespace, boot: Option<&str>) -> Guard {
    let enter = namespace.0.clone();
    let inner = format!("{enter}-dhcp");
    ip(&["netns", "add", &inner]);
    ip(&["-n", &enter, "link", "set", "wire0", "netns", &inner]);
    ip(&["-n", &inner, "addr", "add", "10.79.0.2/24", "dev", "wire0"]);
    ip(&["-n", &inner, "link", "set", "wire0", "up"]);
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &inner, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0"]);
    command.args(["--interface=wire0", "--bind-interfaces", "--dhcp-range=10.79.0.50,10.79.0.90,1h"]);
    command.args(["--dhcp-leasefile=/dev/null", "--user=root", "--no-ping"]);
    if let Some(boot) = boot {
        command.arg(format!("--dhcp-boot={boot}"));
    }
    let guard = Guard::spawn(command.stdout(Stdio::null()).stderr(Stdio::null()));
    std::thread::sleep(Duration::from_millis(500));
    guard
}

struct Gone(String);

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// KPC's own groups, where they are: one of them matched every machine that booted, and its profile erased it.
fn kpcs_groups_become_roles(host: &Host) {
    let Some(corpus) = std::env::var_os("CONFORMANCE_DIR") else {
        eprintln!("skipped: CONFORMANCE_DIR is not set");
        return;
    };
    let tree = PathBuf::from(corpus).join("bootcfg/kpc-v040/data-template");
    if !tree.is_dir() {
        eprintln!("skipped: {} is not here", tree.display());
        return;
    }
    fs::create_dir(host.path("checkout")).unwrap();
    std::os::unix::fs::symlink(tree, host.path("checkout/bootcfg")).unwrap();
    let (good, told) = host.init(&["--from-kpc", &host.path("checkout").display().to_string()]);
    assert!(good, "{told}");
    for (group, profile) in
        [("deployhost", "deployhost"), ("install", "install-reboot"), ("targetnode", "targetnode")]
    {
        let words = format!("kpc provision NAME --profile {profile} --role {group}");
        assert!(told.contains(&words), "{words} in {told}");
        let text = fs::read_to_string(host.path(&format!("data/bootcfg/groups/{group}.json"))).unwrap();
        let taken: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(taken["selector"], serde_json::json!({ "kpc_role": group }), "{text}");
        assert_eq!(taken["metadata"]["ssh_authorized_keys"][0], KEY.trim());
        assert!(host.path(&format!("data/bootcfg/profiles/{profile}.json")).is_file());
    }
    assert_eq!(told.matches("(it matched every machine that booted)").count(), 1, "{told}");
}

/// Everything that init writes; a second run keeps keys and edits; what it wrote serves.
#[test]
fn init_makes_a_host_that_serves_and_keeps_what_is_there() {
    if !is_root() {
        eprintln!("skipped: namespaces need root");
        return;
    }
    let host = Host::new("init");
    let _gone = Gone(format!("{}-dhcp", host.namespace.0));
    let _dhcp = dhcp(&host.namespace, None);
    let (good, told) = host.init(&[]);
    assert!(good, "{told}");
    assert!(told.contains("10.79.0.2 answers, offers no boot program  ok: proxy mode"), "{told}");
    assert!(told.contains("no other responder heard"), "{told}");
    assert!(told.contains("SHA256:"), "{told}");
    assert!(told.contains("serve --config"), "the line that starts it: {told}");
    let config = fs::read_to_string(host.path("kpc.toml")).unwrap();
    assert!(config.contains("interface = \"eth0\"") && config.contains("10.79.0.1"), "{config}");
    for secret in ["data/tls/ca.key", "data/tls/server.key", "data/tls/operator.key"] {
        let mode = fs::metadata(host.path(secret)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    let template = fs::read_to_string(host.path("data/bootcfg/cloud/debian.yaml")).unwrap();
    assert!(template.contains("- ssh-ed25519 AAAA") && template.contains("me@host"), "{template}");

    let key = fs::read(host.path("data/tls/ca.key")).unwrap();
    fs::write(host.path("kpc.toml"), format!("{config}# mine\n")).unwrap();
    let (good, told) = host.init(&[]);
    assert!(good && told.contains("kept") && !told.contains("  wrote"), "{told}");
    assert_eq!(fs::read(host.path("data/tls/ca.key")).unwrap(), key);
    assert!(fs::read_to_string(host.path("kpc.toml")).unwrap().ends_with("# mine\n"));

    kpcs_groups_become_roles(&host);

    // openssl agrees that the server's certificate comes from the authority.
    let verified = run_within(
        Command::new("openssl")
            .arg("verify")
            .arg("-CAfile")
            .arg(host.path("data/tls/ca.pem"))
            .arg(host.path("data/tls/server.pem")),
        LIMIT,
    );
    assert!(verified.0, "{}", verified.1);

    let log = fs::File::create(host.path("serve.log")).unwrap();
    let mut serve = host.namespace.command(binary("kpc"));
    serve
        .arg("serve")
        .arg("--config")
        .arg(host.path("kpc.toml"))
        .arg("--socket")
        .arg(host.path("kpc.sock"))
        .stderr(log);
    let _server = Guard::spawn(&mut serve);
    wait_for("kpc serve answers", LIMIT, || host.kpc(&["status"]).0);
    let (_, doctor) = host.kpc(&["doctor"]);
    for good in ["ok     config", "ok     interface", "ok     loaders", "ok     server", "ok     others"] {
        assert!(doctor.contains(good), "{good}: {doctor}");
    }
    let (good, why) = host.kpc(&["why", "--mac", "52:54:00:00:00:99"]);
    assert!(good && why.contains("silence: no machine has this Ethernet address"), "{why}");
}

/// A DHCP server that names a boot program is told, with the remedy; wrong words have one line each.
#[test]
fn init_says_what_is_wrong() {
    if !is_root() {
        eprintln!("skipped: namespaces need root");
        return;
    }
    let host = Host::new("foreign");
    let _gone = Gone(format!("{}-dhcp", host.namespace.0));
    let _dhcp = dhcp(&host.namespace, Some("pxelinux.0"));
    let (good, told) = host.init(&["--bmc-range", "192.0.2.1-9"]);
    assert!(good, "{told}");
    assert!(told.contains("names the boot program `pxelinux.0`"), "{told}");
    assert!(told.contains("no route to the BMCs at 192.0.2.1-9"), "{told}");
    let (good, told) = host.kpc(&["init", "--interface", "eth9", "--no-ssh-key", "--yes"]);
    assert!(!good && told.contains("no interface eth9") && told.contains("eth0 10.79.0.1/24"), "{told}");
    fs::write(host.path("bad.pub"), "ssh-ed25519 AAAA\n").unwrap();
    let bad = host.path("bad.pub").display().to_string();
    let (good, told) = host.kpc(&["init", "--interface", "eth0", "--ssh-key", &bad, "--yes"]);
    assert!(!good && told.contains("bad.pub:1:"), "{told}");
    let (good, told) = host.kpc(&["init", "--interface", "eth0", "--print-dhcp-options"]);
    assert!(good && told.contains("dhcp-boot=") && told.contains("next-server 10.79.0.1"), "{told}");
}

/// A mirror: serves a folder, with ranges, and cuts a connection as often as it is told to.
struct Mirror {
    url: String,
    ranges: Arc<AtomicUsize>,
    deeds: Arc<Deeds>,
}

/// What a mirror does beside serving.
#[derive(Default)]
struct Deeds {
    /// So many answers are cut at their half.
    cuts: AtomicUsize,
    /// The next large answer stops at its half, and the connection stays.
    stalls: AtomicBool,
    /// Which version of its files it has.
    version: AtomicUsize,
}

fn mirror(folder: &Path, cuts: usize) -> Mirror {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (folder, ranges) = (folder.to_owned(), Arc::new(AtomicUsize::new(0)));
    let deeds = Arc::new(Deeds { cuts: AtomicUsize::new(cuts), ..Deeds::default() });
    let (seen, told) = (Arc::clone(&ranges), Arc::clone(&deeds));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            serve_one(stream, &folder, &told, &seen);
        }
    });
    Mirror { url, ranges, deeds }
}

fn serve_one(mut stream: TcpStream, folder: &Path, deeds: &Deeds, ranges: &AtomicUsize) {
    let version = format!("\"v{}\"", deeds.version.load(Ordering::Relaxed));
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut path, mut from) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) < 3 {
            break;
        }
        if let Some(rest) = line.strip_prefix("GET /") {
            path = rest.split(' ').next().unwrap().to_owned();
        }
        if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            from = range.trim().trim_end_matches('-').parse().unwrap();
            ranges.fetch_add(1, Ordering::Relaxed);
        }
        // Of another version nothing is the rest (RFC 9110 §13.1.5).
        if line.to_ascii_lowercase().strip_prefix("if-range: ").is_some_and(|known| known.trim() != version) {
            from = 0;
        }
    }
    let Ok(octets) = fs::read(folder.join(&path)) else {
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        return;
    };
    let rest = &octets[from..];
    let status = if from > 0 {
        format!("206 Partial Content\r\ncontent-range: bytes {from}-{}/{}", octets.len() - 1, octets.len())
    } else {
        "200 OK".to_owned()
    };
    let head = format!("HTTP/1.1 {status}\r\netag: {version}\r\ncontent-length: {}\r\n\r\n", rest.len());
    let _ = stream.write_all(head.as_bytes());
    if rest.len() > 1000 && deeds.stalls.swap(false, Ordering::Relaxed) {
        let _ = stream.write_all(&rest[..rest.len() / 2]);
        // Until the other side has gone.
        let _ = stream.read(&mut [0; 16]);
        return;
    }
    let cut = rest.len() > 1000
        && deeds.cuts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok();
    let _ = stream.write_all(if cut { &rest[..rest.len() / 2] } else { rest });
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read(&mut [0; 16]);
}

/// A key of the test's own, and what it signs.
struct Gpg(tempfile::TempDir);

impl Gpg {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let gpg = Self(home);
        let made =
            gpg.run(&["--quick-gen-key", "--passphrase", "", "images@test", "ed25519", "sign", "never"]);
        assert!(made.0, "{}", made.1);
        gpg
    }

    fn run(&self, words: &[&str]) -> (bool, String) {
        run_within(
            Command::new("gpg")
                .env("GNUPGHOME", self.0.path())
                .args(["--batch", "--yes", "--quiet", "--pinentry-mode", "loopback"])
                .args(words),
            LIMIT,
        )
    }

    fn sign(&self, file: &Path) {
        let done = self.run(&["--passphrase", "", "--detach-sign", file.to_str().unwrap()]);
        assert!(done.0, "{}", done.1);
    }

    fn key(&self, into: &Path) {
        let done = self.run(&["--armor", "--output", into.to_str().unwrap(), "--export", "images@test"]);
        assert!(done.0, "{}", done.1);
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").env("GNUPGHOME", self.0.path()).args(["--kill", "all"]).status();
    }
}

/// Downloads against a mirror: resumed where they were cut, refused where the signature or digest is wrong.
#[test]
fn assets_are_checked_before_they_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let source = path("mirror");
    fs::create_dir(&source).unwrap();
    let image: Vec<u8> = (0..300_000_u32).map(|at| (at * 7 % 251) as u8).collect();
    fs::write(source.join("node.raw"), &image).unwrap();
    let gpg = Gpg::new();
    gpg.sign(&source.join("node.raw"));
    gpg.key(&path("site.asc"));
    fs::write(
        path("kpc.toml"),
        format!(
            "data_dir = {:?}\n[network.mgmt]\ninterface = \"eth0\"\naddress = \"10.0.0.1\"\n",
            path("data")
        ),
    )
    .unwrap();
    let kpc = |words: &[&str]| {
        run_within(Command::new(binary("kpc")).arg("--config").arg(path("kpc.toml")).args(words), LIMIT)
    };
    let key = path("site.asc").display().to_string();

    // Cut three times: the fourth answer is the rest.
    let cutting = mirror(&source, 3);
    let add = ["assets", "add", "site", "--url", &cutting.url, "--file", "node.raw"];
    let (good, told) = kpc(&[&add[..], &["--key", &key]].concat());
    assert!(good && told.contains("signature good"), "{told}");
    assert_eq!(cutting.ranges.load(Ordering::Relaxed), 3);
    assert_eq!(fs::read(path("data/assets/site/node.raw")).unwrap(), image);
    assert_eq!(fs::read_to_string(path("data/assets/site/image")).unwrap(), "node.raw\n");
    let (good, listed) = kpc(&["assets", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert!(good && listed[0]["files"][0]["signed_by"].is_string(), "{listed}");
    assert!(kpc(&["assets", "verify"]).0);

    // The key was kept: the next version needs no --key; a wrong signature leaves what is served as it was.
    fs::write(source.join("node.raw"), [&image[..], b"evil"].concat()).unwrap();
    let (good, told) = kpc(&add);
    assert!(!good && told.contains("(bad-signature)"), "{told}");
    assert_eq!(fs::read(path("data/assets/site/node.raw")).unwrap(), image);
    assert!(!path("data/assets.incoming/site/node.raw").exists(), "what does not verify is not kept");

    // A key that was never named, and no signature at all.
    let other = Gpg::new();
    other.sign(&source.join("node.raw"));
    let (good, told) = kpc(&add);
    assert!(!good && told.contains("not one of the pinned keys"), "{told}");
    fs::remove_file(source.join("node.raw.sig")).unwrap();
    let (good, told) = kpc(&add);
    assert!(!good && told.contains("--allow-unsigned"), "{told}");

    // Lists of digests, signed; one that names another digest is refused.
    let sums = run_within(Command::new("sha512sum").arg("node.raw").current_dir(&source), LIMIT).1;
    fs::write(source.join("SHA512SUMS"), &sums).unwrap();
    gpg.sign(&source.join("SHA512SUMS"));
    let from = source.display().to_string();
    let (good, told) = kpc(&["assets", "add", "site", "--from", &from]);
    assert!(good && told.contains("signature good"), "{told}");
    fs::write(source.join("node.raw"), "short").unwrap();
    let (good, told) = kpc(&["assets", "add", "site", "--from", &from]);
    assert!(!good && told.contains("(bad-digest)"), "{told}");

    // What is served and was changed behind our back is found.
    fs::write(path("data/assets/site/node.raw"), "changed").unwrap();
    let (good, told) = kpc(&["assets", "verify", "site"]);
    assert!(!good && told.contains("is not what was checked"), "{told}");
    let (good, told) = kpc(&["assets", "add", "site", "--url", &cutting.url, "--file", "none.raw"]);
    assert!(!good && told.contains("404"), "{told}");
    let (good, told) = kpc(&["assets", "add", "../etc", "--from", &from]);
    assert!(!good && told.contains("a name has letters"), "{told}");
}

/// A download whose command was killed goes on with the next one, unless the mirror has another version by then.
#[test]
fn a_killed_download_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let source = path("mirror");
    fs::create_dir(&source).unwrap();
    let config = format!(
        "data_dir = {:?}\n[network.mgmt]\ninterface = \"eth0\"\naddress = \"10.0.0.1\"\n",
        path("data")
    );
    fs::write(path("kpc.toml"), config).unwrap();
    let gpg = Gpg::new();
    gpg.key(&path("site.asc"));
    let image = |salt: u32| -> Vec<u8> { (0..300_000_u32).map(|at| (at * salt % 251) as u8).collect() };
    let mirror = mirror(&source, 0);
    let part = path("data/assets.incoming/site/node.raw.part");
    let command = || {
        let mut command = Command::new(binary("kpc"));
        command.arg("--config").arg(path("kpc.toml")).args(["assets", "add", "site", "--url", &mirror.url]);
        command.args(["--file", "node.raw", "--key"]).arg(path("site.asc"));
        command
    };
    // The same version: its rest alone is asked for. Another one: all of it.
    for (round, asked) in [(1, 1), (2, 2)] {
        fs::write(source.join("node.raw"), image(round)).unwrap();
        gpg.sign(&source.join("node.raw"));
        mirror.deeds.version.fetch_add(1, Ordering::Relaxed);
        mirror.deeds.stalls.store(true, Ordering::Relaxed);
        let killed = Guard::spawn(command().stdout(Stdio::null()).stderr(Stdio::null()));
        wait_for("half of it is here", LIMIT, || fs::metadata(&part).is_ok_and(|part| part.len() == 150_000));
        drop(killed);
        let mut served = image(round);
        if round == 2 {
            served = image(3);
            fs::write(source.join("node.raw"), &served).unwrap();
            gpg.sign(&source.join("node.raw"));
            mirror.deeds.version.fetch_add(1, Ordering::Relaxed);
        }
        let (good, told) = run_within(&mut command(), LIMIT);
        assert!(good && told.contains("signature good"), "{told}");
        assert_eq!(fs::read(path("data/assets/site/node.raw")).unwrap(), served);
        assert_eq!(mirror.ranges.load(Ordering::Relaxed), asked);
        assert!(!part.exists());
    }
}

/// Three BMCs, one with another password: the scan finds them, keeps two, and never shows a password.
#[test]
fn a_scan_makes_machines_and_keeps_logins() {
    if !is_root() {
        eprintln!("skipped: namespaces need root");
        return;
    }
    let host = Host::new("scan");
    let (good, told) = host.init(&[]);
    assert!(good, "{told}");
    fs::write(host.path("secret"), "calvin-the-first\n").unwrap();
    fs::write(host.path("other"), "another-one\n").unwrap();
    fs::write(host.path("power.sh"), "#!/bin/sh\necho off\n").unwrap();
    fs::set_permissions(host.path("power.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut bmcs = Vec::new();
    for (number, secret) in [(1, "secret"), (2, "secret"), (3, "other")] {
        let mut bmc = host.namespace.command(binary("ipmi"));
        bmc.args(["bmcd", "--listen", &format!("127.0.1.{number}:623"), "--user", "root", "--password-file"]);
        bmc.arg(host.path(secret)).arg("--guid").arg(format!("6ba7b810-9dad-11d1-80b4-00c04fd430c{number}"));
        bmc.arg("--command").arg(host.path("power.sh"));
        bmcs.push(Guard::spawn(bmc.stderr(Stdio::null())));
    }
    let log = fs::File::create(host.path("serve.log")).unwrap();
    let mut serve = host.namespace.command(binary("kpc"));
    serve
        .arg("serve")
        .arg("--config")
        .arg(host.path("kpc.toml"))
        .arg("--socket")
        .arg(host.path("kpc.sock"))
        .stderr(log);
    let server = Guard::spawn(&mut serve);
    wait_for("kpc serve answers", LIMIT, || host.kpc(&["status"]).0);
    fs::write(host.path("bmc.toml"), "user = \"root\"\npassword = \"calvin-the-first\"\n").unwrap();
    let credentials = host.path("bmc.toml").display().to_string();
    let scan = ["bmc", "scan", "127.0.1.1-9", "--credentials", &credentials];
    let (good, told) = host.kpc(&scan);
    assert!(!good && told.contains("chmod 600"), "{told}");
    fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600)).unwrap();

    let (good, told) = host.kpc(&[&scan[..], &["--save"]].concat());
    assert!(!good, "one of three has another password: {told}");
    assert!(told.contains("3 of 9 addresses answered, 2 reachable"), "{told}");
    assert!(told.contains("wrong password (tried once, not again)"), "{told}");
    let (_, status) = host.kpc(&["status", "--json"]);
    let status: Value = serde_json::from_str(&status).unwrap();
    let names: Vec<&str> =
        status["machines"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["kpc-01", "kpc-02"]);
    let kept = fs::metadata(host.path("data/bmc-logins.toml")).unwrap().permissions().mode();
    assert_eq!(kept & 0o777, 0o600);
    let (good, power) = host.kpc(&["power", "status", "@all"]);
    assert!(good && power.matches("off").count() == 2, "{power}");

    // Again: nothing doubles. With the third login the third machine comes.
    let (_, told) = host.kpc(&[&scan[..], &["--save"]].concat());
    assert!(told.contains("known"), "{told}");
    fs::write(&credentials, "user = \"root\"\npassword = \"calvin-the-first\"\n[[bmc]]\naddress = \"127.0.1.3\"\nuser = \"root\"\npassword = \"another-one\"\n").unwrap();
    let (good, told) = host.kpc(&[&scan[..], &["--save", "--naming", "rack1-{}"]].concat());
    assert!(good && told.contains("rack1-01"), "{told}");
    for secret in ["calvin-the-first", "another-one"] {
        assert!(!told.contains(secret));
        assert!(!fs::read_to_string(host.path("serve.log")).unwrap().contains(secret), "in the log");
        let command_line = fs::read(format!("/proc/{}/cmdline", server.id())).unwrap();
        assert!(!String::from_utf8_lossy(&command_line).contains(secret));
    }

    // The rest of the verbs over what is recorded.
    for (words, shown) in [
        (&["machine", "rename", "kpc-02", "store-01"][..], "store-01 now"),
        (&["var", "set", "group:kpc", "ansible_user=debian", "ratio=1.5"], "ratio = 1.5"),
        (&["disk", "set", "store-01", "--serial", "S1"], "disk S1"),
        (&["events"], "store-01"),
        (&["inventory", "--reservations", "kea"], ""),
        (&["inventory", "--static"], "\"all\""),
        (&["completions", "bash"], "_kpc"),
    ] {
        let (good, told) = host.kpc(words);
        assert!(good && told.contains(shown), "{words:?}: {told}");
    }
    // Nothing has been brought for the profiles yet: the check says so, and is no success.
    let (good, told) = host.kpc(&["check"]);
    assert!(!good && told.contains("asset-missing"), "{told}");
    fs::write(host.path("more.csv"), "name,mac,rack\nm-1,52:54:00:00:00:71,r9\nm-2,52:54:00:00:00:72,r9\n")
        .unwrap();
    let more = host.path("more.csv").display().to_string();
    assert!(host.kpc(&["machine", "import", &more]).0);
    assert!(host.kpc(&["machine", "replace", "m-1", "m-2"]).0);
    let backup = host.path("backup").display().to_string();
    assert!(host.kpc(&["backup", &backup]).0);
    let (good, told) = host.kpc(&["restore", &backup]);
    assert!(!good && told.contains("stop it first"), "{told}");
    drop(server);
    let (good, told) = host.kpc(&["restore", &backup]);
    assert!(good, "{told}");
}
