//! IPMI over LAN: client, fleet and virtual BMC over RMCP+.
