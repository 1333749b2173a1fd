//! A store in a folder, laid out as matchbox does: `groups/`, `profiles/`, `ignition/`, `cloud/`, `generic/`.

mod atomic;
mod files;
mod scan;
mod watch;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::watch as channel;

use crate::catalog::{Broken, Catalog};
use crate::compat::Compat;
use crate::path;
use files::{Changes, Files};
pub use watch::Watch;

/// The folders a store has.
pub const FOLDERS: [&str; 5] = ["groups", "profiles", "ignition", "cloud", "generic"];

/// Larger files are not read: no group, profile or template is.
pub const MAX_FILE: u64 = 32 << 20;

/// What went wrong with the store itself; files that do not parse are in [`Catalog::broken`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The data folder is missing or cannot be listed.
    #[error("{path}: {source}; {remedy}", path = path.display(), remedy = remedy(source))]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An id that is empty, too long, or would leave its folder.
    #[error("`{0}` cannot be an id: it must name one file, without `/` and `..`")]
    BadId(String),
    /// No such file.
    #[error("no {kind} named `{id}`", kind = kind.as_str())]
    Missing {
        /// What was asked for.
        kind: Kind,
        /// Its id.
        id: String,
    },
    /// Writing failed; what was there before still is.
    #[error("cannot write {kind} `{id}`: {source}", kind = kind.as_str())]
    Write {
        /// What was to be written.
        kind: Kind,
        /// Its id.
        id: String,
        /// What the system said.
        source: io::Error,
    },
    /// This store takes no writes.
    #[error("this store is read-only")]
    ReadOnly,
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => "let the server's account read the folder",
        _ => "create the folder or correct the data path",
    }
}

/// What a file is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// `groups/ID.json`
    Group,
    /// `profiles/ID.json`
    Profile,
    /// `ignition/ID`
    Ignition,
    /// `cloud/ID`
    Cloud,
    /// `generic/ID`
    Generic,
}

impl Kind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Profile => "profile",
            Self::Ignition => "Ignition template",
            Self::Cloud => "cloud template",
            Self::Generic => "generic template",
        }
    }

    /// Its folder.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Group => "groups",
            Self::Profile => "profiles",
            Self::Ignition => "ignition",
            Self::Cloud => "cloud",
            Self::Generic => "generic",
        }
    }

    /// The path of an id below the data folder.
    ///
    /// # Errors
    /// [`StoreError::BadId`] for an id that is not one file name.
    pub fn path(self, id: &str) -> Result<String, StoreError> {
        if !path::is_confined(id)
            || id.contains('/')
            || atomic::is_temporary(id)
            || id.chars().any(char::is_control)
        {
            return Err(StoreError::BadId(id.into()));
        }
        let ending = if matches!(self, Self::Group | Self::Profile) { ".json" } else { "" };
        Ok(format!("{}/{id}{ending}", self.folder()))
    }
}

/// Where snapshots come from and writes go. [`FileStore`] is one; a store in etcd would be another.
pub trait Store: std::fmt::Debug + Send + Sync {
    /// The current snapshot. Never blocks on I/O.
    fn snapshot(&self) -> Arc<Catalog>;

    /// Counts snapshots; changes when there is a new one.
    fn versions(&self) -> channel::Receiver<u64>;

    /// Writes a file whole or not at all, durably, and publishes the snapshot with it. May block on I/O.
    ///
    /// # Errors
    /// A bad id, or what the system said; then nothing has changed.
    fn write(&self, kind: Kind, id: &str, octets: &[u8]) -> Result<(), StoreError>;

    /// Removes a file and publishes the snapshot without it. May block on I/O.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none.
    fn remove(&self, kind: Kind, id: &str) -> Result<(), StoreError>;
}

/// A catalog that never changes is a store too.
impl Store for Arc<Catalog> {
    fn snapshot(&self) -> Arc<Catalog> {
        self.clone()
    }

    fn versions(&self) -> channel::Receiver<u64> {
        channel::channel(0).1
    }

    fn write(&self, _: Kind, _: &str, _: &[u8]) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }

    fn remove(&self, _: Kind, _: &str) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }
}

impl Catalog {
    /// Reads a data folder once.
    ///
    /// # Errors
    /// The folder is missing. Files that do not parse are kept in [`Catalog::broken`].
    pub fn load(dir: impl AsRef<Path>, compat: Compat) -> Result<Self, StoreError> {
        let mut files = Files::default();
        files.rescan(dir.as_ref(), compat)?;
        Ok(files.catalog(dir.as_ref(), compat))
    }
}

/// A folder and its last good snapshot.
#[derive(Debug)]
pub struct FileStore {
    root: PathBuf,
    compat: Compat,
    files: Mutex<Files>,
    current: RwLock<Arc<Catalog>>,
    versions: channel::Sender<u64>,
}

/// What a reload found.
#[derive(Clone, Debug, Default)]
pub struct Reload {
    /// Files read because they were new or had changed.
    pub read: usize,
    /// Files that are gone.
    pub removed: usize,
    /// Files that do not parse; of each the last good text stays in use, if there was one.
    pub broken: Vec<Arc<Broken>>,
}

impl FileStore {
    /// Reads the folder, and removes what writes cut short have left in it.
    ///
    /// # Errors
    /// The folder is missing or cannot be listed.
    pub fn open(root: impl Into<PathBuf>, compat: Compat) -> Result<Self, StoreError> {
        let root = root.into();
        let mut files = Files::default();
        files.rescan(&root, compat)?;
        // Whoever may not do that leaves them: they are never read.
        files.temporary().iter().for_each(|file| _ = std::fs::remove_file(root.join(file)));
        let catalog = files.catalog(&root, compat);
        Ok(Self {
            root,
            compat,
            files: Mutex::new(files),
            current: RwLock::new(Arc::new(catalog)),
            versions: channel::Sender::new(0),
        })
    }

    /// Reads what has changed since and publishes a new snapshot. Blocks on I/O.
    ///
    /// A group or profile that no longer parses keeps its last good text and is named in the result.
    ///
    /// # Errors
    /// The folder is gone; the old snapshot stays.
    pub fn reload(&self) -> Result<Reload, StoreError> {
        let mut files = self.files();
        let changes = files.rescan(&self.root, self.compat)?;
        Ok(self.publish(&mut files, changes))
    }

    /// As [`Self::reload`], but looks at these files only (paths below the data folder).
    pub(crate) fn reload_files(&self, changed: &BTreeSet<String>) -> Reload {
        let mut files = self.files();
        let changes = files.revisit(&self.root, changed, self.compat);
        self.publish(&mut files, changes)
    }

    /// As [`Self::reload`], but looks only at what profiles name outside the folders of a store.
    pub(crate) fn reload_outside(&self) -> Reload {
        let mut files = self.files();
        let changes = files.revisit_outside(&self.root);
        self.publish(&mut files, changes)
    }

    /// Whether profiles name templates outside the folders of a store.
    pub(crate) fn has_outside(&self) -> bool {
        self.files().has_outside()
    }

    /// The data folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, files: &mut Files, changes: Changes) -> Reload {
        if changes.are_some() {
            let before = self.snapshot();
            let next = Arc::new(files.catalog_after(&self.root, &before, &changes));
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
            self.versions.send_modify(|version| *version += 1);
        }
        changes.reload
    }
}

impl Store for FileStore {
    fn snapshot(&self) -> Arc<Catalog> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn versions(&self) -> channel::Receiver<u64> {
        self.versions.subscribe()
    }

    fn write(&self, kind: Kind, id: &str, octets: &[u8]) -> Result<(), StoreError> {
        let relative = kind.path(id)?;
        let mut files = self.files(); // one writer at a time; readers have their snapshot
        let written = atomic::write(&self.root.join(kind.folder()), &self.root.join(&relative), octets);
        written.map_err(|source| StoreError::Write { kind, id: id.into(), source })?;
        let changes = files.revisit(&self.root, &BTreeSet::from([relative]), self.compat);
        self.publish(&mut files, changes);
        Ok(())
    }

    fn remove(&self, kind: Kind, id: &str) -> Result<(), StoreError> {
        let relative = kind.path(id)?;
        let mut files = self.files();
        atomic::remove(&self.root.join(kind.folder()), &self.root.join(&relative)).map_err(|source| {
            match source.kind() {
                io::ErrorKind::NotFound => StoreError::Missing { kind, id: id.into() },
                _ => StoreError::Write { kind, id: id.into(), source },
            }
        })?;
        let changes = files.revisit(&self.root, &BTreeSet::from([relative]), self.compat);
        self.publish(&mut files, changes);
        Ok(())
    }
}
