//! Pieces of files in memory, shared by all clients of the same file.
//!
//! A piece that is in the page cache is read on the spot (preadv2 with RWF_NOWAIT); any other is read on
//! the blocking pool, so that a stalled file system stops only those who wait for it.

use super::source::FileKey;
use bytes::Bytes;
use rustix::io::ReadWriteFlags;
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Octets of one piece.
pub(super) const PIECE: u64 = 256 << 10;

/// Names a file that is in use.
pub(super) type FileId = u64;

/// A piece of a file, by number.
pub(super) type PieceName = (FileId, u64);

/// The answer to a request for a piece.
#[derive(Debug)]
pub(super) enum Lookup {
    Here(Bytes),
    /// It is being read; [`FileCache::poll_loaded`] will tell.
    Later,
    /// It cannot be read any more.
    Failed(String),
}

#[derive(Debug)]
struct Entry {
    key: FileKey,
    file: Arc<File>,
    users: usize,
}

#[derive(Debug)]
pub(super) struct FileCache {
    budget: usize,
    used: usize,
    next: FileId,
    files: HashMap<FileId, Entry>,
    by_key: HashMap<FileKey, FileId>,
    pieces: HashMap<PieceName, Bytes>,
    oldest: VecDeque<PieceName>,
    loading: HashMap<PieceName, ()>,
    failed: HashMap<FileId, String>,
    loads: JoinSet<(PieceName, io::Result<Bytes>)>,
}

impl FileCache {
    pub(super) fn new(budget: usize) -> Self {
        let (files, by_key, pieces, oldest, loading, failed) = Default::default();
        let loads = JoinSet::new();
        Self { budget, used: 0, next: 0, files, by_key, pieces, oldest, loading, failed, loads }
    }

    /// Takes a file into use. If the same is in use already, `file` is closed and the other one shared.
    pub(super) fn open(&mut self, file: File, key: FileKey) -> FileId {
        if let Some(&id) = self.by_key.get(&key)
            && let Some(entry) = self.files.get_mut(&id)
            && !self.failed.contains_key(&id)
        {
            entry.users += 1;
            return id;
        }
        let id = self.next;
        self.next += 1;
        self.by_key.insert(key, id);
        self.files.insert(id, Entry { key, file: Arc::new(file), users: 1 });
        id
    }

    /// A user less. A file without users stays while there is memory for it, so that the next machine
    /// finds it.
    pub(super) fn close(&mut self, id: FileId) {
        if let Some(entry) = self.files.get_mut(&id) {
            entry.users = entry.users.saturating_sub(1);
        }
        self.trim();
    }

    /// Forgets files without users: nobody has asked for a while.
    pub(super) fn forget_unused(&mut self) {
        let unused: Vec<FileId> =
            self.files.iter().filter(|(_, entry)| entry.users == 0).map(|(&id, _)| id).collect();
        unused.into_iter().for_each(|id| self.forget(id));
    }

    fn forget(&mut self, id: FileId) {
        if let Some(entry) = self.files.remove(&id)
            && self.by_key.get(&entry.key) == Some(&id)
        {
            self.by_key.remove(&entry.key);
        }
        self.failed.remove(&id);
        let used = &mut self.used;
        self.pieces.retain(|name, piece| {
            let keep = name.0 != id;
            if !keep {
                *used -= piece.len();
            }
            keep
        });
        self.oldest.retain(|name| name.0 != id);
    }

    /// The piece, if it can be had without waiting.
    pub(super) fn piece(&mut self, id: FileId, number: u64) -> Lookup {
        let name = (id, number);
        if let Some(piece) = self.pieces.get(&name) {
            return Lookup::Here(piece.clone());
        }
        if let Some(why) = self.failed.get(&id) {
            return Lookup::Failed(why.clone());
        }
        if self.loading.contains_key(&name) {
            return Lookup::Later;
        }
        let Some(entry) = self.files.get(&id) else { return Lookup::Failed("file is closed".into()) };
        let offset = number * PIECE;
        let wanted = usize::try_from(entry.key.length.saturating_sub(offset).min(PIECE)).unwrap_or_default();
        let mut octets = vec![0; wanted];
        let mut slices = [IoSliceMut::new(&mut octets)];
        match rustix::io::preadv2(&*entry.file, &mut slices, offset, ReadWriteFlags::NOWAIT) {
            Ok(read) if read == wanted => {
                let piece = Bytes::from(octets);
                self.keep(name, piece.clone());
                Lookup::Here(piece)
            }
            _ => {
                let file = Arc::clone(&entry.file);
                self.loading.insert(name, ());
                self.loads.spawn_blocking(move || {
                    let read = file.read_exact_at(&mut octets, offset);
                    (name, read.map(|()| Bytes::from(octets)))
                });
                Lookup::Later
            }
        }
    }

    /// Takes finished reads in; `true` if any transfer may go on.
    pub(super) fn poll_loaded(&mut self, cx: &mut std::task::Context<'_>) -> bool {
        let mut any = false;
        while let std::task::Poll::Ready(Some(done)) = self.loads.poll_join_next(cx) {
            any = true;
            let Ok((name, read)) = done else { continue };
            self.loading.remove(&name);
            match read {
                Ok(piece) if self.files.contains_key(&name.0) => self.keep(name, piece),
                Ok(_) => {}
                Err(error) => {
                    let shrank = error.kind() == io::ErrorKind::UnexpectedEof;
                    let why = if shrank { "file shrank while it was sent".into() } else { error.to_string() };
                    self.failed.insert(name.0, why);
                }
            }
        }
        any
    }

    fn keep(&mut self, name: PieceName, piece: Bytes) {
        self.used += piece.len();
        self.pieces.insert(name, piece);
        self.oldest.push_back(name);
        self.trim();
    }

    fn trim(&mut self) {
        while self.used > self.budget {
            let Some(name) = self.oldest.pop_front() else { return };
            if let Some(piece) = self.pieces.remove(&name) {
                self.used -= piece.len();
            }
        }
    }
}
