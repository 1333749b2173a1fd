//! The supervisor's own namespaces. `kpc lab up` starts itself again inside ([`spawn`]); the inner process is
//! number 1 of a PID namespace, so whatever ends it ends everything it started, and it ends itself when its standard
//! input does ([`Inside::on_parent_end`]): the outer process holds the other end, even through `kill -9`.

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use command_fds::{CommandFdExt as _, FdMapping};

use crate::error::{LabError, Result};

const MARK: &str = "KPC_LAB_INSIDE";
/// Where socket activation starts to count (sd_listen_fds(3)).
const FIRST_FD: i32 = 3;

/// The outer half: waits for the inner one and ends it when dropped.
#[derive(Debug)]
pub struct Outside {
    child: Child,
    lifeline: Option<ChildStdin>,
}

/// Starts this program again with `args` in new network, mount and PID namespaces. `page` is handed in as the first
/// socket of socket activation (`LISTEN_FDS`), so the page is reachable on the host's own address.
///
/// # Errors
/// [`LabError::NotAllowed`] when the kernel gives this user no namespaces, [`LabError::Io`] otherwise.
pub fn spawn(args: impl IntoIterator<Item = OsString>, page: Option<TcpListener>) -> Result<Outside> {
    let user = !nix::unistd::geteuid().is_root();
    probe(user)?;
    let program = std::env::current_exe().map_err(LabError::io("find this program"))?;
    let mut command = unshare(user);
    command.arg(program).args(args).env(MARK, "1").stdin(Stdio::piped()).process_group(0);
    hand_over(&mut command, page.map(OwnedFd::from))?;
    let mut child = command.spawn().map_err(LabError::io("start unshare (package util-linux)"))?;
    let lifeline = child.stdin.take();
    Ok(Outside { child, lifeline })
}

/// Gives `fds` to a child by socket activation: numbers 3 and up, `LISTEN_FDS` says how many. `LISTEN_PID` stays
/// unset, because the child may be started through `nsenter` or `unshare`.
///
/// # Errors
/// [`LabError::Config`] when two share a number, which their order here excludes.
pub fn hand_over(command: &mut Command, fds: impl IntoIterator<Item = OwnedFd>) -> Result<()> {
    let mappings: Vec<FdMapping> =
        (FIRST_FD..).zip(fds).map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd }).collect();
    command
        .env_remove("LISTEN_PID")
        .env_remove("LISTEN_FDNAMES")
        .env("LISTEN_FDS", mappings.len().to_string());
    if mappings.is_empty() {
        command.env_remove("LISTEN_FDS");
        return Ok(());
    }
    command.fd_mappings(mappings).map(drop).map_err(|error| LabError::Config(error.to_string()))
}

fn unshare(user: bool) -> Command {
    let mut command = Command::new("unshare");
    if user {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    command
}

fn probe(user: bool) -> Result<()> {
    let output =
        unshare(user).arg("true").output().map_err(LabError::io("run unshare (package util-linux)"))?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(LabError::NotAllowed { doing: "make namespaces", reason })
}

impl Outside {
    /// Asks the inner half to end: its standard input ends. [`Outside::wait`] then returns soon.
    pub fn end(&mut self) {
        self.lifeline = None;
    }

    /// How the inner half ended, if it did.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for the inner half; its exit status is the lab's.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        // `Child::wait` closes a stdin it still holds; ours was taken, so the lifeline lives on.
        self.child.wait()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.end();
        // Killing `unshare` kills the inner half with it (`--kill-child`).
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The inner half.
#[derive(Debug)]
pub struct Inside(());

impl Inside {
    /// `Some` in the process that [`spawn`] started.
    #[must_use]
    pub fn detect() -> Option<Self> {
        (std::env::var_os(MARK).is_some() && std::process::id() == 1).then_some(Self(()))
    }

    /// Runs `act` on a thread of its own once the outer half has ended or called [`Outside::end`].
    ///
    /// # Errors
    /// [`LabError::Io`] when no thread can be started.
    pub fn on_parent_end(&self, act: impl FnOnce() + Send + 'static) -> Result<()> {
        let watch = move || {
            let mut scrap = [0; 64];
            while !matches!(io::stdin().read(&mut scrap), Ok(0) | Err(_)) {}
            act();
        };
        let thread = std::thread::Builder::new().name("lifeline".into()).spawn(watch);
        thread.map(drop).map_err(LabError::io("start a thread"))
    }
}
