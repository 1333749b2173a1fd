//! Port 4011: one UDP socket for all interfaces that says where each datagram arrived and sends from that address, in
//! batches both ways.

use super::packet_socket::{BATCH, FRAME};
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::ops::Range;
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
        let socket = Socket::new(Domain::IPV4, Type::DGRAM.cloexec(), Some(Protocol::UDP))?;
        socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into())?;
        Self::adopt(socket.into(), receive_buffer)
    }

    /// Takes a socket that somebody else has bound.
    pub(super) fn adopt(socket: UdpSocket, receive_buffer: usize) -> io::Result<Self> {
        let socket = Socket::from(socket);
        socket.set_nonblocking(true)?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        socket.set_broadcast(true)?;
        raise_receive_buffer(&socket, receive_buffer);
        Ok(Self(socket))
    }

    /// Takes up to a batch of datagrams into `inbox`.
    pub(super) fn receive(&self, inbox: &mut Datagrams) -> io::Result<()> {
        let Datagrams { datagrams, ways, headers } = inbox;
        ways.clear();
        let mut slices = datagrams.each_mut().map(|datagram| [IoSliceMut::new(datagram.as_mut_slice())]);
        let received = recvmmsg(self.as_raw_fd(), headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
        let mut whole = true;
        for message in received {
            let source = message.address.map(|address| SocketAddrV4::new(address.ip(), address.port()));
            let interface = message.cmsgs()?.find_map(|one| match one {
                ControlMessageOwned::Ipv4PacketInfo(info) => u32::try_from(info.ipi_ifindex).ok(),
                _ => None,
            });
            whole &= interface.is_some();
            let way = source.zip(interface);
            ways.push(way.map(|(source, interface)| Received { length: message.bytes, source, interface }));
        }
        if !whole {
            *headers = Datagrams::headers(); // the room for what did not come is given back by nobody
        }
        Ok(())
    }

    /// Sends the answers of a batch.
    pub(super) fn send(&self, answers: &mut Answers) -> io::Result<()> {
        let Answers { octets, ranges, to, way: (from, interface), headers } = answers;
        let info = libc::in_pktinfo {
            ipi_ifindex: i32::try_from(*interface).unwrap_or_default(),
            ipi_spec_dst: libc::in_addr { s_addr: from.to_bits().to_be() },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        let (count, mut sent, mut failed) = (ranges.len(), 0, None);
        while sent < count {
            let mut slices = [[IoSlice::new(&[])]; BATCH];
            for (slice, range) in slices.iter_mut().zip(ranges.iter().skip(sent)) {
                *slice = [IoSlice::new(octets.get(range.clone()).unwrap_or_default())];
            }
            let control = [ControlMessage::Ipv4PacketInfo(&info)];
            let batch = slices.get(..count - sent).unwrap_or(&slices);
            let to = to.get(sent..).unwrap_or_default();
            match sendmmsg(self.as_raw_fd(), headers, batch, to, control, MsgFlags::empty()) {
                Ok(results) => sent += results.count().max(1),
                // The error is of the first datagram (or of an earlier one, by ICMP): the others still go.
                Err(errno) => {
                    failed = Some(errno);
                    sent += 1;
                }
            }
        }
        answers.clear();
        failed.map_or(Ok(()), |errno| Err(errno.into()))
    }
}

/// One batch of datagrams.
pub(super) struct Datagrams {
    datagrams: Box<[[u8; FRAME]; BATCH]>,
    ways: Vec<Option<Received>>,
    headers: MultiHeaders<SockaddrIn>,
}

impl Datagrams {
    pub(super) fn new() -> Self {
        Self {
            datagrams: Box::new([[0; FRAME]; BATCH]),
            ways: Vec::with_capacity(BATCH),
            headers: Self::headers(),
        }
    }

    fn headers() -> MultiHeaders<SockaddrIn> {
        MultiHeaders::preallocate(BATCH, Some(nix::cmsg_space!(libc::in_pktinfo)))
    }

    /// The datagrams that were taken last, and how each came. One of which the system does not say where it arrived is
    /// left out.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = (&[u8], Received)> {
        let both = self.datagrams.iter().zip(&self.ways);
        both.filter_map(|(datagram, way)| {
            way.map(|way| (datagram.get(..way.length).unwrap_or(datagram), way))
        })
    }
}

/// Answers waiting to be sent, all from one address and by one interface.
pub(super) struct Answers {
    pub(super) octets: Vec<u8>,
    ranges: Vec<Range<usize>>,
    to: Vec<Option<SockaddrIn>>,
    way: (Ipv4Addr, u32),
    headers: MultiHeaders<SockaddrIn>,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self {
            octets: Vec::with_capacity(BATCH * 512),
            ranges: Vec::with_capacity(BATCH),
            to: Vec::with_capacity(BATCH),
            way: (Ipv4Addr::UNSPECIFIED, 0),
            headers: Datagrams::headers(),
        }
    }

    /// Whether an answer from this address and by this interface may wait with the others.
    pub(super) fn goes_with(&self, from: Ipv4Addr, interface: u32) -> bool {
        self.ranges.is_empty() || self.way == (from, interface)
    }

    /// Counts the octets from `start` to the end as one answer.
    pub(super) fn push(&mut self, start: usize, from: Ipv4Addr, interface: u32, to: SocketAddrV4) {
        self.ranges.push(start..self.octets.len());
        self.to.push(Some(SockaddrIn::from(to)));
        self.way = (from, interface);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    fn clear(&mut self) {
        self.octets.clear();
        self.ranges.clear();
        self.to.clear();
    }
}

/// Occupies UDP port 67 without taking a datagram from it.
pub(super) fn occupy_dhcp_port() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    socket.attach_filter(super::filter::NOTHING)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 67).into())?;
    Ok(socket)
}

/// Asks for a larger receive buffer: beyond the system's limit where privileges allow, else up to it.
pub(super) fn raise_receive_buffer(socket: &Socket, octets: usize) {
    if setsockopt(socket, sockopt::RcvBufForce, &octets).is_err() {
        let _ = socket.set_recv_buffer_size(octets); // a smaller buffer only shortens the bursts that are kept
    }
}
