//! Local files that a source config refers to: the engine asks, somebody else reads.

/// Why a local file cannot be had.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FilesError {
    /// No directory of local files was given.
    NoDirectory,
    /// The path leaves the directory, by `..` or by a symbolic link.
    Escape,
    /// The root of a tree is no directory.
    NotDirectory,
    /// A tree has something else than files, directories and symbolic links.
    FileType,
    /// It is not there.
    Missing(String),
    /// Reading failed.
    Unreadable(String),
}

impl FilesError {
    /// The stable code of the finding.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NoDirectory => "local-file-paths-are-relative-to-a-files-directory",
            Self::Escape => "local-file-path-traverses-outside-the-files-directory",
            Self::NotDirectory => "root-of-tree-must-be-a-directory",
            Self::FileType => "trees-may-only-contain-files-directories-and-symlinks",
            Self::Missing(_) => "local-file-missing",
            Self::Unreadable(_) => "local-file-unreadable",
        }
    }
}

impl std::fmt::Display for FilesError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoDirectory => f.write_str(
                "local file paths are relative to a files directory that must be specified with -d/--files-dir",
            ),
            Self::Escape => f.write_str("local file path traverses outside the files directory"),
            Self::NotDirectory => f.write_str("root of tree must be a directory"),
            Self::FileType => f.write_str("trees may only contain files, directories, and symlinks"),
            Self::Missing(path) => write!(f, "open {path}: no such file or directory"),
            Self::Unreadable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for FilesError {}

/// One thing in a tree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TreeEntry {
    /// Path below the tree's root with `/` between its parts; empty for the root.
    pub path: String,
    /// What it is.
    pub kind: TreeKind,
}

/// What a thing in a tree is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TreeKind {
    /// A directory.
    Directory,
    /// A file.
    File {
        /// Its octets.
        contents: Vec<u8>,
        /// Any execute bit is set.
        executable: bool,
    },
    /// A symbolic link and its target as written.
    Link(String),
    /// A device, socket or pipe.
    Other,
}

/// Access to local files, all below one directory.
pub trait Files {
    /// The octets of a file.
    ///
    /// # Errors
    /// See [`FilesError`].
    fn read(&self, path: &str) -> Result<Vec<u8>, FilesError>;

    /// Everything below a directory, the directory first, names in order, directories before what is in them.
    ///
    /// # Errors
    /// See [`FilesError`].
    fn tree(&self, path: &str) -> Result<Vec<TreeEntry>, FilesError>;
}

/// No local files: every reference is an error.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _path: &str) -> Result<Vec<u8>, FilesError> {
        Err(FilesError::NoDirectory)
    }

    fn tree(&self, _path: &str) -> Result<Vec<TreeEntry>, FilesError> {
        Err(FilesError::NoDirectory)
    }
}
