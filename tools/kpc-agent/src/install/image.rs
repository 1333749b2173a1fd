//! An image on its way from the server to a disk: fetched, measured, unpacked, written. A connection that breaks is
//! opened again at the octet where it broke; the digest over all octets says at the end whether they are the image's.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::rc::Rc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::console::warn;
use crate::{digest, http};

/// What is written at once; also the piece at the start that is written last.
pub(crate) const PIECE: usize = 1 << 20;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How the image is packed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// Not at all.
    Raw,
    /// RFC 1952.
    Gzip,
    /// The .xz file format 1.2.
    Xz,
    /// RFC 8878.
    Zstd,
}

impl Format {
    /// By its name; `auto` by the first octets.
    pub(crate) fn parse(name: &str, first: &[u8]) -> Result<Self, String> {
        match name {
            "raw" => Ok(Self::Raw),
            "gzip" => Ok(Self::Gzip),
            "xz" => Ok(Self::Xz),
            "zstd" => Ok(Self::Zstd),
            "auto" if first.starts_with(&[0x1f, 0x8b]) => Ok(Self::Gzip),
            "auto" if first.starts_with(b"\xfd7zXZ\0") => Ok(Self::Xz),
            "auto" if first.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) => Ok(Self::Zstd),
            "auto" => Ok(Self::Raw),
            other => Err(format!("the image format `{other}` is not known here: raw, gzip, xz or zstd")),
        }
    }
}

/// How far a transfer is.
#[derive(Debug, Default)]
struct Passed {
    octets: u64,
    hash: Sha256,
}

/// The octets as they are served: counted, measured, and fetched on after a break.
struct Served {
    url: String,
    from: http::Response,
    passed: Rc<RefCell<Passed>>,
    pause: fn(Duration),
}

impl Served {
    /// Opens the URL again, behind what has passed.
    fn reopen(&mut self) -> io::Result<()> {
        let passed = self.passed.borrow().octets;
        let mut pause = FIRST_PAUSE;
        loop {
            (self.pause)(pause);
            match http::get_from(&self.url, passed) {
                Ok(response) => match response.status {
                    206 => {
                        self.from = response;
                        return Ok(());
                    }
                    200 => {
                        self.from = response;
                        let skipped = io::copy(&mut self.from.by_ref().take(passed), &mut io::sink());
                        if skipped.is_ok_and(|skipped| skipped == passed) {
                            return Ok(());
                        }
                    }
                    // It is gone, or another one now: no pause mends that.
                    status @ 400..500 => {
                        return Err(io::Error::other(format!("{}: the server answered {status}", self.url)));
                    }
                    status => warn(format!("{}: the server answered {status}", self.url)),
                },
                Err(error) => warn(format!("fetch the image on from octet {passed}: {error}")),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl Read for Served {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.from.read(into) {
                Ok(read) => {
                    let mut passed = self.passed.borrow_mut();
                    passed.octets += u64::try_from(read).unwrap_or_default();
                    passed.hash.update(into.get(..read).unwrap_or_default());
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    warn(format!("the image broke off: {error}"));
                    self.reopen()?;
                }
            }
        }
    }
}

/// An image whose first piece has been unpacked; nothing of it is on a disk.
pub(crate) struct Image {
    unpacked: Box<dyn Read>,
    passed: Rc<RefCell<Passed>>,
    head: Vec<u8>,
}

/// zstd: one frame after the other (RFC 8878 §3.1).
struct Frames<R: BufRead> {
    frame: Option<ruzstd::decoding::StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(frame) = self.frame.as_mut() else { return Ok(0) };
            let read = frame.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            let mut rest = match self.frame.take() {
                Some(frame) => frame.into_inner(),
                None => return Ok(0),
            };
            if rest.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.frame = Some(ruzstd::decoding::StreamingDecoder::new(rest).map_err(io::Error::other)?);
        }
    }
}

impl Image {
    /// Opens the image and unpacks its first piece. `pause` waits before a broken connection is opened again.
    pub(crate) fn open(url: &str, format: &str, pause: fn(Duration)) -> Result<Self, String> {
        let response = http::get(url)?;
        if response.status != 200 {
            return Err(format!("{url}: the server answered {}", response.status));
        }
        let passed = Rc::new(RefCell::new(Passed::default()));
        let served = Served { url: url.to_owned(), from: response, passed: Rc::clone(&passed), pause };
        let mut served = BufReader::with_capacity(256 * 1024, served);
        let first = served.fill_buf().map_err(|error| format!("{url}: {error}"))?;
        let unpacked: Box<dyn Read> = match Format::parse(format, first)? {
            Format::Raw => Box::new(served),
            Format::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(served)),
            Format::Xz => Box::new(lzma_rust2::XzReader::new(served, true)),
            Format::Zstd => {
                let frame = ruzstd::decoding::StreamingDecoder::new(served);
                Box::new(Frames { frame: Some(frame.map_err(|error| format!("{url}: {error}"))?) })
            }
        };
        let mut image = Self { unpacked, passed, head: Vec::new() };
        image.head = image.piece().map_err(|error| format!("unpack {url}: {error}"))?;
        match () {
            () if image.head.is_empty() => Err(format!("{url} is empty")),
            () if image.head.starts_with(b"QFI\xfb") => {
                Err(format!("{url} is a qcow2 image; write the raw one: qemu-img convert -O raw"))
            }
            () => Ok(image),
        }
    }

    /// How the image starts: up to 1 MiB.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    fn piece(&mut self) -> io::Result<Vec<u8>> {
        let mut piece = Vec::with_capacity(PIECE);
        self.unpacked.by_ref().take(u64::try_from(PIECE).unwrap_or(u64::MAX)).read_to_end(&mut piece)?;
        Ok(piece)
    }

    /// Writes everything to `disk` of `size` octets and returns how many octets that was. The first piece is zeroed
    /// at once and written last, when the digest has been found right: a machine that loses its power in between has
    /// a disk that no firmware starts. `progress` hears of octets served and written.
    pub(crate) fn write(
        mut self,
        disk: &File,
        size: u64,
        sha256: &str,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<u64, Unwritten> {
        let failed = |doing: &str, error: io::Error| format!("{doing}: {error}");
        let fits = |end: u64| match end <= size {
            true => Ok(()),
            false => Err(format!("the image is larger than the disk of {} MiB", size >> 20)),
        };
        let length = |piece: &[u8]| u64::try_from(piece.len()).unwrap_or(u64::MAX);
        let mut written = length(&self.head);
        fits(written)?;
        clear(disk, size).map_err(|error| failed("clear the start and the end of the disk", error))?;
        loop {
            let piece = self.piece().map_err(|error| failed("unpack the image", error))?;
            if piece.is_empty() {
                break;
            }
            fits(written + length(&piece))?;
            disk.write_all_at(&piece, written).map_err(|error| failed("write the disk", error))?;
            written += length(&piece);
            progress(self.passed.borrow().octets, written);
        }
        self.unpacked = Box::new(io::empty());
        let found = digest::hex(&std::mem::take(&mut self.passed.borrow_mut().hash).finalize());
        if found != sha256 {
            return Err(Unwritten::OtherImage(format!(
                "the image's SHA-256 is {found}, but should be {sha256}; its start was not written"
            )));
        }
        disk.sync_data().map_err(|error| failed("write the disk", error))?;
        disk.write_all_at(&self.head, 0).map_err(|error| failed("write the start of the disk", error))?;
        disk.sync_all().map_err(|error| failed("write the start of the disk", error))?;
        progress(self.passed.borrow().octets, written);
        Ok(written)
    }
}

/// Why an image was not written to its end.
#[derive(Debug)]
pub(crate) enum Unwritten {
    /// It is not the one that its digest was signed for.
    OtherImage(String),
    /// Something else.
    Failed(String),
}

impl From<String> for Unwritten {
    fn from(words: String) -> Self {
        Self::Failed(words)
    }
}

/// Clears the first and the last piece of a disk: what lay there before would contradict what comes. An older GPT, a
/// RAID or a pool keeps a copy of its header at the end.
fn clear(disk: &File, size: u64) -> io::Result<()> {
    let piece = u64::try_from(PIECE).unwrap_or(u64::MAX).min(size);
    let zeros = vec![0; usize::try_from(piece).unwrap_or_default()];
    disk.write_all_at(&zeros, size - piece)?;
    disk.write_all_at(&zeros, 0)?;
    disk.sync_data()
}
