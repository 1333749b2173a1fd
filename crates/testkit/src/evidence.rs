//! What a capture proves: DHCP replies and whole TFTP transfers, read with code of its own, so that a test does not
//! judge our parsers by our parsers. Called by the lab's tests.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::frame::{Udp, tcp_payload};
use crate::pcap::Record;

/// A DHCP reply (RFC 2131 §2, op 2) as it was on the wire.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DhcpReply {
    /// Who sent it.
    pub from: SocketAddrV4,
    /// Where it went.
    pub to: SocketAddrV4,
    /// The client's hardware address.
    pub mac: [u8; 6],
    /// The address it leases; 0.0.0.0 from a proxy.
    pub yiaddr: Ipv4Addr,
    /// The next server.
    pub siaddr: Ipv4Addr,
    /// The boot file's name, from the header.
    pub file: String,
    /// Options in the order sent, pad and end left out; a code may occur twice (RFC 3396).
    pub options: Vec<(u8, Vec<u8>)>,
}

impl DhcpReply {
    /// The reply in a frame, or `None`.
    #[must_use]
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let udp = Udp::parse(frame)?;
        let reply = Self::from_message(udp.payload)?;
        Some(Self { from: udp.from, to: udp.to, ..reply })
    }

    /// The reply in a DHCP message; who sent it and where it went stay unspecified.
    #[must_use]
    pub fn from_message(message: &[u8]) -> Option<Self> {
        let nobody = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let is_reply = message.first() == Some(&2) && message.get(236..240)? == [99, 130, 83, 99];
        if !is_reply {
            return None;
        }
        let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(message.get(at..at + 4)?).ok()?));
        let file = message.get(108..236)?.split(|octet| *octet == 0).next().unwrap_or_default();
        let (mut options, mut at) = (Vec::new(), 240);
        while let Some(&code) = message.get(at) {
            match code {
                0 => at += 1,
                255 => break,
                code => {
                    let length = usize::from(*message.get(at + 1)?);
                    options.push((code, message.get(at + 2..at + 2 + length)?.to_vec()));
                    at += 2 + length;
                }
            }
        }
        Some(Self {
            from: nobody,
            to: nobody,
            mac: message.get(28..34)?.try_into().ok()?,
            yiaddr: address(16)?,
            siaddr: address(20)?,
            file: String::from_utf8_lossy(file).into_owned(),
            options,
        })
    }

    /// The first option with this code.
    #[must_use]
    pub fn option(&self, code: u8) -> Option<&[u8]> {
        self.options.iter().find(|(found, _)| *found == code).map(|(_, value)| value.as_slice())
    }

    /// Message type (option 53): 2 OFFER, 5 ACK, 6 NAK.
    #[must_use]
    pub fn message_type(&self) -> Option<u8> {
        self.option(53)?.first().copied()
    }
}

/// A TFTP read as it was on the wire (RFC 1350).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TftpRead {
    /// Who asked.
    pub client: SocketAddrV4,
    /// What for.
    pub file: String,
    /// What arrived in order.
    pub octets: Vec<u8>,
    /// Whether the last block (shorter than the others) was acknowledged.
    pub complete: bool,
    /// Whether either side ended it with an ERROR: after a size probe that is usual.
    pub error: bool,
}

/// Puts the TFTP reads of a capture together, in the order of their requests.
#[must_use]
pub fn tftp_reads<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<TftpRead> {
    let mut reads: Vec<TftpRead> = Vec::new();
    let mut current: BTreeMap<SocketAddrV4, Transfer> = BTreeMap::new();
    for udp in records.into_iter().filter_map(|record| Udp::parse(&record.frame)) {
        let Some((opcode, rest)) = u16_first(udp.payload) else { continue };
        if opcode == 1 && udp.to.port() == 69 {
            let mut words = rest.split(|octet| *octet == 0);
            let file = String::from_utf8_lossy(words.next().unwrap_or_default()).into_owned();
            let transfer =
                Transfer { index: reads.len(), server: None, blocks: 0, block_size: 512, last: None };
            current.insert(udp.from, transfer);
            reads.push(TftpRead {
                client: udp.from,
                file,
                octets: Vec::new(),
                complete: false,
                error: false,
            });
            continue;
        }
        let (client, from_server) = match (current.contains_key(&udp.to), current.contains_key(&udp.from)) {
            (true, _) => (udp.to, true),
            (false, true) => (udp.from, false),
            (false, false) => continue,
        };
        let Some(transfer) = current.get_mut(&client) else { continue };
        let Some(read) = reads.get_mut(transfer.index) else { continue };
        if from_server && *transfer.server.get_or_insert(udp.from) != udp.from {
            continue; // another transfer identifier (RFC 1350 §4)
        }
        if from_server && opcode == 3 {
            // Segmentation offload: one frame carries a window of packets, each as long as the block size allows.
            for packet in udp.payload.chunks(4 + transfer.block_size) {
                transfer.take(read, true, 3, packet.get(2..).unwrap_or_default());
            }
            continue;
        }
        transfer.take(read, from_server, opcode, rest);
    }
    reads
}

struct Transfer {
    index: usize,
    server: Option<SocketAddrV4>,
    blocks: u64,
    block_size: usize,
    /// The number of the final block, once it was sent.
    last: Option<u64>,
}

impl Transfer {
    fn take(&mut self, read: &mut TftpRead, from_server: bool, opcode: u16, rest: &[u8]) {
        match (from_server, opcode) {
            (true, 6) => {
                let words: Vec<&[u8]> = rest.split(|octet| *octet == 0).collect();
                for pair in words.chunks_exact(2) {
                    if let [name, value] = pair
                        && name.eq_ignore_ascii_case(b"blksize")
                    {
                        let value = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
                        self.block_size = value.unwrap_or(self.block_size);
                    }
                }
            }
            (true, 3) => {
                let Some((number, data)) = u16_first(rest) else { return };
                // Numbers count modulo 65536; a repeated or skipped block is not the next one.
                if u64::from(number) == (self.blocks + 1) % 65_536 && self.last.is_none() {
                    self.blocks += 1;
                    read.octets.extend(data);
                    self.last = (data.len() < self.block_size).then_some(self.blocks);
                }
            }
            (false, 4) => {
                let number = u16_first(rest).map(|(number, _)| u64::from(number));
                read.complete |= self.last.is_some_and(|last| Some(last % 65_536) == number);
            }
            (_, 5) => read.error = true,
            _ => {}
        }
    }
}

/// An HTTP request and its response (RFC 9112), as far as a capture of first frames shows them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpExchange {
    /// Who asked.
    pub client: SocketAddrV4,
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Of the response; 0 while there is none.
    pub status: u16,
    /// The body, where it came in the same frame as the head.
    pub body: Option<Vec<u8>>,
}

/// Pairs requests to `server` with the responses on the same connection, in the order of the requests.
#[must_use]
pub fn http_exchanges<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    server: SocketAddrV4,
) -> Vec<HttpExchange> {
    let mut exchanges: Vec<HttpExchange> = Vec::new();
    for record in records {
        let Some((from, to, payload)) = tcp_payload(&record.frame) else { continue };
        if to == server {
            let first = payload.split(|octet| *octet == b'\r').next().unwrap_or_default();
            let line = String::from_utf8_lossy(first);
            let mut words = line.split(' ');
            if let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0")) =
                (words.next(), words.next(), words.next())
            {
                let (method, target) = (method.to_owned(), target.to_owned());
                exchanges.push(HttpExchange { client: from, method, target, status: 0, body: None });
            }
        } else if from == server
            && let Some((status, body)) = response(payload)
            && let Some(open) = exchanges.iter_mut().find(|open| open.client == to && open.status == 0)
        {
            (open.status, open.body) = (status, body);
        }
    }
    exchanges
}

fn response(payload: &[u8]) -> Option<(u16, Option<Vec<u8>>)> {
    let end = payload.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(payload.get(..end)?).ok()?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let body = length.and_then(|length| payload.get(end + 4..end + 4 + length)).map(<[u8]>::to_vec);
    Some((status, body))
}

fn u16_first(octets: &[u8]) -> Option<(u16, &[u8])> {
    let (first, rest) = octets.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*first), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn udp(from: (u8, u16), to: (u8, u16), payload: &[u8]) -> Record {
        let mut frame = vec![0; 12];
        frame.extend([8, 0, 0x45, 0]);
        frame.extend(u16::try_from(28 + payload.len()).unwrap().to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, from.0, 10, 0, 0, to.0]);
        for word in [from.1, to.1, u16::try_from(8 + payload.len()).unwrap(), 0] {
            frame.extend(word.to_be_bytes());
        }
        frame.extend(payload);
        Record { at: Duration::ZERO, original_length: 0, frame }
    }

    #[test]
    fn a_probe_and_a_read_with_a_repeated_block() {
        let (client, server) = ((2, 1024), (1, 4000));
        let records = [
            udp((2, 1000), (1, 69), b"\0\x01a.efi\0octet\0tsize\x000\0"),
            udp((1, 3999), (2, 1000), b"\0\x06tsize\x008\0"),
            udp((2, 1000), (1, 3999), b"\0\x05\0\x08stop\0"),
            udp(client, (1, 69), b"\0\x01a.efi\0octet\0blksize\x008\0"),
            udp(server, client, b"\0\x06blksize\x008\0"),
            udp(client, server, b"\0\x04\0\0"),
            udp(server, client, b"\0\x03\0\x0112345678"),
            udp(server, client, b"\0\x03\0\x0112345678\0\x03\0\x02ABCDEFGH"),
            udp((1, 4001), client, b"\0\x03\0\x02evil"),
            udp(server, client, b"\0\x03\0\x039"),
            udp(client, server, b"\0\x04\0\x03"),
        ];
        let reads = tftp_reads(&records);
        assert_eq!(reads.len(), 2);
        assert!(reads[0].error && !reads[0].complete);
        assert_eq!(
            (reads[1].file.as_str(), reads[1].octets.as_slice()),
            ("a.efi", b"12345678ABCDEFGH9".as_slice())
        );
        assert!(reads[1].complete && !reads[1].error);
    }

    #[test]
    fn requests_and_responses_of_two_connections() {
        let tcp = |from: (u8, u16), to: (u8, u16), payload: &[u8]| {
            let mut segment = vec![0; 8];
            segment.extend([0x50, 0, 0, 0, 0, 0, 0, 0]);
            segment.extend(payload);
            let mut record = udp(from, to, &segment);
            record.frame[23] = 6;
            record.frame.drain(38..42); // 4 octets of UDP's length and checksum, the rest are sequence numbers
            let total = u16::try_from(record.frame.len() - 14).unwrap().to_be_bytes();
            record.frame[16..18].copy_from_slice(&total);
            record
        };
        let server = (1, 8080);
        let records = [
            tcp((2, 1000), server, b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n"),
            tcp((3, 1000), server, b"GET /big HTTP/1.1\r\n\r\n"),
            tcp(server, (3, 1000), b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nhead"),
            tcp(server, (2, 1000), b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno"),
            tcp(server, (2, 1000), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ];
        let exchanges = http_exchanges(&records, SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 8080));
        assert_eq!(exchanges.len(), 2);
        assert_eq!((exchanges[0].target.as_str(), exchanges[0].status), ("/a?b", 404));
        assert_eq!(exchanges[0].body.as_deref(), Some(b"no".as_slice()));
        assert_eq!((exchanges[1].status, exchanges[1].body.as_ref()), (200, None));
    }

    #[test]
    fn a_proxy_offer() {
        let mut message = vec![0; 240];
        message[0] = 2;
        message[20..24].copy_from_slice(&[10, 0, 0, 1]);
        message[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
        message[108..113].copy_from_slice(b"x.efi");
        message[236..240].copy_from_slice(&[99, 130, 83, 99]);
        message.extend([53, 1, 2, 0, 60, 3, b'P', b'X', b'E', 255, 1, 1]);
        let reply = DhcpReply::parse(&udp((1, 67), (255, 68), &message).frame).unwrap();
        assert_eq!((reply.message_type(), reply.file.as_str()), (Some(2), "x.efi"));
        assert_eq!(reply.option(60), Some(b"PXE".as_slice()));
        assert_eq!(reply.mac[5], 9);
        message[240 + 1] = 200; // the length lies
        assert_eq!(DhcpReply::parse(&udp((1, 67), (255, 68), &message).frame), None);
    }
}
