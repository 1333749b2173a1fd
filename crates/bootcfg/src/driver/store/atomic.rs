//! Writes that a reader, a crash or a power cut sees whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

const PREFIX: &str = ".bootcfg-";
const SUFFIX: &str = ".tmp";

/// Whether a file name is one of a write under way or cut short.
pub(super) fn is_temporary(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

/// Puts `octets` at `path` in `folder`, which is made if missing: a new file, synced, renamed over the old one.
pub(super) fn write(folder: &Path, path: &Path, octets: &[u8]) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    fs::create_dir_all(folder)?;
    let name = format!("{PREFIX}{}-{}{SUFFIX}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let temporary = folder.join(name);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&temporary)?;
        file.write_all(octets)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync(folder)
}

/// Removes a file for good.
pub(super) fn remove(folder: &Path, path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    sync(folder)
}

/// Makes renames and removals in a folder durable.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
