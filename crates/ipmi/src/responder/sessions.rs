//! The responder's sessions: Open Session, RAKP 1 and 3, sealed packets, memory of answers (IPMI v2.0 §13.15).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{BmcResponder, Event, OwnedMessage};
use crate::crypto::auth_code::{Link15, PacketAuth};
use crate::crypto::cipher_suite::CipherSuite;
use crate::crypto::keys::{Exchange, Secret};
use crate::crypto::packet::SessionKeys;
use crate::sequence::{Outbound, Window};
use crate::wire::open_session::{Accepted, OpenSessionRequest, OpenSessionResponse};
use crate::wire::rakp::{NAME_ONLY, Rakp1, Rakp2, Rakp2Proof, Rakp3, Rakp4, Rakp4Proof, Refusal};
use crate::wire::session::{PayloadType, V15, V20};
use crate::wire::status::StatusCode;
use crate::{Entropy, Ignored, Privilege};

/// Answers remembered per session, so that a repeated request is not carried out twice.
const REMEMBERED: usize = 8;
/// How long an answer is remembered: consoles repeat within seconds, numbers come round after 64 requests.
const MEMORY: Duration = Duration::from_secs(5);
/// Idle time after which a set-up is dropped.
const SETUP_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) enum Stage {
    /// Open Session answered.
    Opened,
    /// RAKP 2 sent.
    Challenged { user: usize, role: u8, console_random: [u8; 16], bmc_random: [u8; 16], limit: Privilege },
    /// RAKP 4 sent.
    Active { keys: Box<SessionKeys>, inbound: Window, outbound: Outbound },
    /// An IPMI 1.5 challenge was sent; `Slot::bmc_id` is the temporary id.
    Challenged15 { auth: PacketAuth, challenge: [u8; 16] },
    /// An IPMI 1.5 session was activated.
    Active15(Link15),
}

/// One session or set-up.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) bmc_id: u32,
    console_id: u32,
    suite: CipherSuite,
    pub(super) stage: Stage,
    pub(super) heard: Instant,
    pub(super) from: SocketAddr,
    /// The last set-up message and its answer: a repeat gets the same answer.
    pub(super) last_setup: (Vec<u8>, Vec<u8>),
    pub(super) level: Privilege,
    pub(super) limit: Privilege,
    pub(super) user: usize,
    /// The temporary id of an IPMI 1.5 session.
    pub(super) alias: u32,
    answers: VecDeque<(Instant, OwnedMessage, Vec<u8>)>,
}

impl Slot {
    fn is_active(&self) -> bool {
        matches!(self.stage, Stage::Active { .. } | Stage::Active15(_))
    }

    /// Checks and decrypts a packet of this session; says at which level its sender stands.
    pub(super) fn open(
        &mut self,
        now: Instant,
        from: SocketAddr,
        packet: &V20<'_>,
        plain: &mut Vec<u8>,
    ) -> Result<Privilege, Ignored> {
        let Stage::Active { keys, inbound, .. } = &mut self.stage else {
            return Err(Ignored::Unexpected("the session is not set up"));
        };
        keys.open(packet, plain)?;
        inbound.accept(packet.sequence)?;
        (self.heard, self.from) = (now, from);
        Ok(self.level)
    }

    /// Checks a packet of this IPMI 1.5 session.
    pub(super) fn open15(
        &mut self,
        now: Instant,
        from: SocketAddr,
        packet: &V15<'_>,
        plain: &mut Vec<u8>,
    ) -> Result<Privilege, Ignored> {
        let Stage::Active15(link) = &mut self.stage else {
            return Err(Ignored::Unexpected("the session is not set up"));
        };
        link.open(packet, plain)?;
        (self.heard, self.from) = (now, from);
        Ok(self.level)
    }

    /// A slot for a new set-up.
    pub(super) fn new(
        bmc_id: u32,
        console_id: u32,
        suite: CipherSuite,
        stage: Stage,
        now: Instant,
        from: SocketAddr,
    ) -> Self {
        Self {
            bmc_id,
            console_id,
            suite,
            stage,
            heard: now,
            from,
            last_setup: (Vec::new(), Vec::new()),
            level: Privilege::User,
            limit: Privilege::User,
            user: 0,
            alias: 0,
            answers: VecDeque::new(),
        }
    }

    /// Appends a sealed datagram to the console.
    pub(super) fn seal(
        &mut self,
        payload_type: PayloadType,
        plain: &[u8],
        entropy: &mut Entropy,
        out: &mut Vec<u8>,
    ) {
        match &mut self.stage {
            Stage::Active { keys, outbound, .. } => {
                keys.seal(payload_type, self.console_id, outbound.take(), entropy.draw(), plain, out);
            }
            Stage::Active15(link) => link.seal(plain, out),
            _ => {}
        }
    }

    /// The answer this very request already got.
    pub(super) fn remembered(&mut self, now: Instant, request: &OwnedMessage) -> Option<Vec<u8>> {
        self.answers.retain(|(at, _, _)| now.saturating_duration_since(*at) < MEMORY);
        self.answers.iter().find(|(_, known, _)| known == request).map(|(_, _, data)| data.clone())
    }

    pub(super) fn remember(&mut self, now: Instant, request: &OwnedMessage, data: &[u8]) {
        let changes = !matches!(request.header, [_, 0x00, _, _, _, _, 0x01] | [_, 0x06, _, _, _, _, 0x01]);
        if changes {
            self.answers.truncate(REMEMBERED - 1);
            self.answers.push_front((now, request.clone(), data.to_vec()));
        }
    }
}

/// All sessions of one BMC.
#[derive(Debug)]
pub(super) struct Sessions {
    slots: Vec<Slot>,
    limit: usize,
}

impl Sessions {
    pub(super) fn new(limit: usize) -> Self {
        Self { slots: Vec::new(), limit: limit.max(1) }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn find(&mut self, bmc_id: u32) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.bmc_id == bmc_id)
    }

    /// The answer to Activate Session, for the console that lost it.
    pub(super) fn activation(&self, temporary_id: u32, payload: &[u8]) -> Option<Vec<u8>> {
        let slot = self.slots.iter().find(|slot| slot.alias == temporary_id && temporary_id != 0)?;
        (slot.last_setup.0 == payload).then(|| slot.last_setup.1.clone())
    }

    pub(super) fn remove(&mut self, bmc_id: u32) {
        self.slots.retain(|slot| slot.bmc_id != bmc_id);
    }

    pub(super) fn push(&mut self, slot: Slot) {
        self.slots.push(slot);
    }

    /// An id no session has.
    pub(super) fn fresh_id(&mut self, entropy: &mut Entropy) -> u32 {
        loop {
            let id = entropy.draw_id();
            if self.find(id).is_none() {
                return id;
            }
        }
    }

    /// Makes room for one more set-up, at the cost of the longest idle one.
    pub(super) fn make_room(&mut self) -> bool {
        if self.slots.len() < self.limit {
            return true;
        }
        let oldest = self.slots.iter().filter(|slot| !slot.is_active()).min_by_key(|slot| slot.heard);
        let Some(id) = oldest.map(|slot| slot.bmc_id) else { return false };
        self.remove(id);
        true
    }

    pub(super) fn expire(&mut self, now: Instant, idle: Duration) {
        self.slots.retain(|slot| {
            let limit = if slot.is_active() { idle } else { SETUP_TIMEOUT };
            now.saturating_duration_since(slot.heard) < limit
        });
    }

    pub(super) fn next_expiry(&self, idle: Duration) -> Option<Instant> {
        let expiry = |slot: &Slot| slot.heard + if slot.is_active() { idle } else { SETUP_TIMEOUT };
        self.slots.iter().map(expiry).min()
    }
}

/// What follows the status of a refusal: privilege level, 0, the console's session id (§13.18).
fn refusal_tail(privilege: u8, console_id: u32) -> [u8; 6] {
    let [a, b, c, d] = console_id.to_le_bytes();
    [privilege, 0, a, b, c, d]
}

impl BmcResponder {
    /// RMCP+ Open Session (IPMI v2.0 §13.17–18).
    pub(super) fn on_open_session(
        &mut self,
        now: Instant,
        from: SocketAddr,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Ignored> {
        let request = OpenSessionRequest::parse(payload)?;
        let known = |slot: &&Slot| {
            slot.from == from && matches!(slot.stage, Stage::Opened) && slot.last_setup.0 == payload
        };
        if let Some(slot) = self.sessions.slots.iter().find(known) {
            out.extend_from_slice(&slot.last_setup.1); // a repeat: the same answer, no second session
            return Ok(());
        }
        let suite = CipherSuite::from_algorithms(request.algorithms);
        let suite = suite.filter(|suite| self.config.suites.contains(suite));
        let refusal = match suite {
            None => Some(self.config.habits.refused_suite),
            Some(_) if request.max_privilege > Privilege::Oem.to_wire() => Some(StatusCode::INVALID_ROLE),
            Some(_) if !self.sessions.make_room() => Some(StatusCode::NO_RESOURCES),
            Some(_) => None,
        };
        let (tag, console_id) = (request.tag, request.console_id);
        let granted = match request.max_privilege {
            0 if !self.config.habits.echo_privilege => Privilege::Administrator.to_wire(),
            level => level,
        };
        let mut reply = Vec::with_capacity(36);
        if let (Some(suite), None) = (suite, refusal) {
            let bmc_id = self.sessions.fresh_id(&mut self.entropy);
            let algorithms = request.algorithms;
            let accepted = Accepted { max_privilege: granted, console_id, bmc_id, algorithms };
            OpenSessionResponse { tag, status: StatusCode::OK, outcome: Ok(accepted) }.encode(&mut reply);
            V20::encode_plain(PayloadType::OpenSessionResponse, &reply, out);
            let mut slot = Slot::new(bmc_id, console_id, suite, Stage::Opened, now, from);
            slot.last_setup = (payload.to_vec(), out.clone());
            self.sessions.push(slot);
        } else {
            let status = refusal.unwrap_or(StatusCode::NO_MATCHING_SUITE);
            self.events.push_back(Event::Refused { from, status });
            let rest = refusal_tail(granted, console_id);
            let rest = if self.config.habits.short_refusals { &[][..] } else { &rest[..] };
            OpenSessionResponse { tag, status, outcome: Err(Refusal(rest)) }.encode(&mut reply);
            V20::encode_plain(PayloadType::OpenSessionResponse, &reply, out);
        }
        Ok(())
    }

    /// RAKP 1 (IPMI v2.0 §13.20): who is it, and may they have that level?
    pub(super) fn on_rakp1(
        &mut self,
        now: Instant,
        from: SocketAddr,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Ignored> {
        let request = Rakp1::parse(payload)?;
        let Some(slot) = self.sessions.slots.iter_mut().find(|slot| slot.bmc_id == request.bmc_id) else {
            return Err(Ignored::Unexpected("no such session"));
        };
        if slot.last_setup.0 == payload {
            out.extend_from_slice(&slot.last_setup.1);
            return Ok(());
        }
        if !matches!(slot.stage, Stage::Opened) {
            return Err(Ignored::Unexpected("RAKP 1 was answered already"));
        }
        let wanted = request.role & 0x0f;
        let by_name =
            |(_, user): &(usize, &super::User)| user.enabled && user.name.as_slice() == request.user;
        let mut matching = self.config.users.iter().enumerate().filter(by_name);
        let found = if request.role & NAME_ONLY != 0 {
            matching.next()
        } else {
            let mut candidates: Vec<_> = matching.collect();
            candidates.sort_by_key(|(_, user)| user.privilege.to_wire() != wanted); // an exact match first
            candidates.into_iter().next()
        };
        let verdict = match (found, Privilege::from_wire(wanted)) {
            (None, _) => Err(StatusCode::UNAUTHORIZED_NAME),
            (Some(_), None) if wanted != 0 => Err(StatusCode::INVALID_ROLE),
            (Some((_, user)), Some(level)) if level > user.privilege => Err(StatusCode::UNAUTHORIZED_ROLE),
            (Some((index, user)), level) => Ok((index, level.unwrap_or(user.privilege), user)),
        };
        let (tag, console_id) = (request.tag, slot.console_id);
        let mut reply = Vec::with_capacity(80);
        match verdict {
            Err(status) => {
                let mut rest = refusal_tail(0, console_id).to_vec();
                if self.config.habits.full_refusals {
                    let exchange = Exchange {
                        authentication: slot.suite.authentication,
                        console_id,
                        bmc_id: slot.bmc_id,
                        console_random: request.console_random,
                        bmc_random: self.entropy.draw(),
                        guid: self.config.guid,
                        role: request.role,
                        user: &[],
                    };
                    rest.extend_from_slice(&exchange.bmc_random);
                    rest.extend_from_slice(&exchange.guid);
                    rest.extend_from_slice(exchange.rakp2_code(&Secret::EMPTY).as_slice());
                }
                Rakp2 { tag, status, outcome: Err(Refusal(&rest)) }.encode(&mut reply);
                self.events.push_back(Event::Refused { from, status });
                let id = slot.bmc_id;
                self.sessions.remove(id);
                V20::encode_plain(PayloadType::Rakp2, &reply, out);
            }
            Ok((index, limit, user)) => {
                let bmc_random = self.entropy.draw();
                let exchange = Exchange {
                    authentication: slot.suite.authentication,
                    console_id,
                    bmc_id: slot.bmc_id,
                    console_random: request.console_random,
                    bmc_random,
                    guid: self.config.guid,
                    role: request.role,
                    user: request.user,
                };
                let code = exchange.rakp2_code(&user.password);
                let (guid, code) = (self.config.guid, code.as_slice());
                let proof = Rakp2Proof { console_id, bmc_random, guid, code };
                Rakp2 { tag, status: StatusCode::OK, outcome: Ok(proof) }.encode(&mut reply);
                V20::encode_plain(PayloadType::Rakp2, &reply, out);
                slot.stage = Stage::Challenged {
                    user: index,
                    role: request.role,
                    console_random: request.console_random,
                    bmc_random,
                    limit,
                };
                (slot.heard, slot.from) = (now, from);
                slot.last_setup = (payload.to_vec(), out.clone());
            }
        }
        Ok(())
    }

    /// RAKP 3 (IPMI v2.0 §13.22): the console's proof.
    pub(super) fn on_rakp3(
        &mut self,
        now: Instant,
        from: SocketAddr,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Ignored> {
        let request = Rakp3::parse(payload)?;
        let Some(slot) = self.sessions.slots.iter_mut().find(|slot| slot.bmc_id == request.bmc_id) else {
            return Err(Ignored::Unexpected("no such session"));
        };
        if slot.last_setup.0 == payload {
            out.extend_from_slice(&slot.last_setup.1);
            return Ok(());
        }
        let Stage::Challenged { user, role, console_random, bmc_random, limit } = slot.stage else {
            return Err(Ignored::Unexpected("RAKP 3 out of turn"));
        };
        let (tag, console_id, bmc_id) = (request.tag, slot.console_id, slot.bmc_id);
        if request.status != StatusCode::OK {
            self.events.push_back(Event::Refused { from, status: request.status });
            self.sessions.remove(bmc_id);
            return Ok(()); // the console gave up; it waits for nothing (IPMI v2.0 §13.22)
        }
        let Some(account) = self.config.users.get(user) else {
            return Err(Ignored::Unexpected("the user is gone"));
        };
        let password: &Secret = &account.password;
        let exchange = Exchange {
            authentication: slot.suite.authentication,
            console_id,
            bmc_id,
            console_random,
            bmc_random,
            guid: self.config.guid,
            role,
            user: account.name.as_slice(),
        };
        let mut reply = Vec::with_capacity(24);
        if !exchange.rakp3_code(password).matches(request.code) {
            let status = StatusCode::INVALID_INTEGRITY_CHECK;
            let rest = refusal_tail(0, console_id);
            Rakp4 { tag, status, outcome: Err(Refusal(&rest)) }.encode(&mut reply);
            V20::encode_plain(PayloadType::Rakp4, &reply, out);
            self.events.push_back(Event::Refused { from, status });
            self.sessions.remove(bmc_id);
            return Ok(());
        }
        let sik = exchange.session_integrity_key(password, &self.config.k_g);
        let code = exchange.rakp4_code(&sik);
        let proof = Rakp4Proof { console_id, code: code.as_slice() };
        Rakp4 { tag, status: StatusCode::OK, outcome: Ok(proof) }.encode(&mut reply);
        V20::encode_plain(PayloadType::Rakp4, &reply, out);
        let keys = Box::new(SessionKeys::new(slot.suite, &sik, password));
        slot.stage = Stage::Active { keys, inbound: Window::V20, outbound: Outbound::default() };
        (slot.heard, slot.from) = (now, from);
        (slot.user, slot.limit, slot.level) = (user, limit, limit.min(Privilege::User));
        slot.last_setup = (payload.to_vec(), out.clone());
        let user = account.name.as_slice().to_vec();
        self.events.push_back(Event::LoggedIn { from, user, suite: slot.suite.id });
        Ok(())
    }
}
