//! Many BMCs at once: one [`Script`] per BMC, all sessions on one socket, as a value.
//!
//! A pure engine over `Session`; `driver::sweep` runs it. Each host is asked once: a wrong password is not
//! tried again. Batches of hosts start `stagger` apart and at most `fanout` are in conversation at the same time.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::script::{Answer, Script, Step};
use crate::session::{Config as SessionConfig, Event, RequestId};
use crate::{Entropy, Failure, Ignored, Session};

/// How a sweep goes.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Hosts in conversation at once; default 256.
    pub fanout: usize,
    /// Time between the starts of two batches; default none.
    pub stagger: Duration,
    /// Hosts that start together, at least 1; default 1. With `stagger` it is the power budget: so many machines draw their
    /// inrush current at once.
    pub batch: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { fanout: 256, stagger: Duration::ZERO, batch: 1 }
    }
}

/// What a sweep tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SweepEvent<O> {
    /// One host is done.
    Done(SocketAddr, Result<O, Failure>),
    /// A host did not answer the first datagram in time: look whether the network can reach it at all, and
    /// call [`Sweep::unreachable`] if it says no.
    Suspect(SocketAddr),
}

#[derive(Debug)]
struct Host<S> {
    session: Session,
    script: S,
    waiting: Option<RequestId>,
    timer: Option<Instant>,
    heard: bool,
    suspected: bool,
}

/// A sweep over any number of BMCs.
#[derive(Debug)]
pub struct Sweep<S: Script> {
    config: Config,
    entropy: Entropy,
    pending: VecDeque<(SocketAddr, SessionConfig, S)>,
    hosts: HashMap<SocketAddr, Host<S>>,
    timers: BTreeSet<(Instant, SocketAddr)>,
    next_start: Instant,
    /// Hosts of this batch that have started.
    batch: usize,
    outbox: VecDeque<(SocketAddr, Vec<u8>)>,
    events: VecDeque<SweepEvent<S::Output>>,
}

impl<S: Script> Sweep<S> {
    /// An empty sweep.
    pub fn new(now: Instant, config: Config, entropy: Entropy) -> Self {
        Self {
            config,
            entropy,
            pending: VecDeque::new(),
            hosts: HashMap::new(),
            timers: BTreeSet::new(),
            next_start: now,
            batch: 0,
            outbox: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Adds a host. An address that is already there waits until that one is done.
    pub fn add(&mut self, addr: SocketAddr, session: SessionConfig, script: S) {
        self.pending.push_back((addr, session, script));
    }

    /// Whether every host is done.
    pub fn is_over(&self) -> bool {
        self.pending.is_empty() && self.hosts.is_empty()
    }

    /// Starts hosts as far as fan-out and stagger allow.
    fn start(&mut self, now: Instant) {
        while self.hosts.len() < self.config.fanout.max(1) && self.next_start <= now {
            let Some((addr, config, script)) = self.pending.pop_front() else { return };
            if self.hosts.contains_key(&addr) {
                self.pending.push_back((addr, config, script));
                return;
            }
            let entropy = Entropy::from_seed(self.entropy.draw());
            let session = Session::new(now, config, entropy);
            let (waiting, timer) = (None, None);
            let host = Host { session, script, waiting, timer, heard: false, suspected: false };
            self.hosts.insert(addr, host);
            self.batch += 1;
            if self.batch >= self.config.batch {
                (self.batch, self.next_start) = (0, now + self.config.stagger);
            }
            self.pump(now, addr);
        }
    }

    /// Takes one datagram.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, octets: &[u8]) -> Result<(), Ignored> {
        let host = self.hosts.get_mut(&from).ok_or(Ignored::Stranger)?;
        let outcome = host.session.handle_datagram(now, octets);
        host.heard = true;
        self.pump(now, from);
        self.start(now);
        outcome
    }

    /// The network says that this host cannot be reached: it is done.
    pub fn unreachable(&mut self, now: Instant, addr: SocketAddr) -> bool {
        let Some(host) = self.hosts.get(&addr).filter(|host| !host.heard) else { return false };
        if let Some(at) = host.timer {
            self.timers.remove(&(at, addr));
        }
        self.hosts.remove(&addr);
        self.start(now);
        true
    }

    /// Drives one host's session and script until both wait.
    fn pump(&mut self, now: Instant, addr: SocketAddr) {
        let Some(host) = self.hosts.get_mut(&addr) else { return };
        let mut done = None;
        while let Some(event) = host.session.poll_event() {
            let step = match &event {
                Event::Established { suite, guid } => {
                    host.script.next(Answer::Established { guid: *guid, suite: *suite })
                }
                Event::Reply { id, completion, data } if host.waiting == Some(*id) => {
                    host.script.next(Answer::Reply(*completion, data))
                }
                Event::Unanswered(id) if host.waiting == Some(*id) => host.script.next(Answer::Unanswered),
                Event::Failed(failure) => {
                    done = Some(Err(*failure));
                    break;
                }
                _ => continue,
            };
            match step {
                Step::Ask(request) => host.waiting = Some(host.session.submit(now, request)),
                Step::Done(output) => {
                    host.session.close(now);
                    done = Some(Ok(output));
                    break;
                }
            }
        }
        let mut datagram = Vec::new();
        while host.session.poll_transmit(&mut datagram) {
            self.outbox.push_back((addr, std::mem::take(&mut datagram)));
        }
        let timer = if done.is_some() { None } else { host.session.poll_timeout() };
        if timer != host.timer {
            if let Some(at) = host.timer {
                self.timers.remove(&(at, addr));
            }
            if let Some(at) = timer {
                self.timers.insert((at, addr));
            }
            host.timer = timer;
        }
        if let Some(outcome) = done {
            self.hosts.remove(&addr);
            self.events.push_back(SweepEvent::Done(addr, outcome));
        }
    }

    /// Tells the sweep that the time of [`Sweep::poll_timeout`] has come. Also starts a fresh sweep.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, addr)) = self.timers.first().copied() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            let Some(host) = self.hosts.get_mut(&addr) else { continue };
            host.timer = None;
            host.session.handle_timeout(now);
            if !host.heard && !std::mem::replace(&mut host.suspected, true) {
                self.events.push_back(SweepEvent::Suspect(addr));
            }
            self.pump(now, addr);
        }
        self.start(now);
    }

    /// The next datagram to send, and to whom: replaces the contents of `out`. Call until `None`.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<SocketAddr> {
        let (addr, datagram) = self.outbox.pop_front()?;
        *out = datagram;
        Some(addr)
    }

    /// The next thing to tell. Call until `None`.
    pub fn poll_event(&mut self) -> Option<SweepEvent<S::Output>> {
        self.events.pop_front()
    }

    /// When to call [`Sweep::handle_timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let timer = self.timers.first().map(|(at, _)| *at);
        let room = self.hosts.len() < self.config.fanout.max(1) && !self.pending.is_empty();
        let start = room.then_some(self.next_start);
        match (timer, start) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}
