//! Serves groups, profiles and templates to booting machines.

fn main() {}
