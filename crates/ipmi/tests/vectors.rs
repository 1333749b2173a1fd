//! Recorded sessions (tests/fixtures): ipmitool, FreeIPMI and pyghmi as consoles against ipmi_sim, pyghmi and
//! a reference BMC. Every packet decodes and encodes again to the same octets; as a BMC we accept the recorded
//! console and answer with the recorded random numbers octet for octet.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::net::SocketAddr;
use std::time::Instant;

use ipmi::crypto::auth_code::PacketAuth;
use ipmi::crypto::keys::{Exchange, Secret};
use ipmi::crypto::packet::SessionKeys;
use ipmi::responder::{self, BmcResponder, Delegate, Habits, MachineAnswer, MachineCall};
use ipmi::session::UserName;
use ipmi::wire::message::Message;
use ipmi::wire::open_session::{OpenSessionRequest, OpenSessionResponse};
use ipmi::wire::rakp::{Rakp1, Rakp2, Rakp3, Rakp4};
use ipmi::wire::session::{AuthType, Packet, PayloadType, V15, V20};
use ipmi::wire::status::StatusCode;
use ipmi::{CipherSuite, CompletionCode, Entropy};
use serde_json::Value;

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()).collect()
}

struct Fixture {
    name: String,
    json: Value,
    /// To the BMC?, datagram, plain message.
    packets: Vec<(bool, Vec<u8>, Option<Vec<u8>>)>,
}

fn fixtures() -> Vec<Fixture> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let packets = json["packets"].as_array().unwrap().iter().map(|packet| {
            let plain = packet["plain"].as_str().map(unhex);
            (packet["dir"] == "C>B", unhex(packet["hex"].as_str().unwrap()), plain)
        });
        let packets = packets.collect();
        Fixture { name: path.file_stem().unwrap().to_string_lossy().into_owned(), json, packets }
    };
    paths.iter().map(read).collect()
}

/// What an observer who knows the password learns from a recording.
#[derive(Default)]
struct Observer {
    suite: Option<CipherSuite>,
    console_id: u32,
    bmc_id: u32,
    console_random: [u8; 16],
    role: u8,
    user: Vec<u8>,
    bmc_random: [u8; 16],
    guid: [u8; 16],
    keys: Option<SessionKeys>,
    refused_open: bool,
    refused_rakp2: bool,
    /// Random octets the BMC drew, in order.
    drawn: Vec<u8>,
}

impl Observer {
    fn exchange(&self) -> Exchange<'_> {
        Exchange {
            authentication: self.suite.unwrap().authentication,
            console_id: self.console_id,
            bmc_id: self.bmc_id,
            console_random: self.console_random,
            bmc_random: self.bmc_random,
            guid: self.guid,
            role: self.role,
            user: &self.user,
        }
    }

    /// Decodes one datagram and encodes it again.
    fn again(&mut self, fixture: &Fixture, datagram: &[u8], plain: Option<&[u8]>, to_bmc: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let secret = |key: &str, hex: bool| {
            let text = fixture.json[key].as_str().unwrap_or_default();
            Secret::new(&if hex { unhex(text) } else { text.bytes().collect() }).unwrap()
        };
        let password = secret("password", false);
        match Packet::parse(datagram).unwrap() {
            Packet::Asf(message) => message.encode(&mut out),
            Packet::V15(packet) => {
                let mut payload = Vec::new();
                Message::parse(packet.payload).unwrap().encode(&mut payload);
                assert_eq!(Some(payload.as_slice()), plain);
                let auth = PacketAuth::new(packet.auth_type, &password).unwrap();
                assert_eq!(auth.check(&packet), Ok(()));
                if packet.session_id == 0 {
                    V15 { payload: &payload, ..packet }.encode(&mut out).unwrap();
                } else {
                    auth.seal(packet.session_id, packet.sequence, &payload, &mut out).unwrap();
                }
            }
            Packet::V20(packet) if packet.session_id == 0 => {
                let mut payload = Vec::new();
                self.set_up(
                    fixture,
                    packet.payload_type,
                    packet.payload,
                    &password,
                    &secret("kg", true),
                    &mut payload,
                );
                V20::encode_plain(packet.payload_type, &payload, &mut out);
            }
            Packet::V20(packet) => {
                let keys = self.keys.as_ref().unwrap();
                let mut opened = Vec::new();
                keys.open(&packet, &mut opened).unwrap();
                assert_eq!(Some(opened.as_slice()), plain);
                let mut message = Vec::new();
                Message::parse(&opened).unwrap().encode(&mut message);
                let iv = if packet.encrypted { packet.payload[..16].try_into().unwrap() } else { [0; 16] };
                if !to_bmc {
                    self.drawn.extend_from_slice(&iv);
                }
                keys.seal(packet.payload_type, packet.session_id, packet.sequence, iv, &message, &mut out);
            }
        }
        out
    }

    fn set_up(
        &mut self,
        fixture: &Fixture,
        kind: PayloadType,
        payload: &[u8],
        password: &Secret,
        k_g: &Secret,
        out: &mut Vec<u8>,
    ) {
        match kind {
            PayloadType::OpenSessionRequest => {
                let message = OpenSessionRequest::parse(payload).unwrap();
                self.suite = CipherSuite::from_algorithms(message.algorithms);
                self.console_id = message.console_id;
                message.encode(out);
            }
            PayloadType::OpenSessionResponse => {
                let message = OpenSessionResponse::parse(payload).unwrap();
                match message.outcome {
                    Ok(accepted) => {
                        assert_eq!(accepted.algorithms, self.suite.unwrap().algorithms());
                        self.bmc_id = accepted.bmc_id;
                        self.drawn.extend_from_slice(&accepted.bmc_id.to_le_bytes());
                    }
                    Err(_) => self.refused_open = true,
                }
                message.encode(out);
            }
            PayloadType::Rakp1 => {
                let message = Rakp1::parse(payload).unwrap();
                (self.console_random, self.role) = (message.console_random, message.role);
                self.user = message.user.to_vec();
                message.encode(out);
            }
            PayloadType::Rakp2 => {
                let message = Rakp2::parse(payload).unwrap();
                match message.outcome {
                    Ok(proof) => {
                        (self.bmc_random, self.guid) = (proof.bmc_random, proof.guid);
                        self.drawn.extend_from_slice(&proof.bmc_random);
                        let right = self.exchange().rakp2_code(password).matches(proof.code);
                        assert_eq!(right, fixture.json["wrong_password"].is_null());
                    }
                    Err(rest) => {
                        self.refused_rakp2 = true;
                        self.drawn.extend_from_slice(&rest.0[6..22]);
                        self.guid = rest.0[22..38].try_into().unwrap();
                    }
                }
                message.encode(out);
            }
            PayloadType::Rakp3 => {
                let message = Rakp3::parse(payload).unwrap();
                assert!(self.exchange().rakp3_code(password).matches(message.code));
                message.encode(out);
            }
            PayloadType::Rakp4 => {
                let message = Rakp4::parse(payload).unwrap();
                let exchange = self.exchange();
                let sik = exchange.session_integrity_key(password, k_g);
                assert!(exchange.rakp4_code(&sik).matches(message.outcome.unwrap().code));
                self.keys = Some(SessionKeys::new(self.suite.unwrap(), &sik, password));
                message.encode(out);
            }
            _ => panic!("not a set-up message: {kind:?}"),
        }
    }
}

// IPMI v2.0 §13: all 22 recordings, every packet.
#[test]
fn every_packet_encodes_to_its_octets() {
    let mut packets = 0;
    let all = fixtures();
    for fixture in &all {
        let mut observer = Observer::default();
        for (number, (to_bmc, datagram, plain)) in fixture.packets.iter().enumerate() {
            let again = observer.again(fixture, datagram, plain.as_deref(), *to_bmc);
            assert_eq!(&again, datagram, "{} packet {number}", fixture.name);
            packets += 1;
        }
        if let Some(suite) = fixture.json["suite"].as_u64().filter(|_| observer.keys.is_some()) {
            assert_eq!(u64::from(observer.suite.unwrap().id), suite, "{}", fixture.name);
        }
    }
    assert_eq!((all.len(), packets), (22, 390));
}

/// A virtual BMC with the habits of the recorded one and its random numbers to come.
fn recorded_bmc(fixture: &Fixture) -> BmcResponder {
    let mut observer = Observer::default();
    for (to_bmc, datagram, plain) in &fixture.packets {
        observer.again(fixture, datagram, plain.as_deref(), *to_bmc);
    }
    let server = fixture.json["server"].as_str().unwrap();
    let user = match fixture.json["user"].as_str().unwrap() {
        "nobody" => "ADMIN",
        user => user,
    };
    // A recording with a wrong password tells nothing of the right one: the BMC's own code is not ours.
    let password = fixture.json["password"].as_str().unwrap();
    let mut config = responder::Config::new(
        observer.guid,
        UserName::new(user.as_bytes()).unwrap(),
        Secret::new(if password == "wrong" { b"ADMIN" } else { password.as_bytes() }).unwrap(),
    );
    config.k_g = Secret::new(&unhex(fixture.json["kg"].as_str().unwrap())).unwrap();
    config.suites =
        CipherSuite::ALL.into_iter().filter(|suite| suite.id < 15 || server == "refbmc").collect();
    config.auth_types = vec![AuthType::None, AuthType::Md5, AuthType::Password];
    config.delegate = Delegate::Everything;
    let sim = server == "ipmi_sim";
    config.habits = Habits {
        echo_privilege: sim,
        short_refusals: sim,
        full_refusals: sim,
        refused_suite: StatusCode::INVALID_AUTHENTICATION,
    };
    let mut entropy = Entropy::from_seed([1; 32]);
    let mut drawn = observer.drawn;
    if fixture.json["ipmi"] == "1.5" {
        drawn.clear();
        for (to_bmc, _, plain) in &fixture.packets {
            match (to_bmc, plain.as_deref()) {
                (false, Some(m)) if m[1] == 0x1c && m[5] == 0x39 => drawn.extend_from_slice(&m[7..27]),
                (false, Some(m)) if m[1] == 0x1c && m[5] == 0x3a => drawn.extend_from_slice(&m[8..16]),
                _ => {}
            }
        }
    }
    entropy.prepend(&drawn);
    BmcResponder::new(config, entropy)
}

// IPMI v2.0 §13, §22.13–22.17: the recorded consoles are accepted and hear the recorded octets.
#[test]
fn as_a_bmc_we_answer_the_recorded_consoles() {
    let now = Instant::now();
    let console: SocketAddr = "127.0.0.1:4000".parse().unwrap();
    let mut answered = 0;
    for fixture in fixtures() {
        let mut bmc = recorded_bmc(&fixture);
        for pair in fixture.packets.chunks(2) {
            let [(true, request, _), (false, expected, plain)] = pair else {
                panic!("{}: not request and answer", fixture.name)
            };
            if let Err(ignored) = bmc.handle_datagram(now, console, request) {
                panic!("{}: ignored: {ignored}", fixture.name);
            }
            while let Some(event) = bmc.poll_event() {
                if let responder::Event::Machine(ticket, call) = event {
                    assert!(matches!(call, MachineCall::Command { .. }));
                    let message = plain.as_deref().unwrap();
                    let code = CompletionCode(message[6]);
                    let answer = if code.is_ok() {
                        MachineAnswer::Data(message[7..message.len() - 1].to_vec())
                    } else {
                        MachineAnswer::Failed(code)
                    };
                    bmc.answer(now, ticket, answer);
                }
            }
            let mut datagram = Vec::new();
            assert_eq!(bmc.poll_transmit(now, &mut datagram), Some(console), "{}", fixture.name);
            if fixture.json["name"] == "v20-s03-wrongpw-ipmitool-sim" && datagram.len() > 60 {
                // The recorded RAKP 2 code was made with a password the recording does not hold.
                assert_eq!(datagram[..datagram.len() - 20], expected[..expected.len() - 20]);
            } else {
                assert_eq!(&datagram, expected, "{} answer {answered}", fixture.name);
            }
            answered += 1;
        }
    }
    assert_eq!(answered, 195);
}
