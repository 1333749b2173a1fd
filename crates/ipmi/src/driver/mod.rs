//! The tokio drivers: they own sockets, the clock and the random seed, and move octets. No protocol here.

mod bmc;
mod error;
mod hook;
mod inventory;
mod qmp;
mod scan;
mod server;
mod sol;
mod sweep;

pub use crate::script::Verified;
pub use bmc::{Bmc, BmcConfig};
pub use error::BmcError;
pub use hook::HookMachine;
pub use qmp::{BootDevices, QmpMachine};
pub use scan::{ScanConfig, scan};
pub use server::{BmcServer, EventSink, Machine, MachineError, ServerEvent};
pub use sol::{Sol, SolEvent};
pub use sweep::sweep;

pub use crate::session::Credentials;

use crate::Entropy;

/// A generator seeded by the operating system.
fn entropy() -> std::io::Result<Entropy> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(std::io::Error::other)?;
    Ok(Entropy::from_seed(seed))
}
