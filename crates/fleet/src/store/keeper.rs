//! The engine and its store as one: what a call changed is durable before its answer is given.

use crate::config::Config;
use crate::fleet::Fleet;
use crate::record::Record;
use crate::sabotage::Rule;
use crate::store::Store;
use crate::time::Timestamp;
use crate::timeline::Event;

/// Records that may wait for the next urgent write, at most.
const LAZY: usize = 512;

/// The store refused: the answer must not be given. What was changed is kept and written with the next try;
/// until then the engine gives nothing new.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the store refuses writes: {0}")]
pub struct NotDurable(pub String);

/// A [`Fleet`] and its [`Store`]. Blocks while the store writes: async callers use it on a blocking thread.
#[derive(Debug)]
pub struct Keeper<S> {
    fleet: Fleet,
    store: S,
    pending: Vec<Record>,
}

impl<S: Store> Keeper<S> {
    /// The fleet that the store holds.
    ///
    /// # Errors
    /// The store's, when it cannot be read.
    pub fn open(config: Config, store: S) -> Result<Self, S::Error> {
        let fleet = Fleet::restore(config, store.load()?);
        Ok(Self { fleet, store, pending: Vec::new() })
    }

    /// The engine, to read.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The store, to read.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Gives the engine and the store back; what was not urgent and not yet written is lost.
    pub fn into_parts(self) -> (Fleet, S) {
        (self.fleet, self.store)
    }

    /// Lets `act` change the engine and returns its answer once what it changed is durable. Answers that
    /// changed nothing wait too, while something urgent is not yet written: they may rest on it.
    ///
    /// # Errors
    /// [`NotDurable`]: the answer is withheld.
    pub fn change<T>(&mut self, now: Timestamp, act: impl FnOnce(&mut Fleet) -> T) -> Result<T, NotDurable> {
        let answer = act(&mut self.fleet);
        self.pending.extend(std::iter::from_fn(|| self.fleet.poll_record()));
        if self.pending.len() > LAZY || self.pending.iter().any(Record::is_urgent) {
            let written = self.write(now);
            if self.fleet.holds(Rule::AnswerAfterDurable) {
                written?;
            }
        }
        Ok(answer)
    }

    /// Writes what waits. Drivers call it every second or so, and before they end; while the store refuses,
    /// this is what notices that it does not any more.
    ///
    /// # Errors
    /// [`NotDurable`].
    pub fn flush(&mut self, now: Timestamp) -> Result<(), NotDurable> {
        self.pending.extend(std::iter::from_fn(|| self.fleet.poll_record()));
        if self.pending.is_empty() { Ok(()) } else { self.write(now) }
    }

    fn write(&mut self, now: Timestamp) -> Result<(), NotDurable> {
        match self.store.append(&self.pending) {
            Ok(()) => {
                self.pending.clear();
                self.fleet.store_recovered(now);
                Ok(())
            }
            Err(error) => {
                let error = error.to_string();
                self.fleet.store_failed(now, &error);
                // Its urgent records stay; what only tells a story is cut to a bound.
                if self.pending.len() > 4 * LAZY {
                    self.pending.retain(Record::is_urgent);
                }
                Err(NotDurable(error))
            }
        }
    }

    /// The next thing that happened, for pages and watchers.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.fleet.poll_event()
    }

    /// When [`Keeper::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.fleet.poll_timeout()
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// [`NotDurable`].
    pub fn handle_timeout(&mut self, now: Timestamp) -> Result<(), NotDurable> {
        self.change(now, |fleet| fleet.handle_timeout(now))
    }
}

#[cfg(test)]
impl<S: Store> Keeper<S> {
    /// Takes a rule away.
    pub(crate) fn sabotage(&mut self, removed: Option<Rule>) {
        self.fleet.removed = removed;
    }

    /// As [`Keeper::open`], without a rule.
    pub(crate) fn open_sabotaged(config: Config, store: S, removed: Option<Rule>) -> Self {
        let records = store.load().unwrap_or_else(|error| panic!("{error}"));
        let fleet = Fleet::restore_without(config, records, removed);
        Self { fleet, store, pending: Vec::new() }
    }

    /// The store, to make it fail.
    pub(crate) fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }
}
