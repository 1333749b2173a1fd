//! Client against server in virtual time, over a link that loses, doubles, delays and reorders.
//!
//! Every choice follows from the seed, which a failure prints. `SIM_SEEDS` asks for more or fewer transfers.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use testkit::{Clock, Link, LinkConfig, SplitMix};
use tftp::negotiate::{Terms, last_block};
use tftp::wire::{
    BlockSize, Direction, Mode, OptionAck, Options, Packet, TimeoutSeconds, WindowSize, encode_ack,
    encode_data_header,
};
use tftp::{
    Accepted, Admission, Ask, Client, Failure, Limits, Received, Receiver, ReceiverConfig, Rollover, Sender,
    SenderConfig, Server,
};

/// Without progress each half gives up within this time, unless a long time-out was asked for.
const PATIENCE: Duration = Duration::from_secs(40);

fn server_addr() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 69))
}

fn tid() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 40_000))
}

fn client_addr() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 2], 50_000))
}

enum Half {
    Sending(Sender, Options),
    Receiving(Receiver, Vec<u8>, Options),
}

/// A server as a driver would be, without a socket.
struct Host {
    admission: Server,
    half: Option<Half>,
    file: Vec<u8>,
    out: Vec<Vec<u8>>,
    /// Octets sent before the client has answered.
    unanswered: usize,
    request: usize,
}

impl Host {
    fn new(file: Vec<u8>) -> Self {
        let limits = Limits { writable: true, ..Limits::default() };
        Self { admission: Server::new(limits), half: None, file, out: Vec::new(), unanswered: 0, request: 0 }
    }

    fn handle(&mut self, now: Instant, datagram: &[u8]) {
        match Packet::parse(datagram) {
            Ok(Packet::Ack(number)) => {
                if let Some(Half::Sending(sender, _)) = &mut self.half {
                    sender.handle_ack(now, number);
                    if sender.is_answered() {
                        self.admission.answered(client_addr());
                    }
                }
            }
            Ok(Packet::Data(number, octets)) => {
                if let Some(Half::Receiving(receiver, file, _)) = &mut self.half {
                    self.admission.answered(client_addr());
                    if matches!(
                        receiver.handle_data(now, number, octets.len()),
                        Accepted::Next | Accepted::Last
                    ) {
                        file.extend_from_slice(octets);
                    }
                }
            }
            Ok(Packet::Error(code, _)) => match &mut self.half {
                Some(Half::Sending(sender, _)) => sender.handle_error(code),
                Some(Half::Receiving(receiver, ..)) => receiver.handle_error(code),
                None => {}
            },
            Ok(Packet::OptionAck(_)) => {}
            Err(_) => self.handle_request(now, datagram),
        }
        self.poll(now);
    }

    fn handle_request(&mut self, now: Instant, datagram: &[u8]) {
        match self.admission.handle_request(now, client_addr(), datagram) {
            Ok(Admission::Start { request, .. }) => {
                self.request = datagram.len();
                let length = self.file.len() as u64;
                let size = match request.direction {
                    Direction::Read => Some(length),
                    Direction::Write => request.options.transfer_size,
                };
                let granted = Terms { transfer_size: size, ..Terms::default() }.grant(&request.options);
                let block_size = granted.block_size.unwrap_or(BlockSize::DEFAULT);
                let window = granted.window_size.unwrap_or(WindowSize::DEFAULT);
                let timeout = granted.timeout.map(|timeout| Duration::from_secs(timeout.seconds().into()));
                let rollover = Rollover::Zero;
                self.half = Some(match request.direction {
                    Direction::Read => {
                        let (option_ack, last) = (!granted.is_empty(), Some(last_block(length, block_size)));
                        let config = SenderConfig { window, option_ack, rollover, timeout, last };
                        Half::Sending(Sender::new(now, &config), granted)
                    }
                    Direction::Write => {
                        let config =
                            ReceiverConfig { block_size, window, rollover, timeout, acknowledge_start: true };
                        Half::Receiving(Receiver::new(now, &config), Vec::new(), granted)
                    }
                });
            }
            Ok(Admission::Repeat(_)) => match &mut self.half {
                Some(Half::Sending(sender, _)) => sender.repeat(now),
                Some(Half::Receiving(receiver, ..)) => receiver.repeat_start(now),
                None => {}
            },
            Ok(Admission::Refuse { .. }) => panic!("a good request is not refused"),
            Err(_) => {}
        }
    }

    fn poll(&mut self, now: Instant) {
        let mut option_ack = None;
        match &mut self.half {
            Some(Half::Sending(sender, granted)) => {
                if sender.poll_option_ack(now) {
                    option_ack = Some(*granted);
                }
                let block_size = granted.block_size.unwrap_or(BlockSize::DEFAULT).octets();
                while let Some(block) = sender.poll_block(now) {
                    let start = (block as usize - 1) * block_size;
                    let end = (start + block_size).min(self.file.len());
                    let mut packet = encode_data_header(sender.wire_number(block)).to_vec();
                    packet.extend_from_slice(&self.file[start..end]);
                    if !sender.is_answered() {
                        self.unanswered += packet.len();
                    }
                    self.out.push(packet);
                }
            }
            Some(Half::Receiving(receiver, _, granted)) => {
                while let Some(number) = receiver.poll_ack(now) {
                    if receiver.received() == 0 && !granted.is_empty() {
                        option_ack = Some(*granted);
                    } else {
                        self.out.push(encode_ack(number).to_vec());
                    }
                }
            }
            None => {}
        }
        if let Some(granted) = option_ack {
            let mut packet = Vec::new();
            OptionAck(granted).encode(&mut packet);
            self.unanswered += packet.len();
            self.out.push(packet);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self.half.as_ref()? {
            Half::Sending(sender, _) => sender.poll_timeout(),
            Half::Receiving(receiver, ..) => receiver.poll_timeout(),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match &mut self.half {
            Some(Half::Sending(sender, _)) => sender.handle_timeout(now),
            Some(Half::Receiving(receiver, ..)) => receiver.handle_timeout(now),
            None => {}
        }
        self.poll(now);
    }

    fn is_complete(&self) -> bool {
        match &self.half {
            Some(Half::Sending(sender, _)) => sender.is_complete(),
            Some(Half::Receiving(receiver, ..)) => receiver.is_complete(),
            None => false,
        }
    }
}

struct Run {
    result: Result<(), Failure>,
    digest: u64,
    elapsed: Duration,
}

fn options(random: &mut SplitMix, write: bool, length: usize) -> Options {
    let some = |random: &mut SplitMix| random.below(3) > 0;
    Options {
        block_size: some(random).then(|| BlockSize::new(8 + random.below(1461) as u16).unwrap()),
        window_size: some(random).then(|| WindowSize::new(1 + random.below(64) as u16).unwrap()),
        timeout: (random.below(8) == 0).then(|| TimeoutSeconds::new(1 + random.below(3) as u8).unwrap()),
        transfer_size: some(random).then_some(if write { length as u64 } else { 0 }),
    }
}

/// One transfer, or a panic that names the seed.
fn transfer(seed: u64) -> Run {
    let mut random = SplitMix::new(seed);
    let loss = [0, 0, 10, 50, 150, 250][random.below(6) as usize];
    let link = LinkConfig {
        loss_per_mille: loss,
        duplicate_per_mille: [0, 10, 100][random.below(3) as usize],
        delay: Duration::from_micros(50 + random.below(20_000)),
        jitter: Duration::from_micros([0, 0, 500, 8_000][random.below(4) as usize]),
        capacity: 256,
    };
    let (mut up, mut down) = (Link::new(random.next_u64(), link), Link::new(random.next_u64(), link));
    let write = random.below(3) == 0;
    let mut file = vec![0; random.below(40_000) as usize >> random.below(8)];
    random.fill(&mut file);
    let options = options(&mut random, write, file.len());
    let block_size = options.block_size.unwrap_or(BlockSize::DEFAULT).octets();
    file.truncate(block_size * 150);
    if random.below(4) == 0 {
        file.truncate(file.len() / block_size * block_size); // ends with an empty block
    }
    let length = file.len() as u64;

    let mut clock = Clock::new();
    let ask = Ask {
        direction: if write { Direction::Write } else { Direction::Read },
        filename: b"f".to_vec(),
        mode: Mode::Octet,
        options: Options {
            transfer_size: options.transfer_size.map(|_| if write { length } else { 0 }),
            ..options
        },
        rollover: Rollover::Zero,
    };
    let mut client = Client::new(clock.now(), server_addr(), ask, write.then_some(length));
    let mut host = Host::new(if write { Vec::new() } else { file.clone() });
    let (mut got, mut out, mut trace) = (Vec::new(), Vec::new(), DefaultHasher::new());
    let (mut packets, mut progress) = (0_u64, (clock.now(), 0));

    loop {
        let now = clock.now();
        // The client sends.
        while let Some(to) = client.poll_transmit(now, &mut out) {
            assert!(to == server_addr() || to == tid(), "seed {seed}");
            up.send(now, out.clone());
            packets += 1;
        }
        while let Some(range) = client.next_blocks(1) {
            let block = *range.end();
            let size = client.block_size().octets();
            let start = (block as usize - 1) * size;
            let mut packet = client.data_header(block).to_vec();
            packet.extend_from_slice(&file[start..(start + size).min(file.len())]);
            client.mark_sent(now, block);
            up.send(now, packet);
            packets += 1;
        }
        for packet in host.out.drain(..) {
            down.send(now, packet);
            packets += 1;
        }
        let done = client.is_over() && (host.is_complete() || host.poll_timeout().is_none());
        if client.is_over() && progress.1 != u64::MAX {
            progress = (now, u64::MAX);
        }
        if done {
            break;
        }
        if client.blocks() > progress.1 {
            progress = (now, client.blocks());
        }
        assert!(now - progress.0 <= PATIENCE * 2, "seed {seed}: nothing ends it");
        // The next thing that happens.
        let next = [up.poll_timeout(), down.poll_timeout(), client.poll_timeout(), host.poll_timeout()];
        let Some(next) = next.into_iter().flatten().min() else { panic!("seed {seed}: nothing will happen") };
        clock.advance_to(next.max(now));
        let now = clock.now();
        while let Some(packet) = up.poll(now) {
            packet.hash(&mut trace);
            host.handle(now, &packet);
        }
        while let Some(packet) = down.poll(now) {
            packet.hash(&mut trace);
            if let Received::Block(octets) = client.handle_datagram(now, tid(), &packet) {
                got.extend_from_slice(octets);
            }
        }
        client.handle_timeout(now);
        host.handle_timeout(now);
    }

    let result = client.result().unwrap();
    if result.is_ok() {
        match &host.half {
            Some(Half::Receiving(_, received, _)) => assert!(*received == file, "seed {seed}: octets differ"),
            _ => assert!(got == file, "seed {seed}: octets differ"),
        }
    } else {
        assert!(loss > 0, "seed {seed}: {result:?} without loss");
    }
    // What a stranger can make us send: an OACK no longer than its request, or one block, seven times.
    assert!(
        host.unanswered <= (host.request.max(516) + 32) * 16,
        "seed {seed}: {} unanswered",
        host.unanswered
    );
    let blocks = length / block_size as u64 + 1;
    let window = u64::from(options.window_size.unwrap_or(WindowSize::DEFAULT).blocks());
    assert!(
        packets < (blocks + 10) * 40 + window * 400,
        "seed {seed}: {packets} packets for {blocks} blocks"
    );
    packets.hash(&mut trace);
    Run { result, digest: trace.finish(), elapsed: clock.elapsed() }
}

#[test]
fn every_transfer_ends_well_or_as_bounded() {
    // RFC 1350 §7, RFC 2347, RFC 7440 §4
    let seeds = std::env::var("SIM_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(10_000_u64);
    let (mut complete, mut virtual_time) = (0, Duration::ZERO);
    for seed in 0..seeds {
        let run = transfer(seed);
        complete += u64::from(run.result.is_ok());
        virtual_time += run.elapsed;
    }
    println!("{complete} of {seeds} transfers complete in {virtual_time:?} of virtual time");
    assert!(complete * 100 >= seeds * 98, "{complete} of {seeds}");
}

#[test]
fn same_seed_same_bytes() {
    for seed in 0..50 {
        assert_eq!(transfer(seed).digest, transfer(seed).digest, "seed {seed}");
    }
}
