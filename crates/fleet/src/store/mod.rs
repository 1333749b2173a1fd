//! Where records become durable: the [`Store`] trait, the [`Keeper`] that lets nothing be answered before it
//! is written, and (feature `redb`) the one file on the deploy host.

#[cfg(feature = "redb")]
mod journal;
mod keeper;
mod memory;
#[cfg(feature = "redb")]
mod redb;

use std::fmt;

#[cfg(feature = "redb")]
pub use journal::Journal;
pub use keeper::{Keeper, NotDurable};
pub use memory::{GrantExists, Tables};
#[cfg(feature = "redb")]
pub use redb::{RedbStore, SCHEMA, StoreError};

use crate::record::Record;

/// Where records become durable. Another backend (etcd for several servers) implements this.
pub trait Store {
    /// What can go wrong.
    type Error: fmt::Display;

    /// Writes `records`, in order; when it returns `Ok` they survive a power cut.
    ///
    /// # Errors
    /// The store's own; then nothing, or a beginning of them, was written. A grant for an order that has
    /// another one is an error.
    fn append(&mut self, records: &[Record]) -> Result<(), Self::Error>;

    /// Everything that was written, ready for [`crate::Fleet::restore`].
    ///
    /// # Errors
    /// The store's own, when something cannot be read.
    fn load(&self) -> Result<Vec<Record>, Self::Error>;

    /// As [`Store::load`], one by one: they need not all be in memory at once.
    ///
    /// # Errors
    /// As [`Store::load`]; some may have been given before.
    fn each(&self, take: &mut dyn FnMut(Record)) -> Result<(), Self::Error> {
        self.load()?.into_iter().for_each(take);
        Ok(())
    }
}
