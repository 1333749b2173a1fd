//! Any octets as a recording, pcap or pcapng: every packet is read, and followed as a boot.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy_dhcp::capture::Capture;
use proxy_dhcp::why::Why;
use std::time::Instant;

fuzz_target!(|octets: &[u8]| {
    let Ok(capture) = Capture::parse(octets) else { return };
    let (mut why, start) = (Why::new(8, 0), Instant::now());
    for packet in capture {
        let Ok(frame) = packet.udp() else { continue };
        let now = start + packet.at.min(std::time::Duration::from_secs(1 << 30));
        why.see(now, &frame);
        while why.poll_finding(now).is_some() {}
    }
});
