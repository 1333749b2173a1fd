//! The DHCP client of a simulated machine: requests as firmware and iPXE send them (RFC 2131, RFC 4578), sent as whole
//! frames with the machine's MAC and without an address; replies are told apart by transaction id.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Mutex};

use nix::sys::socket::{LinkAddr, MsgFlags, sendto};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::SimulatedMachine;
use super::lease;
use crate::error::{LabError, Result};
use crate::network::INTERFACE;
use crate::pump::link_address;

/// Replies that may wait for one machine.
const INBOX: usize = 16;
const MAGIC: [u8; 4] = [99, 130, 83, 99];

/// The shared wire of all machines.
pub(super) struct Wire {
    raw: socket2::Socket,
    link: LinkAddr,
    udp: UdpSocket,
    waiting: Mutex<HashMap<u32, mpsc::Sender<Reply>>>,
}

impl Wire {
    /// Opens it in the namespace of the calling thread.
    pub(super) fn open() -> Result<Arc<Self>> {
        let link = link_address(INTERFACE)?;
        let raw = socket2::Socket::new(socket2::Domain::PACKET, socket2::Type::RAW, None);
        let raw = raw.map_err(LabError::io("open a packet socket"))?;
        let udp = lease::bind(68)?;
        Ok(Arc::new(Self { raw, link, udp, waiting: Mutex::default() }))
    }

    /// Hands replies to the machines that wait for them, for ever.
    pub(super) async fn receive(&self) {
        let mut datagram = vec![0; 1500];
        loop {
            let Ok((length, _)) = self.udp.recv_from(&mut datagram).await else { continue };
            let Some(reply) = datagram.get(..length).and_then(Reply::parse) else { continue };
            let inbox = self.waiting.lock().ok().and_then(|waiting| waiting.get(&reply.xid).cloned());
            if let Some(inbox) = inbox {
                let _ = inbox.try_send(reply); // a machine with 16 unread replies misses the next
            }
        }
    }

    /// From now on replies with this id are kept; they stop when the value is dropped.
    pub(super) fn listen(self: &Arc<Self>, xid: u32) -> Listening {
        let (sender, replies) = mpsc::channel(INBOX);
        if let Ok(mut waiting) = self.waiting.lock() {
            waiting.insert(xid, sender);
        }
        Listening { wire: Arc::clone(self), xid, replies }
    }

    /// Broadcasts a message from a machine's MAC.
    pub(super) fn broadcast(&self, machine: &SimulatedMachine, message: &[u8]) {
        // A full queue loses the frame, as a cable would; the machine asks again.
        let _ = sendto(self.raw.as_raw_fd(), &frame(machine, message), &self.link, MsgFlags::empty());
    }
}

/// A machine that waits for replies.
pub(super) struct Listening {
    wire: Arc<Wire>,
    xid: u32,
    pub(super) replies: mpsc::Receiver<Reply>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Ok(mut waiting) = self.wire.waiting.lock() {
            waiting.remove(&self.xid);
        }
    }
}

/// What a machine reads of a reply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Reply {
    pub(super) xid: u32,
    /// Option 53.
    pub(super) kind: u8,
    pub(super) yiaddr: Ipv4Addr,
    pub(super) siaddr: Ipv4Addr,
    /// Option 54.
    pub(super) server: Option<Ipv4Addr>,
    pub(super) file: String,
}

impl Reply {
    pub(super) fn parse(message: &[u8]) -> Option<Self> {
        let reply = testkit::DhcpReply::from_message(message)?;
        let server =
            reply.option(54).and_then(|octets| Some(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?)));
        Some(Self {
            xid: u32::from_be_bytes(message.get(4..8)?.try_into().ok()?),
            kind: reply.message_type()?,
            yiaddr: reply.yiaddr,
            siaddr: reply.siaddr,
            server,
            file: reply.file,
        })
    }

    /// An OFFER without an address that names a file (PXE 2.1 §2.2.3): a proxy's.
    pub(super) fn is_proxy_offer(&self) -> bool {
        self.kind == 2 && self.yiaddr == Ipv4Addr::UNSPECIFIED && !self.file.is_empty()
    }

    /// An OFFER with an address.
    pub(super) fn is_lease_offer(&self) -> bool {
        self.kind == 2 && self.yiaddr != Ipv4Addr::UNSPECIFIED
    }
}

/// A DISCOVER; `ipxe` as the second stage sends it.
pub(super) fn discover(machine: &SimulatedMachine, xid: u32, ipxe: bool) -> Vec<u8> {
    message(machine, xid, ipxe, &[53, 1, 1])
}

/// A REQUEST for an offered address.
pub(super) fn request(
    machine: &SimulatedMachine,
    xid: u32,
    ipxe: bool,
    address: Ipv4Addr,
    server: Ipv4Addr,
) -> Vec<u8> {
    let mut options = vec![53, 1, 3, 50, 4];
    options.extend(address.octets());
    options.extend([54, 4]);
    options.extend(server.octets());
    message(machine, xid, ipxe, &options)
}

fn message(machine: &SimulatedMachine, xid: u32, ipxe: bool, options: &[u8]) -> Vec<u8> {
    let mut message = vec![1, 1, 6, 0];
    message.extend(xid.to_be_bytes());
    message.extend([0, 0, 0x80, 0]); // no seconds; answer by broadcast
    message.extend([0; 16]);
    message.extend(machine.mac.0);
    message.resize(236, 0);
    message.extend(MAGIC);
    message.extend(options);
    message.extend([57, 2, 0x05, 0xc0, 55, 6, 1, 3, 43, 60, 66, 67]);
    message.extend([60, 32]);
    message.extend(b"PXEClient:Arch:00000:UNDI:002001");
    message.extend([93, 2, 0, 0, 94, 3, 1, 2, 1, 97, 17, 0]);
    message.extend(smbios_order(machine.uuid.0));
    if ipxe {
        message.extend([77, 4]);
        message.extend(b"iPXE"); // without RFC 3004's length octet, as iPXE sends it
        message.extend([175, 6, 19, 1, 1, 24, 1, 1]); // features: http, bzImage
    }
    message.push(255);
    message.resize(message.len().max(300), 0);
    message
}

/// SMBIOS keeps the first three fields little-endian (§7.2.1), and so does option 97.
fn smbios_order(uuid: [u8; 16]) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = uuid;
    [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]
}

/// Ethernet, IPv4 without an address, UDP 68 → 67 (RFC 2131 §4.1).
fn frame(machine: &SimulatedMachine, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend(machine.mac.0);
    frame.extend([0x08, 0x00]);
    let length = |octets: usize| u16::try_from(octets).unwrap_or(u16::MAX).to_be_bytes();
    let mut header = vec![0x45, 0];
    header.extend(length(28 + message.len()));
    header.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    header.extend([0, 0, 0, 0, 255, 255, 255, 255]);
    let mut sum: u32 = header
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |word, octet| word << 8 | u32::from(*octet)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    if let Some(place) = header.get_mut(10..12) {
        place.copy_from_slice(&(!u16::try_from(sum).unwrap_or_default()).to_be_bytes());
    }
    frame.extend(header);
    frame.extend([0, 68, 0, 67]);
    frame.extend(length(8 + message.len()));
    frame.extend([0, 0]); // UDP over IPv4 may go without a checksum (RFC 768)
    frame.extend(message);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::frame::Udp;

    #[test]
    fn a_discover_is_a_frame_others_can_read() {
        let machine = SimulatedMachine::new(0);
        let frame = frame(&machine, &discover(&machine, 1, true));
        let udp = Udp::parse(&frame).unwrap();
        assert_eq!((udp.from.port(), udp.to.to_string().as_str()), (68, "255.255.255.255:67"));
        assert_eq!(udp.from_mac, machine.mac.0);
        assert!(udp.payload.windows(6).any(|window| window == [77, 4, b'i', b'P', b'X', b'E']));
        assert!(udp.payload.windows(5).any(|window| window == [97, 17, 0, 0x51, 0x63]));
    }
}
