//! Serves groups, profiles and templates to booting machines.

mod args;
mod check;
mod config;
mod log;
mod privileges;
mod serve;
mod sockets;

use std::error::Error;
use std::process::ExitCode;

use args::Command;
use config::Config;
use serve::Prepared;

/// Exit codes of the command line: 2, usage, is clap's.
const FAILED: u8 = 1;
const CONFIGURATION: u8 = 3;

fn main() -> ExitCode {
    let args = args::parse();
    let format = args.log_format;
    if let Some(Command::Check { data, assets, json }) = args.command {
        log::start(format, tracing::Level::WARN);
        return match check::run(&data, assets, args.compat, json) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(FAILED),
            Err(error) => give_up(&*error, CONFIGURATION),
        };
    }
    let config = Config::new(args);
    log::start(format, config.as_ref().map_or(tracing::Level::INFO, |config| config.level));
    let prepared = match config.map_err(Into::into).and_then(Prepared::new) {
        Ok(prepared) => prepared,
        Err(error) => return give_up(&*error, CONFIGURATION),
    };
    let done = sockets::open(&prepared.config).and_then(|sockets| {
        privileges::drop_to(&prepared.config.user)?;
        serve::run(sockets, prepared)
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => give_up(&*error, FAILED),
    }
}

fn give_up(error: &dyn Error, code: u8) -> ExitCode {
    tracing::error!("{error}");
    ExitCode::from(code)
}
