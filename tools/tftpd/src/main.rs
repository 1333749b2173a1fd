//! TFTP server and client.

mod args;
mod client;
mod config;
mod log;
mod privileges;
mod url;

use args::Args;
use clap::Parser;
use config::Config;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use tftp::driver::{DriverError, Server};

/// Exit codes of the command line: 2, usage, is clap's.
const FAILED: u8 = 1;
const CONFIGURATION: u8 = 3;

fn main() -> ExitCode {
    let args = Args::parse();
    log::start(&args.log);
    if let Some(verb) = args.verb {
        return client::run(verb);
    }
    let config = match Config::new(&args.serve) {
        Ok(config) => config,
        Err(error) => return give_up(&error, CONFIGURATION),
    };
    let server = match bind(&config) {
        Ok(server) => server,
        Err(error) => return give_up(error.as_ref(), FAILED),
    };
    if let Err(error) = privileges::drop_to(&args.serve.user) {
        return give_up(&error, FAILED);
    }
    match serve(server, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => give_up(error.as_ref(), FAILED),
    }
}

/// The socket systemd gave, or one of our own.
fn bind(config: &Config) -> Result<Server, Box<dyn Error>> {
    let server = match listenfd::ListenFd::from_env().take_udp_socket(0)? {
        Some(socket) => Server::new(socket, config.server.clone())?,
        None => Server::bind(config.listen, config.server.clone()).map_err(remedy)?,
    };
    Ok(server)
}

fn remedy(error: DriverError) -> Box<dyn Error> {
    let DriverError::Bind { source, .. } = &error else { return error.into() };
    match source.kind() {
        std::io::ErrorKind::PermissionDenied => {
            format!("{error}; start as root or name a port above 1023 with --listen").into()
        }
        std::io::ErrorKind::AddrInUse => {
            format!("{error}; another TFTP server runs here (`ss -ulnp` names it)").into()
        }
        _ => error.into(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn serve(server: Server, config: Config) -> Result<(), Box<dyn Error>> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    tracing::info!(listen = %server.local_addr(), "serving files by TFTP");
    sd_notify::notify(&[sd_notify::NotifyState::Ready])?;
    server.run(config.directory, Arc::new(|event| log::event(&event)), shutdown).await?;
    Ok(())
}

fn give_up(error: &dyn Error, code: u8) -> ExitCode {
    tracing::error!("{error}");
    ExitCode::from(code)
}
