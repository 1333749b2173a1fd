//! A sweep over BMCs of several kinds, in virtual time: what each answers is what is told of it.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ipmi::crypto::keys::Secret;
use ipmi::responder::{self, BmcResponder, User};
use ipmi::scan::{Config, Found, Scan};
use ipmi::session::UserName;
use ipmi::wire::asf;
use ipmi::wire::message::Message;
use ipmi::wire::session::{AuthType, Packet, PayloadType, V15};
use ipmi::{CipherSuite, Entropy, Ignored, Privilege};

fn addr(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 623))
}

fn bmc(settle: impl FnOnce(&mut responder::Config)) -> BmcResponder {
    let mut config =
        responder::Config::new([1; 16], UserName::new(b"root").unwrap(), Secret::new(b"calvin").unwrap());
    settle(&mut config);
    BmcResponder::new(config, Entropy::from_seed([1; 32]))
}

/// What stands at an address.
enum Peer {
    Bmc(Box<BmcResponder>),
    /// Answers the presence ping and nothing else.
    PingsAlone,
    /// A BMC of 1.5, which does not know bit 7 of Get Channel Authentication Capabilities.
    Old,
    /// Does not answer Get Channel Cipher Suites outside a session, as ipmi_sim and many real BMCs.
    NoList(Box<BmcResponder>),
}

fn pong() -> Vec<u8> {
    let mut datagram = Vec::new();
    let pong = asf::Pong { tag: 0, iana: asf::ASF_IANA, oem: 0, entities: 0x81, interactions: 0 };
    asf::Message::Pong(pong).encode(&mut datagram);
    datagram
}

/// The answer of a 1.5 BMC: CCh to bit 7, otherwise MD5 and a null user.
fn old(octets: &[u8]) -> Option<Vec<u8>> {
    let Packet::V15(packet) = Packet::parse(octets).unwrap() else { return None };
    let message = Message::parse(packet.payload).unwrap();
    let data: &[u8] = if message.data[0] & 0x80 != 0 { &[0xcc] } else { &[0, 1, 0x04, 0x02, 0, 0, 0, 0, 0] };
    let answer = Message {
        to: message.from,
        from: message.to,
        net_fn: message.net_fn | 1,
        to_lun: 0,
        from_lun: 0,
        sequence: message.sequence,
        command: message.command,
        data,
    };
    let (mut payload, mut datagram) = (Vec::new(), Vec::new());
    answer.encode(&mut payload);
    let v15 =
        V15 { auth_type: AuthType::None, sequence: 0, session_id: 0, auth_code: None, payload: &payload };
    v15.encode(&mut datagram).unwrap();
    Some(datagram)
}

impl Peer {
    fn answer(&mut self, now: Instant, octets: &[u8]) -> Vec<Vec<u8>> {
        let packet = Packet::parse(octets).unwrap();
        let ping = matches!(packet, Packet::Asf(_));
        let list = matches!(packet, Packet::V20(v20) if v20.payload_type == PayloadType::Ipmi);
        match self {
            Self::PingsAlone => ping.then(pong).into_iter().collect(),
            Self::Old => if ping { Some(pong()) } else { old(octets) }.into_iter().collect(),
            Self::NoList(_) if list => Vec::new(),
            Self::Bmc(bmc) | Self::NoList(bmc) => {
                let console = SocketAddr::from(([192, 0, 2, 254], 4000));
                let _ = bmc.handle_datagram(now, console, octets);
                let (mut out, mut all) = (Vec::new(), Vec::new());
                while bmc.poll_transmit(now, &mut out).is_some() {
                    all.push(out.clone());
                }
                all
            }
        }
    }
}

/// Sweeps with 1 ms each way; what was found, how long it took, and every datagram sent with its time.
fn sweep(
    config: Config,
    peers: &mut BTreeMap<SocketAddr, Peer>,
    targets: impl IntoIterator<Item = SocketAddr>,
) -> (BTreeMap<SocketAddr, Found>, Duration, Vec<Duration>) {
    let start = Instant::now();
    let (mut now, mut found, mut sent) = (start, BTreeMap::new(), Vec::new());
    let mut wire: Vec<(Instant, SocketAddr, Vec<u8>)> = Vec::new();
    let mut scan = Scan::new(now, config, targets);
    let mut out = Vec::new();
    loop {
        while let Some(to) = scan.poll_transmit(&mut out) {
            sent.push(now - start);
            let Some(peer) = peers.get_mut(&to) else { continue };
            let later = now + Duration::from_millis(2);
            wire.extend(peer.answer(now, &out).into_iter().map(|octets| (later, to, octets)));
        }
        while let Some(one) = scan.poll_event() {
            assert!(found.insert(one.addr, one).is_none(), "told twice: {one:?}");
        }
        let Some(deadline) = scan.poll_timeout() else { return (found, now - start, sent) };
        let arrival = wire.first().map(|(at, ..)| *at);
        now = now.max(arrival.map_or(deadline, |at| at.min(deadline)));
        if arrival == Some(now) {
            let (_, from, octets) = wire.remove(0);
            let _ = scan.handle_datagram(now, from, &octets);
        } else {
            scan.handle_timeout(now);
        }
    }
}

fn details() -> Config {
    Config { details: true, ..Config::default() }
}

// IPMI v2.0 §22.13, §22.15, §13.17: one record per BMC, with all that it says of itself.
#[test]
fn every_kind_of_bmc_is_described() {
    let many = |config: &mut responder::Config| {
        config.suites = CipherSuite::ALL.to_vec();
        config.auth_types = vec![AuthType::None, AuthType::Md5];
        config.k_g = Secret::new(b"key").unwrap();
        let (name, password) = (UserName::default(), Secret::new(b"x").unwrap());
        config.users.push(User { name, password, privilege: Privilege::User, enabled: true });
    };
    let mut peers = BTreeMap::from([
        (addr(1), Peer::Bmc(Box::new(bmc(|_| {})))),
        (addr(2), Peer::Bmc(Box::new(bmc(many)))),
        (addr(3), Peer::PingsAlone),
        (addr(4), Peer::Old),
        (addr(5), Peer::NoList(Box::new(bmc(|_| {})))),
    ]);
    let (found, took, _) = sweep(details(), &mut peers, (1..=20).map(addr));
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), (1..=5).map(addr).collect::<Vec<_>>());
    let listed = |ids: &[u8]| ids.iter().fold(0u64, |bits, id| bits | 1 << id);

    let plain = &found[&addr(1)];
    let said = plain.capabilities.unwrap();
    assert!(said.supports_v20() && !said.supports_v15() && !said.has_k_g() && !said.null_users());
    assert_eq!((plain.suites, plain.cipher_zero), (Some(listed(&[3, 17])), Some(false)));
    assert!(plain.pong.unwrap().speaks_ipmi());
    assert_eq!(plain.rtt, Duration::from_millis(2));

    let open = &found[&addr(2)];
    let said = open.capabilities.unwrap();
    assert!(said.supports_v20() && said.supports_v15() && said.has_k_g() && said.null_users());
    assert_eq!(said.auth_types & 0x3f, 0b101, "none and MD5");
    // Twelve suites of four or five octets: a list of several parts.
    let all: Vec<u8> = CipherSuite::ALL.iter().map(|suite| suite.id).collect();
    assert_eq!((open.suites, open.cipher_zero), (Some(listed(&all)), Some(true)));

    let pings = &found[&addr(3)];
    assert!(pings.pong.is_some() && pings.capabilities.is_none() && pings.suites.is_none());

    let old = &found[&addr(4)];
    let said = old.capabilities.unwrap();
    assert!(said.supports_v15() && !said.supports_v20() && said.null_users());
    assert_eq!((old.suites, old.cipher_zero), (None, None), "1.5 has no suites to ask about");

    let silent = &found[&addr(5)];
    assert_eq!((silent.suites, silent.cipher_zero), (None, Some(false)));
    // Silent addresses are asked twice, 200 ms apart; what is asked more of a BMC takes no longer.
    assert!(took < Duration::from_millis(600), "{took:?}");
}

// The pace is kept whatever the number of addresses, and all of them are asked `rounds` times.
#[test]
fn datagrams_are_paced() {
    let config = Config { rate: 1000, rounds: 3, ping: false, ..Config::default() };
    let hosts = (0..1000u16).map(|n| SocketAddr::from(([10, 0, (n >> 8) as u8, n as u8], 623)));
    let (found, took, sent) = sweep(config, &mut BTreeMap::new(), hosts);
    assert!(found.is_empty());
    assert_eq!(sent.len(), 3000);
    for window in sent.windows(101) {
        let span = window[100] - window[0];
        // A pause is made up for by a burst of 32 datagrams at most.
        assert!(span >= Duration::from_millis(65), "100 datagrams in {span:?}");
    }
    assert!((3.0..3.5).contains(&took.as_secs_f64()), "{took:?}");
}

// Who was not asked is not found, and an answer to another question says nothing.
#[test]
fn strangers_and_wrong_answers_are_left_out() {
    let now = Instant::now();
    let mut scan = Scan::new(now, details(), [addr(1)]);
    assert_eq!(scan.handle_datagram(now, addr(2), &pong()), Err(Ignored::Stranger));
    let other_port = SocketAddr::new(addr(1).ip(), 624);
    assert_eq!(scan.handle_datagram(now, other_port, &pong()), Err(Ignored::Stranger));
    // The answer to an Open Session nobody asked for yet.
    let mut out = Vec::new();
    let (mut peer, mut asked) =
        (bmc(|config| config.suites = CipherSuite::ALL.to_vec()), Scan::new(now, details(), [addr(1)]));
    let mut zero = None;
    for _ in 0..8 {
        while asked.poll_transmit(&mut out).is_some() {
            let _ = peer.handle_datagram(now, addr(9), &out);
        }
        while peer.poll_transmit(now, &mut out).is_some() {
            if matches!(Packet::parse(&out), Ok(Packet::V20(v20)) if v20.payload_type == PayloadType::OpenSessionResponse)
            {
                zero = Some(out.clone());
            }
            let _ = asked.handle_datagram(now, addr(1), &out);
        }
    }
    assert_eq!(asked.poll_event().unwrap().cipher_zero, Some(true));
    let outcome = scan.handle_datagram(now, addr(1), &zero.unwrap());
    assert!(matches!(outcome, Err(Ignored::Unexpected(_))), "{outcome:?}");
    assert!(scan.poll_event().is_none());
}
