//! Ignition 2.0 to 2.4.

mod model;

pub use model::*;
