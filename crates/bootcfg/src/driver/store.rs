//! A store in a folder, laid out as matchbox does: `groups/`, `profiles/`, `ignition/`, `cloud/`, `generic/`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;

use crate::catalog::{Broken, Catalog, Entry};
use crate::compat::Compat;
use crate::template::TemplateFile;

/// The folders a store has.
pub const FOLDERS: [&str; 5] = ["groups", "profiles", "ignition", "cloud", "generic"];

/// Larger files are not read: no group, profile or template is.
pub const MAX_FILE: u64 = 32 << 20;

/// Folders nested deeper than this are not entered.
const MAX_NESTING: u32 = 16;

/// What went wrong with the folder itself; files that do not parse are in [`Catalog::broken`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The data folder is missing or cannot be listed.
    #[error("{path}: {source}; create the folder or correct the data path", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Where snapshots come from. [`FileStore`] is one; a store in a database would be another.
pub trait Store: std::fmt::Debug + Send + Sync {
    /// The current snapshot. Never blocks on I/O.
    fn snapshot(&self) -> Arc<Catalog>;
}

/// A catalog that never changes is a store too.
impl Store for Arc<Catalog> {
    fn snapshot(&self) -> Arc<Catalog> {
        self.clone()
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
    /// Reads the folder.
    ///
    /// # Errors
    /// The folder is missing or cannot be listed.
    pub fn open(root: impl Into<PathBuf>, compat: Compat) -> Result<Self, StoreError> {
        let root = root.into();
        let mut files = Files::default();
        files.rescan(&root, compat)?;
        let catalog = files.catalog(&root, compat);
        Ok(Self { root, compat, files: Mutex::new(files), current: RwLock::new(Arc::new(catalog)) })
    }

    /// Reads what has changed since and publishes a new snapshot. Blocks on I/O.
    ///
    /// A group or profile that no longer parses keeps its last good text and is named in the result.
    ///
    /// # Errors
    /// The folder is gone; the old snapshot stays.
    pub fn reload(&self) -> Result<Reload, StoreError> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let reload = files.rescan(&self.root, self.compat)?;
        if reload.read + reload.removed > 0 {
            let catalog = Arc::new(files.catalog(&self.root, self.compat));
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = catalog;
        }
        Ok(reload)
    }

    /// The data folder.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Store for FileStore {
    fn snapshot(&self) -> Arc<Catalog> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// When and what a file was, to see whether it has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stamp {
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

#[derive(Debug)]
struct File {
    stamp: Stamp,
    entry: Option<Entry>,
    broken: Option<Arc<Broken>>, // the text now on disk, where `entry` is an older good one
    round: u64,
}

/// Every file of the folder, decoded, with what tells a change.
#[derive(Debug, Default)]
struct Files {
    files: BTreeMap<String, File>,
    round: u64,
}

impl Files {
    fn rescan(&mut self, root: &Path, compat: Compat) -> Result<Reload, StoreError> {
        fs::read_dir(root).map_err(|source| StoreError::Folder { path: root.into(), source })?;
        self.round += 1;
        let mut reload = Reload::default();
        for folder in FOLDERS {
            self.scan_folder(root, folder, compat, &mut reload, 0);
        }
        let (round, before) = (self.round, self.files.len());
        self.files.retain(|_, file| file.round == round);
        reload.removed = before - self.files.len();
        reload.broken = self.files.values().filter_map(File::fault).collect();
        Ok(reload)
    }

    fn scan_folder(&mut self, root: &Path, folder: &str, compat: Compat, reload: &mut Reload, nesting: u32) {
        let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let relative = format!("{folder}/{name}");
            // Links are followed, as matchbox does.
            let Ok(metadata) = fs::metadata(entry.path()) else { continue };
            if metadata.is_dir() {
                if folder != "groups" && nesting < MAX_NESTING {
                    self.scan_folder(root, &relative, compat, reload, nesting + 1);
                }
            } else if metadata.is_file() && metadata.len() <= MAX_FILE {
                self.visit(root, relative, Stamp::of(&metadata), compat, reload);
            }
        }
    }

    fn visit(&mut self, root: &Path, relative: String, stamp: Stamp, compat: Compat, reload: &mut Reload) {
        let round = self.round;
        if let Some(file) = self.files.get_mut(&relative).filter(|file| file.stamp == stamp) {
            file.round = round;
            return;
        }
        let Ok(text) = fs::read(root.join(&relative)) else { return };
        reload.read += 1;
        let entry = Entry::parse(&relative, &Bytes::from(text), compat);
        let old = self.files.remove(&relative).and_then(|file| file.entry);
        let file = match (entry, old) {
            (Some(Entry::Broken(broken)), Some(good)) if !matches!(good, Entry::Broken(_)) => {
                File { stamp, entry: Some(good), broken: Some(broken), round }
            }
            (entry, _) => File { stamp, entry, broken: None, round },
        };
        self.files.insert(relative, file);
    }

    fn catalog(&self, root: &Path, compat: Compat) -> Catalog {
        let mut catalog = Catalog::from_entries(
            compat,
            self.files.values().filter_map(|file| file.entry.clone()).collect(),
        );
        for name in catalog.missing_templates() {
            let path = root.join(&name);
            if fs::metadata(&path).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MAX_FILE)
                && let Ok(text) = fs::read(path)
            {
                catalog.add_template(Arc::new(TemplateFile::new(&name, text.into())));
            }
        }
        catalog
    }
}

impl File {
    fn fault(&self) -> Option<Arc<Broken>> {
        match (&self.broken, &self.entry) {
            (Some(broken), _) | (None, Some(Entry::Broken(broken))) => Some(broken.clone()),
            _ => None,
        }
    }
}
