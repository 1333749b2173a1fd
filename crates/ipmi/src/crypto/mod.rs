//! Keys and codes of a session: cipher suites as data, RAKP codes, AES-CBC, sealed packets.
//!
//! Pure functions of their arguments; random initialisation vectors come in as values. Used by both engines.

pub mod aes_cbc;
pub mod auth_code;
pub mod cipher_suite;
pub mod keys;
pub mod packet;

use hmac::{Hmac, KeyInit, Mac};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// The hash under an HMAC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hash {
    /// SHA-1, 20 octets.
    Sha1,
    /// MD5, 16 octets.
    Md5,
    /// SHA-256, 32 octets.
    Sha256,
}

impl Hash {
    /// Octets of its output.
    pub fn size(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Md5 => 16,
            Self::Sha256 => 32,
        }
    }
}

/// The output of an HMAC or digest: up to 32 octets, wiped when dropped.
#[derive(Clone)]
pub struct Code {
    octets: [u8; 32],
    length: usize,
}

impl Code {
    /// No octets: the code of the algorithms that have none.
    pub const EMPTY: Self = Self { octets: [0; 32], length: 0 };

    fn new(octets: &[u8]) -> Self {
        let mut code = Self::EMPTY;
        for (to, from) in code.octets.iter_mut().zip(octets) {
            *to = *from;
        }
        code.length = octets.len().min(32);
        code
    }

    /// The octets.
    pub fn as_slice(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }

    /// Keeps the first `length` octets, as the truncated HMACs do.
    #[must_use]
    pub fn truncate(mut self, length: usize) -> Self {
        self.length = self.length.min(length);
        self
    }

    /// Compares in a time that does not depend on where the difference lies.
    pub fn matches(&self, other: &[u8]) -> bool {
        self.as_slice().ct_eq(other).into()
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        self.octets.zeroize();
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Code({} octets)", self.length)
    }
}

/// The HMAC of `parts` one after the other.
pub fn hmac(hash: Hash, key: &[u8], parts: &[&[u8]]) -> Code {
    fn run<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Code {
        // HMAC takes a key of any length, so the error cannot happen; an empty code never matches.
        let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Code::EMPTY };
        for part in parts {
            mac.update(part);
        }
        Code::new(&mac.finalize().into_bytes())
    }
    match hash {
        Hash::Sha1 => run::<Hmac<sha1::Sha1>>(key, parts),
        Hash::Md5 => run::<Hmac<md5::Md5>>(key, parts),
        Hash::Sha256 => run::<Hmac<sha2::Sha256>>(key, parts),
    }
}

/// The MD5 digest of `parts` one after the other.
pub fn md5(parts: &[&[u8]]) -> Code {
    use md5::Digest;
    let mut digest = md5::Md5::new();
    for part in parts {
        digest.update(part);
    }
    Code::new(&digest.finalize())
}
