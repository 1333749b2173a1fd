//! The server: sockets while we may, then the loop.

use crate::access_log::AccessLog;
use crate::args::Serve;
use crate::config::{Config, read_rules};
use crate::log;
use crate::metrics::Metrics;
use std::error::Error;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use tftp::driver::{DriverError, EventSink, Mapped, Server};
use tokio::signal::unix::{SignalKind, signal};

/// What has to be opened before privileges are dropped.
pub(crate) struct Sockets {
    server: Server,
    metrics: Option<TcpListener>,
    access_log: Option<AccessLog>,
}

/// The socket systemd gave, or one of our own.
#[expect(clippy::disallowed_methods, reason = "tools open sockets")]
pub(crate) fn bind(config: &Config, args: &Serve) -> Result<Sockets, Box<dyn Error>> {
    let server = match listenfd::ListenFd::from_env().take_udp_socket(0)? {
        Some(socket) => Server::new(socket, config.server.clone())?,
        None => Server::bind(config.listen, config.server.clone()).map_err(remedy)?,
    };
    let metrics = args.metrics.map(|addr| {
        TcpListener::bind(addr).map_err(|error| format!("cannot serve metrics at {addr}: {error}"))
    });
    let access_log = args.access_log.as_deref().map(AccessLog::open);
    Ok(Sockets { server, metrics: metrics.transpose()?, access_log: access_log.transpose()? })
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

/// Serves until SIGTERM or Ctrl-C.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(sockets: Sockets, config: Config) -> Result<(), Box<dyn Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    };
    let metrics = Metrics::default();
    let scraped = match sockets.metrics {
        Some(listener) => {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            Some(tokio::spawn(metrics.clone().serve(listener)))
        }
        None => None,
    };
    let reload = config.map.map(|map| tokio::spawn(reload(map.into(), config.source.clone())));
    tracing::info!(listen = %sockets.server.local_addr(), "serving files by TFTP");
    sd_notify::notify(&[sd_notify::NotifyState::Ready])?;
    let done = sockets.server.run(config.source, sink(metrics, sockets.access_log), shutdown).await;
    for task in [scraped, reload].into_iter().flatten() {
        task.abort();
    }
    Ok(done?)
}

fn sink(metrics: Metrics, access_log: Option<AccessLog>) -> EventSink {
    Arc::new(move |event| {
        log::event(&event);
        metrics.note(&event);
        if let Some(access_log) = &access_log {
            access_log.note(&event);
        }
    })
}

/// Reads the rules again on SIGHUP; if they are wrong, the old ones stay.
async fn reload(map: Arc<Path>, source: Mapped) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    while hangup.recv().await.is_some() {
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
}
