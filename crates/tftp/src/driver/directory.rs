//! A directory as a source: nothing outside it, nothing but regular files, never a blocking open.

use super::source::{OpenRequest, Opened, Refusal, Sink, Source, Upload};
use crate::wire::ErrorCode;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Files of one directory that are opened at once. More requests wait; those whose files do not answer (a
/// stalled network file system) are refused when their time is over, and make room.
const OPENERS: usize = 32;
/// A path that changes while it is resolved is tried again this often (openat2(2), `EAGAIN`).
const RACES: usize = 8;
/// Clients that may write the same file at once; the first to finish has it.
const NAMES: u32 = 16;

/// Serves the regular files beneath a directory. Symbolic links are followed only where they stay beneath
/// it; leading slashes are dropped, so `/boot/x` and `boot/x` are the same file.
#[derive(Clone, Debug)]
pub struct Directory {
    root: Arc<OwnedFd>,
    openers: Arc<Semaphore>,
    uploads: Option<Uploads>,
}

impl Directory {
    /// Opens the directory. It is resolved once: renaming it later does not matter.
    ///
    /// # Errors
    /// It does not exist, is not a directory, or may not be entered; or the kernel has no openat2(2) (Linux 5.6).
    pub fn open(root: impl AsRef<Path>) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(root.as_ref(), flags, Mode::empty())?;
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&root, ".", flags, Mode::empty(), how)?;
        Ok(Self { root: Arc::new(root), openers: Arc::new(Semaphore::new(OPENERS)), uploads: None })
    }

    /// Lets clients write new files, never over an existing one, into directories that exist.
    #[must_use]
    pub const fn with_uploads(mut self, uploads: Uploads) -> Self {
        self.uploads = Some(uploads);
        self
    }

    /// Runs what blocks on the pool, a bounded number at once.
    pub(super) async fn on_pool<T: Send + 'static>(
        &self,
        work: impl FnOnce(Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let busy = || Refusal::new(ErrorCode::NotDefined, "server is busy");
        // Given back when the caller stops waiting, so that files that never open do not stop the others.
        let _permit = self.openers.acquire().await.map_err(|_| busy())?;
        let directory = self.clone();
        tokio::task::spawn_blocking(move || work(directory)).await.map_err(|_| busy())?
    }

    /// Opens a regular file for reading. It blocks where the file system does.
    ///
    /// # Errors
    /// The ERROR to answer with.
    pub fn open_file(&self, path: &[u8]) -> Result<File, Refusal> {
        let start = path.iter().position(|&octet| octet != b'/').unwrap_or(path.len());
        let path = OsStr::from_bytes(path.get(start..).unwrap_or_default());
        let path = if path.is_empty() { OsStr::new(".") } else { path };
        // Never waits for a fifo's writer or a device, never makes a terminal ours.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let mut races = 0;
        let file = loop {
            // Looks before it opens: opening a device can already act on it.
            let found =
                rustix::fs::openat2(&*self.root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), how)
                    .and_then(|found| {
                        let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode);
                        if kind == rustix::fs::FileType::RegularFile { Ok(()) } else { Err(Errno::ISDIR) }
                    })
                    .and_then(|()| rustix::fs::openat2(&*self.root, path, flags, Mode::empty(), how));
            match found {
                Err(Errno::AGAIN) if races < RACES => races += 1,
                other => break other.map_err(refusal)?,
            }
        };
        Ok(File::from(file))
    }
}

fn refusal(errno: Errno) -> Refusal {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG => Refusal::not_found(),
        Errno::ACCESS | Errno::PERM | Errno::XDEV | Errno::LOOP => Refusal::access_violation(),
        Errno::ISDIR | Errno::NXIO => Refusal::new(ErrorCode::AccessViolation, "not a regular file"),
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => Refusal::new(ErrorCode::NotDefined, "server is busy"),
        _ => Refusal::new(ErrorCode::NotDefined, "file cannot be read"),
    }
}

impl Source for Directory {
    async fn open(&self, request: OpenRequest) -> Result<Opened, Refusal> {
        self.on_pool(move |directory| {
            let file = directory.open_file(&request.path)?;
            Opened::file(file).map_err(|_| Refusal::new(ErrorCode::NotDefined, "file cannot be read"))
        })
        .await
    }

    async fn create(&self, request: OpenRequest, announced: Option<u64>) -> Result<Upload, Refusal> {
        let Some(uploads) = self.uploads else { return Err(Refusal::access_violation()) };
        self.on_pool(move |directory| {
            let part = PartFile::create(&directory.root, &request.path, announced.unwrap_or(0), uploads)?;
            Ok(Upload::new(part, uploads.quota))
        })
        .await
    }
}

/// What clients may write into a [`Directory`].
#[derive(Clone, Copy, Debug)]
pub struct Uploads {
    /// The longest file in octets. Default 1 GiB.
    pub quota: u64,
    /// Octets of the file system that stay free. Default 64 MiB.
    pub reserve: u64,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { quota: 1 << 30, reserve: 64 << 20 }
    }
}

/// A file on its way: under another name until it is complete.
struct PartFile {
    directory: OwnedFd,
    part: OsString,
    name: OsString,
    file: File,
    reserve: u64,
    placed: bool,
}

impl PartFile {
    /// Creates the part beside the place of the file. It blocks.
    fn create(root: &OwnedFd, path: &[u8], announced: u64, uploads: Uploads) -> Result<Self, Refusal> {
        let path = path.strip_prefix(b"/").unwrap_or(path);
        let (parent, name) = match path.iter().rposition(|&octet| octet == b'/') {
            Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..).unwrap_or_default()),
            None => (&b"."[..], path),
        };
        if name.is_empty() || name == b"." || name == b".." {
            return Err(Refusal::new(ErrorCode::AccessViolation, "not a file name"));
        }
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat2(root, OsStr::from_bytes(parent), flags, Mode::empty(), how);
        let directory = directory.map_err(refusal)?;
        let name = OsStr::from_bytes(name).to_owned();
        if rustix::fs::statat(&directory, &name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(Refusal::new(ErrorCode::FileExists, "file already exists"));
        }
        let full = Refusal::new(ErrorCode::DiskFull, "disk full or allocation exceeded");
        if announced > uploads.quota
            || free(&directory).is_some_and(|free| announced + uploads.reserve > free)
        {
            return Err(full);
        }
        let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for attempt in 0..NAMES {
            let mut part = OsString::from(".");
            part.push(&name);
            part.push(format!(".{}-{attempt}.part", std::process::id()));
            match rustix::fs::openat(&directory, &part, create, Mode::from_raw_mode(0o644)) {
                Ok(file) => {
                    let (file, reserve) = (File::from(file), uploads.reserve);
                    return Ok(Self { directory, part, name, file, reserve, placed: false });
                }
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(super::write::refusal(&errno.into())),
            }
        }
        Err(Refusal::new(ErrorCode::NotDefined, "server is busy"))
    }
}

/// Octets that may still be written where `directory` is; `None` if the system does not say.
fn free(directory: &OwnedFd) -> Option<u64> {
    let stat = rustix::fs::fstatvfs(directory).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

impl Sink for PartFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        if free(&self.directory).is_some_and(|free| octets.len() as u64 + self.reserve > free) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        io::Write::write_all(&mut self.file, octets)
    }

    fn commit(mut self: Box<Self>) -> io::Result<()> {
        self.file.sync_all()?;
        // Never over a file that has come meanwhile.
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        rustix::fs::renameat_with(&self.directory, &self.part, &self.directory, &self.name, flags)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.placed {
            let _ = rustix::fs::unlinkat(&self.directory, &self.part, rustix::fs::AtFlags::empty());
        }
    }
}
