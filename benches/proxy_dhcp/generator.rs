//! Sends DISCOVERs as whole frames and takes the OFFERs, in batches, from the other end of the veth.
//!
//! It never sleeps while a loop runs: waking it would cost the server that is measured more than a request does. Only
//! one that has the server's own processor does.

use crate::server::{CLIENT, Net, SERVER, SERVER_MAC};
use kpc_benches::processors::Side;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{MsgFlags, MultiHeaders, bind, recvmmsg, sendmmsg};
use proxy_dhcp::MacAddr;
use proxy_dhcp::wire::{Header, Op, Writer, code, frame};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

const BATCH: usize = 64;
/// A closed loop waits so long for the last answers.
const LOST: Duration = Duration::from_millis(300);
/// Offset of `xid` in a frame.
pub(crate) const XID: usize = frame::HEADERS + 4;
/// Offset of the client's hardware address in a frame.
pub(crate) const CHADDR: usize = frame::HEADERS + 28;

/// What asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Bios,
    Uefi,
    Ipxe,
    /// x64 UEFI on port 4011.
    BootServer,
}

/// One run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    pub(crate) asked: usize,
    pub(crate) answered: usize,
    pub(crate) elapsed: Duration,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) cpu: Duration,
}

impl Run {
    pub(crate) fn rate(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64()
    }

    /// Microseconds per answer.
    pub(crate) fn cpu(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.answered.max(1) as f64
    }
}

/// A DISCOVER of about 300 octets, as firmware sends it.
pub(crate) fn discover(kind: Kind, xid: u32, machine: u32) -> Vec<u8> {
    let mut chaddr = [0; 16];
    chaddr[..2].copy_from_slice(&[0x52, 0x54]);
    chaddr[2..6].copy_from_slice(&machine.to_be_bytes());
    let none = Ipv4Addr::UNSPECIFIED;
    let boot_server = matches!(kind, Kind::BootServer);
    let header = Header {
        op: Op::Request,
        htype: 1,
        hlen: 6,
        hops: 0,
        xid,
        secs: 4,
        flags: if boot_server { 0 } else { 0x8000 },
        ciaddr: if boot_server { CLIENT } else { none },
        yiaddr: none,
        siaddr: none,
        giaddr: none,
        chaddr,
    };
    let (class, arch): (&[u8], u8) = match kind {
        Kind::Bios | Kind::Ipxe => (b"PXEClient:Arch:00000:UNDI:002001", 0),
        Kind::Uefi | Kind::BootServer => (b"PXEClient:Arch:00007:UNDI:003000", 7),
    };
    let mut octets = Vec::new();
    let mut writer = Writer::new(&mut octets, &header, b"", b"");
    writer.option(code::MESSAGE_TYPE, &[if boot_server { 3 } else { 1 }]);
    writer.option(code::MAX_MESSAGE_SIZE, &[5, 0xc0]);
    writer.option(code::CLIENT_ARCH, &[0, arch]);
    writer.option(code::CLIENT_NDI, &[1, 2, 1]);
    writer.option(code::VENDOR_CLASS, class);
    if matches!(kind, Kind::Ipxe) {
        writer.option(code::USER_CLASS, b"iPXE");
    }
    writer.option(55, &[1, 3, 6, 7, 12, 15, 17, 26, 43, 60, 66, 67, 119, 128, 129, 130, 131]);
    writer.option(code::CLIENT_UUID, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    writer.finish();
    octets
}

/// The client end of the veth.
pub(crate) struct Generator {
    socket: Socket,
    sending: MultiHeaders<()>,
    receiving: MultiHeaders<()>,
    inbox: Box<[[u8; 1024]; BATCH]>,
    next: u32,
}

impl Generator {
    pub(crate) fn new(net: &Net) -> Self {
        let socket = Net::inside(&net.client, || {
            let link = getifaddrs().unwrap().filter(|one| one.interface_name == "eth0");
            let link =
                link.filter_map(|one| one.address.and_then(|address| address.as_link_addr().copied())).next();
            let protocol = Protocol::from(i32::from(0x0800u16.to_be()));
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).unwrap();
            nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBufForce, &(64 << 20))
                .unwrap();
            nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::SndBufForce, &(64 << 20))
                .unwrap();
            bind(socket.as_raw_fd(), &link.unwrap()).unwrap();
            socket
        });
        Self {
            socket,
            sending: MultiHeaders::preallocate(BATCH, None),
            receiving: MultiHeaders::preallocate(BATCH, None),
            inbox: Box::new([[0; 1024]; BATCH]),
            next: 0,
        }
    }

    /// A DISCOVER of a machine that never asked before.
    fn frame(&mut self, kind: Kind) -> Vec<u8> {
        self.next += 1;
        let mut octets = vec![0; frame::HEADERS];
        octets.extend(discover(kind, self.next, self.next));
        let (none, all) = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST);
        let mac: [u8; 6] = octets[CHADDR..CHADDR + 6].try_into().unwrap();
        let (from, to, to_mac) = match kind {
            Kind::BootServer => {
                (SocketAddrV4::new(CLIENT, 4011), SocketAddrV4::new(SERVER, 4011), SERVER_MAC)
            }
            _ => (SocketAddrV4::new(none, 68), SocketAddrV4::new(all, 67), [0xff; 6]),
        };
        assert!(frame::seal(&mut octets, MacAddr(mac), MacAddr(to_mac), from, to));
        octets
    }

    fn send(&mut self, frames: &[Vec<u8>]) {
        for batch in frames.chunks(BATCH) {
            let mut sent = 0;
            while sent < batch.len() {
                let slices: Vec<[IoSlice<'_>; 1]> =
                    batch[sent..].iter().map(|frame| [IoSlice::new(frame)]).collect();
                let none = vec![None::<()>; slices.len()];
                let flags = MsgFlags::empty();
                sent += sendmmsg(self.socket.as_raw_fd(), &mut self.sending, &slices, none, [], flags)
                    .unwrap()
                    .count();
            }
        }
    }

    /// Takes what is there, or waits up to `wait` for the first; gives each answer's transaction.
    fn receive(&mut self, wait: Duration, mut take: impl FnMut(u32)) -> usize {
        if !wait.is_zero() {
            let mut fds = [nix::poll::PollFd::new(
                std::os::fd::AsFd::as_fd(&self.socket),
                nix::poll::PollFlags::POLLIN,
            )];
            let wait = nix::poll::PollTimeout::try_from(wait.as_millis()).unwrap();
            if nix::poll::poll(&mut fds, wait).unwrap_or(0) == 0 {
                return 0;
            }
        }
        let mut slices = self.inbox.each_mut().map(|buffer| [IoSliceMut::new(buffer.as_mut_slice())]);
        let flags = MsgFlags::MSG_DONTWAIT;
        let Ok(received) =
            recvmmsg(self.socket.as_raw_fd(), &mut self.receiving, slices.iter_mut(), flags, None)
        else {
            return 0;
        };
        let mut count = 0;
        for message in received {
            let length = message.bytes;
            let frame = message.iovs().next().unwrap();
            // UDP, a BOOTREPLY; what we send ourselves is not seen.
            if length > XID + 4 && frame[23] == 17 && frame[frame::HEADERS] == 2 {
                take(u32::from_be_bytes(frame[XID..XID + 4].try_into().unwrap()));
                count += 1;
            }
        }
        count
    }

    /// `window` requests are always under way.
    pub(crate) fn closed(&mut self, kind: Kind, window: usize, count: usize) -> Run {
        self.closed_waiting(kind, window, count, Duration::ZERO)
    }

    /// One request is always under way, and the server's processor is left to it meanwhile.
    pub(crate) fn in_turn(&mut self, kind: Kind, count: usize) -> Run {
        Side::Server.run(|| self.closed_waiting(kind, 1, count, LOST))
    }

    fn closed_waiting(&mut self, kind: Kind, window: usize, count: usize, wait: Duration) -> Run {
        let first = self.next + 1;
        let (mut sent_at, mut times) = (vec![None; count], Vec::with_capacity(count));
        let start = Instant::now();
        let (mut asked, mut under_way) = (0, 0);
        let mut last = start;
        while times.len() < count && last.elapsed() < LOST {
            let room = (window - under_way).min(count - asked);
            // One or two at a time would measure the generator.
            if room > 0 && (room >= window.div_ceil(4) || under_way == 0) {
                let frames: Vec<Vec<u8>> = (0..room).map(|_| self.frame(kind)).collect();
                let now = Instant::now();
                sent_at[asked..asked + room].fill(Some(now));
                self.send(&frames);
                (asked, under_way, last) = (asked + room, under_way + room, now);
            }
            let mut answers = [0; BATCH];
            let mut n = 0;
            self.receive(wait, |xid| {
                answers[n] = xid;
                n += 1;
            });
            let now = Instant::now();
            for xid in &answers[..n] {
                let index = xid.wrapping_sub(first) as usize;
                if let Some(at) = sent_at.get_mut(index).and_then(Option::take) {
                    times.push(now - at);
                    under_way -= 1;
                    last = now;
                }
            }
        }
        finish(asked, start.elapsed(), times)
    }

    /// `rate` requests a second, whether they are answered or not.
    pub(crate) fn open(&mut self, kind: Kind, rate: usize, count: usize) -> Run {
        let first = self.next + 1;
        let frames: Vec<Vec<u8>> = (0..count).map(|_| self.frame(kind)).collect();
        let (mut sent_at, mut times) = (vec![None; count], Vec::with_capacity(count));
        let (start, mut asked) = (Instant::now(), 0);
        let mut last = start;
        while times.len() < count && (asked < count || last.elapsed() < LOST) {
            let due = ((start.elapsed().as_secs_f64() * rate as f64) as usize).min(count);
            if due > asked {
                let now = Instant::now();
                let upto = due.min(asked + BATCH);
                sent_at[asked..upto].fill(Some(now));
                self.send(&frames[asked..upto]);
                (asked, last) = (upto, now);
            }
            let now = Instant::now();
            self.receive(Duration::ZERO, |xid| {
                if let Some(at) = sent_at.get_mut(xid.wrapping_sub(first) as usize).and_then(Option::take) {
                    times.push(now - at);
                }
            });
        }
        finish(asked, start.elapsed(), times)
    }

    /// Everybody at once.
    pub(crate) fn burst(&mut self, kind: Kind, count: usize) -> Run {
        let first = self.next + 1;
        let frames: Vec<Vec<u8>> = (0..count).map(|_| self.frame(kind)).collect();
        let mut answered = vec![false; count];
        let start = Instant::now();
        self.send(&frames);
        let mut times = Vec::new();
        let mut last = start.elapsed();
        while times.len() < count {
            let got = self.receive(Duration::from_millis(500), |xid| {
                if let Some(seen) = answered.get_mut(xid.wrapping_sub(first) as usize)
                    && !std::mem::replace(seen, true)
                {
                    times.push(start.elapsed());
                }
            });
            if got == 0 {
                break;
            }
            last = start.elapsed();
        }
        finish(count, last, times)
    }
}

fn finish(asked: usize, elapsed: Duration, mut times: Vec<Duration>) -> Run {
    times.sort_unstable();
    let at = |part: f64| {
        let place = (times.len() as f64 * part) as usize;
        times.get(place).or(times.last()).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
    };
    Run { asked, answered: times.len(), elapsed, p50: at(0.5), p99: at(0.99), cpu: Duration::ZERO }
}
