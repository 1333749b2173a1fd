//! The answer to one request, as a value: what it says, where it goes, and how it is written.

use crate::menu::MenuFor;
use crate::program::BootFile;
use crate::request::BootRequest;
use crate::wire::{BootItem, ClientArch, DiscoveryControl, Header, MessageType, Op, Writer, code};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// Which step of a boot an answer serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub enum Stage {
    /// The machine's own network boot code.
    Firmware,
    /// iPXE, which takes a script.
    Ipxe,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Firmware => "firmware",
            Self::Ipxe => "iPXE",
        })
    }
}

/// Where a reply goes. Only to who asked, its configured relay, or everybody on the segment of arrival.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Destination {
    /// The client has no address yet: 255.255.255.255 on the interface of arrival, to this port.
    Broadcast(u16),
    /// The address and port the request came from.
    Source(SocketAddrV4),
    /// The relay agent, port 67 (RFC 2131 §4.1).
    Relay(SocketAddrV4),
}

impl Destination {
    /// The address and port on the wire.
    #[must_use]
    pub fn address(self) -> SocketAddrV4 {
        match self {
            Self::Broadcast(port) => SocketAddrV4::new(Ipv4Addr::BROADCAST, port),
            Self::Source(address) | Self::Relay(address) => address,
        }
    }
}

/// What option 43 says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Vendor<'a> {
    /// No option 43.
    Nothing,
    /// Boot the file of this packet.
    BootFile,
    /// The answer to a boot item.
    Item(BootItem),
    /// Choose.
    Menu(MenuFor<'a>),
    /// Boot from the disk: a menu of one item that is taken at once.
    LocalBoot,
    /// The words that a Raspberry Pi's boot ROM looks for before it reads its files from our address.
    RaspberryPi,
}

/// One reply, not yet written.
#[derive(Clone, Debug)]
pub struct Reply<'a> {
    pub(crate) request: &'a BootRequest<'a>,
    pub(crate) message: MessageType,
    pub(crate) destination: Destination,
    pub(crate) server: Ipv4Addr,
    pub(crate) siaddr: Ipv4Addr,
    pub(crate) sname: Option<Ipv4Addr>,
    pub(crate) file: Option<BootFile<'a>>,
    pub(crate) http: bool,
    pub(crate) vendor: Vendor<'a>,
    pub(crate) stage: Stage,
    pub(crate) arch: ClientArch,
    pub(crate) rule: &'a str,
    pub(crate) delay: Duration,
}

impl<'a> Reply<'a> {
    /// OFFER or ACK.
    #[must_use]
    pub fn message(&self) -> MessageType {
        self.message
    }

    /// Where it goes; from the port the request came to.
    #[must_use]
    pub fn destination(&self) -> Destination {
        self.destination
    }

    /// Our address: option 54, and the source address of the datagram.
    #[must_use]
    pub fn server(&self) -> Ipv4Addr {
        self.server
    }

    /// The file it names; an OFFER in BINL form names none.
    #[must_use]
    pub fn file(&self) -> Option<BootFile<'a>> {
        self.file
    }

    /// Which step of the boot it serves.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The architecture the rule matched.
    #[must_use]
    pub fn arch(&self) -> ClientArch {
        self.arch
    }

    /// The name of the rule that led to it.
    #[must_use]
    pub fn rule(&self) -> &'a str {
        self.rule
    }

    /// Whether it offers a menu.
    #[must_use]
    pub fn is_menu(&self) -> bool {
        matches!(self.vendor, Vendor::Menu(_))
    }

    /// Whether the file it names is on this host.
    #[must_use]
    pub fn is_file_here(&self) -> bool {
        self.siaddr == self.server
    }

    /// Whether it names a URL: a script for iPXE or a program for HTTP Boot.
    #[must_use]
    pub fn is_script(&self) -> bool {
        self.file.is_some_and(|file| file.is_url())
    }

    /// How long the answer is held back.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// Appends the message to a buffer and gives its length; `None` leaves the buffer as it was: the reply would be
    /// longer than the client takes (option 57).
    #[must_use]
    pub fn encode(&self, buffer: &mut Vec<u8>) -> Option<usize> {
        let start = buffer.len();
        let length = self.write(buffer);
        if length.is_none_or(|length| length > self.request.max_reply()) {
            buffer.truncate(start);
            return None;
        }
        length
    }

    fn write(&self, buffer: &mut Vec<u8>) -> Option<usize> {
        let asked = &self.request.message;
        // A boot server answers a boot item with the client's address as "yours" (PXE 2.1 §2.4.5; dnsmasq too).
        let (ciaddr, yiaddr) = match (self.vendor, self.message) {
            (Vendor::Item(_), _) => (Ipv4Addr::UNSPECIFIED, asked.ciaddr),
            (_, MessageType::Offer) => (Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED),
            _ => (asked.ciaddr, Ipv4Addr::UNSPECIFIED),
        };
        let header = Header {
            op: Op::Reply,
            ciaddr,
            yiaddr,
            siaddr: self.siaddr,
            flags: match self.destination {
                Destination::Broadcast(_) => asked.flags | 0x8000,
                Destination::Source(_) | Destination::Relay(_) => asked.flags,
            },
            hops: 0,
            ..asked.header()
        };
        // Most names are ready as they are, and printing costs as much as all the rest.
        let literal = self.file.map_or(Some(""), |file| file.literal()).filter(|name| name.len() < 128);
        let (mut writer, fits) = match (self.file, self.sname, literal) {
            (_, None, Some(name)) => (Writer::new(buffer, &header, b"", name.as_bytes()), true),
            (Some(file), sname, _) => Writer::with_names(buffer, &header, sname, &file),
            (None, sname, _) => Writer::with_names(buffer, &header, sname, &""),
        };
        writer.option(code::MESSAGE_TYPE, &[self.message.code()]);
        writer.option(code::SERVER_ID, &self.server.octets());
        writer.option(code::VENDOR_CLASS, if self.http { b"HTTPClient" } else { b"PXEClient" });
        if let Some(uuid) = self.request.client_uuid_option() {
            writer.option(code::CLIENT_UUID, uuid);
        }
        match self.vendor {
            Vendor::Nothing => {}
            Vendor::BootFile => {
                let control = DiscoveryControl::BOOT_FILE;
                writer.option(code::VENDOR_SPECIFIC, &[6, 1, control.0, code::END]);
            }
            Vendor::Item(item) => {
                let ([t0, t1], [l0, l1]) = (item.server_type.to_be_bytes(), item.layer.to_be_bytes());
                writer.option(code::VENDOR_SPECIFIC, &[71, 4, t0, t1, l0, l1, code::END]);
            }
            Vendor::Menu(menu) => {
                if !menu.write(&mut writer) {
                    return None;
                }
            }
            Vendor::LocalBoot => write_only_item(&mut writer, b"Local boot"),
            Vendor::RaspberryPi => write_only_item(&mut writer, b"Raspberry Pi Boot"),
        }
        // Option 67 beats `file` in EDK2, so it is only sent where `file` is too short for the name.
        if let Some(file) = self.file.filter(|_| !fits)
            && !writer.printed_option(code::BOOT_FILE, &file)
        {
            return None;
        }
        if let Some(relay_agent) = self.request.relay_agent() {
            writer.option(code::RELAY_AGENT, relay_agent.as_bytes()); // last: RFC 3046 §2.2
        }
        Some(writer.finish())
    }
}

/// A menu with one item of type 0, taken at once (PXE 2.1 §2.2.6: discovery control, prompt, menu).
fn write_only_item(writer: &mut Writer<'_>, text: &[u8]) {
    let mut vendor = writer.encapsulated(code::VENDOR_SPECIFIC);
    vendor.option(6, &[&[3]]);
    vendor.option(10, &[&[0], b"PXE"]);
    let length = u8::try_from(text.len()).unwrap_or_default();
    vendor.option(9, &[&[0, 0, length], text]);
    vendor.finish();
}
