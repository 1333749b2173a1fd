//! Writes what passes the bridge to a pcap file, so that a test can ask what was said. Called by `Lab::up`.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use testkit::PcapWriter;

use crate::error::{LabError, Result};

/// ETH_P_ALL, in network order as socket(2) wants it.
pub(crate) const EVERY_PROTOCOL: i32 = (3_u16).to_be() as i32;
/// Longer TCP frames are the contents of files and would only push out what matters; kept is the first one of an HTTP
/// response, because the socket sends head and body together as far as they fit.
const LONGEST_TCP: u32 = 1000;
const WHOLE_FRAME: u32 = 262_144;
const BUFFER: usize = 4 << 20;
/// How soon the thread sees that it should end.
const TICK: Duration = Duration::from_millis(100);

/// A capture under way; dropping it flushes and closes the file.
#[derive(Debug)]
pub struct Capture {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Capture {
    /// Starts on `interface`, in the namespace of the calling thread.
    ///
    /// # Errors
    /// [`LabError::Io`] when the interface, the socket or the file cannot be had.
    pub fn start(interface: &str, path: &Path) -> Result<Self> {
        let index =
            nix::net::if_::if_nametoindex(interface).map_err(LabError::errno(format!("find {interface}")))?;
        let socket = open(index).map_err(LabError::io(format!("capture on {interface}")))?;
        let file = File::create(path).map_err(LabError::io(format!("write {}", path.display())))?;
        let writer = PcapWriter::new(BufWriter::new(file))
            .map_err(LabError::io(format!("write {}", path.display())))?;
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread =
            std::thread::Builder::new().name("capture".into()).spawn(move || copy(socket, writer, &seen));
        let thread = thread.map_err(LabError::io("start a thread"))?;
        Ok(Self { path: path.to_owned(), stop, thread: Some(thread) })
    }

    /// The pcap file; complete up to the last tenth of a second while the capture runs.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a capture that failed has said so by its short file
        }
    }
}

/// A packet socket that is not bound sees every interface; the filter keeps one (`SKF_AD_IFINDEX`).
fn open(index: u32) -> std::io::Result<Socket> {
    const LOAD_WORD: u16 = 0x20;
    const LOAD_HALF: u16 = 0x28;
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_LENGTH: u16 = 0x80;
    const INDEX_OF_HEADER: u16 = 0xb1;
    const LOAD_BYTE_AT_INDEX: u16 = 0x50;
    const LOAD_WORD_AT_INDEX: u16 = 0x40;
    const AND: u16 = 0x54;
    const SHIFT_RIGHT: u16 = 0x74;
    const ADD_INDEX: u16 = 0x0c;
    const TO_INDEX: u16 = 0x07;
    const JUMP_EQUAL: u16 = 0x15;
    const JUMP_GREATER: u16 = 0x25;
    const RETURN: u16 = 0x06;
    const INTERFACE_INDEX: u32 = 0xffff_f008;
    const HTTP: u32 = u32::from_be_bytes(*b"HTTP");
    let step = SockFilter::new;
    let filter = [
        step(LOAD_WORD, 0, 0, INTERFACE_INDEX),
        step(JUMP_EQUAL, 0, 15, index), // another interface: drop
        step(LOAD_HALF, 0, 0, 12),
        step(JUMP_EQUAL, 0, 12, 0x0800), // not IPv4: keep
        step(LOAD_BYTE, 0, 0, 23),
        step(JUMP_EQUAL, 0, 10, 6), // not TCP: keep
        step(LOAD_LENGTH, 0, 0, 0),
        step(JUMP_GREATER, 0, 8, LONGEST_TCP), // short: keep
        // The payload begins at 14 + the IP header + the TCP header.
        step(INDEX_OF_HEADER, 0, 0, 14),
        step(LOAD_BYTE_AT_INDEX, 0, 0, 14 + 12),
        step(AND, 0, 0, 0xf0),
        step(SHIFT_RIGHT, 0, 0, 2),
        step(ADD_INDEX, 0, 0, 0),
        step(TO_INDEX, 0, 0, 0),
        step(LOAD_WORD_AT_INDEX, 0, 0, 14),
        step(JUMP_EQUAL, 0, 1, HTTP),
        step(RETURN, 0, 0, WHOLE_FRAME),
        step(RETURN, 0, 0, 0),
    ];
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(EVERY_PROTOCOL)))?;
    socket.attach_filter(&filter)?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.set_read_timeout(Some(TICK))?;
    Ok(socket)
}

#[expect(clippy::disallowed_methods, reason = "a capture stamps its frames")]
fn copy(mut socket: Socket, mut writer: PcapWriter<BufWriter<File>>, stop: &AtomicBool) {
    let mut frame = vec![0; WHOLE_FRAME as usize];
    while !stop.load(Ordering::Relaxed) {
        let written = match socket.read(&mut frame) {
            Ok(length) => {
                let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                writer.write(
                    at,
                    frame.get(..length).unwrap_or_default(),
                    u32::try_from(length).unwrap_or(u32::MAX),
                )
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                writer.flush()
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        };
        if written.is_err() {
            break;
        }
    }
    let _ = writer.flush();
}
