//! Requests: waiting, on the way, answered, repeated. Part of the `Session` engine.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::{Config, Event, Privilege};
use crate::CompletionCode;
use crate::wire::message::{BMC_ADDRESS, Message, REMOTE_CONSOLE};

/// Request numbers are six bits wide (IPMI v2.0 §13.8).
const NUMBERS: u8 = 64;
/// A number whose request was repeated is not used again while late answers may come.
const QUARANTINE: Duration = Duration::from_secs(5);

/// Repeats of a request that a BMC takes at most once. At 5 % loss one command in three million is then lost
/// on the way; more repeats would only put the verification off.
const SAME_DATAGRAM_REPEATS: u8 = 4;

/// Names one request of one session.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(u64);

/// How an unanswered request is sent again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Repeat {
    /// Under a new session sequence number: executing it twice does no harm.
    Freely,
    /// As the very same datagram, so that a BMC which had it drops it: Chassis Control. An answer that was
    /// lost is then lost for good, and [`Event::Unanswered`] asks the caller to verify.
    SameDatagram,
}

/// A request as the session sends it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// Network function, even.
    pub net_fn: u8,
    /// Logical unit of the BMC.
    pub lun: u8,
    /// The command.
    pub command: u8,
    /// Its data.
    pub data: Vec<u8>,
    /// The level it needs; the session is raised if it is above User.
    pub privilege: Privilege,
    /// How it may be repeated.
    pub repeat: Repeat,
}

impl Request {
    /// A request that any user may make and that may be repeated freely.
    pub fn new(net_fn: u8, command: u8, data: Vec<u8>) -> Self {
        Self { net_fn, lun: 0, command, data, privilege: Privilege::User, repeat: Repeat::Freely }
    }

    pub(crate) fn encode(&self, sequence: u8, bridge: Option<Bridge>, out: &mut Vec<u8>) {
        let (to, from) = match bridge {
            None => (BMC_ADDRESS, REMOTE_CONSOLE),
            Some(Bridge { target, transit: None, .. }) => (target, REMOTE_CONSOLE),
            Some(Bridge { target, transit: Some(_), .. }) => (target, BMC_ADDRESS),
        };
        let message = Message {
            to,
            net_fn: self.net_fn,
            to_lun: self.lun,
            from,
            sequence,
            from_lun: 0,
            command: self.command,
            data: &self.data,
        };
        let Some(bridge) = bridge else { return message.encode(out) };
        let mut inner = vec![TRACKED | bridge.channel & 0x0f];
        message.encode(&mut inner);
        if let Some((address, channel)) = bridge.transit {
            let mut outer = vec![TRACKED | channel & 0x0f];
            send_message(address, sequence, &inner).encode(&mut outer);
            inner = outer;
        }
        send_message(BMC_ADDRESS, sequence, &inner).encode(out);
    }
}

/// A controller behind the BMC, reached by Send Message (IPMI v2.0 §6.13.3, §22.7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bridge {
    /// The controller's slave address.
    pub target: u8,
    /// The channel it is on, 0..=15.
    pub channel: u8,
    /// A controller between: its slave address and the BMC's channel to it; `channel` is then that controller's.
    pub transit: Option<(u8, u8)>,
}

/// Send Message: the answer shall come back to us by itself (§22.7, table 22-9).
const TRACKED: u8 = 0x40;

/// Whether a message is the answer to Send Message, or what it carries.
pub(crate) fn is_send_message(message: &Message<'_>) -> bool {
    (message.net_fn, message.command) == (0x07, 0x34)
}

fn send_message(to: u8, sequence: u8, data: &[u8]) -> Message<'_> {
    Message { to, net_fn: 0x06, to_lun: 0, from: REMOTE_CONSOLE, sequence, from_lun: 0, command: 0x34, data }
}

/// How often something was sent and until when it is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry {
    pub(crate) deadline: Instant,
    wait: Duration,
    left: u8,
    pub(crate) repeated: bool,
}

impl Retry {
    pub(crate) fn new(now: Instant, config: &Config) -> Self {
        let wait = config.timeout;
        Self { deadline: now + wait, wait, left: config.attempts.saturating_sub(1), repeated: false }
    }

    /// Waits as long as the last time, without spending an attempt.
    pub(crate) fn wait_again(&mut self, now: Instant) {
        self.deadline = now + self.wait;
    }

    /// Spends an attempt; false when none is left.
    pub(crate) fn next(&mut self, now: Instant, config: &Config) -> bool {
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        self.wait = self.wait.saturating_mul(2).min(config.max_timeout.max(self.wait));
        self.deadline = now + self.wait;
        true
    }
}

/// A request on its way. `id` is `None` for the session's own privilege step.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) id: Option<RequestId>,
    pub(crate) request: Request,
    pub(crate) retry: Retry,
    pub(crate) datagram: Vec<u8>,
    /// How often the BMC was too busy for it.
    pub(crate) busy: u8,
}

impl Pending {
    pub(crate) fn new(id: Option<RequestId>, request: Request, mut retry: Retry) -> Self {
        if request.repeat == Repeat::SameDatagram {
            retry.left = retry.left.min(SAME_DATAGRAM_REPEATS);
        } else if request.privilege > Privilege::User {
            // What changes something is repeated later: a slow BMC would carry it out twice.
            let more = retry.wait * 3;
            (retry.wait, retry.deadline) = (retry.wait + more, retry.deadline + more);
        }
        Self { id, request, retry, datagram: Vec::new(), busy: 0 }
    }
}

/// All requests of a session.
#[derive(Debug)]
pub(crate) struct Requests {
    waiting: VecDeque<(RequestId, Request)>,
    flying: BTreeMap<u8, Pending>,
    quarantined: BTreeMap<u8, Instant>,
    window: usize,
    next_id: u64,
    next_number: u8,
}

impl Requests {
    pub(crate) fn new(window: u8) -> Self {
        Self {
            waiting: VecDeque::new(),
            flying: BTreeMap::new(),
            quarantined: BTreeMap::new(),
            window: usize::from(window.clamp(1, 32)),
            next_id: 0,
            next_number: 1,
        }
    }

    pub(crate) fn push(&mut self, request: Request) -> RequestId {
        let id = RequestId(self.next_id);
        self.next_id += 1;
        self.waiting.push_back((id, request));
        id
    }

    pub(crate) fn next_privilege(&self) -> Option<Privilege> {
        (self.flying.len() < self.window).then(|| self.waiting.front().map(|(_, r)| r.privilege)).flatten()
    }

    pub(crate) fn raising_privilege(&self) -> bool {
        self.flying.values().any(|pending| pending.id.is_none())
    }

    pub(crate) fn take_next(&mut self) -> Option<(RequestId, Request)> {
        self.waiting.pop_front()
    }

    pub(crate) fn put_back(&mut self, pending: Pending) {
        if let Some(id) = pending.id {
            self.waiting.push_front((id, pending.request));
        }
    }

    /// A request number nobody may still answer.
    pub(crate) fn free_sequence(&mut self, now: Instant) -> Option<u8> {
        self.quarantined.retain(|_, until| *until > now);
        for step in 0..NUMBERS {
            let number = (self.next_number + step) % NUMBERS;
            if !self.flying.contains_key(&number) && !self.quarantined.contains_key(&number) {
                self.next_number = (number + 1) % NUMBERS;
                return Some(number);
            }
        }
        None
    }

    pub(crate) fn insert(&mut self, sequence: u8, mut pending: Pending, datagram: Vec<u8>) {
        pending.datagram = datagram;
        self.flying.insert(sequence, pending);
    }

    pub(crate) fn remove(&mut self, sequence: u8) -> Option<Pending> {
        self.flying.remove(&sequence)
    }

    pub(crate) fn quarantine(&mut self, now: Instant, sequence: u8) {
        self.quarantined.insert(sequence, now + QUARANTINE);
    }

    /// The request this response answers.
    pub(crate) fn answer(&mut self, now: Instant, message: &Message<'_>) -> Option<Pending> {
        let pending = self.flying.get(&message.sequence)?;
        let request = &pending.request;
        if request.net_fn | 1 != message.net_fn || request.command != message.command {
            return None;
        }
        if pending.retry.repeated {
            self.quarantine(now, message.sequence);
        }
        self.flying.remove(&message.sequence)
    }

    pub(crate) fn due(&self, now: Instant) -> Option<u8> {
        self.flying.iter().find(|(_, pending)| pending.retry.deadline <= now).map(|(number, _)| *number)
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let flying = self.flying.values().map(|pending| pending.retry.deadline).min();
        // Requests that wait for a quarantined number wake up with it.
        let blocked = !self.waiting.is_empty() && self.flying.is_empty();
        let freed = if blocked { self.quarantined.values().min().copied() } else { None };
        flying.or(freed)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.flying.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
        self.flying.clear();
    }

    /// The level was refused: what needs it is answered with the refusal.
    pub(crate) fn refuse_above(
        &mut self,
        level: Privilege,
        code: CompletionCode,
        events: &mut VecDeque<Event>,
    ) {
        self.waiting.retain(|(id, request)| {
            let keep = request.privilege <= level;
            if !keep {
                events.push_back(Event::Reply { id: *id, completion: code, data: Vec::new() });
            }
            keep
        });
    }

    /// The privilege step got no answer: neither will what waits for it.
    pub(crate) fn unanswered_all(&mut self, events: &mut VecDeque<Event>) {
        events.extend(self.waiting.drain(..).map(|(id, _)| Event::Unanswered(id)));
    }
}
