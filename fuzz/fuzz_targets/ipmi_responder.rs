//! A virtual BMC fed with arbitrary datagrams, two octets of length in front of each.
#![no_main]

use std::time::Instant;

use ipmi::crypto::keys::Secret;
use ipmi::responder::Config;
use ipmi::session::UserName;
use ipmi::wire::session::AuthType;
use ipmi::{BmcResponder, CipherSuite, Entropy};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let (Ok(user), Ok(password)) = (UserName::new(b"root"), Secret::new(b"calvin")) else { return };
    let mut config = Config::new([3; 16], user, password);
    config.suites = CipherSuite::ALL.to_vec();
    config.auth_types = vec![AuthType::None, AuthType::Md5, AuthType::Password];
    config.sol = true;
    let (mut bmc, now) = (BmcResponder::new(config, Entropy::from_seed([1; 32])), Instant::now());
    let from = ([192, 0, 2, 1], 4000).into();
    let (mut rest, mut out) = (octets, Vec::new());
    while let [low, high, tail @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high] )) % 512;
        let (datagram, tail) = tail.split_at(length.min(tail.len()));
        let _ = bmc.handle_datagram(now, from, datagram);
        while bmc.poll_event().is_some() {}
        while bmc.poll_transmit(now, &mut out).is_some() {}
        rest = tail;
    }
});
