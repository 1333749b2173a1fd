//! A packet socket on one interface: whole Ethernet frames, filtered by the kernel, taken and given in batches.
//!
//! The socket itself blocks, for [`PATIENCE`] at most, so that the server can wait on it alone while it is busy;
//! every other call says that it does not want to wait.

use super::interface::Interface;
use nix::sys::socket::{MsgFlags, MultiHeaders, bind, recv, recvmmsg, send, sendmmsg};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::io::{self, IoSlice, IoSliceMut};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// Frames taken or given by one system call.
pub(super) const BATCH: usize = 64;
/// Room for one frame; longer ones are cut, and then refused by their own length fields.
pub(super) const FRAME: usize = 2048;
/// After a batch of one, so many calls take one frame each: a call for a batch looks for a second one, which then is
/// seldom there.
const ALONE: u8 = 32;
/// How long a call that waits for frames may wait; the system rounds it up to its tick.
const PATIENCE: Duration = Duration::from_millis(1);

/// ETH_P_IP.
pub(super) const IPV4: u16 = 0x0800;
/// ETH_P_IPV6.
pub(super) const IPV6: u16 = 0x86dd;

/// A packet socket bound to an interface; it owns no port.
#[derive(Debug)]
pub(super) struct PacketSocket(Socket);

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for PacketSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl PacketSocket {
    /// Opens a socket for one Ethernet protocol. Between opening and binding the kernel would queue frames of every
    /// interface, so a filter that drops all is put first and the queue is emptied before the real one.
    pub(super) fn open(
        interface: &Interface,
        protocol: u16,
        filter: &[SockFilter],
        receive_buffer: usize,
    ) -> io::Result<Self> {
        let protocol = Protocol::from(i32::from(protocol.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::RAW.cloexec(), Some(protocol))?;
        socket.attach_filter(super::filter::NOTHING)?;
        bind(socket.as_raw_fd(), &interface.link)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        while recv(socket.as_raw_fd(), &mut [0; 1], MsgFlags::MSG_DONTWAIT).is_ok() {}
        super::udp_socket::raise_receive_buffer(&socket, receive_buffer);
        socket.attach_filter(filter)?;
        Ok(Self(socket))
    }

    /// Takes up to a batch of frames into `inbox`; with `wait`, the first of them may be a little in coming.
    pub(super) fn receive(&self, inbox: &mut Inbox, wait: bool) -> io::Result<()> {
        let Inbox { frames, lengths, headers, alone } = inbox;
        lengths.clear();
        if let Some(frame) = frames.first_mut().filter(|_| *alone > 0) {
            *alone -= 1;
            let flags = if wait { MsgFlags::empty() } else { MsgFlags::MSG_DONTWAIT };
            lengths.push(recv(self.as_raw_fd(), frame, flags)?);
            return Ok(());
        }
        let mut slices = frames.each_mut().map(|frame| [IoSliceMut::new(frame.as_mut_slice())]);
        let flags = if wait { MsgFlags::MSG_WAITFORONE } else { MsgFlags::MSG_DONTWAIT };
        let received = recvmmsg(self.as_raw_fd(), headers, slices.iter_mut(), flags, None)?;
        lengths.extend(received.map(|message| message.bytes));
        *alone = if lengths.len() == 1 { ALONE } else { 0 };
        Ok(())
    }

    /// Gives all frames of a batch to the interface.
    pub(super) fn send(&self, outbox: &mut Outbox) -> io::Result<()> {
        let Outbox { octets, frames, headers } = outbox;
        let count = frames.len();
        if let [only] = frames.as_slice() {
            let frame = octets.get(only.clone()).unwrap_or_default();
            let done = send(self.as_raw_fd(), frame, MsgFlags::empty());
            frames.clear();
            octets.clear();
            return done.map(|_| ()).map_err(io::Error::from);
        }
        let mut sent = 0;
        while sent < count {
            let mut slices = [[IoSlice::new(&[])]; BATCH];
            for (slice, range) in slices.iter_mut().zip(frames.iter().skip(sent)) {
                *slice = [IoSlice::new(octets.get(range.clone()).unwrap_or_default())];
            }
            let addresses: [Option<()>; BATCH] = [None; BATCH];
            let left = count - sent;
            let batch = slices.get(..left).unwrap_or(&slices);
            match sendmmsg(self.as_raw_fd(), headers, batch, addresses, [], MsgFlags::empty()) {
                Ok(results) => match results.count() {
                    0 => break,
                    some => sent += some,
                },
                Err(errno) => {
                    frames.clear();
                    octets.clear();
                    return Err(errno.into());
                }
            }
        }
        frames.clear();
        octets.clear();
        Ok(())
    }
}

/// One batch of frames.
pub(super) struct Inbox {
    frames: Box<[[u8; FRAME]; BATCH]>,
    lengths: Vec<usize>,
    headers: MultiHeaders<()>,
    /// How many more calls take one frame only.
    alone: u8,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            frames: Box::new([[0; FRAME]; BATCH]),
            lengths: Vec::with_capacity(BATCH),
            headers: MultiHeaders::preallocate(BATCH, None),
            alone: 0,
        }
    }

    /// Frames had time to gather: the next call takes a batch.
    pub(super) fn expect_many(&mut self) {
        self.alone = 0;
    }

    /// The frames that were taken last.
    pub(super) fn frames(&self) -> impl Iterator<Item = &[u8]> {
        let frames = self.frames.iter().zip(&self.lengths);
        frames.map(|(frame, length)| frame.get(..*length).unwrap_or(frame))
    }

    /// How many they are.
    pub(super) fn count(&self) -> usize {
        self.lengths.len()
    }
}

/// Frames waiting to be sent, one behind the other in one buffer that is kept.
pub(super) struct Outbox {
    pub(super) octets: Vec<u8>,
    frames: Vec<Range<usize>>,
    headers: MultiHeaders<()>,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            octets: Vec::with_capacity(BATCH * 512),
            frames: Vec::with_capacity(BATCH),
            headers: MultiHeaders::preallocate(BATCH, None),
        }
    }

    /// Counts the octets from `start` to the end as one frame.
    pub(super) fn push(&mut self, start: usize) {
        self.frames.push(start..self.octets.len());
    }

    /// How many frames wait.
    pub(super) fn count(&self) -> usize {
        self.frames.len()
    }
}
