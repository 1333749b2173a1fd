#![doc = include_str!("../README.md")]

pub mod catalog;
pub mod check;
pub mod compat;
pub mod content;
pub mod explain;
pub mod fault;
mod gojson;
pub mod group;
mod groups;
mod index;
mod json;
pub mod labels;
pub mod mac;
#[cfg(feature = "sign")]
pub mod openpgp;
pub mod path;
pub mod profile;
pub mod render;
pub mod route;
pub mod selector;
pub mod sign;
pub mod sniff;
pub mod template;
#[cfg(feature = "ignition")]
pub mod transpile;

#[cfg(feature = "http")]
pub mod driver;

pub use catalog::{Broken, Catalog, Entry, Selection};
pub use compat::Compat;
pub use fault::{Fault, Reason};
pub use go_template::Limits;
pub use group::Group;
pub use json::JsonError;
pub use labels::Labels;
pub use profile::{NetBoot, Profile};
pub use render::{Additions, Context, Rendered};
pub use route::{Endpoint, Route, SignatureForm};
pub use selector::Selector;
