//! Proxy DHCP server for network boot beside an existing DHCP server.

mod args;
mod config;
mod log;
mod privileges;

use args::Args;
use clap::Parser;
use config::Config;
use proxy_dhcp::Responder;
use proxy_dhcp::driver::{AnswerAll, DriverError, Server};
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

/// Exit codes of the command line: 2, usage, is clap's.
const FAILED: u8 = 1;
const CONFIGURATION: u8 = 3;

fn main() -> ExitCode {
    let args = Args::parse();
    log::start(&args);
    let config = match Config::new(&args) {
        Ok(config) => config,
        Err(error) => return give_up(&error, CONFIGURATION),
    };
    let server = match Server::bind(&config.server) {
        Ok(server) => server,
        Err(error) => {
            let configured = matches!(error, DriverError::NoInterfaces | DriverError::NoSuchInterface { .. });
            return give_up(&error, if configured { CONFIGURATION } else { FAILED });
        }
    };
    if let Err(error) = privileges::drop_to(&args.user) {
        return give_up(&error, FAILED);
    }
    match serve(server, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => give_up(error.as_ref(), FAILED),
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
    tracing::info!(interfaces = ?config.server.interfaces, "answering network boot requests");
    sd_notify::notify(&[sd_notify::NotifyState::Ready])?;
    server
        .run(
            Responder::new(config.policy),
            Arc::new(AnswerAll),
            Arc::new(|event| log::event(&event)),
            shutdown,
        )
        .await?;
    Ok(())
}

fn give_up(error: &dyn Error, code: u8) -> ExitCode {
    tracing::error!("{error}");
    ExitCode::from(code)
}
