//! Datagrams of many peers at the port for requests, and acknowledgements at a sender, in any order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tftp::wire::{Packet, WindowSize};
use tftp::{Limits, Sender, SenderConfig, Server};

static ORIGIN: OnceLock<Instant> = OnceLock::new();

fuzz_target!(|octets: &[u8]| {
    let mut now = *ORIGIN.get_or_init(Instant::now);
    let mut server = Server::new(Limits { writable: true, transfers: 64, ..Limits::default() });
    let window = WindowSize::new(u16::from(octets.first().copied().unwrap_or(1)).max(1)).unwrap();
    let config = SenderConfig { window, option_ack: true, last: Some(300), ..SenderConfig::default() };
    let mut sender = Sender::new(now, &config);
    for piece in octets.chunks(24) {
        let peer = SocketAddr::from(([192, 0, 2, piece[0] % 4], 1024));
        let _ = server.handle_request(now, peer, piece);
        if piece[0] & 8 != 0 {
            server.answered(peer);
        }
        if let Ok(Packet::Ack(number)) = Packet::parse(piece) {
            sender.handle_ack(now, number);
        }
        now += Duration::from_millis(u64::from(piece[0]));
        sender.handle_timeout(now);
        sender.poll_option_ack(now);
        while let Some(block) = sender.poll_block(now) {
            assert!(block <= 300 && block <= sender.acked() + u64::from(window.blocks()));
        }
    }
    assert!(server.transfers() <= 64);
});
