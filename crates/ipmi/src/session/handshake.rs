//! Session set-up: Open Session, RAKP 1 to 4 (IPMI v2.0 §13.15). Part of the `Session` engine.
//!
//! A lost message is repeated as it was; when two repeats of RAKP 1 or RAKP 3 stay unanswered, the set-up
//! begins again at Open Session with a new console session id, because a BMC that has moved on never
//! answers the old one.

use std::time::Instant;

use super::request::Retry;
use super::{Active, Event, Failure, Link, Privilege, Session, State};
use crate::crypto::Code;
use crate::crypto::cipher_suite::CipherSuite;
use crate::crypto::keys::Exchange;
use crate::crypto::packet::SessionKeys;
use crate::sequence::{Outbound, Window};
use crate::wire::open_session::{OpenSessionRequest, OpenSessionResponse};
use crate::wire::rakp::{Rakp1, Rakp2, Rakp3, Rakp4};
use crate::wire::session::{PayloadType, V20};
use crate::wire::status::StatusCode;
use crate::{Ignored, ParseError};

/// RAKP 1 with all sixteen octets of the user name (IPMI v2.0 table 13-11).
const RAKP1_SIZE: usize = 44;

/// Sends of one RAKP message before the set-up restarts.
const SENDS_PER_STEP: u8 = 2;

#[derive(Debug)]
enum Step {
    /// Open Session Request sent.
    Open,
    /// RAKP 1 sent.
    Rakp1 { bmc_id: u32, console_random: [u8; 16] },
    /// RAKP 3 sent.
    Rakp3 { bmc_id: u32, guid: [u8; 16], rakp4: Code, keys: Box<SessionKeys> },
}

/// A session being set up.
#[derive(Debug)]
pub(crate) struct Handshake {
    step: Step,
    suite: CipherSuite,
    suites_left: Vec<CipherSuite>,
    tag: u8,
    console_id: u32,
    datagram: Vec<u8>,
    retry: Retry,
    sends: u8,
}

impl Handshake {
    pub(crate) fn deadline(&self) -> Instant {
        self.retry.deadline
    }
}

fn plain(payload_type: PayloadType, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(payload.len() + 16);
    V20::encode_plain(payload_type, payload, &mut datagram);
    datagram
}

impl Session {
    /// Begins with the first suite of the configuration.
    pub(super) fn start_handshake(&mut self, now: Instant) {
        let mut suites = self.config.suites.clone();
        if suites.is_empty() {
            suites.push(CipherSuite::SUITE_17);
        }
        let suite = suites.remove(0);
        self.open(now, suite, suites, Retry::new(now, &self.config));
    }

    /// Sends an Open Session Request under a new console session id (IPMI v2.0 §13.17).
    fn open(&mut self, now: Instant, suite: CipherSuite, suites_left: Vec<CipherSuite>, retry: Retry) {
        let console_id = self.entropy.draw_id();
        let [tag] = self.entropy.draw();
        // "The highest that the algorithms allow" (IPMI v2.0 §13.17), as ipmitool asks for administrators: BMCs
        // that limit a suite refuse a plain 4 there. RAKP 1 names the level that counts.
        let max_privilege = match self.config.privilege {
            Privilege::Administrator if !self.config.quirks.names_privilege => 0,
            other => other.to_wire(),
        };
        let algorithms = suite.algorithms();
        let mut payload = Vec::with_capacity(32);
        OpenSessionRequest { tag, max_privilege, console_id, algorithms }.encode(&mut payload);
        let datagram = plain(PayloadType::OpenSessionRequest, &payload);
        self.outbox.push_back(datagram.clone());
        self.idle_since = now;
        let step = Step::Open;
        let handshake = Handshake { step, suite, suites_left, tag, console_id, datagram, retry, sends: 1 };
        self.state = State::Handshake(Box::new(handshake));
    }

    pub(super) fn handle_handshake(&mut self, now: Instant, packet: &V20<'_>) -> Result<(), Ignored> {
        let State::Handshake(handshake) = &self.state else { return Err(Ignored::Unexpected("no set-up")) };
        if packet.encrypted || packet.authenticated {
            return match packet.payload_type {
                PayloadType::Rakp2 | PayloadType::Rakp4 => {
                    // The BMC already has a session where we have none: begin again.
                    let (suite, left) = (handshake.suite, handshake.suites_left.clone());
                    let retry = handshake.retry;
                    self.open(now, suite, left, retry);
                    Err(Ignored::Unexpected("a set-up message inside a session"))
                }
                _ => Err(Ignored::Unprotected),
            };
        }
        match (packet.payload_type, &handshake.step) {
            (PayloadType::OpenSessionResponse, Step::Open) => self.on_open_response(now, packet.payload),
            (PayloadType::Rakp2, Step::Rakp1 { .. }) => self.on_rakp2(now, packet.payload),
            (PayloadType::Rakp4, Step::Rakp3 { .. }) => self.on_rakp4(now, packet.payload),
            _ => Err(Ignored::Unexpected("another set-up message is waited for")),
        }
    }

    /// IPMI v2.0 §13.18.
    fn on_open_response(&mut self, now: Instant, payload: &[u8]) -> Result<(), Ignored> {
        let response = OpenSessionResponse::parse(payload)?;
        let State::Handshake(handshake) = &mut self.state else { return Ok(()) };
        if response.tag != handshake.tag {
            return Err(Ignored::Unexpected("another message tag"));
        }
        let accepted = match response.outcome {
            Ok(accepted) => accepted,
            Err(refusal) if !refusal.concerns(handshake.console_id) => {
                return Err(Ignored::Unexpected("another session id"));
            }
            Err(_) => return self.on_open_refused(now, response.status),
        };
        if accepted.console_id != handshake.console_id {
            return Err(Ignored::Unexpected("another session id"));
        }
        if accepted.algorithms != handshake.suite.algorithms() {
            // Never below what we asked for: a forged answer must not weaken the session.
            return Err(Ignored::Unexpected("algorithms we did not propose"));
        }
        let console_random = self.entropy.draw();
        let mut payload = Vec::with_capacity(48);
        let (tag, bmc_id) = (handshake.tag, accepted.bmc_id);
        let user = self.config.credentials.user.as_slice();
        let role = self.config.role();
        Rakp1 { tag, bmc_id, console_random, role, user }.encode(&mut payload);
        if self.config.quirks.padded_name {
            payload.resize(RAKP1_SIZE, 0);
        }
        self.advance(now, Step::Rakp1 { bmc_id, console_random }, PayloadType::Rakp1, &payload);
        Ok(())
    }

    /// The next suite, if that is what the refusal is about; otherwise the end.
    fn on_open_refused(&mut self, now: Instant, status: StatusCode) -> Result<(), Ignored> {
        let State::Handshake(handshake) = &mut self.state else { return Ok(()) };
        if !status.refuses_suite() {
            self.refused(status);
        } else if handshake.suites_left.is_empty() {
            self.fail(Failure::SuiteRefused(status));
        } else {
            let suite = handshake.suites_left.remove(0);
            let left = std::mem::take(&mut handshake.suites_left);
            let retry = Retry::new(now, &self.config);
            self.open(now, suite, left, retry);
        }
        Ok(())
    }

    /// Sends the next message of the set-up with fresh attempts.
    fn advance(&mut self, now: Instant, step: Step, payload_type: PayloadType, payload: &[u8]) {
        let State::Handshake(handshake) = &mut self.state else { return };
        let datagram = plain(payload_type, payload);
        self.outbox.push_back(datagram.clone());
        (handshake.step, handshake.datagram, handshake.sends) = (step, datagram, 1);
        handshake.retry.deadline = now + self.config.timeout;
    }

    /// IPMI v2.0 §13.21: the BMC proves the password first; on a mismatch nothing of ours goes out.
    fn on_rakp2(&mut self, now: Instant, payload: &[u8]) -> Result<(), Ignored> {
        let rakp2 = Rakp2::parse(payload)?;
        let State::Handshake(handshake) = &self.state else { return Ok(()) };
        let Step::Rakp1 { bmc_id, console_random } = handshake.step else { return Ok(()) };
        if rakp2.tag != handshake.tag {
            return Err(Ignored::Unexpected("another message tag"));
        }
        let proof = match rakp2.outcome {
            Ok(proof) if proof.console_id == handshake.console_id => proof,
            Err(refusal) if refusal.concerns(handshake.console_id) => {
                match rakp2.status {
                    // The half-open session was dropped by the BMC: begin again.
                    StatusCode::INVALID_SESSION_ID | StatusCode::INACTIVE_SESSION_ID => self.restart(now),
                    status => self.refused(status),
                }
                return Ok(());
            }
            _ => return Err(Ignored::Unexpected("another session id")),
        };
        let (quirks, role) = (self.config.quirks, self.config.role());
        let exchange = Exchange {
            authentication: handshake.suite.authentication,
            console_id: handshake.console_id,
            bmc_id,
            console_random,
            bmc_random: proof.bmc_random,
            guid: proof.guid,
            role: if quirks.plain_role_everywhere { role & 0x0f } else { role },
            user: self.config.credentials.user.as_slice(),
        };
        let password = &self.config.credentials.password;
        let code = exchange.rakp2_code(password);
        if proof.code.len() != code.as_slice().len() {
            return Err(ParseError::Length("RAKP 2 authentication code").into());
        }
        let (tag, suite) = (handshake.tag, handshake.suite);
        let mut payload = Vec::with_capacity(40);
        if !code.matches(proof.code) {
            // Tell the BMC, so that it frees the half-open session (IPMI v2.0 §13.22).
            let status = StatusCode::INVALID_INTEGRITY_CHECK;
            Rakp3 { tag, status, bmc_id, code: &[] }.encode(&mut payload);
            self.outbox.push_back(plain(PayloadType::Rakp3, &payload));
            self.fail(Failure::WrongPassword);
            return Ok(());
        }
        let third = if quirks.plain_role_in_rakp3 { role & 0x0f } else { role };
        let code = Exchange { role: third, ..exchange }.rakp3_code(password);
        Rakp3 { tag, status: StatusCode::OK, bmc_id, code: code.as_slice() }.encode(&mut payload);
        let sik = exchange.session_integrity_key(password, &self.config.credentials.k_g);
        let rakp4 = exchange.rakp4_code(&sik);
        let keys = Box::new(SessionKeys::new(suite, &sik, password));
        let step = Step::Rakp3 { bmc_id, guid: proof.guid, rakp4, keys };
        self.advance(now, step, PayloadType::Rakp3, &payload);
        Ok(())
    }

    /// IPMI v2.0 §13.23: the session stands.
    fn on_rakp4(&mut self, now: Instant, payload: &[u8]) -> Result<(), Ignored> {
        let message = Rakp4::parse(payload)?;
        let State::Handshake(handshake) = &self.state else { return Ok(()) };
        let Step::Rakp3 { rakp4, .. } = &handshake.step else { return Ok(()) };
        if message.tag != handshake.tag {
            return Err(Ignored::Unexpected("another message tag"));
        }
        let proof = match message.outcome {
            Ok(proof) if proof.console_id == handshake.console_id => proof,
            Err(refusal) if refusal.concerns(handshake.console_id) => {
                match message.status {
                    StatusCode::INVALID_SESSION_ID | StatusCode::INACTIVE_SESSION_ID => self.restart(now),
                    status => self.refused(status),
                }
                return Ok(());
            }
            _ => return Err(Ignored::Unexpected("another session id")),
        };
        if proof.code.len() != rakp4.as_slice().len() {
            return Err(ParseError::Length("RAKP 4 integrity check value").into());
        }
        if !rakp4.matches(proof.code) {
            self.fail(Failure::WrongKg);
            return Ok(());
        }
        let State::Handshake(handshake) = std::mem::replace(&mut self.state, State::Over) else {
            return Ok(());
        };
        let (console_id, suite) = (handshake.console_id, handshake.suite);
        let Step::Rakp3 { bmc_id, guid, keys, .. } = handshake.step else { return Ok(()) };
        self.events.push_back(Event::Established { suite: Some(suite), guid });
        let (outbound, inbound) = (Outbound::default(), Window::V20);
        self.state = State::Active(Box::new(Active {
            link: Link::V20 { keys, console_id, outbound, inbound },
            bmc_id,
            guid,
            level: self.config.privilege.min(Privilege::User),
        }));
        self.idle_since = now;
        self.dispatch(now);
        Ok(())
    }

    fn refused(&mut self, status: StatusCode) {
        self.fail(match status {
            StatusCode::UNAUTHORIZED_NAME | StatusCode::INVALID_NAME_LENGTH => Failure::UnknownUser,
            StatusCode::UNAUTHORIZED_ROLE | StatusCode::INVALID_ROLE | StatusCode::NO_RESOURCES_AT_ROLE => {
                Failure::Privilege
            }
            StatusCode::INVALID_INTEGRITY_CHECK => Failure::WrongPassword,
            status => Failure::Refused(status),
        });
    }

    /// Begins again at Open Session, spending an attempt.
    fn restart(&mut self, now: Instant) {
        let State::Handshake(handshake) = &mut self.state else { return };
        let mut retry = handshake.retry;
        if !retry.next(now, &self.config) {
            self.fail(Failure::Silent);
            return;
        }
        let (suite, left) = (handshake.suite, std::mem::take(&mut handshake.suites_left));
        self.open(now, suite, left, retry);
    }

    pub(super) fn handshake_timeout(&mut self, now: Instant) {
        let State::Handshake(handshake) = &mut self.state else { return };
        if now < handshake.retry.deadline {
            return;
        }
        if !matches!(handshake.step, Step::Open) && handshake.sends >= SENDS_PER_STEP {
            self.restart(now);
            return;
        }
        if !handshake.retry.next(now, &self.config) {
            self.fail(Failure::Silent);
            return;
        }
        handshake.sends += 1;
        self.outbox.push_back(handshake.datagram.clone());
    }
}
