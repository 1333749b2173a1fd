//! Arbitrary commands and serial-over-LAN packets inside a session that stands, to a virtual BMC and back.
#![no_main]

use std::time::Instant;

use ipmi::crypto::keys::Secret;
use ipmi::responder::{self, Config, Event, MachineAnswer, MachineCall};
use ipmi::session::{Config as Console, Credentials, Request, UserName};
use ipmi::wire::session::PayloadType;
use ipmi::{BmcResponder, CipherSuite, Entropy, Privilege, Session};
use libfuzzer_sys::fuzz_target;

/// Carries datagrams both ways until nobody has one left.
fn exchange(now: Instant, session: &mut Session, bmc: &mut BmcResponder) {
    let from = ([192, 0, 2, 1], 4000).into();
    let mut datagram = Vec::new();
    for _ in 0..64 {
        let mut quiet = true;
        while session.poll_transmit(&mut datagram) {
            quiet = false;
            let _ = bmc.handle_datagram(now, from, &datagram);
        }
        while let Some(event) = bmc.poll_event() {
            if let Event::Machine(ticket, call) = event {
                let answer = match call {
                    MachineCall::Status => MachineAnswer::Power(true),
                    _ => MachineAnswer::Done,
                };
                bmc.answer(now, ticket, answer);
            }
        }
        while bmc.poll_transmit(now, &mut datagram).is_some() {
            quiet = false;
            let _ = session.handle_datagram(now, &datagram);
        }
        while session.poll_event().is_some() {}
        if quiet {
            return;
        }
    }
}

fuzz_target!(|octets: &[u8]| {
    let (Ok(user), Ok(password)) = (UserName::new(b"root"), Secret::new(b"calvin")) else { return };
    let Ok(credentials) = Credentials::new("root", b"calvin") else { return };
    let mut config = Config::new([3; 16], user, password);
    config.sol = true;
    config.data = responder::Data { fru: vec![1; 64], log: vec![[2; 14]; 3], ..Default::default() };
    let console = Console { suites: vec![CipherSuite::SUITE_3], ..Console::new(credentials) };
    let now = Instant::now();
    let mut bmc = BmcResponder::new(config, Entropy::from_seed([1; 32]));
    let mut session = Session::new(now, console, Entropy::from_seed([2; 32]));
    exchange(now, &mut session, &mut bmc);
    assert!(session.suite().is_some(), "the session stands");
    let mut rest = octets;
    while let [kind, net_fn, command, length, tail @ ..] = rest {
        let (data, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        if kind & 1 == 1 {
            let privilege = if kind & 2 == 2 { Privilege::User } else { Privilege::Administrator };
            session.submit(now, Request { privilege, ..Request::new(net_fn & 0x3e, *command, data.to_vec()) });
        } else {
            session.send_payload(now, PayloadType::Sol, data);
        }
        exchange(now, &mut session, &mut bmc);
        rest = tail;
    }
});
