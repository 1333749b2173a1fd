//! Any octets as packets, requests, options and acknowledgements.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tftp::wire::{OptionAck, Options, Packet, Request};

fuzz_target!(|octets: &[u8]| {
    let _ = Packet::parse(octets);
    let _ = Options::parse(octets);
    let _ = OptionAck::parse(octets, &Options::default());
    if let Ok(request) = Request::parse(octets) {
        let mut out = Vec::new();
        request.encode(&mut out);
        assert_eq!(Request::parse(&out), Ok(request));
    }
});
