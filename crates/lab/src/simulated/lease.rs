//! The lease server of simulated machines: an address for each MAC of the lab, nothing else (RFC 2131 §4.3). Its codec
//! is dhcproto: a DHCP implementation that is not ours.

use std::net::{Ipv4Addr, SocketAddr};

use dhcproto::v4::{DhcpOption, Message, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable as _, Decoder, Encodable as _, Encoder};
use tokio::net::UdpSocket;
use tokio::sync::watch;

use super::{Ready, SimulatedMachine};
use crate::error::{LabError, Result};
use crate::network::{INTERFACE, LEASES};

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
const LEASE_SECONDS: u32 = 3600;

/// Answers until `stopped`.
pub(super) async fn serve(mut stopped: watch::Receiver<bool>, ready: Ready) {
    let socket = match bind(SERVER_PORT) {
        Ok(socket) => socket,
        Err(error) => return drop(ready.send(Err(error))),
    };
    let _ = ready.send(Ok(()));
    let mut datagram = vec![0; 1500];
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            received = socket.recv_from(&mut datagram) => {
                let Ok((length, _)) = received else { continue };
                if let Some(reply) = datagram.get(..length).and_then(answer) {
                    let everyone = SocketAddr::from((Ipv4Addr::BROADCAST, CLIENT_PORT));
                    let _ = socket.send_to(&reply, everyone).await; // lost like any datagram
                }
            }
        }
    }
}

/// A UDP socket for broadcasts on the namespace's interface.
pub(super) fn bind(port: u16) -> Result<UdpSocket> {
    let open = || {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
        socket.set_broadcast(true)?;
        socket.set_reuse_address(true)?;
        socket.set_recv_buffer_size(4 << 20)?;
        socket.bind_device(Some(INTERFACE.as_bytes()))?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
        socket.set_nonblocking(true)?;
        UdpSocket::from_std(socket.into())
    };
    open().map_err(LabError::io(format!("bind UDP port {port}")))
}

/// An OFFER for a DISCOVER, an ACK for a REQUEST to us or for the same address.
fn answer(datagram: &[u8]) -> Option<Vec<u8>> {
    let request = Message::decode(&mut Decoder::new(datagram)).ok()?;
    let mac: [u8; 6] = request.chaddr().get(..6)?.try_into().ok()?;
    let [0x52, 0x54, 0x00, 0x53, high, low] = mac else { return None };
    let address = SimulatedMachine::new(u16::from_be_bytes([high, low]).checked_sub(1)?).address;
    let option = |code| request.opts().get(code);
    let kind = match request.opts().msg_type()? {
        MessageType::Discover => MessageType::Offer,
        MessageType::Request => match option(OptionCode::ServerIdentifier) {
            Some(DhcpOption::ServerIdentifier(server)) if *server != LEASES => return None,
            _ => MessageType::Ack,
        },
        _ => return None,
    };
    let mut reply = Message::default();
    reply.set_opcode(Opcode::BootReply).set_xid(request.xid()).set_flags(request.flags());
    reply.set_yiaddr(address).set_chaddr(&mac);
    let options = reply.opts_mut();
    options.insert(DhcpOption::MessageType(kind));
    options.insert(DhcpOption::ServerIdentifier(LEASES));
    options.insert(DhcpOption::AddressLeaseTime(LEASE_SECONDS));
    options.insert(DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 0, 0)));
    let mut octets = Vec::new();
    reply.encode(&mut Encoder::new(&mut octets)).ok()?;
    octets.resize(octets.len().max(300), 0); // BOOTP's minimum (RFC 1542 §2.1)
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::dhcp;

    #[test]
    fn every_machine_has_its_address_and_strangers_have_none() {
        // RFC 2131 §4.3.1
        let machine = SimulatedMachine::new(299);
        let offer = answer(&dhcp::discover(&machine, 7, false)).unwrap();
        let offer = dhcp::Reply::parse(&offer).unwrap();
        assert_eq!((offer.xid, offer.kind, offer.yiaddr), (7, 2, Ipv4Addr::new(10, 77, 17, 44)));
        let ack = answer(&dhcp::request(&machine, 8, false, machine.address, LEASES)).unwrap();
        assert_eq!(dhcp::Reply::parse(&ack).unwrap().kind, 5);
        assert_eq!(answer(&dhcp::request(&machine, 8, false, machine.address, Ipv4Addr::LOCALHOST)), None);
        let mut stranger = dhcp::discover(&machine, 7, false);
        stranger[28] = 0;
        assert_eq!(answer(&stranger), None);
        assert_eq!(answer(&[]), None);
    }
}
