//! Client of bootcfgd's gRPC interface.

fn main() {}
