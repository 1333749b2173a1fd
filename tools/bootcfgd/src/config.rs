//! What will happen: flags, then the environment, then defaults, decided once.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bootcfg::Compat;
use tracing::Level;

use crate::args::{Args, socket_addr};

/// Everything the daemon needs.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) address: Vec<SocketAddr>,
    pub(crate) data: PathBuf,
    pub(crate) assets: Option<PathBuf>,
    pub(crate) compat: Compat,
    pub(crate) listing: bool,
    pub(crate) user: String,
    pub(crate) drain: Duration,
    pub(crate) max_connections: usize,
    pub(crate) level: Level,
}

/// What is wrong with the configuration, and what mends it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("-address: {0}")]
    Address(String),
    #[error("-log-level `{0}` is none of error, warn, info, debug, trace")]
    LogLevel(String),
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
        let assets = path(args.assets_path, "ASSETS_PATH").unwrap_or_else(|| data.join("assets"));
        let assets = (!assets.as_os_str().is_empty()).then_some(assets);
        if let Some(missing) = assets.as_ref().filter(|assets| !assets.is_dir()) {
            return Err(ConfigError::Assets(missing.clone()));
        }
        let level = from(args.log_level, "LOG_LEVEL").unwrap_or_else(|| "info".into());
        Ok(Self {
            address: socket_addr(&address).map_err(ConfigError::Address)?,
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
