//! Server and client drivers on the loopback: sources of every kind, events, transfer IDs, writes.
#![cfg(feature = "tokio")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tftp::Limits;
use tftp::driver::{
    Cause, ClientConfig, ClientError, Event, OpenRequest, Opened, Refusal, Server, ServerConfig, Sink,
    Source, Upload, get, put,
};
use tftp::wire::{BlockSize, ErrorCode, Mode};

const WAIT: Duration = Duration::from_secs(20);

type Stored = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// Files made up as they are asked for, and a place for those that are written.
#[derive(Clone, Default)]
struct Made(Stored);

fn octets(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at * 31 + at / 251) as u8).collect()
}

const COLD: usize = 3_000_000;

/// A file that is not in the page cache, where the file system can be told so.
fn cold() -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    io::Write::write_all(&mut file, &octets(COLD)).unwrap();
    file.sync_all().unwrap();
    let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    file
}

impl Source for Made {
    async fn open(&self, request: OpenRequest) -> Result<Opened, Refusal> {
        match request.path_lossy().as_ref() {
            "bytes" => Ok(Opened::bytes(octets(100_000))),
            "text" => Ok(Opened::bytes("a\nb\r\n")),
            "stream" => Ok(Opened::stream(io::Cursor::new(octets(100_000)), None)),
            "sized" => Ok(Opened::stream(io::Cursor::new(octets(1024)), Some(1024))),
            "small" => Ok(Opened::bytes(octets(5000)).with_max_block_size(BlockSize::new(100).unwrap())),
            "shy" => Ok(Opened::bytes(octets(5000)).without_transfer_size()),
            "cold" => Ok(Opened::file(cold()).unwrap()),
            "stalled" => std::future::pending().await,
            _ => Err(Refusal::not_found()),
        }
    }

    async fn create(&self, request: OpenRequest, announced: Option<u64>) -> Result<Upload, Refusal> {
        if announced.is_some_and(|octets| octets > 1 << 20) {
            return Err(Refusal::new(ErrorCode::DiskFull, "too long"));
        }
        Ok(Upload::new(Part(Arc::clone(&self.0), request.path_lossy().into_owned(), Vec::new()), 1 << 20))
    }
}

struct Part(Stored, String, Vec<u8>);

impl Sink for Part {
    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.2.extend_from_slice(octets);
        if self.1 == "full" && self.2.len() > 10_000 {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    fn commit(self: Box<Self>) -> io::Result<()> {
        if self.1 == "refused at the end" {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.0.lock().unwrap().push((self.1, self.2));
        Ok(())
    }
}

struct Rig {
    address: SocketAddr,
    events: Arc<Mutex<Vec<Event>>>,
    stored: Stored,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<Result<(), tftp::driver::DriverError>>,
}

impl Rig {
    fn start(config: ServerConfig) -> Self {
        let limits = Limits { writable: true, ..config.limits };
        let own_thread = config.own_thread;
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), ServerConfig { limits, ..config }).unwrap();
        let (address, source) = (server.local_addr(), Made::default());
        let (stored, events) = (Arc::clone(&source.0), Arc::new(Mutex::new(Vec::new())));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let noted = Arc::clone(&events);
        let sink = Arc::new(move |event| noted.lock().unwrap().push(event));
        let running = server.run(source, sink, async move {
            let _ = stopped.await;
        });
        let task = if own_thread {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            tokio::task::spawn_blocking(move || runtime.block_on(running))
        } else {
            tokio::spawn(running)
        };
        Self { address, events, stored, stop: Some(stop), task }
    }

    async fn get(&self, name: &str, config: &ClientConfig) -> Result<Vec<u8>, ClientError> {
        let mut out = Vec::new();
        let got = get(self.address, name.as_bytes(), config, &mut out);
        tokio::time::timeout(WAIT, got).await.unwrap().map(|_| out)
    }

    async fn put(&self, name: &str, config: &ClientConfig, file: Opened) -> Result<(), ClientError> {
        let put = put(self.address, name.as_bytes(), config, file);
        tokio::time::timeout(WAIT, put).await.unwrap().map(|_| ())
    }

    async fn end(mut self) -> Vec<Event> {
        self.stop.take().unwrap().send(()).unwrap();
        tokio::time::timeout(WAIT, &mut self.task).await.unwrap().unwrap().unwrap();
        std::mem::take(&mut *self.events.lock().unwrap())
    }
}

fn lock_step() -> ClientConfig {
    ClientConfig { window_size: None, block_size: None, transfer_size: false, ..ClientConfig::default() }
}

#[tokio::test]
async fn sources_of_every_kind() {
    // RFC 1350 §6, RFC 2349
    for own_thread in [false, true] {
        let rig = Rig::start(ServerConfig { own_thread, ..ServerConfig::default() });
        for config in [ClientConfig::default(), lock_step()] {
            assert!(rig.get("bytes", &config).await.unwrap() == octets(100_000));
            assert!(rig.get("stream", &config).await.unwrap() == octets(100_000));
            assert!(rig.get("sized", &config).await.unwrap() == octets(1024));
            assert!(rig.get("small", &config).await.unwrap() == octets(5000));
            assert!(rig.get("shy", &config).await.unwrap() == octets(5000));
            let text = ClientConfig { mode: Mode::Netascii, ..config };
            assert_eq!(rig.get("text", &text).await.unwrap(), b"a\nb\r\n");
        }
        match rig.get("absent", &lock_step()).await {
            Err(ClientError::Transfer(tftp::Failure::Refused { code: ErrorCode::FileNotFound, .. })) => {}
            other => panic!("{other:?}"),
        }
        let events = rig.end().await;
        let complete = |event: &&Event| matches!(event, Event::Finished { cause: Cause::Complete, .. });
        assert_eq!(events.iter().filter(complete).count(), 12, "{events:#?}");
        assert!(
            events.iter().any(|event| matches!(event, Event::Refused { code: ErrorCode::FileNotFound, .. }))
        );
    }
}

/// While it waits for one client a server on its own thread still hears others, and that it is to end.
#[tokio::test]
async fn a_server_that_stays_with_one_client_hears_the_others() {
    let config = ServerConfig { own_thread: true, drain: Duration::ZERO, ..ServerConfig::default() };
    let rig = Rig::start(config);
    // One that asks, answers once, and is silent from then on.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    silent.set_read_timeout(Some(WAIT)).unwrap();
    silent.send_to(b"\0\x01bytes\0octet\0", rig.address).unwrap();
    let mut data = [0; 600];
    let (_, port) = silent.recv_from(&mut data).unwrap();
    silent.send_to(&[0, 4, 0, 1], port).unwrap();
    silent.recv_from(&mut data).unwrap();
    for _ in 0..3 {
        assert!(rig.get("small", &ClientConfig::default()).await.unwrap() == octets(5000));
        assert!(rig.get("small", &lock_step()).await.unwrap() == octets(5000));
    }
    let events = rig.end().await;
    let cut = |event: &&Event| matches!(event, Event::Finished { cause: Cause::Shutdown, .. });
    assert_eq!(events.iter().filter(cut).count(), 1, "{events:#?}");
}

#[tokio::test]
async fn what_is_not_in_the_page_cache_is_read_on_the_pool() {
    for own_thread in [false, true] {
        let rig = Rig::start(ServerConfig { own_thread, ..ServerConfig::default() });
        for config in [ClientConfig::default(), lock_step()] {
            assert!(rig.get("cold", &config).await.unwrap() == octets(COLD));
        }
    }
    // More than the memory for pieces holds.
    let rig = Rig::start(ServerConfig { cache_octets: 1 << 20, ..ServerConfig::default() });
    let config = ClientConfig::default();
    let both = tokio::join!(rig.get("cold", &config), rig.get("cold", &config));
    assert!(both.0.unwrap() == octets(COLD) && both.1.unwrap() == octets(COLD));
}

#[tokio::test]
async fn a_stalled_source_stops_nobody_else() {
    let config = ServerConfig { open_timeout: Duration::from_millis(300), ..ServerConfig::default() };
    let rig = Rig::start(config);
    let stalled = async {
        match rig.get("stalled", &lock_step()).await {
            Err(ClientError::Transfer(tftp::Failure::Refused { code: ErrorCode::NotDefined, .. })) => {}
            other => panic!("{other:?}"),
        }
    };
    let others = async {
        for _ in 0..5 {
            assert!(rig.get("bytes", &ClientConfig::default()).await.unwrap() == octets(100_000));
        }
    };
    tokio::join!(stalled, others);
    rig.end().await;
}

#[tokio::test]
async fn writes_are_kept_whole_or_not_at_all() {
    // RFC 1350 appendix I: 3 disk full, 6 file exists; RFC 2349: an announced length is refused beforehand.
    let rig = Rig::start(ServerConfig::default());
    for (index, config) in [ClientConfig::default(), lock_step()].into_iter().enumerate() {
        for size in [0, 1, 512, 300_000] {
            let name = format!("{index}-{size}");
            rig.put(&name, &config, Opened::bytes(octets(size))).await.unwrap();
            let stored = rig.stored.lock().unwrap().pop().unwrap();
            assert!(stored == (name, octets(size)));
        }
        rig.put("s", &config, Opened::stream(io::Cursor::new(octets(70_000)), None)).await.unwrap();
        assert!(rig.stored.lock().unwrap().pop().unwrap().1 == octets(70_000));
        let text = ClientConfig { mode: Mode::Netascii, ..config.clone() };
        rig.put("t", &text, Opened::bytes("a\nb\r")).await.unwrap();
        assert_eq!(rig.stored.lock().unwrap().pop().unwrap().1, b"a\nb\r");
        for (name, size, wanted) in [
            ("full", 100_000, ErrorCode::DiskFull),
            ("refused at the end", 10, ErrorCode::FileExists),
            ("long", 2 << 20, ErrorCode::DiskFull),
        ] {
            match rig.put(name, &config, Opened::bytes(octets(size))).await {
                Err(ClientError::Transfer(tftp::Failure::Refused { code, .. })) => assert_eq!(code, wanted),
                other => panic!("{name}: {other:?}"),
            }
        }
        assert!(rig.stored.lock().unwrap().is_empty());
    }
    let events = rig.end().await;
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Stored { .. })).count(), 12);
}

fn asker(address: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(WAIT)).unwrap();
    socket.send_to(b"\0\x01bytes\0octet\0tsize\x000\0", address).unwrap();
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn transfer_ids_are_checked() {
    // RFC 1350 §4: a packet from elsewhere gets ERROR 5 and disturbs nothing.
    let rig = Rig::start(ServerConfig::default());
    let (socket, mut buffer) = (asker(rig.address), [0; 600]);
    let (_, tid) = socket.recv_from(&mut buffer).unwrap();
    assert_ne!(tid.port(), rig.address.port());
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.set_read_timeout(Some(WAIT)).unwrap();
    stranger.send_to(&[0, 4, 0, 0], tid).unwrap();
    let octets = stranger.recv(&mut buffer).unwrap();
    assert_eq!((&buffer[..4], buffer[octets - 1]), (&[0, 5, 0, 5][..], 0));
    // An ERROR is never answered (RFC 1350 §7): the next thing that comes is the answer to the ACK.
    stranger.send_to(&[0, 5, 0, 0, 0], tid).unwrap();
    stranger.send_to(&[0, 4, 0, 1], tid).unwrap();
    stranger.recv(&mut buffer).unwrap();
    assert_eq!(buffer[..4], [0, 5, 0, 5]);
    socket.send_to(&[0, 4, 0, 0], tid).unwrap();
    assert_eq!((socket.recv(&mut buffer).unwrap(), &buffer[..4]), (516, &[0, 3, 0, 1][..]));
    socket.send_to(b"\0\x05\0\0bye\0", tid).unwrap();
    // A probe: the length was all it wanted.
    let probe = asker(rig.address);
    let (_, tid) = probe.recv_from(&mut buffer).unwrap();
    probe.send_to(b"\0\x05\0\x08no\0", tid).unwrap();
    // The same client asks again: its first transfer is replaced once it has answered.
    let again = asker(rig.address);
    let (_, tid) = again.recv_from(&mut buffer).unwrap();
    again.send_to(&[0, 4, 0, 0], tid).unwrap();
    again.recv(&mut buffer).unwrap();
    again.send_to(b"\0\x01bytes\0octet\0tsize\x000\0", rig.address).unwrap();
    let (_, other) = again.recv_from(&mut buffer).unwrap();
    assert_eq!(buffer[..2], [0, 6]);
    assert_ne!(tid, other);
    again.send_to(b"\0\x05\0\0bye\0", other).unwrap();
    let events = rig.end().await;
    let causes: Vec<&Cause> = events
        .iter()
        .filter_map(|event| if let Event::Finished { cause, .. } = event { Some(cause) } else { None })
        .collect();
    assert!(
        matches!(causes[..], [Cause::Aborted { .. }, Cause::Probe, Cause::Replaced, Cause::Probe]),
        "{causes:?}"
    );
}

#[tokio::test]
async fn ports_come_from_the_range() {
    let start = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().min(65_000);
    let config = ServerConfig { port_range: Some(start..=start + 3), ..ServerConfig::default() };
    let rig = Rig::start(config);
    let (address, range) = (rig.address, start..=start + 3);
    let asked = move || {
        let socket = asker(address);
        let (_, tid) = socket.recv_from(&mut [0; 600]).unwrap();
        socket.send_to(b"\0\x05\0\0bye\0", tid).unwrap();
        tid.port()
    };
    let port = tokio::task::spawn_blocking(asked).await.unwrap();
    assert!(range.contains(&port), "{port} of {range:?}");
    rig.end().await;
}
