#![doc = include_str!("../README.md")]

mod client;
pub mod negotiate;
pub mod netascii;
mod receiver;
mod rto;
#[cfg(feature = "rules")]
pub mod rules;
mod sender;
mod server;
pub mod wire;

#[cfg(feature = "tokio")]
pub mod driver;

pub use client::{Ask, Client, Failure, Received};
pub use receiver::{Accepted, Receiver, ReceiverConfig};
pub use rto::{MAX_RETRIES, RetransmissionTimer};
pub use sender::{Outcome, Rollover, Sender, SenderConfig};
pub use server::{Admission, Ignored, Limits, Server, TransferId};
