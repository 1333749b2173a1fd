//! The server: sockets while we may, then the loop.

use crate::access_log::{self, AccessLog};
use crate::args::Serve;
use crate::config::{Config, read_rules};
use crate::log::Lines;
use crate::metrics::Metrics;
use daemon::signals::Signals;
use daemon::sockets::Given;
use std::error::Error;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use tftp::driver::{DriverError, EventSink, Mapped, Server};

/// What has to be opened before privileges are dropped.
pub(crate) struct Sockets {
    server: Server,
    metrics: Option<TcpListener>,
    access_log: Option<access_log::Out>,
}

/// The socket systemd gave, or one of our own.
pub(crate) fn bind(config: &Config, args: &Serve) -> Result<Sockets, Box<dyn Error>> {
    let server = match Given::from_environment().udp()? {
        Some(socket) => Server::new(socket, config.server.clone())?,
        None => Server::bind(config.listen, config.server.clone()).map_err(remedy)?,
    };
    let metrics = daemon::metrics::listen(args.metrics)?;
    let access_log = args.access_log.as_deref().map(access_log::open).transpose()?;
    Ok(Sockets { server, metrics, access_log })
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

/// Serves until SIGTERM or Ctrl-C; the second one does not wait for transfers.
pub(crate) fn run(sockets: Sockets, config: Config) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(serve(sockets, config));
    // Reads that a file system never answers do not keep the process.
    runtime.shutdown_background();
    done
}

async fn serve(sockets: Sockets, config: Config) -> Result<(), Box<dyn Error>> {
    let Sockets { server, metrics: listener, access_log } = sockets;
    let mut signals = Signals::listen()?;
    let metrics = Metrics::default();
    let page = metrics.clone();
    let scraped = match listener {
        Some(listener) => {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            Some(tokio::spawn(daemon::metrics::serve(listener, move || page.render())))
        }
        None => None,
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (map, source) = (config.map.map(Arc::from), config.source.clone());
    let watched = async move {
        signals.until_stop(|| reload(map.clone(), source.clone())).await;
        let _ = stop.send(());
        signals.until_stop(|| async {}).await;
    };
    let draining = async move {
        let _ = stopped.await;
    };
    tracing::info!(listen = %server.local_addr(), "serving files by TFTP");
    daemon::signals::ready();
    let access_log = access_log.map(AccessLog::start).transpose()?;
    let events = sink(metrics, access_log, Lines::start()?);
    let done = tokio::select! {
        done = server.run(config.source, events, draining) => done,
        () = watched => Ok(()),
    };
    if let Some(task) = scraped {
        task.abort();
    }
    Ok(done?)
}

fn sink(metrics: Metrics, access_log: Option<AccessLog>, lines: Lines) -> EventSink {
    Arc::new(move |event| {
        metrics.note(&event);
        if let Some(access_log) = &access_log {
            access_log.note(&event);
        }
        lines.note(event);
    })
}

/// Reads the rules again; if they are wrong, the old ones stay.
async fn reload(map: Option<Arc<Path>>, source: Mapped) {
    let Some(map) = map else { return };
    let path = Arc::clone(&map);
    match tokio::task::spawn_blocking(move || read_rules(&path)).await {
        Ok(Ok(rules)) => {
            source.replace_rules(rules);
            tracing::info!(map = %map.display(), "rules read again");
        }
        Ok(Err(error)) => tracing::error!(%error, "rules stay as they were"),
        Err(error) => tracing::error!(%error, "rules stay as they were"),
    }
}
