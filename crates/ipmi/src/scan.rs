//! Looking for BMCs: a paced sweep of presence pings and Get Channel Authentication Capabilities; of those found, the
//! cipher suites they list and whether suite 0 is open.
//!
//! A pure engine for any number of addresses; `driver::scan` runs it on one socket per address family.
//! KPC swept port 623 by TCP and found nothing: IPMI is UDP (IPMI v2.0 §13.1.2).

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::command::Command;
use crate::command::app::{ChannelAuthCapabilities, GetChannelAuthCapabilities};
use crate::command::channel::{GetChannelCipherSuites, cipher_suite_records};
use crate::crypto::cipher_suite::Algorithms;
use crate::wire::asf;
use crate::wire::message::{BMC_ADDRESS, Message, REMOTE_CONSOLE};
use crate::wire::open_session::{Accepted, OpenSessionRequest, OpenSessionResponse};
use crate::wire::session::{AuthType, Packet, PayloadType, V15, V20};
use crate::{Ignored, ParseError, Privilege};

/// How a sweep goes.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Datagrams per second; default 20,000.
    pub rate: u32,
    /// Questions per silent address; default 2.
    pub rounds: u8,
    /// Time between two questions to one address, and after the last; default 200 ms.
    pub wait: Duration,
    /// Also send the ASF presence ping; default true.
    pub ping: bool,
    /// Also ask BMCs of 2.0 for their cipher suites, and open a session with suite 0; default false. A BMC that accepts
    /// suite 0 keeps the half-open session until it times out there.
    pub details: bool,
}

/// Sixteen octets each that a list of cipher suites may have.
const MAX_PARTS: u8 = 8;
/// Tag and console session id of the question for suite 0.
const ZERO: (u8, u32) = (0x5a, 0x4b50_4330);

impl Default for Config {
    fn default() -> Self {
        Self { rate: 20_000, rounds: 2, wait: Duration::from_millis(200), ping: true, details: false }
    }
}

/// What one address answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Found {
    /// The BMC.
    pub addr: SocketAddr,
    /// Time from question to answer.
    pub rtt: Duration,
    /// What it accepts; `None` from something that answers pings alone.
    pub capabilities: Option<ChannelAuthCapabilities>,
    /// Whether it answered the presence ping.
    pub pong: Option<asf::Pong>,
    /// The cipher suites it lists before a session, bit n for suite n; `None` from those that do not say.
    pub suites: Option<u64>,
    /// Whether it accepts a session with suite 0, which asks for no password; `None` if it was not asked or silent.
    pub cipher_zero: Option<bool>,
}

/// What is still asked of a BMC that was found.
#[derive(Debug, Default)]
struct Details {
    /// Octets of the cipher suite list so far.
    octets: Vec<u8>,
    /// The next part of the list; `None` when it is complete or refused.
    part: Option<u8>,
    /// Suite 0 is still to be asked about.
    zero: bool,
}

impl Details {
    fn wanted(&self) -> bool {
        self.part.is_some() || self.zero
    }
}

#[derive(Debug)]
struct Target {
    sent: Instant,
    rounds: u8,
    v20: bool,
    found: Option<Found>,
    details: Details,
    told: bool,
}

/// A sweep over a fixed list of addresses, as a value.
#[derive(Debug)]
pub struct Scan {
    config: Config,
    targets: BTreeMap<SocketAddr, Target>,
    queue: VecDeque<SocketAddr>,
    allowance: Instant,
    outbox: VecDeque<(SocketAddr, Vec<u8>)>,
    events: VecDeque<Found>,
}

/// The question of a sweep; the request number says whether it asked for 2.0 data.
fn question(v20: bool) -> Vec<u8> {
    let command = GetChannelAuthCapabilities { channel: 0x0e, privilege: Privilege::Administrator, v20 };
    let mut data = Vec::new();
    command.encode(&mut data);
    let mut payload = Vec::new();
    let message = Message {
        to: BMC_ADDRESS,
        net_fn: GetChannelAuthCapabilities::NET_FN,
        to_lun: 0,
        from: REMOTE_CONSOLE,
        sequence: u8::from(v20),
        from_lun: 0,
        command: GetChannelAuthCapabilities::COMMAND,
        data: &data,
    };
    message.encode(&mut payload);
    let mut datagram = Vec::new();
    let auth_type = AuthType::None;
    let packet = V15 { auth_type, sequence: 0, session_id: 0, auth_code: None, payload: &payload };
    let _ = packet.encode(&mut datagram); // 9 octets always fit
    datagram
}

/// The question for one part of the list of cipher suites, outside a session (IPMI v2.0 §22.15).
fn suites_question(index: u8) -> Vec<u8> {
    let command = GetChannelCipherSuites { channel: 0x0e, payload_type: 0, index };
    let (mut data, mut payload, mut datagram) = (Vec::new(), Vec::new(), Vec::new());
    command.encode(&mut data);
    let message = Message {
        to: BMC_ADDRESS,
        net_fn: GetChannelCipherSuites::NET_FN,
        to_lun: 0,
        from: REMOTE_CONSOLE,
        sequence: index,
        from_lun: 0,
        command: GetChannelCipherSuites::COMMAND,
        data: &data,
    };
    message.encode(&mut payload);
    V20::encode_plain(PayloadType::Ipmi, &payload, &mut datagram);
    datagram
}

/// The question whether suite 0 is open.
fn zero_question() -> Vec<u8> {
    let (tag, console_id) = ZERO;
    let algorithms = Algorithms { authentication: 0, integrity: 0, confidentiality: 0 };
    let (mut payload, mut datagram) = (Vec::new(), Vec::new());
    OpenSessionRequest { tag, max_privilege: 0, console_id, algorithms }.encode(&mut payload);
    V20::encode_plain(PayloadType::OpenSessionRequest, &payload, &mut datagram);
    datagram
}

impl Target {
    /// Takes an answer about cipher suites; whether there is a next question to ask at once.
    fn handle_details(&mut self, packet: &V20<'_>) -> Result<bool, Ignored> {
        let Some(found) = &mut self.found else {
            return Err(Ignored::Unexpected("no answer to our question"));
        };
        match packet.payload_type {
            PayloadType::OpenSessionResponse if self.details.zero => {
                let response = OpenSessionResponse::parse(packet.payload)?;
                if response.tag != ZERO.0 {
                    return Err(Ignored::Unexpected("another message tag"));
                }
                let open = |accepted: &Accepted| {
                    let Algorithms { authentication, integrity, confidentiality } = accepted.algorithms;
                    (authentication, integrity, confidentiality) == (0, 0, 0)
                };
                found.cipher_zero = Some(response.outcome.as_ref().is_ok_and(open));
                self.details.zero = false;
                Ok(false)
            }
            PayloadType::Ipmi if packet.session_id == 0 => {
                let message = Message::parse(packet.payload)?;
                let (Some(part), (0x07, 0x54)) = (self.details.part, (message.net_fn, message.command))
                else {
                    return Err(Ignored::Unexpected("no answer to our question"));
                };
                if message.sequence != part {
                    return Err(Ignored::Unexpected("another part of the list"));
                }
                let records = match message.data {
                    [0, _channel, records @ ..] => records,
                    _ => &[],
                };
                self.details.octets.extend_from_slice(records.get(..16).unwrap_or(records));
                let whole = records.len() < 16 || part + 1 >= MAX_PARTS;
                self.details.part = if whole { None } else { Some(part + 1) };
                if whole && !self.details.octets.is_empty() {
                    let listed = cipher_suite_records(&self.details.octets);
                    let bits = listed.iter().filter(|record| record.id < 64).map(|record| 1u64 << record.id);
                    found.suites = Some(bits.fold(0, |all, bit| all | bit));
                }
                Ok(!whole)
            }
            _ => Err(Ignored::Unexpected("no answer to our question")),
        }
    }
}

impl Scan {
    /// A sweep that starts at once.
    pub fn new(now: Instant, config: Config, targets: impl IntoIterator<Item = SocketAddr>) -> Self {
        let mut queue = VecDeque::new();
        let mut map = BTreeMap::new();
        for addr in targets {
            let details = Details::default();
            let target = Target { sent: now, rounds: 0, v20: true, found: None, details, told: false };
            if map.insert(addr, target).is_none() {
                queue.push_back(addr);
            }
        }
        let mut scan = Self {
            config,
            targets: map,
            queue,
            allowance: now,
            outbox: VecDeque::new(),
            events: VecDeque::new(),
        };
        scan.handle_timeout(now);
        scan
    }

    fn ask(&mut self, now: Instant, addr: SocketAddr) {
        let ping = self.config.ping;
        let Some(target) = self.targets.get_mut(&addr) else { return };
        target.sent = now;
        target.rounds += 1;
        let answered = target.found.is_some_and(|found| found.capabilities.is_some());
        if !answered {
            self.outbox.push_back((addr, question(target.v20)));
        }
        if let Some(part) = target.details.part {
            self.outbox.push_back((addr, suites_question(part)));
        }
        if target.details.zero {
            self.outbox.push_back((addr, zero_question()));
        }
        // The first question about details follows the first ping at once: that one's answer is on its way.
        let repeated = target.rounds > 1 || !target.details.wanted();
        if ping && repeated && target.found.is_none_or(|found| found.pong.is_none()) {
            let mut datagram = Vec::new();
            asf::Message::Ping { tag: 0 }.encode(&mut datagram);
            self.outbox.push_back((addr, datagram));
        }
    }

    /// Takes one datagram.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, octets: &[u8]) -> Result<(), Ignored> {
        let target = self.targets.get_mut(&from).ok_or(Ignored::Stranger)?;
        let rtt = now.saturating_duration_since(target.sent);
        let (capabilities, pong, suites, cipher_zero) = (None, None, None, None);
        let blank = Found { addr: from, rtt, capabilities, pong, suites, cipher_zero };
        let mut more = false;
        match Packet::parse(octets)? {
            Packet::Asf(asf::Message::Pong(pong)) => {
                target.found.get_or_insert(blank).pong = Some(pong);
            }
            Packet::V15(packet) => {
                let message = Message::parse(packet.payload)?;
                if (message.net_fn, message.command) != (0x07, 0x38) {
                    return Err(Ignored::Unexpected("no answer to our question"));
                }
                let (code, data) =
                    message.data.split_first().ok_or(ParseError::Truncated("completion code"))?;
                if *code != 0 {
                    if target.v20 && message.sequence == 1 {
                        target.v20 = false; // it does not know bit 7: ask as 1.5 does
                        target.rounds = target.rounds.saturating_sub(1);
                        self.ask(now, from);
                        return Ok(());
                    }
                    return Err(Ignored::Unexpected("it refuses our question"));
                }
                let command = GetChannelAuthCapabilities {
                    channel: 0x0e,
                    privilege: Privilege::Administrator,
                    v20: true,
                };
                let capabilities = command.parse_reply(data)?;
                let found = target.found.get_or_insert(blank);
                let fresh = found.capabilities.replace(capabilities).is_none();
                if fresh && self.config.details && capabilities.supports_v20() {
                    target.details = Details { octets: Vec::new(), part: Some(0), zero: true };
                    more = true;
                }
            }
            Packet::V20(packet) => more = target.handle_details(&packet)?,
            Packet::Asf(_) => return Err(Ignored::Unexpected("no answer to our question")),
        }
        if let (Some(found), false) = (target.found, target.told)
            && found.capabilities.is_some()
            && (found.pong.is_some() || !self.config.ping)
            && !target.details.wanted()
        {
            target.told = true;
            self.events.push_back(found);
        } else if more {
            // The next question of this BMC; its answers count anew.
            target.rounds = 0;
            self.ask(now, from);
        }
        Ok(())
    }

    /// Tells the sweep that the time of [`Scan::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        let gap = Duration::from_secs(1) / self.config.rate.max(1);
        self.allowance = self.allowance.max(now.checked_sub(gap * 32).unwrap_or(now));
        while self.allowance <= now {
            let Some(addr) = self.queue.front().copied() else { break };
            let due = self.due(addr);
            if due > now {
                break;
            }
            self.queue.pop_front();
            let Some(target) = self.targets.get(&addr) else { continue };
            if target.told {
                continue;
            }
            if target.rounds >= self.config.rounds.max(1) {
                self.give_up(addr);
                continue;
            }
            self.ask(now, addr);
            self.queue.push_back(addr);
            self.allowance += gap * if self.config.ping { 2 } else { 1 };
        }
    }

    /// What answered half (ping alone, or question alone) is told at the end.
    fn give_up(&mut self, addr: SocketAddr) {
        if let Some(target) = self.targets.get_mut(&addr)
            && let Some(found) = target.found
        {
            target.told = true;
            self.events.push_back(found);
        }
    }

    fn due(&self, addr: SocketAddr) -> Instant {
        match self.targets.get(&addr) {
            Some(target) if target.rounds > 0 && !target.told => target.sent + self.config.wait,
            _ => self.allowance,
        }
    }

    /// The next datagram to send, and to whom: replaces the contents of `out`. Call until `None`.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<SocketAddr> {
        let (addr, datagram) = self.outbox.pop_front()?;
        *out = datagram;
        Some(addr)
    }

    /// The next BMC found. Call until `None`.
    pub fn poll_event(&mut self) -> Option<Found> {
        self.events.pop_front()
    }

    /// When to call [`Scan::handle_timeout`] at the latest; `None` once the sweep is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let front = self.queue.front()?;
        Some(self.due(*front).max(self.allowance))
    }
}
