//! Lines go out on a thread of their own: whoever reads them may be slow, stopped or a full disk, and that
//! must stop no transfer and no shutdown.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What may wait for a slow reader; more is lost rather than stopping transfers.
const WAITING: usize = 4096;
/// How long the end of the process waits for a slow reader.
const PATIENCE: Duration = Duration::from_secs(1);

/// Hands things over to a thread.
pub(crate) struct Writer<T> {
    things: Option<SyncSender<T>>,
    /// Closed when all is written.
    done: Mutex<Receiver<()>>,
}

impl<T: Send + 'static> Writer<T> {
    /// Starts the thread, which calls `write` for each thing.
    pub(crate) fn start(name: &str, mut write: impl FnMut(T) + Send + 'static) -> io::Result<Self> {
        let (things, received) = sync_channel::<T>(WAITING);
        let (end, done) = channel();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            received.into_iter().for_each(&mut write);
            drop(end);
        })?;
        Ok(Self { things: Some(things), done: Mutex::new(done) })
    }

    /// Never blocks.
    pub(crate) fn put(&self, thing: T) {
        if let Some(things) = &self.things {
            let _ = things.try_send(thing);
        }
    }
}

impl<T> Drop for Writer<T> {
    fn drop(&mut self) {
        self.things = None; // ends the thread when all is written
        let done = self.done.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = done.recv_timeout(PATIENCE); // longer, and its thread goes with the process
    }
}
