//! Every parser of crates/ipmi on arbitrary octets.
#![no_main]

use ipmi::command::{fru::FruInventory, sdr::Sdr};
use ipmi::wire::{asf, message::Message, open_session, rakp, session::Packet, sol::SolPacket};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let _ = Packet::parse(octets);
    let _ = asf::Message::parse(octets);
    if let Ok(message) = Message::parse(octets) {
        let mut again = Vec::new();
        message.encode(&mut again);
        assert_eq!(again, octets);
    }
    let _ = open_session::OpenSessionRequest::parse(octets);
    let _ = open_session::OpenSessionResponse::parse(octets);
    let _ = rakp::Rakp1::parse(octets);
    let _ = rakp::Rakp2::parse(octets);
    let _ = rakp::Rakp3::parse(octets);
    let _ = rakp::Rakp4::parse(octets);
    let _ = SolPacket::parse(octets);
    let _ = Sdr::parse(octets);
    let _ = FruInventory::parse(octets);
});
