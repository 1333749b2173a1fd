//! Benches beside the real peers.
