//! bootcfgd, as it is installed, in a process of its own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a start may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program: built beside this one by `cargo xtask bench`.
fn program() -> PathBuf {
    let beside = std::env::current_exe().unwrap().with_file_name("bootcfgd");
    assert!(beside.exists(), "{} is missing: run `cargo xtask bench bootcfg`", beside.display());
    beside
}

/// The process, killed when dropped.
pub(crate) struct Child {
    child: std::process::Child,
    pub(crate) addr: SocketAddr,
}

impl Child {
    /// Serves a folder as matchbox does, and logs as little as matchbox did when it was recorded.
    pub(crate) fn start(dir: &Path) -> Self {
        let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new(program())
            .arg(format!("-address={addr}"))
            .args(["-log-level=error", "--user=root", "-data-path"])
            .arg(dir)
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let (child, begin) = (Self { child, addr }, Instant::now());
        while TcpStream::connect(addr).is_err() {
            assert!(begin.elapsed() < PATIENCE, "it listens");
            std::thread::sleep(Duration::from_micros(20));
        }
        child
    }

    /// Processor time of all its threads. Those that sleep are accounted for to the nanosecond.
    pub(crate) fn cpu(&self) -> Duration {
        let id = self.child.id();
        let mut nanos = 0;
        for task in std::fs::read_dir(format!("/proc/{id}/task")).unwrap().flatten() {
            if let Ok(text) = std::fs::read_to_string(task.path().join("schedstat")) {
                nanos += text.split(' ').next().unwrap().parse::<u64>().unwrap();
            }
        }
        Duration::from_nanos(nanos)
    }

    /// A line of /proc/PID/status, in KiB.
    pub(crate) fn memory(&self, name: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
