//! The client: get a file into a writer, put a file from where a server would read it.

use super::content::{Content, Feed, Pieces, Span};
use super::feeder::Input;
use super::file_cache::FileCache;
use super::mtu::{PathMtu, header_octets};
use super::read::{Path, Sent, push_packet, send_blocks};
use super::shard::clock;
use super::socket::{Inbox, Port, prepare, segments_of};
use super::source::{Body, Opened};
use super::{DriverError, server::bind};
use crate::client::{Ask, Client, Failure, Received};
use crate::netascii;
use crate::sender::Rollover;
use crate::wire::{BlockSize, DATA_HEADER, Direction, ErrorCode, Mode, Options, TimeoutSeconds, WindowSize};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::Sleep;

/// Octets gathered before they are given to the writer.
const GATHERED: usize = 256 << 10;
/// The least buffer for a datagram: an OACK or ERROR fits.
const SMALL: usize = 1024;
/// Memory for pieces of a file that is put.
const CACHE: usize = 4 << 20;

/// Told now and then how far a transfer is: octets so far, and the length if it is known.
pub type Progress = Arc<dyn Fn(u64, Option<u64>) + Send + Sync>;

/// What a client asks for.
#[derive(Clone)]
pub struct ClientConfig {
    /// `octet` or `netascii`. Default `octet`.
    pub mode: Mode,
    /// The block size to ask for; the egress MTU lowers it. Default 1468. `None` asks for none: 512.
    pub block_size: Option<BlockSize>,
    /// The window to ask for. Default 64. `None` asks for none: 1.
    pub window_size: Option<WindowSize>,
    /// The time-out to ask for. Default none: both sides measure.
    pub timeout: Option<TimeoutSeconds>,
    /// Whether to ask for the length, or announce it. Default yes.
    pub transfer_size: bool,
    /// How long to answer a repeated last block (RFC 1350 §6). Default not at all: a server notices by itself.
    pub dally: Duration,
    /// The address to ask from. Default: the system's choice.
    pub local: Option<IpAddr>,
    /// Told how far it is.
    pub progress: Option<Progress>,
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("mode", &self.mode)
            .field("block_size", &self.block_size)
            .field("window_size", &self.window_size)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            mode: Mode::Octet,
            block_size: BlockSize::new(1468),
            window_size: WindowSize::new(64),
            timeout: None,
            transfer_size: true,
            dally: Duration::ZERO,
            local: None,
            progress: None,
        }
    }
}

/// What was transferred.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Summary {
    /// Octets of the file.
    pub octets: u64,
    /// Blocks.
    pub blocks: u64,
    /// Packets sent more than once.
    pub retransmits: u64,
    /// What the server granted.
    pub granted: Options,
    /// From the first request to the end.
    pub duration: Duration,
}

/// Why nothing, or not all, was transferred.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A socket could not be had.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The transfer failed.
    #[error(transparent)]
    Transfer(#[from] Failure),
    /// The file could not be written on our side.
    #[error("cannot write: {0}")]
    Write(#[source] io::Error),
    /// The file could not be read on our side.
    #[error("cannot read: {0}")]
    Read(String),
}

/// Gets `filename` from `server` into `writer`. Asks again with blocks of 512 octets if larger ones do not
/// arrive, and without options if the server refuses them.
///
/// # Errors
/// What was written before stays written.
pub async fn get(
    server: SocketAddr,
    filename: &[u8],
    config: &ClientConfig,
    writer: &mut (impl AsyncWrite + Unpin),
) -> Result<Summary, ClientError> {
    let mut options = asked(config, server, config.transfer_size.then_some(0));
    loop {
        let mut session = Session::new(server, filename, Direction::Read, config, options, None)?;
        match session.receive(config, writer).await {
            Ok(octets) => return Ok(session.summary(octets)),
            Err(ClientError::Transfer(failure)) => match weaker(options, &failure) {
                Some(fewer) => options = fewer,
                None => return Err(failure.into()),
            },
            Err(error) => return Err(error),
        }
    }
}

/// Puts a file to `server` as `filename`, with the fallbacks of [`get`] for files that can be read twice.
///
/// # Errors
/// The server may have kept nothing, or a part, as it likes.
pub async fn put(
    server: SocketAddr,
    filename: &[u8],
    config: &ClientConfig,
    mut file: Opened,
) -> Result<Summary, ClientError> {
    let unreadable = |error: io::Error| ClientError::Read(error.to_string());
    let length = file.wire_length(config.mode, config.transfer_size).await.map_err(unreadable)?;
    let mut options = asked(config, server, length.filter(|_| config.transfer_size));
    let mut outgoing = Outgoing::new(file.body, config.mode, length);
    loop {
        let mut session =
            Session::new(server, filename, Direction::Write, config, options, outgoing.length())?;
        match session.send(config, &mut outgoing).await {
            Ok(octets) => return Ok(session.summary(octets)),
            Err(ClientError::Transfer(failure)) => match weaker(options, &failure) {
                Some(fewer) if outgoing.is_repeatable() => options = fewer,
                _ => return Err(failure.into()),
            },
            Err(error) => return Err(error),
        }
    }
}

fn asked(config: &ClientConfig, server: SocketAddr, transfer_size: Option<u64>) -> Options {
    let mtu = PathMtu::default().of(clock(), server);
    let fitting = mtu.map(|mtu| mtu.saturating_sub(header_octets(server.ip()) + DATA_HEADER));
    let fitting = fitting.and_then(|octets| u16::try_from(octets).ok()).and_then(BlockSize::new);
    Options {
        block_size: config.block_size.map(|size| size.min(fitting.unwrap_or(BlockSize::MAX))),
        timeout: config.timeout,
        transfer_size,
        window_size: config.window_size.filter(|&window| window > WindowSize::DEFAULT),
    }
}

/// What to ask for after a failure that smaller or fewer options may mend.
fn weaker(options: Options, failure: &Failure) -> Option<Options> {
    match failure {
        Failure::NothingArrived if options.block_size > Some(BlockSize::DEFAULT) => {
            Some(Options { block_size: Some(BlockSize::DEFAULT), ..options })
        }
        Failure::Refused { code: ErrorCode::OptionRefused, .. } if !options.is_empty() => {
            Some(Options::default())
        }
        _ => None,
    }
}

/// One attempt: a socket and the engine.
struct Session {
    port: Port,
    inbox: Inbox,
    client: Client,
    out: Vec<u8>,
    sleep: std::pin::Pin<Box<Sleep>>,
    started: Instant,
}

impl Session {
    fn new(
        server: SocketAddr,
        filename: &[u8],
        direction: Direction,
        config: &ClientConfig,
        options: Options,
        length: Option<u64>,
    ) -> Result<Self, DriverError> {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let addr = SocketAddr::new(config.local.unwrap_or(any), 0);
        let socket = bind(addr).map_err(|source| DriverError::Bind { addr, source })?;
        prepare(&socket, GATHERED * 16)?;
        let slot = options.block_size.unwrap_or(BlockSize::DEFAULT).octets() + DATA_HEADER + 1;
        let ask = Ask {
            direction,
            filename: filename.to_vec(),
            mode: config.mode,
            options,
            rollover: Rollover::Zero,
        };
        let started = clock();
        Ok(Self {
            port: Port::new(socket)?,
            inbox: Inbox::new(slot.max(SMALL)),
            client: Client::new(started, server, ask, length),
            out: Vec::new(),
            sleep: Box::pin(tokio::time::sleep_until(started.into())),
            started,
        })
    }

    fn summary(&self, octets: u64) -> Summary {
        Summary {
            octets,
            blocks: self.client.blocks(),
            retransmits: self.client.retransmits(),
            granted: *self.client.granted(),
            duration: clock().saturating_duration_since(self.started),
        }
    }

    fn transmit(&mut self, now: Instant) {
        while let Some(to) = self.client.poll_transmit(now, &mut self.out) {
            push_packet(&mut self.port, to, None, &self.out);
        }
    }

    /// Waits for datagrams, room to send, or the time; `extra` may end the wait, too.
    async fn wait(
        &mut self,
        until: Instant,
        mut extra: impl FnMut(&mut std::task::Context<'_>) -> bool,
    ) -> Result<(), DriverError> {
        if self.sleep.deadline() != until.into() {
            self.sleep.as_mut().reset(until.into());
        }
        poll_fn(|cx| {
            let blocked = self.port.blocked;
            if (blocked && self.port.poll_unblocked(cx))
                || extra(cx)
                || self.sleep.as_mut().poll(cx).is_ready()
            {
                return Poll::Ready(Ok(()));
            }
            self.port.poll_readable(cx).map_err(DriverError::socket("wait for the socket"))
        })
        .await
    }

    async fn receive(
        &mut self,
        config: &ClientConfig,
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> Result<u64, ClientError> {
        let mut decoder = netascii::Decoder::default();
        let (mut gathered, mut octets) = (Vec::with_capacity(GATHERED), 0);
        loop {
            let now = clock();
            self.client.handle_timeout(now);
            self.transmit(now);
            self.port.flush();
            if gathered.len() >= GATHERED || self.client.is_over() {
                writer.write_all(&gathered).await.map_err(ClientError::Write)?;
                gathered.clear();
                if let Some(progress) = &config.progress {
                    progress(octets, self.client.granted().transfer_size);
                }
            }
            if let Some(result) = self.client.result() {
                decoder.finish(&mut gathered);
                writer.write_all(&gathered).await.map_err(ClientError::Write)?;
                writer.flush().await.map_err(ClientError::Write)?;
                result?;
                self.dally(config.dally).await?;
                return Ok(octets);
            }
            let until = self.client.poll_timeout().unwrap_or(now);
            self.wait(until, |_| false).await?;
            self.port.receive(&mut self.inbox);
            let now = clock();
            for at in 0..self.inbox.len() {
                let Some((arrival, datagram)) = self.inbox.arrival(at) else { break };
                if let Received::Block(block) = self.client.handle_datagram(now, arrival.from, datagram) {
                    octets += block.len() as u64;
                    match config.mode {
                        Mode::Octet => gathered.extend_from_slice(block),
                        Mode::Netascii => decoder.decode(block, &mut gathered),
                    }
                }
                while let Some(to) = self.client.poll_transmit(now, &mut self.out) {
                    push_packet(&mut self.port, to, None, &self.out);
                }
            }
        }
    }

    /// Answers the last block again, should it come again.
    async fn dally(&mut self, time: Duration) -> Result<(), DriverError> {
        let until = clock() + time.min(self.client.dally());
        while !time.is_zero() && clock() < until {
            self.wait(until, |_| false).await?;
            self.port.receive(&mut self.inbox);
            let now = clock();
            for at in 0..self.inbox.len() {
                let Some((arrival, datagram)) = self.inbox.arrival(at) else { break };
                self.client.handle_datagram(now, arrival.from, datagram);
            }
            self.transmit(now);
            self.port.flush();
        }
        Ok(())
    }

    async fn send(&mut self, config: &ClientConfig, outgoing: &mut Outgoing) -> Result<u64, ClientError> {
        let mut told = 0;
        loop {
            let now = clock();
            self.client.handle_timeout(now);
            let starved = self.flush_blocks(now, outgoing)?;
            self.transmit(now);
            self.port.flush();
            let (blocks, size) = (self.client.blocks(), self.client.block_size().octets());
            if let Some(result) = self.client.result() {
                return result.map(|()| outgoing.octets(size)).map_err(Into::into);
            }
            if let Some(progress) = &config.progress
                && (blocks - told) * size as u64 >= GATHERED as u64
            {
                told = blocks;
                progress(blocks * size as u64, outgoing.length());
            }
            let until = self.client.poll_timeout().unwrap_or(now);
            let wanted = self.client.next_blocks(u64::MAX).map(|range| *range.end());
            self.wait(until, |cx| starved && outgoing.poll_more(wanted.unwrap_or(0), cx)).await?;
            if let Content::Feed(Feed { last: Some(last), .. }) = &outgoing.content {
                self.client.set_last(*last);
            }
            self.port.receive(&mut self.inbox);
            let now = clock();
            for at in 0..self.inbox.len() {
                let Some((arrival, datagram)) = self.inbox.arrival(at) else { break };
                self.client.handle_datagram(now, arrival.from, datagram);
            }
            outgoing.content.release(self.client.blocks());
        }
    }

    /// Puts every block on the wire that the engine allows; `true` if the file is slow.
    fn flush_blocks(&mut self, now: Instant, outgoing: &mut Outgoing) -> Result<bool, ClientError> {
        let Some(to) = self.client.peer() else { return Ok(false) };
        let block_size = self.client.block_size().octets();
        outgoing.begin(block_size);
        loop {
            let limit = if outgoing.segmented { segments_of(block_size) as u64 } else { 1 };
            let Some(range) = self.client.next_blocks(limit) else { return Ok(false) };
            if self.port.blocked {
                return Ok(false);
            }
            let end = *range.end();
            let pieces = match outgoing.content.span(*range.start(), end, block_size, &mut outgoing.cache) {
                Span::Here(pieces) => pieces,
                Span::Later => return Ok(true),
                Span::Failed(why) => {
                    self.client.cancel(ErrorCode::NotDefined, "file cannot be read");
                    self.transmit(now);
                    self.port.flush();
                    return Err(ClientError::Read(why));
                }
            };
            let path = Path { to, from: None, block_size };
            let client = &self.client;
            match send_blocks(&mut self.port, path, range, pieces, |block| client.data_header(block)) {
                Sent::All => self.client.mark_sent(now, end),
                Sent::AllThenBlocked => {
                    self.client.mark_sent(now, end);
                    return Ok(false);
                }
                Sent::Blocked => return Ok(false),
                Sent::Unsegmentable => outgoing.segmented = false,
            }
        }
    }
}

/// A file on its way to a server.
struct Outgoing {
    content: Content,
    cache: FileCache,
    known: Option<u64>,
    segmented: bool,
    /// A stream that waits for the block size.
    waiting: Option<(Input, Mode)>,
}

impl Outgoing {
    fn new(body: Body, mode: Mode, length: Option<u64>) -> Self {
        let mut cache = FileCache::new(CACHE);
        let empty = || Content::Bytes(bytes::Bytes::new());
        let (content, waiting) = match (body, mode) {
            (Body::Bytes(bytes), _) => (Content::Bytes(bytes), None),
            (Body::File { file, key, head }, Mode::Octet) => {
                let id = cache.open(file, key);
                (Content::File(Pieces::new(id, key.length, head)), None)
            }
            (Body::File { file, .. }, Mode::Netascii) => (empty(), Some((Input::File(Arc::new(file)), mode))),
            (Body::Stream { reader, .. }, _) => (empty(), Some((Input::Stream(reader), mode))),
        };
        let known = length.filter(|_| waiting.is_none());
        Self { content, cache, known, segmented: waiting.is_none(), waiting }
    }

    /// The block size is agreed on.
    fn begin(&mut self, block_size: usize) {
        if let Some((input, mode)) = self.waiting.take() {
            self.content = Content::Feed(Feed::new(input, mode, block_size));
        }
    }

    const fn length(&self) -> Option<u64> {
        self.known
    }

    fn octets(&self, block_size: usize) -> u64 {
        self.content.octets(u64::MAX / block_size as u64, block_size)
    }

    fn is_repeatable(&self) -> bool {
        self.waiting.is_some() || !matches!(self.content, Content::Feed(_))
    }

    /// Whether something has come for a transfer that waited.
    fn poll_more(&mut self, until: u64, cx: &mut std::task::Context<'_>) -> bool {
        match &mut self.content {
            Content::Feed(feed) => feed.poll_fill(until, cx),
            _ => self.cache.poll_loaded(cx),
        }
    }
}
