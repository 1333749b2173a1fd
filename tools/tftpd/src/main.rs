//! TFTP server and client.

mod access_log;
mod args;
mod client;
mod config;
mod log;
mod map_test;
mod metrics;
mod privileges;
mod serve;
mod url;

use args::Args;
use clap::Parser;
use config::Config;
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

/// Exit codes of the command line: 2, usage, is clap's.
const FAILED: u8 = 1;
const CONFIGURATION: u8 = 3;

fn main() -> ExitCode {
    let args = Args::parse();
    log::start(&args.log);
    if let Some(verb) = args.verb {
        return client::run(verb);
    }
    if let (Some(map), Some(path)) = (&args.serve.map, &args.serve.map_test) {
        return match map_test::report(&args.serve, map, path) {
            Ok(text) => {
                std::io::stdout().write_all(text.as_bytes()).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
            }
            Err(error) => give_up(&error, CONFIGURATION),
        };
    }
    let config = match Config::new(&args.serve) {
        Ok(config) => config,
        Err(error) => return give_up(&error, CONFIGURATION),
    };
    let sockets = match serve::bind(&config, &args.serve) {
        Ok(sockets) => sockets,
        Err(error) => return give_up(error.as_ref(), FAILED),
    };
    if let Err(error) = privileges::drop_to(&args.serve.user) {
        return give_up(&error, FAILED);
    }
    match serve::run(sockets, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => give_up(error.as_ref(), FAILED),
    }
}

fn give_up(error: &dyn Error, code: u8) -> ExitCode {
    tracing::error!("{error}");
    ExitCode::from(code)
}
