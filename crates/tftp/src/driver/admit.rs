//! From a request to a transfer: admission, opening, negotiation.

use super::content::{Content, Feed, Pieces};
use super::event::{Cause, Event};
use super::feeder::{self, Input};
use super::mtu::header_octets;
use super::read::Read;
use super::shard::{Shard, WRITABLE_DATAGRAM};
use super::source::{Body, OpenRequest, Opened, Refusal, Source, Upload};
use super::transfer::{Half, Transfer, canonical};
use super::write::{WINDOW, Write, Written};
use crate::negotiate::{Terms, last_block};
use crate::receiver::{Receiver, ReceiverConfig};
use crate::sender::{Rollover, Sender, SenderConfig};
use crate::server::{Admission, Ignored, TransferId};
use crate::wire::{BlockSize, DATA_HEADER, Direction, ErrorCode, Mode, Options, Request, WindowSize};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A request whose file is being opened.
#[derive(Debug)]
pub(super) struct Pending {
    peer: SocketAddr,
    local: Option<IpAddr>,
    options: Options,
    path: String,
    started: Instant,
}

/// What a source answered.
pub(super) enum Answered {
    /// A file, opened, with the length it has on the wire.
    Read(Opened, Option<u64>),
    /// Room for a file.
    Write(Upload),
}

/// What a source answered, and in which mode it is wanted.
pub(super) type Ready = Result<(Answered, Mode), Refusal>;

/// A transfer's half with what was agreed on: block size, options, length.
type Begun = (Half, BlockSize, Options, Option<u64>);

impl<S: Source> Shard<S> {
    /// Takes the datagram `at` in the inbox, which came to the port for requests.
    pub(super) fn handle_request(&mut self, now: Instant, at: usize) {
        let Some((arrival, datagram)) = self.inbox.arrival(at) else { return };
        let (peer, local) = (arrival.from, arrival.local);
        match self.server.handle_request(now, peer, datagram) {
            Ok(Admission::Start { id, request, replaces }) => {
                let open = OpenRequest::new(request.filename.to_vec(), request.mode, canonical(peer), local);
                let (options, direction) = (request.options, request.direction);
                if let Some(old) = replaces {
                    self.pending.remove(&old);
                    if let Some(&slot) = self.by_peer.get(&peer) {
                        self.end(now, slot, Some(Cause::Replaced));
                    }
                }
                if self.pending.len() >= self.config.pending_opens {
                    self.server.finish(peer, Some(id));
                    (self.events)(Event::Ignored {
                        peer: canonical(peer),
                        reason: Ignored::TooManyTransfers,
                    });
                    return;
                }
                let path = open.path_lossy().into_owned();
                self.pending.insert(id, Pending { peer, local, options, path, started: now });
                self.ask_source(id, direction, open, options.transfer_size);
            }
            Ok(Admission::Repeat(id)) => {
                let Some(&slot) = self.by_peer.get(&peer) else { return };
                let Some(transfer) = self.transfers.get_mut(slot).and_then(Option::as_mut) else { return };
                if transfer.id == id {
                    match &mut transfer.half {
                        Half::Read(read) => read.sender.repeat(now),
                        Half::Write(write) => write.receiver.repeat_start(now),
                    }
                    self.wake(slot);
                }
            }
            Ok(Admission::Refuse { code, reason }) => {
                let path = Request::parse(datagram)
                    .map(|request| String::from_utf8_lossy(request.filename).into_owned())
                    .unwrap_or_default();
                let port = self.answer_port();
                self.send_error(port, peer, local, code, reason);
                (self.events)(Event::Refused { peer: canonical(peer), path, code, reason: reason.into() });
            }
            Err(reason) => (self.events)(Event::Ignored { peer: canonical(peer), reason }),
        }
    }

    fn ask_source(&mut self, id: TransferId, direction: Direction, open: OpenRequest, size: Option<u64>) {
        let (source, wait, mode) = (Arc::clone(&self.source), self.config.open_timeout, open.mode);
        self.opens.spawn(async move {
            let answered = async {
                match direction {
                    Direction::Read => open_file(&*source, open, mode, size.is_some()).await,
                    Direction::Write => source.create(open, size).await.map(Answered::Write),
                }
            };
            let slow = |_| Err(Refusal::new(ErrorCode::NotDefined, "file did not open in time"));
            let answered = tokio::time::timeout(wait, answered).await.unwrap_or_else(slow);
            (id, answered.map(|answered| (answered, mode)))
        });
    }

    /// The port for the next transfer: never the one that was used last, if there is another (RFC 1350 §4).
    const fn answer_port(&mut self) -> usize {
        let others = self.ports.len() - 1;
        if others == 0 {
            return 0;
        }
        self.next_port = self.next_port % others + 1;
        self.next_port
    }

    /// A source has answered.
    pub(super) fn handle_opened(&mut self, now: Instant, id: TransferId, ready: Ready) {
        let Some(pending) = self.pending.remove(&id) else { return };
        let (peer, local, port) = (pending.peer, pending.local, self.answer_port());
        let (answered, mode) = match ready {
            Ok(ready) => ready,
            Err(Refusal { code, message }) => {
                self.server.finish(peer, Some(id));
                self.send_error(port, peer, local, code, &message);
                let path = pending.path;
                (self.events)(Event::Refused { peer: canonical(peer), path, code, reason: message });
                return;
            }
        };
        let (half, block_size, options, length) = match answered {
            Answered::Read(opened, length) => self.begin_read(now, &pending, opened, mode, length),
            Answered::Write(upload) => self.begin_write(now, &pending, upload, mode),
        };
        let transfer = Transfer {
            id,
            peer,
            local,
            port,
            block_size: block_size.octets(),
            options,
            path: pending.path,
            started: pending.started,
            message: String::new(),
            armed: None,
            queued: false,
            half,
        };
        (self.events)(transfer.started(length));
        let slot = self.free.pop().unwrap_or_else(|| {
            self.transfers.push(None);
            self.transfers.len() - 1
        });
        if let Some(place) = self.transfers.get_mut(slot) {
            *place = Some(transfer);
        }
        self.by_peer.insert(peer, slot);
        self.wake(slot);
    }

    /// The largest block whose datagram is not fragmented on its way to a peer.
    fn fitting(&mut self, now: Instant, peer: SocketAddr) -> Option<BlockSize> {
        let peer = canonical(peer);
        let octets = self.mtu.of(now, peer)?.saturating_sub(header_octets(peer.ip()) + DATA_HEADER);
        BlockSize::new(u16::try_from(octets).unwrap_or(u16::MAX).min(BlockSize::MAX.into()))
    }

    fn begin_read(
        &mut self,
        now: Instant,
        pending: &Pending,
        opened: Opened,
        mode: Mode,
        length: Option<u64>,
    ) -> Begun {
        let quirks = opened.quirks;
        let buffered = matches!(opened.body, Body::Stream { .. })
            || (mode == Mode::Netascii && !matches!(opened.body, Body::Bytes(_)));
        let fitting = self.fitting(now, pending.peer);
        let mut largest = self.config.max_block_size.min(quirks.block_size.unwrap_or(BlockSize::MAX));
        if !quirks.allow_fragments.unwrap_or(self.config.allow_fragments) {
            largest = largest.min(fitting.unwrap_or(BlockSize::MAX));
        }
        let most = if buffered { self.config.max_buffered_octets } else { self.config.max_window_octets };
        let terms = Terms {
            block_size: largest,
            window_size: self.config.max_window_size,
            window_octets: most,
            transfer_size: length.filter(|_| !quirks.hide_transfer_size),
        };
        let options = terms.grant(&pending.options);
        let block_size = options.block_size.unwrap_or(BlockSize::DEFAULT);
        let known = length.filter(|_| !buffered);
        let config = SenderConfig {
            window: options.window_size.unwrap_or(WindowSize::DEFAULT),
            option_ack: !options.is_empty(),
            rollover: quirks.rollover,
            timeout: negotiated(&options),
            last: known.map(|length| last_block(length, block_size)),
        };
        let content = self.content(opened.body, mode, block_size);
        self.feeds += usize::from(!content.is_contiguous());
        let segmented = content.is_contiguous() && fitting.is_some_and(|most| block_size <= most);
        let sender = Sender::new(now, &config);
        (Half::Read(Read { sender, content, segmented, starved: false }), block_size, options, length)
    }

    fn content(&mut self, body: Body, mode: Mode, block_size: BlockSize) -> Content {
        let octets = block_size.octets();
        match (body, mode) {
            (Body::Bytes(bytes), _) => Content::Bytes(bytes), // converted when it was opened
            (Body::File { file, key, head }, Mode::Octet) => {
                Content::File(Pieces::new(self.cache.open(file, key), key.length, head))
            }
            (Body::File { file, .. }, Mode::Netascii) => {
                Content::Feed(Feed::new(Input::File(Arc::new(file)), mode, octets))
            }
            (Body::Stream { reader, .. }, _) => Content::Feed(Feed::new(Input::Stream(reader), mode, octets)),
        }
    }

    fn begin_write(&mut self, now: Instant, pending: &Pending, upload: Upload, mode: Mode) -> Begun {
        let received = u16::try_from(WRITABLE_DATAGRAM - DATA_HEADER).ok().and_then(BlockSize::new);
        let mut largest = self.config.max_block_size.min(received.unwrap_or(BlockSize::DEFAULT));
        if !self.config.allow_fragments {
            largest = largest.min(self.fitting(now, pending.peer).unwrap_or(largest));
        }
        let terms = Terms {
            block_size: largest,
            window_size: self
                .config
                .max_window_size
                .min(WindowSize::new(WINDOW).unwrap_or(WindowSize::DEFAULT)),
            window_octets: self.config.max_buffered_octets,
            transfer_size: pending.options.transfer_size,
        };
        let options = terms.grant(&pending.options);
        let block_size = options.block_size.unwrap_or(BlockSize::DEFAULT);
        let config = ReceiverConfig {
            block_size,
            window: options.window_size.unwrap_or(WindowSize::DEFAULT),
            rollover: Rollover::Zero,
            timeout: negotiated(&options),
            acknowledge_start: true,
        };
        let receiver = Receiver::new(now, &config);
        let write = Write::new(receiver, upload, mode, !options.is_empty());
        (Half::Write(write), block_size, options, options.transfer_size)
    }

    /// A piece of a file that a client writes is written, or cannot be.
    pub(super) fn handle_written(&mut self, now: Instant, (id, written): Written) {
        let found = self.transfers.iter().position(|transfer| transfer.as_ref().is_some_and(|t| t.id == id));
        let Some(slot) = found else { return }; // its client has gone; the sink removes what it wrote
        let Some(transfer) = self.transfers.get_mut(slot).and_then(Option::as_mut) else { return };
        match written {
            Ok(sink) => {
                if let Half::Write(write) = &mut transfer.half {
                    write.handle_written(now, sink);
                }
                self.wake(slot);
            }
            Err(Refusal { code, message }) => {
                let (port, peer, local) = (transfer.port, transfer.peer, transfer.local);
                self.send_error(port, peer, local, code, &message);
                self.end(now, slot, Some(Cause::Failed(message)));
            }
        }
    }
}

fn negotiated(options: &Options) -> Option<Duration> {
    options.timeout.map(|timeout| Duration::from_secs(timeout.seconds().into()))
}

/// Opens a file and says how long it is on the wire, if that is known.
async fn open_file<S: Source>(
    source: &S,
    request: OpenRequest,
    mode: Mode,
    sized: bool,
) -> Result<Answered, Refusal> {
    let mut opened = source.open(request).await?;
    let length = opened.wire_length(mode, sized).await;
    let unreadable = |_| Refusal::new(ErrorCode::NotDefined, "file cannot be read");
    Ok(Answered::Read(opened, length.map_err(unreadable)?))
}

impl Opened {
    /// The length on the wire, if it is known. Converts what is in memory. Counts a file only if `sized`.
    pub(super) async fn wire_length(&mut self, mode: Mode, sized: bool) -> std::io::Result<Option<u64>> {
        Ok(match (&mut self.body, mode) {
            (Body::Bytes(bytes), Mode::Octet) => Some(bytes.len() as u64),
            (Body::Bytes(bytes), Mode::Netascii) => {
                let mut text = Vec::new();
                crate::netascii::encode(bytes, &mut text);
                *bytes = text.into();
                Some(bytes.len() as u64)
            }
            (Body::File { key, .. }, Mode::Octet) => Some(key.length),
            (Body::File { file, key, .. }, Mode::Netascii) if sized => {
                let (file, length) = (file.try_clone()?, key.length);
                let count = move || feeder::netascii_length(&file, length);
                tokio::task::spawn_blocking(count).await.map_err(std::io::Error::other)??
            }
            (Body::Stream { length, .. }, Mode::Octet) => *length,
            (Body::File { .. } | Body::Stream { .. }, Mode::Netascii) => None,
        })
    }
}
