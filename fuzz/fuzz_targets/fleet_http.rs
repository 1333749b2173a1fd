//! Any body on the machines' calls, against a fleet with an open order: no panic, no grant, no lifecycle moved
//! without the claim.
#![no_main]

use fleet::*;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let now = Timestamp::from_millis(1_700_000_000_000);
    let mut fleet = Fleet::new(Config::default());
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    let new = NewMachine { name: "m".into(), macs: vec![mac], ..NewMachine::default() };
    fleet.command(now, "op", Command::AddMachine(new)).unwrap();
    fleet.command(now, "op", Command::Provision(Provision::new("m".parse().unwrap(), "p", Role::Install))).unwrap();
    // The claim is 16 octets that no input holds but by chance of one in 2^128.
    let secret = *b"\xd1\x7f\x03\x99\xa4\x5e\x21\xbb\x48\xc0\x6d\xee\x12\x87\xf0\x3a";
    let claim = fleet.claim(now, &Sighting::of(mac), secret).unwrap();
    // A fuzzer that watches comparisons finds the secret in memory; then an answer may quote it back.
    let hexadecimal = claim.secret.expose();
    if data.windows(hexadecimal.len()).any(|window| window == hexadecimal.as_bytes()) {
        return;
    }
    for path in ["/v1/report", "/v1/grant", "/v1/register"] {
        let answer = http::answer(&mut fleet, now, [10, 0, 0, 1].into(), "POST", path, data);
        assert!(!answer.body.contains(&hexadecimal));
    }
    let status = fleet.status(now).remove(0);
    assert_eq!((status.lifecycle, status.order.unwrap().state.as_str()), (Lifecycle::Adopted, "claimed"));
    while let Some(event) = fleet.poll_event() {
        assert!(!event.kind.line().chars().any(char::is_control));
    }
});
