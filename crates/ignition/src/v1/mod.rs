//! Ignition 1: the format before named filesystems. It is read so that it can be converted; everybody calls it deprecated.

mod model;
pub(crate) mod validate;

pub use model::*;
