//! Serves groups, profiles and templates to booting machines.

mod args;
mod config;
mod log;
mod privileges;

use std::error::Error;
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;

use bootcfg::driver::http::{ServeConfig, Service, ServiceConfig, serve};
use bootcfg::driver::store::{FileStore, Store};
use config::Config;
use tokio::signal::unix::{SignalKind, signal};

/// Exit codes of the command line: 2, usage, is clap's.
const FAILED: u8 = 1;
const CONFIGURATION: u8 = 3;

fn main() -> ExitCode {
    let args = args::parse();
    let format = args.log_format;
    let config = Config::new(args);
    log::start(format, config.as_ref().map_or(tracing::Level::INFO, |config| config.level));
    let prepared = config.map_err(Into::into).and_then(|config| {
        let store = FileStore::open(&config.data, config.compat)?;
        Ok::<_, Box<dyn Error>>((config, Arc::new(store)))
    });
    let (config, store) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return give_up(&*error, CONFIGURATION),
    };
    let started = bind(&config).and_then(|listener| {
        privileges::drop_to(&config.user)?;
        run(listener, &config, store)
    });
    match started {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => give_up(&*error, FAILED),
    }
}

/// The socket systemd hands over, or our own.
#[expect(clippy::disallowed_methods, reason = "tools open sockets")]
fn bind(config: &Config) -> Result<TcpListener, Box<dyn Error>> {
    let listener = match listenfd::ListenFd::from_env().take_tcp_listener(0)? {
        Some(listener) => listener,
        None => TcpListener::bind(&*config.address).map_err(|error| {
            format!("cannot listen on {:?}: {error}; is another server there?", config.address)
        })?,
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[tokio::main]
async fn run(listener: TcpListener, config: &Config, store: Arc<FileStore>) -> Result<(), Box<dyn Error>> {
    let snapshot = store.snapshot();
    snapshot.broken().for_each(log::broken);
    let service = Arc::new(Service::new(ServiceConfig {
        assets: config.assets.clone(),
        listing: config.listing,
        transpile: Arc::new(bootcfg::transpile::Ignition),
        hook: Arc::new(log::AccessLog),
        ..ServiceConfig::new(store.clone())
    }));
    let (groups, profiles) = (snapshot.groups().len(), snapshot.profiles().count());
    let address = listener.local_addr()?;
    tracing::info!(%address, data = %config.data.display(), groups, profiles, compat = %config.compat, "serving");
    let mut reload = signal(SignalKind::hangup())?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let shutdown = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let reloading = async {
        while reload.recv().await.is_some() {
            let store = store.clone();
            match tokio::task::spawn_blocking(move || store.reload()).await {
                Ok(Ok(found)) => {
                    found.broken.iter().for_each(|file| log::broken(file));
                    tracing::info!(read = found.read, removed = found.removed, "read the data folder again");
                }
                Ok(Err(error)) => tracing::error!("{error}; the last snapshot stays"),
                Err(error) => tracing::error!("{error}"),
            }
        }
    };
    sd_notify::notify(&[sd_notify::NotifyState::Ready])?;
    let limits = ServeConfig {
        drain: config.drain,
        max_connections: config.max_connections,
        ..ServeConfig::default()
    };
    tokio::select! {
        result = serve(tokio::net::TcpListener::from_std(listener)?, service, limits, shutdown) => result?,
        () = reloading => {}
    }
    Ok(())
}

fn give_up(error: &dyn Error, code: u8) -> ExitCode {
    tracing::error!("{error}");
    ExitCode::from(code)
}
