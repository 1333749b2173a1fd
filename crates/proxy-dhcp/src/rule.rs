//! One rule of a policy: a condition over a request and the answer it leads to.

use crate::menu::Menu;
use crate::program::BootProgram;
use crate::request::BootRequest;
use crate::wire::{ClientArch, Feature};
use std::net::Ipv4Addr;
use std::time::Duration;

/// One rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// What logs call it.
    pub name: String,
    /// Whom it is for.
    pub when: Condition,
    /// What they get.
    pub answer: Answer,
    /// When they get it.
    pub patience: Patience,
}

impl Rule {
    /// A rule that answers at once.
    #[must_use]
    pub fn new(name: impl Into<String>, when: Condition, answer: Answer) -> Self {
        Self { name: name.into(), when, answer, patience: Patience::default() }
    }
}

/// Holds an answer back, so that another PXE responder may win.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Patience {
    /// Answer this much later. Nobody else waits.
    pub delay: Duration,
    /// Leave requests alone whose `secs` field is below this (RFC 2131 §2). iPXE starts at 4.
    pub min_secs: u16,
}

/// What a rule leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Boot this.
    Boot(BootProgram),
    /// Let the client choose. A client for whom no item is left goes on to the next rule.
    Menu(Menu),
    /// Boot from the disk: a BIOS is told so, other firmware goes on by itself when nobody answers.
    LocalBoot,
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
    /// Every one of these features of iPXE.
    pub features: Vec<Feature>,
    /// Every one of these options is as said.
    pub options: Vec<OptionTest>,
    /// The relay agent's circuit id (option 82).
    pub circuit_id: Option<Vec<u8>>,
    /// The relay agent's remote id (option 82).
    pub remote_id: Option<Vec<u8>>,
    /// The interface of arrival.
    pub interface: Option<String>,
    /// The relay that passed it on.
    pub relay: Option<Ipv4Addr>,
    /// At least one of these holds, when any is given.
    pub any: Vec<Condition>,
    /// None of these holds.
    pub none: Vec<Condition>,
}

/// A test of one option's value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OptionTest {
    /// The option's number.
    pub code: u8,
    /// What its value must be.
    pub value: OptionValue,
}

/// What an option's value must be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OptionValue {
    /// There, whatever it holds.
    Present,
    /// These octets.
    Equals(Vec<u8>),
    /// These octets somewhere in it.
    Contains(Vec<u8>),
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
    /// Exactly this address.
    #[must_use]
    pub fn exact(address: [u8; 6]) -> Self {
        Self { address, mask: [0xff; 6] }
    }

    /// Every address of one maker (the first three octets).
    #[must_use]
    pub fn maker([a, b, c]: [u8; 3]) -> Self {
        Self { address: [a, b, c, 0, 0, 0], mask: [0xff, 0xff, 0xff, 0, 0, 0] }
    }

    /// Whether an address matches.
    #[must_use]
    pub fn matches(&self, mac: [u8; 6]) -> bool {
        let pairs = self.address.iter().zip(self.mask).zip(mac);
        pairs.into_iter().all(|((ours, mask), theirs)| ours & mask == theirs & mask)
    }
}

impl OptionTest {
    fn matches(&self, request: &BootRequest<'_>) -> bool {
        let Some(value) = request.message.options().joined(self.code) else { return false };
        match &self.value {
            OptionValue::Present => true,
            OptionValue::Equals(octets) => *value == **octets,
            OptionValue::Contains(octets) => {
                octets.is_empty() || value.windows(octets.len()).any(|window| window == octets)
            }
        }
    }
}

impl Condition {
    /// Whether the request, taken as one of its architectures, fulfils every condition.
    #[must_use]
    pub fn matches(&self, request: &BootRequest<'_>, arch: ClientArch) -> bool {
        self.matches_client(request, arch)
            && self.matches_way(request)
            && self.options.iter().all(|test| test.matches(request))
            && (self.any.is_empty() || self.any.iter().any(|condition| condition.matches(request, arch)))
            && !self.none.iter().any(|condition| condition.matches(request, arch))
    }

    /// What the client says of itself.
    fn matches_client(&self, request: &BootRequest<'_>, arch: ClientArch) -> bool {
        (self.archs.is_empty() || self.archs.contains(&arch))
            && self.ipxe.is_none_or(|ipxe| ipxe == request.is_ipxe())
            && self
                .user_class
                .as_deref()
                .is_none_or(|class| request.user_class().is_some_and(|theirs| theirs.contains(class)))
            && self
                .vendor_class
                .as_deref()
                .is_none_or(|class| request.vendor_class.is_some_and(|theirs| theirs.starts_with(class)))
            && self.mac.is_none_or(|mask| request.mac().is_some_and(|mac| mask.matches(mac.0)))
            && self.uuid.is_none_or(|uuid| request.uuid().is_some_and(|u| u == uuid || u == swapped(uuid)))
            && (self.features.is_empty()
                || request
                    .ipxe_options()
                    .is_some_and(|ipxe| self.features.iter().all(|feature| ipxe.has_feature(*feature))))
    }

    /// The way the request came.
    fn matches_way(&self, request: &BootRequest<'_>) -> bool {
        let relay_agent = |id: &Option<Vec<u8>>, theirs: Option<&[u8]>| {
            id.as_deref().is_none_or(|id| theirs == Some(id)) //
        };
        relay_agent(&self.circuit_id, request.relay_agent().and_then(|agent| agent.circuit_id()))
            && relay_agent(&self.remote_id, request.relay_agent().and_then(|agent| agent.remote_id()))
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
