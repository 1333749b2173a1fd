//! One JSON line for each transfer with its cause, and for each request that was refused.

use crate::config::ConfigError;
use crate::writer::Writer;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use tftp::driver::{Cause, Event};

/// Where the lines go.
pub(crate) type Out = Box<dyn Write + Send>;

/// A file to append to, or standard output for `-`. It is opened at once, before privileges go.
pub(crate) fn open(path: &Path) -> Result<Out, ConfigError> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdout()));
    }
    let file = File::options().append(true).create(true).open(path);
    let file = file.map_err(|source| ConfigError::AccessLog { path: path.to_owned(), source })?;
    Ok(Box::new(file))
}

/// Writes lines on a thread of its own.
pub(crate) struct AccessLog(Writer<String>);

impl AccessLog {
    /// Starts its thread, which must come after privileges have gone: capabilities are a thread's own.
    pub(crate) fn start(mut out: Out) -> io::Result<Self> {
        let write = move |line: String| {
            if let Err(error) = out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
                tracing::warn!(%error, "access log");
            }
        };
        Writer::start("access-log", write).map(Self)
    }

    /// Notes an event that ends something. Never blocks.
    pub(crate) fn note(&self, event: &Event) {
        let Some(mut line) = entry(event).map(|entry| entry.to_string()) else { return };
        line.push('\n');
        self.0.put(line);
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
