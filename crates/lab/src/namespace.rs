//! Network namespaces without names: held by a file descriptor, gone with it (see network_namespaces(7)). Called by
//! `network`; what runs inside is started from a thread that has entered.

use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use nix::sched::{CloneFlags, setns, unshare};

use crate::error::{LabError, Result};
use crate::process;

/// A network namespace. Clones share it; it ends with the last clone and the last process inside.
#[derive(Clone, Debug)]
pub struct Namespace {
    file: Arc<File>,
}

impl Namespace {
    /// Makes an empty one with its loopback interface up and without duplicate address detection (a tentative IPv6
    /// address would lose the first router advertisement).
    ///
    /// # Errors
    /// [`LabError::NotAllowed`] without the right to make namespaces.
    pub fn new() -> Result<Self> {
        let made = on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| LabError::NotAllowed {
                doing: "make a network namespace",
                reason: errno.desc().to_owned(),
            })?;
            Self::current()
        })?;
        made.enter(|| {
            quiet_ipv6()?;
            process::run(Command::new("ip").args(["link", "set", "lo", "up"])).map(drop)
        })?;
        Ok(made)
    }

    /// The one this thread is in.
    ///
    /// # Errors
    /// [`LabError::Io`] without /proc.
    pub fn current() -> Result<Self> {
        let path = "/proc/thread-self/ns/net";
        let file = File::open(path).map_err(LabError::io(format!("open {path}")))?;
        Ok(Self { file: Arc::new(file) })
    }

    /// Runs `work` on a thread inside: sockets it opens and processes it starts belong to this namespace.
    ///
    /// # Errors
    /// What `work` returns, and [`LabError::Io`] when the kernel refuses to enter.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        on_a_thread(|| {
            let file: BorrowedFd<'_> = self.file.as_fd();
            setns(file, CloneFlags::CLONE_NEWNET).map_err(LabError::errno("enter a network namespace"))?;
            work()
        })
    }

    /// A path that other processes of the lab can open while this value lives (for `nsenter --net=`, `ip link set
    /// … netns`).
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()))
    }

    /// A command that runs inside: `nsenter` goes in, then becomes the program.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg("--").arg(program);
        command
    }
}

/// Addresses work at once in interfaces made after this (anchors: accept_dad).
pub(crate) fn quiet_ipv6() -> Result<()> {
    let path = "/proc/sys/net/ipv6/conf/default/accept_dad";
    match std::fs::write(path, "0") {
        // A kernel without IPv6 has nothing to detect.
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(LabError::io(format!("write {path}"))(error))
        }
        _ => Ok(()),
    }
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|_| Err(LabError::Config("a thread inside a namespace failed".into())))
}
