//! The loop of the server: frames and datagrams in, replies out, an event for each.

use super::event::{Event, EventSink, Reason};
use super::filter;
use super::interface::Interface;
use super::packet_socket::{BATCH, IPV4, IPV6, Inbox, Outbox, PacketSocket};
use super::udp_socket::{BootServerSocket, control_buffer};
use super::{Decide, Decision, DriverError, ServerConfig};
use crate::clients::Clients;
use crate::reply::{Destination, Reply};
use crate::request::{Arrival, BootRequest, Port};
use crate::responder::Responder;
use crate::wire::frame::{self, UdpFrame};
use crate::wire::{MacAddr, Message, MessageType, RouterSolicitation, advertisement};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::cell::RefCell;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A machine that was sent an answer this long ago is still booting: its router solicitations are answered.
const BOOTING: Duration = Duration::from_secs(60);
/// Interfaces are read again after this long, when a packet comes.
const INTERFACE_AGE: Duration = Duration::from_secs(2);
/// ff02::2, where router solicitations go.
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// A server with its sockets open.
#[derive(Debug)]
pub struct Server {
    dhcp: Vec<(Interface, PacketSocket)>,
    routers: Vec<PacketSocket>,
    boot_server: BootServerSocket,
    all_routers: Option<socket2::Socket>,
    machines: usize,
}

impl Server {
    /// Opens every socket: per interface a packet socket for port 67, and UDP port 4011. Afterwards privileges may be
    /// dropped.
    ///
    /// # Errors
    /// An interface that does not exist or is not Ethernet; a socket that is refused.
    pub fn bind(config: &ServerConfig) -> Result<Self, DriverError> {
        if config.interfaces.is_empty() {
            return Err(DriverError::NoInterfaces);
        }
        let (mut dhcp, mut routers) = (Vec::new(), Vec::new());
        let refused = |interface: &Interface| {
            let interface = interface.name.clone();
            move |source| DriverError::PacketSocket { interface, source }
        };
        let mut all_routers = None;
        for name in &config.interfaces {
            let interface = Interface::read(name)?;
            let open =
                |protocol, filter| PacketSocket::open(&interface, protocol, filter, config.receive_buffer);
            let socket = open(IPV4, filter::DHCP_REQUESTS).map_err(refused(&interface))?;
            if config.answer_router_solicitations {
                let socket = open(IPV6, filter::ROUTER_DISCOVERY).map_err(refused(&interface))?;
                // Cards drop multicast that nobody on the host asked for; a host without IPv6 cannot ask.
                all_routers = all_routers
                    .or_else(|| socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None).ok());
                if let Some(member) = &all_routers {
                    let _ = member.join_multicast_v6(&ALL_ROUTERS, interface.index());
                }
                routers.push(socket);
            }
            dhcp.push((interface, socket));
        }
        let port = Port::BootServer.number();
        let boot_server = BootServerSocket::open(port, config.receive_buffer)
            .map_err(|source| DriverError::BootServerSocket { source })?;
        Ok(Self { dhcp, routers, boot_server, all_routers, machines: config.machines })
    }

    /// Serves until `shutdown` completes, on one thread of the runtime's blocking pool, which is ended before this
    /// returns and also when the future is dropped.
    ///
    /// # Errors
    /// The system refuses to wait for packets.
    pub async fn run(
        self,
        responder: Responder,
        decide: Arc<dyn Decide>,
        events: EventSink,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), DriverError> {
        let runtime = |doing| move |source| DriverError::Runtime { doing, source };
        let (wake, woken) = UnixStream::pair().map_err(runtime("opening a pair of sockets"))?;
        let mut serving = tokio::task::spawn_blocking(move || {
            let seed = RandomState::new().hash_one(self.machines);
            let clients = RefCell::new(Clients::new(self.machines, seed));
            serve(self, &Shared { responder, decide, events, clients }, &woken)
        });
        let ended = tokio::select! {
            () = shutdown => {
                drop(wake);
                serving.await
            }
            ended = &mut serving => ended,
        };
        let ended = ended.map_err(|panic| runtime("serving")(io::Error::other(panic)))?;
        ended.map_err(runtime("waiting for packets"))
    }
}

/// What every part of a running server shares.
struct Shared {
    responder: Responder,
    decide: Arc<dyn Decide>,
    events: EventSink,
    clients: RefCell<Clients>,
}

/// An interface that is read again when it is old.
struct Cached {
    interface: Interface,
    read: Instant,
}

impl Cached {
    fn new(interface: Interface) -> Self {
        Self { interface, read: clock() }
    }

    fn refresh(&mut self, now: Instant) -> &Interface {
        if now.saturating_duration_since(self.read) > INTERFACE_AGE {
            self.read = now;
            if let Ok(interface) = Interface::read(&self.interface.name) {
                self.interface = interface;
            }
        }
        &self.interface
    }
}

#[expect(clippy::disallowed_methods, reason = "drivers read the clock")]
fn clock() -> Instant {
    Instant::now()
}

/// Waits for any socket and serves those that are ready, until the other end of `woken` is closed.
fn serve(server: Server, shared: &Shared, woken: &UnixStream) -> io::Result<()> {
    let Server { dhcp, routers, boot_server, all_routers: _joined, machines: _ } = server;
    let (mut interfaces, dhcp): (Vec<Cached>, Vec<PacketSocket>) =
        dhcp.into_iter().map(|(interface, socket)| (Cached::new(interface), socket)).unzip();
    let (mut inbox, mut outbox, mut datagrams) = (Inbox::new(), Outbox::new(), Datagrams::new());
    let mut waiting: Vec<PollFd<'_>> = [woken.as_fd(), boot_server.as_fd()]
        .into_iter()
        .chain(dhcp.iter().map(AsFd::as_fd))
        .chain(routers.iter().map(AsFd::as_fd))
        .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
        .collect();
    loop {
        match poll(&mut waiting, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let now = clock();
        let mut ready = waiting.iter().map(|one| one.any().unwrap_or(true));
        if ready.next() == Some(true) {
            return Ok(());
        }
        if ready.next() == Some(true) {
            shared.serve_boot_server(now, &mut interfaces, &boot_server, &mut datagrams);
        }
        for ((cached, socket), _) in
            interfaces.iter_mut().zip(&dhcp).zip(&mut ready).filter(|(_, ready)| *ready)
        {
            let interface = cached.refresh(now);
            let take = |frame: &[u8], outbox: &mut Outbox| shared.handle_frame(now, interface, frame, outbox);
            shared.serve_packets(interface, socket, &mut inbox, &mut outbox, take);
        }
        for ((cached, socket), _) in
            interfaces.iter_mut().zip(&routers).zip(&mut ready).filter(|(_, ready)| *ready)
        {
            let interface = cached.refresh(now);
            let take =
                |frame: &[u8], outbox: &mut Outbox| shared.handle_solicitation(now, interface, frame, outbox);
            shared.serve_packets(interface, socket, &mut inbox, &mut outbox, take);
        }
    }
}

/// Buffers of port 4011.
struct Datagrams {
    datagram: Box<[u8; 2048]>,
    control: Vec<u8>,
    reply: Vec<u8>,
}

impl Datagrams {
    fn new() -> Self {
        Self { datagram: Box::new([0; 2048]), control: control_buffer(), reply: Vec::with_capacity(1472) }
    }
}

impl Shared {
    /// One batch of frames in, their replies out.
    fn serve_packets(
        &self,
        interface: &Interface,
        socket: &PacketSocket,
        inbox: &mut Inbox,
        outbox: &mut Outbox,
        take: impl Fn(&[u8], &mut Outbox),
    ) {
        match socket.receive(inbox, |frame| take(frame, outbox)) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                self.failed("receiving frames", interface, error);
            }
            _ => {}
        }
        if !outbox.is_empty()
            && let Err(error) = socket.send(outbox)
        {
            self.failed("sending frames", interface, error);
        }
    }

    /// Up to a batch of datagrams of port 4011.
    fn serve_boot_server(
        &self,
        now: Instant,
        interfaces: &mut [Cached],
        socket: &BootServerSocket,
        buffers: &mut Datagrams,
    ) {
        let Datagrams { datagram, control, reply: out } = buffers;
        for _ in 0..BATCH {
            let received = match socket.receive(datagram.as_mut_slice(), control) {
                Ok(Some(received)) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(None) | Err(_) => continue, // an ICMP error of an earlier reply: the machine asks again
            };
            let mut ours = interfaces.iter_mut();
            let Some(cached) = ours.find(|one| one.interface.index() == received.interface) else {
                continue; // an interface that is not ours to serve
            };
            let interface = cached.refresh(now);
            let arrival = Arrival {
                interface: &interface.name,
                subnets: &interface.subnets,
                port: Port::BootServer,
                source: received.source,
            };
            let payload = datagram.get(..received.length).unwrap_or_default();
            self.answer(now, arrival, payload, |reply| {
                out.clear();
                reply.encode(out)?;
                let to = reply.destination().address();
                if let Err(error) = socket.send(out, reply.server(), interface.index(), to) {
                    self.failed("sending from port 4011", interface, error);
                }
                Some(())
            });
        }
    }

    /// A router solicitation of a machine that boots is answered; everything else is not ours.
    fn handle_solicitation(&self, now: Instant, interface: &Interface, frame: &[u8], outbox: &mut Outbox) {
        let Ok(asked) = RouterSolicitation::parse(frame) else { return };
        if !self.clients.borrow().was_offered(now, asked.source_mac, BOOTING) {
            return;
        }
        let start = outbox.octets.len();
        outbox.octets.extend_from_slice(&advertisement(interface.mac, interface.link_local(), &asked));
        outbox.push(start);
        (self.events)(Event::RouterSolicitationAnswered {
            mac: asked.source_mac,
            interface: &interface.name,
        });
    }

    fn handle_frame(&self, now: Instant, interface: &Interface, frame: &[u8], outbox: &mut Outbox) {
        let name = &interface.name;
        let udp = match UdpFrame::parse(frame) {
            Ok(udp) => udp,
            Err(error) => return self.ignored(None, name, Port::Dhcp, Reason::Malformed(error)),
        };
        let to = *udp.destination.ip();
        let ours = |address: Ipv4Addr| {
            interface.subnets.iter().any(|subnet| subnet.address == address || subnet.broadcast() == address)
        };
        if !to.is_broadcast() && !ours(to) {
            return self.ignored(None, name, Port::Dhcp, Reason::NotForUs(to));
        }
        let arrival =
            Arrival { interface: name, subnets: &interface.subnets, port: Port::Dhcp, source: udp.source };
        self.answer(now, arrival, udp.payload, |reply| {
            let start = outbox.octets.len();
            outbox.octets.resize(start + frame::HEADERS, 0);
            let written = reply.encode(&mut outbox.octets);
            let to_mac = match reply.destination() {
                Destination::Broadcast(_) => MacAddr::BROADCAST,
                Destination::Source(_) | Destination::Relay(_) => udp.source_mac,
            };
            let from = SocketAddrV4::new(reply.server(), Port::Dhcp.number());
            let octets = outbox.octets.get_mut(start..).unwrap_or_default();
            let to = reply.destination().address();
            if written.is_none() || !frame::seal(octets, interface.mac, to_mac, from, to) {
                outbox.octets.truncate(start);
                return None;
            }
            outbox.push(start);
            Some(())
        });
    }

    /// Reads one datagram, decides, lets `send` write the reply and tells what happened.
    fn answer(
        &self,
        now: Instant,
        arrival: Arrival<'_>,
        datagram: &[u8],
        send: impl FnOnce(&Reply<'_>) -> Option<()>,
    ) {
        let (interface, port) = (arrival.interface, arrival.port);
        let message = match Message::parse(datagram) {
            Ok(message) => message,
            Err(error) => return self.ignored(None, interface, port, Reason::Malformed(error)),
        };
        let request = BootRequest::new(message, arrival);
        let reply = match self.responder.respond(&request) {
            Ok(reply) => reply,
            Err(why) => return self.ignored(request.mac(), interface, port, Reason::Ignored(why)),
        };
        let Some(mac) = request.mac() else { return };
        if request.message_type == Some(MessageType::Discover) {
            self.clients.borrow_mut().discover(now, mac, message.xid);
        }
        if let Decision::Silent(why) = self.decide.decide(&request) {
            return self.ignored(Some(mac), interface, port, Reason::Decided(&why));
        }
        if send(&reply).is_none() {
            return self.ignored(Some(mac), interface, port, Reason::TooLong);
        }
        let client = self.clients.borrow_mut().offered(now, mac, message.xid, reply.stage());
        (self.events)(Event::Offered {
            mac,
            uuid: request.uuid(),
            arch: reply.arch(),
            stage: reply.stage(),
            file: reply.file(),
            interface,
            port,
            message: reply.message(),
            to: reply.destination().address(),
            rule: reply.rule(),
            loaders: client.map_or(0, |client| client.loaders),
        });
    }

    fn ignored(&self, mac: Option<MacAddr>, interface: &str, port: Port, reason: Reason<'_>) {
        (self.events)(Event::Ignored { mac, interface, port, reason });
    }

    fn failed(&self, doing: &'static str, interface: &Interface, error: io::Error) {
        (self.events)(Event::Failed { doing, interface: &interface.name, error });
    }
}
