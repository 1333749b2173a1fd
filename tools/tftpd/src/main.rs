//! TFTP server and client.

mod access_log;
mod args;
mod client;
mod config;
mod log;
mod map_test;
mod metrics;
mod serve;
mod url;
mod writer;

use args::Args;
use clap::Parser;
use config::Config;
use daemon::{CONFIGURATION, FAILED, give_up, privileges};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    daemon::log::start(args.log.log_format, args.log.log_level);
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
    if let Err(error) = privileges::drop_to(&args.serve.user, &[]) {
        return give_up(&error, FAILED);
    }
    match serve::run(sockets, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => give_up(error.as_ref(), FAILED),
    }
}
