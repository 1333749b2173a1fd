//! Detached OpenPGP signatures (RFC 4880 §5.2, version 4) with a secret key of a key ring. Feature `sign`.

use std::io::{BufReader, Read};

use pgp::composed::{ArmorOptions, Deserializable, DetachedSignature, SignedSecretKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{SecretKey, SecretSubkey, SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::ser::Serialize;
use pgp::types::{Password, SigningKey, Timestamp};

use crate::route::SignatureForm;
use crate::sign::{Sign, SignError, SignedAs};

/// The first secret key of a ring, unlocked.
pub struct OpenPgpSigner {
    key: Key,
}

enum Key {
    Primary(Box<SecretKey>),
    Sub(Box<SecretSubkey>),
}

/// Why a key ring cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRingError {
    /// Not OpenPGP, or no secret key in it.
    #[error("no secret key in the key ring ({0}); export one with gpg --export-secret-keys")]
    NoSecretKey(String),
    /// The passphrase does not open the key.
    #[error("the passphrase does not open the secret key: set MATCHBOX_PASSPHRASE")]
    Passphrase,
}

impl OpenPgpSigner {
    /// Reads a ring, armored or not, and unlocks its first secret key (or that key's first subkey for signing, if the
    /// key itself is not for signing).
    ///
    /// # Errors
    /// No secret key, or a passphrase that does not open it.
    pub fn from_key_ring(ring: &[u8], passphrase: &str) -> Result<Self, KeyRingError> {
        let none = |error: pgp::errors::Error| KeyRingError::NoSecretKey(error.to_string());
        let armored = ring.trim_ascii_start().starts_with(b"-----BEGIN");
        let first = if armored {
            SignedSecretKey::from_armor_many(ring).map_err(none)?.0.next()
        } else {
            SignedSecretKey::from_bytes_many(BufReader::new(ring)).map_err(none)?.next()
        };
        let mut ring = first.ok_or_else(|| KeyRingError::NoSecretKey("it is empty".into()))?.map_err(none)?;
        let password = Password::from(passphrase);
        let flags = ring
            .details
            .users
            .iter()
            .flat_map(|user| &user.signatures)
            .map(|signature| signature.key_flags());
        let certify_only = flags.last().is_some_and(|flags| flags.certify() && !flags.sign());
        let signs = |subkey: &pgp::composed::SignedSecretSubKey| {
            subkey.signatures.iter().any(|signature| signature.key_flags().sign())
        };
        let subkey = ring.secret_subkeys.iter().position(signs).filter(|_| certify_only);
        let key = match subkey {
            Some(at) => {
                let mut key = ring.secret_subkeys.swap_remove(at).key;
                key.remove_password(&password).map_err(|_| KeyRingError::Passphrase)?;
                Key::Sub(Box::new(key))
            }
            None => {
                ring.primary_key.remove_password(&password).map_err(|_| KeyRingError::Passphrase)?;
                Key::Primary(Box::new(ring.primary_key))
            }
        };
        Ok(Self { key })
    }
}

impl Sign for OpenPgpSigner {
    fn sign(
        &self,
        form: SignatureForm,
        kind: SignedAs,
        data: &mut dyn Read,
        now: u32,
    ) -> Result<Vec<u8>, SignError> {
        let signature = match &self.key {
            Key::Primary(key) => detached(&**key, kind, data, now),
            Key::Sub(key) => detached(&**key, kind, data, now),
        };
        let octets = signature.and_then(|signature| match form {
            SignatureForm::Binary => signature.to_bytes(),
            SignatureForm::Armored => signature.to_armored_bytes(ArmorOptions::default()),
        });
        octets.map_err(|error| SignError(error.to_string()))
    }
}

fn detached(
    key: &impl SigningKey,
    kind: SignedAs,
    data: &mut dyn Read,
    now: u32,
) -> Result<DetachedSignature, pgp::errors::Error> {
    let kind = match kind {
        SignedAs::Text => SignatureType::Text,
        SignedAs::Octets => SignatureType::Binary,
    };
    let hash = match key.algorithm() {
        PublicKeyAlgorithm::RSA | PublicKeyAlgorithm::EdDSALegacy | PublicKeyAlgorithm::Ed25519 => {
            HashAlgorithm::Sha256
        }
        _ => key.hash_alg(),
    };
    let mut config = SignatureConfig::v4(kind, key.algorithm(), hash);
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::SignatureCreationTime(Timestamp::from_secs(now)))?,
        Subpacket::regular(SubpacketData::IssuerKeyId(key.legacy_key_id()))?,
    ];
    Ok(DetachedSignature::new(config.sign(key, &Password::empty(), data)?))
}

impl std::fmt::Debug for OpenPgpSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenPgpSigner").finish_non_exhaustive() // never the key
    }
}
