//! Sealing and opening RMCP+ packets inside a session (IPMI v2.0 §13.28.4, §13.29).

use super::{
    Code, Hash,
    aes_cbc::AesCbc128,
    cipher_suite::{CipherSuite, Confidentiality, Integrity},
    hmac,
    keys::{Exchange, Secret, derived_key},
    md5,
};
use crate::wire::session::{PayloadType, V20};
use crate::{Ignored, ParseError};

/// The next-header octet of RMCP+.
const NEXT_HEADER: u8 = 0x07;

/// The keys of an established session, used by either side.
#[derive(Debug)]
pub struct SessionKeys {
    suite: CipherSuite,
    k1: Code,
    password: Secret,
    aes: Option<AesCbc128>,
}

impl SessionKeys {
    /// Derives K1 and K2 from the session integrity key. The password is needed by MD5-128 alone.
    pub fn new(suite: CipherSuite, sik: &Code, password: &Secret) -> Self {
        let aes = match suite.confidentiality {
            Confidentiality::None => None,
            Confidentiality::AesCbc128 => AesCbc128::new(&derived_key(suite.authentication, sik, 2)),
        };
        let k1 = derived_key(suite.authentication, sik, 1);
        Self { suite, k1, password: password.clone(), aes }
    }

    /// Derives everything from a finished RAKP exchange.
    pub fn from_exchange(
        suite: CipherSuite,
        exchange: &Exchange<'_>,
        password: &Secret,
        k_g: &Secret,
    ) -> Self {
        Self::new(suite, &exchange.session_integrity_key(password, k_g), password)
    }

    /// The suite in force.
    pub fn suite(&self) -> CipherSuite {
        self.suite
    }

    fn code(&self, parts: &[&[u8]]) -> Code {
        let key = self.k1.as_slice();
        let code = match self.suite.integrity {
            Integrity::None => Code::EMPTY,
            Integrity::HmacSha1_96 => hmac(Hash::Sha1, key, parts),
            Integrity::HmacMd5_128 => hmac(Hash::Md5, key, parts),
            Integrity::HmacSha256_128 => hmac(Hash::Sha256, key, parts),
            Integrity::Md5_128 => {
                let mut framed: Vec<&[u8]> = Vec::with_capacity(parts.len() + 2);
                framed.push(self.password.padded());
                framed.extend_from_slice(parts);
                framed.push(self.password.padded());
                md5(&framed)
            }
        };
        code.truncate(self.suite.integrity.size())
    }

    /// Appends one whole datagram: RMCP header, session header, payload, trailer.
    pub fn seal(
        &self,
        payload_type: PayloadType,
        session_id: u32,
        sequence: u32,
        iv: [u8; 16],
        plain: &[u8],
        out: &mut Vec<u8>,
    ) {
        let length = if self.aes.is_some() { AesCbc128::sealed_size(plain.len()) } else { plain.len() };
        let authenticated = self.suite.integrity != Integrity::None;
        let start = out.len() + 4; // the integrity code begins behind the RMCP header
        V20::encode_header(
            payload_type,
            self.aes.is_some(),
            authenticated,
            session_id,
            sequence,
            length,
            out,
        );
        match &self.aes {
            Some(aes) => aes.seal(iv, plain, out),
            None => out.extend_from_slice(plain),
        }
        if authenticated {
            let padding = (4 - (out.len() - start + 2) % 4) % 4;
            out.extend(std::iter::repeat_n(0xff, padding));
            out.extend_from_slice(&[padding as u8, NEXT_HEADER]);
            let code = self.code(&[out.get(start..).unwrap_or_default()]);
            out.extend_from_slice(code.as_slice());
        }
    }

    /// Checks the trailer, then decrypts: `out` is replaced by the plain payload.
    pub fn open(&self, packet: &V20<'_>, out: &mut Vec<u8>) -> Result<(), Ignored> {
        let size = self.suite.integrity.size();
        if packet.authenticated != (size > 0) || packet.encrypted != self.aes.is_some() {
            return Err(Ignored::Unprotected);
        }
        if size > 0 {
            let covered = packet.covered.len().checked_sub(size);
            let covered = covered.ok_or(ParseError::Truncated("integrity code"))?;
            let (covered, code) =
                packet.covered.split_at_checked(covered).ok_or(ParseError::Truncated("integrity code"))?;
            if !self.code(&[covered]).matches(code) {
                return Err(Ignored::BadAuthCode);
            }
            let (next_header, rest) = covered.split_last().ok_or(ParseError::Truncated("session trailer"))?;
            if *next_header != NEXT_HEADER {
                return Err(ParseError::Value("next header", *next_header).into());
            }
            let (padding, rest) = rest.split_last().ok_or(ParseError::Truncated("session trailer"))?;
            let header = 12 + if matches!(packet.payload_type, PayloadType::Oem { .. }) { 6 } else { 0 };
            if rest.len() != header + packet.payload.len() + usize::from(*padding) {
                return Err(ParseError::Padding("session trailer").into());
            }
        }
        match &self.aes {
            Some(aes) => aes.open(packet.payload, out)?,
            None => {
                out.clear();
                out.extend_from_slice(packet.payload);
            }
        }
        Ok(())
    }
}
