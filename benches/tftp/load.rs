//! The client of every server under test: N windowed reads at once on one thread (RFC 7440 receiver, one
//! acknowledgement per window or gap, retry after one second), with loss in both directions if asked for.

use crate::Outcome;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg};
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

const BATCH: usize = 32;
const RETRY: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(90);

/// What to read how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) server: SocketAddr,
    pub(crate) octets: u64,
    pub(crate) block: u16,
    pub(crate) window: u16,
    pub(crate) clients: usize,
    pub(crate) loss_per_mille: u64,
    pub(crate) seed: u64,
    /// On the server's processor.
    pub(crate) beside: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Result {
    pub(crate) seconds: f64,
    pub(crate) complete: usize,
    pub(crate) retries: u64,
    pub(crate) median: f64,
    pub(crate) p99: f64,
}

struct Reader {
    socket: UdpSocket,
    answered: bool,
    block: usize,
    window: u64,
    received: u64,
    acked: u64,
    octets: u64,
    gap: bool,
    last: Instant,
    done: Option<f64>,
    retries: u64,
}

struct Loss(u64, u64);

impl Loss {
    fn hits(&mut self) -> bool {
        if self.1 == 0 {
            return false;
        }
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % 1000 < self.1
    }
}

fn request(job: &Job) -> Vec<u8> {
    let mut packet = b"\0\x01bench.bin\0octet\0".to_vec();
    packet.extend_from_slice(format!("tsize\x000\0blksize\0{}\0", job.block).as_bytes());
    if job.window > 1 {
        packet.extend_from_slice(format!("windowsize\0{}\0", job.window).as_bytes());
    }
    packet
}

impl Reader {
    fn new(job: &Job, now: Instant) -> io::Result<Self> {
        let any = if job.server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        let _ = nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBufForce, &(4 << 20));
        Ok(Self {
            socket,
            answered: false,
            block: 512,
            window: 1,
            received: 0,
            acked: 0,
            octets: 0,
            gap: false,
            last: now,
            done: None,
            retries: 0,
        })
    }

    fn acknowledge(&mut self, loss: &mut Loss) {
        self.acked = self.received;
        if !loss.hits() {
            let [high, low] = (self.received as u16).to_be_bytes();
            let _ = self.socket.send(&[0, 4, high, low]);
        }
    }

    /// The OACK of the server, which names the transfer ID.
    fn handle_answer(&mut self, packet: &[u8], from: SocketAddr, loss: &mut Loss) -> Outcome<()> {
        match packet.get(..2) {
            Some([0, 6]) => {}
            _ => return Err(format!("no OACK: {:?}", packet.get(..packet.len().min(40)))),
        }
        let mut words = packet.get(2..).unwrap_or_default().split(|&octet| octet == 0);
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            let number = std::str::from_utf8(value).ok().and_then(|value| value.parse::<u64>().ok());
            match (name, number) {
                (b"blksize", Some(number)) => self.block = number as usize,
                (b"windowsize", Some(number)) => self.window = number,
                _ => {}
            }
        }
        self.socket.connect(from).map_err(|error| error.to_string())?;
        self.answered = true;
        self.acknowledge(loss);
        Ok(())
    }

    fn handle_data(&mut self, packet: &[u8], now: Instant, started: Instant, loss: &mut Loss) {
        let &[0, 3, high, low, ..] = packet else {
            if packet.get(..2) == Some(&[0, 6]) && self.received == 0 {
                self.acknowledge(loss);
            }
            return;
        };
        if loss.hits() {
            return;
        }
        self.last = now;
        let ahead = u16::from_be_bytes([high, low]).wrapping_sub(self.received as u16);
        if ahead == 1 && self.done.is_none() {
            let octets = packet.len() - 4;
            self.received += 1;
            self.octets += octets as u64;
            self.gap = false;
            if octets < self.block {
                self.done = Some(now.duration_since(started).as_secs_f64());
            }
            if self.done.is_some() || self.received - self.acked >= self.window {
                self.acknowledge(loss);
            }
        } else if ahead == 0 {
            self.acknowledge(loss); // the last one again: ours was lost
        } else if self.window > 1 && ahead < 0x8000 && !self.gap {
            self.gap = true;
            self.acknowledge(loss);
        }
    }
}

/// Runs the job.
pub(crate) fn run(job: &Job) -> Outcome<Result> {
    let text = |error: io::Error| error.to_string();
    let errno = |error: nix::Error| error.to_string();
    let (request, mut loss) = (request(job), Loss(job.seed, job.loss_per_mille));
    let epoll = Epoll::new(EpollCreateFlags::empty()).map_err(errno)?;
    let started = Instant::now();
    let mut readers = Vec::with_capacity(job.clients);
    for index in 0..job.clients {
        let reader = Reader::new(job, started).map_err(text)?;
        epoll.add(&reader.socket, EpollEvent::new(EpollFlags::EPOLLIN, index as u64)).map_err(errno)?;
        readers.push(reader);
    }
    let started = Instant::now();
    for reader in &mut readers {
        reader.socket.send_to(&request, job.server).map_err(text)?;
        reader.last = Instant::now();
    }
    let size = usize::from(job.block) + 8;
    let mut buffer = vec![0_u8; size * BATCH];
    let mut headers = MultiHeaders::<()>::preallocate(BATCH, None);
    let mut events = vec![EpollEvent::empty(); 256];
    let (mut left, mut looked) = (job.clients, started);
    while left > 0 && started.elapsed() < LIMIT {
        let count = match epoll.wait(&mut events, EpollTimeout::from(100_u8)) {
            Err(nix::Error::EINTR) => continue,
            waited => waited.map_err(errno)?,
        };
        let now = Instant::now();
        for event in events.iter().take(count) {
            let Some(reader) = readers.get_mut(event.data() as usize) else { continue };
            let was_done = reader.done.is_some();
            if !reader.answered {
                if let Ok((octets, from)) = reader.socket.recv_from(&mut buffer) {
                    reader.last = now;
                    reader.handle_answer(buffer.get(..octets).unwrap_or_default(), from, &mut loss)?;
                }
                continue;
            }
            loop {
                let mut lengths = [0; BATCH];
                let mut slots = buffer.chunks_exact_mut(size);
                let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
                    std::array::from_fn(|_| [IoSliceMut::new(slots.next().unwrap_or_default())]);
                let received = recvmmsg(
                    reader.socket.as_raw_fd(),
                    &mut headers,
                    slices.iter_mut(),
                    MsgFlags::MSG_DONTWAIT,
                    None,
                );
                let mut got = 0;
                if let Ok(messages) = received {
                    for (length, message) in lengths.iter_mut().zip(messages) {
                        *length = message.bytes;
                        got += 1;
                    }
                }
                for (slot, &length) in buffer.chunks_exact(size).zip(lengths.iter()).take(got) {
                    reader.handle_data(slot.get(..length).unwrap_or_default(), now, started, &mut loss);
                }
                if got < BATCH {
                    break;
                }
            }
            if !was_done && reader.done.is_some() {
                left -= 1;
            }
        }
        if now.duration_since(looked) >= Duration::from_millis(100) {
            looked = now;
            for reader in readers.iter_mut().filter(|reader| reader.done.is_none()) {
                if now.duration_since(reader.last) >= RETRY {
                    reader.last = now;
                    reader.retries += 1;
                    reader.gap = false;
                    if reader.answered {
                        reader.acknowledge(&mut loss);
                    } else {
                        reader.socket.send_to(&request, job.server).map_err(text)?;
                    }
                }
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let mut times: Vec<f64> = readers.iter().filter_map(|reader| reader.done).collect();
    times.sort_by(f64::total_cmp);
    let complete =
        readers.iter().filter(|reader| reader.done.is_some() && reader.octets == job.octets).count();
    let at = |part: f64| times.get(((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1)));
    Ok(Result {
        seconds,
        complete,
        retries: readers.iter().map(|reader| reader.retries).sum(),
        median: at(0.5).copied().unwrap_or(f64::NAN),
        p99: at(0.99).copied().unwrap_or(f64::NAN),
    })
}

/// Sends `count` requests from as many ports and never answers; returns the sockets to keep them.
pub(crate) fn half_open(job: &Job, count: usize) -> Outcome<Vec<UdpSocket>> {
    let request = request(job);
    let mut sockets = Vec::with_capacity(count);
    for index in 0..count {
        let any = if job.server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).map_err(|error| error.to_string())?;
        socket.send_to(&request, job.server).map_err(|error| error.to_string())?;
        sockets.push(socket);
        if index % 100 == 99 {
            std::thread::sleep(Duration::from_millis(1)); // a rack, not a flood
        }
    }
    Ok(sockets)
}
