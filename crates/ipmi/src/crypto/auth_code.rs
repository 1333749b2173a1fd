//! Authentication codes of IPMI 1.5 packets (IPMI v2.0 §22.17.1).

use subtle::ConstantTimeEq;

use super::{keys::Secret, md5};
use crate::sequence::{Outbound, Window};
use crate::wire::session::{AuthType, V15};
use crate::{Ignored, ParseError};

/// How the packets of one IPMI 1.5 session are signed. Only the first 16 octets of a password count.
#[derive(Clone, Debug)]
pub struct PacketAuth {
    auth_type: AuthType,
    password: Secret,
}

impl PacketAuth {
    /// None, MD5 and straight password; MD2 and OEM are not spoken.
    pub fn new(auth_type: AuthType, password: &Secret) -> Option<Self> {
        let known = matches!(auth_type, AuthType::None | AuthType::Md5 | AuthType::Password);
        known.then(|| Self { auth_type, password: password.clone() })
    }

    /// The type.
    pub fn auth_type(&self) -> AuthType {
        self.auth_type
    }

    fn code(&self, session_id: u32, sequence: u32, payload: &[u8]) -> Option<[u8; 16]> {
        let password = self.password.padded_16();
        match self.auth_type {
            AuthType::Md5 => {
                let (id, number) = (session_id.to_le_bytes(), sequence.to_le_bytes());
                md5(&[&password, &id, payload, &number, &password]).as_slice().first_chunk().copied()
            }
            AuthType::Password => Some(password),
            _ => None,
        }
    }

    /// Appends a whole datagram.
    ///
    /// # Errors
    /// The payload is longer than IPMI 1.5 can carry.
    pub fn seal(
        &self,
        session_id: u32,
        sequence: u32,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), ParseError> {
        let auth_code = self.code(session_id, sequence, payload);
        V15 { auth_type: self.auth_type, sequence, session_id, auth_code, payload }.encode(out)
    }

    /// Checks type and code of a packet in constant time.
    pub fn check(&self, packet: &V15<'_>) -> Result<(), Ignored> {
        if packet.auth_type != self.auth_type {
            return Err(Ignored::Unprotected);
        }
        let code = self.code(packet.session_id, packet.sequence, packet.payload);
        match (code, packet.auth_code) {
            (None, None) => Ok(()),
            (Some(ours), Some(theirs)) if bool::from(ours.ct_eq(&theirs)) => Ok(()),
            _ => Err(Ignored::BadAuthCode),
        }
    }
}

/// The state of one side of an IPMI 1.5 session: numbers out, numbers in, codes.
#[derive(Debug)]
pub(crate) struct Link15 {
    pub(crate) auth: PacketAuth,
    pub(crate) session_id: u32,
    pub(crate) outbound: Outbound,
    pub(crate) inbound: Window,
}

impl Link15 {
    pub(crate) fn open(&mut self, packet: &V15<'_>, out: &mut Vec<u8>) -> Result<(), Ignored> {
        self.auth.check(packet)?;
        // A packet without a number (session sequence 0) exists only outside sessions.
        self.inbound.accept(packet.sequence)?;
        out.clear();
        out.extend_from_slice(packet.payload);
        Ok(())
    }

    pub(crate) fn seal(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        let number = self.outbound.take();
        let _ = self.auth.seal(self.session_id, number, payload, out); // too long for 1.5: nothing is sent
    }
}
