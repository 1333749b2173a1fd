//! The files of a data folder, decoded, with what tells that one has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::scan::{self, Found, Listing, Stamp};
use super::{FOLDERS, Reload, StoreError};
use crate::catalog::{Broken, Catalog, Entry};
use crate::compat::Compat;

#[derive(Debug)]
struct File {
    stamp: Stamp,
    entry: Option<Entry>,
    broken: Option<Arc<Broken>>, // the text now on disk, where `entry` is an older good one
}

/// Every file of the folder, decoded, with what tells a change.
#[derive(Debug, Default)]
pub(super) struct Files {
    files: BTreeMap<String, File>,
    broken: BTreeSet<String>,
    temporary: Vec<String>,
    outside: BTreeMap<String, Option<Stamp>>, // what profiles name outside the template folders, there or not
}

/// What a look at the folder found.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) reload: Reload,
    files: BTreeSet<String>,
    outside: bool,
}

impl Changes {
    /// Whether there is anything new to serve.
    pub(super) fn are_some(&self) -> bool {
        self.outside || !self.files.is_empty()
    }
}

impl Files {
    /// Looks at every file.
    pub(super) fn rescan(&mut self, root: &Path, compat: Compat) -> Result<Changes, StoreError> {
        fs::read_dir(root).map_err(|source| StoreError::Folder { path: root.into(), source })?;
        let mut listing = Listing::default();
        FOLDERS.iter().for_each(|folder| scan::list(&mut listing, root, folder));
        let mut names = listing.files;
        names.sort_unstable();
        let known = |name: &str| self.files.get(name).map(|file| file.stamp);
        let found = scan::look_at_all(root, &names, &known, compat);
        let mut changes = Changes::default();
        let absent: Vec<String> = {
            let present = |name: &&String| names.binary_search(name).is_ok();
            self.files.keys().filter(|name| !present(name)).cloned().collect()
        };
        let gone = absent.into_iter().map(|name| (name, Found::Nothing));
        for (name, found) in gone.chain(names.into_iter().zip(found)) {
            self.take(name, found, &mut changes);
        }
        self.temporary = listing.temporary;
        Ok(self.finish(root, changes))
    }

    /// What writes cut short had left when everything was looked at.
    pub(super) fn temporary(&self) -> &[String] {
        &self.temporary
    }

    /// Looks at these files only, by their paths below the root.
    pub(super) fn revisit(&mut self, root: &Path, changed: &BTreeSet<String>, compat: Compat) -> Changes {
        let mut changes = Changes::default();
        for name in changed {
            let known = self.files.get(name).map(|file| file.stamp);
            self.take(name.clone(), scan::look_at(root, name, known, compat), &mut changes);
        }
        self.finish(root, changes)
    }

    /// Looks at the files outside the template folders only.
    pub(super) fn revisit_outside(&mut self, root: &Path) -> Changes {
        self.finish(root, Changes::default())
    }

    /// Whether profiles name files outside the template folders.
    pub(super) fn has_outside(&self) -> bool {
        !self.outside.is_empty()
    }

    fn take(&mut self, name: String, found: Found, changes: &mut Changes) {
        match found {
            Found::Same => return,
            Found::Nothing => {
                if self.files.remove(&name).is_none() {
                    return;
                }
                self.broken.remove(&name);
                changes.reload.removed += 1;
            }
            Found::New(stamp, entry) => {
                changes.reload.read += 1;
                let old = self.files.remove(&name).and_then(|file| file.entry);
                let file = match (entry, old) {
                    (Some(Entry::Broken(broken)), Some(good)) if !matches!(good, Entry::Broken(_)) => {
                        File { stamp, entry: Some(good), broken: Some(broken) }
                    }
                    (entry, _) => File { stamp, entry, broken: None },
                };
                if file.fault().is_some() {
                    self.broken.insert(name.clone());
                } else {
                    self.broken.remove(&name);
                }
                self.files.insert(name.clone(), file);
            }
        }
        changes.files.insert(name);
    }

    fn finish(&self, root: &Path, mut changes: Changes) -> Changes {
        changes.outside = self.outside.iter().any(|(name, stamp)| scan::stamp(&root.join(name)) != *stamp);
        changes.reload.read += usize::from(changes.outside);
        let broken = self.broken.iter().filter_map(|name| self.files.get(name));
        changes.reload.broken = broken.filter_map(File::fault).collect();
        changes
    }

    /// A snapshot of everything known.
    pub(super) fn catalog(&mut self, root: &Path, compat: Compat) -> Catalog {
        let entries = self.files.values().filter_map(|file| file.entry.clone()).collect();
        self.with_outside(root, Catalog::from_entries(compat, entries))
    }

    /// The snapshot after `before`.
    pub(super) fn catalog_after(&mut self, root: &Path, before: &Catalog, changes: &Changes) -> Catalog {
        let entry = |name: &str| self.files.get(name).and_then(|file| file.entry.clone());
        let next = before.with_changes(changes.files.iter().map(|name| (name.as_str(), entry(name))));
        let groups_only = changes.files.iter().all(|name| name.starts_with("groups/"));
        if groups_only && !changes.outside && self.outside.is_empty() {
            return next;
        }
        self.with_outside(root, next)
    }

    /// Adds what profiles name outside the template folders.
    fn with_outside(&mut self, root: &Path, mut catalog: Catalog) -> Catalog {
        self.outside.clear();
        for name in catalog.missing_templates() {
            if is_template_place(&name) {
                continue; // it would have been found
            }
            let template = scan::template(root, &name);
            self.outside.insert(name, template.as_ref().map(|(stamp, _)| *stamp));
            if let Some((_, template)) = template {
                catalog.add_template(Arc::new(template));
            }
        }
        catalog
    }
}

/// Whether files of this path are templates by themselves.
fn is_template_place(name: &str) -> bool {
    ["ignition/", "cloud/", "generic/"].iter().any(|folder| name.starts_with(folder))
}

impl File {
    fn fault(&self) -> Option<Arc<Broken>> {
        match (&self.broken, &self.entry) {
            (Some(broken), _) | (None, Some(Entry::Broken(broken))) => Some(broken.clone()),
            _ => None,
        }
    }
}
