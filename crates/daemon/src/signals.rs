//! What systemd and people tell a running daemon, and what it tells systemd.

use tokio::signal::unix::{SignalKind, signal};

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGTERM or SIGINT: drain and end; a second one ends at once.
    Stop,
}

/// The signals of this process, from [`Signals::listen`] on.
#[derive(Debug)]
pub struct Signals {
    hangup: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Takes SIGHUP, SIGTERM and SIGINT from their defaults. Call it inside the runtime, before [`ready`].
    ///
    /// # Errors
    /// The system refused a handler.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one. Cancel safe.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.hangup.recv() => Signal::Reload,
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
        }
    }

    /// Calls `reload` for each SIGHUP, returns at SIGTERM or SIGINT and has told systemd by then.
    pub async fn until_stop<F: Future<Output = ()>>(&mut self, mut reload: impl FnMut() -> F) {
        while self.next().await == Signal::Reload {
            reload().await;
        }
        tell(sd_notify::NotifyState::Stopping);
    }
}

/// Tells systemd that every socket is served. Does nothing where there is no systemd.
pub fn ready() {
    tell(sd_notify::NotifyState::Ready);
}

fn tell(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!("telling systemd: {error}");
    }
}
