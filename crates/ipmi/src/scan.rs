//! Looking for BMCs: a paced sweep of presence pings and Get Channel Authentication Capabilities.
//!
//! A pure engine for any number of addresses; `driver::scan` runs it on one socket per address family.
//! KPC swept port 623 by TCP and found nothing: IPMI is UDP (IPMI v2.0 §13.1.2).

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::command::Command;
use crate::command::app::{ChannelAuthCapabilities, GetChannelAuthCapabilities};
use crate::wire::asf;
use crate::wire::message::{BMC_ADDRESS, Message, REMOTE_CONSOLE};
use crate::wire::session::{AuthType, Packet, V15};
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
}

impl Default for Config {
    fn default() -> Self {
        Self { rate: 20_000, rounds: 2, wait: Duration::from_millis(200), ping: true }
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
}

#[derive(Debug)]
struct Target {
    sent: Instant,
    rounds: u8,
    v20: bool,
    found: Option<Found>,
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

impl Scan {
    /// A sweep that starts at once.
    pub fn new(now: Instant, config: Config, targets: impl IntoIterator<Item = SocketAddr>) -> Self {
        let mut queue = VecDeque::new();
        let mut map = BTreeMap::new();
        for addr in targets {
            let target = Target { sent: now, rounds: 0, v20: true, found: None, told: false };
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
        if ping && target.found.is_none_or(|found| found.pong.is_none()) {
            let mut datagram = Vec::new();
            asf::Message::Ping { tag: 0 }.encode(&mut datagram);
            self.outbox.push_back((addr, datagram));
        }
    }

    /// Takes one datagram.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, octets: &[u8]) -> Result<(), Ignored> {
        let target = self.targets.get_mut(&from).ok_or(Ignored::Stranger)?;
        let rtt = now.saturating_duration_since(target.sent);
        let blank = Found { addr: from, rtt, capabilities: None, pong: None };
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
                target.found.get_or_insert(blank).capabilities = Some(capabilities);
            }
            _ => return Err(Ignored::Unexpected("no answer to our question")),
        }
        if let (Some(found), false) = (target.found, target.told)
            && found.capabilities.is_some()
            && (found.pong.is_some() || !self.config.ping)
        {
            target.told = true;
            self.events.push_back(found);
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
