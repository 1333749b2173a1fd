//! The console's side of one session: RMCP+ set-up, requests and answers, keep-alive, close.
//!
//! A pure engine: drivers (`driver::Bmc`, `driver::sweep`) bring datagrams and the time and take datagrams,
//! events and the next time-out. Four round trips answer a question: Open Session, RAKP 1, RAKP 3, request.

mod config;
mod handshake;
mod handshake15;
mod quirks;
mod request;

use std::collections::VecDeque;
use std::time::Instant;

pub use config::{
    Config, Credentials, CredentialsError, Lookup, Privilege, Protocol, UserName, UserNameTooLong,
};
pub use quirks::Quirks;
pub use request::{Bridge, Repeat, Request, RequestId};

use crate::crypto::{auth_code::Link15, cipher_suite::CipherSuite, packet::SessionKeys};
use crate::entropy::Entropy;
use crate::sequence::{Outbound, Window};
use crate::wire::session::{Packet, PayloadType, V15, V20};
use crate::wire::{message::Message, status::StatusCode};
use crate::{CompletionCode, Ignored, ParseError};
use handshake::Handshake;
use handshake15::Handshake15;
use request::{Pending, Requests, Retry, is_send_message};

/// Why a session cannot be had, or ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The code in RAKP 2 was made with another password.
    #[error("wrong password")]
    WrongPassword,
    /// The code in RAKP 4 was made with another K_G.
    #[error("wrong K_G (key of the BMC)")]
    WrongKg,
    /// The BMC knows no such user.
    #[error("unknown user")]
    UnknownUser,
    /// The user may not have the privilege level asked for.
    #[error("privilege level not granted to this user")]
    Privilege,
    /// The BMC refuses every cipher suite it was offered.
    #[error("the BMC refuses the cipher suites offered: {0}")]
    SuiteRefused(StatusCode),
    /// The BMC refuses for another reason.
    #[error("the BMC refuses a session: {0}")]
    Refused(StatusCode),
    /// Nothing came back.
    #[error("no answer")]
    Silent,
}

/// What a session tells the application.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// The session stands; requests go out from now on.
    Established {
        /// The suite in force; `None` in IPMI 1.5.
        suite: Option<CipherSuite>,
        /// The managed system's GUID as RAKP 2 brought it; zero in IPMI 1.5, which has none.
        guid: [u8; 16],
    },
    /// A request was answered.
    Reply {
        /// Which.
        id: RequestId,
        /// The BMC's verdict.
        completion: CompletionCode,
        /// What follows the completion code.
        data: Vec<u8>,
    },
    /// A request got no answer after all its attempts; the session may still live.
    Unanswered(RequestId),
    /// There is no session (any more). Nothing else follows.
    Failed(Failure),
    /// A payload of another type arrived in the session: SOL and OEM payloads.
    Payload {
        /// Its type.
        payload_type: PayloadType,
        /// Its plain octets.
        data: Vec<u8>,
    },
    /// The session was closed by us.
    Closed,
}

/// How packets of the session are numbered and protected.
#[derive(Debug)]
enum Link {
    V20 { keys: Box<SessionKeys>, console_id: u32, outbound: Outbound, inbound: Window },
    V15(Link15),
}

#[derive(Debug)]
pub(crate) struct Active {
    link: Link,
    bmc_id: u32,
    guid: [u8; 16],
    /// The level the BMC has us at (IPMI v2.0 §22.18): User at first.
    level: Privilege,
}

impl Active {
    fn seal(&mut self, payload_type: PayloadType, entropy: &mut Entropy, plain: &[u8]) -> Vec<u8> {
        let mut datagram = Vec::with_capacity(plain.len() + 64);
        match &mut self.link {
            Link::V20 { keys, outbound, .. } => {
                let number = outbound.take();
                keys.seal(payload_type, self.bmc_id, number, entropy.draw(), plain, &mut datagram);
            }
            Link::V15(link) => link.seal(plain, &mut datagram),
        }
        datagram
    }

    fn suite(&self) -> Option<CipherSuite> {
        match &self.link {
            Link::V20 { keys, .. } => Some(keys.suite()),
            Link::V15(_) => None,
        }
    }
}

#[derive(Debug)]
enum State {
    Handshake(Box<Handshake>),
    Handshake15(Box<Handshake15>),
    Active(Box<Active>),
    Over,
}

/// One session with one BMC, as a value.
#[derive(Debug)]
pub struct Session {
    config: Config,
    entropy: Entropy,
    state: State,
    requests: Requests,
    outbox: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
    opened: Vec<u8>,
    idle_since: Instant,
}

impl Session {
    /// Starts the set-up: the first Open Session Request is ready for [`Session::poll_transmit`].
    pub fn new(now: Instant, config: Config, entropy: Entropy) -> Self {
        let mut session = Self {
            requests: Requests::new(config.window),
            config,
            entropy,
            state: State::Over,
            outbox: VecDeque::new(),
            events: VecDeque::new(),
            opened: Vec::new(),
            idle_since: now,
        };
        match session.config.protocol {
            Protocol::V20 => session.start_handshake(now),
            Protocol::V15(auth_type) => session.start_handshake15(now, auth_type),
        }
        session
    }

    /// Queues a request; its answer comes as an [`Event`] with this id.
    pub fn submit(&mut self, now: Instant, request: Request) -> RequestId {
        let id = self.requests.push(request);
        self.dispatch(now);
        id
    }

    /// Sends a payload of another type inside the session (SOL). Returns false if there is no session.
    pub fn send_payload(&mut self, now: Instant, payload_type: PayloadType, data: &[u8]) -> bool {
        let State::Active(active) = &mut self.state else { return false };
        if matches!(active.link, Link::V15(_)) {
            return false; // IPMI 1.5 carries messages alone
        }
        self.idle_since = now;
        let datagram = active.seal(payload_type, &mut self.entropy, data);
        self.outbox.push_back(datagram);
        true
    }

    /// Ends the session: Close Session is sent once and not waited for (IPMI v2.0 §22.19).
    pub fn close(&mut self, now: Instant) {
        if let State::Active(active) = &self.state {
            let request = Request::new(0x06, 0x3c, active.bmc_id.to_le_bytes().to_vec());
            let sequence = self.requests.free_sequence(now).unwrap_or(0);
            self.transmit_request(now, &request, sequence);
        }
        if !matches!(self.state, State::Over) {
            self.state = State::Over;
            self.requests.clear();
            self.events.push_back(Event::Closed);
        }
    }

    /// The managed system's GUID, once the session stands.
    pub fn guid(&self) -> Option<[u8; 16]> {
        match &self.state {
            State::Active(active) => Some(active.guid),
            _ => None,
        }
    }

    /// The suite in force, once the session stands.
    pub fn suite(&self) -> Option<CipherSuite> {
        match &self.state {
            State::Active(active) => active.suite(),
            _ => None,
        }
    }

    /// Whether the session has ended and nothing more will come.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Takes one datagram from the BMC.
    pub fn handle_datagram(&mut self, now: Instant, octets: &[u8]) -> Result<(), Ignored> {
        match Packet::parse(octets)? {
            Packet::V20(packet) => match &self.state {
                State::Handshake(_) => self.handle_handshake(now, &packet),
                State::Active(_) => self.handle_sealed(now, &packet),
                _ => Err(Ignored::Unexpected("no RMCP+ session")),
            },
            Packet::V15(packet) => match &self.state {
                State::Handshake15(_) => self.handle_handshake15(now, &packet),
                State::Active(_) => self.handle_signed(now, &packet),
                _ => Err(Ignored::Unexpected("no IPMI 1.5 session")),
            },
            Packet::Asf(_) => Err(Ignored::Unexpected("an ASF message")),
        }
    }

    fn handle_sealed(&mut self, now: Instant, packet: &V20<'_>) -> Result<(), Ignored> {
        let State::Active(active) = &mut self.state else { return Err(Ignored::Unexpected("no session")) };
        let Link::V20 { keys, console_id, inbound, .. } = &mut active.link else {
            return Err(Ignored::Unexpected("an RMCP+ packet in an IPMI 1.5 session"));
        };
        if packet.session_id != *console_id {
            return Err(Ignored::Unexpected("another session id"));
        }
        let mut plain = std::mem::take(&mut self.opened);
        let verdict = keys.open(packet, &mut plain).and_then(|()| {
            inbound.accept(packet.sequence)?;
            match packet.payload_type {
                PayloadType::Ipmi => Ok(None),
                // RAKP 4 sealed in the new session: the BMC took our repeated RAKP 3 for data.
                PayloadType::OpenSessionResponse | PayloadType::Rakp2 | PayloadType::Rakp4 => {
                    Err(Ignored::Unexpected("a set-up message inside the session"))
                }
                other => Ok(Some(other)),
            }
        });
        let outcome = match verdict {
            Ok(None) => self.handle_message(now, &plain),
            Ok(Some(payload_type)) => {
                self.events.push_back(Event::Payload { payload_type, data: plain.clone() });
                Ok(())
            }
            Err(ignored) => Err(ignored),
        };
        self.opened = plain;
        outcome
    }

    fn handle_signed(&mut self, now: Instant, packet: &V15<'_>) -> Result<(), Ignored> {
        let State::Active(active) = &mut self.state else { return Err(Ignored::Unexpected("no session")) };
        let Link::V15(link) = &mut active.link else {
            return Err(Ignored::Unexpected("an IPMI 1.5 packet in an RMCP+ session"));
        };
        if packet.session_id != link.session_id {
            return Err(Ignored::Unexpected("another session id"));
        }
        let mut plain = std::mem::take(&mut self.opened);
        let verdict = link.open(packet, &mut plain);
        let outcome = verdict.and_then(|()| self.handle_message(now, &plain));
        self.opened = plain;
        outcome
    }

    fn handle_message(&mut self, now: Instant, octets: &[u8]) -> Result<(), Ignored> {
        let message = Message::parse(octets)?;
        if !message.is_response() {
            return Err(Ignored::Unexpected("a request from the BMC"));
        }
        let (completion, data) =
            message.data.split_first().ok_or(ParseError::Truncated("completion code"))?;
        let completion = CompletionCode(*completion);
        let found = if self.config.bridge.is_some() && is_send_message(&message) {
            if completion.is_ok() {
                // The BMC passed it on. What comes back follows, or is inside already; an empty answer is none.
                return if data.is_empty() { Ok(()) } else { self.handle_message(now, data) };
            }
            self.requests.remove(message.sequence)
        } else {
            self.requests.answer(now, &message)
        };
        let pending = found.ok_or(Ignored::Unexpected("no request with this number and command"))?;
        let Some(pending) = self.try_later(now, completion, pending) else { return Ok(()) };
        match pending.id {
            Some(id) => {
                let data = data.to_vec();
                self.events.push_back(Event::Reply { id, completion, data });
            }
            None => self.privilege_answered(completion, data),
        }
        self.dispatch(now);
        Ok(())
    }

    /// "Node busy" (C0h) means that nothing was done: the request goes out again later, under a new number. Gives it
    /// back when it is answered otherwise, or has no attempt left.
    fn try_later(
        &mut self,
        now: Instant,
        completion: CompletionCode,
        mut pending: Pending,
    ) -> Option<Pending> {
        if completion != CompletionCode::BUSY || pending.busy >= self.config.attempts {
            return Some(pending);
        }
        pending.busy += 1;
        pending.retry.wait_again(now);
        let Some(sequence) = self.requests.free_sequence(now) else { return Some(pending) };
        pending.retry.repeated = false;
        self.requests.insert(sequence, pending, Vec::new());
        None
    }

    /// Set Session Privilege Level was answered. A refusal is left to the commands that needed the level:
    /// they get "insufficient privilege" from the BMC itself.
    fn privilege_answered(&mut self, completion: CompletionCode, data: &[u8]) {
        let State::Active(active) = &mut self.state else { return };
        let granted = data.first().and_then(|level| Privilege::from_wire(level & 0x0f));
        active.level = match completion {
            CompletionCode::OK => granted.unwrap_or(self.config.privilege),
            _ => {
                self.requests.refuse_above(active.level, completion, &mut self.events);
                active.level
            }
        };
    }

    /// Sends what may be sent: a privilege step first if the next request needs one.
    fn dispatch(&mut self, now: Instant) {
        loop {
            let State::Active(active) = &self.state else { return };
            let level = active.level;
            let Some(wanted) = self.requests.next_privilege() else { return };
            let pending = if wanted > level && self.config.privilege > level {
                if self.requests.raising_privilege() {
                    return;
                }
                let level = vec![self.config.privilege.to_wire()];
                Pending::new(None, Request::new(0x06, 0x3b, level), Retry::new(now, &self.config))
            } else {
                if self.requests.raising_privilege() {
                    return;
                }
                let Some((id, request)) = self.requests.take_next() else { return };
                Pending::new(Some(id), request, Retry::new(now, &self.config))
            };
            let Some(sequence) = self.requests.free_sequence(now) else {
                self.requests.put_back(pending);
                return;
            };
            let datagram = self.transmit_request(now, &pending.request, sequence);
            self.requests.insert(sequence, pending, datagram);
        }
    }

    /// Seals one request under a fresh session sequence number; returns the datagram for exact repeats.
    fn transmit_request(&mut self, now: Instant, request: &Request, sequence: u8) -> Vec<u8> {
        let State::Active(active) = &mut self.state else { return Vec::new() };
        let mut message = Vec::with_capacity(64);
        // The session's own commands are for the BMC, never for one behind it.
        let own = request.net_fn == 0x06 && matches!(request.command, 0x3b | 0x3c);
        request.encode(sequence, self.config.bridge.filter(|_| !own), &mut message);
        let datagram = active.seal(PayloadType::Ipmi, &mut self.entropy, &message);
        self.idle_since = now;
        self.outbox.push_back(datagram.clone());
        datagram
    }

    /// Tells the session that the time of [`Session::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &self.state {
            State::Handshake(_) => self.handshake_timeout(now),
            State::Handshake15(_) => self.handshake15_timeout(now),
            State::Active(_) => {
                while let Some(sequence) = self.requests.due(now) {
                    self.retry_request(now, sequence);
                }
                if let Some(at) = self.keep_alive_at()
                    && now >= at
                {
                    // Get Device ID: what every BMC answers at every level (IPMI v2.0 §20.1).
                    self.idle_since = now;
                    let _ = self.submit(now, Request::new(0x06, 0x01, Vec::new()));
                }
                self.dispatch(now);
            }
            State::Over => {}
        }
    }

    fn retry_request(&mut self, now: Instant, sequence: u8) {
        let Some(mut pending) = self.requests.remove(sequence) else { return };
        let unsent = pending.datagram.is_empty();
        if unsent {
            pending.retry.wait_again(now);
        } else if !pending.retry.next(now, &self.config) {
            self.requests.quarantine(now, sequence);
            match pending.id {
                Some(id) => self.events.push_back(Event::Unanswered(id)),
                None => self.requests.unanswered_all(&mut self.events),
            }
            return;
        }
        let datagram = match pending.request.repeat {
            _ if unsent => self.transmit_request(now, &pending.request, sequence),
            // A new session sequence number, the same request number (IPMI v2.0 §6.12.12).
            Repeat::Freely => self.transmit_request(now, &pending.request, sequence),
            // The very same datagram: a BMC that had it drops it by its session sequence number.
            Repeat::SameDatagram => {
                let datagram = std::mem::take(&mut pending.datagram);
                self.outbox.push_back(datagram.clone());
                datagram
            }
        };
        pending.retry.repeated = !unsent;
        self.requests.insert(sequence, pending, datagram);
    }

    fn keep_alive_at(&self) -> Option<Instant> {
        let interval = self.config.keep_alive?;
        (matches!(self.state, State::Active(_)) && self.requests.is_idle())
            .then(|| self.idle_since + interval)
    }

    /// The next datagram to send to the BMC: replaces the contents of `out`. Call until false.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        match self.outbox.pop_front() {
            Some(datagram) => {
                *out = datagram;
                true
            }
            None => false,
        }
    }

    /// The next thing to tell. Call until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Session::handle_timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Handshake(handshake) => Some(handshake.deadline()),
            State::Handshake15(handshake) => Some(handshake.deadline()),
            State::Active(_) => match (self.requests.next_deadline(), self.keep_alive_at()) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
            State::Over => None,
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.state = State::Over;
        self.requests.clear();
        self.events.push_back(Event::Failed(failure));
    }
}
