//! What the interoperability tests share: where the peers and our binaries are, and guards that end what a test
//! started, by its id.
//!
//! Peers are real programs. `cargo xtask interop` sets `KPC_REQUIRE_PEERS`, so that a missing one fails the test;
//! without it the test says in one line that it was skipped.

#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "a test helper fails its test")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]
#![allow(clippy::disallowed_methods, reason = "tests own clocks and sockets")]

use std::fmt::Display;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The workspace root.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent").to_path_buf()
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// One of our binaries: from `KPC_BIN_DIR`, else from the target folder's `lab` or `debug` profile.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let places = std::env::var_os("KPC_BIN_DIR").map_or_else(
        || vec![target().join("lab"), target().join("debug")],
        |place| vec![PathBuf::from(place)],
    );
    places
        .iter()
        .map(|place| place.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("no binary {name} in {places:?}; run: cargo xtask interop"))
}

/// A peer's program: unpacked under `KPC_PEERS_DIR` (default `target/peers`), else installed. `None` after saying that
/// the test is skipped, or a failed test where peers are required.
#[must_use]
pub fn peer(name: &str) -> Option<PathBuf> {
    let tree = peers().join("root");
    let unpacked = ["usr/sbin", "usr/bin", "sbin", "bin"].iter().map(|folder| tree.join(folder).join(name));
    let venv = peers().join("venv/bin").join(name);
    let installed =
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().map(|folder| Path::new(folder).join(name));
    let found = unpacked.chain([venv]).chain(installed).find(|path| path.is_file());
    if found.is_none() {
        skip(format_args!("peer {name} is missing; run: cargo xtask deps"));
    }
    found
}

/// Says why a test is skipped; fails it where peers are required.
pub fn skip(why: impl Display) {
    assert!(std::env::var_os("KPC_REQUIRE_PEERS").is_none(), "{why}");
    eprintln!("skipped: {why}");
}

/// The folder with unpacked peers (`root`) and the Python environment (`venv`).
#[must_use]
pub fn peers() -> PathBuf {
    std::env::var_os("KPC_PEERS_DIR").map_or_else(|| target().join("peers"), PathBuf::from)
}

/// The folder with the lab's firmware, kernel and DHCP server.
#[must_use]
pub fn lab_parts() -> PathBuf {
    std::env::var_os("KPC_LAB_PARTS").map_or_else(|| target().join("lab-parts"), PathBuf::from)
}

/// The agent that the lab's machines run; where it was not built, its name.
#[must_use]
pub fn agent() -> PathBuf {
    std::env::var_os("KPC_AGENT").map_or_else(|| PathBuf::from("kpc-agent"), PathBuf::from)
}

/// A command for a peer, with the libraries that were unpacked beside it.
#[must_use]
pub fn peer_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    let tree = peers().join("root");
    let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib"]
        .map(|folder| tree.join(folder).display().to_string())
        .join(":");
    command.env("LD_LIBRARY_PATH", libraries);
    command
}

/// Whether this test runs as root; says that it is skipped where not.
#[must_use]
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let root = std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
    if !root {
        eprintln!("skipped: needs root for network namespaces");
    }
    root
}

/// A child that ends with its test.
#[derive(Debug)]
pub struct Guard(Child);

impl Guard {
    /// Starts `command` without standard input.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn spawn(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// The child's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs to the end within `limit` and returns whether it succeeded with everything it printed.
///
/// # Panics
/// If it cannot be started or does not end in time.
pub fn run_within(command: &mut Command, limit: Duration) -> (bool, String) {
    let log = tempfile();
    let out = std::fs::File::create(&log).expect("a log file");
    let err = out.try_clone().expect("a log file");
    let mut child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().expect("starts");
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("waits") {
            break Some(status);
        }
        if start.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let mut text = String::new();
    let _ = std::fs::File::open(&log).and_then(|mut file| file.read_to_string(&mut text));
    let _ = std::fs::remove_file(&log);
    let status = status.unwrap_or_else(|| panic!("{command:?} did not end in {limit:?}:\n{text}"));
    (status.success(), text)
}

fn tempfile() -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("kpc-tests-{}-{number}.log", std::process::id()))
}

/// Waits until `ready` holds.
///
/// # Panics
/// If it does not within `limit`.
pub fn wait_for(what: &str, limit: Duration, mut ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < limit, "{what} did not happen in {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether `secret` is anywhere in these octets.
#[must_use]
pub fn holds(octets: &[u8], secret: &str) -> bool {
    octets.windows(secret.len()).any(|window| window == secret.as_bytes())
}

/// Runs `work`, whose programs abort in `folder` and leave no core there; says so where this system makes none anyway.
///
/// # Panics
/// If a core is left.
pub fn without_cores(folder: &Path, work: impl FnOnce()) {
    let cores = || {
        let files = std::fs::read_dir(folder).expect("the folder is there").flatten();
        files
            .map(|file| file.path())
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("core")))
    };
    if !aborted_with_core(Command::new("sleep").arg("60").current_dir(folder), || {}) {
        eprintln!("this system makes no cores: nothing is to be seen of ours");
    }
    cores().for_each(|path| std::fs::remove_file(path).expect("a file of our own"));
    work();
    assert_eq!(cores().collect::<Vec<_>>(), Vec::<PathBuf>::new());
}

/// Starts a program, waits until it is `ready`, lifts its limit for cores and aborts it; whether the kernel made a core.
///
/// # Panics
/// If it cannot be started, or does not end by the signal.
pub fn aborted_with_core(command: &mut Command, ready: impl FnOnce()) -> bool {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    ready();
    let pid = child.id().to_string();
    for words in [&["prlimit", "--core=unlimited", "--pid", &pid][..], &["kill", "-ABRT", &pid]] {
        let mut tell = Command::new(words.first().expect("a program"));
        let (good, text) = run_within(tell.args(words.iter().skip(1)), Duration::from_secs(60));
        assert!(good, "{words:?}: {text}");
    }
    let status = child.wait().expect("waits");
    assert_eq!(status.signal(), Some(6), "{status}");
    status.core_dumped()
}
