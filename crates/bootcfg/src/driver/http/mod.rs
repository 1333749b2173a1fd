//! The HTTP server: a [`Service`] answers requests, [`serve`] accepts connections for it.

mod asset;
mod body;
mod hook;
mod reply;
mod serve;
mod service;

pub use body::Body;
pub use hook::{Access, DefaultHook, Hook, RequestFacts, Target, Verdict};
pub use serve::{ServeConfig, serve};
pub use service::{Service, ServiceConfig};
