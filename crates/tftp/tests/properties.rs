//! What holds for all octets: no panic, parse after encode is the identity, bounded answers.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

use proptest::prelude::*;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tftp::wire::{
    BlockSize, Direction, ErrorCode, Mode, OptionAck, Options, Packet, Request, TimeoutSeconds, WindowSize,
    encode_ack, encode_data_header, encode_error,
};
use tftp::{
    Admission, Ask, Client, Limits, Receiver, ReceiverConfig, Rollover, Sender, SenderConfig, Server,
    negotiate::Terms, netascii,
};

fn options() -> impl Strategy<Value = Options> {
    let block = proptest::option::of((8..=65464_u16).prop_map(|octets| BlockSize::new(octets).unwrap()));
    let window = proptest::option::of((1..=u16::MAX).prop_map(|blocks| WindowSize::new(blocks).unwrap()));
    let timeout =
        proptest::option::of((1..=u8::MAX).prop_map(|seconds| TimeoutSeconds::new(seconds).unwrap()));
    (block, timeout, proptest::option::of(any::<u64>()), window).prop_map(
        |(block_size, timeout, transfer_size, window_size)| Options {
            block_size,
            timeout,
            transfer_size,
            window_size,
        },
    )
}

proptest! {
    #[test]
    fn any_octets_parse_or_not(octets in proptest::collection::vec(any::<u8>(), 0..700)) {
        // RFC 1350 §5: what is no packet is an error, never a panic.
        let _ = Packet::parse(&octets);
        let _ = Request::parse(&octets);
        let _ = Options::parse(&octets);
        let _ = OptionAck::parse(&octets, &Options::default());
    }

    #[test]
    fn requests_survive(
        name in proptest::collection::vec(1..=u8::MAX, 0..100),
        write in any::<bool>(),
        text in any::<bool>(),
        options in options(),
    ) {
        // RFC 1350 §5, RFC 2347
        let direction = if write { Direction::Write } else { Direction::Read };
        let mode = if text { Mode::Netascii } else { Mode::Octet };
        let request = Request { direction, filename: &name, mode, options };
        let mut out = Vec::new();
        request.encode(&mut out);
        prop_assert_eq!(Request::parse(&out), Ok(request));
    }

    #[test]
    fn packets_survive(number in any::<u16>(), octets in proptest::collection::vec(any::<u8>(), 0..600)) {
        // RFC 1350 §5
        let data = [&encode_data_header(number)[..], &octets].concat();
        prop_assert_eq!(Packet::parse(&data), Ok(Packet::Data(number, &octets)));
        let ack = encode_ack(number);
        prop_assert_eq!(Packet::parse(&ack), Ok(Packet::Ack(number)));
        let mut error = Vec::new();
        encode_error(ErrorCode::from(number), "why", &mut error);
        prop_assert_eq!(Packet::parse(&error), Ok(Packet::Error(ErrorCode::from(number), b"why")));
    }

    #[test]
    fn grants_are_acceptable(asked in options(), size in any::<u64>()) {
        // RFC 2347: a client accepts what any of our servers grants.
        let terms = Terms { transfer_size: Some(size), ..Terms::default() };
        let mut out = Vec::new();
        OptionAck(terms.grant(&asked)).encode(&mut out);
        prop_assert!(OptionAck::parse(&out[2..], &asked).is_ok());
    }

    #[test]
    fn netascii_survives(text in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), any::<u8>()], 0..300),
                         piece in 1_usize..50) {
        // RFC 764
        let mut wire = Vec::new();
        netascii::encode(&text, &mut wire);
        prop_assert_eq!(wire.len() as u64, netascii::encoded_len(&text));
        let (mut decoder, mut out) = (netascii::Decoder::default(), Vec::new());
        wire.chunks(piece).for_each(|piece| decoder.decode(piece, &mut out));
        decoder.finish(&mut out);
        prop_assert_eq!(out, text);
    }

    #[test]
    fn a_stranger_gets_little(datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..60)) {
        // Whatever comes, admitted transfers and refusals are bounded by the budget.
        let limits = Limits { transfers: 8, reflection_burst: 4096, reflection_rate: 0, ..Limits::default() };
        let (mut server, now) = (Server::new(limits), Instant::now());
        let mut answers = 0;
        for (port, mut datagram) in datagrams.into_iter().enumerate() {
            datagram.splice(0..0, *b"\0\x01a\0octet\0");
            let peer = SocketAddr::from(([192, 0, 2, 1], port as u16 + 1));
            match server.handle_request(now, peer, &datagram) {
                Ok(Admission::Start { .. } | Admission::Refuse { .. }) => answers += 1,
                Ok(Admission::Repeat(_)) | Err(_) => {}
            }
        }
        prop_assert!(server.transfers() <= 8 && answers <= 4096 / 19);
    }

    #[test]
    fn a_sender_stays_in_its_window(
        window in 1_u16..200,
        last in 1_u64..400,
        acks in proptest::collection::vec((any::<u16>(), 0_u64..3_000), 0..200),
        one in any::<bool>(),
    ) {
        // RFC 7440 §4: never more than a window ahead, whatever is acknowledged.
        let mut now = Instant::now();
        let rollover = if one { Rollover::One } else { Rollover::Zero };
        let window_size = WindowSize::new(window).unwrap();
        let config = SenderConfig { window: window_size, last: Some(last), rollover, ..SenderConfig::default() };
        let mut sender = Sender::new(now, &config);
        let mut sent = 0_u64;
        for (number, wait) in acks {
            while let Some(block) = sender.poll_block(now) {
                prop_assert!(block <= sender.acked() + u64::from(window) && block <= last);
                sent += 1;
            }
            now += Duration::from_millis(wait);
            sender.handle_timeout(now);
            sender.handle_ack(now, number % 500);
        }
        prop_assert!(sent <= u64::from(window) * 450);
    }

    #[test]
    fn a_receiver_keeps_order(numbers in proptest::collection::vec((0_u16..40, 0_usize..=512), 0..200), window in 1_u16..20) {
        // RFC 1350 §2: blocks are kept in order, each once.
        let now = Instant::now();
        let window = WindowSize::new(window).unwrap();
        let mut receiver = Receiver::new(now, &ReceiverConfig { window, ..ReceiverConfig::default() });
        for (number, octets) in numbers {
            let before = receiver.received();
            let _ = receiver.handle_data(now, number, octets);
            prop_assert!(receiver.received() == before
                || (receiver.received() == before + 1 && u64::from(number) == before + 1));
            let _ = receiver.poll_ack(now);
        }
    }

    #[test]
    fn a_client_survives_any_server(packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..60),
                                    opcode in 0_u8..7) {
        let mut now = Instant::now();
        let server = SocketAddr::from(([192, 0, 2, 1], 69));
        let ask = Ask {
            direction: Direction::Read,
            filename: b"f".to_vec(),
            mode: Mode::Octet,
            options: Options { block_size: BlockSize::new(1024), transfer_size: Some(0), ..Options::default() },
            rollover: Rollover::Zero,
        };
        let mut client = Client::new(now, server, ask, None);
        let mut out = Vec::new();
        for mut packet in packets {
            if let Some(second) = packet.get_mut(1) {
                *second = opcode;
            }
            if let Some(first) = packet.get_mut(0) {
                *first = 0;
            }
            client.handle_datagram(now, server, &packet);
            now += Duration::from_millis(700);
            client.handle_timeout(now);
            let mut sent = 0;
            while client.poll_transmit(now, &mut out).is_some() {
                sent += 1;
            }
            prop_assert!(sent <= 2, "at most an answer and an ERROR for each packet");
        }
    }
}
