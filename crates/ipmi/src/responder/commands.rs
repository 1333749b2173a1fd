//! The commands a virtual BMC answers, and the level each needs (IPMI v2.0 appendix G).

use std::time::{Duration, Instant};

use super::{BmcResponder, Delegate, MachineAnswer, MachineCall};
use crate::command::app::ChannelAuthCapabilities;
use crate::command::chassis::{BootFlags, ChassisControl, ChassisStatus};
use crate::wire::message::Message;
use crate::{CompletionCode, Privilege};

/// After this time without Chassis Control boot flags lose their valid bit (IPMI v2.0 §28.13, parameter 3).
const FLAGS_LIFE: Duration = Duration::from_secs(60);

/// The boot options the BMC holds (IPMI v2.0 §28.13).
#[derive(Debug, Default)]
pub(super) struct BootState {
    pub(super) flags: BootFlags,
    /// Parameter 3: bit 3 set means "do not clear after 60 s".
    keep: u8,
    /// Parameter 4: data as written.
    acknowledge: u8,
    in_progress: u8,
    pub(super) expires: Option<Instant>,
}

impl BootState {
    pub(super) fn expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|at| now >= at)
    }

    fn arm(&mut self, now: Instant) {
        let expires = self.flags.valid() && !self.flags.persistent() && self.keep & 0x08 == 0;
        self.expires = expires.then(|| now + FLAGS_LIFE);
    }
}

/// The outcome of a command: an answer, or a question to the machine first.
#[derive(Debug)]
pub(super) enum Answer {
    Now(CompletionCode, Vec<u8>),
    Machine(MachineCall),
}

pub(super) fn ok(data: Vec<u8>) -> Answer {
    Answer::Now(CompletionCode::OK, data)
}

fn delegated(message: &Message<'_>) -> Answer {
    let (net_fn, command, data) = (message.net_fn, message.command, message.data.to_vec());
    Answer::Machine(MachineCall::Command { net_fn, command, data })
}

pub(super) fn refuse(code: CompletionCode) -> Answer {
    Answer::Now(code, Vec::new())
}

/// The lowest level that may give a command (IPMI v2.0 appendix G, table G-1).
fn required(net_fn: u8, command: u8) -> Privilege {
    match (net_fn, command) {
        (0x00, 0x00 | 0x01 | 0x0f) => Privilege::User,
        (0x00, _) => Privilege::Operator,
        (0x0a, 0x47) => Privilege::Operator,
        (0x04 | 0x0a, _) => Privilege::User,
        (0x06, 0x38 | 0x3b | 0x3c | 0x54) => Privilege::Callback,
        (0x06, 0x48 | 0x49) => Privilege::User,
        (0x06, 0x01 | 0x04 | 0x08 | 0x37 | 0x3d | 0x42) => Privilege::User,
        _ => Privilege::Administrator,
    }
}

impl BmcResponder {
    /// Commands that need no session (IPMI v2.0 §13.27.2, appendix G).
    pub(super) fn execute_sessionless(&mut self, message: &Message<'_>) -> Answer {
        let known = matches!((message.net_fn, message.command), (0x06, 0x37 | 0x38 | 0x54));
        if known && self.config.delegate == Delegate::Everything {
            return delegated(message);
        }
        match (message.net_fn, message.command) {
            (0x06, 0x38) => self.auth_capabilities(message.data),
            (0x06, 0x54) => self.cipher_suites(message.data),
            (0x06, 0x37) => ok(self.config.guid.to_vec()),
            _ => refuse(CompletionCode::PRIVILEGE),
        }
    }

    /// Commands inside a session.
    pub(super) fn execute(
        &mut self,
        now: Instant,
        session: u32,
        level: Privilege,
        message: &Message<'_>,
    ) -> Answer {
        let stored = matches!(
            (message.net_fn, message.command),
            (0x0a, 0x10 | 0x11 | 0x20 | 0x22 | 0x23 | 0x40 | 0x42 | 0x43 | 0x47 | 0x48) | (0x04, 0x2d)
        );
        let known = matches!(
            (message.net_fn, message.command),
            (0x00, 0x00..=0x02 | 0x08 | 0x09)
                | (0x06, 0x01 | 0x08 | 0x37 | 0x38 | 0x3b | 0x3c | 0x48 | 0x49 | 0x54)
        ) || stored && !self.storage.is_empty();
        let own = matches!((message.net_fn, message.command), (0x06, 0x3b | 0x3c));
        match self.config.delegate {
            Delegate::Everything if !own => return delegated(message),
            Delegate::Unknown if !known => return delegated(message),
            _ if !known || message.to_lun != 0 => return refuse(CompletionCode::INVALID_COMMAND),
            _ => {}
        }
        if level < required(message.net_fn, message.command) {
            return refuse(CompletionCode::PRIVILEGE);
        }
        match (message.net_fn, message.command) {
            (0x00, 0x00) => ok(vec![0x00, 0x20, 0x20, 0x20, 0x20]),
            (0x00, 0x01) => Answer::Machine(MachineCall::Status),
            (0x00, 0x02) => match message.data.first().and_then(|n| ChassisControl::from_wire(*n)) {
                Some(control) => Answer::Machine(MachineCall::Power(control)),
                None => refuse(CompletionCode::INVALID_FIELD),
            },
            (0x00, 0x08) => self.set_boot_option(now, message.data),
            (0x00, 0x09) => self.boot_option(message.data),
            (0x06, 0x01) => {
                let mut data = Vec::new();
                let mut device = self.config.device;
                // What it holds it says (§20.1): sensor records, event log, inventory.
                device.additional_support |= self.storage.support();
                device.encode(&mut data);
                ok(data)
            }
            (0x06, 0x08 | 0x37) => ok(self.config.guid.to_vec()),
            (0x06, 0x38) => self.auth_capabilities(message.data),
            (0x04 | 0x0a, command) => self.storage.execute(message.net_fn, command, message.data),
            (0x06, 0x48) => self.activate_payload(session, message.data),
            (0x06, 0x49) => self.deactivate_payload(message.data),
            (0x06, 0x3b) => self.set_privilege(session, message.data),
            (0x06, 0x3c) => self.close_session(session, message.data),
            _ => self.cipher_suites(message.data),
        }
    }

    /// What the machine's answer means for the command that asked.
    pub(super) fn conclude(
        &mut self,
        now: Instant,
        call: MachineCall,
        answer: MachineAnswer,
    ) -> (CompletionCode, Vec<u8>) {
        match (call, answer) {
            (_, MachineAnswer::Failed(code)) => (code, Vec::new()),
            (MachineCall::Status, MachineAnswer::Power(on)) => {
                let mut data = Vec::new();
                let power_state = u8::from(on);
                ChassisStatus { power_state, last_event: 0, misc: 0, front_panel: None }.encode(&mut data);
                (CompletionCode::OK, data)
            }
            (MachineCall::Command { .. }, MachineAnswer::Data(data)) => (CompletionCode::OK, data),
            (MachineCall::Command { .. }, _) => (CompletionCode::OK, Vec::new()),
            (MachineCall::Status, _) => (CompletionCode::UNSPECIFIED, Vec::new()),
            (MachineCall::Power(control), _) => {
                let boots = matches!(
                    control,
                    ChassisControl::PowerUp | ChassisControl::PowerCycle | ChassisControl::HardReset
                );
                if boots && !self.boot.flags.persistent() {
                    self.boot.flags = BootFlags::default(); // used up by this boot
                }
                self.boot.arm(now);
                (CompletionCode::OK, Vec::new())
            }
            (MachineCall::Boot(flags), _) => {
                self.boot.flags = flags;
                self.boot.arm(now);
                (CompletionCode::OK, Vec::new())
            }
        }
    }

    /// Get Channel Authentication Capabilities (IPMI v2.0 §22.13).
    fn auth_capabilities(&self, data: &[u8]) -> Answer {
        let &[channel, level] = data else { return refuse(CompletionCode::INVALID_LENGTH) };
        if Privilege::from_wire(level).is_none() || !matches!(channel & 0x0f, 0x01 | 0x0e) {
            return refuse(CompletionCode::INVALID_FIELD);
        }
        let null = |u: &super::User| u.enabled && u.name.as_slice().is_empty();
        let users = &self.config.users;
        let named = users.iter().any(|u| u.enabled && !u.name.as_slice().is_empty());
        let null_users = users.iter().any(|u| null(u) && !u.password.is_empty());
        let anonymous = users.iter().any(|u| null(u) && u.password.is_empty());
        let mut status = u8::from(anonymous) | u8::from(null_users) << 1 | u8::from(named) << 2;
        if !self.config.k_g.is_zero() {
            status |= 0x20;
        }
        let v20 = channel & 0x80 != 0;
        let types = self.config.auth_types.iter().fold(0, |bits, t| bits | 1 << t.to_wire());
        let auth_types = types | if v20 { 0x80 } else { 0 };
        let extended = if v20 { 0x02 | u8::from(types != 0) } else { 0 };
        let mut data = Vec::new();
        ChannelAuthCapabilities { channel: 0x01, auth_types, status, extended, oem: 0, oem_data: 0 }
            .encode(&mut data);
        ok(data)
    }

    /// Get Channel Cipher Suites (IPMI v2.0 §22.15): records in chunks of 16 octets.
    fn cipher_suites(&self, data: &[u8]) -> Answer {
        let &[channel, payload_type, index] = data else { return refuse(CompletionCode::INVALID_LENGTH) };
        if !matches!(channel & 0x0f, 0x01 | 0x0e) || payload_type & 0x3f > 1 {
            return refuse(CompletionCode::INVALID_FIELD);
        }
        let mut records = Vec::new();
        for suite in &self.config.suites {
            let numbers = suite.algorithms();
            records.extend_from_slice(&[0xc0, suite.id, numbers.authentication]);
            if numbers.integrity != 0 {
                records.push(0x40 | numbers.integrity);
            }
            if numbers.confidentiality != 0 {
                records.push(0x80 | numbers.confidentiality);
            }
        }
        let start = usize::from(index & 0x3f) * 16;
        let chunk = records.get(start..).unwrap_or_default();
        let mut reply = vec![0x01];
        reply.extend(chunk.iter().take(16));
        ok(reply)
    }

    /// Set Session Privilege Level (IPMI v2.0 §22.18).
    fn set_privilege(&mut self, session: u32, data: &[u8]) -> Answer {
        let &[level] = data else { return refuse(CompletionCode::INVALID_LENGTH) };
        let Some(slot) = self.sessions.find(session) else { return refuse(CompletionCode::STATE) };
        let (current, limit, user) = (slot.level, slot.limit, slot.user);
        let allowed = limit.min(self.user_level(user));
        let level = match (level, Privilege::from_wire(level)) {
            (0, _) => current, // "no change, return the present level"
            (_, Some(level)) if level > allowed => return refuse(CompletionCode(0x81)),
            (_, Some(level)) if level > Privilege::Callback => level,
            _ => return refuse(CompletionCode::INVALID_FIELD),
        };
        if let Some(slot) = self.sessions.find(session) {
            slot.level = level;
        }
        ok(vec![level.to_wire()])
    }

    /// Close Session (IPMI v2.0 §22.19): one's own, or as an administrator anybody's.
    fn close_session(&mut self, session: u32, data: &[u8]) -> Answer {
        let Some(id) = data.first_chunk::<4>().map(|id| u32::from_le_bytes(*id)) else {
            return refuse(CompletionCode::INVALID_LENGTH);
        };
        let administrator = self.sessions.find(session).is_some_and(|s| s.level >= Privilege::Administrator);
        if id != session && !administrator {
            return refuse(CompletionCode::PRIVILEGE);
        }
        match self.sessions.find(id) {
            Some(_) => ok(Vec::new()), // removed once the answer is sealed
            None => refuse(CompletionCode(0x87)),
        }
    }

    /// Set System Boot Options (IPMI v2.0 §28.12).
    fn set_boot_option(&mut self, now: Instant, data: &[u8]) -> Answer {
        let Some((parameter, data)) = data.split_first() else {
            return refuse(CompletionCode::INVALID_LENGTH);
        };
        match (parameter & 0x7f, data) {
            (_, []) => ok(Vec::new()), // only the valid mark of the parameter
            (0, &[state, ..]) => {
                if state & 3 == 1 && self.boot.in_progress == 1 {
                    return refuse(CompletionCode(0x81));
                }
                self.boot.in_progress = if state & 3 == 2 { 0 } else { state & 3 };
                ok(Vec::new())
            }
            (3, &[keep, ..]) => {
                self.boot.keep = keep & 0x1f;
                self.boot.arm(now);
                ok(Vec::new())
            }
            (4, &[mask, value, ..]) => {
                self.boot.acknowledge = (self.boot.acknowledge & !mask) | (value & mask);
                ok(Vec::new())
            }
            (5, data) => match data.first_chunk::<5>() {
                Some(flags) => Answer::Machine(MachineCall::Boot(BootFlags(*flags))),
                None => refuse(CompletionCode::INVALID_LENGTH),
            },
            (4, _) => refuse(CompletionCode::INVALID_LENGTH),
            _ => refuse(CompletionCode(0x80)),
        }
    }

    /// Get System Boot Options (IPMI v2.0 §28.13).
    fn boot_option(&self, data: &[u8]) -> Answer {
        let &[parameter, ..] = data else { return refuse(CompletionCode::INVALID_LENGTH) };
        let mut reply = vec![0x01, parameter & 0x7f];
        match parameter & 0x7f {
            0 => reply.push(self.boot.in_progress),
            3 => reply.push(self.boot.keep),
            4 => reply.extend_from_slice(&[0x00, self.boot.acknowledge]),
            5 => reply.extend_from_slice(&self.boot.flags.0),
            _ => return refuse(CompletionCode(0x80)),
        }
        ok(reply)
    }
}
