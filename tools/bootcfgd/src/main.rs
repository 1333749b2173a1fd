//! Serves groups, profiles and templates to booting machines.

mod access_log;
mod args;
mod check;
mod config;
mod serve;

use std::process::ExitCode;

use args::Command;
use bootcfg::driver::store::StoreError;
use config::Config;
use daemon::{CONFIGURATION, FAILED, give_up, log, privileges};
use serve::{Prepared, Sockets};

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
    let done = Sockets::open(&prepared.config).map_err(Into::into).and_then(|sockets| {
        privileges::drop_to(&prepared.config.user, &[])?;
        serve::run(sockets, prepared)
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<StoreError>() => give_up(&*error, CONFIGURATION),
        Err(error) => give_up(&*error, FAILED),
    }
}
