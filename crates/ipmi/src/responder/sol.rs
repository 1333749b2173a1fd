//! Serial over LAN on the BMC's side: one console at a time (IPMI v2.0 §15, §24).

use std::net::SocketAddr;
use std::time::Instant;

use super::commands::{Answer, ok, refuse};
use super::{BmcResponder, Event};
use crate::sol::{Config, SolLink};
use crate::wire::session::{PayloadType, V20};
use crate::{CompletionCode, Ignored};

/// Octets of the largest payload either way.
const PAYLOAD: u16 = 0x00ff;

/// The active console.
#[derive(Debug)]
pub(super) struct Stream {
    session: u32,
    link: SolLink,
}

impl BmcResponder {
    /// Activate Payload (IPMI v2.0 §24.1).
    pub(super) fn activate_payload(&mut self, session: u32, data: &[u8]) -> Answer {
        let &[kind, instance, _, _, _, _] = data else { return refuse(CompletionCode::INVALID_LENGTH) };
        match (kind & 0x3f, instance & 0x0f) {
            (1, 1) if !self.config.sol => return refuse(CompletionCode(0x81)),
            (1, 1) => {}
            _ => return refuse(CompletionCode::INVALID_FIELD),
        }
        let alive = self.sol.as_ref().map(|stream| stream.session);
        if alive.is_some_and(|id| id != session && self.sessions.find(id).is_some()) {
            return refuse(CompletionCode(0x80));
        }
        self.sol = Some(Stream { session, link: SolLink::new(Config::default()) });
        let mut reply = vec![0, 0, 0, 0];
        reply.extend_from_slice(&PAYLOAD.to_le_bytes());
        reply.extend_from_slice(&PAYLOAD.to_le_bytes());
        reply.extend_from_slice(&623u16.to_le_bytes());
        reply.extend_from_slice(&[0xff, 0xff]);
        ok(reply)
    }

    /// Deactivate Payload (IPMI v2.0 §24.2): anybody's.
    pub(super) fn deactivate_payload(&mut self, data: &[u8]) -> Answer {
        match (data, self.sol.take()) {
            (&[kind, instance, ..], stream) if kind & 0x3f == 1 && instance & 0x0f == 1 => {
                if stream.is_some() { ok(Vec::new()) } else { refuse(CompletionCode(0x80)) }
            }
            (_, stream) => {
                self.sol = stream;
                refuse(CompletionCode::INVALID_FIELD)
            }
        }
    }

    pub(super) fn handle_sol(
        &mut self,
        now: Instant,
        from: SocketAddr,
        packet: &V20<'_>,
    ) -> Result<(), Ignored> {
        let mut plain = Vec::new();
        let slot = self.sessions.find(packet.session_id).ok_or(Ignored::Unexpected("no such session"))?;
        slot.open(now, from, packet, &mut plain)?;
        let stream = self.sol.as_mut().filter(|stream| stream.session == packet.session_id);
        let stream = stream.ok_or(Ignored::Unexpected("SOL is not active in this session"))?;
        let mut typed = Vec::new();
        stream.link.handle_payload(now, &plain, &mut typed)?;
        if !typed.is_empty() {
            self.events.push_back(Event::Typed(typed));
        }
        self.sol_pump(now);
        Ok(())
    }

    /// Brings characters of the machine's serial port to the active console, if there is one.
    pub fn serial_output(&mut self, now: Instant, characters: &[u8]) {
        if let Some(stream) = &mut self.sol {
            stream.link.send(characters); // what does not fit is lost, as on a serial line
            self.sol_pump(now);
        }
    }

    fn sol_pump(&mut self, now: Instant) {
        let Some(stream) = &mut self.sol else { return };
        let mut payload = Vec::new();
        while stream.link.poll_payload(now, &mut payload) {
            let Some(slot) = self.sessions.find(stream.session) else { return };
            let (mut datagram, to) = (Vec::new(), slot.from);
            slot.seal(PayloadType::Sol, &payload, &mut self.entropy, &mut datagram);
            if !datagram.is_empty() {
                self.outbox.push(to, datagram);
            }
        }
    }

    pub(super) fn sol_timeout(&mut self, now: Instant) {
        if let Some(stream) = &mut self.sol {
            stream.link.handle_timeout(now);
            if stream.link.is_gone() {
                self.sol = None;
            } else {
                self.sol_pump(now);
            }
        }
    }

    pub(super) fn sol_deadline(&self) -> Option<Instant> {
        self.sol.as_ref().and_then(|stream| stream.link.poll_timeout())
    }

    pub(super) fn sol_closed(&mut self, session: u32) {
        if self.sol.as_ref().is_some_and(|stream| stream.session == session) {
            self.sol = None;
        }
    }
}
