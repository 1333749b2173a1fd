//! Any octets as a DHCP message, an Ethernet frame and a neighbour discovery frame; what reads is written back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy_dhcp::wire::frame::UdpFrame;
use proxy_dhcp::wire::{Message, RouterSolicitation, Writer, code};

fuzz_target!(|octets: &[u8]| {
    let _ = RouterSolicitation::parse(octets);
    let payload = UdpFrame::parse(octets).map_or(octets, |frame| frame.payload);
    let Ok(message) = Message::parse(payload) else { return };
    let (sname, file) = message.raw_names();
    let mut again = Vec::new();
    let mut writer = Writer::new(&mut again, &message.header(), sname, file);
    // Overloaded fields are written back as fields, so their options must not be written twice.
    let overloaded = message.options().first(code::OVERLOAD).is_some();
    if overloaded {
        return;
    }
    for option in message.options() {
        writer.option(option.code, option.value);
    }
    writer.finish();
    let read = Message::parse(&again).expect("what was written reads back");
    assert!(read.options().iter().eq(message.options().iter()));
    assert_eq!(read.header(), message.header());
});
