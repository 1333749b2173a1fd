//! Ignition 2.0 to 2.4.

mod model;
pub(crate) mod validate;

pub use model::*;
