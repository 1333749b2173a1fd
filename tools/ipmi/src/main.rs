//! IPMI client with ipmitool's grammar, for one host and for many, and a virtual BMC.

fn main() {}
