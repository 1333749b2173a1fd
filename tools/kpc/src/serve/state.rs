//! The one fleet that DHCP, TFTP and HTTP ask, and the store behind it. Whoever changes the fleet gets its answer only
//! after what must be durable is durable.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fleet::store::{RedbStore, Store as _};
use fleet::{ClaimSecret, Event, Fleet, Mac, Record, Timestamp};
use tokio::sync::{Notify, broadcast};

/// Events kept for a slow reader of the stream before it misses some; it then reads the whole state again.
const EVENT_BACKLOG: usize = 4096;
/// How many boot nonces are remembered.
const MAX_NONCES: usize = 4096;
/// How long the timeline of boots may wait for the store.
const LAZY_FLUSH: Duration = Duration::from_millis(500);

/// The fleet, its store and who is told.
pub(crate) struct State {
    inner: Mutex<Inner>,
    events: broadcast::Sender<Event>,
    changed: Notify,
}

struct Inner {
    fleet: Fleet,
    store: RedbStore,
    /// Records that may wait for the next write.
    lazy: Vec<Record>,
    /// What booting machines show in URLs, and the claim that it stands for.
    nonces: HashMap<String, ClaimSecret>,
}

impl State {
    /// A state over what the store holds.
    pub(crate) fn new(fleet: Fleet, store: RedbStore) -> Self {
        let nonces = open_claims(&fleet);
        let (events, _) = broadcast::channel(EVENT_BACKLOG);
        Self {
            inner: Mutex::new(Inner { fleet, store, lazy: Vec::new(), nonces }),
            events,
            changed: Notify::new(),
        }
    }

    /// Reads the fleet.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Fleet, Timestamp) -> T) -> T {
        look(&self.lock().fleet, now())
    }

    /// Changes the fleet; returns when what must be durable is. A store that refuses is told to the fleet, which then
    /// gives no order, claim or grant, and the caller gets the store's words.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Fleet, Timestamp) -> T) -> Result<T, String> {
        let mut inner = self.lock();
        let before = inner.fleet.poll_timeout();
        let outcome = change(&mut inner.fleet, now());
        let durable = inner.flush(false);
        let moved = inner.fleet.poll_timeout() != before;
        let events: Vec<Event> = std::iter::from_fn(|| inner.fleet.poll_event()).collect();
        drop(inner);
        for event in events {
            tell(&event);
            // Nobody listening is no fault.
            let _ = self.events.send(event);
        }
        if moved {
            self.changed.notify_one();
        }
        durable.map(|()| outcome)
    }

    /// Like [`State::change`] for what a packet showed: its outcome is only counted.
    pub(crate) fn observe(&self, observation: fleet::Observation) {
        match self.change(|fleet, now| fleet.observe(now, observation)) {
            Ok(Ok(_)) => {}
            Ok(Err(ignored)) => tracing::debug!(reason = %ignored, "observation ignored"),
            Err(error) => tracing::error!(%error, "store"),
        }
    }

    /// A subscription to what happens from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Remembers what a boot shows in URLs for its claim, and returns it.
    pub(crate) fn remember(&self, secret: ClaimSecret) -> String {
        let nonce = boot_nonce(&secret);
        let mut inner = self.lock();
        if inner.nonces.len() >= MAX_NONCES {
            inner.nonces = open_claims(&inner.fleet);
        }
        inner.nonces.insert(nonce.clone(), secret);
        nonce
    }

    /// The claim behind a boot nonce.
    pub(crate) fn claim_of(&self, nonce: &str) -> Option<ClaimSecret> {
        self.lock().nonces.get(nonce).copied()
    }

    /// Lets the fleet's time pass and writes what may wait, until the task is dropped.
    pub(crate) async fn run(&self) {
        loop {
            let due = self.read(|fleet, now| fleet.poll_timeout().map(|at| at.since(now)));
            let wait = due
                .unwrap_or(Duration::from_secs(3600))
                .clamp(Duration::from_millis(10), Duration::from_secs(3600));
            tokio::select! {
                () = tokio::time::sleep(wait) => {
                    let _ = self.change(|fleet, now| fleet.handle_timeout(now));
                }
                () = self.changed.notified() => {}
                () = tokio::time::sleep(LAZY_FLUSH) => self.flush(),
            }
        }
    }

    /// Writes everything that waits.
    pub(crate) fn flush(&self) {
        if let Err(error) = self.lock().flush(true) {
            tracing::error!(%error, "store");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic under the lock is a bug; what is durable is whole, so the others go on.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Hands the fleet's records to the store: at once where one of them is urgent, else with the next write.
    fn flush(&mut self, all: bool) -> Result<(), String> {
        let mut urgent = all;
        while let Some(record) = self.fleet.poll_record() {
            urgent |= record.is_urgent();
            self.lazy.push(record);
        }
        if !urgent || self.lazy.is_empty() {
            return Ok(());
        }
        match self.store.append(&self.lazy) {
            Ok(()) => {
                self.lazy.clear();
                self.fleet.store_recovered(now());
                Ok(())
            }
            Err(error) => {
                let detail = error.to_string();
                self.fleet.store_failed(now(), &detail);
                Err(format!("the store refuses writes: {detail}"))
            }
        }
    }
}

/// The boot nonces of every claim that an open order stands under.
fn open_claims(fleet: &Fleet) -> HashMap<String, ClaimSecret> {
    let orders =
        fleet.machines().filter_map(|machine| fleet.order_of(machine.id)).filter(|order| order.is_open());
    orders.filter_map(|order| order.claim()).map(|claim| (boot_nonce(&claim.secret), claim.secret)).collect()
}

/// What a boot shows in URLs instead of its claim's secret: a digest of it, so that a URL in a log opens nothing.
fn boot_nonce(secret: &ClaimSecret) -> String {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(secret.expose().as_bytes()).iter().take(12).map(|octet| format!("{octet:02x}")).collect()
}

/// The wall clock as the fleet takes it.
#[expect(clippy::disallowed_methods, reason = "the server owns the clock")]
pub(crate) fn now() -> Timestamp {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// The Ethernet address behind a neighbour's IP address, as the kernel knows it.
pub(crate) fn neighbour(peer: IpAddr) -> Option<Mac> {
    let table = std::fs::read_to_string("/proc/net/arp").ok()?;
    let wanted = peer.to_string();
    let line = table.lines().skip(1).find(|line| line.split_whitespace().next() == Some(wanted.as_str()))?;
    let mac: Mac = line.split_whitespace().nth(3)?.parse().ok()?;
    (mac.0 != [0; 6]).then_some(mac)
}

fn tell(event: &Event) {
    if event.kind.is_alarm() {
        tracing::warn!(machine = %event.name, "{}", event.kind.line());
    } else {
        tracing::info!(machine = %event.name, "{}", event.kind.line());
    }
}
