//! Files that cannot be read twice: streams, and files that are converted to netascii on their way.
//!
//! A task reads ahead, cuts blocks and hands them over a bounded channel; the transfer keeps those that
//! the client has not acknowledged.

use crate::netascii;
use crate::wire::Mode;
use bytes::{Bytes, BytesMut};
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

/// Blocks read ahead of the window.
const AHEAD: usize = 4;
/// Octets read at once.
const READ: usize = 8 << 10;
/// The longest file whose netascii length is counted for `tsize`; a longer one goes without.
const COUNTED: u64 = 64 << 20;

/// A block, the last of which is shorter than the others.
pub(super) type Block = io::Result<Bytes>;

pub(super) enum Input {
    Stream(Box<dyn AsyncRead + Send + Unpin>),
    File(Arc<File>),
}

impl Input {
    async fn read(&mut self, offset: u64) -> io::Result<Vec<u8>> {
        match self {
            Self::Stream(reader) => {
                let mut octets = vec![0; READ];
                let read = reader.read(&mut octets).await?;
                octets.truncate(read);
                Ok(octets)
            }
            Self::File(file) => {
                let file = Arc::clone(file);
                let read = move || {
                    let mut octets = vec![0; READ];
                    let read = file.read_at(&mut octets, offset)?;
                    octets.truncate(read);
                    Ok(octets)
                };
                tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
            }
        }
    }
}

/// Starts the task; it ends when the receiver is dropped.
pub(super) fn feed(input: Input, mode: Mode, block: usize) -> mpsc::Receiver<Block> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        if let Err(error) = run(input, mode, block, &sender).await {
            let _ = sender.send(Err(error)).await;
        }
    });
    receiver
}

async fn run(mut input: Input, mode: Mode, block: usize, sender: &mpsc::Sender<Block>) -> io::Result<()> {
    let mut ready = BytesMut::new();
    let (mut offset, mut text) = (0, Vec::new());
    loop {
        let Some(read) = unless_closed(sender, input.read(offset)).await else { return Ok(()) };
        let read = read?;
        let end = read.is_empty();
        offset += read.len() as u64;
        match mode {
            Mode::Octet => ready.extend_from_slice(&read),
            Mode::Netascii => {
                text.clear();
                netascii::encode(&read, &mut text);
                ready.extend_from_slice(&text);
            }
        }
        while ready.len() >= block {
            if sender.send(Ok(ready.split_to(block).freeze())).await.is_err() {
                return Ok(());
            }
        }
        if end {
            let _ = sender.send(Ok(ready.freeze())).await;
            return Ok(());
        }
    }
}

/// What the future says, unless nobody wants it any more.
async fn unless_closed<T>(sender: &mpsc::Sender<Block>, wanted: impl Future<Output = T>) -> Option<T> {
    let (mut wanted, mut closed) = (std::pin::pin!(wanted), std::pin::pin!(sender.closed()));
    poll_fn(|cx| match wanted.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => closed.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// The length of a file in netascii, if it is short enough to count. It blocks.
pub(super) fn netascii_length(file: &File, length: u64) -> io::Result<Option<u64>> {
    if length > COUNTED {
        return Ok(None);
    }
    let (mut octets, mut offset, mut total) = (vec![0; 64 << 10], 0, 0);
    loop {
        let read = file.read_at(&mut octets, offset)?;
        let Some(octets) = octets.get(..read).filter(|octets| !octets.is_empty()) else {
            return Ok(Some(total));
        };
        offset += octets.len() as u64;
        total += netascii::encoded_len(octets);
    }
}
