//! Processors for the server that is measured and for what asks it. Where the scheduler moves the one beside the other
//! and back, a run shows that and not the server.
//!
//! Two that wait for each other share one: on two, each packet pays for waking the other's, which on a virtual machine
//! costs many times what the packet does. Where there is always work, each has its own.

#![allow(clippy::missing_panics_doc, clippy::unwrap_used, reason = "a bench without its processors is none")]

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// Whose processor: the first and the last of those that the bench may use.
#[derive(Clone, Copy, Debug)]
pub enum Side {
    /// Of the server.
    Server,
    /// Of what asks it.
    Client,
}

impl Side {
    fn processor(self) -> CpuSet {
        static ALL: OnceLock<CpuSet> = OnceLock::new();
        let all = ALL.get_or_init(|| sched_getaffinity(Pid::from_raw(0)).unwrap());
        let mut numbers = (0..CpuSet::count()).filter(|&number| all.is_set(number).unwrap());
        let number = match self {
            Self::Server => numbers.next(),
            Self::Client => numbers.next_back(),
        };
        let mut one = CpuSet::new();
        one.set(number.unwrap()).unwrap();
        one
    }

    /// Calls `work`; this thread, and what it starts meanwhile, has this processor. Afterwards the thread has those it
    /// had before, and what it started stays.
    pub fn run<T>(self, work: impl FnOnce() -> T) -> T {
        let (this, there) = (Pid::from_raw(0), self.processor());
        let before = sched_getaffinity(this).unwrap();
        sched_setaffinity(this, &there).unwrap();
        let done = work();
        sched_setaffinity(this, &before).unwrap();
        done
    }
}

/// One process of the lowest priority per side: an idle virtual processor is slow to wake, and that would be measured
/// instead of the servers.
#[derive(Debug)]
pub struct Awake(Vec<Child>);

impl Awake {
    /// Starts them; they end with the value.
    #[must_use]
    pub fn new() -> Self {
        let spin = || {
            Command::new("chrt")
                .args(["--idle", "0", "sh", "-c", "while :; do :; done"])
                .stdin(Stdio::null())
                .spawn()
        };
        Self([Side::Server, Side::Client].into_iter().filter_map(|side| side.run(spin).ok()).collect())
    }
}

impl Default for Awake {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
