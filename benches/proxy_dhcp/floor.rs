//! The least that one answer to one request costs over this veth: a packet socket, one call to receive, one to send, and
//! nothing between but the transaction and the hardware address, put into an OFFER that is ready.

use crate::generator::{CHADDR, Kind, XID, discover};
use crate::server::{SERVER, SERVER_MAC};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{MsgFlags, bind, recv, send};
use proxy_dhcp::wire::{Message, frame};
use proxy_dhcp::{Arrival, BootRequest, MacAddr, Policy, Port, Responder, Subnet};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;

/// Frames to UDP port 67 without IP options.
const FILTER: &[SockFilter] = &[
    SockFilter::new(0x28, 0, 0, 36),
    SockFilter::new(0x15, 1, 0, 67),
    SockFilter::new(0x06, 0, 0, 0),
    SockFilter::new(0x06, 0, 0, 0xffff),
];

/// The OFFER to a BIOS machine, as proxy-dhcpd writes it.
fn offer() -> Vec<u8> {
    let request = discover(Kind::Bios, 1, 1);
    let subnets = [Subnet { address: SERVER, mask: Ipv4Addr::new(255, 255, 255, 0) }];
    let source = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
    let arrival = Arrival { interface: "eth0", subnets: &subnets, port: Port::Dhcp, source };
    let request = BootRequest::new(Message::parse(&request).unwrap(), arrival);
    let responder = Responder::new(Policy::default_for("http://{server}:8080/boot.ipxe"));
    let reply = responder.respond(&request).unwrap();
    let mut octets = vec![0; frame::HEADERS];
    reply.encode(&mut octets).unwrap();
    let from = SocketAddrV4::new(SERVER, 67);
    let to = reply.destination().address();
    assert!(frame::seal(&mut octets, MacAddr(SERVER_MAC), MacAddr([0xff; 6]), from, to));
    octets[40..42].fill(0); // UDP's checksum, which may be left out (RFC 768)
    octets
}

/// Answers for ever.
pub(crate) fn serve() {
    let link = getifaddrs().unwrap().filter(|one| one.interface_name == "eth0");
    let mut link = link.filter_map(|one| one.address.and_then(|address| address.as_link_addr().copied()));
    let protocol = Protocol::from(i32::from(0x0800u16.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).unwrap();
    bind(socket.as_raw_fd(), &link.next().unwrap()).unwrap();
    socket.attach_filter(FILTER).unwrap();
    let _started = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 4011)).unwrap();
    let (mut offer, mut frame) = (offer(), [0; 2048]);
    loop {
        recv(socket.as_raw_fd(), &mut frame, MsgFlags::empty()).unwrap();
        offer[XID..XID + 4].copy_from_slice(&frame[XID..XID + 4]);
        offer[CHADDR..CHADDR + 6].copy_from_slice(&frame[CHADDR..CHADDR + 6]);
        send(socket.as_raw_fd(), &offer, MsgFlags::empty()).unwrap();
    }
}
