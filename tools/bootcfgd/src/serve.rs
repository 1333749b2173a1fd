//! The servers of the daemon and what signals do to them.

use std::error::Error;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use bootcfg::driver::grpc::{GrpcConfig, serve_grpc};
use bootcfg::driver::http::{ServeConfig, Service, ServiceConfig, serve, serve_tls};
use bootcfg::driver::store::{FileStore, Reload, Store, StoreError, Watch};
use bootcfg::driver::tls::Tls;
use bootcfg::openpgp::OpenPgpSigner;
use bootcfg::sign::Sign;
use daemon::signals::{Signals, ready};
use daemon::sockets::{Given, raise_descriptor_limit};
use tokio::sync::watch;

use crate::access_log::{self, AccessLog};
use crate::config::Config;

/// What is read before privileges are dropped: secrets.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) config: Config,
    signer: Option<Arc<dyn Sign>>,
    web_tls: Option<Arc<Tls>>,
    rpc_tls: Option<Arc<Tls>>,
}

impl Prepared {
    /// Reads the certificates and the key ring.
    pub(crate) fn new(config: Config) -> Result<Self, Box<dyn Error>> {
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
        Ok(Self { config, signer, web_tls, rpc_tls })
    }
}

/// What to accept from; systemd gives them in this order.
#[derive(Debug)]
pub(crate) struct Sockets {
    web: TcpListener,
    rpc: Option<TcpListener>,
    metrics: Option<TcpListener>,
}

impl Sockets {
    /// Opens them all.
    pub(crate) fn open(config: &Config) -> io::Result<Self> {
        raise_descriptor_limit();
        let mut given = Given::from_environment();
        Ok(Self {
            web: given.tcp(&config.address)?,
            rpc: config.rpc.as_ref().map(|(addresses, _)| given.tcp(addresses)).transpose()?,
            metrics: config.metrics.as_ref().map(|addresses| given.tcp(addresses)).transpose()?,
        })
    }
}

/// Serves until SIGTERM or SIGINT. The store is read here, by the account that will read it again when it changes.
pub(crate) fn run(sockets: Sockets, prepared: Prepared) -> Result<(), Box<dyn Error>> {
    let store = Arc::new(FileStore::open(&prepared.config.data, prepared.config.compat)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve_all(sockets, prepared, store))
}

async fn serve_all(
    sockets: Sockets,
    prepared: Prepared,
    store: Arc<FileStore>,
) -> Result<(), Box<dyn Error>> {
    let Prepared { config, signer, web_tls, rpc_tls } = prepared;
    let snapshot = store.snapshot();
    snapshot.broken().for_each(access_log::broken);
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
    let mut signals = Signals::listen()?;
    let (groups, profiles) = (snapshot.group_count(), snapshot.profiles().count());
    drop(snapshot);
    let address = sockets.web.local_addr()?;
    let listener = |listener: TcpListener| tokio::net::TcpListener::from_std(listener);
    let web = listener(sockets.web)?;
    let rpc = sockets.rpc.map(listener).transpose()?;
    let metrics = sockets.metrics.map(listener).transpose()?;
    tracing::info!(%address, data = %config.data.display(), groups, profiles, compat = %config.compat, "serving");
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
        let Some(listener) = metrics else { return };
        let page = || {
            let catalog = store.snapshot();
            hook.metrics.page((catalog.group_count(), catalog.profiles().count(), catalog.broken().count()))
        };
        tokio::select! {
            () = daemon::metrics::serve(listener, page) => {}
            () = stopped() => {}
        }
    };
    let signals = async {
        signals.until_stop(|| reload(&store, [&web_tls, &rpc_tls])).await;
        tracing::info!("stopping: transfers under way may finish");
        stop.send_replace(true);
    };
    ready();
    let (web, rpc, (), ()) = tokio::join!(web, rpc, metrics, signals);
    web.and(rpc).map_err(Into::into)
}

/// SIGHUP: the folder and the certificates are read again.
async fn reload(store: &Arc<FileStore>, certificates: [&Option<Arc<Tls>>; 2]) {
    let store = store.clone();
    if let Ok(found) = tokio::task::spawn_blocking(move || store.reload()).await {
        report(found);
    }
    for tls in certificates.into_iter().flatten() {
        if let Err(error) = tls.reload() {
            tracing::error!("{error}; the old certificate stays in use");
        }
    }
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

fn report(reload: Result<Reload, StoreError>) {
    match reload {
        Ok(found) => {
            found.broken.iter().for_each(|file| access_log::broken(file));
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
