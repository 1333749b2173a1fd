//! A backup: every record as a line of JSON, so that a person can read it and an older one can be told from a
//! torn one. Restoring voids every open order: what happened since the backup is not known.

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::fleet::Fleet;
use crate::record::Record;
use crate::time::Timestamp;

/// The form that this version writes and reads.
pub const FORMAT: u64 = 1;

/// Longest line read, in octets: a record is far smaller.
const MAX_LINE: usize = 1 << 20;

#[derive(Debug, Deserialize, Serialize)]
struct Head {
    kpc_backup: u64,
    at: Timestamp,
    records: usize,
}

/// Why a backup cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// It does not begin as a backup does.
    #[error("line 1: not a kpc backup")]
    NotABackup,
    /// Another version wrote it.
    #[error(
        "line 1: backup form {0}, this version reads {FORMAT}: restore it with the version that wrote it"
    )]
    Format(u64),
    /// A line is no record.
    #[error("line {line}: {source}")]
    Line {
        /// Which, from one.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// A line is longer than any record.
    #[error("line {0}: longer than any record")]
    TooLong(usize),
    /// It is cut short, or something was added.
    #[error("holds {found} records, its head says {said}: the file is not whole")]
    NotWhole {
        /// What it says.
        said: usize,
        /// What it has.
        found: usize,
    },
}

/// The text of a backup of what a store holds ([`crate::store::Store::load`]). It holds claims: keep it as
/// private as the store itself.
///
/// # Errors
/// When a record cannot be written as JSON.
pub fn write(records: &[Record], now: Timestamp) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string(&Head { kpc_backup: FORMAT, at: now, records: records.len() })?;
    for record in records {
        text.push('\n');
        text.push_str(&serde_json::to_string(record)?);
    }
    text.push('\n');
    Ok(text)
}

/// Reads a backup.
///
/// # Errors
/// [`BackupError`], with the line; a backup is taken whole or not at all.
pub fn read(text: &str) -> Result<Vec<Record>, BackupError> {
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    let head = lines
        .next()
        .and_then(|(_, line)| serde_json::from_str::<Head>(line).ok())
        .ok_or(BackupError::NotABackup)?;
    if head.kpc_backup != FORMAT {
        return Err(BackupError::Format(head.kpc_backup));
    }
    let mut records = Vec::new();
    for (line, text) in lines.filter(|(_, text)| !text.is_empty()) {
        if text.len() > MAX_LINE {
            return Err(BackupError::TooLong(line));
        }
        records.push(serde_json::from_str(text).map_err(|source| BackupError::Line { line, source })?);
    }
    if records.len() == head.records {
        Ok(records)
    } else {
        Err(BackupError::NotWhole { said: head.records, found: records.len() })
    }
}

/// The records of a backup as they go into a new store: every open order voided, every job that had not ended
/// ended, and the event that says so.
pub fn restored(records: Vec<Record>, now: Timestamp, by: &str) -> Vec<Record> {
    let mut fleet = Fleet::restore(Config::default(), records.iter().cloned());
    while fleet.poll_record().is_some() {}
    fleet.void_orders(now, by);
    records.into_iter().chain(std::iter::from_fn(|| fleet.poll_record())).collect()
}
