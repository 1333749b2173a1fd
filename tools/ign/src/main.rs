//! Validates, merges, converts and transpiles Ignition configs.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod config;
mod files;
mod print;
mod sarif;
mod source;
mod verbs;

use std::process::ExitCode;

use clap::Parser as _;

/// 0 valid or done, 1 invalid, failed or different, 2 usage.
fn main() -> ExitCode {
    let job = match config::Job::try_from(args::Args::parse()) {
        Ok(job) => job,
        Err(why) => {
            eprintln!("ign: {why}");
            return ExitCode::from(2);
        }
    };
    match verbs::run(&job) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("ign: {why}");
            ExitCode::FAILURE
        }
    }
}
