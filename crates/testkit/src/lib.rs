#![doc = include_str!("../README.md")]

pub mod clock;
pub mod evidence;
pub mod frame;
pub mod link;
pub mod pcap;
pub mod random;
pub mod vectors;

pub use clock::Clock;
pub use evidence::{DhcpReply, HttpExchange, TftpRead, http_exchanges, tftp_reads};
pub use link::{Link, LinkConfig};
pub use pcap::{PcapReader, PcapWriter, Record};
pub use random::SplitMix;
pub use vectors::Vector;
