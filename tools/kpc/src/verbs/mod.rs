//! The verbs that talk to a running server. Each prints what happened and returns the exit code: 0 good, 1 some
//! machines failed.

mod inventory;
mod machine;
mod provision;
mod show;
mod status;
mod watch;

pub(crate) use inventory::inventory;
pub(crate) use machine::{add, cancel, power, retire};
pub(crate) use provision::provision;
pub(crate) use show::show;
pub(crate) use status::{status, time};
pub(crate) use watch::{Ending, watch};

/// An exit code of DESIGN's contract.
pub(crate) type Verdict = Result<u8, String>;
