//! The physical limit: a sender that does nothing but send windows of a file that is all in memory, one
//! connected socket per client, one thread, one system call per window (UDP_SEGMENT) or per block.

use crate::Outcome;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{setsockopt, sockopt};
use std::io::{self, IoSlice};
use std::net::{SocketAddr, UdpSocket};

const SEGMENTS: usize = 44;

struct Transfer {
    socket: UdpSocket,
    block: usize,
    window: u64,
    acked: u64,
    last: u64,
}

/// Serves `file` at `address` for ever.
pub(crate) fn serve(address: SocketAddr, file: &[u8]) -> Outcome<()> {
    let text = |error: io::Error| error.to_string();
    let errno = |error: nix::Error| error.to_string();
    let listener = UdpSocket::bind(address).map_err(text)?;
    listener.set_nonblocking(true).map_err(text)?;
    let _ = setsockopt(&listener, sockopt::RcvBufForce, &(4 << 20));
    let epoll = Epoll::new(EpollCreateFlags::empty()).map_err(errno)?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, u64::MAX)).map_err(errno)?;
    let mut transfers: Vec<Option<Transfer>> = Vec::new();
    let mut events = vec![EpollEvent::empty(); 256];
    let mut packet = [0; 600];
    loop {
        let count = match epoll.wait(&mut events, EpollTimeout::NONE) {
            Err(nix::Error::EINTR) => continue, // strace begins
            waited => waited.map_err(errno)?,
        };
        for event in events.iter().take(count) {
            if event.data() == u64::MAX {
                while let Ok((octets, from)) = listener.recv_from(&mut packet) {
                    let request = packet.get(..octets).unwrap_or_default();
                    let Some(transfer) = begin(address, from, request, file) else { continue };
                    let event = EpollEvent::new(EpollFlags::EPOLLIN, transfers.len() as u64);
                    epoll.add(&transfer.socket, event).map_err(errno)?;
                    transfers.push(Some(transfer));
                }
                continue;
            }
            let Some(place) = transfers.get_mut(event.data() as usize) else { continue };
            let Some(transfer) = place else { continue };
            match transfer.socket.recv(&mut packet) {
                Ok(4) => {}
                Ok(_) => *place = None,
                Err(_) => continue,
            }
            let Some(transfer) = place else { continue };
            let [_, _, high, low, ..] = packet;
            transfer.acked += u64::from(u16::from_be_bytes([high, low]).wrapping_sub(transfer.acked as u16));
            if transfer.acked >= transfer.last {
                *place = None;
                continue;
            }
            send_window(transfer, file);
        }
    }
}

fn begin(address: SocketAddr, from: SocketAddr, request: &[u8], file: &[u8]) -> Option<Transfer> {
    let mut words = request.get(2..)?.split(|&octet| octet == 0).skip(2);
    let (mut block, mut window) = (512_usize, 1_u64);
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        let number = std::str::from_utf8(value).ok().and_then(|value| value.parse::<u64>().ok());
        match (name, number) {
            (b"blksize", Some(number)) => block = number as usize,
            (b"windowsize", Some(number)) => window = number,
            _ => {}
        }
    }
    let socket = UdpSocket::bind(SocketAddr::new(address.ip(), 0)).ok()?;
    socket.set_nonblocking(true).ok()?;
    let _ = setsockopt(&socket, sockopt::SndBufForce, &(4 << 20));
    socket.connect(from).ok()?;
    if window > 1 {
        setsockopt(&socket, sockopt::UdpGsoSegment, &i32::try_from(block + 4).ok()?).ok()?;
    }
    let mut answer = b"\0\x06".to_vec();
    answer.extend_from_slice(format!("blksize\0{block}\0tsize\0{}\0", file.len()).as_bytes());
    if window > 1 {
        answer.extend_from_slice(format!("windowsize\0{window}\0").as_bytes());
    }
    socket.send(&answer).ok()?;
    Some(Transfer { socket, block, window, acked: 0, last: (file.len() / block) as u64 + 1 })
}

fn send_window(transfer: &Transfer, file: &[u8]) {
    let Transfer { socket, block, window, acked, last } = transfer;
    let end = (*acked + window).min(*last);
    let mut next = acked + 1;
    while next <= end {
        let count = (end - next + 1).min(SEGMENTS as u64) as usize;
        let mut headers = [[0, 3, 0, 0]; SEGMENTS];
        for (header, number) in headers.iter_mut().zip(next..) {
            let [high, low] = (number as u16).to_be_bytes();
            *header = [0, 3, high, low];
        }
        let mut slices = [IoSlice::new(&[]); SEGMENTS * 2];
        for ((pair, header), number) in slices.chunks_exact_mut(2).zip(&headers).zip(next..) {
            let start = ((number - 1) as usize * block).min(file.len());
            let octets = file.get(start..(start + block).min(file.len())).unwrap_or_default();
            if let [first, second] = pair {
                (*first, *second) = (IoSlice::new(header), IoSlice::new(octets));
            }
        }
        let slices = slices.get(..count * 2).unwrap_or_default();
        let _ = socket2::SockRef::from(socket).send_vectored(slices);
        next += count as u64;
    }
}
