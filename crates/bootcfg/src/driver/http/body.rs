//! The octets of an answer: in memory, or read from a file chunk by chunk as the connection takes them.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::hook::{Access, Hook};
use crate::content::Span;

/// One read of a file; one or two of these per transfer are in memory.
const CHUNK: usize = 256 << 10;

/// A response's body. Tells the hook when it is over, in whatever way.
pub struct Body {
    parts: VecDeque<Part>,
    left: u64,
    sent: u64,
    record: Option<Box<Record>>,
    /// Where files are read, if not here.
    files: Option<Handle>,
}

struct Record {
    hook: Arc<dyn Hook>,
    access: Access,
}

/// A piece of a body: most have one, `multipart/byteranges` many.
pub(crate) enum Part {
    /// Octets in memory.
    Text(Bytes),
    /// A range of a file, and the read under way.
    File(Arc<File>, Span, Option<JoinHandle<io::Result<Bytes>>>),
}

impl Part {
    fn left(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::File(_, span, _) => span.length,
        }
    }
}

impl Body {
    /// A body in memory.
    pub fn full(octets: impl Into<Bytes>) -> Self {
        Self::parts([Part::Text(octets.into())])
    }

    /// No body.
    pub fn empty() -> Self {
        Self::full(Bytes::new())
    }

    pub(crate) fn file(file: File, span: Span) -> Self {
        Self::parts([Part::File(Arc::new(file), span, None)])
    }

    pub(crate) fn parts(parts: impl IntoIterator<Item = Part>) -> Self {
        let parts: VecDeque<_> = parts.into_iter().filter(|part| part.left() > 0).collect();
        Self { left: parts.iter().map(Part::left).sum(), parts, sent: 0, record: None, files: None }
    }

    /// The octets, if they are all in memory.
    pub(crate) fn into_memory(mut self) -> Option<Bytes> {
        match self.parts.pop_front() {
            None => Some(Bytes::new()),
            Some(Part::Text(text)) if self.parts.is_empty() => Some(text),
            Some(_) => None,
        }
    }

    /// Octets still to come.
    pub fn remaining(&self) -> u64 {
        self.left
    }

    /// Every piece of a file is read on the blocking threads of `files`.
    pub(crate) fn read_on(&mut self, files: Option<Handle>) {
        self.files = files;
    }

    pub(crate) fn recorded(mut self, hook: Arc<dyn Hook>, access: Access) -> Self {
        self.record = Some(Box::new(Record { hook, access }));
        self
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = &mut *self;
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let octets = match ready!(this.poll_octets(cx)) {
            Ok(octets) if octets.is_empty() => {
                let text = "the file became shorter while it was sent";
                return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, text))));
            }
            Ok(octets) => octets,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        let length = octets.len() as u64;
        this.left = this.left.saturating_sub(length);
        this.sent += length;
        Poll::Ready(Some(Ok(Frame::data(octets))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl Body {
    fn poll_octets(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let octets = match self.parts.front_mut() {
            None => Bytes::new(),
            Some(Part::Text(text)) => std::mem::take(text),
            Some(Part::File(file, span, next)) => {
                let here = next.is_none() && self.files.is_none();
                let cached = if here { read_cached(file, *span) } else { None };
                let octets = match cached {
                    Some(octets) => octets,
                    None => {
                        let reading =
                            next.get_or_insert_with(|| read_chunk(file.clone(), *span, self.files.as_ref()));
                        ready!(Pin::new(reading).poll(cx)).map_err(io::Error::other)??
                    }
                };
                let length = octets.len() as u64;
                *span = Span { start: span.start + length, length: span.length.saturating_sub(length) };
                *next = None;
                octets
            }
        };
        if self.parts.front().is_some_and(|part| part.left() == 0) {
            self.parts.pop_front();
        }
        Poll::Ready(Ok(octets))
    }
}

/// What the page cache has of the next chunk: no other thread is needed for that.
fn read_cached(file: &File, span: Span) -> Option<Bytes> {
    let length = usize::try_from(span.length).unwrap_or(CHUNK).min(CHUNK);
    let mut octets = vec![0; length];
    let mut buffers = [io::IoSliceMut::new(&mut octets)];
    match rustix::io::preadv2(file, &mut buffers, span.start, rustix::io::ReadWriteFlags::NOWAIT) {
        Ok(read) if read > 0 => {
            octets.truncate(read);
            Some(octets.into())
        }
        _ => None, // not cached, or the file system cannot say: read_chunk waits for it
    }
}

fn read_chunk(file: Arc<File>, span: Span, files: Option<&Handle>) -> JoinHandle<io::Result<Bytes>> {
    let length = usize::try_from(span.length).unwrap_or(CHUNK).min(CHUNK);
    on_blocking_thread(files, move || {
        let mut octets = Vec::with_capacity(length);
        while octets.len() < length {
            let at = span.start + octets.len() as u64;
            if rustix::io::pread(&file, rustix::buffer::spare_capacity(&mut octets), at)? == 0 {
                break;
            }
        }
        octets.truncate(length);
        Ok(octets.into())
    })
}

/// Runs what waits for a disk on a blocking thread of `files`, or else of this runtime.
pub(super) fn on_blocking_thread<T: Send + 'static>(
    files: Option<&Handle>,
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    match files {
        Some(files) => files.spawn_blocking(work),
        None => tokio::task::spawn_blocking(work),
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            let Record { hook, mut access } = *record;
            access.octets = self.sent;
            access.complete = self.left == 0;
            hook.record(&access);
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("left", &self.left).field("sent", &self.sent).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body::Body as _;
    use std::io::Write as _;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn a_file_is_read_where_it_shall_be() {
        let started = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&started);
        let readers = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .on_thread_start(move || {
                let _ = counting.fetch_add(1, Ordering::Relaxed);
            })
            .build()
            .unwrap();
        let octets: Vec<u8> = (0..CHUNK * 2 + 7).map(|at| u8::try_from(at % 251).unwrap_or(0)).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&octets).unwrap();
        let span = Span { start: 1, length: octets.len() as u64 - 1 };
        for files in [None, Some(readers.handle().clone())] {
            let wanted = usize::from(files.is_some());
            let mut body = Body::file(file.try_clone().unwrap(), span);
            body.read_on(files);
            let mut read = Vec::new();
            while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                read.extend_from_slice(frame.unwrap().data_ref().unwrap());
            }
            assert!(read == octets.get(1..).unwrap_or_default(), "{} octets", read.len());
            assert_eq!(started.load(Ordering::Relaxed), wanted);
        }
        readers.shutdown_background();
    }
}
