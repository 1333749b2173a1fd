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
/// Longer TCP frames are the contents of files: they would only push out what matters.
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
    const JUMP_EQUAL: u16 = 0x15;
    const JUMP_GREATER: u16 = 0x25;
    const RETURN: u16 = 0x06;
    const INTERFACE_INDEX: u32 = 0xffff_f008;
    let filter = [
        SockFilter::new(LOAD_WORD, 0, 0, INTERFACE_INDEX),
        SockFilter::new(JUMP_EQUAL, 0, 7, index),
        SockFilter::new(LOAD_HALF, 0, 0, 12),
        SockFilter::new(JUMP_EQUAL, 0, 4, 0x0800),
        SockFilter::new(LOAD_BYTE, 0, 0, 23),
        SockFilter::new(JUMP_EQUAL, 0, 2, 6),
        SockFilter::new(LOAD_LENGTH, 0, 0, 0),
        SockFilter::new(JUMP_GREATER, 1, 0, LONGEST_TCP),
        SockFilter::new(RETURN, 0, 0, WHOLE_FRAME),
        SockFilter::new(RETURN, 0, 0, 0),
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
