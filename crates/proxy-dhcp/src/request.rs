//! The facts of one request: what the message says, and where it arrived. Engine layer; policy and responder read it.

use crate::wire::{
    BootItem, ClientArch, ClientArchs, IpxeOptions, MacAddr, Message, MessageType, Op, RelayAgent, UserClass,
    VendorOptions, code,
};
use std::borrow::Cow;
use std::net::{Ipv4Addr, SocketAddrV4};

/// The port a request came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub enum Port {
    /// 67: beside the lease server (RFC 2131 §4.1).
    Dhcp,
    /// 4011: boot server discovery and BINL (PXE 2.1 §2.2).
    BootServer,
}

impl Port {
    /// The number.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::Dhcp => 67,
            Self::BootServer => 4011,
        }
    }
}

/// An address of an interface and its subnet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Subnet {
    /// The interface's own address in it.
    pub address: Ipv4Addr,
    /// Its mask.
    pub mask: Ipv4Addr,
}

impl Subnet {
    /// Whether an address lies in the subnet.
    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        let mask = self.mask.to_bits();
        mask != 0 && address.to_bits() & mask == self.address.to_bits() & mask
    }

    /// The address that reaches every host of the subnet.
    #[must_use]
    pub fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() | !self.mask.to_bits())
    }
}

/// Where and from whom a datagram came: the driver's part of a request.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Name of the interface.
    pub interface: &'a str,
    /// The interface's addresses; the first is its main one.
    pub subnets: &'a [Subnet],
    /// The port it came to.
    pub port: Port,
    /// Source address and port of the datagram.
    pub source: SocketAddrV4,
}

impl Arrival<'_> {
    /// Our address towards a client: the one on its subnet, else the interface's first.
    #[must_use]
    pub fn server_for(&self, client: Ipv4Addr) -> Option<Ipv4Addr> {
        let near = self.subnets.iter().find(|subnet| subnet.contains(client));
        near.or(self.subnets.first()).map(|subnet| subnet.address)
    }

    /// Whether an address lies on a subnet of the interface.
    #[must_use]
    pub fn is_local(&self, address: Ipv4Addr) -> bool {
        self.subnets.iter().any(|subnet| subnet.contains(address))
    }
}

/// Everything a policy may ask about a request. Reading it makes no copy, except of options that RFC 3396 splits.
#[derive(Clone, Debug)]
pub struct BootRequest<'a> {
    /// The message it was read from.
    pub message: Message<'a>,
    /// Where it arrived.
    pub arrival: Arrival<'a>,
    /// Option 53; plain BOOTP has none.
    pub message_type: Option<MessageType>,
    /// Option 60.
    pub vendor_class: Option<&'a [u8]>,
    /// Option 93, every architecture.
    pub archs: ClientArchs<'a>,
    max_message_size: Option<&'a [u8]>,
    client_uuid: Option<&'a [u8]>,
    user_class: Option<Cow<'a, [u8]>>,
    vendor_options: Option<Cow<'a, [u8]>>,
    ipxe_options: Option<Cow<'a, [u8]>>,
    relay_agent: Option<Cow<'a, [u8]>>,
}

impl<'a> BootRequest<'a> {
    /// Collects the facts in one walk over the options.
    #[must_use]
    pub fn new(message: Message<'a>, arrival: Arrival<'a>) -> Self {
        let mut request = Self {
            message,
            arrival,
            message_type: None,
            vendor_class: None,
            archs: ClientArchs::default(),
            max_message_size: None,
            client_uuid: None,
            user_class: None,
            vendor_options: None,
            ipxe_options: None,
            relay_agent: None,
        };
        for option in message.options() {
            let value = option.value;
            match option.code {
                code::MESSAGE_TYPE if request.message_type.is_none() => {
                    if let &[kind] = value {
                        request.message_type = Some(MessageType::from_code(kind));
                    }
                }
                code::VENDOR_CLASS => keep_first(&mut request.vendor_class, value),
                code::MAX_MESSAGE_SIZE => keep_first(&mut request.max_message_size, value),
                code::CLIENT_UUID => keep_first(&mut request.client_uuid, value),
                code::CLIENT_ARCH if request.archs.first().is_none() => {
                    request.archs = ClientArchs::new(value)
                }
                code::USER_CLASS => join(&mut request.user_class, value),
                code::VENDOR_SPECIFIC => join(&mut request.vendor_options, value),
                code::IPXE => join(&mut request.ipxe_options, value),
                code::RELAY_AGENT => join(&mut request.relay_agent, value),
                _ => {}
            }
        }
        request
    }

    /// The client's hardware address when it is one of Ethernet.
    #[must_use]
    pub fn mac(&self) -> Option<MacAddr> {
        self.message.mac()
    }

    /// The machine identifier of option 97, its 16 octets as they came (RFC 4578 §2.3, type 0 only). SMBIOS stores the
    /// first three fields little-endian; whether firmware swaps them differs.
    #[must_use]
    pub fn uuid(&self) -> Option<[u8; 16]> {
        match self.client_uuid {
            Some([0, uuid @ ..]) => uuid.try_into().ok(),
            _ => None,
        }
    }

    /// The value of option 97 as it came, to be echoed.
    #[must_use]
    pub fn client_uuid_option(&self) -> Option<&'a [u8]> {
        self.client_uuid
    }

    /// The architecture the client wants most.
    #[must_use]
    pub fn arch(&self) -> Option<ClientArch> {
        self.archs.first()
    }

    /// Option 77.
    #[must_use]
    pub fn user_class(&self) -> Option<UserClass<'_>> {
        self.user_class.as_deref().map(UserClass::new)
    }

    /// PXE's sub-options of option 43.
    #[must_use]
    pub fn vendor_options(&self) -> Option<VendorOptions<'_>> {
        self.vendor_options.as_deref().map(VendorOptions::new)
    }

    /// The boot item that the client asks for (option 43, sub-option 71).
    #[must_use]
    pub fn boot_item(&self) -> Option<BootItem> {
        self.vendor_options()?.boot_item()
    }

    /// iPXE's own options.
    #[must_use]
    pub fn ipxe_options(&self) -> Option<IpxeOptions<'_>> {
        self.ipxe_options.as_deref().map(IpxeOptions::new)
    }

    /// Relay agent information (option 82).
    #[must_use]
    pub fn relay_agent(&self) -> Option<RelayAgent<'_>> {
        self.relay_agent.as_deref().map(RelayAgent::new)
    }

    /// Whether iPXE asks and is to be given its script.
    ///
    /// It is when its user class says so. A build whose user class was set to something else wants a loader first,
    /// but only once: the next stage inherits that class, and shows itself by a vendor class that is our own answer's
    /// (`PXEClient` and nothing behind it), also inherited. Without any user class, option 175 is proof enough.
    #[must_use]
    pub fn is_ipxe(&self) -> bool {
        match self.user_class() {
            Some(class) if class.contains(b"iPXE") => true,
            Some(_) => {
                self.ipxe_options.is_some()
                    && self.arrival.port == Port::Dhcp
                    && self.vendor_class == Some(b"PXEClient")
            }
            None => self.ipxe_options.is_some(),
        }
    }

    /// Whether the firmware asks for a URL (`HTTPClient`, UEFI 2.10 §24.7).
    #[must_use]
    pub fn is_http_client(&self) -> bool {
        self.vendor_class.is_some_and(|class| class.starts_with(b"HTTPClient"))
    }

    /// Whether the firmware says it boots from the network (`PXEClient`, PXE 2.1 §2.1, or `HTTPClient`).
    #[must_use]
    pub fn is_network_boot(&self) -> bool {
        self.message.op == Op::Request
            && (self.is_http_client()
                || self.vendor_class.is_some_and(|class| class.starts_with(b"PXEClient")))
    }

    /// The largest message to send back: option 57 less the IP and UDP headers, but 548 at least, which every client
    /// takes (RFC 2132 §9.10), and 1472 at most, which Ethernet carries.
    #[must_use]
    pub fn max_reply(&self) -> usize {
        let asked = match self.max_message_size {
            Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
            _ => 0,
        };
        asked.saturating_sub(28).clamp(548, 1472)
    }
}

fn keep_first<'a>(slot: &mut Option<&'a [u8]>, value: &'a [u8]) {
    if slot.is_none() {
        *slot = Some(value);
    }
}

fn join<'a>(slot: &mut Option<Cow<'a, [u8]>>, value: &'a [u8]) {
    match slot {
        Some(joined) => joined.to_mut().extend_from_slice(value),
        None => *slot = Some(Cow::Borrowed(value)),
    }
}
