//! A boot menu (PXE 2.1 table 2-1, tags 8 to 10): what the client may choose from, and what each choice loads.

use crate::program::BootProgram;
use crate::request::BootRequest;
use crate::rule::Condition;
use crate::wire::{ClientArch, DiscoveryControl, Writer, code};
use std::net::Ipv4Addr;

/// The first boot server type that is free for a vendor's own use (PXE 2.1 table 2-1, tag 8).
pub const FIRST_TYPE: u16 = 0x8000;

/// What a client may choose from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Menu {
    /// The items, in the order shown.
    pub items: Vec<MenuItem>,
    /// What is shown before the menu; without one, the menu shows at once where there is a choice.
    pub prompt: Option<Prompt>,
}

/// What is shown before a menu.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Prompt {
    /// The text; at most 252 octets are sent.
    pub text: String,
    /// Seconds until the first item is taken: 0 takes it at once, 255 waits for ever.
    pub timeout: u8,
}

/// One line of a menu.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MenuItem {
    /// The boot server type; 0 is the disk. Unique in a policy, because a client names its choice by it.
    pub server_type: u16,
    /// What is shown; at most 255 octets.
    pub text: String,
    /// For whom the line is.
    pub when: Condition,
    /// What it loads.
    pub choice: Choice,
}

/// What a line of a menu leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Choice {
    /// We are its boot server.
    Boot(BootProgram),
    /// Another boot server, which the client asks itself; `None` makes it ask everybody.
    Elsewhere(Option<Ipv4Addr>),
    /// The disk.
    LocalBoot,
}

impl Menu {
    /// The items for one client.
    pub fn items_for<'a>(
        &'a self,
        request: &'a BootRequest<'a>,
        arch: ClientArch,
    ) -> impl Iterator<Item = &'a MenuItem> {
        self.items.iter().filter(move |item| item.when.matches(request, arch))
    }

    /// The only program for a client, when there is exactly one: UEFI firmware is given it without a menu, because
    /// many a UEFI menu is broken (dnsmasq found the same).
    #[must_use]
    pub fn only_program<'a>(
        &'a self,
        request: &'a BootRequest<'a>,
        arch: ClientArch,
    ) -> Option<&'a BootProgram> {
        let mut programs = self.items_for(request, arch).filter_map(|item| match &item.choice {
            Choice::Boot(program) => Some(program),
            Choice::Elsewhere(_) | Choice::LocalBoot => None,
        });
        programs.next().filter(|_| programs.next().is_none())
    }
}

/// A menu with the request it is for: what option 43 of the OFFER says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MenuFor<'a> {
    pub(crate) menu: &'a Menu,
    pub(crate) request: &'a BootRequest<'a>,
    pub(crate) arch: ClientArch,
    pub(crate) server: Ipv4Addr,
}

impl MenuFor<'_> {
    /// Writes option 43. `false` when the menu or the list of servers is longer than a sub-option carries.
    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> bool {
        let mut control = DiscoveryControl::NO_BROADCAST | DiscoveryControl::NO_MULTICAST;
        let items = || self.menu.items_for(self.request, self.arch);
        if items().any(|item| matches!(item.choice, Choice::Elsewhere(None))) {
            control = DiscoveryControl::NO_MULTICAST;
        }
        let mut vendor = writer.encapsulated(code::VENDOR_SPECIFIC);
        vendor.option(6, &[&[control.0]]);
        let (timeout, text) = match &self.menu.prompt {
            Some(prompt) => (prompt.timeout, prompt.text.as_str()),
            None => (if items().count() > 1 { 255 } else { 0 }, "PXE"),
        };
        vendor.option(10, &[&[timeout], text.as_bytes()]);
        let servers = items().filter_map(|item| match item.choice {
            Choice::Boot(_) => Some((item.server_type, self.server)),
            Choice::Elsewhere(address) => address.map(|address| (item.server_type, address)),
            Choice::LocalBoot => None,
        });
        vendor.list(8, servers, |out, (server_type, address)| {
            out.extend_from_slice(&server_type.to_be_bytes());
            out.push(1);
            out.extend_from_slice(&address.octets());
        });
        vendor.list(9, items(), |out, item| {
            let text = item.text.as_bytes();
            let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
            out.extend_from_slice(&item.server_type.to_be_bytes());
            out.push(length);
            out.extend_from_slice(text.get(..usize::from(length)).unwrap_or(text));
        });
        vendor.finish()
    }
}
