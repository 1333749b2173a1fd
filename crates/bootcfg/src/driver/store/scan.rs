//! Lists the folders of a store and reads what is new in them, with every processor there is.

use std::fs::{self, File};
use std::io::{self, Read};
use std::num::NonZero;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{Mode, OFlags};

use super::{MAX_FILE, atomic};
use crate::catalog::{Broken, Entry};
use crate::compat::Compat;
use crate::template::TemplateFile;

/// Folders nested deeper than this are not entered.
const MAX_NESTING: u32 = 16;
/// Fewer files than this are not worth a thread.
const SHARE: usize = 512;

/// When and what a file was, to see whether it has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// What a look at a file found.
#[derive(Debug)]
pub(super) enum Found {
    /// No file.
    Nothing,
    /// The one that is known.
    Same,
    /// Another text; no entry if its name says that it is neither group, profile nor template.
    New(Stamp, Option<Entry>),
}

/// What is in the folders of a store, by paths below the root.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// What may be a group, profile or template.
    pub(super) files: Vec<String>,
    /// What writes under way, or cut short, have left.
    pub(super) temporary: Vec<String>,
}

/// Lists a folder and the folders in it. Links are followed, as matchbox does.
pub(super) fn list(listing: &mut Listing, root: &Path, folder: &str) {
    list_into(listing, root, folder, 0);
}

fn list_into(listing: &mut Listing, root: &Path, folder: &str, nesting: u32) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
    for entry in entries.flatten() {
        let (Ok(name), Ok(kind)) = (entry.file_name().into_string(), entry.file_type()) else { continue };
        let relative = format!("{folder}/{name}");
        if atomic::is_temporary(&name) {
            listing.temporary.push(relative);
            continue;
        }
        let is_folder = kind.is_dir()
            || (kind.is_symlink() && fs::metadata(entry.path()).is_ok_and(|link| link.is_dir()));
        if !is_folder {
            listing.files.push(relative);
        } else if folder != "groups" && nesting < MAX_NESTING {
            list_into(listing, root, &relative, nesting + 1);
        }
    }
}

/// Looks at many files; `known` has the stamps of those read before.
pub(super) fn look_at_all(
    root: &Path,
    files: &[String],
    known: &(impl Fn(&str) -> Option<Stamp> + Sync),
    compat: Compat,
) -> Vec<Found> {
    let look = |files: &[String]| -> Vec<Found> {
        files.iter().map(|file| look_at(root, file, known(file), compat)).collect()
    };
    let threads = || std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = if files.len() <= SHARE { SHARE } else { SHARE.max(files.len().div_ceil(threads())) };
    let mut shares = files.chunks(share);
    let first = shares.next().unwrap_or_default();
    std::thread::scope(|scope| {
        let others: Vec<_> = shares.map(|share| (share, scope.spawn(move || look(share)))).collect();
        let mut found = look(first);
        for (share, thread) in others {
            found.extend(thread.join().unwrap_or_else(|_| look(share)));
        }
        found
    })
}

/// Looks at one file. One that is there but cannot be read is a broken one: it must not look like none.
pub(super) fn look_at(root: &Path, file: &str, known: Option<Stamp>, compat: Compat) -> Found {
    let path = root.join(file);
    if let Some(known) = known
        && fs::metadata(&path).is_ok_and(|metadata| Stamp::of(&metadata) == known)
    {
        return Found::Same;
    }
    match read(&path) {
        Ok(Some((stamp, text))) => Found::New(stamp, Entry::parse(file, &text, compat)),
        Ok(None) => Found::Nothing,
        Err(Unread { error, .. }) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
        Err(Unread { stamp, error }) => {
            let message = match error.kind() {
                io::ErrorKind::PermissionDenied => "the server may not read this file: check its permissions",
                io::ErrorKind::FileTooLarge => "larger than 32 MiB, which is no group, profile or template",
                _ => "the file cannot be read",
            };
            tracing::debug!(file, %error, "cannot be read");
            let is_json = matches!(Entry::parse(file, &Bytes::new(), compat), Some(Entry::Broken(_)));
            let broken = is_json.then(|| Entry::Broken(Arc::new(Broken::unreadable(file, message))));
            Found::New(stamp, broken)
        }
    }
}

/// The stamp of a regular file.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|metadata| Stamp::of(&metadata))
}

/// A file read as a template, whatever its place says.
pub(super) fn template(root: &Path, file: &str) -> Option<(Stamp, TemplateFile)> {
    let (stamp, text) = read(&root.join(file)).ok()??;
    Some((stamp, TemplateFile::new(file, text)))
}

struct Unread {
    stamp: Stamp,
    error: io::Error,
}

/// A regular file's text and stamp, with as few calls to the system as there can be; `None` for anything else.
fn read(path: &Path) -> Result<Option<(Stamp, Bytes)>, Unread> {
    // Not blocking on a FIFO that somebody left there; regular files do not care.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let unread = |error: io::Error| {
        let stamp = fs::metadata(path).map(|metadata| Stamp::of(&metadata));
        Unread {
            stamp: stamp.unwrap_or(Stamp { inode: 0, size: 0, modified: (0, 0), changed: (0, 0) }),
            error,
        }
    };
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| unread(error.into()))?;
    let mut file = File::from(file);
    let metadata = file.metadata().map_err(unread)?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let stamp = Stamp::of(&metadata);
    if metadata.len() > MAX_FILE {
        return Err(Unread { stamp, error: io::ErrorKind::FileTooLarge.into() });
    }
    let mut text = vec![0; usize::try_from(metadata.len()).unwrap_or_default()];
    let mut length = 0;
    // A file that grows meanwhile is told by its next event.
    while let Some(rest) = text.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Unread { stamp, error }),
        }
    }
    text.truncate(length);
    Ok(Some((stamp, text.into())))
}
