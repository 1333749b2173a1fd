//! Public keys as OpenSSH writes them (sshd(8), "AUTHORIZED_KEYS FILE FORMAT"), read, checked and written anew: what is
//! put into templates is ours, not the file's.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::args::Init;

/// The kinds of keys that are taken.
const KINDS: [&str; 7] = [
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
];

/// One public key.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Key {
    /// `ssh-ed25519 AAAA… comment`, the comment reduced to plain letters.
    pub(crate) line: String,
    /// `SHA256:…`, as ssh-keygen prints it.
    pub(crate) fingerprint: String,
    /// The comment.
    pub(crate) comment: String,
    /// The file it came from.
    pub(crate) file: PathBuf,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}  (from {})", self.fingerprint, self.comment, self.file.display())
    }
}

/// The keys of the files that were named, or of ~/.ssh/id_*.pub. None at all is a fault unless it is meant.
pub(super) fn keys(arguments: &Init) -> Result<Vec<Key>, String> {
    if arguments.no_ssh_key {
        return Ok(Vec::new());
    }
    let named = !arguments.ssh_keys.is_empty();
    let files = if named { arguments.ssh_keys.clone() } else { own() };
    let mut keys: Vec<Key> = Vec::new();
    for file in &files {
        for key in read(file)? {
            if keys.iter().all(|known| known.fingerprint != key.fingerprint) {
                keys.push(key);
            }
        }
    }
    if keys.is_empty() {
        return Err(
            "no SSH key: name one with --ssh-key FILE.pub, or say --no-ssh-key if nobody shall log in"
                .to_owned(),
        );
    }
    Ok(keys)
}

/// The public keys of the person who called: with sudo, of the one who called sudo.
fn own() -> Vec<PathBuf> {
    let by_sudo =
        std::env::var("SUDO_USER").ok().and_then(|name| nix::unistd::User::from_name(&name).ok()?);
    let home = by_sudo.map(|user| user.dir).or_else(|| std::env::var_os("HOME").map(PathBuf::from));
    let Some(folder) = home.map(|home| home.join(".ssh")) else { return Vec::new() };
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("id_") && name.ends_with(".pub")
        })
        .collect();
    files.sort();
    files
}

/// Every key of a file; a line that is none is a fault with its number.
pub(crate) fn read(file: &Path) -> Result<Vec<Key>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    if text.contains("PRIVATE KEY") {
        return Err(format!("{}: this is a private key; name the .pub file beside it", file.display()));
    }
    let mut keys = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = parse(line).map_err(|what| format!("{}:{}: {what}", file.display(), number + 1))?;
        keys.push(Key { file: file.to_path_buf(), ..key });
    }
    Ok(keys)
}

fn parse(line: &str) -> Result<Key, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|word| KINDS.contains(word));
    let at = at.ok_or_else(|| format!("no public key of a known kind ({})", KINDS.join(", ")))?;
    let kind = words.get(at).copied().unwrap_or_default();
    let blob = words.get(at + 1).copied().unwrap_or_default();
    let octets = STANDARD.decode(blob).map_err(|_| "the key is not base64: is the line whole?".to_owned())?;
    // RFC 4253 §6.6: the blob begins with its own kind.
    let length = octets.first_chunk::<4>().map_or(0, |length| u32::from_be_bytes(*length) as usize);
    if octets.get(4..4 + length) != Some(kind.as_bytes()) || octets.len() < 4 + length + 8 {
        return Err(format!("the key is no {kind}: is the line whole?"));
    }
    let comment: String = words
        .get(at + 2..)
        .unwrap_or_default()
        .join(" ")
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "@._+-".contains(letter) { letter } else { '_' })
        .take(64)
        .collect();
    Ok(Key {
        line: format!("{kind} {blob} {comment}").trim_end().to_owned(),
        fingerprint: format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&octets))),
        comment,
        file: PathBuf::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made by ssh-keygen for this test; its private half is gone.
    const LINE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEqFzvHs5GEOHlz0kRTKUX6P3RPAf4B+04rV7GSrrIqT a\"b|c {{d}}";

    #[test]
    fn a_comment_cannot_leave_its_place() {
        let key = parse(LINE).unwrap();
        assert_eq!(key.comment, "a_b_c___d__");
        assert!(key.fingerprint.starts_with("SHA256:") && key.fingerprint.len() == 50, "{}", key.fingerprint);
        let again = parse(&key.line).unwrap();
        assert_eq!((again.line, again.fingerprint), (key.line, key.fingerprint));
    }

    #[test]
    fn options_before_the_key_do_not_come_along() {
        let key = parse(&format!("command=\"/bin/sh\",no-pty {LINE}")).unwrap();
        assert!(key.line.starts_with("ssh-ed25519 AAAA"), "{}", key.line);
    }

    #[test]
    fn half_a_key_is_no_key() {
        for bad in [
            "ssh-ed25519",
            "ssh-ed25519 AAAA",
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIEqFzvHs5GEOHlz0kRTKUX6P3RPAf4B+04rV7GSrrIqT",
            "hello",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
