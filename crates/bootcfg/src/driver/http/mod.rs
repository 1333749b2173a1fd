//! The HTTP server: a [`Service`] answers requests, [`serve`] accepts connections for it.

mod asset;
mod body;
mod head;
mod hook;
mod metrics;
mod reply;
mod serve;
mod service;
mod signed;

pub use body::Body;
pub use hook::{Access, Deciding, DefaultHook, Hook, RequestFacts, Target, Verdict};
pub use metrics::Metrics;
#[cfg(feature = "tls")]
pub use serve::serve_tls;
#[cfg(feature = "grpc")]
pub(crate) use serve::{Accepted, accept_all};
pub use serve::{ServeConfig, serve};
pub use service::{Service, ServiceConfig};
