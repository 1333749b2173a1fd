//! The TFTP client of a simulated machine's firmware: one file, lock-step, blksize 1432 as iPXE asks (RFC 1350, 2348).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

const BLOCK: usize = 1432;
const PATIENCE: Duration = Duration::from_secs(1);
const ATTEMPTS: u32 = 6;

/// Reads `file` from `server` into memory; calls `whole` just before the last ACK.
pub(super) async fn read(
    from: Ipv4Addr,
    server: Ipv4Addr,
    file: &str,
    whole: impl FnOnce(),
) -> Result<Vec<u8>, String> {
    let socket = UdpSocket::bind((from, 0)).await.map_err(|error| format!("bind {from}: {error}"))?;
    let mut request = vec![0, 1];
    request.extend(file.bytes());
    request.extend(b"\0octet\0blksize\0");
    request.extend(BLOCK.to_string().bytes());
    request.push(0);
    let mut last = request.clone();
    let mut peer = SocketAddr::from((server, 69));
    let (mut contents, mut expected, mut block) = (Vec::new(), 1_u16, 512);
    let mut datagram = vec![0; 4 + BLOCK];
    let mut attempts = 0;
    loop {
        let sent = socket.send_to(&last, peer).await;
        sent.map_err(|error| format!("TFTP {file}: {error}"))?;
        let answer = loop {
            match timeout(PATIENCE * (1 << attempts.min(3)), socket.recv_from(&mut datagram)).await {
                Err(_) => break None,
                Ok(Ok((length, at))) if at.ip() == peer.ip() && (peer.port() == 69 || at == peer) => {
                    break Some((length, at));
                }
                Ok(_) => {}
            }
        };
        let Some((length, at)) = answer else {
            attempts += 1;
            if attempts == ATTEMPTS {
                return Err(format!("TFTP {file}: no answer"));
            }
            continue; // the last packet again
        };
        let packet = datagram.get(..length).unwrap_or_default();
        match packet {
            [0, 3, high, low, data @ ..] => {
                peer = at;
                if u16::from_be_bytes([*high, *low]) != expected {
                    continue;
                }
                attempts = 0;
                contents.extend(data);
                last = vec![0, 4, *high, *low];
                expected = expected.wrapping_add(1);
                if data.len() < block {
                    whole();
                    let sent = socket.send_to(&last, peer).await;
                    return sent.map(|_| contents).map_err(|error| format!("TFTP {file}: {error}"));
                }
            }
            [0, 6, options @ ..] => {
                peer = at;
                if options.to_ascii_lowercase().starts_with(b"blksize\0") {
                    block = BLOCK;
                }
                last = vec![0, 4, 0, 0];
            }
            // The server forgot a first request in favour of its repetition (RFC 1350 §4): ask again.
            [0, 5, 0, 5, ..] if contents.is_empty() && attempts < ATTEMPTS - 1 => {
                attempts += 1;
                peer = SocketAddr::from((server, 69));
                last.clone_from(&request);
            }
            [0, 5, _, code, ..] => return Err(format!("TFTP {file}: error {code}")),
            _ => {}
        }
    }
}
