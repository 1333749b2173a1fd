//! One UDP port: batches in (recvmmsg), batches out (sendmmsg, UDP_SEGMENT), each answer from the address
//! that was asked (IP_PKTINFO, IPV6_PKTINFO).

use super::DriverError;
use bytes::Bytes;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg,
    setsockopt, sockopt,
};
use std::cell::RefCell;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Datagrams taken or given in one system call.
pub(super) const BATCH: usize = 32;
/// Datagrams to take at once where few come; more than one, so that a short batch is the end.
const LEAST_BATCH: usize = 4;
/// The longest wait for datagrams in the kernel; it rounds up to its tick.
const WAIT: Duration = Duration::from_millis(1);
/// Segments of one UDP_SEGMENT send (UDP_MAX_SEGMENTS of Linux before 6.9).
pub(super) const SEGMENTS: usize = 64;
/// The most payload of one UDP_SEGMENT send: an IP datagram less its headers.
const SEGMENTED_OCTETS: usize = 65_000;
/// Slices of one UDP_SEGMENT send: a header and at most two pieces for each block.
const SEGMENT_SLICES: usize = SEGMENTS * 2 + 1;

/// One bound port.
#[derive(Debug)]
pub(super) struct Port {
    /// Waits for datagrams only: where a socket also waits for room to send, each packet that leaves wakes.
    fd: AsyncFd<UdpSocket>,
    /// The same socket where it waits for room.
    room: Option<AsyncFd<UdpSocket>>,
    pub(super) local: SocketAddr,
    /// Bound to no address: the kernel tells which one was asked, and we say which one answers.
    any_address: bool,
    /// How many datagrams to take at once: as many as come.
    take: usize,
    /// What is to be sent, in order.
    outbox: Vec<Datagram>,
    /// The kernel's send buffer was full.
    pub(super) blocked: bool,
}

/// One packet to send: a header and up to two pieces that follow each other.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) to: SocketAddr,
    pub(super) from: Option<IpAddr>,
    pub(super) header: [u8; 4],
    pub(super) pieces: [Bytes; 2],
}

/// Where one datagram in the [`Inbox`] came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) from: SocketAddr,
    pub(super) local: Option<IpAddr>,
    pub(super) octets: usize,
}

/// Buffers for one batch.
#[derive(Debug)]
pub(super) struct Inbox {
    octets: Vec<u8>,
    slot: usize,
    arrivals: Vec<Arrival>,
}

impl Inbox {
    pub(super) fn new(slot: usize) -> Self {
        Self { octets: vec![0; slot * BATCH], slot, arrivals: Vec::with_capacity(BATCH) }
    }

    pub(super) fn arrival(&self, index: usize) -> Option<(Arrival, &[u8])> {
        let arrival = *self.arrivals.get(index)?;
        let start = index * self.slot;
        Some((arrival, self.octets.get(start..start + arrival.octets)?))
    }

    pub(super) fn len(&self) -> usize {
        self.arrivals.len()
    }
}

thread_local! {
    // The kernel's view of a batch holds pointers, so it stays on its thread and is filled anew each time.
    static RECEIVE: [RefCell<Option<Headers>>; 4] = const { [const { RefCell::new(None) }; 4] };
    static SEND: [RefCell<Option<Headers>>; 6] = const { [const { RefCell::new(None) }; 6] };
}

impl Port {
    /// Registers a socket that [`prepare`] has set up.
    pub(super) fn new(socket: UdpSocket) -> Result<Self, DriverError> {
        let local = socket.local_addr().map_err(DriverError::socket("read the bound address"))?;
        let fd = register(socket, Interest::READABLE)
            .map_err(DriverError::socket("register the socket with the runtime"))?;
        let any_address = local.ip().is_unspecified();
        Ok(Self {
            fd,
            room: None,
            local,
            any_address,
            take: LEAST_BATCH,
            outbox: Vec::with_capacity(BATCH),
            blocked: false,
        })
    }

    /// Waits until something has come.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.fd.poll_read_ready(cx).map_ok(|_| ())
    }

    /// Takes what has come, up to a batch, and drops the port's readiness when nothing is left.
    pub(super) fn receive(&mut self, inbox: &mut Inbox) {
        inbox.arrivals.clear();
        let take = self.take;
        let _ = self.fd.try_io(Interest::READABLE, |_| {
            match self.receive_batch(inbox, take, MsgFlags::MSG_DONTWAIT) {
                Ok(()) if inbox.arrivals.len() == take => Ok(()),
                // A short batch is the end, as good as EAGAIN and a system call cheaper.
                Ok(()) => Err(io::ErrorKind::WouldBlock.into()),
                Err(errno) => Err(errno.into()), // else: an ICMP error of an earlier packet, which its timer answers
            }
        });
        match inbox.arrivals.len() {
            taken if taken == take => self.take = (take * 2).min(BATCH),
            taken if taken * 4 <= take => self.take = (take / 2).max(LEAST_BATCH),
            _ => {}
        }
    }

    /// Waits in the kernel, for [`WAIT`] at most, and takes what comes: for a socket that [`wait_in_kernel`] has set up.
    pub(super) fn await_batch(&mut self, inbox: &mut Inbox) {
        inbox.arrivals.clear();
        let _ = self.receive_batch(inbox, self.take, MsgFlags::MSG_WAITFORONE); // nothing came, or as in receive
    }

    /// Waits until there is room to send again.
    pub(super) fn poll_unblocked(&mut self, cx: &mut Context<'_>) -> bool {
        while self.blocked {
            match self.poll_room(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(())) => {
                    if !self.flush()
                        && let Some(room) = &self.room
                    {
                        let full = |_: &UdpSocket| Err::<(), _>(io::ErrorKind::WouldBlock.into());
                        let _ = room.try_io(Interest::WRITABLE, full);
                    }
                }
                Poll::Ready(Err(_)) => {
                    // No descriptor left to wait with: as if lost, the timers decide.
                    self.outbox.clear();
                    self.blocked = false;
                }
            }
        }
        self.room = None;
        true
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.room.is_none() {
            let again = self.fd.get_ref().try_clone()?;
            self.room = Some(register(again, Interest::WRITABLE)?);
        }
        self.room.as_ref().map_or(Poll::Ready(Ok(())), |room| room.poll_write_ready(cx).map_ok(|_| ()))
    }

    fn receive_batch(&self, inbox: &mut Inbox, take: usize, flags: MsgFlags) -> nix::Result<()> {
        let kind = usize::from(self.local.is_ipv6()) * 2 + usize::from(self.any_address);
        let bound = (!self.any_address).then(|| self.local.ip().to_canonical());
        let mut headers = take_headers(&RECEIVE, kind, || match kind {
            1 => Some(nix::cmsg_space!(libc::in_pktinfo)),
            3 => Some(nix::cmsg_space!(libc::in6_pktinfo)),
            _ => None,
        });
        let mut slots = inbox.octets.chunks_exact_mut(inbox.slot);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
            std::array::from_fn(|_| [IoSliceMut::new(slots.next().unwrap_or_default())]);
        let slices = slices.iter_mut().take(take);
        let received = recvmmsg(self.fd.as_raw_fd(), &mut headers, slices, flags, None);
        let received = received.map(|messages| {
            for message in messages {
                let local = bound.or_else(|| asked_address(&message));
                let from = message.address.and_then(|address| to_std(&address));
                let from = from.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
                inbox.arrivals.push(Arrival { from, local, octets: message.bytes });
            }
        });
        put_headers(&RECEIVE, kind, headers);
        received
    }

    /// Queues a packet; a full queue is sent. Returns `false` while the kernel takes no more.
    pub(super) fn push(&mut self, datagram: Datagram) -> bool {
        self.outbox.push(datagram);
        self.outbox.len() < BATCH || self.flush()
    }

    /// Sends what is queued. Returns `false` if the kernel takes no more for now.
    pub(super) fn flush(&mut self) -> bool {
        let mut done = 0;
        while let Some(first) = self.outbox.get(done) {
            let from = first.from;
            let alike = self.outbox.get(done..).unwrap_or_default();
            let alike = alike.iter().take(BATCH).take_while(|datagram| datagram.from == from).count();
            let alike = self.outbox.get(done..done + alike).unwrap_or_default();
            let sent = match alike.len() {
                1 => self.send_batch::<1>(alike, from),
                _ => self.send_batch::<BATCH>(alike, from),
            };
            match sent {
                Ok(sent) => done += sent.max(1),
                Err(Errno::EAGAIN) => {
                    self.outbox.drain(..done);
                    self.blocked = true;
                    return false;
                }
                Err(_) => done += 1, // no route, firewall: as if lost, the timer decides
            }
        }
        self.outbox.clear();
        self.blocked = false;
        true
    }

    /// Sends up to `N` packets.
    fn send_batch<const N: usize>(&self, datagrams: &[Datagram], from: Option<IpAddr>) -> nix::Result<usize> {
        let mut slices = [[IoSlice::new(&[]); 3]; N];
        let mut addresses = [None; N];
        for ((slices, address), datagram) in slices.iter_mut().zip(&mut addresses).zip(datagrams) {
            let [first, second] = &datagram.pieces;
            *slices = [IoSlice::new(&datagram.header), IoSlice::new(first), IoSlice::new(second)];
            *address = Some(SockaddrStorage::from(datagram.to));
        }
        let mut messages: [&[IoSlice<'_>]; N] = [&[]; N];
        for (message, slices) in messages.iter_mut().zip(&slices) {
            *message = slices;
        }
        let messages = messages.get(..datagrams.len()).unwrap_or_default();
        self.send_messages(messages, addresses.get(..datagrams.len()).unwrap_or_default(), from, None)
    }

    /// Sends consecutive blocks in one segmented datagram. `octets` are the blocks' payload in up to two
    /// pieces; each block but the last has `block` octets.
    pub(super) fn send_segments(
        &self,
        to: SocketAddr,
        from: Option<IpAddr>,
        headers: &[[u8; 4]],
        pieces: &[Bytes; 2],
        block: usize,
    ) -> nix::Result<()> {
        let mut slices = [IoSlice::new(&[]); SEGMENT_SLICES];
        let [mut first, mut second] = [pieces[0].as_ref(), pieces[1].as_ref()];
        let mut used = 0;
        for header in headers {
            let Some(slot) = slices.get_mut(used) else { return Err(Errno::EMSGSIZE) };
            *slot = IoSlice::new(header);
            used += 1;
            let mut left = block;
            while left > 0 {
                if first.is_empty() {
                    (first, second) = (second, &[]);
                    if first.is_empty() {
                        break;
                    }
                }
                let (head, tail) = first.split_at(left.min(first.len()));
                let Some(slot) = slices.get_mut(used) else { return Err(Errno::EMSGSIZE) };
                *slot = IoSlice::new(head);
                used += 1;
                left -= head.len();
                first = tail;
            }
        }
        let segment = u16::try_from(block + 4).map_err(|_| Errno::EMSGSIZE)?;
        let message = [slices.get(..used).unwrap_or_default()];
        let to = [Some(SockaddrStorage::from(to))];
        self.send_messages(&message, &to, from, Some(segment)).map(|_| ())
    }

    fn send_messages(
        &self,
        messages: &[&[IoSlice<'_>]],
        to: &[Option<SockaddrStorage>],
        from: Option<IpAddr>,
        segment: Option<u16>,
    ) -> nix::Result<usize> {
        let from = if self.any_address { from } else { None };
        let (v4, v6) = match (from, self.local) {
            (None, _) => (None, None),
            (Some(IpAddr::V4(address)), SocketAddr::V4(_)) => (Some(packet_info_v4(address)), None),
            (Some(IpAddr::V4(address)), SocketAddr::V6(_)) => {
                (None, Some(packet_info_v6(address.to_ipv6_mapped())))
            }
            (Some(IpAddr::V6(address)), _) => (None, Some(packet_info_v6(address))),
        };
        let kind = usize::from(segment.is_some()) * 3
            + match (&v4, &v6) {
                (Some(_), _) => 1,
                (_, Some(_)) => 2,
                _ => 0,
            };
        let size = segment.unwrap_or_default();
        let gso = ControlMessage::UdpGsoSegments(&size);
        let mut control = [gso; 2];
        let mut used = usize::from(segment.is_some());
        let info = v4
            .as_ref()
            .map(ControlMessage::Ipv4PacketInfo)
            .or_else(|| v6.as_ref().map(ControlMessage::Ipv6PacketInfo));
        if let Some(info) = info
            && let Some(slot) = control.get_mut(used)
        {
            *slot = info;
            used += 1;
        }
        let control = control.get(..used).unwrap_or_default();
        let mut headers = take_headers(&SEND, kind, || match kind {
            1 => Some(nix::cmsg_space!(libc::in_pktinfo)),
            2 => Some(nix::cmsg_space!(libc::in6_pktinfo)),
            3 => Some(nix::cmsg_space!(u16)),
            4 => Some(nix::cmsg_space!(u16, libc::in_pktinfo)),
            5 => Some(nix::cmsg_space!(u16, libc::in6_pktinfo)),
            _ => None,
        });
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let sent =
            sendmmsg(self.fd.as_raw_fd(), &mut headers, messages, to, control, flags).map(Iterator::count);
        put_headers(&SEND, kind, headers);
        sent
    }
}

#[expect(
    deprecated,
    reason = "the replacement is unsafe, for types that may change their descriptor; a UdpSocket does not"
)]
fn register(socket: UdpSocket, interest: Interest) -> io::Result<AsyncFd<UdpSocket>> {
    AsyncFd::with_interest(socket, interest)
}

/// The kernel's view of batches of one shape: address family and control messages differ.
type Headers = MultiHeaders<SockaddrStorage>;

fn take_headers<const N: usize>(
    of: &'static std::thread::LocalKey<[RefCell<Option<Headers>>; N]>,
    kind: usize,
    control: impl FnOnce() -> Option<Vec<u8>>,
) -> Headers {
    let kept = of.with(|all| all.get(kind).and_then(RefCell::take));
    kept.unwrap_or_else(|| MultiHeaders::preallocate(BATCH, control()))
}

fn put_headers<const N: usize>(
    of: &'static std::thread::LocalKey<[RefCell<Option<Headers>>; N]>,
    kind: usize,
    headers: Headers,
) {
    of.with(|all| all.get(kind).map(|place| place.replace(Some(headers))));
}

/// Lets calls on the socket wait that do not say otherwise, and none longer than [`WAIT`].
pub(super) fn wait_in_kernel(socket: &UdpSocket) -> Result<(), DriverError> {
    socket.set_nonblocking(false).map_err(DriverError::socket("make the socket blocking"))?;
    socket.set_read_timeout(Some(WAIT)).map_err(DriverError::socket("limit the socket's waits"))
}

/// Sets a bound socket up: buffers, no path MTU discovery, and which address was asked.
pub(super) fn prepare(socket: &UdpSocket, buffer: usize) -> Result<(), DriverError> {
    let local = socket.local_addr().map_err(DriverError::socket("read the bound address"))?;
    socket.set_nonblocking(true).map_err(DriverError::socket("make the socket non-blocking"))?;
    // The system may grant less than asked; beyond the administrator's limit where we may (CAP_NET_ADMIN).
    let options = socket2::SockRef::from(socket);
    let _ = options.set_recv_buffer_size(buffer);
    let _ = options.set_send_buffer_size(buffer);
    let _ = setsockopt(socket, sockopt::RcvBufForce, &buffer);
    let _ = setsockopt(socket, sockopt::SndBufForce, &buffer);
    let _ =
        rustix::net::sockopt::set_ip_mtu_discover(socket, rustix::net::sockopt::Ipv4PathMtuDiscovery::DONT);
    if local.ip().is_unspecified() {
        let told = match local {
            SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true),
            SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true),
        };
        told.map_err(|errno| DriverError::Socket { doing: "ask for packet info", source: errno.into() })?;
    }
    Ok(())
}

/// How many blocks of `block` octets fit into one segmented send.
pub(super) fn segments_of(block: usize) -> usize {
    (SEGMENTED_OCTETS / (block + 4)).clamp(1, SEGMENTS)
}

fn asked_address(message: &nix::sys::socket::RecvMsg<'_, '_, SockaddrStorage>) -> Option<IpAddr> {
    message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(IpAddr::V4(Ipv4Addr::from_bits(u32::from_be(info.ipi_spec_dst.s_addr))))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)).to_canonical())
        }
        _ => None,
    })
}

const fn packet_info_v4(from: Ipv4Addr) -> libc::in_pktinfo {
    let none = libc::in_addr { s_addr: 0 };
    libc::in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: libc::in_addr { s_addr: from.to_bits().to_be() },
        ipi_addr: none,
    }
}

const fn packet_info_v6(from: Ipv6Addr) -> libc::in6_pktinfo {
    libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: from.octets() }, ipi6_ifindex: 0 }
}

fn to_std(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::from((v4.ip(), v4.port())));
    }
    let v6 = address.as_sockaddr_in6()?;
    Some(std::net::SocketAddrV6::new(v6.ip(), v6.port(), v6.flowinfo(), v6.scope_id()).into())
}
