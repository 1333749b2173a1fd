//! Port 4011: one UDP socket for all interfaces that says where each datagram arrived and sends from that address.

use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// A UDP socket with IP_PKTINFO.
#[derive(Debug)]
pub(super) struct BootServerSocket(Socket);

impl AsFd for BootServerSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for BootServerSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// One datagram's way here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    pub(super) length: usize,
    pub(super) source: SocketAddrV4,
    pub(super) interface: u32,
}

impl BootServerSocket {
    /// Opens the socket on all addresses.
    pub(super) fn open(port: u16, receive_buffer: usize) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        socket.set_broadcast(true)?;
        raise_receive_buffer(&socket, receive_buffer);
        socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into())?;
        Ok(Self(socket))
    }

    /// Takes one datagram. `Ok(None)` when the system does not say where it arrived.
    pub(super) fn receive(&self, buffer: &mut [u8], control: &mut [u8]) -> io::Result<Option<Received>> {
        let mut slices = [IoSliceMut::new(buffer)];
        let message =
            recvmsg::<SockaddrIn>(self.as_raw_fd(), &mut slices, Some(control), MsgFlags::MSG_DONTWAIT)?;
        let length = message.bytes;
        let source = message.address.map(|address| SocketAddrV4::new(address.ip(), address.port()));
        let interface = message.cmsgs()?.find_map(|one| match one {
            ControlMessageOwned::Ipv4PacketInfo(info) => u32::try_from(info.ipi_ifindex).ok(),
            _ => None,
        });
        Ok(source.zip(interface).map(|(source, interface)| Received { length, source, interface }))
    }

    /// Sends one datagram from an address of ours, out of the interface the request came by.
    pub(super) fn send(
        &self,
        octets: &[u8],
        from: Ipv4Addr,
        interface: u32,
        to: SocketAddrV4,
    ) -> io::Result<()> {
        let info = libc::in_pktinfo {
            ipi_ifindex: i32::try_from(interface).unwrap_or_default(),
            ipi_spec_dst: libc::in_addr { s_addr: from.to_bits().to_be() },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        let control = [ControlMessage::Ipv4PacketInfo(&info)];
        sendmsg(
            self.as_raw_fd(),
            &[IoSlice::new(octets)],
            &control,
            MsgFlags::empty(),
            Some(&SockaddrIn::from(to)),
        )?;
        Ok(())
    }
}

/// Occupies UDP port 67 without taking a datagram from it.
pub(super) fn occupy_dhcp_port() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    socket.attach_filter(super::filter::NOTHING)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 67).into())?;
    Ok(socket)
}

/// Room for the control message that tells the interface of arrival.
pub(super) fn control_buffer() -> Vec<u8> {
    nix::cmsg_space!(libc::in_pktinfo)
}

/// Asks for a larger receive buffer: beyond the system's limit where privileges allow, else up to it.
pub(super) fn raise_receive_buffer(socket: &Socket, octets: usize) {
    if setsockopt(socket, sockopt::RcvBufForce, &octets).is_err() {
        let _ = socket.set_recv_buffer_size(octets); // a smaller buffer only shortens the bursts that are kept
    }
}
