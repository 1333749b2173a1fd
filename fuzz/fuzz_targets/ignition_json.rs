//! Any bytes as JSON: no panic, every place inside the document, and what is valid is read back from what is written.
#![no_main]

use ignition::{Config, Style, check, lint, resolved};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let (config, report) = lint::check(octets);
    for entry in report.entries() {
        // Broken UTF-8 is read as U+FFFD, which is longer.
        assert!(entry.place.is_none_or(|place| place.value.end as usize <= octets.len() * 3 + 3));
        assert!(!entry.to_string().is_empty());
    }
    let Some(config) = config.filter(|_| !report.is_fatal()) else { return };
    for file in config.files() {
        let _: Result<resolved::File<'_>, _> = file;
    }
    assert!(config.units().count() < octets.len() && config.users().count() < octets.len());
    let _ = config.hostname();
    let json = config.to_json(Style::TIDY);
    let (again, _) = Config::parse(json.as_bytes()).expect("what is written is read");
    assert_eq!(again, config);
    assert!(!check(json.as_bytes()).1.is_fatal());
});
