//! Validates, merges, converts and transpiles Ignition configs.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod config;
mod files;
mod log;
mod print;
mod sarif;
mod source;
mod verbs;

use std::process::ExitCode;

use clap::Parser as _;

/// 0 valid or done, 1 invalid, failed or different, 2 usage.
fn main() -> ExitCode {
    let args = args::Args::parse();
    log::start(args.log_format, args.log_level);
    let job = match config::Job::try_from(args) {
        Ok(job) => job,
        Err(why) => {
            log::error(&why);
            return ExitCode::from(2);
        }
    };
    match verbs::run(&job) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            log::error(&why);
            ExitCode::FAILURE
        }
    }
}
