//! TFTP server and client.

fn main() {}
