//! Clients that are slow, many or gone; and the end of a server in the middle of a transfer.
#![cfg(feature = "http")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods
)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bootcfg::Compat;
use bootcfg::driver::http::{Access, Hook, ServeConfig, ServiceConfig};
use bootcfg::driver::store::FileStore;
use common::{Server, config};
use tempfile::TempDir;

fn data() -> (TempDir, ServiceConfig) {
    let dir = TempDir::new().unwrap();
    for folder in ["groups", "profiles", "assets"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
    }
    fs::write(dir.path().join("groups/g.json"), r#"{"profile":"p"}"#).unwrap();
    fs::write(dir.path().join("profiles/p.json"), r#"{"id":"p","boot":{"kernel":"k"}}"#).unwrap();
    let octets: Vec<u8> = (0..8_000_000_u32).map(|i| (i % 251) as u8).collect();
    fs::write(dir.path().join("assets/big"), octets).unwrap();
    let store = Arc::new(FileStore::open(dir.path(), Compat::Matchbox).unwrap());
    let config = ServiceConfig { assets: Some(dir.path().join("assets")), ..config(store) };
    (dir, config)
}

#[test]
fn half_open_connections_are_ended_and_hinder_nobody() {
    let (_dir, config) = data();
    let limits = ServeConfig { header_timeout: Duration::from_millis(500), ..ServeConfig::default() };
    let server = Server::with(config, limits);
    let mut half_open: Vec<TcpStream> = (0..500)
        .map(|i| {
            let mut stream = TcpStream::connect(server.addr).unwrap();
            if i % 2 == 0 {
                stream.write_all(b"GET /ipxe HTTP/1.1\r\nHost:").unwrap();
            }
            stream
        })
        .collect();
    for _ in 0..50 {
        assert_eq!(server.get("/ipxe").text(), "#!ipxe\nkernel k\nboot\n");
    }
    for stream in &mut half_open {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut octets = Vec::new();
        // Closed or reset by the server, not by our patience.
        assert!(stream.read_to_end(&mut octets).is_ok_and(|_| octets.is_empty()), "the server ends it");
    }
}

#[test]
fn more_connections_than_allowed_wait_their_turn() {
    let (_dir, config) = data();
    let server = Server::with(config, ServeConfig { max_connections: 4, ..ServeConfig::default() });
    let held: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect(server.addr).unwrap()).collect();
    let (sender, answers) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| sender.send(server.get("/ipxe").status).unwrap());
        assert!(answers.recv_timeout(Duration::from_millis(200)).is_err(), "all slots are taken");
        drop(held);
        assert_eq!(answers.recv_timeout(Duration::from_secs(20)), Ok(200));
    });
}

#[test]
fn a_transfer_outlives_the_shutdown() {
    let (dir, config) = data();
    let mut server =
        Server::with(config, ServeConfig { drain: Duration::from_secs(30), ..ServeConfig::default() });
    let mut stream = TcpStream::connect(server.addr).unwrap();
    stream.write_all(b"GET /assets/big HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut octets = vec![0; 1000];
    stream.read_exact(&mut octets).unwrap();
    server.stop();
    // No new connection is taken, the old transfer goes on to its end.
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.read_to_end(&mut octets).unwrap();
    let want = fs::read(dir.path().join("assets/big")).unwrap();
    assert!(octets.ends_with(&want));
    let text = String::from_utf8_lossy(&octets[..200]).into_owned();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && octets.len() < want.len() + 500, "{text}");
}

#[derive(Default)]
struct Seen(Mutex<Vec<Access>>);

impl Hook for Seen {
    fn record(&self, access: &Access) {
        self.0.lock().unwrap().push(access.clone());
    }
}

#[test]
fn a_client_that_goes_away_is_recorded_as_such() {
    let (_dir, config) = data();
    let hook = Arc::new(Seen::default());
    let server = Server::over(ServiceConfig { hook: hook.clone(), ..config });
    let mut stream = TcpStream::connect(server.addr).unwrap();
    stream.write_all(b"GET /assets/big HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 1000]).unwrap();
    drop(stream);
    drop(server);
    let seen = hook.0.lock().unwrap();
    assert_eq!(seen.len(), 1);
    assert!(!seen[0].complete && seen[0].octets < 8_000_000, "{:?}", seen[0]);
}

#[test]
fn a_client_that_takes_nothing_is_cut() {
    let (_dir, config) = data();
    let hook = Arc::new(Seen::default());
    let limits = ServeConfig {
        write_timeout: Duration::from_millis(300),
        drain: Duration::from_secs(20),
        ..ServeConfig::default()
    };
    let mut server = Server::with(ServiceConfig { hook: hook.clone(), ..config }, limits);
    // More than the sockets' buffers hold, several times.
    let mut streams: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect(server.addr).unwrap()).collect();
    for stream in &mut streams {
        for _ in 0..8 {
            stream.write_all(b"GET /assets/big HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        }
    }
    for stream in &mut streams {
        stream.read_exact(&mut [0; 1]).unwrap();
    }
    server.stop();
    drop(server); // waits for the connections: they end by the time-out, not by being read
    let seen = hook.0.lock().unwrap();
    assert!(seen.iter().any(|access| !access.complete), "{}", seen.len());
}

#[test]
fn ranges_of_files_are_exact() {
    let (dir, config) = data();
    let server = Server::over(config);
    let want = fs::read(dir.path().join("assets/big")).unwrap();
    for (range, from, to) in
        [("0-0", 0, 1), ("131071-131073", 131_071, 131_074), ("7999990-", 7_999_990, 8_000_000)]
    {
        let answer = server.ask("GET", "/assets/big", &[("Range".into(), format!("bytes={range}"))], None);
        assert_eq!((answer.status, answer.body == want[from..to]), (206, true), "{range}");
    }
    assert!(server.get("/assets/big").body == want);
}
