//! IPMI 1.5 sessions on the BMC's side: challenge and activation (IPMI v2.0 §22.16, §22.17).

use std::net::SocketAddr;
use std::time::Instant;

use super::sessions::{Slot, Stage};
use super::{BmcResponder, Event, Framing, OwnedMessage, ReturnPath};
use crate::crypto::auth_code::{Link15, PacketAuth};
use crate::crypto::cipher_suite::CipherSuite;
use crate::sequence::{Outbound, Window};
use crate::wire::Reader;
use crate::wire::message::Message;
use crate::wire::session::{AuthType, V15};
use crate::wire::status::StatusCode;
use crate::{CompletionCode, Ignored, Privilege};

impl BmcResponder {
    pub(super) fn handle_v15(
        &mut self,
        now: Instant,
        from: SocketAddr,
        packet: &V15<'_>,
    ) -> Result<(), Ignored> {
        if packet.session_id == 0 {
            if packet.auth_type != AuthType::None {
                return Err(Ignored::Unprotected);
            }
            let message = Message::parse(packet.payload)?;
            return match (message.net_fn, message.command) {
                (0x06, 0x39) if !self.config.auth_types.is_empty() => self.on_challenge(now, from, &message),
                _ => self.handle_sessionless(now, from, Framing::V15, packet.payload),
            };
        }
        if let Some(again) = self.sessions.activation(packet.session_id, packet.payload) {
            self.outbox.push(from, again); // Activate Session again: its answer was lost
            return Ok(());
        }
        let slot = self.sessions.find(packet.session_id).ok_or(Ignored::Unexpected("no such session"))?;
        if matches!(slot.stage, Stage::Challenged15 { .. }) {
            return self.on_activate(now, from, packet);
        }
        let mut plain = std::mem::take(&mut self.opened);
        let outcome = slot
            .open15(now, from, packet, &mut plain)
            .and_then(|level| self.handle_request(now, from, packet.session_id, level, &plain));
        self.opened = plain;
        outcome
    }

    /// Get Session Challenge (IPMI v2.0 §22.16): a temporary id and sixteen random octets.
    fn on_challenge(&mut self, now: Instant, from: SocketAddr, message: &Message<'_>) -> Result<(), Ignored> {
        let request = OwnedMessage::new(message);
        let path = ReturnPath { to: from, session: 0, framing: Framing::V15, request };
        let mut reader = Reader::new(message.data);
        let parsed = reader.u8("authentication type").and_then(|n| Ok((n, reader.array::<16>("user name")?)));
        let Ok((number, name)) = parsed else {
            self.reply(now, path, CompletionCode::INVALID_LENGTH, &[]);
            return Ok(());
        };
        let end = name.iter().position(|octet| *octet == 0).unwrap_or(name.len());
        let name = name.get(..end).unwrap_or_default();
        let by_name = |user: &super::User| user.enabled && user.name.as_slice() == name;
        let auth_type = AuthType::from_wire(number & 0x0f).filter(|t| self.config.auth_types.contains(t));
        let user = self.config.users.iter().position(by_name);
        let verdict = match (user, auth_type) {
            (None, _) if name.is_empty() => Err(CompletionCode(0x82)),
            (None, _) => Err(CompletionCode(0x81)),
            (Some(_), None) => Err(CompletionCode::INVALID_FIELD),
            (Some(user), Some(auth_type)) => Ok((user, auth_type)),
        };
        let password = user.and_then(|user| self.config.users.get(user)).map(|user| &user.password);
        let auth = match (verdict, password) {
            (Ok((user, auth_type)), Some(password)) => PacketAuth::new(auth_type, password)
                .map(|auth| (user, auth))
                .ok_or(CompletionCode::INVALID_FIELD),
            (Err(code), _) => Err(code),
            (Ok(_), None) => Err(CompletionCode(0x81)),
        };
        let (user, auth) = match auth {
            Ok(pair) if self.sessions.make_room() => pair,
            Ok(_) => {
                self.reply(now, path, CompletionCode::BUSY, &[]);
                return Ok(());
            }
            Err(code) => {
                self.events.push_back(Event::Refused { from, status: StatusCode::UNAUTHORIZED_NAME });
                self.reply(now, path, code, &[]);
                return Ok(());
            }
        };
        let temporary_id = self.sessions.fresh_id(&mut self.entropy);
        let challenge = self.entropy.draw();
        let mut data = temporary_id.to_le_bytes().to_vec();
        data.extend_from_slice(&challenge);
        let stage = Stage::Challenged15 { auth, challenge };
        let mut slot = Slot::new(temporary_id, 0, CipherSuite::SUITE_3, stage, now, from);
        slot.user = user;
        self.sessions.push(slot);
        self.reply(now, path, CompletionCode::OK, &data);
        Ok(())
    }

    /// Activate Session (IPMI v2.0 §22.17): signed under the temporary id. A wrong code is dropped unseen.
    fn on_activate(&mut self, now: Instant, from: SocketAddr, packet: &V15<'_>) -> Result<(), Ignored> {
        let message = Message::parse(packet.payload)?;
        if (message.net_fn, message.command) != (0x06, 0x3a) {
            return Err(Ignored::Unexpected("the session is not set up"));
        }
        let slot = self.sessions.find(packet.session_id).ok_or(Ignored::Unexpected("no such session"))?;
        let Stage::Challenged15 { auth, challenge } = &slot.stage else { return Ok(()) };
        if let Err(ignored) = auth.check(packet) {
            let status = StatusCode::INVALID_INTEGRITY_CHECK;
            self.events.push_back(Event::Refused { from, status });
            return Err(ignored);
        }
        let (auth, challenge, user, temporary_id) = (auth.clone(), *challenge, slot.user, slot.bmc_id);
        let limit = self.user_level(user);
        let parsed = Activation::parse(message.data);
        let verdict = match &parsed {
            None => Err(CompletionCode::INVALID_LENGTH),
            Some(a) if a.challenge != challenge || a.auth_type != auth.auth_type().to_wire() => {
                Err(CompletionCode::INVALID_FIELD)
            }
            Some(a) => match Privilege::from_wire(a.privilege) {
                None => Err(CompletionCode::INVALID_FIELD),
                Some(wanted) if wanted > limit => Err(CompletionCode(0x86)),
                Some(wanted) => Ok((wanted, a.first)),
            },
        };
        let mut octets = Vec::new();
        let (mut first, mut activated) = (0, 0);
        match verdict {
            Err(code) => octets.push(code.0),
            Ok((wanted, theirs)) => {
                let session_id = self.sessions.fresh_id(&mut self.entropy);
                let ours = self.entropy.draw_id();
                (first, activated) = (theirs, session_id);
                octets.extend_from_slice(&[0x00, auth.auth_type().to_wire()]);
                octets.extend_from_slice(&session_id.to_le_bytes());
                octets.extend_from_slice(&ours.to_le_bytes());
                octets.push(wanted.to_wire());
                let mut inbound = Window::V15;
                let _ = inbound.accept(ours.wrapping_sub(1)); // the first to come is `ours`
                let (outbound, auth) = (Outbound::starting_at(theirs), auth.clone());
                let link = Link15 { auth, session_id: temporary_id, outbound, inbound };
                if let Some(slot) = self.sessions.find(temporary_id) {
                    (slot.heard, slot.from) = (now, from);
                    (slot.limit, slot.level) = (wanted, wanted.min(Privilege::User));
                    slot.bmc_id = session_id;
                    slot.stage = Stage::Active15(Link15 { session_id, ..link });
                }
                let name =
                    self.config.users.get(user).map(|u| u.name.as_slice().to_vec()).unwrap_or_default();
                self.events.push_back(Event::LoggedIn { from, user: name, suite: 0 });
            }
        }
        let (mut reply, mut datagram) = (Vec::new(), Vec::new());
        message.reply(&octets).encode(&mut reply);
        auth.seal(temporary_id, first, &reply, &mut datagram)?;
        if let Some(slot) = self.sessions.find(activated) {
            (slot.alias, slot.last_setup) = (temporary_id, (packet.payload.to_vec(), datagram.clone()));
        }
        self.outbox.push(from, datagram);
        Ok(())
    }
}

/// The data of Activate Session.
struct Activation {
    auth_type: u8,
    privilege: u8,
    challenge: [u8; 16],
    /// The first number the console wants from us.
    first: u32,
}

impl Activation {
    fn parse(data: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(data);
        let [auth_type, privilege] = reader.array("authentication type and level").ok()?;
        let challenge = reader.array("challenge").ok()?;
        let first = reader.u32("initial outbound sequence number").ok()?;
        Some(Self { auth_type: auth_type & 0x0f, privilege: privilege & 0x0f, challenge, first })
    }
}
