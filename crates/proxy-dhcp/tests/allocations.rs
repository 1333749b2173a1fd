//! Reading a request, deciding and writing the reply allocates nothing once the buffer has its size.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod fixtures;

use fixtures::packets;
use proxy_dhcp::wire::Message;
use proxy_dhcp::{Arrival, BootRequest, Clients, Policy, Port, RateLimit, Responder, Subnet, dnsmasq};
use std::net::Ipv4Addr;
use std::time::Instant;

#[test]
#[allow(clippy::disallowed_methods)]
fn a_reply_costs_no_allocation() {
    let menus = "--dhcp-range=10.77.0.2,proxy --pxe-service=x86PC,One,a.0 --pxe-service=x86PC,Two,b.0";
    let menus = Responder::new(dnsmasq::translate(menus, &|_| None).unwrap().policy);
    let usual = Responder::new(Policy::default_for("http://{server}:8080/boot.ipxe"));
    let subnets = [Subnet { address: Ipv4Addr::new(10, 77, 0, 2), mask: Ipv4Addr::new(255, 255, 0, 0) }];
    let mut clients = Clients::new(1024, 0, RateLimit { burst: 999, per_second: 1 });
    let mut out = Vec::with_capacity(1500);
    let (packets, now) = (packets(), Instant::now());
    let mut replies = 0;
    for responder in [&menus, &usual] {
        let count = allocation_counter::measure(|| {
            for packet in &packets {
                let port = if packet.destination.port() == 4011 { Port::BootServer } else { Port::Dhcp };
                let arrival = Arrival { interface: "eth0", subnets: &subnets, port, source: packet.source };
                let request = BootRequest::new(Message::parse(&packet.octets).unwrap(), arrival);
                let Ok(reply) = responder.respond(&request) else { continue };
                out.clear();
                reply.encode(&mut out).unwrap();
                let mac = request.mac().unwrap();
                assert!(clients.allow(now, mac));
                clients.offered(now, mac, request.message.xid, !reply.is_script());
                replies += 1;
            }
        });
        assert_eq!(count.count_total, 0);
    }
    assert!(replies > 16, "{replies}");
}
