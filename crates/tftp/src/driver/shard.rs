//! The loop of a server: ports, transfers and timers of one thread, as one hand-written future.
//!
//! Each poll receives what has come, asks the engines, sends what they want sent, and leaves wakers with
//! whatever may make it go on.

use super::config::ServerConfig;
use super::content::{Content, Feed};
use super::event::{Cause, Event, EventSink};
use super::feeder::{self, Input};
use super::file_cache::FileCache;
use super::mtu::{PathMtu, header_octets};
use super::socket::{Datagram, Inbox, Port};
use super::source::{Body, OpenRequest, Opened, Refusal, Source};
use super::transfer::{Flushed, Transfer, canonical};
use crate::negotiate::{Terms, last_block};
use crate::sender::{Sender, SenderConfig};
use crate::server::{Admission, Ignored, Server, TransferId};
use crate::wire::{
    BlockSize, DATA_HEADER, ErrorCode, Mode, Options, Packet, Request, WindowSize, encode_error,
};
use bytes::Bytes;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::Sleep;

/// Octets kept of one datagram. Requests are far shorter; a longer one is cut and so malformed.
const DATAGRAM: usize = 2048;
/// Batches taken from one port before the others have their turn.
const TURNS: usize = 8;
/// Without transfers for this long, memory of files is given back.
const IDLE: Duration = Duration::from_secs(30);

/// A request whose file is being opened.
#[derive(Debug)]
struct Pending {
    peer: SocketAddr,
    local: Option<IpAddr>,
    options: Options,
    path: String,
    started: Instant,
}

/// A file, opened, with the length it has on the wire.
type Ready = Result<(Opened, Mode, Option<u64>), Refusal>;

pub(super) struct Shard<S> {
    ports: Vec<Port>,
    config: ServerConfig,
    source: Arc<S>,
    events: EventSink,
    server: Server,
    inbox: Inbox,
    mtu: PathMtu,
    cache: FileCache,
    transfers: Vec<Option<Transfer>>,
    free: Vec<usize>,
    by_peer: HashMap<SocketAddr, usize>,
    pending: HashMap<TransferId, Pending>,
    opens: JoinSet<(TransferId, Ready)>,
    /// Transfers that may have something to send.
    queue: VecDeque<usize>,
    timers: BinaryHeap<Reverse<(Instant, usize, TransferId)>>,
    sleep: Pin<Box<Sleep>>,
    next_port: usize,
    idle_since: Instant,
    draining: Option<Instant>,
}

#[expect(clippy::disallowed_methods, reason = "drivers read the clock")]
fn clock() -> Instant {
    Instant::now()
}

impl<S: Source> Shard<S> {
    pub(super) fn new(ports: Vec<Port>, config: ServerConfig, source: Arc<S>, events: EventSink) -> Self {
        let now = clock();
        Self {
            ports,
            source,
            events,
            server: Server::new(config.limits),
            inbox: Inbox::new(DATAGRAM),
            mtu: PathMtu::default(),
            cache: FileCache::new(config.cache_octets),
            config,
            transfers: Vec::new(),
            free: Vec::new(),
            by_peer: HashMap::new(),
            pending: HashMap::new(),
            opens: JoinSet::new(),
            queue: VecDeque::new(),
            timers: BinaryHeap::new(),
            sleep: Box::pin(tokio::time::sleep_until((now + IDLE).into())),
            next_port: 0,
            idle_since: now,
            draining: None,
        }
    }

    pub(super) const fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// Takes no more requests; the transfers under way may finish until the drain time is over.
    pub(super) fn drain(&mut self) {
        self.draining = Some(clock() + self.config.drain);
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        let mut now = clock();
        loop {
            let more = self.poll_receive(now, cx)?;
            while let Poll::Ready(Some(done)) = self.opens.poll_join_next(cx) {
                if let Ok((id, ready)) = done {
                    self.opened(now, id, ready);
                }
            }
            if self.cache.poll_loaded(cx) {
                self.wake_starved(|transfer| !matches!(transfer.content, Content::Feed(_)));
            }
            self.poll_feeds(cx);
            self.fire_timers(now);
            self.flush_queue(now);
            self.poll_blocked(cx);
            if self.is_over(now) {
                return Ok(Poll::Ready(()));
            }
            if more {
                // Others on this runtime have their turn, too.
                cx.waker().wake_by_ref();
                return Ok(Poll::Pending);
            }
            let blocked = self.ports.iter().any(|port| port.blocked);
            if !self.poll_sleep(cx) && (self.queue.is_empty() || blocked) {
                return Ok(Poll::Pending);
            }
            now = clock();
        }
    }

    /// Takes what has come at every port; `true` if there may be more.
    fn poll_receive(&mut self, now: Instant, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut more = false;
        for index in 0..self.ports.len() {
            for turn in 1..=TURNS {
                let Some(port) = self.ports.get(index) else { break };
                let Poll::Ready(ready) = port.fd.poll_recv_ready(cx) else { break };
                ready?;
                port.receive(&mut self.inbox);
                for at in 0..self.inbox.len() {
                    self.handle_datagram(now, index, at);
                }
                more |= turn == TURNS;
            }
        }
        Ok(more)
    }

    fn handle_datagram(&mut self, now: Instant, index: usize, at: usize) {
        let Some((arrival, datagram)) = self.inbox.arrival(at) else { return };
        let peer = arrival.from;
        let is_listener = index == 0;
        if let Some(&slot) = self.by_peer.get(&peer)
            && let Some(transfer) = self.transfers.get_mut(slot).and_then(Option::as_mut)
            && transfer.port == index
            && !(is_listener && Request::has_opcode(datagram))
        {
            match Packet::parse(datagram) {
                Ok(Packet::Ack(number)) => {
                    transfer.sender.handle_ack(now, number);
                    transfer.content.release(transfer.sender.acked());
                    if transfer.sender.is_answered() {
                        self.server.answered(peer);
                    }
                }
                Ok(Packet::Error(code, message)) => {
                    transfer.message = String::from_utf8_lossy(message).into_owned();
                    transfer.sender.handle_error(code);
                }
                Ok(Packet::Data(..) | Packet::OptionAck(_)) | Err(_) => return, // stray: the timer keeps running
            }
            if transfer.sender.is_over() {
                self.end(now, slot, None);
            } else if !transfer.queued {
                transfer.queued = true;
                self.queue.push_back(slot);
            }
            return;
        }
        if !is_listener {
            self.stray(now, index, arrival.from, arrival.local, at);
            return;
        }
        if self.draining.is_some() {
            return;
        }
        self.request(now, at);
    }

    /// A packet at a transfer's port from somebody else (RFC 1350 §4).
    fn stray(&mut self, now: Instant, index: usize, peer: SocketAddr, local: Option<IpAddr>, at: usize) {
        let Some((_, datagram)) = self.inbox.arrival(at) else { return };
        let reason = match Packet::parse(datagram) {
            Ok(Packet::Error(..)) => Ignored::NoTransfer, // never answered: RFC 1350 §7
            Ok(_) if self.server.allow_stray_error(now, peer) => {
                self.send_error(index, peer, local, ErrorCode::UnknownTransferId, "unknown transfer ID");
                Ignored::NoTransfer
            }
            Ok(_) => Ignored::Unanswered,
            Err(error) => Ignored::Malformed(error),
        };
        (self.events)(Event::Ignored { peer: canonical(peer), reason });
    }

    fn request(&mut self, now: Instant, at: usize) {
        let Some((arrival, datagram)) = self.inbox.arrival(at) else { return };
        let (peer, local) = (arrival.from, arrival.local);
        let busy = self.pending.len() >= self.config.pending_opens;
        match self.server.handle_request(now, peer, datagram) {
            Ok(Admission::Start { id, request, replaces }) => {
                let open = OpenRequest::new(request.filename.to_vec(), request.mode, canonical(peer), local);
                let options = request.options;
                let path = open.path_lossy().into_owned();
                if let Some(old) = replaces {
                    self.pending.remove(&old);
                    let slot = self.by_peer.get(&peer).copied();
                    if let Some(slot) = slot {
                        self.end(now, slot, Some(Cause::Replaced));
                    }
                }
                if busy {
                    self.server.finish(peer, Some(id));
                    (self.events)(Event::Ignored {
                        peer: canonical(peer),
                        reason: Ignored::TooManyTransfers,
                    });
                    return;
                }
                self.pending.insert(id, Pending { peer, local, options, path, started: now });
                let (source, wait) = (Arc::clone(&self.source), self.config.open_timeout);
                let mode = open.mode;
                let sized = options.transfer_size.is_some();
                self.opens.spawn(async move {
                    let opened = tokio::time::timeout(wait, open_file(&*source, open, mode, sized)).await;
                    let slow = |_| Err(Refusal::new(ErrorCode::NotDefined, "file did not open in time"));
                    (id, opened.unwrap_or_else(slow))
                });
            }
            Ok(Admission::Repeat(id)) => {
                let Some(&slot) = self.by_peer.get(&peer) else { return };
                let Some(transfer) = self.transfers.get_mut(slot).and_then(Option::as_mut) else { return };
                if transfer.id == id {
                    transfer.sender.repeat(now);
                    if !std::mem::replace(&mut transfer.queued, true) {
                        self.queue.push_back(slot);
                    }
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

    /// The port for the next transfer: never the one that was used last, if there is another (RFC 1350 §4).
    const fn answer_port(&mut self) -> usize {
        let others = self.ports.len() - 1;
        if others == 0 {
            return 0;
        }
        self.next_port = self.next_port % others + 1;
        self.next_port
    }

    fn opened(&mut self, now: Instant, id: TransferId, ready: Ready) {
        let Some(pending) = self.pending.remove(&id) else { return };
        let Pending { peer, local, options: asked, path, started } = pending;
        let port = self.answer_port();
        let (opened, mode, length) = match ready {
            Ok(ready) => ready,
            Err(Refusal { code, message }) => {
                self.server.finish(peer, Some(id));
                self.send_error(port, peer, local, code, &message);
                (self.events)(Event::Refused { peer: canonical(peer), path, code, reason: message });
                return;
            }
        };
        let quirks = opened.quirks;
        let buffered = matches!(opened.body, Body::Stream { .. })
            || (mode == Mode::Netascii && !matches!(opened.body, Body::Bytes(_)));
        let octets = if buffered { self.config.max_buffered_octets } else { self.config.max_window_octets };
        let mtu = self.mtu.of(now, canonical(peer));
        let fitting =
            mtu.map(|mtu| mtu.saturating_sub(header_octets(peer.ip().to_canonical()) + DATA_HEADER));
        let mut largest = self.config.max_block_size.min(quirks.block_size.unwrap_or(BlockSize::MAX));
        if !quirks.allow_fragments.unwrap_or(self.config.allow_fragments)
            && let Some(fitting) = fitting.and_then(|octets| BlockSize::new(octets.min(65464) as u16))
        {
            largest = largest.min(fitting);
        }
        let terms = Terms {
            block_size: largest,
            window_size: self.config.max_window_size,
            window_octets: octets,
            transfer_size: length.filter(|_| !quirks.hide_transfer_size),
        };
        let options = terms.grant(&asked);
        let block_size = options.block_size.unwrap_or(BlockSize::DEFAULT);
        let known = length.filter(|_| !buffered);
        let config = SenderConfig {
            window: options.window_size.unwrap_or(WindowSize::DEFAULT),
            option_ack: !options.is_empty(),
            rollover: quirks.rollover,
            timeout: options.timeout.map(|timeout| Duration::from_secs(timeout.seconds().into())),
            last: known.map(|length| last_block(length, block_size)),
        };
        let content = self.content(opened.body, mode, block_size);
        let segmented = content.is_contiguous() && fitting.is_some_and(|most| block_size.octets() <= most);
        let transfer = Transfer {
            id,
            peer,
            local,
            port,
            sender: Sender::new(now, &config),
            content,
            block_size: block_size.octets(),
            options,
            segmented,
            path,
            started,
            message: String::new(),
            armed: None,
            queued: true,
            starved: false,
        };
        (self.events)(Event::Started { peer: canonical(peer), path: transfer.path.clone(), size: length });
        let slot = self.free.pop().unwrap_or_else(|| {
            self.transfers.push(None);
            self.transfers.len() - 1
        });
        if let Some(place) = self.transfers.get_mut(slot) {
            *place = Some(transfer);
        }
        self.by_peer.insert(peer, slot);
        self.queue.push_back(slot);
    }

    fn content(&mut self, body: Body, mode: Mode, block_size: BlockSize) -> Content {
        let octets = block_size.octets();
        match (body, mode) {
            (Body::Bytes(bytes), _) => Content::Bytes(bytes), // converted when it was opened
            (Body::File { file, key, head }, Mode::Octet) => {
                Content::File { id: self.cache.open(file, key), length: key.length, head, piece: None }
            }
            (Body::File { file, .. }, Mode::Netascii) => {
                Content::Feed(Feed::new(Input::File(Arc::new(file)), mode, octets))
            }
            (Body::Stream { reader, .. }, _) => Content::Feed(Feed::new(Input::Stream(reader), mode, octets)),
        }
    }

    fn poll_feeds(&mut self, cx: &mut Context<'_>) {
        for slot in 0..self.transfers.len() {
            let Some(transfer) = self.transfers.get_mut(slot).and_then(Option::as_mut) else { continue };
            if transfer.starved && transfer.poll_feed(cx) && !std::mem::replace(&mut transfer.queued, true) {
                self.queue.push_back(slot);
            }
        }
    }

    fn wake_starved(&mut self, which: impl Fn(&Transfer) -> bool) {
        for (slot, transfer) in self.transfers.iter_mut().enumerate() {
            let Some(transfer) = transfer.as_mut().filter(|transfer| transfer.starved && which(transfer))
            else {
                continue;
            };
            if !std::mem::replace(&mut transfer.queued, true) {
                self.queue.push_back(slot);
            }
        }
    }

    fn fire_timers(&mut self, now: Instant) {
        while let Some(&Reverse((at, slot, id))) = self.timers.peek()
            && at <= now
        {
            self.timers.pop();
            let Some(transfer) = self.transfers.get_mut(slot).and_then(Option::as_mut) else { continue };
            if transfer.id != id || transfer.armed != Some(at) {
                continue;
            }
            transfer.armed = None;
            transfer.sender.handle_timeout(now);
            if transfer.sender.is_over() {
                self.end(now, slot, None);
                continue;
            }
            if !std::mem::replace(&mut transfer.queued, true) {
                self.queue.push_back(slot);
            }
        }
    }

    fn flush_queue(&mut self, now: Instant) {
        let mut left = self.queue.len();
        while left > 0
            && let Some(slot) = self.queue.pop_front()
        {
            left -= 1;
            let Some(transfer) = self.transfers.get_mut(slot).and_then(Option::as_mut) else { continue };
            let Some(port) = self.ports.get_mut(transfer.port) else { continue };
            transfer.queued = false;
            match transfer.flush(now, port, &mut self.cache) {
                Flushed::Done => {}
                Flushed::Starved => {}
                Flushed::Blocked => {
                    transfer.queued = true;
                    self.queue.push_back(slot);
                }
                Flushed::Failed(why) => {
                    let (index, peer, local) = (transfer.port, transfer.peer, transfer.local);
                    self.send_error(index, peer, local, ErrorCode::NotDefined, &why);
                    self.end(now, slot, Some(Cause::Failed(why)));
                    continue;
                }
            }
            if let Some(deadline) = transfer.sender.poll_timeout()
                && transfer.armed.is_none_or(|armed| armed > deadline)
            {
                transfer.armed = Some(deadline);
                self.timers.push(Reverse((deadline, slot, transfer.id)));
            }
        }
        for port in &mut self.ports {
            if !port.blocked {
                port.flush();
            }
        }
    }

    /// Goes on where the kernel took no more, once it does.
    fn poll_blocked(&mut self, cx: &mut Context<'_>) {
        for port in self.ports.iter_mut().filter(|port| port.blocked) {
            if port.poll_unblocked(cx) {
                cx.waker().wake_by_ref();
            }
        }
    }

    /// Waits for the next timer; `true` if it is due.
    fn poll_sleep(&mut self, cx: &mut Context<'_>) -> bool {
        let idle = self.idle_since + IDLE;
        let mut next = self.timers.peek().map_or(idle, |Reverse((at, ..))| *at);
        if let Some(end) = self.draining {
            next = next.min(end);
        }
        if self.sleep.deadline() != next.into() {
            self.sleep.as_mut().reset(next.into());
        }
        if self.sleep.as_mut().poll(cx).is_pending() {
            return false;
        }
        let now = clock();
        if self.by_peer.is_empty() && now >= idle {
            self.cache.forget_unused();
            self.transfers = Vec::new();
            self.free = Vec::new();
        }
        self.idle_since = now;
        true
    }

    fn is_over(&mut self, now: Instant) -> bool {
        let Some(end) = self.draining else { return false };
        if now >= end {
            for slot in 0..self.transfers.len() {
                self.end(now, slot, Some(Cause::Shutdown));
            }
            return true;
        }
        self.by_peer.is_empty() && self.pending.is_empty()
    }

    /// A transfer is over; without `cause` the engine says how.
    fn end(&mut self, now: Instant, slot: usize, cause: Option<Cause>) {
        let Some(transfer) = self.transfers.get_mut(slot).and_then(Option::take) else { return };
        self.free.push(slot);
        self.by_peer.remove(&transfer.peer);
        self.server.finish(transfer.peer, Some(transfer.id));
        if let Content::File { id, .. } = &transfer.content {
            self.cache.close(*id);
        }
        if let Some(cause) = cause.or_else(|| transfer.cause()) {
            (self.events)(transfer.finished(cause, now.saturating_duration_since(transfer.started)));
        }
        self.idle_since = now;
    }

    fn send_error(
        &mut self,
        port: usize,
        to: SocketAddr,
        from: Option<IpAddr>,
        code: ErrorCode,
        message: &str,
    ) {
        let mut packet = Vec::with_capacity(64);
        encode_error(code, message, &mut packet);
        let Some((header, rest)) = packet.split_first_chunk::<4>() else { return };
        let pieces = [Bytes::copy_from_slice(rest), Bytes::new()];
        if let Some(port) = self.ports.get_mut(port) {
            port.push(Datagram { to, from, header: *header, pieces });
        }
    }
}

/// Opens a file and says how long it is on the wire, if that is known.
async fn open_file<S: Source>(source: &S, request: OpenRequest, mode: Mode, sized: bool) -> Ready {
    let mut opened = source.open(request).await?;
    let unreadable = || Refusal::new(ErrorCode::NotDefined, "file cannot be read");
    let length = match (&mut opened.body, mode) {
        (Body::Bytes(bytes), Mode::Octet) => Some(bytes.len() as u64),
        (Body::Bytes(bytes), Mode::Netascii) => {
            let mut text = Vec::new();
            crate::netascii::encode(bytes, &mut text);
            *bytes = text.into();
            Some(bytes.len() as u64)
        }
        (Body::File { key, .. }, Mode::Octet) => Some(key.length),
        (Body::File { file, key, .. }, Mode::Netascii) if sized => {
            let (file, length) = (file.try_clone().map_err(|_| unreadable())?, key.length);
            let count = move || feeder::netascii_length(&file, length);
            tokio::task::spawn_blocking(count).await.map_err(|_| unreadable())?.map_err(|_| unreadable())?
        }
        (Body::File { .. }, Mode::Netascii) => None,
        (Body::Stream { length, .. }, Mode::Octet) => *length,
        (Body::Stream { .. }, Mode::Netascii) => None,
    };
    Ok((opened, mode, length))
}
