//! What will happen: flags, then the environment, then defaults, decided once.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bootcfg::Compat;
use bootcfg::driver::tls::TlsConfig;
use tracing::Level;

use crate::args::{Args, socket_addr};

/// Everything the daemon needs.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) address: Vec<SocketAddr>,
    pub(crate) rpc: Option<(Vec<SocketAddr>, TlsConfig)>,
    pub(crate) web_tls: Option<TlsConfig>,
    pub(crate) metrics: Option<Vec<SocketAddr>>,
    pub(crate) key_ring: Option<(PathBuf, Passphrase)>,
    pub(crate) explain_token: Option<Passphrase>,
    pub(crate) data: PathBuf,
    pub(crate) assets: Option<PathBuf>,
    pub(crate) compat: Compat,
    pub(crate) listing: bool,
    pub(crate) user: String,
    pub(crate) drain: Duration,
    pub(crate) max_connections: usize,
    pub(crate) level: Level,
}

/// A secret, which is never printed.
pub(crate) struct Passphrase(pub(crate) String);

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// What is wrong with the configuration, and what mends it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{option}: {reason}")]
    Address { option: &'static str, reason: String },
    #[error("{option} {path}: {source}", path = path.display())]
    File { option: &'static str, path: PathBuf, source: std::io::Error },
    #[error("-log-level `{0}` is none of error, warn, info, debug, trace")]
    LogLevel(String),
    #[error("-data-path {path}: no such folder; create the folder or correct the path", path = .0.display())]
    Data(PathBuf),
    #[error("-assets-path {path}: no such folder; create it, or turn assets off with -assets-path=\"\"", path = .0.display())]
    Assets(PathBuf),
}

impl Config {
    /// Decides.
    pub(crate) fn new(args: Args) -> Result<Self, ConfigError> {
        let from = |flag: Option<String>, name: &str| flag.or_else(|| environment(name));
        let path = |flag: Option<PathBuf>, name: &str| flag.or_else(|| environment(name).map(Into::into));
        let address = from(args.address, "ADDRESS").unwrap_or_else(|| "127.0.0.1:8080".into());
        let old = args.compat == Compat::Bootcfg040;
        let data = path(args.data_path, "DATA_PATH")
            .unwrap_or_else(|| if old { "/var/lib/bootcfg" } else { "/var/lib/matchbox" }.into());
        if !data.is_dir() {
            return Err(ConfigError::Data(data));
        }
        let assets = path(args.assets_path, "ASSETS_PATH").unwrap_or_else(|| data.join("assets"));
        let assets = (!assets.as_os_str().is_empty()).then_some(assets);
        if let Some(missing) = assets.as_ref().filter(|assets| !assets.is_dir()) {
            return Err(ConfigError::Assets(missing.clone()));
        }
        let listen = |option, text: String| {
            socket_addr(&text).map_err(|reason| ConfigError::Address { option, reason })
        };
        let file = |flag, name, default: &str| path(flag, name).unwrap_or_else(|| default.into());
        let rpc_tls = TlsConfig {
            certificate: file(args.cert_file, "CERT_FILE", "/etc/matchbox/server.crt"),
            key: file(args.key_file, "KEY_FILE", "/etc/matchbox/server.key"),
            client_ca: Some(file(args.ca_file, "CA_FILE", "/etc/matchbox/ca.crt")),
            alpn: vec!["h2"],
        };
        let web_tls = TlsConfig {
            certificate: file(args.web_cert_file, "WEB_CERT_FILE", "/etc/matchbox/ssl/server.crt"),
            key: file(args.web_key_file, "WEB_KEY_FILE", "/etc/matchbox/ssl/server.key"),
            client_ca: None,
            alpn: vec!["http/1.1"],
        };
        let is_true = |text: String| text == "true" || text == "1";
        let web_ssl = args.web_ssl.unwrap_or_else(|| environment("WEB_SSL").is_some_and(is_true));
        let rpc = from(args.rpc_address, "RPC_ADDRESS").filter(|text| !text.is_empty());
        let rpc = rpc.map(|text| listen("-rpc-address", text)).transpose()?;
        let key_ring = path(args.key_ring_path, "KEY_RING_PATH").filter(|path| !path.as_os_str().is_empty());
        let explain_token = match args.explain_token_file {
            None => None,
            Some(path) => match std::fs::read_to_string(&path) {
                Ok(text) => Some(Passphrase(text.trim().to_string())).filter(|token| !token.0.is_empty()),
                Err(source) => {
                    return Err(ConfigError::File { option: "--explain-token-file", path, source });
                }
            },
        };
        let level = from(args.log_level, "LOG_LEVEL").unwrap_or_else(|| "info".into());
        Ok(Self {
            address: listen("-address", address)?,
            rpc: rpc.map(|address| (address, rpc_tls)),
            web_tls: web_ssl.then_some(web_tls),
            metrics: args.metrics.map(|text| listen("--metrics", text)).transpose()?,
            key_ring: key_ring.map(|path| (path, Passphrase(environment("PASSPHRASE").unwrap_or_default()))),
            explain_token,
            data,
            assets,
            compat: args.compat,
            listing: !args.no_listing,
            user: args.user,
            drain: args.drain,
            max_connections: args.max_connections,
            level: log_level(&level).ok_or(ConfigError::LogLevel(level))?,
        })
    }
}

/// logrus' names, which the originals take, and tracing's.
fn log_level(text: &str) -> Option<Level> {
    Some(match text.to_ascii_lowercase().as_str() {
        "panic" | "fatal" | "critical" | "error" => Level::ERROR,
        "warn" | "warning" | "notice" => Level::WARN,
        "info" => Level::INFO,
        "debug" => Level::DEBUG,
        "trace" => Level::TRACE,
        _ => return None,
    })
}

fn environment(name: &str) -> Option<String> {
    ["MATCHBOX_", "BOOTCFG_"].into_iter().find_map(|prefix| std::env::var(format!("{prefix}{name}")).ok())
}
