//! Ignition 3.0 to 3.7-experimental.

mod model;
mod shared;
pub(crate) mod validate;

pub use model::*;
