#![doc = include_str!("../README.md")]

pub mod capture;
mod clients;
pub mod dnsmasq;
mod menu;
mod policy;
mod program;
mod reply;
mod request;
mod responder;
mod rule;
mod table;
pub mod why;
pub mod wire;

#[cfg(feature = "dhcproto")]
pub mod dhcproto_message;
#[cfg(feature = "tokio")]
pub mod driver;

pub use clients::{Client, Clients, RateLimit};
pub use menu::{Choice, FIRST_TYPE, Menu, MenuItem, Prompt};
pub use policy::{Builder, Policy, origin};
pub use program::{BootFile, BootProgram, Form};
pub use reply::{Destination, Reply, Stage};
pub use request::{Arrival, BootRequest, Port, Subnet};
pub use responder::{Ignored, Responder};
pub use rule::{Answer, Condition, MacMask, OptionTest, OptionValue, Patience, Rule};
pub use wire::{ClientArch, MacAddr, ParseError, UserClass};
