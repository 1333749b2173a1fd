//! What will happen: arguments, checked once.

use crate::args::Serve;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tftp::Limits;
use tftp::driver::{Directory, Mapped, ServerConfig, Uploads};
use tftp::rules::{Rules, RulesError};
use tftp::wire::{BlockSize, WindowSize};

/// A server as configured.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) source: Mapped,
    /// Where the rules are, to read them again.
    pub(crate) map: Option<PathBuf>,
    pub(crate) server: ServerConfig,
}

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("name a directory to serve: --root DIR")]
    NoRoot,
    #[error("cannot serve {}: {source}; create the directory or name another with --root", path.display())]
    Root { path: PathBuf, source: io::Error },
    #[error("cannot read rules from {}: {source}", path.display())]
    Map { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Rules { path: PathBuf, source: RulesError },
    #[error("cannot write the access log {}: {source}", path.display())]
    AccessLog { path: PathBuf, source: io::Error },
}

/// Reads a file of rules.
pub(crate) fn read_rules(path: &Path) -> Result<Rules, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Map { path: path.to_owned(), source })?;
    text.parse().map_err(|source| ConfigError::Rules { path: path.to_owned(), source })
}

impl Config {
    pub(crate) fn new(args: &Serve) -> Result<Self, ConfigError> {
        let path = args.root.clone().ok_or(ConfigError::NoRoot)?;
        let mut directory = Directory::open(&path).map_err(|source| ConfigError::Root { path, source })?;
        if args.writable {
            let quota = args.quota.saturating_mul(1 << 20);
            directory = directory.with_uploads(Uploads { quota, ..Uploads::default() });
        }
        let limits = Limits {
            transfers: args.max_transfers,
            writable: args.writable,
            transfers_per_address: args.max_transfers_per_address,
            ..Limits::default()
        };
        let server = ServerConfig {
            limits,
            single_port: args.single_port,
            port_range: args.port_range.clone(),
            max_block_size: BlockSize::new(args.max_blksize).unwrap_or(BlockSize::MAX),
            allow_fragments: args.allow_fragments,
            max_window_size: WindowSize::new(args.max_windowsize).unwrap_or(WindowSize::MAX),
            cache_octets: args.cache << 20,
            drain: args.drain,
            own_thread: true,
            ..ServerConfig::default()
        };
        let rules = args.map.as_deref().map(read_rules).transpose()?.unwrap_or_default();
        let source = Mapped::new(directory, rules);
        Ok(Self { listen: args.listen, source, map: args.map.clone(), server })
    }
}
