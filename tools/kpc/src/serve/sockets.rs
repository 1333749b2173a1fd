//! Everything that is opened while the process still may: sockets, store, certificates and secrets. A fault names what is
//! missing and what mends it.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use bootcfg::Compat;
use bootcfg::driver::store::FileStore;
use bootcfg::driver::tls::{Tls, TlsConfig};
use fleet::store::RedbStore;
use tftp::driver::Directory;

use crate::Failure;
use crate::args::Serve;
use crate::config::Config;
use crate::serve::audit::Audit;
use crate::serve::page::random_hex;
use crate::serve::power::Login;
use crate::serve::tell_broken;

/// What was opened.
pub(crate) struct Opened {
    pub(crate) dhcp: proxy_dhcp::driver::Server,
    pub(crate) tftp: UdpSocket,
    pub(crate) loaders: Directory,
    pub(crate) machines: TcpListener,
    pub(crate) page: TcpListener,
    /// The page's certificate; clients may show one of the authority's.
    pub(crate) page_tls: Option<Arc<Tls>>,
    /// gRPC with its certificate; clients must show one.
    pub(crate) grpc: Option<(TcpListener, Arc<Tls>)>,
    pub(crate) metrics: Option<TcpListener>,
    pub(crate) socket: UnixListener,
    /// Whether the operators' socket is systemd's, which keeps its file.
    pub(crate) activated: bool,
    pub(crate) catalog: Arc<FileStore>,
    pub(crate) store: RedbStore,
    pub(crate) audit: Audit,
    pub(crate) login: Login,
    pub(crate) token: String,
}

/// Opens it all.
pub(crate) fn open(arguments: &Serve, config: &Config) -> Result<Opened, Failure> {
    let wrong = Failure::Configuration;
    daemon::sockets::raise_descriptor_limit();
    let interface = &config.network.mgmt.interface;
    if nix::net::if_::if_nametoindex(interface.as_str()).is_err() {
        return Err(wrong(format!(
            "no interface {interface} (network.mgmt.interface); `ip link` lists them"
        )));
    }
    make_folder(&config.data_dir).map_err(wrong)?;
    let login = Login::open(config).map_err(wrong)?;
    let certificates = certificates(config).map_err(wrong)?;
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
    let path = config.data_dir.join("fleet.redb");
    let store = RedbStore::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let grpc = passed.grpc.take();
    let listen_grpc = |tls| {
        let listener = grpc.map_or_else(|| bind_tcp(config.http.grpc, "http.grpc"), Ok);
        listener.map(|listener| (listener, tls))
    };
    let activated = passed.socket.is_some();
    Ok(Opened {
        dhcp,
        tftp: passed.tftp.take().map_or_else(|| bind_udp(on(config, config.tftp.listen)), Ok)?,
        loaders,
        machines: passed
            .machines
            .take()
            .map_or_else(|| bind_tcp(on(config, config.http.machines), "http.machines"), Ok)?,
        page: passed.page.take().map_or_else(|| bind_tcp(config.http.page, "http.page"), Ok)?,
        page_tls: certificates.page,
        grpc: certificates.grpc.map(listen_grpc).transpose()?,
        metrics: daemon::metrics::listen(arguments.metrics).map_err(|error| error.to_string())?,
        socket: passed.socket.take().map_or_else(|| bind_socket(config), Ok)?,
        activated,
        catalog: Arc::new(catalog),
        store,
        audit: Audit::open(&config.data_dir)?,
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
    grpc: Option<TcpListener>,
    tftp: Option<UdpSocket>,
    socket: Option<UnixListener>,
}

/// Tells passed sockets apart by where they listen: loopback is the page's, the others by their ports; one in the file
/// system is the operators'.
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
            } else if address.port() == config.http.grpc.port() {
                found.grpc = Some(listener);
            } else {
                return Err(Failure::Configuration(format!(
                    "a socket at {address} was passed, which is none of http.page, http.machines and http.grpc"
                )));
            }
        } else if let Ok(Some(socket)) = sockets.take_udp_socket(at) {
            found.tftp = Some(socket);
        } else if let Ok(Some(listener)) = sockets.take_unix_listener(at) {
            found.socket = Some(listener);
        }
    }
    Ok(found)
}

fn bind_tcp(address: SocketAddr, key: &str) -> Result<TcpListener, String> {
    daemon::sockets::listen_tcp(&[address])
        .map_err(|error| format!("{key}: {error}; kpc.toml can name another address"))
}

#[expect(clippy::disallowed_methods, reason = "a tool opens its sockets")]
fn bind_udp(address: SocketAddr) -> Result<UdpSocket, String> {
    UdpSocket::bind(address).map_err(|error| {
        format!("{address} (tftp.listen): {error}; `ss -lunp` shows who has it, kpc.toml can name another")
    })
}

/// The operators' socket: root's and the server's own, and a group's where one is named.
fn bind_socket(config: &Config) -> Result<UnixListener, Failure> {
    let group = config.operators.as_ref().map(|name| {
        nix::unistd::Group::from_name(name).ok().flatten().ok_or_else(|| {
            Failure::Configuration(format!(
                "operators = \"{name}\": no such group; `groupadd --system {name}` makes it"
            ))
        })
    });
    let group = group.transpose()?.map(|group| group.gid.as_raw());
    daemon::sockets::listen_unix(&config.socket, group)
        .map_err(|error| Failure::Other(format!("{}: {error}", config.socket.display())))
}

fn make_folder(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o700)))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// Certificates in use.
#[derive(Default)]
struct Certificates {
    page: Option<Arc<Tls>>,
    grpc: Option<Arc<Tls>>,
}

/// The certificates of the page and of gRPC. Without a server's certificate, which `kpc init` makes, the page speaks
/// plain HTTP on its loopback address, and without an authority for clients there is no gRPC.
fn certificates(config: &Config) -> Result<Certificates, String> {
    let named = config.tls.certificate.is_some();
    let certificate = config.tls_file(&config.tls.certificate, "server.pem");
    let authority = config.tls_file(&config.tls.client_ca, "ca.pem");
    if !named && !certificate.exists() {
        tracing::warn!(
            "{}: no certificate, so the page speaks plain HTTP on {}; `kpc init` makes one",
            certificate.display(),
            config.http.page
        );
        return Ok(Certificates::default());
    }
    let client_ca = (config.tls.client_ca.is_some() || authority.exists()).then_some(authority);
    let files = |alpn| TlsConfig {
        certificate: certificate.clone(),
        key: config.tls_file(&config.tls.key, "server.key"),
        client_ca: client_ca.clone(),
        alpn,
    };
    let page = Tls::load_asking(files(vec!["http/1.1"])).map_err(|error| error.to_string())?;
    let grpc = match &client_ca {
        Some(_) => Some(Tls::load(files(vec!["h2"])).map_err(|error| error.to_string())?),
        None => {
            tracing::warn!("no authority for clients' certificates (tls.client_ca), so no gRPC");
            None
        }
    };
    Ok(Certificates { page: Some(Arc::new(page)), grpc: grpc.map(Arc::new) })
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

/// The data folder and what stands directly in it belong to the account that the server becomes.
pub(crate) fn give(folder: &Path, user: &str) -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let account = daemon::privileges::account(user).map_err(|error| error.to_string())?;
    let (uid, gid) = (Some(account.uid.as_raw()), Some(account.gid.as_raw()));
    let said = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    std::os::unix::fs::chown(folder, uid, gid).map_err(|error| said(folder, error))?;
    for entry in fs::read_dir(folder).map_err(|error| said(folder, error))?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            // Never through a link that the account may have put there.
            std::os::unix::fs::lchown(entry.path(), uid, gid).map_err(|error| said(&entry.path(), error))?;
        }
    }
    Ok(())
}
