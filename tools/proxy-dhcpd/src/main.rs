//! Proxy DHCP server for network boot beside an existing DHCP server.

fn main() {}
