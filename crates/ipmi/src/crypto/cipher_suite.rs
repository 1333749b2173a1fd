//! Cipher suites as data (IPMI v2.0 §13.28, §22.15.2): three algorithms under one number.

use std::fmt;

use super::Hash;

/// The wire numbers of the three algorithms, known to us or not.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Algorithms {
    /// RAKP authentication algorithm, 0..=63.
    pub authentication: u8,
    /// Integrity algorithm, 0..=63.
    pub integrity: u8,
    /// Confidentiality algorithm, 0..=63.
    pub confidentiality: u8,
}

/// How both sides prove the password (IPMI v2.0 §13.28.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Authentication {
    /// Not at all.
    RakpNone,
    /// HMAC-SHA1.
    RakpHmacSha1,
    /// HMAC-MD5.
    RakpHmacMd5,
    /// HMAC-SHA256.
    RakpHmacSha256,
}

/// How each packet is signed (IPMI v2.0 §13.28.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Integrity {
    /// Not at all.
    None,
    /// HMAC-SHA1 cut to 12 octets.
    HmacSha1_96,
    /// HMAC-MD5, 16 octets.
    HmacMd5_128,
    /// MD5 over password, data, password.
    Md5_128,
    /// HMAC-SHA256 cut to 16 octets.
    HmacSha256_128,
}

/// How each payload is encrypted (IPMI v2.0 §13.28.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Confidentiality {
    /// Not at all.
    None,
    /// AES-128 in CBC mode.
    AesCbc128,
}

impl Authentication {
    /// The hash under its HMACs.
    pub fn hash(self) -> Option<Hash> {
        match self {
            Self::RakpNone => None,
            Self::RakpHmacSha1 => Some(Hash::Sha1),
            Self::RakpHmacMd5 => Some(Hash::Md5),
            Self::RakpHmacSha256 => Some(Hash::Sha256),
        }
    }

    /// Octets of the integrity check value in RAKP 4 (IPMI v2.0 §13.28.1).
    pub fn rakp4_size(self) -> usize {
        match self {
            Self::RakpNone => 0,
            Self::RakpHmacSha1 => 12,
            Self::RakpHmacMd5 | Self::RakpHmacSha256 => 16,
        }
    }
}

impl Integrity {
    /// Octets of the code behind each packet.
    pub fn size(self) -> usize {
        match self {
            Self::None => 0,
            Self::HmacSha1_96 => 12,
            Self::HmacMd5_128 | Self::Md5_128 | Self::HmacSha256_128 => 16,
        }
    }
}

/// A cipher suite that this crate speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CipherSuite {
    /// Its number.
    pub id: u8,
    /// How the password is proved.
    pub authentication: Authentication,
    /// How packets are signed.
    pub integrity: Integrity,
    /// How payloads are encrypted.
    pub confidentiality: Confidentiality,
}

/// A cipher suite number that this crate does not speak.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UnsupportedSuite {
    /// It needs xRC4, which nobody implements.
    #[error("cipher suite {0} uses xRC4, which is not supported; use 17 or 3")]
    Xrc4(u8),
    /// The specification does not define it, or a later one does.
    #[error("cipher suite {0} is not known; use 17 or 3")]
    Unknown(u8),
}

const fn suite(id: u8, a: Authentication, i: Integrity, c: Confidentiality) -> CipherSuite {
    CipherSuite { id, authentication: a, integrity: i, confidentiality: c }
}

impl CipherSuite {
    /// HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128: the first to try.
    pub const SUITE_17: Self =
        suite(17, Authentication::RakpHmacSha256, Integrity::HmacSha256_128, Confidentiality::AesCbc128);
    /// HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128: what every 2.0 BMC speaks.
    pub const SUITE_3: Self =
        suite(3, Authentication::RakpHmacSha1, Integrity::HmacSha1_96, Confidentiality::AesCbc128);

    /// Every suite of this crate, by number (IPMI v2.0 §22.15.2, table 22-20).
    pub const ALL: [Self; 12] = [
        suite(0, Authentication::RakpNone, Integrity::None, Confidentiality::None),
        suite(1, Authentication::RakpHmacSha1, Integrity::None, Confidentiality::None),
        suite(2, Authentication::RakpHmacSha1, Integrity::HmacSha1_96, Confidentiality::None),
        Self::SUITE_3,
        suite(6, Authentication::RakpHmacMd5, Integrity::None, Confidentiality::None),
        suite(7, Authentication::RakpHmacMd5, Integrity::HmacMd5_128, Confidentiality::None),
        suite(8, Authentication::RakpHmacMd5, Integrity::HmacMd5_128, Confidentiality::AesCbc128),
        suite(11, Authentication::RakpHmacMd5, Integrity::Md5_128, Confidentiality::None),
        suite(12, Authentication::RakpHmacMd5, Integrity::Md5_128, Confidentiality::AesCbc128),
        suite(15, Authentication::RakpHmacSha256, Integrity::None, Confidentiality::None),
        suite(16, Authentication::RakpHmacSha256, Integrity::HmacSha256_128, Confidentiality::None),
        Self::SUITE_17,
    ];

    /// Looks a number up.
    ///
    /// ```
    /// # use ipmi::crypto::cipher_suite::{CipherSuite, UnsupportedSuite};
    /// assert_eq!(CipherSuite::from_id(17), Ok(CipherSuite::SUITE_17));
    /// assert_eq!(CipherSuite::from_id(4), Err(UnsupportedSuite::Xrc4(4)));
    /// ```
    pub fn from_id(id: u8) -> Result<Self, UnsupportedSuite> {
        match id {
            4 | 5 | 9 | 10 | 13 | 14 => Err(UnsupportedSuite::Xrc4(id)),
            _ => Self::ALL.into_iter().find(|s| s.id == id).ok_or(UnsupportedSuite::Unknown(id)),
        }
    }

    /// Finds the suite of three wire numbers.
    pub fn from_algorithms(algorithms: Algorithms) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.algorithms() == algorithms)
    }

    /// The wire numbers (IPMI v2.0 tables 13-17, 13-18, 13-19).
    pub fn algorithms(&self) -> Algorithms {
        Algorithms {
            authentication: match self.authentication {
                Authentication::RakpNone => 0,
                Authentication::RakpHmacSha1 => 1,
                Authentication::RakpHmacMd5 => 2,
                Authentication::RakpHmacSha256 => 3,
            },
            integrity: match self.integrity {
                Integrity::None => 0,
                Integrity::HmacSha1_96 => 1,
                Integrity::HmacMd5_128 => 2,
                Integrity::Md5_128 => 3,
                Integrity::HmacSha256_128 => 4,
            },
            confidentiality: match self.confidentiality {
                Confidentiality::None => 0,
                Confidentiality::AesCbc128 => 1,
            },
        }
    }

    /// Whether a password may go out under it without being asked for by name: signed and encrypted,
    /// and not by MD5 alone. Suites 0 to 2 and the others without encryption are weak.
    pub fn is_strong(&self) -> bool {
        matches!(self.id, 3 | 17)
    }
}

impl fmt::Display for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cipher suite {}", self.id)
    }
}
