//! Any bytes as Butane, Container Linux Config and Fuze: no panic, and what is made is valid.
#![no_main]

use ignition::{butane, check, clc, fuze};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let options = butane::Options { raw: true, lint: true, ..butane::Options::default() };
    if let Ok((json, _)) = butane::transpile(octets, &options) {
        let (_, report) = check(&json);
        assert!(!report.is_fatal(), "{report}");
    }
    let options = clc::Options { platform: clc::Platform::parse("custom"), ..clc::Options::default() };
    if let Ok((json, _)) = clc::transpile(octets, &options) {
        let (_, report) = check(&json);
        assert!(!report.is_fatal(), "{report}");
    }
    let _ = fuze::transpile(octets);
});
