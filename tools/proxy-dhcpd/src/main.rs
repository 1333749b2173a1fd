//! Proxy DHCP server for network boot beside an existing DHCP server.

mod args;
mod config;
mod convert;
mod dry_run;
mod file;
mod log;
mod metrics;
mod serve;

use args::Args;
use clap::Parser;
use config::Config;
use daemon::privileges::{self, Capability};
use daemon::sockets::Given;
use daemon::{CONFIGURATION, FAILED, give_up};
use proxy_dhcp::driver::{DriverError, Server};
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    daemon::log::start(args.log_format, args.log_level);
    let done = if let Some(flags) = &args.dnsmasq {
        config::from_dnsmasq(flags).map_err(Failure::configuration).and_then(|text| print(&text))
    } else {
        match Config::new(&args).map_err(Failure::configuration) {
            Ok(config) => match &args.dry_run {
                Some(path) => {
                    dry_run::explain(path.clone(), config.policy, args.address, &mut std::io::stdout().lock())
                        .map_err(Failure::failed)
                }
                None => daemon(args, config),
            },
            Err(failure) => Err(failure),
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(error, code)) => give_up(&*error, code),
    }
}

/// Sockets, then privileges, then the runtime.
fn daemon(args: Args, config: Config) -> Result<(), Failure> {
    let boot_server = Given::from_environment().udp().map_err(Failure::failed)?;
    let server = Server::bind_with(&config.server, boot_server).map_err(|error| match error {
        DriverError::NoInterfaces | DriverError::NoSuchInterface { .. } => Failure::configuration(error),
        error => Failure::failed(error),
    })?;
    let metrics = daemon::metrics::listen(args.metrics).map_err(Failure::failed)?;
    // Interfaces that come back are opened again.
    let kept = [Capability::CAP_NET_RAW, Capability::CAP_NET_BIND_SERVICE];
    privileges::drop_to(&args.user, &kept).map_err(Failure::failed)?;
    serve::run(server, config, args, metrics).map_err(|error| Failure(error, FAILED))
}

fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::failed)
}

/// An error and the exit code it leads to.
struct Failure(Box<dyn Error>, u8);

impl Failure {
    fn failed(error: impl Error + 'static) -> Self {
        Self(Box::new(error), FAILED)
    }

    fn configuration(error: impl Error + 'static) -> Self {
        Self(Box::new(error), CONFIGURATION)
    }
}
