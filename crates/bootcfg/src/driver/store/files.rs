//! The files of a data folder, decoded, with what tells that one has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::{FOLDERS, MAX_FILE, Reload, StoreError, atomic};
use crate::catalog::{Broken, Catalog, Entry};
use crate::compat::Compat;
use crate::template::TemplateFile;

/// Folders nested deeper than this are not entered.
const MAX_NESTING: u32 = 16;

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
pub(super) struct Files {
    files: BTreeMap<String, File>,
    round: u64,
}

impl Files {
    /// Looks at every file.
    pub(super) fn rescan(&mut self, root: &Path, compat: Compat) -> Result<Reload, StoreError> {
        fs::read_dir(root).map_err(|source| StoreError::Folder { path: root.into(), source })?;
        self.round += 1;
        let mut reload = Reload::default();
        for folder in FOLDERS {
            self.scan_folder(root, folder, compat, &mut reload, 0);
        }
        let (round, before) = (self.round, self.files.len());
        self.files.retain(|_, file| file.round == round);
        reload.removed = before - self.files.len();
        reload.broken = self.faults();
        Ok(reload)
    }

    /// Looks at these files only, by their paths below the root.
    pub(super) fn revisit(&mut self, root: &Path, changed: &BTreeSet<String>, compat: Compat) -> Reload {
        let mut reload = Reload::default();
        for relative in changed {
            match fs::metadata(root.join(relative)) {
                Ok(metadata) if metadata.is_file() && metadata.len() <= MAX_FILE => {
                    self.visit(root, relative.clone(), Stamp::of(&metadata), compat, &mut reload);
                }
                _ => reload.removed += usize::from(self.files.remove(relative).is_some()),
            }
        }
        reload.broken = self.faults();
        reload
    }

    fn faults(&self) -> Vec<Arc<Broken>> {
        self.files.values().filter_map(File::fault).collect()
    }

    fn scan_folder(&mut self, root: &Path, folder: &str, compat: Compat, reload: &mut Reload, nesting: u32) {
        let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            if atomic::is_temporary(&name) {
                continue;
            }
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

    /// A snapshot of what is known.
    pub(super) fn catalog(&self, root: &Path, compat: Compat) -> Catalog {
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
