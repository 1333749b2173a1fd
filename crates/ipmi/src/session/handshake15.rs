//! Set-up of an IPMI 1.5 session: capabilities, challenge, activation (IPMI v2.0 §22.13, §22.16, §22.17).
//! Part of the `Session` engine.

use std::time::Instant;

use super::request::Retry;
use super::{Active, Event, Failure, Link, Privilege, Session, State};
use crate::command::Command;
use crate::command::app::GetChannelAuthCapabilities;
use crate::crypto::auth_code::{Link15, PacketAuth};
use crate::sequence::{Outbound, Window};
use crate::session::Request;
use crate::wire::Reader;
use crate::wire::message::Message;
use crate::wire::session::{AuthType, V15};
use crate::wire::status::StatusCode;
use crate::{CompletionCode, Ignored, ParseError};

/// Sends of Activate Session before its silence is taken for a refusal: BMCs drop a wrong code unseen.
const ACTIVATIONS: u8 = 3;

#[derive(Debug)]
enum Step {
    /// Get Channel Authentication Capabilities sent.
    Capabilities,
    /// Get Session Challenge sent.
    Challenge { auth: PacketAuth },
    /// Activate Session sent, signed, under the temporary id.
    Activate { auth: PacketAuth, temporary_id: u32 },
}

/// An IPMI 1.5 session being set up.
#[derive(Debug)]
pub(crate) struct Handshake15 {
    step: Step,
    wanted: Option<AuthType>,
    sequence: u8,
    sends: u8,
    datagram: Vec<u8>,
    retry: Retry,
}

impl Handshake15 {
    pub(crate) fn deadline(&self) -> Instant {
        self.retry.deadline
    }
}

impl Session {
    pub(super) fn start_handshake15(&mut self, now: Instant, wanted: Option<AuthType>) {
        let privilege = self.config.privilege;
        let request = GetChannelAuthCapabilities { channel: 0x0e, privilege, v20: false }.request();
        let datagram = plain(&request, 0);
        self.outbox.push_back(datagram.clone());
        let (step, retry) = (Step::Capabilities, Retry::new(now, &self.config));
        let handshake = Handshake15 { step, wanted, sequence: 0, sends: 1, datagram, retry };
        self.state = State::Handshake15(Box::new(handshake));
    }

    pub(super) fn handle_handshake15(&mut self, now: Instant, packet: &V15<'_>) -> Result<(), Ignored> {
        let State::Handshake15(handshake) = &self.state else {
            return Err(Ignored::Unexpected("no set-up"));
        };
        let message = Message::parse(packet.payload)?;
        if !message.is_response() || message.sequence != handshake.sequence {
            return Err(Ignored::Unexpected("another request is waited for"));
        }
        let (code, data) = message.data.split_first().ok_or(ParseError::Truncated("completion code"))?;
        let code = CompletionCode(*code);
        match (&handshake.step, message.command) {
            (Step::Capabilities, 0x38) => self.on_capabilities(now, code, data),
            (Step::Challenge { .. }, 0x39) => self.on_challenge(now, code, data),
            (Step::Activate { auth, temporary_id }, 0x3a) => {
                // Some BMCs leave the answer unsigned; what it grants is proved by the next packets.
                if packet.session_id != *temporary_id && packet.session_id != 0 {
                    return Err(Ignored::Unexpected("another session id"));
                }
                if packet.auth_type != AuthType::None {
                    auth.check(packet)?;
                }
                self.on_activated(now, code, data)
            }
            _ => Err(Ignored::Unexpected("another set-up message is waited for")),
        }
    }

    /// IPMI v2.0 §22.13: the type asked for, or the best the BMC offers.
    fn on_capabilities(&mut self, now: Instant, code: CompletionCode, data: &[u8]) -> Result<(), Ignored> {
        let State::Handshake15(handshake) = &self.state else { return Ok(()) };
        if !code.is_ok() {
            self.fail(Failure::Refused(StatusCode::ILLEGAL_PARAMETER));
            return Ok(());
        }
        let privilege = self.config.privilege;
        let command = GetChannelAuthCapabilities { channel: 0x0e, privilege, v20: false };
        let offered = command.parse_reply(data)?.auth_types;
        let best = [AuthType::Md5, AuthType::Password, AuthType::None];
        let wanted = match handshake.wanted {
            Some(auth_type) => Some(auth_type),
            None => best.into_iter().find(|t| offered & (1 << t.to_wire()) != 0),
        };
        let password = &self.config.credentials.password;
        let Some(auth) = wanted.and_then(|auth_type| PacketAuth::new(auth_type, password)) else {
            self.fail(Failure::SuiteRefused(StatusCode::INVALID_AUTHENTICATION));
            return Ok(());
        };
        let mut data = vec![auth.auth_type().to_wire()];
        data.extend_from_slice(self.config.credentials.user.as_slice());
        data.resize(17, 0);
        let request = Request::new(0x06, 0x39, data);
        self.advance15(now, Step::Challenge { auth }, |sequence| plain(&request, sequence));
        Ok(())
    }

    /// IPMI v2.0 §22.16.
    fn on_challenge(&mut self, now: Instant, code: CompletionCode, data: &[u8]) -> Result<(), Ignored> {
        let State::Handshake15(handshake) = &self.state else { return Ok(()) };
        let Step::Challenge { auth } = &handshake.step else { return Ok(()) };
        match code.0 {
            0x00 => {}
            0x81 | 0x82 => {
                self.fail(Failure::UnknownUser);
                return Ok(());
            }
            _ => {
                self.fail(Failure::SuiteRefused(StatusCode::INVALID_AUTHENTICATION));
                return Ok(());
            }
        }
        let mut reader = Reader::new(data);
        let temporary_id = reader.u32("temporary session id")?;
        let challenge: [u8; 16] = reader.array("challenge")?;
        let auth = auth.clone();
        let mut data = vec![auth.auth_type().to_wire(), self.config.privilege.to_wire()];
        data.extend_from_slice(&challenge);
        data.extend_from_slice(&self.entropy.draw_id().to_le_bytes());
        let request = Request::new(0x06, 0x3a, data);
        let step = Step::Activate { auth: auth.clone(), temporary_id };
        self.advance15(now, step, |sequence| {
            let (mut message, mut datagram) = (Vec::new(), Vec::new());
            request.encode(sequence, None, &mut message);
            let _ = auth.seal(temporary_id, 0, &message, &mut datagram); // 33 octets always fit
            datagram
        });
        Ok(())
    }

    /// IPMI v2.0 §22.17: the session stands; the first number out is the one the BMC names.
    fn on_activated(&mut self, now: Instant, code: CompletionCode, data: &[u8]) -> Result<(), Ignored> {
        let State::Handshake15(handshake) = &self.state else { return Ok(()) };
        let Step::Activate { auth, .. } = &handshake.step else { return Ok(()) };
        match code.0 {
            0x00 => {}
            0x83 | 0x86 | 0xd4 => {
                self.fail(Failure::Privilege);
                return Ok(());
            }
            0x81 | 0x82 => {
                self.fail(Failure::Refused(StatusCode::NO_RESOURCES));
                return Ok(());
            }
            _ => {
                self.fail(Failure::WrongPassword);
                return Ok(());
            }
        }
        let mut reader = Reader::new(data);
        let number = reader.u8("authentication type")? & 0x0f;
        let session_id = reader.u32("session id")?;
        let first = reader.u32("initial inbound sequence number")?;
        let auth_type =
            AuthType::from_wire(number).ok_or(ParseError::Value("authentication type", number))?;
        // The BMC may say "none from now on"; it may not choose anything else than we proved.
        if auth_type != auth.auth_type() && auth_type != AuthType::None {
            return Err(Ignored::Unexpected("an authentication type we did not propose"));
        }
        let auth = PacketAuth::new(auth_type, &self.config.credentials.password).unwrap_or(auth.clone());
        let (outbound, inbound) = (Outbound::starting_at(first), Window::V15);
        let link = Link::V15(Link15 { auth, session_id, outbound, inbound });
        let level = self.config.privilege.min(Privilege::User);
        self.events.push_back(Event::Established { suite: None, guid: [0; 16] });
        self.state = State::Active(Box::new(Active { link, bmc_id: session_id, guid: [0; 16], level }));
        self.idle_since = now;
        self.dispatch(now);
        Ok(())
    }

    fn advance15(&mut self, now: Instant, step: Step, datagram: impl FnOnce(u8) -> Vec<u8>) {
        let State::Handshake15(handshake) = &mut self.state else { return };
        handshake.sequence = (handshake.sequence + 1) & 0x3f;
        handshake.datagram = datagram(handshake.sequence);
        (handshake.step, handshake.sends) = (step, 1);
        handshake.retry.deadline = now + self.config.timeout;
        self.outbox.push_back(handshake.datagram.clone());
    }

    pub(super) fn handshake15_timeout(&mut self, now: Instant) {
        let State::Handshake15(handshake) = &mut self.state else { return };
        if now < handshake.retry.deadline {
            return;
        }
        let activating = matches!(handshake.step, Step::Activate { .. });
        if activating && handshake.sends >= ACTIVATIONS {
            self.fail(Failure::WrongPassword);
        } else if handshake.retry.next(now, &self.config) {
            handshake.sends += 1;
            self.outbox.push_back(handshake.datagram.clone());
        } else {
            self.fail(Failure::Silent);
        }
    }
}

/// A message outside a session.
fn plain(request: &Request, sequence: u8) -> Vec<u8> {
    let (mut message, mut datagram) = (Vec::new(), Vec::new());
    request.encode(sequence, None, &mut message);
    let auth_type = AuthType::None;
    let packet = V15 { auth_type, sequence: 0, session_id: 0, auth_code: None, payload: &message };
    let _ = packet.encode(&mut datagram); // set-up messages always fit
    datagram
}
