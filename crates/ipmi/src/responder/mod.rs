//! The BMC's side: many sessions with many consoles, users and privileges enforced, commands answered.
//!
//! A pure engine: `driver::BmcServer` and tests bring datagrams and the time. What only a machine can do
//! (power, boot device) leaves as an [`Event::Machine`] with a ticket and returns by
//! [`BmcResponder::answer`].

mod commands;
mod config;
mod faults;
mod sessions;
mod sol;
mod storage;
mod v15;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

pub use config::{Config, Data, Delegate, Faults, Habits, User};

use crate::command::chassis::{BootFlags, ChassisControl};
use crate::wire::asf::{self, Pong};
use crate::wire::message::Message;
use crate::wire::session::{AuthType, Packet, PayloadType, V15, V20};
use crate::{CompletionCode, Entropy, Ignored, Privilege};
use commands::{Answer, BootState};
use faults::Outbox;
use sessions::Sessions;

/// Names one question to the machine.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket(u64);

/// What only the machine can do or say.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum MachineCall {
    /// Is the power on?
    Status,
    /// Change the power.
    Power(ChassisControl),
    /// Boot from what these flags say; invalid flags take an earlier wish back.
    Boot(BootFlags),
    /// A command this crate does not answer itself: [`Config::delegate`].
    Command {
        /// Network function.
        net_fn: u8,
        /// The command.
        command: u8,
        /// Its data.
        data: Vec<u8>,
    },
}

/// What the machine says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MachineAnswer {
    /// Done.
    Done,
    /// The power is on, or not.
    Power(bool),
    /// Done, with the data that follow the completion code.
    Data(Vec<u8>),
    /// It cannot; the completion code goes to the console.
    Failed(CompletionCode),
}

/// What the responder tells its driver.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Ask the machine; bring what it says to [`BmcResponder::answer`].
    Machine(Ticket, MachineCall),
    /// A console logged in.
    LoggedIn {
        /// From where.
        from: SocketAddr,
        /// As whom.
        user: Vec<u8>,
        /// Under which cipher suite.
        suite: u8,
    },
    /// A console failed to log in; the status code says why.
    Refused {
        /// From where.
        from: SocketAddr,
        /// Why.
        status: crate::wire::status::StatusCode,
    },
    /// Characters a console typed into Serial over LAN.
    Typed(Vec<u8>),
    /// A command was answered.
    Answered {
        /// To whom.
        to: SocketAddr,
        /// Network function of the request.
        net_fn: u8,
        /// The command.
        command: u8,
        /// The verdict.
        completion: CompletionCode,
    },
}

/// Where an answer goes: the session and the message it answers.
#[derive(Clone, Debug)]
pub(crate) struct ReturnPath {
    to: SocketAddr,
    /// The BMC's session id; 0 outside a session.
    session: u32,
    framing: Framing,
    request: OwnedMessage,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Framing {
    V15,
    V20,
}

/// A request kept while the machine thinks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct OwnedMessage {
    header: [u8; 7], // to, net_fn, to_lun, from, sequence, from_lun, command
    data: Vec<u8>,
}

impl OwnedMessage {
    fn new(m: &Message<'_>) -> Self {
        let header = [m.to, m.net_fn, m.to_lun, m.from, m.sequence, m.from_lun, m.command];
        Self { header, data: m.data.to_vec() }
    }

    fn borrow(&self) -> Message<'_> {
        let [to, net_fn, to_lun, from, sequence, from_lun, command] = self.header;
        Message { to, net_fn, to_lun, from, sequence, from_lun, command, data: &self.data }
    }
}

/// A question to the machine and who waits for its answer.
#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    call: MachineCall,
    path: Option<ReturnPath>,
}

/// Most questions that wait for the machine at once; more are answered "node busy".
const MAX_WAITING: usize = 64;

/// A virtual BMC, as a value.
#[derive(Debug)]
pub struct BmcResponder {
    config: Config,
    entropy: Entropy,
    sessions: Sessions,
    boot: BootState,
    waiting: Vec<Waiting>,
    next_ticket: u64,
    outbox: Outbox,
    events: VecDeque<Event>,
    opened: Vec<u8>,
    sol: Option<sol::Stream>,
    storage: storage::Storage,
}

impl BmcResponder {
    /// A BMC with these users and this identity.
    pub fn new(config: Config, entropy: Entropy) -> Self {
        Self {
            sessions: Sessions::new(config.max_sessions),
            storage: storage::Storage::new(&config.data),
            outbox: Outbox::new(config.faults),
            config,
            entropy,
            boot: BootState::default(),
            waiting: Vec::new(),
            next_ticket: 0,
            events: VecDeque::new(),
            opened: Vec::new(),
            sol: None,
        }
    }

    /// Takes one datagram from a console.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, octets: &[u8]) -> Result<(), Ignored> {
        match Packet::parse(octets)? {
            Packet::Asf(asf::Message::Ping { tag }) => {
                let mut datagram = Vec::new();
                let pong = Pong { tag, iana: asf::ASF_IANA, oem: 0, entities: 0x81, interactions: 0 };
                asf::Message::Pong(pong).encode(&mut datagram);
                self.outbox.push(from, datagram);
                Ok(())
            }
            Packet::Asf(asf::Message::Pong(_)) => Err(Ignored::Unexpected("a pong")),
            Packet::V15(packet) => self.handle_v15(now, from, &packet),
            Packet::V20(packet) => self.handle_v20(now, from, &packet),
        }
    }

    fn handle_v20(&mut self, now: Instant, from: SocketAddr, packet: &V20<'_>) -> Result<(), Ignored> {
        match packet.payload_type {
            PayloadType::OpenSessionRequest | PayloadType::Rakp1 | PayloadType::Rakp3 => {
                if packet.authenticated || packet.encrypted {
                    return Err(Ignored::Unexpected("a set-up message inside a session"));
                }
                let mut reply = Vec::with_capacity(128);
                let outcome = match packet.payload_type {
                    PayloadType::OpenSessionRequest => {
                        self.on_open_session(now, from, packet.payload, &mut reply)
                    }
                    PayloadType::Rakp1 => self.on_rakp1(now, from, packet.payload, &mut reply),
                    _ => self.on_rakp3(now, from, packet.payload, &mut reply),
                };
                if !reply.is_empty() {
                    self.outbox.push(from, reply);
                }
                outcome
            }
            PayloadType::Ipmi if packet.session_id == 0 => {
                if packet.authenticated || packet.encrypted {
                    return Err(Ignored::Unprotected);
                }
                self.handle_sessionless(now, from, Framing::V20, packet.payload)
            }
            PayloadType::Ipmi => self.handle_sealed(now, from, packet),
            PayloadType::Sol => self.handle_sol(now, from, packet),
            _ => Err(Ignored::Unexpected("a payload type that consoles do not send")),
        }
    }

    fn handle_sessionless(
        &mut self,
        now: Instant,
        from: SocketAddr,
        framing: Framing,
        payload: &[u8],
    ) -> Result<(), Ignored> {
        let message = Message::parse(payload)?;
        if message.is_response() {
            return Err(Ignored::Unexpected("a response"));
        }
        let answer = self.execute_sessionless(&message);
        let path = ReturnPath { to: from, session: 0, framing, request: OwnedMessage::new(&message) };
        self.finish(now, path, answer);
        Ok(())
    }

    fn handle_sealed(&mut self, now: Instant, from: SocketAddr, packet: &V20<'_>) -> Result<(), Ignored> {
        let mut plain = std::mem::take(&mut self.opened);
        let slot = self.sessions.find(packet.session_id).ok_or(Ignored::Unexpected("no such session"));
        let outcome = slot
            .and_then(|slot| slot.open(now, from, packet, &mut plain))
            .and_then(|level| self.handle_request(now, from, packet.session_id, level, &plain));
        self.opened = plain;
        outcome
    }

    /// A request inside a session, plain and proved.
    fn handle_request(
        &mut self,
        now: Instant,
        from: SocketAddr,
        session: u32,
        level: Privilege,
        plain: &[u8],
    ) -> Result<(), Ignored> {
        let message = Message::parse(plain)?;
        if message.is_response() {
            return Err(Ignored::Unexpected("a response"));
        }
        let request = OwnedMessage::new(&message);
        let path = ReturnPath { to: from, session, framing: Framing::V20, request };
        // The same request again under a new session sequence number: its answer was lost. It is not
        // carried out twice (IPMI v2.0 §6.12.12); while the machine still thinks, nothing is said.
        let slot = self.sessions.find(session).ok_or(Ignored::Unexpected("no such session"))?;
        if let Some(data) = slot.remembered(now, &path.request) {
            self.send(path, &data);
            return Ok(());
        }
        let pending = |w: &Waiting| {
            w.path.as_ref().is_some_and(|p| p.session == path.session && p.request == path.request)
        };
        if self.waiting.iter().any(pending) {
            return Err(Ignored::Repeated);
        }
        let answer = if self.outbox.strikes(&mut self.entropy, self.config.faults.busy) {
            Answer::Now(CompletionCode::BUSY, Vec::new())
        } else {
            self.execute(now, session, level, &message)
        };
        self.finish(now, path, answer);
        Ok(())
    }

    fn finish(&mut self, now: Instant, path: ReturnPath, answer: Answer) {
        match answer {
            Answer::Now(completion, data) => self.reply(now, path, completion, &data),
            Answer::Machine(_) if self.waiting.len() >= MAX_WAITING => {
                self.reply(now, path, CompletionCode::BUSY, &[]);
            }
            Answer::Machine(call) => self.ask(call, Some(path)),
        }
    }

    fn ask(&mut self, call: MachineCall, path: Option<ReturnPath>) {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.waiting.push(Waiting { ticket, call: call.clone(), path });
        self.events.push_back(Event::Machine(ticket, call));
    }

    /// Brings what the machine said about a ticket. An unknown ticket is forgotten silently.
    pub fn answer(&mut self, now: Instant, ticket: Ticket, answer: MachineAnswer) {
        let Some(at) = self.waiting.iter().position(|waiting| waiting.ticket == ticket) else { return };
        let waiting = self.waiting.swap_remove(at);
        let (completion, data) = self.conclude(now, waiting.call, answer);
        if let Some(path) = waiting.path {
            self.reply(now, path, completion, &data);
        }
    }

    fn reply(&mut self, now: Instant, path: ReturnPath, completion: CompletionCode, data: &[u8]) {
        let mut octets = Vec::with_capacity(data.len() + 1);
        octets.push(completion.0);
        octets.extend_from_slice(data);
        let message = path.request.borrow();
        let (net_fn, command, to) = (message.net_fn, message.command, path.to);
        if let Some(slot) = self.sessions.find(path.session) {
            slot.remember(now, &path.request, &octets);
        }
        let closes = net_fn == 0x06 && command == 0x3c && completion.is_ok();
        let closed = path.request.data.first_chunk::<4>().map(|id| u32::from_le_bytes(*id));
        self.send(path, &octets);
        if let (true, Some(id)) = (closes, closed) {
            self.sessions.remove(id);
            self.sol_closed(id);
        }
        self.events.push_back(Event::Answered { to, net_fn, command, completion });
    }

    fn send(&mut self, path: ReturnPath, data: &[u8]) {
        let mut message = Vec::with_capacity(data.len() + 8);
        path.request.borrow().reply(data).encode(&mut message);
        let mut datagram = Vec::with_capacity(message.len() + 64);
        if path.session != 0 {
            let Some(slot) = self.sessions.find(path.session) else { return };
            slot.seal(PayloadType::Ipmi, &message, &mut self.entropy, &mut datagram);
        } else if path.framing == Framing::V20 {
            V20::encode_plain(PayloadType::Ipmi, &message, &mut datagram);
        } else {
            let (auth_type, auth_code) = (AuthType::None, None);
            let packet = V15 { auth_type, sequence: 0, session_id: 0, auth_code, payload: &message };
            if packet.encode(&mut datagram).is_err() {
                return;
            }
        }
        if !datagram.is_empty() {
            self.outbox.push(path.to, datagram);
        }
    }

    /// Tells the responder that the time of [`BmcResponder::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.sessions.expire(now, self.config.idle_timeout);
        self.sol_timeout(now);
        if self.boot.expired(now) {
            self.boot.flags = BootFlags::default();
            self.boot.expires = None;
            self.ask(MachineCall::Boot(BootFlags::default()), None);
        }
    }

    /// The next datagram to send, and to whom: replaces the contents of `out`. Call until `None`.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<SocketAddr> {
        let (to, datagram) = self.outbox.pop(now, &mut self.entropy)?;
        *out = datagram;
        Some(to)
    }

    /// The next thing to tell. Call until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`BmcResponder::handle_timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let sessions = self.sessions.next_expiry(self.config.idle_timeout);
        let timers = [sessions, self.boot.expires, self.outbox.next_due(), self.sol_deadline()];
        timers.into_iter().flatten().min()
    }

    /// How many sessions stand or are being set up.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// How many questions wait for the machine's answer.
    pub fn questions_waiting(&self) -> usize {
        self.waiting.len()
    }

    fn user_level(&self, index: usize) -> Privilege {
        self.config.users.get(index).map_or(Privilege::Callback, |user| user.privilege)
    }
}
