//! The one fleet that DHCP, TFTP and HTTP ask, and the store behind it. Whoever changes the fleet gets its answer only
//! after what must be durable is durable.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fleet::store::Journal;
use fleet::{ClaimSecret, Event, Fleet, Hint, HintCode, Mac, MachineId, Observation, Timestamp, Uuid};
use tokio::sync::{Notify, broadcast, oneshot};

use crate::serve::audit::Audit;
use crate::serve::metrics::{self, Metrics};
use crate::serve::neighbours::Neighbours;
use crate::serve::wire::Wire;

/// Cards that are remembered with their boards.
const MAX_BOARDS: usize = 4096;
/// Events kept for a slow reader of the stream before it misses some; it then reads the whole state again.
const EVENT_BACKLOG: usize = 4096;
/// How many boot nonces are remembered.
const MAX_NONCES: usize = 4096;
/// The longest time between two looks at the fleet's timers.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The fleet behind its journal, and who is told.
pub(crate) struct State {
    journal: Journal,
    events: broadcast::Sender<Event>,
    changed: Notify,
    /// What booting machines show in URLs, and the claim that it stands for.
    nonces: Mutex<HashMap<String, ClaimSecret>>,
    /// The UUID that came with the DHCP of a card that no machine has yet: TFTP shows the card alone.
    boards: Mutex<HashMap<Mac, Uuid>>,
    /// How long a BMC may be silent after a power command.
    bmc_rest: Duration,
    audit: Audit,
    metrics: Arc<Metrics>,
    neighbours: Neighbours,
    wire: Wire,
}

impl State {
    /// A state over what the store holds.
    pub(crate) fn new(journal: Journal, audit: Audit, bmc_rest: Duration) -> Self {
        let nonces = Mutex::new(journal.read(open_claims));
        let (events, _) = broadcast::channel(EVENT_BACKLOG);
        Self {
            journal,
            events,
            changed: Notify::new(),
            nonces,
            boards: Mutex::default(),
            bmc_rest,
            audit,
            metrics: Arc::default(),
            neighbours: Neighbours::default(),
            wire: Wire::default(),
        }
    }

    /// The audit log.
    pub(crate) fn audit(&self) -> &Audit {
        &self.audit
    }

    /// What is counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The Ethernet address behind an address of the machines' network.
    pub(crate) fn neighbour(&self, peer: IpAddr) -> Option<Mac> {
        self.neighbours.of(peer)
    }

    /// A PXE responder that is not ours was heard.
    pub(crate) fn responder_heard(&self, server: Ipv4Addr) {
        metrics::count(&self.metrics.dhcp_foreign);
        if let Some(text) = self.wire.responder(now(), server) {
            self.raise(text);
        }
    }

    /// A lease server was heard: another one than before matters while orders are open.
    pub(crate) fn lease_server_heard(&self, server: Ipv4Addr) {
        let news = self.wire.lease_server(now(), server);
        let open = |fleet: &Fleet| {
            fleet.machines().any(|machine| fleet.order_of(machine.id).is_some_and(fleet::Order::is_open))
        };
        match news {
            Some(text) if self.read(|fleet, _| open(fleet)) => self.raise(text),
            Some(text) => tracing::info!("{text}"),
            None => {}
        }
    }

    /// The PXE responders that are there beside us.
    pub(crate) fn responders(&self) -> Vec<Ipv4Addr> {
        self.wire.responders(now())
    }

    fn raise(&self, text: String) {
        let now = now();
        self.journal.change_then(now, move |fleet| fleet.raise(now, &text), |_| {});
        self.tell();
    }

    /// Reads the fleet.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Fleet, Timestamp) -> T) -> T {
        let now = now();
        self.journal.read(|fleet| look(fleet, now))
    }

    /// Changes the fleet at once; the answer comes when what must be durable is. While the store refuses, the fleet
    /// gives no order, claim or grant, and the caller gets the store's words.
    pub(crate) fn change<T, F>(&self, change: F) -> impl Future<Output = Result<T, String>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut Fleet, Timestamp) -> T,
    {
        let now = now();
        let (answer, answered) = oneshot::channel();
        // Whoever has gone away hears nothing.
        self.journal.change_then(now, |fleet| change(fleet, now), move |outcome| drop(answer.send(outcome)));
        self.tell();
        async move {
            match answered.await {
                Ok(outcome) => outcome.map_err(|refused| refused.to_string()),
                Err(_) => Err("the store's writer has ended".to_owned()),
            }
        }
    }

    /// Everything that the store holds, for a backup. Waits for the disk.
    pub(crate) fn copy(&self) -> Result<Vec<fleet::Record>, String> {
        self.journal.copy(now()).map_err(|refused| refused.to_string())
    }

    /// What a packet showed. Waits for nothing; the outcome is only counted.
    pub(crate) fn observe(&self, observation: Observation) {
        let (now, metrics) = (now(), Arc::clone(&self.metrics));
        self.journal.change_then(
            now,
            move |fleet| fleet.observe(now, observation),
            move |outcome| match outcome {
                Ok(Ok(_)) => {}
                Ok(Err(ignored)) => metrics.ignored("fleet", ignored.to_string()),
                Err(error) => tracing::error!(%error, "store"),
            },
        );
        self.tell();
    }

    /// A subscription to what happens from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Remembers what a boot shows in URLs for its claim, and returns it.
    pub(crate) fn remember(&self, secret: ClaimSecret) -> String {
        let nonce = boot_nonce(&secret);
        let mut nonces = lock(&self.nonces);
        if nonces.len() >= MAX_NONCES {
            *nonces = self.journal.read(open_claims);
        }
        nonces.insert(nonce.clone(), secret);
        nonce
    }

    /// The claim behind a boot nonce.
    pub(crate) fn claim_of(&self, nonce: &str) -> Option<ClaimSecret> {
        lock(&self.nonces).get(nonce).copied()
    }

    /// Whether a machine's firmware was last heard to be UEFI; `None` where it was not heard.
    pub(crate) fn is_uefi(&self, machine: MachineId) -> Option<bool> {
        self.read(|fleet, _| fleet.machine(machine)?.uefi)
    }

    /// How long silence of a BMC after a power command is no fault.
    pub(crate) fn bmc_rest(&self) -> Duration {
        self.bmc_rest
    }

    /// What stands in the way of all machines, each with its word.
    pub(crate) fn notices(&self) -> Vec<Hint> {
        let store = self.read(|fleet, _| fleet.store_fault().map(str::to_owned));
        let store =
            store.map(|why| Hint::new(HintCode::StoreRefuses, &format!("the store refuses writes: {why}")));
        let others = self.responders();
        let others = (!others.is_empty()).then(|| {
            let others: Vec<String> = others.iter().map(ToString::to_string).collect();
            let text =
                format!("another PXE responder answers on the machines' network: {}", others.join(", "));
            Hint::new(HintCode::SecondResponder, &text)
        });
        store.into_iter().chain(others).collect()
    }

    /// Remembers the board that an unrecorded card said it is on, after a decision for that board.
    pub(crate) fn board_heard(&self, card: Mac, board: Uuid) {
        let mut boards = lock(&self.boards);
        if boards.len() >= MAX_BOARDS {
            boards.clear();
        }
        boards.insert(card, board);
    }

    /// The board that a card said it is on; the fleet decides what that is worth.
    pub(crate) fn board_of(&self, card: Mac) -> Option<Uuid> {
        lock(&self.boards).get(&card).copied()
    }

    /// Lets the fleet's time pass until the task is dropped.
    pub(crate) async fn run(&self) {
        loop {
            let due = self.read(|fleet, now| fleet.poll_timeout().map(|at| at.since(now)));
            let wait = due.unwrap_or(LONGEST_WAIT).clamp(Duration::from_millis(10), LONGEST_WAIT);
            tokio::select! {
                () = tokio::time::sleep(wait) => {
                    let now = now();
                    self.journal.change_then(now, move |fleet| fleet.handle_timeout(now), |_| {});
                    self.tell();
                }
                () = self.changed.notified() => {}
            }
        }
    }

    /// Hands out what happened, and has the timers looked at again.
    fn tell(&self) {
        for event in self.journal.events() {
            log(&event);
            self.audit.event(&event);
            // Nobody listening is no fault.
            let _ = self.events.send(event);
        }
        self.changed.notify_one();
    }
}

/// A panic under the lock is a bug elsewhere; a map stays whole, so the others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The boot nonces of every claim that an open order stands under.
fn open_claims(fleet: &Fleet) -> HashMap<String, ClaimSecret> {
    let orders =
        fleet.machines().filter_map(|machine| fleet.order_of(machine.id)).filter(|order| order.is_open());
    orders.filter_map(|order| order.claim()).map(|claim| (boot_nonce(&claim.secret), claim.secret)).collect()
}

/// What a boot shows in URLs instead of its claim's secret: a digest of it. It opens the rendered config while the claim
/// stands, and neither a report nor a registration ever.
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

fn log(event: &Event) {
    if event.kind.is_alarm() {
        tracing::warn!(machine = %event.name, "{}", event.kind.line());
    } else {
        tracing::info!(machine = %event.name, "{}", event.kind.line());
    }
}
