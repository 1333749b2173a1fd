//! Any text as dnsmasq's command line.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &str| {
    let _ = proxy_dhcp::dnsmasq::translate(line, &|_| None);
});
