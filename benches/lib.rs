//! Benches beside the real peers, and what they share.

pub mod processors;
