//! One keep-alive connection, as thin as it can be.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        let (status, length) = self.head(path);
        while self.buffer.len() < length {
            self.fill();
        }
        let body = self.buffer.drain(..length).collect();
        Answer { status, body }
    }

    /// MB/s of one large answer.
    pub(crate) fn download(mut self, path: &str, size: usize) -> f64 {
        let begin = Instant::now();
        let (status, length) = self.head(path);
        assert_eq!((status, length), (200, size));
        let (mut left, mut chunk) = (length - self.buffer.len(), vec![0; 1 << 20]);
        while left > 0 {
            left -= self.stream.read(&mut chunk).unwrap();
        }
        size as f64 / 1e6 / begin.elapsed().as_secs_f64()
    }

    fn head(&mut self, path: &str) -> (u16, usize) {
        write!(self.stream, "GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n").unwrap();
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            self.fill();
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length =
            head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
        (status, length)
    }

    fn fill(&mut self) {
        let mut chunk = [0; 64 << 10];
        let read = self.stream.read(&mut chunk).unwrap();
        assert!(read > 0, "the server closed");
        self.buffer.extend_from_slice(&chunk[..read]);
    }
}

/// Connections that have sent half a request; as many as descriptors allow.
pub(crate) fn half_open(addr: SocketAddr, count: usize) -> Vec<TcpStream> {
    (0..count)
        .map_while(|_| {
            let mut stream = TcpStream::connect(addr).ok()?;
            stream.write_all(b"GET /ipxe?mac=52:54:00:00:00:00 HTTP/1.1\r\nHost: half").ok()?;
            Some(stream)
        })
        .collect()
}
