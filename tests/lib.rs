//! Interoperability tests, one file per real peer.
