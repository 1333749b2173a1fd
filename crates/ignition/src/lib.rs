#![doc = include_str!("../README.md")]

#[cfg(feature = "butane")]
pub mod butane;
#[cfg(feature = "yaml")]
pub mod clc;
pub mod convert;
pub mod data_url;
pub mod decode;
pub mod diff;
mod encode;
pub mod explain;
#[cfg(feature = "yaml")]
pub mod files;
#[cfg(feature = "yaml")]
pub mod fuze;
pub mod json;
pub mod lint;
pub mod merge;
mod mode;
#[cfg(feature = "yaml")]
mod origins;
mod parse;
mod partition;
mod path;
pub mod redact;
pub mod report;
pub mod resolved;
pub mod schema;
#[cfg(feature = "yaml")]
mod size;
mod source;
mod text;
pub mod tree;
pub mod unit;
mod url;
pub mod v1;
pub mod v2;
pub mod v3;
pub mod variables;
mod version;
#[cfg(feature = "yaml")]
pub mod yaml;

pub use encode::Style;
pub use parse::{Body, Config, check};
pub use report::{Entry, Report, Severity};
pub use version::{Minor, SpecVersion};
