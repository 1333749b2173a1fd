//! Log lines: one for each transfer, one for each request that got none.

use crate::args::{Log, LogFormat};
use tftp::driver::{Cause, Event};
use tracing::{debug, info, warn};

/// Sends log lines to standard error.
pub(crate) fn start(args: &Log) {
    let lines = tracing_subscriber::fmt()
        .with_max_level(args.log_level)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    match args.log_format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
}

/// Logs one event. A size probe that its client ends is normal, so it is for `debug`.
pub(crate) fn event(event: &Event) {
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
