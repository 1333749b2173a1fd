//! Detached OpenPGP signatures (RFC 9580 §10.4), by keys that are pinned in this program or that an operator named. A
//! subkey counts with its binding to the primary key, and neither may be revoked, or expired when it signed.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey};
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails, VerifyingKey};

use super::fetch::{Fetched, Source};

/// A key that is pinned by its primary fingerprint.
pub(super) struct Pin {
    /// In lower-case hexadecimal.
    pub(super) fingerprint: &'static str,
    /// Where the key itself is.
    pub(super) url: &'static str,
    /// Its name in a folder (`--from`).
    pub(super) file: &'static str,
}

/// Keys that count for one asset.
pub(super) struct Keys {
    keys: Vec<SignedPublicKey>,
    /// Files that were named now, to be kept.
    named: Vec<PathBuf>,
    /// Why the pinned key is not here.
    missing: Option<String>,
}

/// The largest key file that is read, in octets.
const MAX_KEY: u64 = 1 << 20;

impl Keys {
    /// Keys of earlier runs, and those named now.
    pub(super) fn read(kept: &Path, named: &[PathBuf]) -> Result<Self, String> {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(kept).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.sort();
        files.extend(named.iter().cloned());
        let mut keys = Vec::new();
        for file in &files {
            let octets = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
            let found = parse(&octets).map_err(|what| format!("{}: {what}", file.display()))?;
            keys.extend(found);
        }
        Ok(Self { keys, named: named.to_vec(), missing: None })
    }

    /// Fetches a pinned key and takes it if it is the one. A key that cannot be had is told when it is needed.
    pub(super) async fn pin(&mut self, pin: &Pin, source: &Source, incoming: &Path) {
        if self.keys.iter().any(|key| fingerprint(key) == pin.fingerprint) {
            return;
        }
        let at = incoming.join(pin.file);
        let outcome = match source {
            Source::Folder(_) => source.small(pin.file, &at, MAX_KEY).await,
            Source::Url(_) => match Source::at(pin.url.trim_end_matches(pin.file)) {
                Ok(place) => place.small(pin.file, &at, MAX_KEY).await,
                Err(error) => Err(error),
            },
        };
        let octets = match outcome {
            Ok(Fetched::Here) => std::fs::read(&at).map_err(|error| error.to_string()),
            Ok(Fetched::Absent) => Err(format!("{} is not there", pin.file)),
            Err(error) => Err(error),
        };
        let _ = std::fs::remove_file(&at);
        match octets.and_then(|octets| parse(&octets)) {
            Ok(found) => {
                let ours = found.into_iter().find(|key| fingerprint(key) == pin.fingerprint);
                if ours.is_none() {
                    self.missing = Some(format!("{} is not the pinned key {}", pin.file, pin.fingerprint));
                }
                self.keys.extend(ours);
            }
            Err(error) => self.missing = Some(format!("the pinned key was not to be had: {error}")),
        }
    }

    /// Keeps the keys that were named, for later runs.
    pub(super) fn keep(&self, folder: &Path) -> Result<(), String> {
        let said = |error: std::io::Error| format!("{}: {error}", folder.display());
        for file in &self.named {
            std::fs::create_dir_all(folder).map_err(said)?;
            if let Some(name) = file.file_name() {
                std::fs::copy(file, folder.join(name)).map_err(said)?;
            }
        }
        Ok(())
    }

    /// Who signed the file: the fingerprint of the primary key.
    pub(super) fn verify(&self, name: &str, file: &Path, signature: &[u8]) -> Result<String, String> {
        let bad = |what: &str| format!("{name}: {what} (bad-signature)");
        let signatures = signatures(signature).map_err(|what| bad(&what))?;
        if self.keys.is_empty() {
            let why = self.missing.as_deref().unwrap_or("name the signer's public key with --key FILE");
            return Err(bad(&format!("it is signed, and no key is here to check it with: {why}")));
        }
        let mut tried = false;
        for signature in &signatures {
            for key in &self.keys {
                match by(key, signature, file) {
                    Ok(true) => return Ok(fingerprint(key)),
                    Ok(false) => {}
                    Err(why) => {
                        tried = true;
                        tracing::debug!(%why, "signature");
                    }
                }
            }
        }
        let issuer =
            signatures.iter().flat_map(|signature| signature.issuer_key_id()).map(|id| format!("{id:?}"));
        let issuer = issuer.collect::<Vec<_>>().join(", ");
        Err(bad(&if tried {
            "its signature does not fit: it was changed on its way, or is another version's".to_owned()
        } else {
            format!(
                "it is signed by key {issuer}, which is not one of the pinned keys; if that is right, name it with --key FILE"
            )
        }))
    }
}

fn fingerprint(key: &SignedPublicKey) -> String {
    format!("{:x}", key.fingerprint())
}

fn parse(octets: &[u8]) -> Result<Vec<SignedPublicKey>, String> {
    let said = |error: pgp::errors::Error| format!("no OpenPGP public key: {error}");
    let armored = octets.trim_ascii_start().starts_with(b"-----BEGIN");
    let found: Vec<_> = if armored {
        SignedPublicKey::from_armor_many(octets).map_err(said)?.0.collect()
    } else {
        SignedPublicKey::from_bytes_many(BufReader::new(octets)).map_err(said)?.collect()
    };
    let keys: Vec<SignedPublicKey> = found.into_iter().collect::<Result<_, _>>().map_err(said)?;
    if keys.is_empty() { Err("no OpenPGP public key in it".to_owned()) } else { Ok(keys) }
}

fn signatures(octets: &[u8]) -> Result<Vec<Signature>, String> {
    let said = |error: pgp::errors::Error| format!("its signature cannot be read: {error}");
    let armored = octets.trim_ascii_start().starts_with(b"-----BEGIN");
    let found: Vec<_> = if armored {
        DetachedSignature::from_armor_many(octets).map_err(said)?.0.collect()
    } else {
        DetachedSignature::from_bytes_many(BufReader::new(octets)).map_err(said)?.collect()
    };
    let found: Vec<DetachedSignature> = found.into_iter().collect::<Result<_, _>>().map_err(said)?;
    if found.is_empty() {
        return Err("its signature is empty".to_owned());
    }
    Ok(found
        .into_iter()
        .map(|one| one.signature)
        .filter(|one| one.typ() == Some(SignatureType::Binary))
        .collect())
}

/// Whether this key made the signature: `Ok(false)` when it names another key, an error when it is this one's and bad.
fn by(key: &SignedPublicKey, signature: &Signature, file: &Path) -> Result<bool, String> {
    let said = |error: pgp::errors::Error| error.to_string();
    let named = |details: &dyn KeyDetails| {
        let (ids, prints) = (signature.issuer_key_id(), signature.issuer_fingerprint());
        ids.iter().any(|id| **id == details.legacy_key_id())
            || prints.iter().any(|print| **print == details.fingerprint())
    };
    let made = signature.created();
    if named(&key.primary_key) {
        if !key.details.revocation_signatures.is_empty() {
            return Err("the key is revoked".to_owned());
        }
        key.details.verify_bindings(&key.primary_key).map_err(said)?;
        return check(signature, &key.primary_key, file).map(|()| true);
    }
    for subkey in &key.public_subkeys {
        if !named(&subkey.key) {
            continue;
        }
        subkey.verify_bindings(&key.primary_key).map_err(said)?;
        let revoked = subkey.signatures.iter().any(|one| one.typ() == Some(SignatureType::SubkeyRevocation));
        let binding =
            subkey.signatures.iter().filter(|one| one.typ() == Some(SignatureType::SubkeyBinding)).last();
        let Some(binding) = binding.filter(|binding| !revoked && binding.key_flags().sign()) else {
            return Err("the subkey is revoked or not for signing".to_owned());
        };
        let ends = binding
            .key_expiration_time()
            .map(|life| u64::from(subkey.key.created_at().as_secs()) + u64::from(life.as_secs()));
        let late = |ends: u64| made.is_none_or(|made| u64::from(made.as_secs()) > ends);
        if ends.filter(|ends| *ends > 0).is_some_and(late) {
            return Err("the subkey was expired when it signed".to_owned());
        }
        return check(signature, &subkey.key, file).map(|()| true);
    }
    Ok(false)
}

fn check(signature: &Signature, key: &impl VerifyingKey, file: &Path) -> Result<(), String> {
    let data = File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
    signature.verify(key, BufReader::with_capacity(1 << 18, data)).map_err(|error| error.to_string())
}
