//! `kpc serve`: one process that answers booting machines, keeps the fleet, and talks to operators. This file holds only
//! the order of things: sockets, store and secrets first, then privileges dropped, then the runtime and its tasks.

mod boot;
mod calls;
mod hook;
mod http;
mod install;
mod machines;
mod operators;
mod page;
mod power;
mod privileges;
mod provision;
mod state;
mod vault;
mod why;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bootcfg::driver::http::{Service, ServiceConfig};
use bootcfg::driver::store::FileStore;
use bootcfg::{Compat, driver};
use fleet::store::{Journal, RedbStore};
use ipmi::driver::Credentials;
use proxy_dhcp::{BootProgram, ClientArch, Policy, Responder};
use tftp::driver::Directory;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Failure;
use crate::args::Serve;
use crate::config::Config;
use hook::BootHook;
use install::Installs;
use machines::Machines;
use operators::Operators;
use page::Page;
pub(crate) use page::random_hex;
use power::Login;
use state::State;
pub(crate) use state::now;

/// Everything that is opened while the process still may.
struct Opened {
    dhcp: proxy_dhcp::driver::Server,
    tftp: UdpSocket,
    loaders: Directory,
    machines: TcpListener,
    page: TcpListener,
    socket: UnixListener,
    catalog: Arc<FileStore>,
    store: RedbStore,
    login: Login,
    token: String,
}

/// The verb.
pub(crate) fn serve(arguments: &Serve, config: &Config) -> Result<u8, Failure> {
    let opened = open(config)?;
    if arguments.keep_root_privileges {
        tracing::warn!("privileges are kept: everything runs as it was started");
    } else {
        privileges::drop_to(&config.user, &config.data_dir).map_err(Failure::Configuration)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime does not start: {error}"))?;
    let outcome = runtime.block_on(run(arguments, config, opened));
    runtime.shutdown_timeout(Duration::from_secs(1));
    let _ = fs::remove_file(&config.socket);
    Ok(outcome.map(|()| 0)?)
}

/// Threads of the runtime: some wait for the store while others answer.
const WORKERS: usize = 4;

/// Sockets, store and secrets. A fault names what is missing and what mends it.
fn open(config: &Config) -> Result<Opened, Failure> {
    let wrong = Failure::Configuration;
    raise_descriptors();
    let interface = &config.network.mgmt.interface;
    if !Path::new("/sys/class/net").join(interface).exists() {
        return Err(wrong(format!(
            "no interface {interface} (network.mgmt.interface); `ip link` lists them"
        )));
    }
    make_folder(&config.data_dir).map_err(wrong)?;
    let login = login(config).map_err(wrong)?;
    let root = config.tftp_root();
    let loaders = Directory::open(&root).map_err(|error| {
        wrong(format!(
            "{}: {error}; put undionly.kpxe and snponly.efi there (Debian's package ipxe has them)",
            root.display()
        ))
    })?;
    let catalog =
        FileStore::open(config.bootcfg_data(), Compat::Strict).map_err(|error| wrong(error.to_string()))?;
    tell_broken(&catalog);
    let dhcp = proxy_dhcp::driver::Server::bind(&proxy_dhcp::driver::ServerConfig {
        interfaces: vec![interface.clone()],
        answer_router_solicitations: config.dhcp.answer_router_solicitations,
        ..Default::default()
    })
    .map_err(|error| format!("proxy DHCP: {error}"))?;
    let mut passed = passed(config)?;
    let store = config.data_dir.join("fleet.redb");
    let store = RedbStore::open(&store).map_err(|error| format!("{}: {error}", store.display()))?;
    Ok(Opened {
        dhcp,
        tftp: passed.tftp.take().map_or_else(|| bind_udp(on(config, config.tftp.listen)), Ok)?,
        loaders,
        machines: passed
            .machines
            .take()
            .map_or_else(|| bind_tcp(on(config, config.http.machines), "http.machines"), Ok)?,
        page: passed.page.take().map_or_else(|| bind_tcp(config.http.page, "http.page"), Ok)?,
        socket: bind_socket(&config.socket)?,
        catalog: Arc::new(catalog),
        store,
        login,
        token: page_token(&config.data_dir)?,
    })
}

/// "Any address" means ours on the machines' network: neither HTTP nor TFTP listens elsewhere.
fn on(config: &Config, address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(config.network.mgmt.address.into(), address.port())
    } else {
        address
    }
}

/// Sockets that systemd, or the lab, has opened for us.
#[derive(Default)]
struct Passed {
    machines: Option<TcpListener>,
    page: Option<TcpListener>,
    tftp: Option<UdpSocket>,
}

/// Tells passed sockets apart by where they listen: loopback is the page's, the machines' port the machines'.
fn passed(config: &Config) -> Result<Passed, Failure> {
    let mut sockets = listenfd::ListenFd::from_env();
    let mut found = Passed::default();
    for at in 0..sockets.len() {
        if let Ok(Some(listener)) = sockets.take_tcp_listener(at) {
            let address = listener.local_addr().map_err(|error| error.to_string())?;
            if address.ip().is_loopback() {
                found.page = Some(listener);
            } else if address.port() == config.http.machines.port() {
                found.machines = Some(listener);
            } else {
                return Err(Failure::Configuration(format!(
                    "a socket at {address} was passed, which is neither http.page nor http.machines"
                )));
            }
        } else if let Ok(Some(socket)) = sockets.take_udp_socket(at) {
            found.tftp = Some(socket);
        }
    }
    Ok(found)
}

/// As many descriptors as the system lets us have: a connection each.
fn raise_descriptors() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(%error, soft, "the limit of descriptors stays");
    }
}

#[expect(clippy::disallowed_methods, reason = "a tool opens its sockets")]
fn bind_tcp(address: SocketAddr, key: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).map_err(|error| {
        format!("{address} ({key}): {error}; `ss -ltnp` shows who has it, kpc.toml can name another")
    })
}

#[expect(clippy::disallowed_methods, reason = "a tool opens its sockets")]
fn bind_udp(address: SocketAddr) -> Result<UdpSocket, String> {
    UdpSocket::bind(address).map_err(|error| {
        format!("{address} (tftp.listen): {error}; `ss -lunp` shows who has it, kpc.toml can name another")
    })
}

fn bind_socket(path: &Path) -> Result<UnixListener, String> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    if path.exists() {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(format!("{}: another kpc serves there", path.display()));
        }
        fs::remove_file(path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let listener = UnixListener::bind(path).map_err(|error| format!("{}: {error}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(listener)
}

fn make_folder(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o700)))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// The BMCs' login. A password that others can read is refused.
fn login(config: &Config) -> Result<Login, String> {
    let kept = crate::bmc::logins::kept(&config.data_dir);
    let Some(path) = &config.bmc.password_file else { return Login::open(kept, None) };
    let metadata =
        fs::metadata(path).map_err(|error| format!("{}: {error} (bmc.password_file)", path.display()))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(format!("{}: others can read this password; run: chmod 600 {0}", path.display()));
    }
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let password = text.lines().next().unwrap_or_default();
    let credentials = Credentials::new(&config.bmc.user, password.as_bytes())
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Login::open(kept, Some(credentials))
}

/// The page's token: made once, kept in the data folder. One that was cut short is replaced.
fn page_token(folder: &Path) -> Result<String, String> {
    let path = folder.join("page-token");
    let said = |error: std::io::Error| format!("{}: {error}", path.display());
    match fs::read_to_string(&path) {
        Ok(token) if token.trim().len() >= 32 => {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(said)?;
            return Ok(token.trim().to_owned());
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(said(error)),
        _ => {}
    }
    let (token, beside) = (random_hex()?, folder.join("page-token.new"));
    let _ = fs::remove_file(&beside);
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| {
            writeln!(file, "{token}")?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&beside, &path))
        .map_err(said)?;
    Ok(token)
}

fn tell_broken(catalog: &FileStore) {
    use bootcfg::driver::store::Store as _;
    for broken in catalog.snapshot().broken() {
        tracing::error!(file = ?broken.file, "does not parse: machines that it may be meant for get no answer until it does: {broken:?}");
    }
}

/// Orders whose machines nobody has switched on: their job ended with an earlier run of the server.
fn tell_waiting(state: &State) {
    let waiting = state.read(|fleet, now| {
        let statuses = fleet.status(now).into_iter();
        let armed =
            statuses.filter(|status| status.order.as_ref().is_some_and(|order| order.state == "armed"));
        armed.filter(|status| status.phase.is_none()).map(|status| status.name).collect::<Vec<_>>()
    });
    if !waiting.is_empty() {
        tracing::warn!(
            machines = ?waiting,
            "ordered before this start and not switched on: `kpc power on NAME`, or `kpc cancel NAME` and a new order"
        );
    }
}

async fn run(arguments: &Serve, config: &Config, opened: Opened) -> Result<(), String> {
    let (stop, stopping) = watch::channel(false);
    let journal =
        Journal::start(fleet::Config::default(), opened.store).map_err(|error| error.to_string())?;
    let state = Arc::new(State::new(journal));
    tell_waiting(&state);
    let mut tasks: JoinSet<Result<(), String>> = JoinSet::new();

    let url = config.machines_url();
    let policy = policy(config, &url);
    let (decide, events) = (Arc::new(boot::DhcpHook(Arc::clone(&state))), Arc::clone(&state));
    let sink: proxy_dhcp::driver::EventSink = Arc::new(move |event| boot::dhcp_event(&events, &event));
    let running = opened.dhcp.run(Responder::new(policy), decide, sink, stopped(stopping.clone()));
    tasks.spawn(async move { running.await.map_err(|error| format!("proxy DHCP: {error}")) });

    let tftp = tftp::driver::Server::new(
        opened.tftp,
        tftp::driver::ServerConfig { drain: arguments.drain, ..Default::default() },
    )
    .map_err(|error| format!("TFTP: {error}"))?;
    let (source, events) =
        (boot::Loaders { folder: opened.loaders, state: Arc::clone(&state) }, Arc::clone(&state));
    let sink: tftp::driver::EventSink = Arc::new(move |event| boot::tftp_event(&events, &event));
    let running = tftp.run(source, sink, stopped(stopping.clone()));
    tasks.spawn(async move { running.await.map_err(|error| format!("TFTP: {error}")) });

    let mut service = ServiceConfig::new(Arc::clone(&opened.catalog) as Arc<dyn driver::store::Store>);
    service.assets = Some(config.assets());
    service.listing = false;
    service.hook = Arc::new(BootHook { state: Arc::clone(&state), store: Arc::clone(&opened.catalog), url });
    service.transpile = Arc::new(bootcfg::transpile::Ignition);
    let service = Arc::new(Service::new(service));
    let installs = Arc::new(Installs::new(config, Arc::clone(&opened.catalog)));
    let machines = Machines { state: Arc::clone(&state), installs: Arc::clone(&installs) };
    tasks.spawn(serve_machines(opened.machines, Arc::new(machines), service, stopping.clone()));

    let operators = Arc::new(Operators {
        state: Arc::clone(&state),
        login: opened.login,
        store: Arc::clone(&opened.catalog),
        assets: config.assets(),
        live_profiles: config.bootcfg.live_profiles.clone(),
        installs,
        stopping: stopping.clone(),
    });
    tasks.spawn(serve_socket(opened.socket, Arc::clone(&operators), stopping.clone()));
    tasks.spawn(serve_page(opened.page, operators, Page::new(opened.token)?, stopping.clone()));
    let clock = Arc::clone(&state);
    let mut ends = stopping.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = clock.run() => {}
            _ = ends.changed() => {}
        }
        Ok(())
    });

    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    tracing::info!(interface = %config.network.mgmt.interface, machines = %config.http.machines, "ready");
    let outcome = supervise(&mut tasks, &opened.catalog).await;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    stop.send_replace(true);
    let drained = async { while tasks.join_next().await.is_some() {} };
    tokio::select! {
        () = drained => return outcome,
        () = tokio::time::sleep(arguments.drain) => {}
        () = again() => {}
    }
    tracing::warn!("transfers were cut at the end of the drain");
    tasks.shutdown().await;
    outcome
}

/// A second signal: whoever sends it does not want to wait.
async fn again() {
    use tokio::signal::unix::{SignalKind, signal};
    if let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    } else {
        std::future::pending::<()>().await;
    }
}

/// Waits for a signal or for a task that ended by itself.
async fn supervise(tasks: &mut JoinSet<Result<(), String>>, catalog: &Arc<FileStore>) -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = |kind| signal(kind).map_err(|error| error.to_string());
    let mut terminate = signals(SignalKind::terminate())?;
    let mut interrupt = signals(SignalKind::interrupt())?;
    let mut hangup = signals(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => reload(catalog),
            ended = tasks.join_next() => return match ended {
                Some(Ok(Err(error))) => Err(error),
                Some(Err(error)) => Err(error.to_string()),
                Some(Ok(Ok(()))) | None => Err("a part of the server ended by itself".to_owned()),
            },
        }
    }
}

/// Reads changed groups, profiles and templates; the last good ones stay where a file does not parse.
fn reload(catalog: &Arc<FileStore>) {
    match tokio::task::block_in_place(|| catalog.reload()) {
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
}

fn policy(config: &Config, url: &str) -> Policy {
    let relays = config.rack.iter().flat_map(|rack| rack.relays.iter().copied());
    let builder = relays.fold(Policy::builder(), |builder, relay| builder.relay(relay).routed_clients(true));
    builder
        .default_loaders()
        .boot(ClientArch::Bios, BootProgram::new(config.dhcp.bios.clone()))
        .boot(ClientArch::X64Uefi, BootProgram::new(config.dhcp.x64_uefi.clone()))
        .ipxe_script(format!("{url}/boot.ipxe"))
        .build()
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn serve_machines(
    listener: TcpListener,
    machines: Arc<Machines>,
    service: Arc<Service>,
    stopping: watch::Receiver<bool>,
) -> Result<(), String> {
    accept_tcp(listener, stopping, move |stream, peer, stop| {
        let (machines, service) = (Arc::clone(&machines), Arc::clone(&service));
        http::connection(stream, stop, move |request| {
            let (machines, service) = (Arc::clone(&machines), Arc::clone(&service));
            async move {
                match machines.answer(peer, request).await {
                    Ok(response) => response.map(http::infallible),
                    Err(request) => service.handle(peer, request).await.map(http::fallible),
                }
            }
        })
    })
    .await
}

async fn serve_page(
    listener: TcpListener,
    operators: Arc<Operators>,
    page: Page,
    stopping: watch::Receiver<bool>,
) -> Result<(), String> {
    let page = Arc::new(page);
    accept_tcp(listener, stopping, move |stream, _, stop| {
        let (page, operators) = (Arc::clone(&page), Arc::clone(&operators));
        http::connection(stream, stop, move |request| {
            let (page, operators) = (Arc::clone(&page), Arc::clone(&operators));
            async move { page.answer(&operators, request).await.map(http::infallible) }
        })
    })
    .await
}

async fn serve_socket(
    listener: UnixListener,
    operators: Arc<Operators>,
    stopping: watch::Receiver<bool>,
) -> Result<(), String> {
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    let listener = tokio::net::UnixListener::from_std(listener).map_err(|error| error.to_string())?;
    let ours = nix::unistd::geteuid().as_raw();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stopped(stopping.clone()) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => {
                let stream = match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                };
                let Ok(peer) = stream.peer_cred() else { continue };
                if peer.uid() != 0 && peer.uid() != ours {
                    tracing::warn!(uid = peer.uid(), "refused on the operators' socket");
                    continue;
                }
                let (by, operators) = (format!("uid {}", peer.uid()), Arc::clone(&operators));
                connections.spawn(http::connection(stream, stopping.clone(), move |request| {
                    let (by, operators) = (by.clone(), Arc::clone(&operators));
                    async move { operators.answer(&by, request).await.map(http::infallible) }
                }));
            }
        }
    }
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// How long to wait after an accept that failed for want of a descriptor or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Most connections of one peer at once: a stranger cannot hold them all.
const MAX_PER_PEER: usize = 64;
/// Most connections of one listener at once; more wait in its queue.
const MAX_CONNECTIONS: usize = 8192;

async fn accept_tcp<F, Fut>(
    listener: TcpListener,
    stopping: watch::Receiver<bool>,
    answer: F,
) -> Result<(), String>
where
    F: Fn(tokio::net::TcpStream, SocketAddr, watch::Receiver<bool>) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(|error| error.to_string())?;
    let mut connections = JoinSet::new();
    let mut peers: HashMap<IpAddr, usize> = HashMap::new();
    loop {
        tokio::select! {
            () = stopped(stopping.clone()) => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                if let Ok(peer) = ended
                    && let Entry::Occupied(mut count) = peers.entry(peer)
                {
                    *count.get_mut() -= 1;
                    if *count.get() == 0 {
                        count.remove();
                    }
                }
            }
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, peer)) => {
                    let _ = stream.set_nodelay(true);
                    let count = peers.entry(peer.ip()).or_insert(0_usize);
                    if *count >= MAX_PER_PEER {
                        tracing::debug!(%peer, "too many connections of one peer");
                        continue;
                    }
                    *count += 1;
                    let answered = answer(stream, peer, stopping.clone());
                    connections.spawn(async move {
                        answered.await;
                        peer.ip()
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    while connections.join_next().await.is_some() {}
    Ok(())
}
