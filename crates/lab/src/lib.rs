#![doc = include_str!("../README.md")]

#[cfg(feature = "bmc")]
pub mod bmc;
pub mod capture;
pub mod console;
pub mod cpio;
pub mod dir;
pub mod disk_image;
pub mod error;
pub mod initrd;
pub mod kvm;
pub mod lease_server;
pub mod machine;
pub mod medium;
pub mod modules;
pub mod namespace;
pub mod network;
pub mod parts;
pub mod process;
pub mod pump;
pub mod qemu;
pub mod sandbox;
#[cfg(feature = "simulated")]
pub mod simulated;
pub mod standing;
pub mod vlan;

#[cfg(feature = "bmc")]
pub use bmc::Bmcs;
pub use capture::Capture;
pub use console::Console;
pub use dir::LabDir;
pub use error::{LabError, Result};
pub use machine::{DiskSpec, Firmware, Mac, Machine, MachineSpec, Uuid};
pub use namespace::Namespace;
pub use network::{Attachment, Network};
pub use parts::{LeaseServer, Parts};
pub use process::Process;
pub use pump::Pump;
pub use qemu::Accelerator;
#[cfg(feature = "simulated")]
pub use simulated::{SimulatedConfig, SimulatedLab, SimulatedMachine};
pub use standing::{Lab, LabConfig};
pub use vlan::Vlan;
