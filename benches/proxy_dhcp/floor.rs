//! The least that one answer to one request costs over this veth: a packet socket, one call to receive, one to send, and
//! between them either nothing but the transaction and the hardware address, put into an OFFER that is ready, or the
//! decision itself, by a server that remembers nothing, follows no machine and tells nobody.

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

/// Writes the whole frame of the answer to a request, as proxy-dhcpd does.
fn answer(responder: &Responder, request: &[u8], octets: &mut Vec<u8>) {
    let subnets = [Subnet { address: SERVER, mask: Ipv4Addr::new(255, 255, 255, 0) }];
    let source = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
    let arrival = Arrival { interface: "eth0", subnets: &subnets, port: Port::Dhcp, source };
    let request = BootRequest::new(Message::parse(request).unwrap(), arrival);
    let reply = responder.respond(&request).unwrap();
    octets.clear();
    octets.resize(frame::HEADERS, 0);
    reply.encode(octets).unwrap();
    let from = SocketAddrV4::new(SERVER, 67);
    let to = reply.destination().address();
    assert!(frame::seal(octets, MacAddr(SERVER_MAC), MacAddr([0xff; 6]), from, to));
}

/// Answers for ever; `decides` says whether each answer is worked out.
pub(crate) fn serve(decides: bool) -> ! {
    let link = getifaddrs().unwrap().filter(|one| one.interface_name == "eth0");
    let mut link = link.filter_map(|one| one.address.and_then(|address| address.as_link_addr().copied()));
    let protocol = Protocol::from(i32::from(0x0800u16.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).unwrap();
    bind(socket.as_raw_fd(), &link.next().unwrap()).unwrap();
    socket.attach_filter(FILTER).unwrap();
    let _started = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 4011)).unwrap();
    let responder = Responder::new(Policy::default_for("http://{server}:8080/boot.ipxe"));
    let (mut offer, mut frame) = (Vec::with_capacity(2048), [0; 2048]);
    answer(&responder, &discover(Kind::Bios, 1, 1), &mut offer);
    offer[40..42].fill(0); // UDP's checksum, which may be left out (RFC 768)
    loop {
        let length = recv(socket.as_raw_fd(), &mut frame, MsgFlags::empty()).unwrap();
        if decides {
            answer(&responder, &frame[frame::HEADERS..length], &mut offer);
        } else {
            offer[XID..XID + 4].copy_from_slice(&frame[XID..XID + 4]);
            offer[CHADDR..CHADDR + 6].copy_from_slice(&frame[CHADDR..CHADDR + 6]);
        }
        send(socket.as_raw_fd(), &offer, MsgFlags::empty()).unwrap();
    }
}
