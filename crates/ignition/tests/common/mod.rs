//! Local files for tests: a directory, read plainly.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ignition::files::{Files, FilesError, TreeEntry, TreeKind};

pub(crate) struct Directory(pub(crate) PathBuf);

impl Files for Directory {
    fn read(&self, path: &str) -> Result<Vec<u8>, FilesError> {
        fs::read(self.0.join(path)).map_err(|_| FilesError::Missing(path.to_owned()))
    }

    fn tree(&self, path: &str) -> Result<Vec<TreeEntry>, FilesError> {
        let mut entries = vec![TreeEntry { path: String::new(), kind: TreeKind::Directory }];
        walk(&self.0.join(path), "", &mut entries);
        Ok(entries)
    }
}

fn walk(directory: &Path, prefix: &str, entries: &mut Vec<TreeEntry>) {
    let mut found: Vec<_> = fs::read_dir(directory).unwrap().map(Result::unwrap).collect();
    found.sort_by_key(fs::DirEntry::file_name);
    for entry in found {
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        let kind = entry.file_type().unwrap();
        let kind = if kind.is_symlink() {
            TreeKind::Link(fs::read_link(entry.path()).unwrap().to_str().unwrap().to_owned())
        } else if kind.is_dir() {
            TreeKind::Directory
        } else {
            let executable = entry.metadata().unwrap().permissions().mode() & 0o111 != 0;
            TreeKind::File { contents: fs::read(entry.path()).unwrap(), executable }
        };
        let below = kind == TreeKind::Directory;
        entries.push(TreeEntry { path: name.clone(), kind });
        if below {
            walk(&entry.path(), &format!("{name}/"), entries);
        }
    }
}
