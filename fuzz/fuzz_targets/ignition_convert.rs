//! A config to every version: no panic; what is made is valid there, and what is lost has a name and a place.
#![no_main]

use ignition::convert::{Options, convert};
use ignition::{Config, Report, SpecVersion};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Ok((config, _)) = Config::parse(octets) else { return };
    for to in SpecVersion::all() {
        match convert(config.clone(), to, &Options::default()) {
            Ok((made, _)) => {
                assert_eq!(made.version, to);
                let mut report = Report::default();
                made.validate(&mut report);
                assert!(!report.is_fatal(), "{to}: {report}");
            }
            Err(lost) => {
                assert!(lost.is_fatal() && lost.entries().iter().all(|entry| !entry.message.is_empty()))
            }
        }
    }
});
