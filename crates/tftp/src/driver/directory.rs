//! A directory as a source: nothing outside it, nothing but regular files, never a blocking open.

use super::source::{OpenRequest, Opened, Refusal, Source};
use crate::wire::ErrorCode;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Threads that may be busy opening files of one directory. More requests wait, those whose files do not
/// answer (a stalled network file system) are refused when their time is over.
const OPENERS: usize = 32;
/// A path that changes while it is resolved is tried again this often (openat2(2), `EAGAIN`).
const RACES: usize = 8;

/// Serves the regular files beneath a directory. Symbolic links are followed only where they stay beneath
/// it; leading slashes are dropped, so `/boot/x` and `boot/x` are the same file.
#[derive(Clone, Debug)]
pub struct Directory {
    root: Arc<OwnedFd>,
    openers: Arc<Semaphore>,
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
        Ok(Self { root: Arc::new(root), openers: Arc::new(Semaphore::new(OPENERS)) })
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
        let busy = |_| Refusal::new(ErrorCode::NotDefined, "server is busy");
        let permit =
            Arc::clone(&self.openers).acquire_owned().await.map_err(|_| Refusal::access_violation())?;
        let directory = self.clone();
        let open = move || {
            let _permit = permit; // held as long as the thread is, even if nobody waits any more
            let file = directory.open_file(&request.path)?;
            Opened::file(file).map_err(|_| Refusal::new(ErrorCode::NotDefined, "file cannot be read"))
        };
        tokio::task::spawn_blocking(open).await.map_err(busy)?
    }
}
