//! Writes a message into a caller's buffer: fixed part, options in the order given, END, padding to BOOTP's 300.

use super::{Op, code};
use std::fmt::Display;
use std::io::Write as _;
use std::net::Ipv4Addr;

/// The smallest message every client takes (RFC 951 §3; dnsmasq and dhcpd pad to it too).
const MIN_MESSAGE: usize = 300;

/// The fixed part of a message, without `sname` and `file` (RFC 2131 §2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the fields of `Message`, documented there")]
pub struct Header {
    pub op: Op,
    pub htype: u8,
    pub hlen: u8,
    pub hops: u8,
    pub xid: u32,
    pub secs: u16,
    pub flags: u16,
    pub ciaddr: Ipv4Addr,
    pub yiaddr: Ipv4Addr,
    pub siaddr: Ipv4Addr,
    pub giaddr: Ipv4Addr,
    pub chaddr: [u8; 16],
}

/// Appends one message to a buffer. The buffer's capacity is kept between messages, so nothing is allocated.
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut Vec<u8>,
    start: usize,
}

impl<'b> Writer<'b> {
    /// Writes the fixed part. `sname` and `file` are cut to 63 and 127 octets and padded with NUL unless they come
    /// as the whole field.
    pub fn new(buffer: &'b mut Vec<u8>, header: &Header, sname: &[u8], file: &[u8]) -> Self {
        let mut writer = Self::start(buffer, header);
        writer.field(sname, 64);
        writer.field(file, 128);
        writer.buffer.extend_from_slice(&code::MAGIC_COOKIE.to_be_bytes());
        writer
    }

    /// As [`Self::new`] with names that are printed. `false` in the second place says that `file` did not fit in
    /// 127 octets and was left empty.
    pub fn with_names(
        buffer: &'b mut Vec<u8>,
        header: &Header,
        sname: Option<Ipv4Addr>,
        file: &dyn Display,
    ) -> (Self, bool) {
        let mut writer = Self::start(buffer, header);
        match sname {
            Some(address) => writer.printed(&address, 64),
            None => writer.printed(&"", 64),
        };
        let fits = writer.printed(file, 128);
        writer.buffer.extend_from_slice(&code::MAGIC_COOKIE.to_be_bytes());
        (writer, fits)
    }

    fn start(buffer: &'b mut Vec<u8>, header: &Header) -> Self {
        let start = buffer.len();
        let op = match header.op {
            Op::Request => 1,
            Op::Reply => 2,
        };
        buffer.extend_from_slice(&[op, header.htype, header.hlen, header.hops]);
        buffer.extend_from_slice(&header.xid.to_be_bytes());
        buffer.extend_from_slice(&header.secs.to_be_bytes());
        buffer.extend_from_slice(&header.flags.to_be_bytes());
        for address in [header.ciaddr, header.yiaddr, header.siaddr, header.giaddr] {
            buffer.extend_from_slice(&address.octets());
        }
        buffer.extend_from_slice(&header.chaddr);
        Self { buffer, start }
    }

    fn field(&mut self, name: &[u8], size: usize) {
        let end = self.buffer.len() + size;
        let whole = if name.len() == size { size } else { size - 1 };
        self.buffer.extend_from_slice(name.get(..whole.min(name.len())).unwrap_or_default());
        self.buffer.resize(end, 0);
    }

    fn printed(&mut self, name: &dyn Display, size: usize) -> bool {
        let start = self.buffer.len();
        let fits = write!(self.buffer, "{name}").is_ok() && self.buffer.len() - start < size;
        if !fits {
            self.buffer.truncate(start);
        }
        self.buffer.resize(start + size, 0);
        fits
    }

    /// Appends an option, split as RFC 3396 §5 says where it is longer than 255 octets.
    pub fn option(&mut self, code: u8, value: &[u8]) {
        let mut rest = value;
        loop {
            let (part, tail) = rest.split_at_checked(255).unwrap_or((rest, &[]));
            self.buffer.extend_from_slice(&[code, u8::try_from(part.len()).unwrap_or(u8::MAX)]);
            self.buffer.extend_from_slice(part);
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
    }

    /// Appends an option whose value is printed; at most 255 octets, `false` when it does not fit.
    pub fn printed_option(&mut self, code: u8, value: &dyn Display) -> bool {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[code, 0]);
        let written = write!(self.buffer, "{value}").is_ok();
        match (u8::try_from(self.buffer.len() - start - 2), self.buffer.get_mut(start + 1)) {
            (Ok(length), Some(octet)) if written => {
                *octet = length;
                true
            }
            _ => {
                self.buffer.truncate(start);
                false
            }
        }
    }

    /// Starts an option that holds options of its own.
    pub fn encapsulated(&mut self, code: u8) -> Encapsulated<'_> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[code, 0]);
        Encapsulated { buffer: self.buffer, start, fits: true }
    }

    /// Ends the options and pads to 300 octets. Gives the length of the message.
    pub fn finish(self) -> usize {
        self.buffer.push(code::END);
        if self.buffer.len() - self.start < MIN_MESSAGE {
            self.buffer.resize(self.start + MIN_MESSAGE, 0);
        }
        self.buffer.len() - self.start
    }
}

/// Writes options inside an option (PXE 2.1 table 2-1). All of it must fit in 255 octets.
#[derive(Debug)]
pub struct Encapsulated<'b> {
    buffer: &'b mut Vec<u8>,
    start: usize,
    fits: bool,
}

impl Encapsulated<'_> {
    /// Appends a sub-option whose value is these parts, one behind the other.
    pub fn option(&mut self, code: u8, parts: &[&[u8]]) {
        self.list(code, parts, |out, part| out.extend_from_slice(part));
    }

    /// Appends a sub-option that `write` fills from a list; an empty list leaves it out.
    pub fn list<T>(
        &mut self,
        code: u8,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Vec<u8>, T),
    ) {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[code, 0]);
        for item in items {
            write(self.buffer, item);
        }
        let length = self.buffer.len() - start - 2;
        match (u8::try_from(length), self.buffer.get_mut(start + 1)) {
            (Ok(0), _) => self.buffer.truncate(start),
            (Ok(length), Some(octet)) => *octet = length,
            _ => self.fits = false,
        }
    }

    /// Ends the sub-options. `false`, and nothing is left of them, when they are too long.
    pub fn finish(self) -> bool {
        self.buffer.push(code::END);
        match (u8::try_from(self.buffer.len() - self.start - 2), self.buffer.get_mut(self.start + 1)) {
            (Ok(length), Some(octet)) if self.fits => {
                *octet = length;
                true
            }
            _ => {
                self.buffer.truncate(self.start);
                false
            }
        }
    }
}
