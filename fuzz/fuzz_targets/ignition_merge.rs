//! Two configs with a zero octet between them: merging does not panic, and every value of the result has an origin.
#![no_main]

use ignition::{Config, merge};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let mut parts = octets.splitn(2, |octet| *octet == 0);
    let (Some(parent), Some(child)) = (parts.next(), parts.next()) else { return };
    let (Ok((parent, _)), Ok((child, _))) = (Config::parse(parent), Config::parse(child)) else { return };
    if let Ok(merged) = merge::merge(parent.clone(), child.clone(), true) {
        assert!(!merged.origins.is_empty());
        let plain = merge::merge(parent, child, false).expect("origins change nothing");
        assert_eq!(plain.config, merged.config);
    }
});
