//! From powered-off machines to registered nodes.

fn main() {}
