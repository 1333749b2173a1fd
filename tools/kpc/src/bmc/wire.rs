//! What the server and the keeper of the logins say to each other: one JSON line an ask, one an answer, at most one
//! session with a BMC on a connection. No ask names a login, and no answer holds one.

use std::io;
use std::net::SocketAddr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::logins::ByAddress;
use super::session::Fault;

/// The longest line, in octets: the logins of some ten thousand BMCs.
const MAX_LINE: u64 = 1 << 20;

/// What the keeper is asked. Numbers are IPMI's own.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Ask {
    /// Open a session; the keeper chooses the login.
    Open { address: SocketAddr },
    /// Get Chassis Status (IPMI v2.0 §28.2): the power.
    Power,
    /// The product's serial in the FRU data.
    Serial,
    /// The boot flags (§28.13).
    BootFlags,
    /// Set System Boot Options (§28.12).
    SetBoot { device: u8, efi: bool, persistent: bool, keep_valid_bit: bool },
    /// Chassis Control (§28.3).
    Control { control: u8 },
    /// Keep these logins: for root alone.
    Keep { logins: ByAddress },
}

/// What the keeper answers.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Answer {
    /// A session, and the GUID that the BMC showed in RAKP 2 (§13.21).
    Opened { guid: [u8; 16] },
    /// Whether the power is on.
    Power { on: bool },
    /// The serial, where there is one.
    Serial { serial: Option<String> },
    /// The octets of the boot flags, where the BMC has them.
    BootFlags { flags: Option<[u8; 5]> },
    /// It is done.
    Done,
    /// It is not, and why.
    Not(Fault),
}

/// Reads one line; `None` at the end. What does not parse is not repeated, because it may hold a password.
pub(crate) async fn read<T: DeserializeOwned>(
    reader: &mut (impl AsyncBufRead + Unpin),
) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    if reader.take(MAX_LINE).read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    let parsed = serde_json::from_slice(&line);
    line.fill(0);
    parsed.map(Some).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a line of another version"))
}

/// Writes one line.
pub(crate) async fn write(writer: &mut (impl AsyncWrite + Unpin), value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    let written = writer.write_all(&line).await;
    line.fill(0);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_bounded_and_tell_nothing() {
        let mut sent = Vec::new();
        write(&mut sent, &Ask::SetBoot { device: 1, efi: true, persistent: false, keep_valid_bit: true })
            .await
            .unwrap();
        assert!(matches!(
            read(&mut sent.as_slice()).await.unwrap(),
            Some(Ask::SetBoot { device: 1, efi: true, .. })
        ));
        assert!(read::<Ask>(&mut &b""[..]).await.unwrap().is_none());
        let error = read::<Ask>(&mut &b"{\"keep\":{\"logins\":\"hunter2\"}}\n"[..]).await.unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        let endless = vec![b' '; usize::try_from(MAX_LINE).unwrap() * 2];
        assert!(read::<Ask>(&mut endless.as_slice()).await.is_err());
    }
}
