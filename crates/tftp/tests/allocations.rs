//! Sending a block allocates nothing: counted over thousands of blocks, in lock-step and in windows.
#![cfg(feature = "tokio")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tftp::driver::{Directory, Server, ServerConfig};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const OCTETS: usize = 1 << 20;
const BLOCK: usize = 1024;

/// Reads the file and returns how many allocations the process made between two windows in its middle.
fn read(server: SocketAddr, window: u16) -> usize {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let request = format!("\0\x01file\0octet\0blksize\0{BLOCK}\0windowsize\0{window}\0");
    socket.send_to(request.as_bytes(), server).unwrap();
    let mut buffer = [0; BLOCK + 4];
    let (_, tid) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(buffer[..2], [0, 6]);
    let (mut block, mut region, mut counted) = (0_u16, None, None);
    socket.send_to(&[0, 4, 0, 0], tid).unwrap();
    loop {
        let (octets, _) = socket.recv_from(&mut buffer).unwrap();
        if u16::from_be_bytes([buffer[2], buffer[3]]) != block.wrapping_add(1) {
            continue; // sent again: the machine was busy
        }
        block += 1;
        if octets < BLOCK + 4 {
            socket.send_to(&[0, 4, buffer[2], buffer[3]], tid).unwrap();
            return counted.unwrap();
        }
        if block % window == 0 {
            match block / window {
                8 => region = Some(Region::new(ALLOCATOR)),
                at if usize::from(at) == (OCTETS / BLOCK / usize::from(window)) - 8 => {
                    counted = region.take().map(|region| region.change().allocations);
                }
                _ => {}
            }
            socket.send_to(&[0, 4, buffer[2], buffer[3]], tid).unwrap();
        }
    }
}

#[test]
fn no_allocation_per_block() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), vec![7; OCTETS]).unwrap();
    let directory = Directory::open(folder.path()).unwrap();
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), ServerConfig::default()).unwrap();
    let address = server.local_addr();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let shutdown = async move {
            let _ = stopped.await;
        };
        runtime.block_on(server.run(directory, Arc::new(|_| {}), shutdown)).unwrap();
    });
    for window in [1, 16] {
        read(address, window); // the first reader brings the file into memory
        let allocations = read(address, window);
        assert_eq!(allocations, 0, "window {window}, {} blocks", OCTETS / BLOCK - 16 * usize::from(window));
    }
    stop.send(()).unwrap();
    thread.join().unwrap();
}
