//! Validates, merges, converts and transpiles Ignition configs.

fn main() {}
