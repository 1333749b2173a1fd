//! The first request's line and headers, read before the HTTP parser is set up: a connection that sends nothing costs
//! a few hundred octets, and a target that the parser would refuse but Go would not is carried around it.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Semaphore;
use tokio::time::Sleep;

/// Heads up to this size are read by everybody at once.
const SMALL: usize = 16 << 10;
/// So many larger ones at a time, in the whole process.
const LARGE_AT_ONCE: usize = 16;
/// One read.
const STEP: usize = 2048;

static LARGE: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(LARGE_AT_ONCE));

/// Why there is no request.
#[derive(Debug)]
pub(super) enum NoHead {
    /// Closed, reset or too slow.
    Gone,
    /// Longer than allowed.
    TooLong,
}

/// What was read: at least one whole head, perhaps the begin of what follows.
#[derive(Debug)]
pub(super) struct Head {
    octets: Vec<u8>,
}

impl Head {
    /// Reads until the empty line.
    pub(super) async fn read(
        stream: &mut (impl AsyncRead + Unpin),
        max: usize,
        timeout: Duration,
    ) -> Result<Self, NoHead> {
        tokio::time::timeout(timeout, Self::read_slowly(stream, max)).await.unwrap_or(Err(NoHead::Gone))
    }

    async fn read_slowly(stream: &mut (impl AsyncRead + Unpin), max: usize) -> Result<Self, NoHead> {
        let mut octets = Vec::new();
        let mut seen = 0;
        let mut large = None;
        loop {
            let read = poll_fn(|cx| read_some(stream, cx, &mut octets)).await.map_err(|_| NoHead::Gone)?;
            if read == 0 {
                return Err(NoHead::Gone);
            }
            if has_end(octets.get(seen..).unwrap_or_default()) {
                return Ok(Self { octets });
            }
            seen = octets.len().saturating_sub(3);
            if octets.len() > max {
                return Err(NoHead::TooLong);
            }
            if octets.len() > SMALL && large.is_none() {
                large = Some(LARGE.acquire().await.map_err(|_| NoHead::Gone)?);
            }
        }
    }

    /// Octets read.
    pub(super) fn len(&self) -> usize {
        self.octets.len()
    }

    /// Takes the target out if the HTTP library would refuse or cut it, and leaves `/` in its place.
    pub(super) fn take_odd_target(&mut self) -> Option<Vec<u8>> {
        let line = self.octets.iter().position(|&octet| octet == b'\n')?;
        let line = self.octets.get(..line)?;
        let start = line.iter().position(|&octet| octet == b' ')? + 1;
        let end = line.iter().rposition(|&octet| octet == b' ')?;
        let target = line.get(start..end)?;
        let is_plain =
            target.first() == Some(&b'/') && target.iter().all(|&octet| octet > 0x20 && octet != 0x7f);
        let is_known = hyper::Uri::try_from(target).is_ok() && !target.contains(&b'#');
        if !is_plain || is_known {
            return None;
        }
        let target = target.to_vec();
        self.octets.splice(start..end, [b'/']);
        Some(target)
    }
}

/// One read, on the stack first: who sends nothing has no buffer, neither here nor in a waiting future.
fn read_some(
    stream: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    octets: &mut Vec<u8>,
) -> Poll<io::Result<usize>> {
    let mut step = [MaybeUninit::uninit(); STEP];
    let mut step = ReadBuf::uninit(&mut step);
    ready!(Pin::new(stream).poll_read(cx, &mut step))?;
    octets.extend_from_slice(step.filled());
    Poll::Ready(Ok(step.filled().len()))
}

fn has_end(octets: &[u8]) -> bool {
    octets.windows(4).any(|four| four == b"\r\n\r\n") || octets.windows(2).any(|two| two == b"\n\n")
}

/// A stream with what was read of it put back, which fails when its peer takes nothing for too long.
#[derive(Debug)]
pub(super) struct Rewound<S> {
    head: Vec<u8>,
    at: usize,
    stream: S,
    write_timeout: Duration,
    stalled: Option<Pin<Box<Sleep>>>, // runs while a write waits
}

impl<S> Rewound<S> {
    pub(super) fn new(head: Head, stream: S, write_timeout: Duration) -> Self {
        Self { head: head.octets, at: 0, stream, write_timeout, stalled: None }
    }

    /// Passes a write's result on; one that has waited too long fails.
    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let timeout = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        stalled
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match this.head.get(this.at..) {
            None | Some([]) => Pin::new(&mut this.stream).poll_read(cx, buffer),
            Some(rest) => {
                let length = rest.len().min(buffer.remaining());
                buffer.put_slice(rest.get(..length).unwrap_or_default());
                this.at += length;
                if this.at == this.head.len() {
                    this.head = Vec::new();
                    this.at = 0;
                }
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, octets);
        self.watch(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, octets);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &[u8], max: usize) -> Result<Head, NoHead> {
        let mut text = text;
        Head::read(&mut text, max, Duration::from_secs(9)).await
    }

    fn target(line: &[u8]) -> (Option<Vec<u8>>, Vec<u8>) {
        let mut head = Head { octets: line.to_vec() };
        (head.take_odd_target(), head.octets)
    }

    #[tokio::test]
    async fn a_head_ends_with_an_empty_line() {
        assert_eq!(read(b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest", 100).await.unwrap().len(), 28);
        assert!(matches!(read(b"GET / HTTP/1.1\r\n", 100).await, Err(NoHead::Gone)));
        assert!(matches!(read(&[b'a'; 2000], 100).await, Err(NoHead::TooLong)));
        let long = [&[b'a'; 20_000][..], b"\r\n\r\n"].concat();
        assert_eq!(read(&long, 1 << 20).await.unwrap().len(), long.len());
    }

    #[test]
    fn only_odd_targets_are_taken_out() {
        assert_eq!(target(b"GET /ipxe?a=b HTTP/1.1\r\n").0, None);
        let (taken, rest) = target(b"GET /generic?a=<b> HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(taken.as_deref(), Some(&b"/generic?a=<b>"[..]));
        assert_eq!(rest, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let long = [&b"GET /x?"[..], &[b'a'; 100_000], b" HTTP/1.1\r\n"].concat();
        assert_eq!(target(&long).0.map(|target| target.len()), Some(100_003));
        assert_eq!(target(b"GET /a\x01 HTTP/1.1\r\n").0, None);
        assert_eq!(target(b"garbage\r\n").0, None);
    }
}
