//! Where files come from: one small trait, and what it may answer.

use crate::wire::{BlockSize, ErrorCode, Mode};
use bytes::Bytes;
use std::borrow::Cow;
use std::fs::File;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileExt, MetadataExt};
use tokio::io::AsyncRead;

/// Octets of a file read when it is opened: what a request without options is answered with.
const HEAD: usize = 512;

/// Opens what clients ask for. Each call runs as its own task: it may wait, it must not block.
pub trait Source: Send + Sync + 'static {
    /// Opens the file, or says with which ERROR to refuse it.
    fn open(&self, request: OpenRequest) -> impl Future<Output = Result<Opened, Refusal>> + Send;

    /// Makes room for a file that a client wants to write, `announced` octets long if it said so (RFC 2349).
    /// Called only where [`crate::Limits::writable`] is set. Without an implementation: ERROR 2.
    fn create(
        &self,
        request: OpenRequest,
        announced: Option<u64>,
    ) -> impl Future<Output = Result<Upload, Refusal>> + Send {
        let _ = (request, announced);
        async { Err(Refusal::access_violation()) }
    }
}

/// Where a file that a client writes goes. Both methods are called on the blocking pool; dropped before
/// [`Self::commit`], it leaves nothing behind.
pub trait Sink: Send {
    /// Takes the next octets.
    ///
    /// # Errors
    /// Anything; a full disk is reported to the client as such.
    fn write(&mut self, octets: &[u8]) -> io::Result<()>;

    /// Puts the complete file in its place. Only then the client is told that it has arrived.
    ///
    /// # Errors
    /// Anything; the file is not there then.
    fn commit(self: Box<Self>) -> io::Result<()>;
}

/// A file that a client writes.
pub struct Upload {
    pub(super) sink: Box<dyn Sink>,
    pub(super) quota: u64,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("quota", &self.quota).finish_non_exhaustive()
    }
}

impl Upload {
    /// A file of at most `quota` octets; more end the transfer with ERROR 3.
    pub fn new(sink: impl Sink + 'static, quota: u64) -> Self {
        Self { sink: Box::new(sink), quota }
    }
}

/// What is asked for, by whom.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenRequest {
    /// The name as it came: any octets but NUL.
    pub path: Vec<u8>,
    /// `octet` or `netascii`; the driver converts, a source gives the file as it is.
    pub mode: Mode,
    /// The client, canonical (never an IPv4-mapped address).
    pub peer: SocketAddr,
    /// The address the client asked, if the socket tells.
    pub local: Option<IpAddr>,
}

impl OpenRequest {
    /// A request for `path` by `peer`.
    #[must_use]
    pub const fn new(path: Vec<u8>, mode: Mode, peer: SocketAddr, local: Option<IpAddr>) -> Self {
        Self { path, mode, peer, local }
    }

    /// The name as text, octets that are no UTF-8 replaced.
    #[must_use]
    pub fn path_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.path)
    }
}

/// An open file, and how this client wants it.
#[derive(Debug)]
pub struct Opened {
    pub(super) body: Body,
    pub(super) quirks: Quirks,
}

/// What a client needs otherwise than the server's configuration says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quirks {
    pub(super) block_size: Option<BlockSize>,
    pub(super) allow_fragments: Option<bool>,
    pub(super) hide_transfer_size: bool,
    pub(super) rollover: crate::Rollover,
}

pub(super) enum Body {
    Bytes(Bytes),
    File { file: File, key: FileKey, head: Bytes },
    Stream { reader: Box<dyn AsyncRead + Send + Unpin>, length: Option<u64> },
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::File { key, .. } => key.fmt(f),
            Self::Stream { length, .. } => write!(f, "Stream({length:?})"),
        }
    }
}

/// One state of one file: two clients that see the same share its pieces in memory.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct FileKey {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) modified: (i64, i64),
    pub(super) length: u64,
}

impl FileKey {
    /// What a regular file is now.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            length: metadata.len(),
        })
    }
}

impl Opened {
    fn of(body: Body) -> Self {
        Self { body, quirks: Quirks::default() }
    }

    /// A file in memory, for example a rendered one. Cloned `Bytes` share their memory.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::of(Body::Bytes(bytes.into()))
    }

    /// A regular file. It blocks: call it where blocking is allowed.
    ///
    /// # Errors
    /// The file cannot be read, or is not a regular file.
    pub fn file(file: File) -> io::Result<Self> {
        let key = FileKey::of(&file)?;
        let mut head = vec![0; usize::try_from(key.length).unwrap_or(HEAD).min(HEAD)];
        file.read_exact_at(&mut head, 0)?;
        Ok(Self::of(Body::File { file, key, head: head.into() }))
    }

    /// A stream, read once. Without `length` there is no `tsize` (RFC 2349), and some firmware will not boot.
    pub fn stream(reader: impl AsyncRead + Send + Unpin + 'static, length: Option<u64>) -> Self {
        Self::of(Body::Stream { reader: Box::new(reader), length })
    }

    /// Grants this client no larger block.
    #[must_use]
    pub const fn with_max_block_size(mut self, size: BlockSize) -> Self {
        self.quirks.block_size = Some(size);
        self
    }

    /// Says for this client whether blocks may exceed the egress MTU.
    #[must_use]
    pub const fn with_fragments(mut self, allowed: bool) -> Self {
        self.quirks.allow_fragments = Some(allowed);
        self
    }

    /// Leaves `tsize` out of the answer, for firmware that chokes on it.
    #[must_use]
    pub const fn without_transfer_size(mut self) -> Self {
        self.quirks.hide_transfer_size = true;
        self
    }

    /// Says what follows block 65535 for this client.
    #[must_use]
    pub const fn with_rollover(mut self, rollover: crate::Rollover) -> Self {
        self.quirks.rollover = rollover;
        self
    }
}

/// The ERROR to refuse a request with.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}: ERROR {code}")]
pub struct Refusal {
    /// The code to send.
    pub code: ErrorCode,
    /// The message to send. It reaches a stranger: no paths of the host, no secrets.
    pub message: String,
}

impl Refusal {
    /// Any code with any message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// ERROR 1.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(ErrorCode::FileNotFound, "file not found")
    }

    /// ERROR 2.
    #[must_use]
    pub fn access_violation() -> Self {
        Self::new(ErrorCode::AccessViolation, "access violation")
    }
}
