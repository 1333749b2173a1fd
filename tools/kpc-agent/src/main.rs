//! The program in the booted system that makes a machine what its config says.

fn main() {}
