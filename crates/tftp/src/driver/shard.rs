//! The loop of a server: ports, transfers and timers of one thread, as one hand-written future.
//!
//! Each poll receives what has come, asks the engines, sends what they want sent, and leaves wakers with
//! whatever may make it go on. What begins a transfer is in [`super::admit`].

use super::admit::{Pending, Ready};
use super::config::ServerConfig;
use super::content::Content;
use super::event::{Cause, Event, EventSink};
use super::file_cache::FileCache;
use super::mtu::PathMtu;
use super::read::{Flushed, Path, Read, push_option_ack, push_packet};
use super::socket::{Inbox, Port};
use super::source::Source;
use super::transfer::{Half, Transfer, canonical};
use super::wakers::Woken;
use super::write::{Answer, Taken, Write, Written};
use crate::server::{Ignored, Server, TransferId};
use crate::wire::{ErrorCode, Options, Packet, Request, encode_ack, encode_error};
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
/// The same where clients may write, so that blocks fit.
pub(super) const WRITABLE_DATAGRAM: usize = 9216;
/// Batches taken from one port before the others have their turn.
const TURNS: usize = 8;
/// Without transfers for this long, memory of files is given back.
const IDLE: Duration = Duration::from_secs(30);
/// How long the server stays with a single client before it looks at the other sockets again.
const STAY: Duration = Duration::from_millis(5);

pub(super) struct Shard<S> {
    /// The listener first.
    pub(super) ports: Vec<Port>,
    woken: Woken,
    pub(super) config: ServerConfig,
    pub(super) source: Arc<S>,
    pub(super) events: EventSink,
    pub(super) server: Server,
    pub(super) inbox: Inbox,
    pub(super) mtu: PathMtu,
    pub(super) cache: FileCache,
    pub(super) transfers: Vec<Option<Transfer>>,
    pub(super) free: Vec<usize>,
    pub(super) by_peer: HashMap<SocketAddr, usize>,
    pub(super) pending: HashMap<TransferId, Pending>,
    pub(super) opens: JoinSet<(TransferId, Ready)>,
    pub(super) writes: JoinSet<Written>,
    pub(super) next_port: usize,
    /// Transfers that read a stream.
    pub(super) feeds: usize,
    /// Transfers that may have something to send.
    queue: VecDeque<usize>,
    /// Transfers whose window is out, so that there is time to read the next one.
    ahead: Vec<usize>,
    timers: BinaryHeap<Reverse<(Instant, usize, TransferId)>>,
    sleep: Pin<Box<Sleep>>,
    idle_since: Instant,
    draining: Option<Instant>,
}

#[expect(clippy::disallowed_methods, reason = "drivers read the clock")]
pub(super) fn clock() -> Instant {
    Instant::now()
}

impl<S: Source> Shard<S> {
    pub(super) fn new(ports: Vec<Port>, config: ServerConfig, source: Arc<S>, events: EventSink) -> Self {
        let now = clock();
        Self {
            woken: Woken::new(ports.len()),
            ports,
            source,
            events,
            server: Server::new(config.limits),
            inbox: Inbox::new(if config.limits.writable { WRITABLE_DATAGRAM } else { DATAGRAM }),
            mtu: PathMtu::default(),
            cache: FileCache::new(config.cache_octets),
            config,
            transfers: Vec::new(),
            free: Vec::new(),
            by_peer: HashMap::new(),
            pending: HashMap::new(),
            opens: JoinSet::new(),
            writes: JoinSet::new(),
            next_port: 0,
            feeds: 0,
            queue: VecDeque::new(),
            ahead: Vec::new(),
            timers: BinaryHeap::new(),
            sleep: Box::pin(tokio::time::sleep_until((now + IDLE).into())),
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
        let began = clock();
        let mut now = began;
        loop {
            let more = self.poll_receive(now, cx)?;
            // An empty set answers at once, too, but not for nothing.
            while !self.opens.is_empty()
                && let Poll::Ready(Some(done)) = self.opens.poll_join_next(cx)
            {
                if let Ok((id, ready)) = done {
                    self.handle_opened(now, id, ready);
                }
            }
            self.poll_pool(now, cx);
            self.fire_timers(now);
            self.flush_queue(now);
            self.cache.trim();
            while self.feeds > 0 && self.poll_feeds(cx) {
                self.flush_queue(now);
            }
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
            // Once more, because sending has given the pool new work, and an empty set of tasks wakes nobody.
            let pooled = self.poll_pool(now, cx);
            if !pooled
                && now.saturating_duration_since(began) < STAY
                && let Some(came) = self.stay()
            {
                now = came;
                continue;
            }
            if !self.poll_sleep(cx) && !pooled && (self.queue.is_empty() || blocked) {
                return Ok(Poll::Pending);
            }
            now = clock();
        }
    }

    /// Where a single client reads, its acknowledgements come one behind the other: they are awaited on their own socket
    /// for a moment. Whatever else happens meanwhile waits for [`STAY`] and a tick. Gives when one came.
    fn stay(&mut self) -> Option<Instant> {
        let nothing_else = self.by_peer.len() == 1
            && self.pending.is_empty()
            && self.opens.is_empty()
            && self.writes.is_empty()
            && self.feeds == 0
            && self.queue.is_empty()
            && self.draining.is_none();
        if !self.config.own_thread || !nothing_else {
            return None;
        }
        let slot = *self.by_peer.values().next()?;
        let transfer = self.transfers.get(slot)?.as_ref()?;
        let waits = matches!(&transfer.half, Half::Read(read) if !read.starved && read.sender.is_answered());
        let index = transfer.port;
        let port = self.ports.get_mut(index).filter(|port| waits && !port.blocked)?;
        port.await_batch(&mut self.inbox);
        let now = clock();
        for at in 0..self.inbox.len() {
            self.handle_datagram(now, index, at);
        }
        (self.inbox.len() > 0).then_some(now)
    }

    /// Takes what the blocking pool has done; `true` if that was anything.
    fn poll_pool(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        while !self.writes.is_empty()
            && let Poll::Ready(Some(done)) = self.writes.poll_join_next(cx)
        {
            any = true;
            if let Ok(written) = done {
                self.handle_written(now, written);
            }
        }
        if self.cache.poll_loaded(cx) {
            any = true;
            self.wake_starved();
        }
        any
    }

    /// Takes what has come at every port; `true` if there may be more.
    fn poll_receive(&mut self, now: Instant, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut more = false;
        self.woken.take(cx);
        while let Some(index) = self.woken.next() {
            for turn in 1..=TURNS {
                let (Some(port), Some(waker)) = (self.ports.get_mut(index), self.woken.waker(index)) else {
                    break;
                };
                let Poll::Ready(ready) = port.poll_readable(&mut Context::from_waker(waker)) else {
                    break;
                };
                ready?;
                port.receive(&mut self.inbox);
                for at in 0..self.inbox.len() {
                    self.handle_datagram(now, index, at);
                }
                if turn == TURNS {
                    more = true;
                    self.woken.again(index);
                }
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
            let mut taken = Taken::Fine;
            match (Packet::parse(datagram), &mut transfer.half) {
                (Ok(Packet::Ack(number)), Half::Read(read)) => {
                    let was_answered = read.sender.is_answered();
                    read.sender.handle_ack(now, number);
                    read.content.release(read.sender.acked());
                    if !was_answered && read.sender.is_answered() {
                        self.server.answered(peer);
                    }
                }
                (Ok(Packet::Data(number, octets)), Half::Write(write)) => {
                    self.server.answered(peer);
                    taken = write.handle_data(now, number, octets);
                }
                (Ok(Packet::Error(code, message)), half) => {
                    transfer.message = String::from_utf8_lossy(message).into_owned();
                    match half {
                        Half::Read(read) => read.sender.handle_error(code),
                        Half::Write(write) => write.receiver.handle_error(code),
                    }
                }
                _ => return, // stray: the timer keeps running
            }
            let over = transfer.is_over(now);
            if let Taken::Refused(code, why) = taken {
                self.send_error(index, peer, arrival.local, code, why);
                self.end(now, slot, Some(Cause::Failed(why.into())));
            } else if over {
                self.end(now, slot, None);
            } else {
                self.wake(slot);
            }
        } else if !is_listener {
            self.handle_stray(now, index, peer, arrival.local, at);
        } else if self.draining.is_none() {
            self.handle_request(now, at);
        }
    }

    /// A packet at a transfer's port from somebody else (RFC 1350 §4).
    fn handle_stray(
        &mut self,
        now: Instant,
        index: usize,
        peer: SocketAddr,
        local: Option<IpAddr>,
        at: usize,
    ) {
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

    /// Puts a transfer into the queue of those that may have something to send.
    pub(super) fn wake(&mut self, slot: usize) {
        if let Some(transfer) = self.transfers.get_mut(slot).and_then(Option::as_mut)
            && !std::mem::replace(&mut transfer.queued, true)
        {
            self.queue.push_back(slot);
        }
    }

    /// Lets streams go on; `true` if one has more to send.
    fn poll_feeds(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        for (slot, transfer) in self.transfers.iter_mut().enumerate() {
            let Some(transfer) = transfer else { continue };
            let Half::Read(read) = &mut transfer.half else { continue };
            if read.starved && read.poll_feed(cx) && !std::mem::replace(&mut transfer.queued, true) {
                self.queue.push_back(slot);
                any = true;
            }
        }
        any
    }

    /// A piece of a file has come: those who wait for one look again.
    fn wake_starved(&mut self) {
        for slot in 0..self.transfers.len() {
            let transfer = self.transfers.get(slot).and_then(Option::as_ref);
            if transfer.is_some_and(|t| matches!(&t.half, Half::Read(Read { starved: true, .. }))) {
                self.wake(slot);
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
            transfer.handle_timeout(now);
            if transfer.is_over(now) {
                self.end(now, slot, None);
            } else {
                self.wake(slot);
            }
        }
    }

    /// Sends what the engines want sent.
    fn flush_queue(&mut self, now: Instant) {
        for _ in 0..self.queue.len() {
            let Some(slot) = self.queue.pop_front() else { break };
            let Some(transfer) = self.transfers.get_mut(slot).and_then(Option::as_mut) else { continue };
            let Some(port) = self.ports.get_mut(transfer.port) else { continue };
            transfer.queued = false;
            let path = Path { to: transfer.peer, from: transfer.local, block_size: transfer.block_size };
            let flushed = match &mut transfer.half {
                Half::Read(read) => read.flush(now, path, &transfer.options, port, &mut self.cache),
                Half::Write(write) => {
                    write.start_writing(transfer.id, &mut self.writes);
                    flush_answers(now, write, path, &transfer.options, port)
                }
            };
            if let Some(deadline) = transfer.poll_timeout()
                && transfer.armed.is_none_or(|armed| armed > deadline)
            {
                transfer.armed = Some(deadline);
                self.timers.push(Reverse((deadline, slot, transfer.id)));
            }
            match flushed {
                Flushed::Done => self.ahead.push(slot),
                Flushed::Starved => {}
                Flushed::Blocked => self.wake(slot),
                Flushed::Failed(why) => {
                    let index = transfer.port;
                    self.send_error(index, path.to, path.from, ErrorCode::NotDefined, &why);
                    self.end(now, slot, Some(Cause::Failed(why)));
                }
            }
        }
        for port in self.ports.iter_mut().filter(|port| !port.blocked) {
            port.flush();
        }
        while let Some(slot) = self.ahead.pop() {
            if let Some(Some(Transfer { half: Half::Read(read), block_size, .. })) =
                self.transfers.get_mut(slot)
            {
                read.read_ahead(*block_size, &mut self.cache);
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
        if now >= idle {
            self.idle_since = now;
            self.cache.forget_unused();
            if self.by_peer.is_empty() {
                (self.transfers, self.free, self.timers) = Default::default();
            }
        }
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
    pub(super) fn end(&mut self, now: Instant, slot: usize, cause: Option<Cause>) {
        let Some(transfer) = self.transfers.get_mut(slot).and_then(Option::take) else { return };
        self.free.push(slot);
        self.by_peer.remove(&transfer.peer);
        self.server.finish(transfer.peer, Some(transfer.id));
        match &transfer.half {
            Half::Read(Read { content: Content::File(pieces), .. }) => self.cache.close(pieces.id),
            Half::Read(Read { content: Content::Feed(_), .. }) => self.feeds -= 1,
            _ => {}
        }
        if let Some(cause) = cause.or_else(|| transfer.cause()) {
            (self.events)(transfer.finished(cause, now.saturating_duration_since(transfer.started)));
        }
        self.idle_since = now;
    }

    pub(super) fn send_error(
        &mut self,
        port: usize,
        to: SocketAddr,
        from: Option<IpAddr>,
        code: ErrorCode,
        message: &str,
    ) {
        let mut packet = Vec::with_capacity(64);
        encode_error(code, message, &mut packet);
        if let Some(port) = self.ports.get_mut(port) {
            push_packet(port, to, from, &packet);
        }
    }
}

/// Answers the packets of a client that writes.
fn flush_answers(now: Instant, write: &mut Write, path: Path, options: &Options, port: &mut Port) -> Flushed {
    while let Some(answer) = write.poll_answer(now) {
        let free = match answer {
            Answer::OptionAck => push_option_ack(port, path, options),
            Answer::Ack(number) => push_packet(port, path.to, path.from, &encode_ack(number)),
        };
        if !free {
            return Flushed::Blocked;
        }
    }
    Flushed::Done
}
