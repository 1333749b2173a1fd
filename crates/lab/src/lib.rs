//! The lab: namespaces, virtual machines with real firmware, virtual BMCs.
