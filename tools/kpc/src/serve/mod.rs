//! `kpc serve`: one process that answers booting machines, keeps the fleet, and talks to operators. This file holds only
//! the order of things: sockets, store and secrets first, then privileges dropped, then the runtime and its tasks.

mod audit;
mod boot;
mod calls;
mod certificate;
mod hook;
mod http;
mod install;
mod jobs;
mod listen;
mod machines;
mod metrics;
pub(crate) mod neighbours;
mod operators;
mod page;
mod power;
mod provision;
mod sockets;
mod state;
mod why;
mod wire;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use bootcfg::driver;
use bootcfg::driver::grpc::{GrpcConfig, serve_grpc};
use bootcfg::driver::http::{ServeConfig, Service, ServiceConfig};
use bootcfg::driver::store::FileStore;
use bootcfg::driver::tls::Tls;
use daemon::signals::Signals;
use fleet::store::Journal;
use proxy_dhcp::{BootProgram, ClientArch, Policy, Responder};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Failure;
use crate::args::Serve;
use crate::config::Config;
use hook::BootHook;
use install::Installs;
use listen::stopped;
use machines::Machines;
use operators::Operators;
use page::Page;
pub(crate) use page::random_hex;
use sockets::Opened;
use state::State;
pub(crate) use state::now;

/// Most threads of the runtime, where there are as many processors: rendering and files are on others.
const WORKERS: usize = 4;
/// Tasks that run before the sockets are looked at again. A new connection waits for that three times before its request
/// is read, and in a storm a task may be the sending of a whole piece of a kernel: tokio's 61 are many.
const TASKS_BETWEEN_LOOKS: u32 = 8;
/// How far the reading of assets stands behind the rest for a processor, nice(2). Where there are too few for a rack that
/// was powered on at once, its machines wait for kernels, and not with what shows how far they are.
const READING_BEHIND: i32 = 10;
/// Most threads that read assets: disks are faster than the networks that machines boot from.
const READERS: usize = 4;

/// What has threads of its own. Machines' requests do not wait while a rack reads its loader and its kernel, nor does the
/// page, where a person waits, while a rack boots. (DHCP has a thread by its driver.)
struct Apart {
    tftp: tokio::runtime::Runtime,
    /// Its blocking threads alone.
    readers: tokio::runtime::Runtime,
    page: tokio::runtime::Runtime,
}

/// The verb.
pub(crate) fn serve(arguments: &Serve, config: &Config) -> Result<u8, Failure> {
    let opened = sockets::open(arguments, config)?;
    if arguments.keep_root_privileges {
        tracing::warn!("privileges are kept: everything runs as it was started");
    } else {
        sockets::give(&config.data_dir, &config.user).map_err(Failure::Configuration)?;
        daemon::privileges::drop_to(&config.user, &[])
            .map_err(|error| Failure::Configuration(error.to_string()))?;
    }
    let processors = std::thread::available_parallelism().map_or(WORKERS, std::num::NonZero::get);
    let started = |error| format!("the runtime does not start: {error}");
    let shared = runtime(processors.clamp(2, WORKERS)).build().map_err(started)?;
    let own = || runtime(1).build().map_err(started);
    let apart = Apart { tftp: own()?, readers: readers().build().map_err(started)?, page: own()? };
    let activated = opened.activated;
    let outcome = shared.block_on(run(arguments, config, opened, &apart));
    for ending in [apart.tftp, apart.readers, apart.page, shared] {
        ending.shutdown_timeout(Duration::from_secs(1));
    }
    if !activated {
        let _ = fs::remove_file(&config.socket);
    }
    Ok(outcome.map(|()| 0)?)
}

fn runtime(workers: usize) -> tokio::runtime::Builder {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(workers).event_interval(TASKS_BETWEEN_LOOKS).enable_all();
    runtime
}

fn readers() -> tokio::runtime::Builder {
    let mut readers = tokio::runtime::Builder::new_current_thread();
    readers.max_blocking_threads(READERS).on_thread_start(|| {
        let _ = rustix::process::nice(READING_BEHIND); // this thread's; nothing is lost where it may not be said
    });
    readers
}

/// Names the files that do not parse.
fn tell_broken(catalog: &FileStore) {
    use driver::store::Store as _;
    for broken in catalog.snapshot().broken() {
        tracing::error!(file = ?broken.file, "does not parse: machines that it may be meant for get no answer until it does: {broken:?}");
    }
}

async fn run(arguments: &Serve, config: &Config, opened: Opened, apart: &Apart) -> Result<(), String> {
    let (stop, stopping) = watch::channel(false);
    let mut signals = Signals::listen().map_err(|error| format!("signals: {error}"))?;
    let journal = Journal::start(config.timeouts.fleet(), opened.store).map_err(|error| error.to_string())?;
    let state = Arc::new(State::new(journal, opened.audit, config.bmc.silent_after_power()));
    let mut tasks: JoinSet<Result<(), String>> = JoinSet::new();

    let url = config.machines_url();
    let policy = policy(config, &url);
    let (decide, events) = (Arc::new(boot::DhcpHook(Arc::clone(&state))), Arc::clone(&state));
    let sink: proxy_dhcp::driver::EventSink = Arc::new(move |event| boot::dhcp_event(&events, &event));
    let running = opened.dhcp.run(Responder::new(policy), decide, sink, stopped(stopping.clone()));
    tasks.spawn(async move { running.await.map_err(|error| format!("proxy DHCP: {error}")) });

    let tftp = tftp::driver::Server::new(
        opened.tftp,
        tftp::driver::ServerConfig { drain: arguments.drain, own_thread: true, ..Default::default() },
    )
    .map_err(|error| format!("TFTP: {error}"))?;
    let (source, events) =
        (boot::Loaders { folder: opened.loaders, state: Arc::clone(&state) }, Arc::clone(&state));
    let sink: tftp::driver::EventSink = Arc::new(move |event| boot::tftp_event(&events, &event));
    let running = tftp.run(source, sink, stopped(stopping.clone()));
    let running = async move { running.await.map_err(|error| format!("TFTP: {error}")) };
    tasks.spawn_on(running, apart.tftp.handle());

    let mut service = ServiceConfig::new(Arc::clone(&opened.catalog) as Arc<dyn driver::store::Store>);
    service.assets = Some(config.assets());
    service.listing = false;
    service.files = Some(apart.readers.handle().clone());
    service.hook = Arc::new(BootHook { state: Arc::clone(&state), store: Arc::clone(&opened.catalog), url });
    service.transpile = Arc::new(bootcfg::transpile::Ignition);
    let service = Arc::new(Service::new(service));
    let installs = Arc::new(Installs::new(config, Arc::clone(&opened.catalog)));
    let machines = Machines { state: Arc::clone(&state), installs: Arc::clone(&installs) };
    tasks.spawn(listen::machines(opened.machines, Arc::new(machines), service, stopping.clone()));

    provision::resume(&state, &opened.login).await?;
    let operators = Arc::new(Operators {
        state: Arc::clone(&state),
        login: opened.login,
        store: Arc::clone(&opened.catalog),
        assets: config.assets(),
        live_profiles: config.bootcfg.live_profiles.clone(),
        installs,
        stopping: stopping.clone(),
    });
    let has_group = config.operators.is_some();
    tasks.spawn(listen::socket(opened.socket, Arc::clone(&operators), has_group, stopping.clone()));
    let page = Page::new(opened.token)?;
    let certificates = opened.page_tls.iter().chain(opened.grpc.as_ref().map(|(_, tls)| tls));
    let certificates: Vec<Arc<Tls>> = certificates.cloned().collect();
    tasks.spawn_on(
        listen::page(opened.page, opened.page_tls, operators, page, stopping.clone()),
        apart.page.handle(),
    );
    if let Some((listener, tls)) = opened.grpc {
        let listener = tokio_listener(listener)?;
        let limits = ServeConfig { drain: arguments.drain, ..ServeConfig::default() };
        let config = GrpcConfig { store: Arc::clone(&opened.catalog) as _, tls: Some(tls), limits };
        let running = serve_grpc(listener, config, stopped(stopping.clone()));
        tasks.spawn(async move { running.await.map_err(|error| format!("gRPC: {error}")) });
    }
    if let Some(listener) = opened.metrics {
        let (listener, counted) = (tokio_listener(listener)?, Arc::clone(&state));
        let page = move || counted.read(|fleet, now| counted.metrics().text(fleet, now));
        tasks.spawn(until(stopping.clone(), async move { daemon::metrics::serve(listener, page).await }));
    }
    let clock = Arc::clone(&state);
    tasks.spawn(until(stopping.clone(), async move { clock.run().await }));

    daemon::signals::ready();
    tracing::info!(interface = %config.network.mgmt.interface, machines = %config.http.machines, "ready");
    let outcome = supervise(&mut signals, &mut tasks, &opened.catalog, &certificates).await;
    stop.send_replace(true);
    let drained = async { while tasks.join_next().await.is_some() {} };
    tokio::select! {
        () = drained => return outcome,
        () = tokio::time::sleep(arguments.drain) => {}
        // A second signal: whoever sends it does not want to wait.
        () = signals.until_stop(|| async {}) => {}
    }
    tracing::warn!("transfers were cut at the end of the drain");
    tasks.shutdown().await;
    outcome
}

fn tokio_listener(listener: std::net::TcpListener) -> Result<tokio::net::TcpListener, String> {
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    tokio::net::TcpListener::from_std(listener).map_err(|error| error.to_string())
}

/// A task without an end of its own.
async fn until(stopping: watch::Receiver<bool>, task: impl Future<Output = ()>) -> Result<(), String> {
    tokio::select! {
        () = task => {}
        () = stopped(stopping) => {}
    }
    Ok(())
}

/// Waits for the signal to end, or for a task that ended by itself.
async fn supervise(
    signals: &mut Signals,
    tasks: &mut JoinSet<Result<(), String>>,
    catalog: &Arc<FileStore>,
    certificates: &[Arc<Tls>],
) -> Result<(), String> {
    let reloading = || async {
        let (catalog, certificates) = (Arc::clone(catalog), certificates.to_vec());
        if let Err(error) = tokio::task::spawn_blocking(move || reload(&catalog, &certificates)).await {
            tracing::error!(%error, "reload");
        }
    };
    tokio::select! {
        () = signals.until_stop(reloading) => Ok(()),
        ended = tasks.join_next() => match ended {
            Some(Ok(Err(error))) => Err(error),
            Some(Err(error)) => Err(error.to_string()),
            Some(Ok(Ok(()))) | None => Err("a part of the server ended by itself".to_owned()),
        },
    }
}

/// Reads changed groups, profiles, templates and certificates; the last good ones stay where a file cannot be used.
fn reload(catalog: &FileStore, certificates: &[Arc<Tls>]) {
    match catalog.reload() {
        Ok(reload) => {
            tracing::info!(
                read = reload.read,
                removed = reload.removed,
                broken = reload.broken.len(),
                "reloaded"
            );
            tell_broken(catalog);
        }
        Err(error) => tracing::error!(%error, "not reloaded; the last good state stays"),
    }
    for tls in certificates {
        if let Err(error) = tls.reload() {
            tracing::error!(%error, "the old certificate stays in use; a key that root alone may read is read by a restart");
        }
    }
}

fn policy(config: &Config, url: &str) -> Policy {
    let relays = config.rack.iter().flat_map(|rack| rack.relays.iter().copied());
    let builder = relays.fold(Policy::builder(), |builder, relay| builder.relay(relay).routed_clients(true));
    let builder = builder.default_loaders();
    // The first rule that fits decides.
    let named = config.dhcp.boot.iter().filter_map(|(arch, file)| Some((arch.parse().ok()?, file)));
    let builder =
        named.fold(builder, |builder, (arch, file)| builder.boot(arch, BootProgram::new(file.clone())));
    builder
        .boot(ClientArch::Bios, BootProgram::new(config.dhcp.bios.clone()))
        .boot(ClientArch::X64Uefi, BootProgram::new(config.dhcp.x64_uefi.clone()))
        .ipxe_script(format!("{url}/boot.ipxe"))
        .build()
}
