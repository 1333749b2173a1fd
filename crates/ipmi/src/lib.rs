#![doc = include_str!("../README.md")]

pub mod command;
mod completion;
pub mod crypto;
#[cfg(feature = "tokio")]
pub mod driver;
mod entropy;
mod error;
pub mod guid;
pub mod hostrange;
pub mod responder;
pub mod scan;
pub mod script;
mod sequence;
pub mod session;
pub mod sol;
pub mod sweep;
pub mod wire;

pub use command::Command;
pub use completion::CompletionCode;
pub use crypto::cipher_suite::CipherSuite;
pub use entropy::Entropy;
pub use error::{Ignored, ParseError};
pub use guid::guid_matches_uuid;
pub use responder::BmcResponder;
pub use scan::Scan;
pub use session::{Credentials, Failure, Privilege, Session};
pub use sweep::Sweep;
