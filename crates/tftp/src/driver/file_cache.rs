//! Pieces of files in memory, shared by all clients of the same file.
//!
//! A piece that is in the page cache is read on the spot (preadv2 with RWF_NOWAIT); any other is read on
//! the blocking pool, so that a stalled file system stops only those who wait for it.

use super::content::slice;
use super::source::FileKey;
use bytes::{Bytes, BytesMut};
use rustix::io::ReadWriteFlags;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Octets of one piece.
pub(super) const PIECE: u64 = 64 << 10;
/// Pieces of memory kept to be used again.
const SPARE: usize = 2;

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

/// Pieces of all files in use, and the files.
#[derive(Debug)]
pub(super) struct FileCache {
    budget: usize,
    used: usize,
    next: FileId,
    files: HashMap<FileId, Entry>,
    by_key: HashMap<FileKey, FileId>,
    pieces: HashMap<PieceName, Bytes>,
    oldest: VecDeque<PieceName>,
    /// Memory of pieces that nobody holds any more: fresh memory costs more than reading into it.
    spare: Vec<BytesMut>,
    loading: HashSet<PieceName>,
    failed: HashMap<FileId, String>,
    loads: JoinSet<(PieceName, io::Result<Bytes>)>,
}

impl FileCache {
    pub(super) fn new(budget: usize) -> Self {
        let (files, by_key, pieces, oldest, spare, loading, failed) = Default::default();
        let loads = JoinSet::new();
        Self { budget, used: 0, next: 0, files, by_key, pieces, oldest, spare, loading, failed, loads }
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
        self.spare.clear();
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

    /// Octets that lie within one piece, if they can be had without waiting. `asked` is how many pieces
    /// their reader has asked for from the start of the file.
    pub(super) fn octets(&mut self, id: FileId, range: Range<u64>, asked: &mut u64) -> Lookup {
        let number = range.start / PIECE;
        let (skip, length) = (range.start % PIECE, range.end - range.start);
        if let Some(piece) = self.pieces.get(&(id, number)) {
            return Lookup::Here(slice(piece, skip, length));
        }
        // More readers at different places than there is memory for pieces: each takes what it sends now,
        // or they would read whole pieces for each other to drop.
        let dropped = number < *asked && !self.loading.contains(&(id, number));
        if dropped && let Some(entry) = self.files.get(&id) {
            let octets = BytesMut::zeroed(usize::try_from(length).unwrap_or_default());
            if let Ok(octets) = read_now(&entry.file, octets, range.start) {
                return Lookup::Here(octets);
            }
        }
        *asked = (*asked).max(number + 1);
        match self.piece(id, number) {
            Lookup::Here(piece) => Lookup::Here(slice(&piece, skip, length)),
            other => other,
        }
    }

    /// Reads up to the piece that holds `offset`, before its reader wants it.
    pub(super) fn read_ahead(&mut self, id: FileId, offset: u64, asked: &mut u64) {
        while *asked <= offset / PIECE {
            let number = *asked;
            *asked += 1;
            if !self.pieces.contains_key(&(id, number)) {
                self.piece(id, number);
            }
        }
    }

    /// A reader is past `offset`. If it is the only one, and the file is not one to be kept whole, the pieces
    /// behind it make room for those ahead.
    pub(super) fn pass(&mut self, id: FileId, offset: u64, behind: &mut u64) {
        if *behind >= offset / PIECE {
            return;
        }
        let Some(entry) = self.files.get(&id) else { return };
        let alone = entry.users == 1 && entry.key.length > self.budget as u64;
        while *behind < offset / PIECE {
            if alone {
                let name = (id, *behind);
                self.drop_piece(name);
                self.oldest.retain(|old| *old != name);
            }
            *behind += 1;
        }
    }

    /// The piece, if it can be had without waiting.
    fn piece(&mut self, id: FileId, number: u64) -> Lookup {
        let name = (id, number);
        if let Some(why) = self.failed.get(&id) {
            return Lookup::Failed(why.clone());
        }
        if self.loading.contains(&name) {
            return Lookup::Later;
        }
        let Some(entry) = self.files.get(&id) else { return Lookup::Failed("file is closed".into()) };
        let (file, offset) = (Arc::clone(&entry.file), number * PIECE);
        let wanted = usize::try_from(entry.key.length.saturating_sub(offset).min(PIECE)).unwrap_or_default();
        match read_now(&file, self.memory(wanted), offset) {
            Ok(piece) => {
                self.keep(name, piece.clone());
                Lookup::Here(piece)
            }
            Err(mut octets) => {
                self.loading.insert(name);
                self.loads.spawn_blocking(move || {
                    let read = file.read_exact_at(&mut octets, offset);
                    (name, read.map(|()| octets.freeze()))
                });
                Lookup::Later
            }
        }
    }

    /// Memory for a piece, as it comes: somebody's old piece if the budget is used up.
    fn memory(&mut self, octets: usize) -> BytesMut {
        while self.used + octets > self.budget
            && let Some(name) = self.oldest.pop_front()
        {
            self.drop_piece(name);
        }
        let mut memory = self.spare.pop().unwrap_or_else(|| BytesMut::zeroed(octets));
        memory.resize(octets, 0);
        memory
    }

    /// Takes finished reads in; `true` if any transfer may go on. Call [`Self::trim`] when they have.
    pub(super) fn poll_loaded(&mut self, cx: &mut std::task::Context<'_>) -> bool {
        let mut any = false;
        while !self.loads.is_empty()
            && let std::task::Poll::Ready(Some(done)) = self.loads.poll_join_next(cx)
        {
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
        if let Some(old) = self.pieces.insert(name, piece) {
            self.used -= old.len();
        } else {
            self.oldest.push_back(name);
        }
    }

    /// Drops the oldest pieces beyond the budget.
    pub(super) fn trim(&mut self) {
        while self.used > self.budget
            && let Some(name) = self.oldest.pop_front()
        {
            self.drop_piece(name);
        }
    }

    fn drop_piece(&mut self, name: PieceName) {
        let Some(piece) = self.pieces.remove(&name) else { return };
        self.used -= piece.len();
        if self.spare.len() < SPARE
            && let Ok(memory) = piece.try_into_mut()
            && memory.capacity() as u64 >= PIECE
        {
            self.spare.push(memory);
        }
    }
}

/// Fills `octets` from the page cache, or gives them back.
fn read_now(file: &File, mut octets: BytesMut, offset: u64) -> Result<Bytes, BytesMut> {
    let mut slices = [IoSliceMut::new(&mut octets)];
    match rustix::io::preadv2(file, &mut slices, offset, ReadWriteFlags::NOWAIT) {
        Ok(read) if read == octets.len() => Ok(octets.freeze()),
        _ => Err(octets),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// A file of `pieces` pieces, each filled with its number.
    fn file(pieces: u8) -> File {
        let mut file = tempfile::tempfile().unwrap();
        (0..pieces).for_each(|number| file.write_all(&vec![number; PIECE as usize]).unwrap());
        file
    }

    fn first(lookup: Lookup) -> Option<u8> {
        match lookup {
            Lookup::Here(octets) => octets.first().copied(),
            Lookup::Later | Lookup::Failed(_) => None,
        }
    }

    fn read(cache: &mut FileCache, id: FileId, number: u64, asked: &mut u64) {
        let lookup = cache.octets(id, number * PIECE..number * PIECE + 8, asked);
        assert_eq!(first(lookup), Some(number as u8));
    }

    #[tokio::test]
    async fn a_single_reader_of_a_long_file_needs_little_memory() {
        let (file, mut cache) = (file(12), FileCache::new(4 * PIECE as usize));
        let key = FileKey::of(&file).unwrap();
        let id = cache.open(file, key);
        let (mut asked, mut behind) = (0, 0);
        for number in 0..12 {
            read(&mut cache, id, number, &mut asked);
            cache.read_ahead(id, ((number + 1) * PIECE).min(12 * PIECE - 1), &mut asked);
            cache.pass(id, (number + 1) * PIECE, &mut behind);
            assert!(cache.used <= 2 * PIECE as usize && cache.oldest.len() <= 2);
        }
        assert!(!cache.spare.is_empty());
    }

    #[tokio::test]
    async fn a_short_file_is_read_once_for_all() {
        let (file, mut cache) = (file(3), FileCache::new(4 * PIECE as usize));
        let key = FileKey::of(&file).unwrap();
        for _ in 0..2 {
            let id = cache.open(file.try_clone().unwrap(), key);
            let (mut asked, mut behind) = (0, 0);
            for number in 0..3 {
                read(&mut cache, id, number, &mut asked);
                cache.pass(id, (number + 1) * PIECE, &mut behind);
            }
            cache.close(id);
            assert_eq!((id, cache.used), (0, 3 * PIECE as usize));
        }
        cache.forget_unused();
        assert_eq!((cache.used, cache.files.len(), cache.oldest.len()), (0, 0, 0));
    }

    #[tokio::test]
    async fn readers_at_many_places_do_not_read_whole_pieces_for_each_other_to_drop() {
        let (file, mut cache) = (file(8), FileCache::new(2 * PIECE as usize));
        let key = FileKey::of(&file).unwrap();
        let id = cache.open(file, key);
        let mut readers: Vec<u64> = vec![0; 8];
        for _ in 0..3 {
            for (number, asked) in readers.iter_mut().enumerate() {
                read(&mut cache, id, number as u64, asked);
                assert!(cache.used <= 2 * PIECE as usize);
            }
        }
        assert!(cache.pieces.contains_key(&(id, 7)) && !cache.pieces.contains_key(&(id, 0)));
    }

    #[tokio::test]
    async fn a_file_that_shrinks_fails_for_those_who_have_it_open_and_not_for_the_next() {
        let (file, mut cache) = (file(2), FileCache::new(4 * PIECE as usize));
        let key = FileKey::of(&file).unwrap();
        let id = cache.open(file.try_clone().unwrap(), key);
        file.set_len(PIECE).unwrap();
        assert!(matches!(cache.octets(id, PIECE..PIECE + 8, &mut 0), Lookup::Later));
        std::future::poll_fn(|cx| {
            if cache.poll_loaded(cx) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        assert!(matches!(cache.octets(id, PIECE..PIECE + 8, &mut 0), Lookup::Failed(_)));
        let key = FileKey::of(&file).unwrap();
        let next = cache.open(file, key);
        assert_ne!(next, id);
        read(&mut cache, next, 0, &mut 0);
    }
}
