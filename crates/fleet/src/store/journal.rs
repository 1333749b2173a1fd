//! The engine behind a lock and its store behind a thread: answers wait for one flush of the disk together,
//! so that a thousand machines booting at once do not mean a thousand flushes.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::config::Config;
use crate::fleet::Fleet;
use crate::record::Record;
use crate::restore::Restoring;
use crate::store::{NotDurable, Store};
use crate::time::Timestamp;
use crate::timeline::Event;

/// Records that may wait for the next urgent write, at most.
const LAZY: usize = 512;
/// How long they may wait.
const LAZY_DELAY: Duration = Duration::from_millis(500);

/// Told when a batch is durable, or why it is not.
type Told = Box<dyn FnOnce(Result<(), NotDurable>) + Send>;

/// Given a copy of what the store holds.
type Copied = Box<dyn FnOnce(Result<Vec<Record>, NotDurable>) + Send>;

/// What the thread is handed.
struct Batch {
    records: Vec<Record>,
    /// `None`: nobody waits, it may be written later.
    told: Option<Told>,
    /// Wants all that the store holds, this batch included.
    copy: Option<Copied>,
    now: Timestamp,
}

/// A [`Fleet`] that many callers share, and the thread that writes what it changes.
#[derive(Debug)]
pub struct Journal {
    fleet: Arc<Mutex<Fleet>>,
    batches: Option<Sender<Batch>>,
    writer: Option<JoinHandle<()>>,
}

fn lock(fleet: &Mutex<Fleet>) -> MutexGuard<'_, Fleet> {
    // A panic elsewhere leaves the engine as it was between two calls: its calls do not panic half way.
    fleet.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Journal {
    /// Starts the thread over the fleet that the store holds.
    ///
    /// # Errors
    /// The store's, when it cannot be read.
    pub fn start<S: Store + Send + 'static>(config: Config, store: S) -> Result<Self, S::Error> {
        let mut restoring = Restoring::begin(Fleet::new(config));
        store.each(&mut |record| restoring.take(record))?;
        let fleet = Arc::new(Mutex::new(restoring.end()));
        let (batches, inbox) = mpsc::channel();
        let shared = Arc::clone(&fleet);
        let writer = std::thread::spawn(move || write(store, &shared, &inbox));
        Ok(Self { fleet, batches: Some(batches), writer: Some(writer) })
    }

    /// Reads the engine.
    pub fn read<T>(&self, look: impl FnOnce(&Fleet) -> T) -> T {
        look(&lock(&self.fleet))
    }

    /// Lets `act` change the engine and hands its answer to `then` once it is durable: at once when nothing
    /// urgent was changed and nothing urgent is being written, else from the writing thread.
    pub fn change_then<T: Send + 'static>(
        &self,
        now: Timestamp,
        act: impl FnOnce(&mut Fleet) -> T,
        then: impl FnOnce(Result<T, NotDurable>) + Send + 'static,
    ) {
        let mut fleet = lock(&self.fleet);
        let answer = act(&mut fleet);
        let records: Vec<_> = std::iter::from_fn(|| fleet.poll_record()).collect();
        let urgent = records.iter().any(Record::is_urgent);
        if urgent || fleet.unwritten > 0 || fleet.degraded.is_some() {
            fleet.unwritten += 1;
            let told: Told = Box::new(move |durable| then(durable.map(|()| answer)));
            self.send(Batch { records, told: Some(told), copy: None, now }); // under the lock: batches keep the engine's order
        } else {
            if !records.is_empty() {
                self.send(Batch { records, told: None, copy: None, now });
            }
            drop(fleet);
            then(Ok(answer));
        }
    }

    /// As [`Journal::change_then`], waiting for it: for callers that may block.
    ///
    /// # Errors
    /// [`NotDurable`]: the answer is withheld.
    pub fn change<T: Send + 'static>(
        &self,
        now: Timestamp,
        act: impl FnOnce(&mut Fleet) -> T,
    ) -> Result<T, NotDurable> {
        let (answered, answer) = mpsc::channel();
        self.change_then(now, act, move |result| drop(answered.send(result)));
        answer.recv().unwrap_or_else(|_| Err(NotDurable("the writer has ended".into())))
    }

    /// Everything that the store holds, for a backup; what waits is written first. Blocks for the disk.
    ///
    /// # Errors
    /// [`NotDurable`]: the store cannot be written or read.
    pub fn copy(&self, now: Timestamp) -> Result<Vec<Record>, NotDurable> {
        let (answered, answer) = mpsc::channel();
        let copy: Copied = Box::new(move |records| drop(answered.send(records)));
        self.send(Batch { records: Vec::new(), told: None, copy: Some(copy), now });
        answer.recv().unwrap_or_else(|_| Err(NotDurable("the writer has ended".into())))
    }

    /// What happened since the last call, in sequence.
    pub fn events(&self) -> Vec<Event> {
        let mut fleet = lock(&self.fleet);
        std::iter::from_fn(|| fleet.poll_event()).collect()
    }

    /// Writes what waits and ends the thread. Dropping does the same.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.batches = None;
        if let Some(writer) = self.writer.take() {
            // A panic of the writer has been told by its own hook; there is nothing left to write then.
            let _ = writer.join();
        }
    }

    fn send(&self, batch: Batch) {
        if let Some(Err(mpsc::SendError(batch))) = self.batches.as_ref().map(|batches| batches.send(batch)) {
            batch.told.into_iter().for_each(|told| told(Err(NotDurable("the writer has ended".into()))));
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.end();
    }
}

/// The thread: everything that has come in goes into one write.
fn write<S: Store>(mut store: S, fleet: &Mutex<Fleet>, inbox: &Receiver<Batch>) {
    let mut pending: Vec<Record> = Vec::new();
    let mut waiting: VecDeque<Told> = VecDeque::new();
    let mut copies: Vec<Copied> = Vec::new();
    let mut now = Timestamp::default();
    loop {
        let first = if pending.is_empty() {
            inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            inbox.recv_timeout(LAZY_DELAY)
        };
        let ended = matches!(first, Err(RecvTimeoutError::Disconnected));
        let late = matches!(first, Err(RecvTimeoutError::Timeout));
        for batch in first.into_iter().chain(inbox.try_iter()) {
            pending.extend(batch.records);
            waiting.extend(batch.told);
            copies.extend(batch.copy);
            now = batch.now;
        }
        if !(ended || late || !waiting.is_empty() || !copies.is_empty() || pending.len() > LAZY) {
            continue;
        }
        let written = if pending.is_empty() {
            Ok(())
        } else {
            store.append(&pending).map_err(|error| NotDurable(error.to_string()))
        };
        let mut fleet = lock(fleet);
        fleet.unwritten = fleet.unwritten.saturating_sub(waiting.len());
        match &written {
            Ok(()) => {
                pending.clear();
                fleet.store_recovered(now);
            }
            Err(NotDurable(why)) => {
                fleet.store_failed(now, why);
                if pending.len() > 4 * LAZY {
                    pending.retain(Record::is_urgent);
                }
            }
        }
        drop(fleet);
        waiting.drain(..).for_each(|told| told(written.clone()));
        for copied in copies.drain(..) {
            let load = || store.load().map_err(|error| NotDurable(error.to_string()));
            copied(written.clone().and_then(|()| load()));
        }
        if ended {
            return;
        }
    }
}
