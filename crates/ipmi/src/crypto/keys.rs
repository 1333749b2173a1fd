//! Passwords, K_G, and the codes and keys derived from them (IPMI v2.0 §13.31–13.33).

use zeroize::Zeroize;

use super::{Code, cipher_suite::Authentication, hmac};

/// Most octets of a password or K_G (IPMI v2.0 §13.20, §22.25).
pub const MAX_SECRET: usize = 20;

/// A password or K_G: up to 20 octets, zero-padded, wiped when dropped and never shown.
#[derive(Clone)]
pub struct Secret {
    octets: [u8; MAX_SECRET],
    length: usize,
}

/// A password or key has more than 20 octets.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a password or K_G has at most 20 octets, this one has {0}")]
pub struct SecretTooLong(pub usize);

impl Secret {
    /// No password.
    pub const EMPTY: Self = Self { octets: [0; MAX_SECRET], length: 0 };

    /// Takes up to 20 octets; octets 00h inside are kept.
    pub fn new(octets: &[u8]) -> Result<Self, SecretTooLong> {
        if octets.len() > MAX_SECRET {
            return Err(SecretTooLong(octets.len()));
        }
        let mut secret = Self::EMPTY;
        for (to, from) in secret.octets.iter_mut().zip(octets) {
            *to = *from;
        }
        secret.length = octets.len();
        Ok(secret)
    }

    /// All 20 octets, zero-padded: the key of the RAKP codes.
    pub fn padded(&self) -> &[u8; MAX_SECRET] {
        &self.octets
    }

    /// The first 16 octets, zero-padded: the form IPMI 1.5 uses.
    pub fn padded_16(&self) -> [u8; 16] {
        let mut octets = [0; 16];
        for (to, from) in octets.iter_mut().zip(&self.octets) {
            *to = *from;
        }
        octets
    }

    /// Octets as given.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether all octets are zero: such a K_G means one-key login (IPMI v2.0 §13.31).
    pub fn is_zero(&self) -> bool {
        self.octets.iter().fold(0, |all, octet| all | octet) == 0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.octets.zeroize();
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Everything the codes of one RAKP exchange are computed over.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// The RAKP algorithm.
    pub authentication: Authentication,
    /// SID_M: the console's session id.
    pub console_id: u32,
    /// SID_C: the BMC's session id.
    pub bmc_id: u32,
    /// R_M: the console's random number.
    pub console_random: [u8; 16],
    /// R_C: the BMC's random number.
    pub bmc_random: [u8; 16],
    /// GUID_C: the managed system's GUID.
    pub guid: [u8; 16],
    /// ROLE_M: the role octet of RAKP 1, with its name-only bit.
    pub role: u8,
    /// UNAME_M: the user name.
    pub user: &'a [u8],
}

impl Exchange<'_> {
    /// The code in RAKP 2, keyed by the password (IPMI v2.0 §13.31).
    pub fn rakp2_code(&self, password: &Secret) -> Code {
        let Some(hash) = self.authentication.hash() else { return Code::EMPTY };
        let (console_id, bmc_id) = (self.console_id.to_le_bytes(), self.bmc_id.to_le_bytes());
        let name = [self.role, self.user.len() as u8];
        let ids: [&[u8]; 2] = [&console_id, &bmc_id];
        let [first, second] = ids;
        let parts = [first, second, &self.console_random, &self.bmc_random, &self.guid, &name, self.user];
        hmac(hash, password.padded(), &parts)
    }

    /// The code in RAKP 3, keyed by the password (IPMI v2.0 §13.31).
    pub fn rakp3_code(&self, password: &Secret) -> Code {
        let Some(hash) = self.authentication.hash() else { return Code::EMPTY };
        let console_id = self.console_id.to_le_bytes();
        let name = [self.role, self.user.len() as u8];
        hmac(hash, password.padded(), &[&self.bmc_random, &console_id, &name, self.user])
    }

    /// The session integrity key: under K_G if there is one, else under the password (IPMI v2.0 §13.31).
    pub fn session_integrity_key(&self, password: &Secret, k_g: &Secret) -> Code {
        let Some(hash) = self.authentication.hash() else { return Code::EMPTY };
        let key = if k_g.is_zero() { password } else { k_g };
        let name = [self.role, self.user.len() as u8];
        hmac(hash, key.padded(), &[&self.console_random, &self.bmc_random, &name, self.user])
    }

    /// The integrity check value in RAKP 4, keyed by the session integrity key (IPMI v2.0 §13.31).
    pub fn rakp4_code(&self, sik: &Code) -> Code {
        let Some(hash) = self.authentication.hash() else { return Code::EMPTY };
        let bmc_id = self.bmc_id.to_le_bytes();
        let code = hmac(hash, sik.as_slice(), &[&self.console_random, &bmc_id, &self.guid]);
        code.truncate(self.authentication.rakp4_size())
    }
}

/// K1 and K2 (IPMI v2.0 §13.32): the constants are 20 octets long whatever the hash is.
pub fn derived_key(authentication: Authentication, sik: &Code, constant: u8) -> Code {
    let Some(hash) = authentication.hash() else { return Code::EMPTY };
    hmac(hash, sik.as_slice(), &[&[constant; 20]])
}
