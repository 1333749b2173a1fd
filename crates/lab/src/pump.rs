//! The cable of a machine where no tap can be had: QEMU's `-netdev stream` on one side, a packet socket on the free
//! end of a veth on the other. Called by `Lab::up` without root; frames pass unchanged but for their checksums, which
//! a virtual interface leaves unfilled.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::socket::{LinkAddr, MsgFlags, sendto};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use crate::capture::EVERY_PROTOCOL;
use crate::error::{LabError, Result};

/// How soon the threads see that they should end.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// The longest frame that is passed on; the lab's interfaces send 1514.
pub(crate) const LONGEST: usize = 65_536;
const BUFFER: usize = 4 << 20;

/// A cable in use; dropping it unplugs the machine.
#[derive(Debug)]
pub struct Pump {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pump {
    /// Listens on `socket` for QEMU and joins it to `interface`, in the namespace of the calling thread.
    ///
    /// # Errors
    /// [`LabError::Io`] when the socket or the interface cannot be had.
    pub fn start(interface: &str, socket: &Path) -> Result<Self> {
        let listener =
            UnixListener::bind(socket).map_err(LabError::io(format!("listen on {}", socket.display())))?;
        listener.set_nonblocking(true).map_err(LabError::io("set a socket up"))?;
        let link = link_address(interface)?;
        let index = u32::try_from(link.ifindex()).unwrap_or_default();
        let wire = Arc::new(open(index).map_err(LabError::io(format!("open {interface}")))?);
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let work = move || {
            while !seen.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((machine, _)) => carry(&machine, &wire, &link, &seen),
                    Err(_) => std::thread::sleep(TICK),
                }
            }
        };
        let thread = std::thread::Builder::new().name(format!("pump {interface}")).spawn(work);
        Ok(Self { stop, thread: Some(thread.map_err(LabError::io("start a thread"))?) })
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it has nothing to say
        }
    }
}

pub(crate) fn link_address(interface: &str) -> Result<LinkAddr> {
    let addresses = nix::ifaddrs::getifaddrs().map_err(LabError::errno("list the interfaces"))?;
    addresses
        .filter(|address| address.interface_name == interface)
        .find_map(|address| address.address?.as_link_addr().copied())
        .ok_or_else(|| LabError::Config(format!("no interface {interface}")))
}

/// A packet socket that is not bound sees every interface; the filter keeps what comes in at one
/// (`SKF_AD_IFINDEX`, `SKF_AD_PKTTYPE`).
fn open(index: u32) -> std::io::Result<Socket> {
    const LOAD_WORD: u16 = 0x20;
    const JUMP_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const INTERFACE_INDEX: u32 = 0xffff_f008;
    const PACKET_TYPE: u32 = 0xffff_f004;
    const OUTGOING: u32 = 4;
    let filter = [
        SockFilter::new(LOAD_WORD, 0, 0, INTERFACE_INDEX),
        SockFilter::new(JUMP_EQUAL, 0, 3, index),
        SockFilter::new(LOAD_WORD, 0, 0, PACKET_TYPE),
        SockFilter::new(JUMP_EQUAL, 1, 0, OUTGOING),
        SockFilter::new(RETURN, 0, 0, LONGEST as u32),
        SockFilter::new(RETURN, 0, 0, 0),
    ];
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(EVERY_PROTOCOL)))?;
    socket.attach_filter(&filter)?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.set_read_timeout(Some(TICK))?;
    Ok(socket)
}

/// Both directions until QEMU hangs up.
fn carry(machine: &UnixStream, wire: &Socket, link: &LinkAddr, stop: &AtomicBool) {
    let over = AtomicBool::new(false);
    if machine.set_nonblocking(false).and_then(|()| machine.set_read_timeout(Some(TICK))).is_err() {
        return;
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            to_machine(wire, machine, || stop.load(Ordering::Relaxed) || over.load(Ordering::Relaxed));
        });
        to_wire(machine, wire, link, || stop.load(Ordering::Relaxed));
        over.store(true, Ordering::Relaxed);
    });
}

/// QEMU's framing: four octets of length, most significant first, then the frame.
fn to_machine(mut wire: &Socket, mut machine: &UnixStream, done: impl Fn() -> bool) {
    let mut frame = vec![0; 4 + LONGEST];
    while !done() {
        let Some(place) = frame.get_mut(4..) else { return };
        let length = match wire.read(place) {
            Ok(length) => length,
            Err(error) if is_pause(error.kind()) => continue,
            Err(_) => return,
        };
        if let Some(place) = place.get_mut(..length) {
            fill_checksum(place);
        }
        let Ok(prefix) = u32::try_from(length) else { continue };
        if let Some(place) = frame.get_mut(..4) {
            place.copy_from_slice(&prefix.to_be_bytes());
        }
        if machine.write_all(frame.get(..4 + length).unwrap_or_default()).is_err() {
            return;
        }
    }
}

fn to_wire(mut machine: &UnixStream, wire: &Socket, link: &LinkAddr, done: impl Fn() -> bool) {
    let (mut pending, mut chunk) = (Vec::new(), vec![0; LONGEST]);
    while !done() {
        match machine.read(&mut chunk) {
            Ok(0) => return,
            Ok(length) => pending.extend(chunk.get(..length).unwrap_or_default()),
            Err(error) if is_pause(error.kind()) => continue,
            Err(_) => return,
        }
        while let Some((frame, used)) = first_frame(&pending) {
            // A full queue loses the frame, as a cable would.
            let _ = sendto(wire.as_raw_fd(), frame, link, MsgFlags::empty());
            pending.drain(..used);
        }
        if pending.len() > 4 + LONGEST {
            return; // no frame is that long: out of step
        }
    }
}

fn first_frame(octets: &[u8]) -> Option<(&[u8], usize)> {
    let (prefix, rest) = octets.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*prefix)).ok()?;
    Some((rest.get(..length)?, 4 + length))
}

pub(crate) fn is_pause(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Computes the checksum of a TCP or UDP segment over IPv4 or IPv6 (RFC 1071, RFC 768, RFC 9293 §3.1, RFC 8200 §8.1).
/// A fragment, or anything else, stays as it is.
pub(crate) fn fill_checksum(frame: &mut [u8]) {
    let Some((ip, addresses, protocol, transport)) = layout(frame) else { return };
    let field = match protocol {
        6 => transport.start + 16,
        17 => transport.start + 6,
        _ => return,
    };
    let Some(place) = frame.get_mut(field..field + 2).filter(|_| field + 2 <= transport.end) else { return };
    if protocol == 17 && ip == 4 && place == [0, 0] {
        return; // the sender chose not to have one
    }
    place.fill(0);
    let length = transport.len();
    let pseudo = length + usize::from(protocol);
    let sum =
        words(frame.get(addresses)) + words(frame.get(transport)) + u64::try_from(pseudo).unwrap_or_default();
    let folded = fold(sum);
    let checksum = if folded == 0 && protocol == 17 { 0xffff } else { folded };
    if let Some(place) = frame.get_mut(field..field + 2) {
        place.copy_from_slice(&checksum.to_be_bytes());
    }
}

type Range = std::ops::Range<usize>;

/// Version, where the addresses are, the protocol, where the segment is.
fn layout(frame: &[u8]) -> Option<(u8, Range, u8, Range)> {
    let u16_at = |at: usize| frame.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes);
    match u16_at(12)? {
        0x0800 => {
            let header = usize::from(frame.get(14)? & 15) * 4;
            let end = 14 + usize::from(u16_at(16)?);
            let whole = u16_at(20)? & 0x3fff == 0;
            (whole && end <= frame.len() && 14 + header <= end).then_some((
                4,
                26..34,
                *frame.get(23)?,
                14 + header..end,
            ))
        }
        0x86dd => {
            let end = 54 + usize::from(u16_at(18)?);
            (end <= frame.len()).then_some((6, 22..54, *frame.get(20)?, 54..end))
        }
        _ => None,
    }
}

fn words(octets: Option<&[u8]>) -> u64 {
    let chunks = octets.unwrap_or_default().chunks(2);
    chunks
        .map(|pair| {
            pair.iter().zip([256_u64, 1]).map(|(octet, weight)| u64::from(*octet) * weight).sum::<u64>()
        })
        .sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An Ethernet frame with IPv4 and UDP, checksum as given (RFC 768).
    fn udp(checksum: [u8; 2]) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([8, 0, 0x45, 0, 0, 31, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([0, 67, 0, 68, 0, 11, checksum[0], checksum[1], 1, 2, 3]);
        frame
    }

    #[test]
    fn a_checksum_is_right_or_left_out() {
        let mut frame = udp([0x13, 0x37]);
        fill_checksum(&mut frame);
        // RFC 1071 §1: the sum over everything, checksum and pseudo header included, is all ones.
        let sum = words(frame.get(26..34)) + words(frame.get(34..)) + 17 + 11;
        assert_eq!(fold(sum), 0);
        let mut frame = udp([0, 0]);
        fill_checksum(&mut frame);
        assert_eq!(frame, udp([0, 0]));
    }

    #[test]
    fn short_and_foreign_frames_stay() {
        let whole = udp([1, 2]);
        for end in 0..whole.len() {
            let mut frame = whole[..end].to_vec();
            fill_checksum(&mut frame);
            assert_eq!(frame, whole[..end]);
        }
        let mut fragment = udp([1, 2]);
        fragment[20] = 0x20;
        let before = fragment.clone();
        fill_checksum(&mut fragment);
        assert_eq!(fragment, before);
    }

    #[test]
    fn frames_out_of_a_stream() {
        assert_eq!(first_frame(&[0, 0, 0, 2, 7, 8, 9]), Some(([7, 8].as_slice(), 6)));
        assert_eq!(first_frame(&[0, 0, 0, 2, 7]), None);
        assert_eq!(first_frame(&[0, 0]), None);
    }
}
