//! One packet of a running server: read, followed, decided, answered, told.

use super::delayed::Delayed;
use super::event::{Event, EventSink, Reason};
use super::link::Link;
use super::packet_socket::{Inbox, Outbox, PacketSocket};
use super::udp_socket::{Answers, BootServerSocket, Datagrams};
use super::{Decide, Decision, Reloader};
use crate::clients::Clients;
use crate::reply::{Destination, Reply};
use crate::request::{Arrival, BootRequest, Port};
use crate::responder::Responder;
use crate::why::Why;
use crate::wire::frame::{self, UdpFrame};
use crate::wire::{
    MacAddr, Message, MessageType, Op, RouterSolicitation, advertisement, advertising_router, code,
};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A machine that was sent an answer this long ago is still booting: its router solicitations are answered.
const BOOTING: Duration = Duration::from_secs(60);
/// Another responder is told about again after this long.
const FOREIGN_AGAIN: Duration = Duration::from_secs(60);
/// DHCPOFFER and DHCPACK (RFC 2132 §9.6).
const OFFER: u8 = 2;
const ACK: u8 = 5;
/// Other responders remembered.
const FOREIGN: usize = 8;

/// Others on the network, and when each was last told about.
pub(super) type Servers = [Option<(Ipv4Addr, Instant)>; FOREIGN];

/// Whether a server is to be told about now; then it is noted, in the place of the one told about longest ago.
fn is_news(servers: &mut Servers, server: Ipv4Addr, now: Instant) -> bool {
    let known = servers.iter_mut().flatten().find(|(known, _)| *known == server);
    match known {
        Some((_, told)) if now.saturating_duration_since(*told) < FOREIGN_AGAIN => return false,
        Some((_, told)) => *told = now,
        None => {
            let oldest = servers.iter_mut().min_by_key(|slot| slot.map(|(_, told)| told));
            if let Some(slot) = oldest {
                *slot = Some((server, now));
            }
        }
    }
    true
}

/// What a running server remembers and tells.
pub(super) struct Answerer {
    pub(super) responder: Arc<Responder>,
    pub(super) latest: Reloader,
    pub(super) decide: Arc<dyn Decide>,
    pub(super) events: EventSink,
    pub(super) clients: Clients,
    pub(super) why: Why,
    pub(super) delayed: Delayed,
    pub(super) foreign: Servers,
    pub(super) lease_servers: Servers,
}

/// Buffers that are kept from packet to packet.
pub(super) struct Buffers {
    pub(super) inbox: Inbox,
    outbox: Outbox,
    datagrams: Datagrams,
    answers: Answers,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self {
            inbox: Inbox::new(),
            outbox: Outbox::new(),
            datagrams: Datagrams::new(),
            answers: Answers::new(),
        }
    }
}

impl Answerer {
    /// A batch of frames of one link in, their replies out; with `wait`, the first may be a little in coming. Gives
    /// their number when each of them was a request that was answered at once, else 0, and when they came.
    pub(super) fn serve_frames(
        &mut self,
        number: usize,
        link: &Link,
        buffers: &mut Buffers,
        wait: bool,
    ) -> (usize, Instant) {
        self.serve(link, &link.dhcp, buffers, wait, |this, now, frame, outbox| {
            this.handle_frame(now, number, link, frame, outbox);
        })
    }

    /// Takes another policy, where there is one: after each wait, so that what comes later is answered by it.
    fn renew(&mut self) {
        if self.latest.is_new() {
            self.responder = self.latest.current();
        }
    }

    /// A batch of router solicitations in, advertisements out.
    pub(super) fn serve_routers(&mut self, link: &Link, buffers: &mut Buffers) {
        if let Some(socket) = &link.routers {
            self.serve(link, socket, buffers, false, |this, now, frame, outbox| {
                this.handle_solicitation(now, link, frame, outbox);
            });
        }
    }

    fn serve(
        &mut self,
        link: &Link,
        socket: &PacketSocket,
        buffers: &mut Buffers,
        wait: bool,
        mut take: impl FnMut(&mut Self, Instant, &[u8], &mut Outbox),
    ) -> (usize, Instant) {
        let Buffers { inbox, outbox, .. } = buffers;
        let received = socket.receive(inbox, wait);
        let now = clock();
        if let Err(error) = received {
            if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
                self.failed("receiving frames", link, error);
            }
            return (0, now);
        }
        self.renew();
        inbox.frames().for_each(|frame| take(self, now, frame, outbox));
        let answered = outbox.count();
        if answered > 0
            && let Err(error) = socket.send(outbox)
        {
            self.failed("sending frames", link, error);
        }
        (if answered == inbox.count() { answered } else { 0 }, now)
    }

    /// A batch of datagrams of port 4011 in, their answers out.
    pub(super) fn serve_boot_server(
        &mut self,
        links: &[Link],
        socket: &BootServerSocket,
        buffers: &mut Buffers,
    ) {
        let Buffers { datagrams, answers, .. } = buffers;
        if socket.receive(datagrams).is_err() {
            return; // nothing is there, or an ICMP error of an earlier answer: the machine asks again
        }
        self.renew();
        let now = clock();
        let mut last = None;
        for (payload, received) in datagrams.datagrams() {
            let Some(link) = links.iter().find(|link| link.interface.index() == received.interface) else {
                continue; // an interface that is not ours to serve
            };
            let interface = &link.interface;
            last = Some(link);
            let arrival = Arrival {
                interface: &interface.name,
                subnets: &interface.subnets,
                port: Port::BootServer,
                source: received.source,
            };
            let request = match Message::parse(payload) {
                Ok(message) => BootRequest::new(message, arrival),
                Err(error) => {
                    self.ignored(None, &interface.name, Port::BootServer, Reason::Malformed(error));
                    continue;
                }
            };
            self.answer(now, &request, |this, reply| {
                if !answers.goes_with(reply.server(), interface.index())
                    && let Err(error) = socket.send(answers)
                {
                    this.failed("sending from port 4011", link, error);
                }
                let start = answers.octets.len();
                reply.encode(&mut answers.octets).ok_or(Reason::TooLong)?;
                answers.push(start, reply.server(), interface.index(), reply.destination().address());
                Ok(())
            });
        }
        if let Some(link) = last.filter(|_| !answers.is_empty())
            && let Err(error) = socket.send(answers)
        {
            self.failed("sending from port 4011", link, error);
        }
    }

    /// A router solicitation of a machine that boots is answered, where no router does; everything else is not ours.
    fn handle_solicitation(&mut self, now: Instant, link: &Link, frame: &[u8], outbox: &mut Outbox) {
        let interface = &link.interface;
        if advertising_router(frame).is_some_and(|router| router != interface.mac) {
            return link.saw_router(now);
        }
        let Ok(asked) = RouterSolicitation::parse(frame) else { return };
        if link.has_router(now) || !self.clients.was_offered(now, asked.source_mac, BOOTING) {
            return;
        }
        let start = outbox.octets.len();
        outbox.octets.extend_from_slice(&advertisement(interface.mac, interface.link_local(), &asked));
        outbox.push(start);
        let (mac, interface) = (asked.source_mac, interface.name.as_str());
        (self.events)(Event::RouterSolicitationAnswered { mac, interface });
    }

    fn handle_frame(&mut self, now: Instant, number: usize, link: &Link, frame: &[u8], outbox: &mut Outbox) {
        let interface = &link.interface;
        let name = &interface.name;
        let udp = match UdpFrame::parse(frame) {
            Ok(udp) => udp,
            Err(error) => return self.ignored(None, name, Port::Dhcp, Reason::Malformed(error)),
        };
        if udp.destination.port() != Port::Dhcp.number() {
            self.why.see(now, &udp); // 4011 has a socket; a TFTP read is only followed
            if udp.destination.port() == 68 {
                self.look_for_others(now, name, &udp);
            }
            return;
        }
        let to = *udp.destination.ip();
        let arrival =
            Arrival { interface: name, subnets: &interface.subnets, port: Port::Dhcp, source: udp.source };
        let request = Message::parse(udp.payload).map(|message| BootRequest::new(message, arrival));
        match &request {
            Ok(request) if request.message.op == Op::Request => self.why.see_request(now, request, to),
            _ => self.why.see(now, &udp), // what a server says to a relay
        }
        let ours = |address: Ipv4Addr| {
            interface.subnets.iter().any(|subnet| subnet.address == address || subnet.broadcast() == address)
        };
        if !to.is_broadcast() && !ours(to) {
            return self.ignored(None, name, Port::Dhcp, Reason::NotForUs(to));
        }
        let request = match request {
            Ok(request) => request,
            Err(error) => return self.ignored(None, name, Port::Dhcp, Reason::Malformed(error)),
        };
        self.answer(now, &request, |this, reply| {
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
                return Err(Reason::TooLong);
            }
            if reply.delay().is_zero() {
                outbox.push(start);
                return Ok(());
            }
            let held = this.delayed.push(now + reply.delay(), number, octets);
            outbox.octets.truncate(start);
            if held { Ok(()) } else { Err(Reason::TooManyDelayed) }
        });
    }

    /// Sends the answers whose time has come.
    pub(super) fn send_delayed(&mut self, now: Instant, links: &[Link], buffers: &mut Buffers) {
        while let Some((number, frame)) = self.delayed.pop(now) {
            let Some(link) = links.get(number) else { continue };
            buffers.outbox.octets.extend_from_slice(&frame);
            buffers.outbox.push(0);
            if let Err(error) = link.dhcp.send(&mut buffers.outbox) {
                self.failed("sending frames", link, error);
            }
        }
    }

    /// Tells of what booting machines lack.
    pub(super) fn tell_findings(&mut self, now: Instant) {
        while let Some(finding) = self.why.poll_finding(now) {
            (self.events)(Event::Stuck { finding });
        }
    }

    /// Decides about one request, lets `send` write the reply and tells what happened.
    fn answer(
        &mut self,
        now: Instant,
        request: &BootRequest<'_>,
        send: impl FnOnce(&mut Self, &Reply<'_>) -> Result<(), Reason<'static>>,
    ) {
        let (interface, port) = (request.arrival.interface, request.arrival.port);
        let responder = self.responder.clone();
        let reply = match responder.respond(request) {
            Ok(reply) => reply,
            Err(why) => return self.ignored(request.mac(), interface, port, Reason::Ignored(why)),
        };
        let Some(mac) = request.mac() else { return };
        if let Decision::Silent(why) = self.decide.decide(request) {
            self.why.forget(mac);
            return self.ignored(Some(mac), interface, port, Reason::Decided(&why));
        }
        if !self.clients.allow(now, mac) {
            return self.ignored(Some(mac), interface, port, Reason::TooOften);
        }
        if let Err(reason) = send(self, &reply) {
            return self.ignored(Some(mac), interface, port, reason);
        }
        self.why.answered(now, mac, &reply);
        let client = match reply.message() {
            MessageType::Offer => self.clients.offered(now, mac, request.message.xid, !reply.is_script()),
            _ => None,
        };
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

    /// A reply that says PXE and is not ours (our own are not seen) comes from another responder; any other OFFER or
    /// ACK from a lease server.
    fn look_for_others(&mut self, now: Instant, interface: &str, udp: &UdpFrame<'_>) {
        let Ok(message) = Message::parse(udp.payload) else { return };
        if message.op != Op::Reply {
            return;
        }
        let class = message.options().first(code::VENDOR_CLASS).unwrap_or_default();
        if class.starts_with(b"PXEClient") || class.starts_with(b"HTTPClient") {
            let server = *udp.source.ip();
            if is_news(&mut self.foreign, server, now) {
                (self.events)(Event::ForeignResponder { server, mac: message.mac(), interface });
            }
            return;
        }
        let kind = message.options().first(code::MESSAGE_TYPE);
        if kind != Some(&[OFFER]) && kind != Some(&[ACK]) {
            return;
        }
        // A relay's address is not the server's: RFC 2131 §4.1 has option 54 for this.
        let said =
            message.options().first(code::SERVER_ID).and_then(|octets| <[u8; 4]>::try_from(octets).ok());
        let server = said.map_or(*udp.source.ip(), Ipv4Addr::from);
        if is_news(&mut self.lease_servers, server, now) {
            (self.events)(Event::LeaseServer { server, mac: message.mac(), interface });
        }
    }

    fn ignored(&self, mac: Option<MacAddr>, interface: &str, port: Port, reason: Reason<'_>) {
        (self.events)(Event::Ignored { mac, interface, port, reason });
    }

    /// When something is to be done though no packet comes.
    pub(super) fn due(&self) -> Option<Instant> {
        [self.delayed.due(), self.why.poll_timeout()].into_iter().flatten().min()
    }

    pub(super) fn failed(&self, doing: &'static str, link: &Link, error: io::Error) {
        (self.events)(Event::Failed { doing, interface: &link.interface.name, error });
    }
}

#[expect(clippy::disallowed_methods, reason = "drivers read the clock")]
pub(super) fn clock() -> Instant {
    Instant::now()
}
