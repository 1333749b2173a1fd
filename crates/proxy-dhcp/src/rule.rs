//! One rule of a policy: a condition over a request and the answer it leads to.

use crate::program::BootProgram;
use crate::request::BootRequest;
use crate::wire::ClientArch;
use std::net::Ipv4Addr;

/// One rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// What logs call it.
    pub name: String,
    /// Whom it is for.
    pub when: Condition,
    /// What they get.
    pub answer: Answer,
}

/// What a rule leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Boot this.
    Boot(BootProgram),
    /// No answer at all; the text says why and is logged.
    Silent(String),
}

/// All conditions must hold; one that is not given holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Condition {
    /// One of these architectures; empty means any.
    pub archs: Vec<ClientArch>,
    /// Whether the client is iPXE that wants its script ([`BootRequest::is_ipxe`]).
    pub ipxe: Option<bool>,
    /// One of the user classes equals this.
    pub user_class: Option<Vec<u8>>,
    /// The vendor class starts with this.
    pub vendor_class: Option<Vec<u8>>,
    /// The hardware address, under a mask.
    pub mac: Option<MacMask>,
    /// The machine identifier in either byte order of its first three fields.
    pub uuid: Option<[u8; 16]>,
    /// The interface of arrival.
    pub interface: Option<String>,
    /// The relay that passed it on.
    pub relay: Option<Ipv4Addr>,
}

/// A hardware address of which only the bits under the mask count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MacMask {
    /// The address.
    pub address: [u8; 6],
    /// The bits that count.
    pub mask: [u8; 6],
}

impl MacMask {
    /// Whether an address matches.
    #[must_use]
    pub fn matches(&self, mac: [u8; 6]) -> bool {
        let pairs = self.address.iter().zip(self.mask).zip(mac);
        pairs.into_iter().all(|((ours, mask), theirs)| ours & mask == theirs & mask)
    }
}

impl Condition {
    /// Whether the request, taken as one of its architectures, fulfils every condition.
    #[must_use]
    pub fn matches(&self, request: &BootRequest<'_>, arch: ClientArch) -> bool {
        (self.archs.is_empty() || self.archs.contains(&arch))
            && self.ipxe.is_none_or(|ipxe| ipxe == request.is_ipxe())
            && self
                .user_class
                .as_deref()
                .is_none_or(|class| request.user_class().is_some_and(|c| c.contains(class)))
            && self
                .vendor_class
                .as_deref()
                .is_none_or(|class| request.vendor_class.is_some_and(|c| c.starts_with(class)))
            && self.mac.is_none_or(|mask| request.mac().is_some_and(|mac| mask.matches(mac.0)))
            && self.uuid.is_none_or(|uuid| request.uuid().is_some_and(|u| u == uuid || u == swapped(uuid)))
            && self.interface.as_deref().is_none_or(|name| name == request.arrival.interface)
            && self.relay.is_none_or(|relay| relay == request.message.giaddr)
    }
}

/// The other byte order of a UUID: SMBIOS 2.6 stores the first three fields little-endian.
fn swapped(uuid: [u8; 16]) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = uuid;
    let [i, j, k, l, m, n, o, p] = rest;
    [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]
}
