//! A console's session fed with arbitrary answers; the first octet chooses IPMI 1.5 or RMCP+.
#![no_main]

use std::time::{Duration, Instant};

use ipmi::session::{Config, Credentials, Protocol};
use ipmi::{Command, Entropy, Session, command::chassis::GetChassisStatus};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Ok(credentials) = Credentials::new("root", b"calvin") else { return };
    let [kind, octets @ ..] = octets else { return };
    let mut config = Config::new(credentials);
    if kind & 1 == 1 {
        config.protocol = Protocol::V15(None);
    }
    let mut now = Instant::now();
    let mut session = Session::new(now, config, Entropy::from_seed([1; 32]));
    session.submit(now, GetChassisStatus.request());
    let (mut rest, mut out) = (octets, Vec::new());
    while let [low, high, tail @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high])) % 512;
        let (datagram, tail) = tail.split_at(length.min(tail.len()));
        let _ = session.handle_datagram(now, datagram);
        now += Duration::from_millis(50);
        session.handle_timeout(now);
        while session.poll_event().is_some() {}
        while session.poll_transmit(&mut out) {}
        rest = tail;
    }
});
