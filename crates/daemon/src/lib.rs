#![doc = include_str!("../README.md")]

pub mod log;
pub mod metrics;
pub mod privileges;
pub mod signals;
pub mod sockets;

/// Exit code of a run that failed, or in which some machines failed.
pub const FAILED: u8 = 1;
/// Exit code of a wrong command line; clap's own.
pub const USAGE: u8 = 2;
/// Exit code of a configuration that cannot be used.
pub const CONFIGURATION: u8 = 3;

/// Says why the process ends, and returns its exit code.
pub fn give_up(error: &dyn std::error::Error, code: u8) -> std::process::ExitCode {
    tracing::error!("{error}");
    std::process::ExitCode::from(code)
}
