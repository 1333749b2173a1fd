//! Log lines: one for each transfer, one for each request that got none.

use crate::writer::Writer;
use tftp::driver::{Cause, Event};
use tracing::{debug, info, warn};

/// Logs events on a thread of its own.
pub(crate) struct Lines(Writer<Event>);

impl Lines {
    pub(crate) fn start() -> std::io::Result<Self> {
        Writer::start("log", |event| self::event(&event)).map(Self)
    }

    /// Never blocks.
    pub(crate) fn note(&self, event: Event) {
        self.0.put(event);
    }
}

/// Logs one event. A size probe that its client ends is normal, so it is for `debug`.
fn event(event: &Event) {
    match event {
        Event::Started { peer, path, size } => debug!(%peer, path, size, "started"),
        Event::Finished { peer, path, cause, octets, blocks, retransmits, duration } => {
            let seconds = duration.as_secs_f64();
            match cause {
                Cause::Complete => info!(%peer, path, octets, blocks, retransmits, seconds, "sent"),
                Cause::Probe => debug!(%peer, path, "told the size"),
                Cause::Replaced => info!(%peer, path, octets, retransmits, seconds, "client started again"),
                Cause::Aborted { code, message } => {
                    info!(%peer, path, octets, retransmits, seconds, %code, message, "client ended it");
                }
                Cause::TimedOut => {
                    warn!(%peer, path, octets, retransmits, seconds, "client stopped answering")
                }
                Cause::Failed(why) => warn!(%peer, path, octets, retransmits, seconds, why, "failed"),
                Cause::Shutdown => warn!(%peer, path, octets, retransmits, seconds, "ended by shutdown"),
            }
        }
        Event::Stored { peer, path, octets, blocks, retransmits, duration } => {
            let seconds = duration.as_secs_f64();
            info!(%peer, path, octets, blocks, retransmits, seconds, "stored");
        }
        Event::Refused { peer, path, code, reason } => warn!(%peer, path, %code, reason, "refused"),
        Event::Ignored { peer, reason } => debug!(%peer, %reason, "not answered"),
        other => debug!(?other, "event"),
    }
}
