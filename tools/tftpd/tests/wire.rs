//! What goes over the wire in the corners of RFC 1123, 1350, 1785, 2347-2349 and 7440, packet by packet.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod common;

use common::{ask, octets, serve};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(10);
/// Long enough for an answer that should not come, on a quiet loopback.
const SILENCE: Duration = Duration::from_millis(150);

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for size in [0, 512, 700, 1024, 5000] {
        std::fs::write(folder.path().join(size.to_string()), octets(size)).unwrap();
    }
    std::fs::write(folder.path().join("text"), "a\nb\r\nc\r").unwrap();
    folder
}

fn request(words: &str) -> Vec<u8> {
    [&b"\0\x01"[..], words.replace(' ', "\0").as_bytes(), b"\0"].concat()
}

/// A client that sends what it is told to.
struct Client(UdpSocket, SocketAddr);

impl Client {
    /// Sends a request and returns the first answer.
    fn start(server: SocketAddr, words: &str) -> (Self, Vec<u8>) {
        let socket = UdpSocket::bind((server.ip(), 0)).unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        socket.send_to(&request(words), server).unwrap();
        let mut buffer = [0; 70_000];
        let (length, tid) = socket.recv_from(&mut buffer).unwrap();
        (Self(socket, tid), buffer[..length].to_vec())
    }

    fn send(&self, packet: &[u8]) {
        self.0.send_to(packet, self.1).unwrap();
    }

    fn ack(&self, block: u16) {
        let [high, low] = block.to_be_bytes();
        self.send(&[0, 4, high, low]);
    }

    fn next(&self) -> Vec<u8> {
        let mut buffer = [0; 70_000];
        self.0.set_read_timeout(Some(WAIT)).unwrap();
        let length = self.0.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    fn silent(&self) {
        self.0.set_read_timeout(Some(SILENCE)).unwrap();
        let mut buffer = [0; 70_000];
        if let Ok(length) = self.0.recv(&mut buffer) {
            panic!("{:?}", &buffer[..length.min(16)]);
        }
    }

    fn block(&self) -> u16 {
        let packet = self.next();
        assert_eq!(packet[..2], [0, 3], "{:?}", &packet[..packet.len().min(16)]);
        u16::from_be_bytes([packet[2], packet[3]])
    }
}

/// The pairs of an OACK, in small letters.
fn pairs(packet: &[u8]) -> Vec<(String, String)> {
    assert_eq!(packet[..2], [0, 6], "{packet:?}");
    let text = String::from_utf8(packet[2..].to_vec()).unwrap().to_lowercase();
    let words: Vec<&str> = text.strip_suffix('\0').unwrap().split('\0').collect();
    words.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect()
}

fn oack(server: SocketAddr, words: &str) -> Vec<(String, String)> {
    let (client, answer) = Client::start(server, words);
    client.send(b"\0\x05\0\x08enough\0");
    let mut pairs = pairs(&answer);
    pairs.sort();
    pairs
}

fn is(pairs: &[(String, String)], wanted: &[(&str, &str)]) -> bool {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(wanted.iter().copied())
}

#[test]
fn options_that_are_valid() {
    // RFC 2347: in any order, in any case; RFC 2348: 8 to 65464; RFC 2349: 1 to 255; RFC 7440 §3: 1 to 65535.
    let folder = folder();
    let (_server, address) = serve(folder.path(), "127.0.0.1", &["--user", "root"]);
    for (words, wanted) in [
        ("700 octet blksize 8", &[("blksize", "8")][..]),
        ("700 octet blksize 65464", &[("blksize", "65464")]),
        ("700 OcTeT BLKSIZE 1024", &[("blksize", "1024")]),
        ("700 octet tsize 0", &[("tsize", "700")]),
        ("700 octet tsize 99999", &[("tsize", "700")]),
        ("0 octet tsize 0", &[("tsize", "0")]),
        ("text NetASCII TSize 0", &[("tsize", "11")]),
        ("700 octet timeout 1", &[("timeout", "1")]),
        ("700 octet timeout 255", &[("timeout", "255")]),
        ("700 octet windowsize 1", &[("windowsize", "1")]),
        ("700 octet windowsize 64", &[("windowsize", "64")]),
        (
            "700 octet windowsize 8 tsize 0 timeout 3 blksize 512",
            &[("blksize", "512"), ("timeout", "3"), ("tsize", "700"), ("windowsize", "8")],
        ),
        ("700 octet x-unknown 1 tsize 0 y-unknown 2", &[("tsize", "700")]),
    ] {
        let got = oack(address, words);
        assert!(is(&got, wanted), "{words}: {got:?}");
    }
    let got = oack(address, "700 octet windowsize 65535");
    assert!(
        matches!(got.as_slice(), [(name, value)] if name == "windowsize" && value.parse::<u16>().is_ok_and(|blocks| blocks > 0))
    );
    // RFC 2347: an option is given once; of two, one is answered.
    assert!(is(&oack(address, "700 octet blksize 600 blksize 1024"), &[("blksize", "600")]));
}

#[test]
fn options_that_are_not_valid_are_left_out() {
    // RFC 2347: a server leaves out what it does not accept; with nothing left it begins with DATA.
    let folder = folder();
    let (_server, address) = serve(folder.path(), "127.0.0.1", &["--user", "root"]);
    let values = ["", "-1", "+9", "0x20", "9x", "1.5", "99999999999999999999", "\u{0661}"];
    for name in ["blksize", "timeout", "windowsize", "tsize"] {
        let more: &[&str] = match name {
            "blksize" => &["0", "7", "65465"],
            "timeout" => &["0", "256"],
            "windowsize" => &["0", "65536"],
            _ => &[],
        };
        for value in values.iter().chain(more) {
            let words = format!("700 octet {name} {value}");
            let (client, answer) = Client::start(address, &words);
            assert_eq!((answer.len(), &answer[..4]), (516, &[0, 3, 0, 1][..]), "{words}");
            client.send(b"\0\x05\0\0enough\0");
        }
    }
}

#[test]
fn requests_that_are_odd() {
    // RFC 1350 §5, appendix: modes and names.
    let folder = folder();
    let (_server, address) = serve(folder.path(), "127.0.0.1", &["--user", "root"]);
    for name in ["700", "/700", "//700", "./700", ".//./700"] {
        let (client, answer) = Client::start(address, &format!("{name} octet"));
        assert_eq!((answer.len(), &answer[..4]), (516, &[0, 3, 0, 1][..]), "{name}");
        client.send(b"\0\x05\0\0enough\0");
    }
    // NULs that some ROMs pad with, and an option cut short.
    for tail in [&b"\0\0\0\0\0"[..], b"tsize", b"tsize\0", b"tsize\x000", b"\0"] {
        let answer = ask(address, &[&request("700 octet")[..], tail].concat(), WAIT).unwrap();
        assert_eq!(answer[..4], [0, 3, 0, 1], "{tail:?}");
    }
    for (packet, code) in [
        (request("700 mail"), 4),
        (request("700 MAIL"), 4),
        (request("700 "), 4),
        (request("700 octets"), 4),
        (b"\0\x01700".to_vec(), 4),
        (b"\0\x01700\0octet".to_vec(), 4),
        (b"\0\x01".to_vec(), 4),
        (b"\0\x02new\0octet\0".to_vec(), 2),
        (b"\0\x02700\0netascii\0tsize\x009\0".to_vec(), 2),
        (request("absent octet tsize 0 blksize 1024"), 1),
        (request("absent mail"), 4),
    ] {
        let answer = ask(address, &packet, WAIT).unwrap();
        assert_eq!(answer[..4], [0, 5, 0, code], "{packet:?}");
        assert_eq!(answer.last(), Some(&0), "the message ends with NUL");
    }
    // RFC 1350 §4, §7: what begins nothing is not answered.
    for packet in [
        &b""[..],
        b"\0",
        b"\x01",
        b"\0\x03\0\x01x",
        b"\0\x04\0\x01",
        b"\0\x05\0\0x\0",
        b"\0\x06",
        b"\0\0",
        b"\x01\0a\0octet\0",
    ] {
        assert_eq!(ask(address, packet, SILENCE), None, "{packet:?}");
    }
    // RFC 1350 §6: the end is a short block, be it empty.
    for (name, last) in [("0", 1), ("512", 2), ("1024", 3), ("700", 2)] {
        let (client, answer) = Client::start(address, &format!("{name} octet"));
        let mut length = answer.len();
        for block in 1..last {
            client.ack(block);
            let packet = client.next();
            assert_eq!(packet[..4], [0, 3, 0, block as u8 + 1], "{name}");
            length = packet.len();
        }
        assert_eq!(length - 4, name.parse::<usize>().unwrap() % 512, "{name}");
        client.ack(last);
        client.silent();
    }
}

#[test]
fn acknowledgements_that_are_not_the_next() {
    // RFC 1123 §4.2.3.1: a duplicate ACK makes nobody send; RFC 1350 §4: only the transfer's own peer counts.
    let folder = folder();
    for flags in [&["--user", "root"][..], &["--user", "root", "--single-port"]] {
        let (_server, address) = serve(folder.path(), "127.0.0.1", flags);
        let (client, answer) = Client::start(address, "5000 octet timeout 5");
        assert_eq!(answer[..2], [0, 6]);
        client.ack(7); // before the OACK is acknowledged, any other number says nothing
        client.ack(0);
        assert_eq!(client.block(), 1);
        (0..10).for_each(|_| client.ack(0));
        for future in [2, 3, 9, 0x8001, 0xffff] {
            client.ack(future);
        }
        client.silent();
        client.ack(1);
        assert_eq!(client.block(), 2);
        (0..10).for_each(|_| client.ack(1));
        client.silent();
        // Somebody else at the transfer's port ends nothing.
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        stranger.set_read_timeout(Some(WAIT)).unwrap();
        if client.1 == address {
            stranger.set_read_timeout(Some(SILENCE)).unwrap();
        }
        let mut buffer = [0; 600];
        stranger.send_to(b"\0\x05\0\0stop\0", client.1).unwrap();
        stranger.send_to(&[0, 4, 0, 2], client.1).unwrap();
        match stranger.recv(&mut buffer) {
            Ok(_) => assert_eq!(buffer[..4], [0, 5, 0, 5], "unknown transfer ID, and the ERROR unanswered"),
            Err(_) => assert_eq!(client.1, address, "only the port for requests may be silent"),
        }
        client.silent();
        client.ack(2);
        assert_eq!(client.block(), 3);
        // RFC 1350 §7: an ERROR ends it, and is not answered.
        client.send(b"\0\x05\0\x03full\0");
        client.ack(3);
        if client.1 == address {
            client.silent();
        } else {
            assert_eq!(client.next()[..4], [0, 5, 0, 5], "the transfer is not known any more");
        }
    }
}

#[test]
fn windows_with_gaps() {
    // RFC 7440 §4: the sender goes on behind the block that is acknowledged, at once, and once for each gap.
    let folder = folder();
    let (_server, address) = serve(folder.path(), "127.0.0.1", &["--user", "root"]);
    let (client, answer) = Client::start(address, "5000 octet windowsize 4 timeout 5");
    assert_eq!(answer[..2], [0, 6]);
    client.ack(0);
    let window = |blocks: std::ops::RangeInclusive<u16>| {
        for block in blocks {
            assert_eq!(client.block(), block);
        }
        client.silent();
    };
    window(1..=4);
    client.ack(2);
    window(3..=6);
    client.ack(6);
    window(7..=10);
    client.ack(6); // its first block was lost: the window again
    window(7..=10);
    client.ack(10); // 5000 octets: the tenth block is the short one
    client.silent();
}

#[test]
fn what_is_lost_comes_again() {
    // RFC 2349: after the time-out that was agreed on; the last block, too (RFC 1350 §6).
    let folder = folder();
    let (_server, address) = serve(folder.path(), "127.0.0.1", &["--user", "root"]);
    let (client, answer) = Client::start(address, "700 octet timeout 1");
    assert_eq!(client.next(), answer, "the OACK");
    client.ack(0);
    let first = client.next();
    assert_eq!(client.next(), first, "a block");
    client.ack(1);
    let last = client.next();
    assert_eq!(last[..4], [0, 3, 0, 2]);
    assert_eq!(client.next(), last, "the last block");
    client.ack(2);
    client.silent();
}
