//! The lab leaves nothing behind: not after its end, not after `kill -9` of its outer process. The peers are the
//! kernel's namespaces, QEMU and the DHCP server.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr
)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lab::sandbox::{self, Inside};
use lab::{Bmcs, Firmware, Lab, LabConfig, LabDir, MachineSpec, Parts};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// In the environment of everything that the test starts, so that it can be found whatever happens to its parents.
const MARK: &str = "KPC_TEST_LAB";
/// The promise.
const GONE_WITHIN: Duration = Duration::from_secs(2);
const STANDS_WITHIN: Duration = Duration::from_secs(60);

/// The parts, or `None` after saying what is missing. The agent is not run here: any file will do.
fn parts() -> Option<Parts> {
    if !kpc_tests::is_root() {
        return None;
    }
    let place = kpc_tests::lab_parts();
    match Parts::find_with_agent(&place, std::env::current_exe().unwrap()) {
        Ok(parts) => Some(parts),
        Err(error) => {
            kpc_tests::skip(error);
            None
        }
    }
}

/// Not a test of its own: what the other tests run as the outer and the inner process of a lab.
#[test]
fn helper_lab() {
    let Some(dir) = std::env::var_os("KPC_TEST_LAB_DIR").map(PathBuf::from) else { return };
    let Some(inside) = Inside::detect() else {
        let dir = LabDir::claim(&dir).unwrap();
        let words = ["helper_lab", "--exact", "--nocapture"].map(Into::into);
        let mut outside = sandbox::spawn(words, None).unwrap();
        let status = outside.wait().unwrap();
        drop(dir);
        std::process::exit(status.code().unwrap_or(1));
    };
    inside.on_parent_end(|| std::process::exit(130)).unwrap();
    let mut machines = MachineSpec::numbered(2, Firmware::BiosRom);
    machines[1].firmware = Firmware::Uefi;
    let config = LabConfig { dir: dir.clone(), parts: parts().unwrap(), machines, capture: true };
    let mut lab = Lab::up(&config).unwrap();
    let bmcs = Bmcs::start(&lab, "lab", "secret").unwrap();
    fs::write(dir.join("stands"), "").unwrap();
    loop {
        lab.check().unwrap();
        std::thread::sleep(Duration::from_millis(100));
        assert!(bmcs.log().exists());
    }
}

/// Starts a lab and waits until it stands; its mark, its outer process and its directory.
fn start(dir: &Path, user: Option<u32>) -> (String, Child) {
    let mark = format!("{}-{}", std::process::id(), dir.file_name().unwrap().to_string_lossy());
    let log = fs::File::create(dir.join("test.log")).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    if let Some(user) = user {
        // The lab and its program where this user can reach them.
        let program = dir.join("program");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        std::os::unix::fs::chown(dir, Some(user), Some(user)).unwrap();
        command = Command::new(program);
        command.uid(user).gid(user).current_dir(dir);
    }
    let outer = command
        .args(["helper_lab", "--exact", "--nocapture"])
        .env(MARK, &mark)
        .env("KPC_LAB_ACCEL", "tcg") // no guest runs: the trial of KVM would only cost time
        .env("KPC_TEST_LAB_DIR", dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !dir.join("stands").exists() {
        let log = fs::read_to_string(dir.join("test.log")).unwrap();
        assert!(start.elapsed() < STANDS_WITHIN, "the lab does not stand: {log}");
        std::thread::sleep(Duration::from_millis(50));
    }
    (mark, outer)
}

fn processes() -> impl Iterator<Item = PathBuf> {
    fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()))
}

fn is_marked(process: &Path, mark: &str) -> bool {
    let wanted = format!("{MARK}={mark}");
    let environment = fs::read(process.join("environ")).unwrap_or_default();
    environment.split(|octet| *octet == 0).any(|entry| entry == wanted.as_bytes())
}

/// Names of the processes that carry the mark, anywhere on the machine.
fn marked(mark: &str) -> Vec<String> {
    let name = |pid: PathBuf| fs::read_to_string(pid.join("comm")).unwrap_or_default().trim().to_owned();
    processes().filter(|pid| is_marked(pid, mark)).map(name).collect()
}

/// Network namespaces that some process of the machine is in; with a mark, only of processes that carry it.
fn network_namespaces(mark: Option<&str>) -> BTreeSet<PathBuf> {
    let link = |pid: &PathBuf| fs::read_link(pid.join("ns/net")).ok();
    processes()
        .filter(|pid| mark.is_none_or(|mark| is_marked(pid, mark)))
        .filter_map(|pid| link(&pid))
        .collect()
}

fn interfaces() -> BTreeSet<PathBuf> {
    fs::read_dir("/sys/class/net").unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn mounts_below(dir: &Path) -> usize {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    mounts.lines().filter(|line| line.contains(dir.to_str().unwrap())).count()
}

fn sockets_below(dir: &Path) -> Vec<PathBuf> {
    use std::os::unix::fs::FileTypeExt as _;
    let (mut found, mut dirs) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => dirs.push(entry.path()),
                kind if kind.is_socket() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found
}

/// Stands a lab up, ends its outer process by `signal`, and looks for what is left.
fn ends_with(signal: Signal, name: &str, user: Option<u32>) {
    if parts().is_none() {
        return;
    }
    let dir = tempfile::Builder::new().prefix(name).tempdir().unwrap();
    let before = interfaces();
    let (mark, mut outer) = start(dir.path(), user);
    let standing = marked(&mark);
    let count = |name: &str| standing.iter().filter(|comm| *comm == name).count();
    assert_eq!((count("qemu-system-x86"), count("unshare")), (2, 1), "{standing:?}");
    let mut namespaces = network_namespaces(Some(&mark));
    namespaces.remove(&fs::read_link("/proc/self/ns/net").unwrap());
    assert_eq!(namespaces.len(), 2, "the switch and the lease server: {namespaces:?}");
    assert_eq!(before, interfaces(), "a standing lab shows no interface outside");
    assert_eq!(mounts_below(dir.path()), 0, "nor a mount");
    kill(Pid::from_raw(i32::try_from(outer.id()).unwrap()), signal).unwrap();
    let start = Instant::now();
    outer.wait().unwrap();
    while !marked(&mark).is_empty() {
        assert!(start.elapsed() < GONE_WITHIN, "still there after 2 s: {:?}", marked(&mark));
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("{signal}: everything gone after {} ms", start.elapsed().as_millis());
    assert_eq!(before, interfaces());
    assert!(sockets_below(dir.path()).is_empty(), "{:?}", sockets_below(dir.path()));
    let left: Vec<_> = network_namespaces(None).intersection(&namespaces).cloned().collect();
    assert!(left.is_empty(), "{left:?}");
    // The directory is free again: a new lab may stand there.
    drop(LabDir::claim(dir.path()).unwrap());
}

#[test]
fn kill_9_of_the_outer_process_leaves_nothing() {
    ends_with(Signal::SIGKILL, "kpc-lab-kill", None);
}

#[test]
fn sigterm_leaves_nothing() {
    ends_with(Signal::SIGTERM, "kpc-lab-term", None);
}

/// A user that nobody gave anything: namespaces of users, stream sockets instead of taps.
#[test]
fn a_lab_stands_and_ends_without_root() {
    const NOBODY: u32 = 65_534;
    let may = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "true"])
        .uid(NOBODY)
        .gid(NOBODY)
        .status();
    let reads = |path: PathBuf| {
        Command::new("test").arg("-r").arg(path).uid(NOBODY).gid(NOBODY).status().unwrap().success()
    };
    if !parts().is_some_and(|parts| reads(parts.kernel)) || !may.unwrap().success() {
        eprintln!("skipped: no parts that everybody can read, or no namespaces without root here");
        return;
    }
    ends_with(Signal::SIGKILL, "kpc-lab-user", Some(NOBODY));
}
