//! The directory of local files. Nothing outside it is read, not even through symbolic links.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use ignition::files::{Files, FilesError, TreeEntry, TreeKind};

/// Files below one directory.
#[derive(Debug)]
pub(crate) struct FilesDir(Option<PathBuf>);

impl FilesDir {
    /// Without a directory there are no local files.
    pub(crate) fn new(directory: Option<&Path>) -> Self {
        Self(directory.map(Path::to_owned))
    }

    /// The real path of a name, if it stays below the directory.
    fn find(&self, name: &str) -> Result<PathBuf, FilesError> {
        let base = self.0.as_deref().ok_or(FilesError::NoDirectory)?;
        let mut depth = 0_usize;
        for part in Path::new(name.trim_start_matches('/')).components() {
            match part {
                Component::ParentDir => depth = depth.checked_sub(1).ok_or(FilesError::Escape)?,
                Component::Normal(_) => depth += 1,
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        let path = base.join(name.trim_start_matches('/'));
        let real = path.canonicalize().map_err(|why| explain(&path, &why))?;
        let base = base.canonicalize().map_err(|why| explain(base, &why))?;
        if real.starts_with(&base) { Ok(real) } else { Err(FilesError::Escape) }
    }
}

fn explain(path: &Path, why: &std::io::Error) -> FilesError {
    let path = path.display();
    match why.kind() {
        ErrorKind::NotFound => FilesError::Missing(path.to_string()),
        _ => FilesError::Unreadable(format!("read {path}: {why}")),
    }
}

impl Files for FilesDir {
    fn read(&self, path: &str) -> Result<Vec<u8>, FilesError> {
        let path = self.find(path)?;
        fs::read(&path).map_err(|why| explain(&path, &why))
    }

    fn tree(&self, path: &str) -> Result<Vec<TreeEntry>, FilesError> {
        let root = self.find(path)?;
        if !root.is_dir() {
            return Err(FilesError::NotDirectory);
        }
        let mut entries = vec![TreeEntry { path: String::new(), kind: TreeKind::Directory }];
        walk(&root, "", &mut entries)?;
        Ok(entries)
    }
}

fn walk(directory: &Path, prefix: &str, entries: &mut Vec<TreeEntry>) -> Result<(), FilesError> {
    let read = fs::read_dir(directory).map_err(|why| explain(directory, &why))?;
    let mut found = Vec::new();
    for entry in read {
        found.push(entry.map_err(|why| explain(directory, &why))?);
    }
    found.sort_by_key(fs::DirEntry::file_name);
    for entry in found {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let name = if prefix.is_empty() { name.into_owned() } else { format!("{prefix}/{name}") };
        // Not followed: a link stays a link.
        let meta = fs::symlink_metadata(&path).map_err(|why| explain(&path, &why))?;
        let kind = if meta.is_dir() {
            TreeKind::Directory
        } else if meta.is_file() {
            let contents = fs::read(&path).map_err(|why| explain(&path, &why))?;
            TreeKind::File { contents, executable: meta.permissions().mode() & 0o111 != 0 }
        } else if meta.is_symlink() {
            let target = fs::read_link(&path).map_err(|why| explain(&path, &why))?;
            TreeKind::Link(target.to_string_lossy().into_owned())
        } else {
            TreeKind::Other
        };
        let is_directory = kind == TreeKind::Directory;
        entries.push(TreeEntry { path: name.clone(), kind });
        if is_directory {
            walk(&path, &name, entries)?;
        }
    }
    Ok(())
}
