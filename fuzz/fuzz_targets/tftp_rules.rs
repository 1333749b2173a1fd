//! Any text as path rules, and any path through them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tftp::rules::{ClientFacts, Rules, render};

fuzz_target!(|input: (&str, &[u8])| {
    let (text, path) = input;
    let client = ClientFacts { ip: Some([192, 0, 2, 1].into()), ..ClientFacts::default() };
    let _ = render(path, &client);
    if let Ok(rules) = text.parse::<Rules>() {
        assert!(!rules.candidates(path, &client).is_empty());
    }
});
