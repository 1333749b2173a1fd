//! Recorded boots, as pcap and pcapng: both formats give the same packets, and a damaged file those before the damage.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use proptest::prelude::*;
use proxy_dhcp::capture::{Capture, LinkType};
use std::time::Duration;

fn pcap(frames: &[&[u8]]) -> Vec<u8> {
    let mut file =
        vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0];
    for (second, frame) in (100u32..).zip(frames) {
        for word in [second, 500_000, frame.len() as u32, frame.len() as u32] {
            file.extend(word.to_le_bytes());
        }
        file.extend_from_slice(frame);
    }
    file
}

fn pcapng(frames: &[&[u8]]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let length = 12 + body.len().next_multiple_of(4) as u32;
        file.extend(kind.to_be_bytes());
        file.extend(length.to_be_bytes());
        file.extend_from_slice(body);
        file.resize(file.len().next_multiple_of(4), 0);
        file.extend(length.to_be_bytes());
    };
    block(0x0a0d_0d0a, &[0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
    // Ethernet, times in units of 2^-1 seconds.
    block(1, &[0, 1, 0, 0, 0, 0, 255, 255, 0, 9, 0, 1, 0x81, 0, 0, 0, 0, 0, 0, 0]);
    block(0xbad, b"unknown");
    for (second, frame) in (100u32..).zip(frames) {
        let words = [0, 0, second * 2 + 1, frame.len() as u32, frame.len() as u32];
        let mut body: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        body.extend_from_slice(frame);
        block(6, &body);
    }
    file
}

#[test]
fn both_formats_give_the_same_packets() {
    // draft-ietf-opsawg-pcap §4, §5; draft-ietf-opsawg-pcapng §4
    let frames: [&[u8]; 3] = [b"one", b"frame", b"more"];
    for file in [pcap(&frames), pcapng(&frames)] {
        let packets: Vec<_> = Capture::parse(&file).unwrap().collect();
        assert_eq!(packets.iter().map(|packet| packet.octets).collect::<Vec<_>>(), frames);
        assert!(packets.iter().all(|packet| packet.link == LinkType::Ethernet));
        assert_eq!(packets[1].at, Duration::from_millis(101_500));
        let cut = &file[..file.len() - 3];
        assert_eq!(Capture::parse(cut).unwrap().count(), 2);
    }
    assert!(Capture::parse(b"#!ipxe").is_err());
}

proptest! {
    #[test]
    fn no_file_panics(octets in proptest::collection::vec(any::<u8>(), 0..400), damage in any::<(usize, u8)>(), ng: bool) {
        for mut file in [octets.clone(), if ng { pcapng(&[&octets, &octets]) } else { pcap(&[&octets, &octets]) }] {
            let at = damage.0 % file.len().max(1);
            if let Some(octet) = file.get_mut(at) {
                *octet = damage.1;
            }
            if let Ok(capture) = Capture::parse(&file) {
                for packet in capture {
                    let _ = packet.udp();
                }
            }
        }
    }
}
