//! Any text as an address, a UUID, a claim, a selector, a backup: no panic, and what is read is written back.
#![no_main]

use fleet::text::{clean, inert};
use fleet::*;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(mac) = text.parse::<Mac>() {
        assert_eq!(mac.to_string().parse(), Ok(mac));
    }
    if let Ok(uuid) = text.parse::<Uuid>() {
        assert_eq!(uuid.to_string().parse(), Ok(uuid));
    }
    if let Ok(claim) = text.parse::<ClaimSecret>() {
        assert_eq!(claim.expose().parse(), Ok(claim));
    }
    let _ = text.parse::<Selector>();
    let cleaned = clean(text, 200);
    assert!(cleaned.chars().count() <= 200 && !cleaned.chars().any(char::is_control));
    assert!(!inert(text, 200).contains(['{', '}', '%']));
    if let Ok(records) = backup::read(text) {
        let fleet = Fleet::restore(Config::default(), records);
        let _ = fleet.status(Timestamp::from_millis(0));
    }
});
