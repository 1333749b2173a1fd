//! What holds for all bytes: no panic, what was written reads back, and nobody is sent what he did not ask for.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use dhcproto::{Decodable, Decoder, v4};
use proptest::collection::vec;
use proptest::prelude::*;
use proxy_dhcp::wire::frame::{self, UdpFrame};
use proxy_dhcp::wire::{Header, MacAddr, Message, Op, RouterSolicitation, Writer, advertising_router};
use proxy_dhcp::{
    Answer, Arrival, BootProgram, BootRequest, Choice, Condition, Destination, FIRST_TYPE, Menu, MenuItem,
    Policy, Port, Responder, Rule, Subnet, dnsmasq,
};
use std::net::{Ipv4Addr, SocketAddrV4};

const RELAY: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 9);
const SUBNETS: &[Subnet] =
    &[Subnet { address: Ipv4Addr::new(10, 0, 0, 2), mask: Ipv4Addr::new(255, 255, 255, 0) }];

fn address() -> impl Strategy<Value = Ipv4Addr> {
    prop_oneof![
        3 => Just(Ipv4Addr::UNSPECIFIED),
        3 => Just(Ipv4Addr::new(10, 0, 0, 77)),
        1 => Just(RELAY),
        1 => any::<u32>().prop_map(Ipv4Addr::from_bits),
    ]
}

fn header() -> impl Strategy<Value = Header> {
    let fixed = (any::<bool>(), any::<u32>(), any::<u16>(), any::<u16>(), any::<[u8; 16]>());
    (fixed, address(), address(), address(), prop_oneof![9 => Just(6u8), 1 => any::<u8>()]).prop_map(
        |((reply, xid, secs, flags, chaddr), ciaddr, siaddr, giaddr, hlen)| Header {
            op: if reply && secs % 8 == 0 { Op::Reply } else { Op::Request },
            htype: 1,
            hlen,
            hops: 0,
            xid,
            secs,
            flags,
            ciaddr,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            siaddr,
            giaddr,
            chaddr,
        },
    )
}

/// Options of every kind that the responder reads, right and wrong.
fn option() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let arch = prop_oneof![Just(vec![0, 0]), Just(vec![0, 7]), Just(vec![0, 16]), Just(vec![0, 9, 0, 7])];
    let class = prop_oneof![
        Just(b"PXEClient".to_vec()),
        Just(b"PXEClient:Arch:00007".to_vec()),
        Just(b"HTTPClient".to_vec())
    ];
    let item = (any::<u16>(), any::<u16>()).prop_map(|(kind, layer)| {
        let kind = if kind & 1 == 0 { FIRST_TYPE + (kind & 2) } else { kind };
        [&[71, 4][..], &kind.to_be_bytes(), &(layer & 0x8003).to_be_bytes(), &[255]].concat()
    });
    prop_oneof![
        6 => class.prop_map(|value| (60, value)),
        6 => arch.prop_map(|value| (93, value)),
        6 => prop_oneof![Just(1u8), Just(3), Just(8)].prop_map(|kind| (53, vec![kind])),
        2 => item.prop_map(|value| (43, value)),
        2 => vec(any::<u8>(), 17).prop_map(|value| (97, value)),
        1 => Just((77, b"iPXE".to_vec())),
        1 => Just((175, vec![0x13, 1, 1])),
        1 => any::<[u8; 2]>().prop_map(|value| (57, value.to_vec())),
        1 => any::<u8>().prop_map(|value| (52, vec![value])),
        2 => (1..=254u8, vec(any::<u8>(), 0..300)),
    ]
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    (header(), vec(option(), 0..12)).prop_map(|(header, options)| {
        let mut octets = Vec::new();
        let mut writer = Writer::new(&mut octets, &header, b"", b"");
        for (code, value) in options {
            writer.option(code, &value);
        }
        writer.finish();
        octets
    })
}

fn responder() -> Responder {
    let item = |server_type, choice| MenuItem {
        server_type,
        text: "item".to_owned(),
        when: Condition::default(),
        choice,
    };
    let items = vec![
        item(FIRST_TYPE, Choice::Boot(BootProgram::new("a.0").server(Ipv4Addr::new(10, 0, 0, 3)))),
        item(17, Choice::Elsewhere(None)),
        item(0, Choice::LocalBoot),
    ];
    let when = Condition { vendor_class: Some(b"PXEClient:".to_vec()), ..Condition::default() };
    let policy = Policy::builder()
        .rule(Rule::new("menu", when, Answer::Menu(Menu { items, prompt: None })))
        .default_loaders()
        .boot("x64-uefi-http".parse().unwrap(), BootProgram::new("http://{server}/x.efi"))
        .ipxe_script(format!("http://{{server}}/{}", "x".repeat(200)))
        .relay(RELAY);
    Responder::new(policy.build())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_bytes_make_a_parser_panic(octets in vec(any::<u8>(), 0..600), port in any::<bool>()) {
        let _ = UdpFrame::parse(&octets);
        let _ = RouterSolicitation::parse(&octets);
        let _ = advertising_router(&octets);
        let mut with_cookie = octets.clone();
        if let Some(cookie) = with_cookie.get_mut(236..240) {
            cookie.copy_from_slice(&[99, 130, 83, 99]);
            with_cookie[0] = 1 + (with_cookie[0] & 1);
        }
        for octets in [&octets, &with_cookie] {
            let Ok(message) = Message::parse(octets) else { continue };
            prop_assert!(message.options().iter().count() <= octets.len());
            let port = if port { Port::Dhcp } else { Port::BootServer };
            let arrival = Arrival { interface: "e", subnets: SUBNETS, port, source: SocketAddrV4::new(message.ciaddr, 68) };
            let request = BootRequest::new(message, arrival);
            let _ = (request.uuid(), request.user_class().map(|c| c.classes().count()), request.boot_item());
            let _ = responder().respond(&request).map(|reply| reply.encode(&mut Vec::new()));
        }
    }

    #[test]
    fn what_is_written_reads_back(header in header(), options in vec((1..=254u8, vec(any::<u8>(), 0..256)), 0..8)) {
        // RFC 2131 §2, RFC 2132 §2
        let options: Vec<_> = options.into_iter().filter(|(code, _)| *code != 52).collect();
        let mut octets = Vec::new();
        let mut writer = Writer::new(&mut octets, &header, b"server", b"file");
        options.iter().for_each(|(code, value)| writer.option(*code, value));
        let length = writer.finish();
        prop_assert_eq!(length, octets.len());
        let message = Message::parse(&octets).unwrap();
        prop_assert_eq!(message.header(), header);
        prop_assert_eq!((message.sname(), message.file()), (&b"server"[..], &b"file"[..]));
        let read: Vec<_> = message.options().iter().map(|o| (o.code, o.value.to_vec())).collect();
        let split: Vec<_> = options.iter().flat_map(|(code, value)| {
            let mut parts: Vec<_> = value.chunks(255).map(|part| (*code, part.to_vec())).collect();
            if parts.is_empty() { parts.push((*code, Vec::new())); }
            parts
        }).collect();
        prop_assert_eq!(read, split);
    }

    #[test]
    fn a_lying_length_keeps_the_options_before_it(before in vec((1..=254u8, vec(any::<u8>(), 0..9)), 0..8), lie in 1..=254u8) {
        let before: Vec<_> = before.into_iter().filter(|(code, _)| *code != 52).collect();
        let mut octets = vec![0; 240];
        octets[0] = 1;
        octets[236..240].copy_from_slice(&[99, 130, 83, 99]);
        for (code, value) in &before {
            octets.extend_from_slice(&[*code, value.len() as u8]);
            octets.extend_from_slice(value);
        }
        octets.extend_from_slice(&[lie, 200, 1, 2, 3]);
        let message = Message::parse(&octets).unwrap();
        let read: Vec<_> = message.options().iter().map(|o| (o.code, o.value.to_vec())).collect();
        prop_assert_eq!(read, before);
    }

    #[test]
    fn a_reply_goes_to_the_sender_its_relay_or_the_segment(
        octets in message(), source in address(), port in any::<u16>(), boot_server in any::<bool>(),
    ) {
        // anchors: ciaddr and giaddr are claims; only the source address is where somebody listens.
        let port_of_arrival = if boot_server { Port::BootServer } else { Port::Dhcp };
        let source = SocketAddrV4::new(source, port);
        let arrival = Arrival { interface: "e", subnets: SUBNETS, port: port_of_arrival, source };
        let request = BootRequest::new(Message::parse(&octets).unwrap(), arrival);
        let responder = responder();
        let Ok(reply) = responder.respond(&request) else { return Ok(()) };
        match reply.destination() {
            Destination::Broadcast(_) => prop_assert!(source.ip().is_unspecified()),
            Destination::Source(to) => {
                prop_assert_eq!(to.ip(), source.ip());
                prop_assert!(SUBNETS[0].contains(*to.ip()));
                prop_assert!(to.port() == port || port == 0 || port == 67);
            }
            Destination::Relay(to) => prop_assert_eq!((*to.ip(), to.port(), boot_server), (RELAY, 67, false)),
        }
        let mut out = Vec::new();
        let Some(length) = reply.encode(&mut out) else {
            prop_assert!(out.is_empty());
            return Ok(());
        };
        prop_assert!(length == out.len() && length >= 300 && length <= request.max_reply());
        let answer = Message::parse(&out).unwrap();
        prop_assert_eq!((answer.op, answer.xid, answer.giaddr), (Op::Reply, request.message.xid, request.message.giaddr));
        prop_assert_eq!(answer.options().first(54), Some(&[10, 0, 0, 2][..]));
        let kept = answer.options().joined(82).map(|value| value.to_vec());
        prop_assert_eq!(kept, request.relay_agent().map(|agent| agent.as_bytes().to_vec()));
        prop_assert_eq!(responder.respond(&request).unwrap().encode(&mut Vec::new()), Some(length), "same answer again");
    }

    #[test]
    fn a_sealed_frame_reads_back(payload in vec(any::<u8>(), 0..1400), from: u32, to: u32, ports: (u16, u16), macs: ([u8; 6], [u8; 6])) {
        // RFC 768, RFC 791
        let mut octets = vec![0; frame::HEADERS];
        octets.extend_from_slice(&payload);
        let (from, to) = (SocketAddrV4::new(Ipv4Addr::from_bits(from), ports.0), SocketAddrV4::new(Ipv4Addr::from_bits(to), ports.1));
        prop_assert!(frame::seal(&mut octets, MacAddr(macs.0), MacAddr(macs.1), from, to));
        let read = UdpFrame::parse(&octets).unwrap();
        prop_assert_eq!((read.source, read.destination, read.payload), (from, to, payload.as_slice()));
        prop_assert_eq!((read.source_mac, read.destination_mac), (MacAddr(macs.0), MacAddr(macs.1)));
    }

    #[test]
    fn no_command_line_panics(line in "(--(pxe-service|dhcp-boot|dhcp-match|tag-if|dhcp-host|pxe-prompt)=(tag:[#!]?[ab],|set:[ab],)?[ -~]{0,20} ?|[ -~]{0,6}){0,6}") {
        let _ = dnsmasq::translate(&line, &|_| None);
    }

    #[test]
    fn dhcproto_reads_the_same(octets in message()) {
        // An independent reader. dhcproto joins repeated options and loses its place at malformed ones, so one of each
        // kind is left, and only kinds without a fixed length.
        let asked = Message::parse(&octets).unwrap();
        let mut octets = Vec::new();
        let mut writer = Writer::new(&mut octets, &Header { hlen: 6, ..asked.header() }, b"", b"");
        for code in [53, 43, 60, 77, 175] {
            if let Some(value) = asked.options().first(code) {
                writer.option(code, value);
            }
        }
        writer.finish();
        let ours = Message::parse(&octets).unwrap();
        let theirs = v4::Message::decode(&mut Decoder::new(&octets)).unwrap();
        prop_assert_eq!((theirs.xid(), theirs.secs(), theirs.ciaddr(), theirs.giaddr()), (ours.xid, ours.secs, ours.ciaddr, ours.giaddr));
        prop_assert_eq!(theirs.opts().iter().count(), ours.options().iter().count());
        if let Some(v4::DhcpOption::ClassIdentifier(class)) = theirs.opts().get(v4::OptionCode::ClassIdentifier) {
            prop_assert_eq!(Some(class.as_slice()), ours.options().first(60));
        }
    }
}
