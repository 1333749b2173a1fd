//! Why a machine did not boot: follows each machine through its exchange and names the step that is missing.
//!
//! Engine layer: frames and the clock go in as values, findings come out. The driver feeds what its packet sockets see
//! and what it answered; `--dry-run` feeds a capture.

mod boot;
mod missing;

use crate::reply::{Reply, Stage};
use crate::request::{Arrival, BootRequest, Port};
use crate::table::Table;
use crate::wire::frame::UdpFrame;
use crate::wire::{ClientArch, MacAddr, Message, MessageType, Op, code};
pub use boot::{Answered, FileName};
use boot::{Boot, Step};
pub use missing::Missing;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// What one machine's boot is missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The machine.
    pub mac: MacAddr,
    /// The architecture it named first.
    pub arch: Option<ClientArch>,
    /// The step that did not come.
    pub missing: Missing,
}

/// Machines that boot now, at most as many as the table was made for.
#[derive(Debug)]
pub struct Why {
    table: Table<Boot>,
    next: Option<Instant>,
    server: Option<Ipv4Addr>,
}

impl Why {
    /// Follows at most `capacity` machines at a time.
    #[must_use]
    pub fn new(capacity: usize, seed: u64) -> Self {
        Self { table: Table::new(capacity, seed), next: None, server: None }
    }

    /// Takes answers from this address for ours, also those that are only seen: with a recording, the other responder
    /// is the second one whoever answered first.
    #[must_use]
    pub fn server(mut self, address: Ipv4Addr) -> Self {
        self.server = Some(address);
        self
    }

    /// Takes a datagram that was seen on the segment, whoever sent it.
    pub fn see(&mut self, now: Instant, frame: &UdpFrame<'_>) {
        match frame.destination.port() {
            67 | 4011 | 68 => self.see_dhcp(now, frame),
            69 => self.see_read(now, frame),
            _ => {}
        }
    }

    fn see_dhcp(&mut self, now: Instant, frame: &UdpFrame<'_>) {
        let Ok(message) = Message::parse(frame.payload) else { return };
        match message.op {
            Op::Request => {
                let port = if frame.destination.port() == 4011 { Port::BootServer } else { Port::Dhcp };
                let arrival = Arrival { interface: "", subnets: &[], port, source: frame.source };
                self.see_request(now, &BootRequest::new(message, arrival), *frame.destination.ip());
            }
            Op::Reply => self.see_reply(now, &message, frame),
        }
    }

    /// As [`Self::see`], with a request that was read already, and whom it was for.
    pub fn see_request(&mut self, now: Instant, request: &BootRequest<'_>, destination: Ipv4Addr) {
        let (message, port) = (&request.message, request.arrival.port);
        let Some(mac) = message.mac().filter(|_| message.op == Op::Request) else { return };
        // Only machines that boot from the network are followed, and those that are known to.
        if !request.is_network_boot() && self.table.get(mac).is_none() {
            return;
        }
        let stage = if request.is_ipxe() { Stage::Ipxe } else { Stage::Firmware };
        let Some(boot) = self.touch(now, mac) else { return };
        match (request.message_type, port) {
            (Some(MessageType::Discover), Port::Dhcp) if request.is_network_boot() => {
                boot.discovered(request.arch(), stage, message.xid);
            }
            (Some(MessageType::Request), Port::Dhcp) => boot.requested(),
            (_, Port::BootServer) => boot.asked_boot_server(message.xid, destination),
            _ => {}
        }
    }

    fn see_reply(&mut self, now: Instant, message: &Message<'_>, frame: &UdpFrame<'_>) {
        let Some(mac) = message.mac().filter(|mac| self.table.get(*mac).is_some()) else { return };
        let options = message.options();
        let class = options.first(code::VENDOR_CLASS).unwrap_or_default();
        let server = match options.first(code::SERVER_ID) {
            Some(&[a, b, c, d]) => Ipv4Addr::new(a, b, c, d),
            _ => *frame.source.ip(),
        };
        let ack = options.first(code::MESSAGE_TYPE) == Some(&[5]);
        let file = options.first(code::BOOT_FILE).unwrap_or(message.file());
        let pxe = class.starts_with(b"PXEClient") || class.starts_with(b"HTTPClient");
        let ours = self.server == Some(server);
        let Some(boot) = self.touch(now, mac) else { return };
        if !message.yiaddr.is_unspecified() && frame.source.port() == 67 {
            boot.leased(ack, !message.siaddr.is_unspecified() || !file.is_empty());
        }
        if pxe {
            let here = message.siaddr.is_unspecified() || message.siaddr == server;
            let menu = file.is_empty() && options.first(code::VENDOR_SPECIFIC).is_some();
            boot.answered(Answered { server, ours, xid: message.xid, file: FileName::new(file), menu, here });
        }
    }

    fn see_read(&mut self, now: Instant, frame: &UdpFrame<'_>) {
        let Some(&[0, 1]) = frame.payload.get(..2) else { return };
        let file =
            frame.payload.get(2..).unwrap_or_default().split(|octet| *octet == 0).next().unwrap_or_default();
        if self.table.get(frame.source_mac).is_some()
            && let Some(boot) = self.touch(now, frame.source_mac)
        {
            boot.read(FileName::new(file), frame.source.port());
        }
    }

    /// Takes a reply of our own; what we send is not seen on our own packet sockets.
    pub fn answered(&mut self, now: Instant, mac: MacAddr, reply: &Reply<'_>) {
        let Some(boot) = self.touch(now, mac) else { return };
        boot.answered(Answered {
            server: reply.server(),
            ours: true,
            xid: reply.request.message.xid,
            file: reply.file().map_or_else(FileName::default, |file| match file.literal() {
                Some(name) => FileName::new(name.as_bytes()),
                None => FileName::printed(file),
            }),
            menu: reply.is_menu(),
            here: reply.is_file_here(),
        });
    }

    /// Stops following a machine that is left alone on purpose.
    pub fn forget(&mut self, mac: MacAddr) {
        if let Some(boot) = self.table.get_mut(mac) {
            boot.settle();
        }
    }

    /// What some machine is missing. Call until `None` when [`Self::poll_timeout`] has passed; each is told once.
    pub fn poll_finding(&mut self, now: Instant) -> Option<Finding> {
        if self.next.is_none_or(|next| now < next) {
            return None;
        }
        let mut next = None::<Instant>;
        for (mac, boot) in self.table.iter_mut() {
            if boot.is_settled() {
                continue;
            }
            match boot.assess(now) {
                Some(missing) => return Some(Finding { mac, arch: boot.arch(), missing }),
                None if boot.is_settled() => {}
                None => {
                    let due = boot.due().max(now + Duration::from_millis(100));
                    next = Some(next.map_or(due, |next| next.min(due)));
                }
            }
        }
        self.next = next;
        None
    }

    /// When to call [`Self::poll_finding`] again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    fn touch(&mut self, now: Instant, mac: MacAddr) -> Option<&mut Boot> {
        let soon = now + Step::SHORTEST;
        self.next = Some(self.next.map_or(soon, |next| next.min(soon)));
        let boot = self.table.entry(mac, || Boot::new(now))?;
        boot.touch(now);
        Some(boot)
    }
}
