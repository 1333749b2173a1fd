//! The audit log: one JSON line for each call that changes something, each refused one, and each sign-in, with who, from
//! where, and what came of it; and one for each thing that a named person's act did to a machine.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fleet::{Event, EventKind, Timestamp};
use serde_json::{Value, json};

/// Octets after which the log begins anew; the one before is kept.
const MAX_LOG: u64 = 16 << 20;

/// The log, open for appending.
pub(crate) struct Audit {
    path: PathBuf,
    log: Mutex<(File, u64)>,
}

impl Audit {
    /// Opens `audit.log` in the data folder.
    pub(crate) fn open(folder: &Path) -> Result<Self, String> {
        let path = folder.join("audit.log");
        let log = append_to(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path, log: Mutex::new(log) })
    }

    /// A call: who made it, what it was, and the status of its answer.
    pub(crate) fn call(&self, now: Timestamp, by: &str, call: &str, status: u16) {
        self.write(&json!({ "at": now, "by": by, "call": call, "status": status }));
    }

    /// What a person's act did to a machine; other events are the timeline's alone.
    pub(crate) fn event(&self, event: &Event) {
        let by = match &event.kind {
            EventKind::Added { by } | EventKind::Changed { by, .. } | EventKind::Ordered { by, .. } => by,
            EventKind::Ended { state, reason, .. } if matches!(state.as_str(), "cancelled" | "voided") => {
                reason
            }
            _ => return,
        };
        self.write(&json!({
            "at": event.at, "seq": event.seq, "by": by, "machine": event.name, "did": event.kind.line(),
        }));
    }

    fn write(&self, value: &Value) {
        let line = format!("{value}\n");
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.1 + line.len() as u64 > MAX_LOG
            && let Err(error) = self.begin_anew(&mut log)
        {
            tracing::error!(%error, path = %self.path.display(), "the audit log cannot begin anew and grows on");
        }
        match log.0.write_all(line.as_bytes()) {
            Ok(()) => log.1 += line.len() as u64,
            // Its words go to the other log instead, so that they are somewhere.
            Err(error) => {
                tracing::error!(%error, path = %self.path.display(), line = line.trim_end(), "not in the audit log");
            }
        }
    }

    fn begin_anew(&self, log: &mut (File, u64)) -> std::io::Result<()> {
        std::fs::rename(&self.path, self.path.with_extension("log.1"))?;
        *log = append_to(&self.path)?;
        Ok(())
    }
}

fn append_to(path: &Path) -> std::io::Result<(File, u64)> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_peoples_acts_are_lines() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(folder.path()).unwrap();
        let at = Timestamp::from_millis(7);
        audit.call(at, "uid 0", "POST /v1/cancel", 200);
        let event = |kind| Event { seq: 3, at, machine: None, name: "n1".into(), attempt: 0, kind };
        audit.event(&event(EventKind::Changed { by: "alice".into(), what: "retired\n{}".into() }));
        audit.event(&event(EventKind::StoreRecovered));
        let text = std::fs::read_to_string(folder.path().join("audit.log")).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!((&lines[0]["by"], &lines[0]["status"]), (&json!("uid 0"), &json!(200)));
        assert_eq!((&lines[1]["machine"], &lines[1]["by"]), (&json!("n1"), &json!("alice")));
    }

    #[test]
    fn it_begins_anew_and_keeps_one() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(folder.path()).unwrap();
        audit.log.lock().unwrap().1 = MAX_LOG;
        audit.call(Timestamp::from_millis(7), "a", "POST /", 200);
        assert!(folder.path().join("audit.log.1").exists());
        let again = Audit::open(folder.path()).unwrap();
        assert!(again.log.lock().unwrap().1 > 0, "what is there counts");
    }
}
