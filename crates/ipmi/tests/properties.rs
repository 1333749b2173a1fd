//! Holds for all octets: no panic, encoding after decoding is the identity, a stranger's reward is bounded.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ipmi::command::fru::FruInventory;
use ipmi::command::sdr::Sdr;
use ipmi::crypto::keys::Secret;
use ipmi::crypto::packet::SessionKeys;
use ipmi::responder::{Config, Data};
use ipmi::session::{self, Credentials, Protocol, UserName};
use ipmi::sol::SolLink;
use ipmi::wire::asf;
use ipmi::wire::message::Message;
use ipmi::wire::open_session::{OpenSessionRequest, OpenSessionResponse};
use ipmi::wire::rakp::{Rakp1, Rakp2, Rakp3, Rakp4};
use ipmi::wire::rmcp;
use ipmi::wire::session::{AuthType, Packet, PayloadType, V20};
use ipmi::wire::sol::SolPacket;
use ipmi::{BmcResponder, CipherSuite, Entropy, Session, hostrange};
use proptest::prelude::*;

fn responder() -> BmcResponder {
    let (user, password) = (UserName::new(b"root").unwrap(), Secret::new(b"calvin").unwrap());
    let mut config = Config::new([3; 16], user, password);
    config.suites = CipherSuite::ALL.to_vec();
    config.auth_types = vec![AuthType::None, AuthType::Md5, AuthType::Password];
    config.sol = true;
    config.data = Data { records: vec![vec![0x51, 1, 0]], ..Data::default() };
    BmcResponder::new(config, Entropy::from_seed([1; 32]))
}

/// A datagram that gets past the first checks more often than chance would have it.
fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let body = proptest::collection::vec(any::<u8>(), 0..120);
    let plain = (0u8..0x16, body.clone()).prop_map(|(kind, payload)| {
        let mut out = rmcp::Header::IPMI.to_vec();
        out.extend_from_slice(&[6, kind, 0, 0, 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(&(payload.len() as u16).to_le_bytes());
        out.extend_from_slice(&payload);
        out
    });
    let message = (0u8..=0x0d, any::<u8>(), body.clone()).prop_map(|(net_fn, command, data)| {
        let (mut payload, mut out) = (Vec::new(), Vec::new());
        let message = Message {
            to: 0x20,
            net_fn,
            to_lun: 0,
            from: 0x81,
            sequence: 1,
            from_lun: 0,
            command,
            data: &data,
        };
        message.encode(&mut payload);
        V20::encode_plain(PayloadType::Ipmi, &payload, &mut out);
        out
    });
    prop_oneof![body, plain, message]
}

proptest! {
    #[test]
    fn no_panic_on_any_octets(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Packet::parse(&octets);
        let _ = asf::Message::parse(&octets);
        let _ = OpenSessionRequest::parse(&octets);
        let _ = OpenSessionResponse::parse(&octets);
        let _ = (Rakp1::parse(&octets), Rakp2::parse(&octets), Rakp3::parse(&octets), Rakp4::parse(&octets));
        let _ = Sdr::parse(&octets);
        let _ = FruInventory::parse(&octets);
        let _ = SolLink::new(Default::default()).handle_payload(Instant::now(), &octets, &mut Vec::new());
    }

    #[test]
    fn messages_round_trip(
        to: u8, net_fn in 0u8..64, to_lun in 0u8..4, from: u8, sequence in 0u8..64, from_lun in 0u8..4,
        command: u8, data in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let message = Message { to, net_fn, to_lun, from, sequence, from_lun, command, data: &data };
        let mut octets = Vec::new();
        message.encode(&mut octets);
        prop_assert_eq!(Message::parse(&octets), Ok(message));
        octets[3] ^= 0x10; // one bit wrong is noticed
        prop_assert!(Message::parse(&octets).is_err());
    }

    #[test]
    fn sol_packets_round_trip(
        sequence in 0u8..16, acked in 0u8..16, accepted: u8, operation: u8,
        data in proptest::collection::vec(any::<u8>(), 0..250),
    ) {
        let packet = SolPacket { sequence, acked, accepted, operation, data: &data };
        let mut octets = Vec::new();
        packet.encode(&mut octets);
        prop_assert_eq!(SolPacket::parse(&octets), Ok(packet));
    }

    // IPMI v2.0 §13.28: what is sealed opens to the same octets, and a flipped bit is noticed.
    #[test]
    fn sealed_packets_open(
        suite in 0usize..12, iv: [u8; 16], number: u32, payload in proptest::collection::vec(any::<u8>(), 0..200),
        flip in any::<prop::sample::Index>(),
    ) {
        let suite = CipherSuite::ALL[suite];
        let (password, key) = (Secret::new(b"calvin").unwrap(), ipmi::crypto::md5(&[b"any"]));
        let keys = SessionKeys::new(suite, &key, &password);
        let mut datagram = Vec::new();
        keys.seal(PayloadType::Ipmi, 7, number, iv, &payload, &mut datagram);
        let Ok(Packet::V20(packet)) = Packet::parse(&datagram) else { panic!("no packet") };
        let mut opened = Vec::new();
        prop_assert_eq!(keys.open(&packet, &mut opened), Ok(()));
        prop_assert_eq!(&opened, &payload);
        if suite.integrity.size() > 0 {
            let at = 4 + flip.index(datagram.len() - 4); // the RMCP header is not covered
            datagram[at] ^= 1;
            let refused = match Packet::parse(&datagram) {
                Ok(Packet::V20(packet)) => keys.open(&packet, &mut opened).is_err(),
                _ => true,
            };
            prop_assert!(refused, "bit in octet {}", at);
        }
    }

    // What a stranger makes a BMC send is bounded: no more datagrams than came, none much larger.
    #[test]
    fn a_stranger_gains_nothing(datagrams in proptest::collection::vec(datagram(), 1..40)) {
        let (mut bmc, now) = (responder(), Instant::now());
        let from: SocketAddr = "192.0.2.1:4000".parse().unwrap();
        let (mut sent, mut out) = (0, Vec::new());
        for datagram in &datagrams {
            let _ = bmc.handle_datagram(now, from, datagram);
            while bmc.poll_event().is_some() {}
            while bmc.poll_transmit(now, &mut out).is_some() {
                sent += 1;
                prop_assert!(out.len() <= 120, "{} octets", out.len());
            }
        }
        prop_assert!(sent <= datagrams.len());
        prop_assert!(bmc.session_count() <= 36);
    }

    // A hostile BMC ends a session or is ignored; the console never loops or panics.
    #[test]
    fn a_hostile_bmc_is_survived(
        v15: bool, datagrams in proptest::collection::vec(datagram(), 1..40),
    ) {
        let protocol = if v15 { Protocol::V15(None) } else { Protocol::V20 };
        let credentials = Credentials::new("root", b"calvin").unwrap();
        let config = session::Config { protocol, ..session::Config::new(credentials) };
        let mut now = Instant::now();
        let mut session = Session::new(now, config, Entropy::from_seed([1; 32]));
        let (mut sent, mut out) = (0, Vec::new());
        for datagram in &datagrams {
            let _ = session.handle_datagram(now, datagram);
            now += Duration::from_millis(20);
            session.handle_timeout(now);
            while session.poll_event().is_some() {}
            while session.poll_transmit(&mut out) {
                sent += 1;
            }
        }
        prop_assert!(sent <= datagrams.len() * 2 + 2);
    }

    #[test]
    fn any_host_range(text in "[0-9a-z.,/\\[\\]-]{0,40}") {
        if let Ok(hosts) = hostrange::expand(&text) {
            prop_assert!(!hosts.is_empty() && hosts.len() <= hostrange::MAX_HOSTS);
        }
    }
}
