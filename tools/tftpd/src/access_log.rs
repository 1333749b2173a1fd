//! One JSON line for each transfer with its cause, and for each request that was refused.

use crate::config::ConfigError;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};
use tftp::driver::{Cause, Event};

/// Lines that may wait for a slow disk; more are lost rather than stopping transfers.
const WAITING: usize = 4096;

/// Writes lines on a thread of its own.
pub(crate) struct AccessLog {
    lines: Option<SyncSender<String>>,
    thread: Option<JoinHandle<()>>,
}

impl AccessLog {
    /// Appends to a file, or to standard output for `-`. The file is opened at once, before privileges go.
    pub(crate) fn open(path: &Path) -> Result<Self, ConfigError> {
        let cannot = |source| ConfigError::AccessLog { path: path.to_owned(), source };
        let mut out: Box<dyn Write + Send> = if path == Path::new("-") {
            Box::new(io::stdout())
        } else {
            Box::new(File::options().append(true).create(true).open(path).map_err(cannot)?)
        };
        let (lines, received) = sync_channel::<String>(WAITING);
        let write = move || {
            for line in received {
                if let Err(error) = out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
                    tracing::warn!(%error, "access log");
                }
            }
        };
        let thread = std::thread::Builder::new().name("access-log".into()).spawn(write).map_err(cannot)?;
        Ok(Self { lines: Some(lines), thread: Some(thread) })
    }

    /// Notes an event that ends something. Never blocks.
    pub(crate) fn note(&self, event: &Event) {
        let Some(mut line) = entry(event).map(|entry| entry.to_string()) else { return };
        line.push('\n');
        if let Some(lines) = &self.lines {
            let _ = lines.try_send(line);
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.lines = None; // ends the thread when all is written
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tools read the clock")]
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as f64 / 1000.0
}

fn entry(event: &Event) -> Option<Value> {
    match event {
        Event::Finished { peer, path, cause, octets, blocks, retransmits, duration } => {
            let (code, message) = match cause {
                Cause::Aborted { code, message } => (Some(u16::from(*code)), Some(message.as_str())),
                Cause::Failed(why) => (None, Some(why.as_str())),
                _ => (None, None),
            };
            Some(json!({
                "time": now(), "peer": peer.ip().to_string(), "port": peer.port(), "path": path,
                "cause": word(cause), "octets": octets, "blocks": blocks, "retransmits": retransmits,
                "seconds": duration.as_secs_f64(), "code": code, "message": message,
            }))
        }
        Event::Stored { peer, path, octets, blocks, retransmits, duration } => Some(json!({
            "time": now(), "peer": peer.ip().to_string(), "port": peer.port(), "path": path,
            "cause": "stored", "octets": octets, "blocks": blocks, "retransmits": retransmits,
            "seconds": duration.as_secs_f64(), "code": null, "message": null,
        })),
        Event::Refused { peer, path, code, reason } => Some(json!({
            "time": now(), "peer": peer.ip().to_string(), "port": peer.port(), "path": path,
            "cause": "refused", "code": u16::from(*code), "message": reason,
        })),
        _ => None,
    }
}

/// A cause in one word, also the label of its metric.
pub(crate) const fn word(cause: &Cause) -> &'static str {
    match cause {
        Cause::Complete => "complete",
        Cause::Probe => "probe",
        Cause::Aborted { .. } => "aborted",
        Cause::TimedOut => "timed-out",
        Cause::Replaced => "replaced",
        Cause::Failed(_) => "failed",
        Cause::Shutdown => "shutdown",
    }
}
