//! The servers of the daemon and what signals do to them.

use std::error::Error;
use std::net::TcpListener;
use std::sync::Arc;

use bootcfg::driver::grpc::{GrpcConfig, serve_grpc};
use bootcfg::driver::http::{ServeConfig, Service, ServiceConfig, serve, serve_tls};
use bootcfg::driver::store::{FileStore, Reload, Store, StoreError, Watch};
use bootcfg::driver::tls::Tls;
use bootcfg::openpgp::OpenPgpSigner;
use bootcfg::sign::Sign;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::config::Config;
use crate::log::{self, AccessLog};
use crate::sockets::Sockets;

/// What is read before privileges are dropped.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) config: Config,
    pub(crate) store: Arc<FileStore>,
    signer: Option<Arc<dyn Sign>>,
    web_tls: Option<Arc<Tls>>,
    rpc_tls: Option<Arc<Tls>>,
}

impl Prepared {
    /// Reads the store, the certificates and the key ring.
    pub(crate) fn new(config: Config) -> Result<Self, Box<dyn Error>> {
        let store = Arc::new(FileStore::open(&config.data, config.compat)?);
        let signer = match &config.key_ring {
            None => None,
            Some((path, passphrase)) => {
                let wrong = |error: &dyn Error| format!("-key-ring-path {}: {error}", path.display());
                let ring = std::fs::read(path).map_err(|error| wrong(&error))?;
                let signer =
                    OpenPgpSigner::from_key_ring(&ring, &passphrase.0).map_err(|error| wrong(&error))?;
                Some(Arc::new(signer) as Arc<dyn Sign>)
            }
        };
        let load = |tls: &bootcfg::driver::tls::TlsConfig| Tls::load(tls.clone()).map(Arc::new);
        let web_tls = config.web_tls.as_ref().map(load).transpose()?;
        let rpc_tls = config.rpc.as_ref().map(|(_, tls)| load(tls)).transpose()?;
        Ok(Self { config, store, signer, web_tls, rpc_tls })
    }
}

/// Serves until SIGTERM or SIGINT.
#[tokio::main]
pub(crate) async fn run(sockets: Sockets, prepared: Prepared) -> Result<(), Box<dyn Error>> {
    let Prepared { config, store, signer, web_tls, rpc_tls } = prepared;
    let snapshot = store.snapshot();
    snapshot.broken().for_each(log::broken);
    if config.rpc.is_some() {
        warn_if_read_only(&config);
    }
    let _watch = Watch::start(store.clone(), report)?;
    let hook = Arc::new(AccessLog::default());
    let service = Arc::new(Service::new(ServiceConfig {
        assets: config.assets.clone(),
        listing: config.listing,
        hook: hook.clone(),
        transpile: Arc::new(bootcfg::transpile::Ignition),
        signer,
        explain_token: config.explain_token.as_ref().map(|token| token.0.as_str().into()),
        ..ServiceConfig::new(store.clone())
    }));
    let (groups, profiles) = (snapshot.group_count(), snapshot.profiles().count());
    let address = sockets.web.local_addr()?;
    tracing::info!(%address, data = %config.data.display(), groups, profiles, compat = %config.compat, "serving");
    let limits = ServeConfig {
        drain: config.drain,
        max_connections: config.max_connections,
        ..ServeConfig::default()
    };
    let (stop, stopping) = watch::channel(false);
    let stopped = || {
        let mut stopping = stopping.clone();
        async move { _ = stopping.wait_for(|stop| *stop).await }
    };
    let listener = |listener: TcpListener| tokio::net::TcpListener::from_std(listener);
    let web = listener(sockets.web)?;
    let rpc = sockets.rpc.map(listener).transpose()?;
    let metrics = sockets.metrics.map(listener).transpose()?;
    let web = async {
        match &web_tls {
            Some(tls) => serve_tls(web, tls.clone(), service, limits, stopped()).await,
            None => serve(web, service, limits, stopped()).await,
        }
    };
    let rpc = async {
        match rpc {
            Some(rpc) => {
                let config = GrpcConfig { store: store.clone(), tls: rpc_tls.clone(), limits };
                serve_grpc(rpc, config, stopped()).await
            }
            None => Ok(()),
        }
    };
    let metrics = async {
        if let Some(listener) = metrics {
            serve_metrics(listener, &hook, &store, stopped()).await;
        }
    };
    let certificates = web_tls.iter().chain(&rpc_tls).cloned().collect();
    let signals = handle_signals(store.clone(), certificates, stop)?;
    sd_notify::notify(&[sd_notify::NotifyState::Ready])?;
    let (web, rpc, (), ()) = tokio::join!(web, rpc, metrics, signals);
    web.and(rpc).map_err(Into::into)
}

/// Writes over gRPC need folders that the account may write.
fn warn_if_read_only(config: &Config) {
    for folder in bootcfg::driver::store::FOLDERS {
        let path = config.data.join(folder);
        let writable = nix::unistd::access(&path, nix::unistd::AccessFlags::W_OK).is_ok();
        if path.is_dir() && !writable {
            let path = path.display();
            tracing::warn!(
                "{path} cannot be written: gRPC writes will fail; change its owner, or name another account with --user"
            );
        }
    }
}

/// SIGHUP reads everything again; SIGTERM and SIGINT begin the end.
fn handle_signals(
    store: Arc<FileStore>,
    certificates: Vec<Arc<Tls>>,
    stop: watch::Sender<bool>,
) -> std::io::Result<impl Future<Output = ()>> {
    let mut hangup = signal(SignalKind::hangup())?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        loop {
            tokio::select! {
                _ = hangup.recv() => {}
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
            let store = store.clone();
            if let Ok(reload) = tokio::task::spawn_blocking(move || store.reload()).await {
                report(reload);
            }
            for tls in &certificates {
                if let Err(error) = tls.reload() {
                    tracing::error!("{error}; the old certificate stays in use");
                }
            }
        }
        tracing::info!("stopping: transfers under way may finish");
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        stop.send_replace(true);
    })
}

fn report(reload: Result<Reload, StoreError>) {
    match reload {
        Ok(found) => {
            found.broken.iter().for_each(|file| log::broken(file));
            tracing::info!(
                read = found.read,
                removed = found.removed,
                broken = found.broken.len(),
                "read the data folder again"
            );
        }
        Err(error) => tracing::error!("{error}; the last snapshot stays in use"),
    }
}

/// One page, to whoever connects: there is nothing secret in it.
async fn serve_metrics(
    listener: tokio::net::TcpListener,
    hook: &AccessLog,
    store: &FileStore,
    stopped: impl Future<Output = ()>,
) {
    let mut stopped = std::pin::pin!(stopped);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.map(|(stream, _)| stream),
            () = &mut stopped => return,
        };
        let Ok(mut stream) = stream else { continue };
        let catalog = store.snapshot();
        let counts = (catalog.group_count(), catalog.profiles().count(), catalog.broken().count());
        let page = hook.metrics.page(counts);
        let answer = async {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await?;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                page.len()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(page.as_bytes()).await?;
            stream.shutdown().await
        };
        // A scraper that stalls is cut: the next one waits for it.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), answer).await;
    }
}
