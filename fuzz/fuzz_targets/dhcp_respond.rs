//! Any octets as a request, from any source, to either port: a reply only to the sender, its relay or the segment.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy_dhcp::wire::Message;
use proxy_dhcp::{Arrival, BootRequest, Destination, Policy, Port, Responder, Subnet};
use std::net::{Ipv4Addr, SocketAddrV4};

fuzz_target!(|input: ([u8; 4], u16, bool, &[u8])| {
    let (source, port, boot_server, octets) = input;
    let Ok(message) = Message::parse(octets) else { return };
    let relay = Ipv4Addr::new(10, 1, 0, 9);
    let policy = Policy::builder().default_loaders().ipxe_script("http://{server}/x").relay(relay);
    let responder = Responder::new(policy.build());
    let subnets = [Subnet { address: Ipv4Addr::new(10, 0, 0, 2), mask: Ipv4Addr::new(255, 255, 255, 0) }];
    let source = SocketAddrV4::new(source.into(), port);
    let port = if boot_server { Port::BootServer } else { Port::Dhcp };
    let request = BootRequest::new(message, Arrival { interface: "e", subnets: &subnets, port, source });
    let Ok(reply) = responder.respond(&request) else { return };
    match reply.destination() {
        Destination::Broadcast(_) => assert!(source.ip().is_unspecified()),
        Destination::Source(to) => assert_eq!(to.ip(), source.ip()),
        Destination::Relay(to) => assert_eq!(*to.ip(), relay),
    }
    let mut out = Vec::new();
    if let Some(length) = reply.encode(&mut out) {
        assert!(length <= request.max_reply());
        Message::parse(&out).expect("a reply reads back");
    }
});
