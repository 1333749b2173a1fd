//! What will happen: the flags and the file, joined once. Nothing later reads either.

use crate::args::Args;
use proxy_dhcp::driver::ServerConfig;
use proxy_dhcp::{BootProgram, ClientArch, Policy};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// Everything the program needs.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) server: ServerConfig,
    pub(crate) policy: Policy,
}

/// The configuration file; every key has its flag's name and meaning.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct File {
    interfaces: Vec<String>,
    tftp_server: Option<Ipv4Addr>,
    ipxe_script: Option<String>,
    relays: Vec<Ipv4Addr>,
    answer_router_solicitations: bool,
    boot: BTreeMap<String, String>,
}

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: {source}", path.display())]
    Parse { path: PathBuf, source: Box<toml::de::Error> },
    #[error("{}: [boot] {name}: {source}", path.display())]
    Arch { path: PathBuf, name: String, source: proxy_dhcp::wire::UnknownArchName },
}

impl Config {
    /// Joins flags and file; a flag beats the file's key.
    pub(crate) fn new(args: &Args) -> Result<Self, ConfigError> {
        let path = args.config.clone().unwrap_or_default();
        let file = match &args.config {
            Some(path) => read(path.clone())?,
            None => File::default(),
        };
        let mut builder = Policy::builder();
        for (name, program) in file.boot {
            let arch =
                name.parse().map_err(|source| ConfigError::Arch { path: path.clone(), name, source })?;
            builder = builder.boot(arch, BootProgram::new(program));
        }
        for (arch, program) in &args.boot {
            builder = builder.boot(ClientArch::clone(arch), BootProgram::new(program));
        }
        if let Some(script) = args.ipxe_script.clone().or(file.ipxe_script) {
            builder = builder.ipxe_script(script);
        }
        if let Some(address) = args.tftp_server.or(file.tftp_server) {
            builder = builder.tftp_server(address);
        }
        for relay in file.relays.into_iter().chain(args.relay.iter().copied()) {
            builder = builder.relay(relay).routed_clients(true);
        }
        let server = ServerConfig {
            interfaces: if args.interface.is_empty() { file.interfaces } else { args.interface.clone() },
            answer_router_solicitations: args.answer_router_solicitations || file.answer_router_solicitations,
            ..ServerConfig::default()
        };
        Ok(Self { server, policy: builder.default_loaders().build() })
    }
}

fn read(path: PathBuf) -> Result<File, ConfigError> {
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            toml::from_str(&text).map_err(|source| ConfigError::Parse { path, source: Box::new(source) })
        }
        Err(source) => Err(ConfigError::Read { path, source }),
    }
}
