//! Where a BMC's password is: in its file, in the memory of the process that logs in, and nowhere else. Every process is
//! watched while `kpc` and `ipmi` work; then logs, store and answers are searched, processes are made to dump core, and
//! with a keeper the server's own memory is searched too.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

mod kpc_support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use kpc_support::{MAC, PASSWORD, Served, UUID, write};
use kpc_tests::{Guard, aborted_with_core, binary, holds, is_root, run_within, wait_for, without_cores};

const LIMIT: Duration = Duration::from_secs(90);

/// Looks at the arguments and the environment of every process, again and again.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(BTreeSet<String>, BTreeSet<String>)>,
}

impl Watch {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut seen, mut guilty) = (BTreeSet::new(), BTreeSet::new());
            while !stopped.load(Ordering::Relaxed) {
                for entry in fs::read_dir("/proc").unwrap().flatten() {
                    let Ok(command) = fs::read(entry.path().join("cmdline")) else { continue };
                    let words = String::from_utf8_lossy(&command).replace('\0', " ");
                    let program =
                        words.split(' ').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
                    if ["kpc", "ipmi"].contains(&program) {
                        seen.insert(
                            words
                                .split(' ')
                                .skip(1)
                                .filter(|word| !word.contains('/'))
                                .collect::<Vec<_>>()
                                .join(" "),
                        );
                    }
                    let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
                    if holds(&command, PASSWORD) || holds(&environment, PASSWORD) {
                        guilty.insert(words);
                    }
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            (seen, guilty)
        });
        Self { stop, thread }
    }

    /// What was seen of ours, and who showed the password.
    fn end(self) -> (BTreeSet<String>, BTreeSet<String>) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

#[test]
fn the_password_is_in_its_file_and_nowhere_else() {
    if !is_root() {
        return;
    }
    let watch = Watch::start();
    let served = Served::start_with("secrets", &["--log-level", "trace"], |_| {});
    let place = |name: &str| served.folder.path().join(name);
    let mut said = String::new();
    let mut good = |words: &[&str]| said.push_str(&served.good(words));
    good(&["machine", "add", "n1", "--mac", MAC, "--uuid", UUID, "--bmc", "127.0.0.1:6230"]);
    good(&["power", "status", "n1"]);
    good(&["provision", "n1", "--profile", "live", "--yes"]);
    wait_for("the BMC was told", LIMIT, || {
        fs::read_to_string(place("power.log")).is_ok_and(|calls| calls.contains("power on"))
    });
    // The order's own job is still at work for a moment.
    wait_for("the power is cycled", LIMIT, || served.kpc(&["power", "cycle", "n1", "--json"]).0);
    for words in
        [&["status", "--json"][..], &["show", "n1"], &["why", "n1"], &["check"], &["inventory", "--list"]]
    {
        said.push_str(&served.kpc(words).1);
    }
    let backup = place("backup").display().to_string();
    said.push_str(&served.good(&["backup", &backup]));
    said.push_str(&scan(&served));
    for words in
        [&["-I", "lanplus", "-v", "chassis", "status"][..], &["-I", "lanplus", "-vvv", "power", "status"]]
    {
        let mut ipmi = served.namespace.command(binary("ipmi"));
        ipmi.args(["-H", "127.0.0.1", "-p", "6230", "-U", "admin", "-f"])
            .arg(place("bmc-password"))
            .args(words);
        let (good, text) = run_within(&mut ipmi, LIMIT);
        assert!(good, "{text}");
        said.push_str(&text);
    }
    let (seen, guilty) = watch.end();
    // Those that live long enough to be seen for certain.
    for verb in ["serve", "bmcd", "bmc scan"] {
        assert!(seen.iter().any(|words| words.contains(verb)), "{verb} was not watched: {seen:?}");
    }
    assert!(guilty.is_empty(), "arguments or environment with the password: {guilty:?}");
    assert!(!said.contains(PASSWORD), "{said}");
    // It is among the files below, at the level that says the most.
    assert!(served.log().contains("INFO"), "the log says something");
    let mut files = Vec::new();
    collect(served.folder.path(), &mut files);
    let mut with: Vec<String> = Vec::new();
    for file in files {
        if holds(&fs::read(&file).unwrap(), PASSWORD) {
            let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", file.display());
            with.push(file.strip_prefix(served.folder.path()).unwrap().display().to_string());
        }
    }
    with.sort();
    assert_eq!(with, ["bmc-password", "logins.toml", "state/bmc-logins.toml"]);
}

/// `kpc bmc scan --save` with the server's configuration; what it said.
fn scan(served: &Served) -> String {
    let place = |name: &str| served.folder.path().join(name);
    write(&served.folder, "logins.toml", &format!("user = \"admin\"\npassword = \"{PASSWORD}\"\n"));
    fs::set_permissions(place("logins.toml"), fs::Permissions::from_mode(0o600)).unwrap();
    let mut scan = served.namespace.command(binary("kpc"));
    scan.arg("--config").arg(place("kpc.toml"));
    scan.args(["bmc", "scan", "127.0.0.1", "--port", "6230", "--save", "--credentials"]);
    let (good, text) = run_within(scan.arg(place("logins.toml")), LIMIT);
    assert!(good && text.contains("1 reachable"), "{text}");
    text
}

fn collect(folder: &Path, into: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => collect(&entry.path(), into),
            kind if kind.is_file() => into.push(entry.path()),
            _ => {}
        }
    }
}

#[test]
fn no_core_is_made_of_the_keeper() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "bmc-password", &format!("{PASSWORD}\n"));
    fs::set_permissions(folder.path().join("bmc-password"), fs::Permissions::from_mode(0o600)).unwrap();
    write(&folder, "kpc.toml", &config(folder.path(), "keeper.sock"));
    let socket = folder.path().join("keeper.sock");
    let mut keep = Command::new(binary("kpc"));
    keep.current_dir(folder.path()).args(["bmc", "keep", "--config"]).arg(folder.path().join("kpc.toml"));
    let listens =
        || wait_for("the keeper listens", LIMIT, || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    without_cores(folder.path(), || {
        assert!(!aborted_with_core(&mut keep, listens), "a core of kpc bmc keep");
    });
}

fn config(folder: &Path, keeper: &str) -> String {
    format!(
        "data_dir = \"{0}/state\"\nsocket = \"{0}/kpc.sock\"\n[network.mgmt]\ninterface = \"eth0\"\naddress = \"10.78.0.1\"\n\
         [tftp]\nroot = \"{0}/loaders\"\n[bootcfg]\ndata = \"{0}/bootcfg\"\nassets = \"{0}/assets\"\nlive_profiles = [\"live\"]\n\
         [bmc]\nuser = \"admin\"\npassword_file = \"{0}/bmc-password\"\nkeeper = \"{0}/{keeper}\"\nlogins = \"{0}/kept/logins.toml\"\n",
        folder.display()
    )
}

/// Whether a text is anywhere in a process's memory.
fn in_memory(process: &Path, secret: &str) -> bool {
    let maps = fs::read_to_string(process.join("maps")).unwrap();
    let memory = fs::File::open(process.join("mem")).unwrap();
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
    maps.lines().any(|line| {
        let (range, rest) = line.split_once(' ').unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let (from, to) = (number(from), number(to));
        if !rest.starts_with('r') || rest.ends_with("[vvar]") || to - from > 1 << 30 {
            return false;
        }
        let mut octets = vec![0; usize::try_from(to - from).unwrap()];
        memory.read_exact_at(&mut octets, from).is_ok() && holds(&octets, secret)
    })
}

/// With a keeper, what parses the boot network neither opens nor holds a password; power and orders work all the same.
#[test]
fn with_a_keeper_the_server_has_no_password() {
    if !is_root() {
        return;
    }
    let mut keeper = None;
    let served = Served::start_with("keeper", &[], |folder| {
        fs::create_dir(folder.join("kept")).unwrap();
        fs::write(folder.join("kpc.toml"), config(folder, "keeper.sock")).unwrap();
        let mut keep = Command::new("ip");
        keep.args(["netns", "exec", &format!("kpc-keeper-{}", std::process::id())]).arg(binary("kpc"));
        keep.args(["bmc", "keep", "--config"]).arg(folder.join("kpc.toml"));
        let log = fs::File::create(folder.join("keeper.log")).unwrap();
        keeper = Some(Guard::spawn(keep.stderr(log)));
    });
    let keeper = keeper.unwrap();
    let place = |name: &str| served.folder.path().join(name);
    served.good(&["machine", "add", "n1", "--mac", MAC, "--uuid", UUID, "--bmc", "127.0.0.1:6230"]);
    assert!(served.good(&["power", "status", "n1"]).contains("off"));
    served.good(&["provision", "n1", "--profile", "live", "--yes"]);
    wait_for("the BMC was told", LIMIT, || {
        fs::read_to_string(place("power.log")).is_ok_and(|calls| calls.contains("power on"))
    });
    let calls = fs::read_to_string(place("power.log")).unwrap();
    assert!(calls.find("boot pxe").unwrap() < calls.find("power on").unwrap(), "{calls}");
    assert!(served.good(&["power", "status", "n1"]).contains("on"));
    // What a scan finds goes to the keeper, past the server.
    scan(&served);
    assert!(holds(&fs::read(place("kept/logins.toml")).unwrap(), PASSWORD));
    assert!(served.good(&["power", "status", "n1"]).contains("on"));

    let keeper_memory = Path::new("/proc").join(keeper.id().to_string());
    assert!(in_memory(&keeper_memory, PASSWORD), "the look into memory finds what is there");
    assert!(!in_memory(&served.process(), PASSWORD), "the server's memory holds the password");
    let open: Vec<_> = fs::read_dir(served.process().join("fd")).unwrap().flatten().collect();
    for file in open.iter().filter_map(|entry| fs::read_link(entry.path()).ok()) {
        assert!(!file.ends_with("bmc-password") && !file.ends_with("kept/logins.toml"), "{}", file.display());
    }
    // Without the keeper nothing is sent, and it is said who is missing.
    drop(keeper);
    let (good, text) = served.kpc(&["power", "status", "n1"]);
    assert!(!good && text.contains("keeper.sock") && text.contains("kpc bmc keep"), "{text}");
}
