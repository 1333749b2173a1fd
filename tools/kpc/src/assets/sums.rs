//! Digests of files: measured, and as lists give them (`SHA256SUMS`, `SHA512SUMS`: sha256sum's form), the list signed or
//! not.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use sha2::{Digest as _, Sha256, Sha512};

use super::fetch::{Fetched, Source};
use super::signature::Keys;

/// Lists of digests, the better one first.
const LISTS: [&str; 2] = ["SHA512SUMS", "SHA256SUMS"];
/// What a detached signature's name ends in.
pub(super) const SIGNATURES: [&str; 4] = [".sig", ".asc", ".sign", ".gpg"];
/// The largest list or signature that is read, in octets.
const MAX_LIST: u64 = 4 << 20;

/// What a file is.
pub(super) struct Measured {
    pub(super) octets: u64,
    pub(super) sha256: String,
    sha512: String,
}

/// Reads a file whole, once.
pub(super) fn measure(path: &Path) -> Result<Measured, String> {
    let said = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = std::fs::File::open(path).map_err(said)?;
    let (mut short, mut long) = (Sha256::new(), Sha512::new());
    let (mut octets, mut buffer) = (0_u64, vec![0_u8; 1 << 18]);
    loop {
        let count = file.read(&mut buffer).map_err(said)?;
        let Some(part) = buffer.get(..count).filter(|part| !part.is_empty()) else { break };
        short.update(part);
        long.update(part);
        octets += count as u64;
    }
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect();
    Ok(Measured { octets, sha256: hex(&short.finalize()), sha512: hex(&long.finalize()) })
}

/// How far a file is vouched for.
pub(super) enum Proof {
    /// By this key.
    Signed(String),
    /// Its digest is in a list that nobody signed.
    Listed,
    /// Not at all.
    None,
}

/// What the lists of a place say.
pub(super) struct Digests {
    /// By file: its digest, and who signed the list.
    listed: BTreeMap<String, (String, Option<String>)>,
}

impl Digests {
    /// Fetches the lists of a place, as far as there are any; a signature that is there must be good.
    pub(super) async fn fetch(source: &Source, incoming: &Path, keys: &Keys) -> Result<Self, String> {
        let mut listed = BTreeMap::new();
        for list in LISTS {
            let place = incoming.join(list);
            if source.small(list, &place, MAX_LIST).await? == Fetched::Absent {
                continue;
            }
            let signer = signer(source, list, &place, incoming, keys).await?;
            let text = std::fs::read_to_string(&place).map_err(|error| format!("{list}: {error}"))?;
            let _ = std::fs::remove_file(&place);
            for (name, digest) in parse(&text) {
                let known =
                    listed.get(&name).is_some_and(|(_, signer): &(String, Option<String>)| signer.is_some());
                if !known {
                    listed.insert(name, (digest, signer.clone()));
                }
            }
        }
        Ok(Self { listed })
    }

    /// Who vouches for this file: a signature of its own, else a list. A digest or signature that does not fit is an
    /// error, whoever else vouches.
    pub(super) async fn proof(
        &self,
        source: &Source,
        name: &str,
        place: &Path,
        incoming: &Path,
        keys: &Keys,
        measured: &Measured,
    ) -> Result<Proof, String> {
        let listed = self.listed.get(name);
        if let Some((digest, _)) = listed
            && *digest != measured.sha256
            && *digest != measured.sha512
        {
            return Err(format!(
                "{name}: its digest is not the listed one: it was changed on its way, or the list is of another version (bad-digest)"
            ));
        }
        if let Some(key) = signer(source, name, place, incoming, keys).await? {
            return Ok(Proof::Signed(key));
        }
        Ok(match listed {
            Some((_, Some(key))) => Proof::Signed(key.clone()),
            Some((_, None)) => Proof::Listed,
            None => Proof::None,
        })
    }
}

/// Who signed this file: the first detached signature that is there.
async fn signer(
    source: &Source,
    name: &str,
    place: &Path,
    incoming: &Path,
    keys: &Keys,
) -> Result<Option<String>, String> {
    for end in SIGNATURES {
        let beside = format!("{name}{end}");
        let at = incoming.join(&beside);
        if source.small(&beside, &at, MAX_LIST).await? == Fetched::Absent {
            continue;
        }
        let octets = std::fs::read(&at).map_err(|error| format!("{beside}: {error}"))?;
        let _ = std::fs::remove_file(&at);
        return keys.verify(name, place, &octets).map(Some);
    }
    Ok(None)
}

/// `digest  name` lines, with `*` before names read as binary; OpenSSL's and BSD's `SHA256 (name) = digest` too.
fn parse(text: &str) -> Vec<(String, String)> {
    let is_digest =
        |word: &str| matches!(word.len(), 64 | 128) && word.bytes().all(|digit| digit.is_ascii_hexdigit());
    let lines = text.lines().filter_map(|line| {
        let (first, rest) = line.trim().split_once(char::is_whitespace)?;
        if is_digest(first) {
            let name = rest.trim().trim_start_matches('*').trim_start_matches("./");
            return Some((name.to_owned(), first.to_ascii_lowercase()));
        }
        let (name, digest) = rest.trim().strip_prefix('(')?.split_once(") = ")?;
        is_digest(digest).then(|| (name.to_owned(), digest.to_ascii_lowercase()))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_in_both_forms() {
        let digest = "ab".repeat(32);
        let text =
            format!("{digest}  a.raw\n{digest} *./b.raw\nSHA256 (c.raw) = {digest}\nnonsense line\n\n");
        let names: Vec<String> = parse(&text).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a.raw", "b.raw", "c.raw"]);
    }
}
