#![doc = include_str!("../README.md")]

pub mod fat;
pub mod octets;
pub mod signature;
pub mod table;

pub use octets::{ReadAt, Window, Write};
pub use signature::{Signature, filesystems, signatures};
pub use table::{Partition, Table, TableKind};
