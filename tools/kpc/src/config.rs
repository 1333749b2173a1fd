//! `kpc.toml`: what will happen, read once. A fault names the file, the line and the remedy.

mod install;
mod racks;
mod timeouts;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::args::{Common, DEFAULT_CONFIG};
pub(crate) use install::{BootOrder, Install, is_digest};
use timeouts::{Time, Timeouts};

/// The server's folder where none is named.
pub(crate) const DEFAULT_DATA_DIR: &str = "/var/lib/kpc";

/// The whole configuration; every key has the default that its line names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The store's folder. Default `/var/lib/kpc`.
    #[serde(default = "default_data_dir")]
    pub(crate) data_dir: PathBuf,
    /// The operators' socket. Default `/run/kpc/kpc.sock`.
    #[serde(default = "default_socket")]
    pub(crate) socket: PathBuf,
    /// The account that the server runs as after it has bound its sockets. Default `nobody`.
    #[serde(default = "default_user")]
    pub(crate) user: String,
    /// The group whose members may use the operators' socket. Default: none, root and the server's account only.
    #[serde(default)]
    pub(crate) operators: Option<String>,
    /// Certificates of the page, the API and gRPC.
    #[serde(default)]
    pub(crate) tls: TlsFiles,
    /// Networks.
    pub(crate) network: Network,
    /// Machines' HTTP and the page.
    #[serde(default)]
    pub(crate) http: Http,
    /// Loaders.
    #[serde(default)]
    pub(crate) tftp: Tftp,
    /// Groups, profiles, templates and assets.
    #[serde(default)]
    pub(crate) bootcfg: Bootcfg,
    /// Proxy DHCP.
    #[serde(default)]
    pub(crate) dhcp: Dhcp,
    /// How BMCs are spoken to.
    #[serde(default)]
    pub(crate) bmc: Bmc,
    /// What the agent writes, by profile.
    #[serde(default)]
    pub(crate) install: BTreeMap<String, Install>,
    /// How long things may take.
    #[serde(default)]
    pub(crate) timeouts: Timeouts,
    /// Racks, where they differ.
    #[serde(default)]
    pub(crate) rack: Vec<racks::Rack>,
}

/// `[network.*]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Network {
    /// Where the machines boot.
    pub(crate) mgmt: Mgmt,
    /// Where the BMCs are.
    #[serde(default)]
    pub(crate) bmc: Option<racks::BmcNetwork>,
}

/// `[network.mgmt]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mgmt {
    /// The interface on the machines' network. There is no default: never "all".
    pub(crate) interface: String,
    /// Our address on it, as machines reach it.
    pub(crate) address: std::net::Ipv4Addr,
}

/// `[http]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Http {
    /// Machines' HTTP: read-only plus claim, report, register. Default `0.0.0.0:8080`.
    pub(crate) machines: SocketAddr,
    /// The page and operators' API on a loopback address. Default `127.0.0.1:8443`.
    pub(crate) page: SocketAddr,
    /// matchbox's gRPC interface, for clients with a certificate. Default `0.0.0.0:8081`.
    pub(crate) grpc: SocketAddr,
}

/// `[tls]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TlsFiles {
    /// The server's certificate and the chain below it, PEM. Default `DATA_DIR/tls/server.pem`.
    pub(crate) certificate: Option<PathBuf>,
    /// Its key, PEM. Default `DATA_DIR/tls/server.key`.
    pub(crate) key: Option<PathBuf>,
    /// Whose certificates make somebody an operator, PEM. Default `DATA_DIR/tls/ca.pem`.
    pub(crate) client_ca: Option<PathBuf>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            machines: SocketAddr::from(([0, 0, 0, 0], 8080)),
            page: SocketAddr::from(([127, 0, 0, 1], 8443)),
            grpc: SocketAddr::from(([0, 0, 0, 0], 8081)),
        }
    }
}

/// `[tftp]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tftp {
    /// The loaders' folder, nothing else in it. Default `DATA_DIR/loaders`.
    pub(crate) root: Option<PathBuf>,
    /// Where the server listens. Default `0.0.0.0:69`.
    pub(crate) listen: SocketAddr,
}

impl Default for Tftp {
    fn default() -> Self {
        Self { root: None, listen: SocketAddr::from(([0, 0, 0, 0], 69)) }
    }
}

/// `[bootcfg]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Bootcfg {
    /// The folder with groups, profiles, ignition, generic, cloud. Default `DATA_DIR/bootcfg`.
    pub(crate) data: Option<PathBuf>,
    /// The folder served below `/assets/`. Default `DATA_DIR/assets`.
    pub(crate) assets: Option<PathBuf>,
    /// Profiles that run from memory and write no disk; every other one counts as erasing. Default: none.
    pub(crate) live_profiles: Vec<String>,
}

/// `[dhcp]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Dhcp {
    /// Loader of BIOS machines. Default `undionly.kpxe`.
    pub(crate) bios: String,
    /// Loader of x64 UEFI machines. Default `snponly.efi`.
    pub(crate) x64_uefi: String,
    /// Loaders of other machines, by architecture: `arm64-uefi = "arm64/snponly.efi"`. A `bios` or `x64-uefi` here wins.
    pub(crate) boot: BTreeMap<String, String>,
    /// Answer booting machines' router solicitations (lifetime 0, no prefix, unicast), which saves iPXE 15 s a stage
    /// on networks without an IPv6 router. Default false.
    pub(crate) answer_router_solicitations: bool,
}

impl Default for Dhcp {
    fn default() -> Self {
        Self {
            bios: "undionly.kpxe".to_owned(),
            x64_uefi: "snponly.efi".to_owned(),
            boot: BTreeMap::new(),
            answer_router_solicitations: false,
        }
    }
}

/// `[bmc]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Bmc {
    /// The user name on the BMCs. Default `admin`.
    pub(crate) user: String,
    /// A file whose first line is the password; it must not be readable by others.
    pub(crate) password_file: Option<PathBuf>,
    /// How long a BMC may be silent after a power command that it took, as one that shares its interface with the system
    /// is while that starts. Default `90s`.
    silent_after_power: Option<Time>,
    /// What `kpc bmc scan --save` keeps: the logins by address. Default `DATA_DIR/bmc-logins.toml`.
    pub(crate) logins: Option<PathBuf>,
    /// The socket of the process that has the logins in the server's place (`kpc bmc keep`). Default: none, the server
    /// has them itself.
    pub(crate) keeper: Option<PathBuf>,
}

impl Bmc {
    /// How long silence after a power command is no fault.
    pub(crate) fn silent_after_power(&self) -> Duration {
        self.silent_after_power.map_or(Duration::from_secs(90), |time| time.0)
    }
}

impl Default for Bmc {
    fn default() -> Self {
        Self {
            user: "admin".to_owned(),
            password_file: None,
            silent_after_power: None,
            logins: None,
            keeper: None,
        }
    }
}

impl Config {
    /// The loaders' folder.
    pub(crate) fn tftp_root(&self) -> PathBuf {
        self.tftp.root.clone().unwrap_or_else(|| self.data_dir.join("loaders"))
    }

    /// The folder with groups and profiles.
    pub(crate) fn bootcfg_data(&self) -> PathBuf {
        self.bootcfg.data.clone().unwrap_or_else(|| self.data_dir.join("bootcfg"))
    }

    /// The assets' folder.
    pub(crate) fn assets(&self) -> PathBuf {
        self.bootcfg.assets.clone().unwrap_or_else(|| self.data_dir.join("assets"))
    }

    /// A file of `[tls]`: as named, else by its own name in the data folder.
    pub(crate) fn tls_file(&self, named: &Option<PathBuf>, name: &str) -> PathBuf {
        named.clone().unwrap_or_else(|| self.data_dir.join("tls").join(name))
    }

    /// Where what a scan found to be right is kept.
    pub(crate) fn bmc_logins(&self) -> PathBuf {
        self.bmc.logins.clone().unwrap_or_else(|| self.data_dir.join("bmc-logins.toml"))
    }

    /// `http://ADDRESS:PORT`, as machines reach our HTTP.
    pub(crate) fn machines_url(&self) -> String {
        format!("http://{}:{}", self.network.mgmt.address, self.http.machines.port())
    }
}

/// Reads the configuration file and lays the flags over it.
pub(crate) fn load(common: &Common) -> Result<Config, String> {
    let path = &common.config;
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{}: {error}; name the configuration with --config FILE", path.display()))?;
    let mut config = parse(path, &text)?;
    if let Some(data_dir) = &common.data_dir {
        config.data_dir.clone_from(data_dir);
    }
    if let Some(socket) = &common.socket {
        config.socket.clone_from(socket);
    }
    check(&config).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(config)
}

/// What TOML's types cannot say.
fn check(config: &Config) -> Result<(), String> {
    if !config.http.page.ip().is_loopback() {
        return Err(format!(
            "http.page = \"{}\": the page is served on loopback addresses only; use 127.0.0.1 and a tunnel",
            config.http.page
        ));
    }
    racks::check(config.network.bmc.as_ref(), &config.rack)?;
    if let Some(name) = config.dhcp.boot.keys().find(|name| name.parse::<proxy_dhcp::ClientArch>().is_err()) {
        return Err(format!(
            "[dhcp.boot] {name}: no such architecture; there are bios, x64-uefi, arm64-uefi and others, or a number"
        ));
    }
    for (profile, install) in &config.install {
        install.check(profile)?;
        if config.bootcfg.live_profiles.contains(profile) {
            return Err(format!(
                "[install.{profile}]: {profile} is one of bootcfg.live_profiles, which write no disk"
            ));
        }
    }
    Ok(())
}

fn parse(path: &Path, text: &str) -> Result<Config, String> {
    toml::from_str(text).map_err(|error| {
        let line =
            error.span().map_or(1, |span| text.get(..span.start).unwrap_or("").matches('\n').count() + 1);
        format!("{}:{line}: {}", path.display(), error.message())
    })
}

/// The socket for verbs that only talk to the server: the flag, else the configuration's. Without either (the default
/// configuration is missing, or not ours to read) the default socket; a configuration that was named must be right.
pub(crate) fn socket(common: &Common) -> Result<PathBuf, String> {
    if let Some(socket) = &common.socket {
        return Ok(socket.clone());
    }
    if common.config.as_path() == Path::new(DEFAULT_CONFIG) {
        use std::io::ErrorKind::{NotFound, PermissionDenied};
        let opened = std::fs::File::open(&common.config);
        if opened.is_err_and(|error| matches!(error.kind(), NotFound | PermissionDenied)) {
            return Ok(default_socket());
        }
    }
    load(common).map(|config| config.socket)
}

fn default_data_dir() -> PathBuf {
    PathBuf::from(DEFAULT_DATA_DIR)
}

fn default_socket() -> PathBuf {
    PathBuf::from("/run/kpc/kpc.sock")
}

fn default_user() -> String {
    "nobody".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_the_line() {
        let error = parse(
            Path::new("kpc.toml"),
            "[network.mgmt]\ninterface = \"eno1\"\naddress = \"10.0.0.1\"\nspeed = 3\n",
        );
        assert_eq!(error.err().map(|text| text.starts_with("kpc.toml:4: unknown field `speed`")), Some(true));
    }

    #[test]
    fn a_named_configuration_must_be_right() {
        let folder = std::env::temp_dir().join(format!("kpc-config-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("kpc.toml");
        let common = |words: &[&str]| {
            use clap::Parser as _;
            let words = ["kpc", "status", "--config", path.to_str().unwrap()]
                .into_iter()
                .chain(words.iter().copied());
            crate::args::Arguments::try_parse_from(words).unwrap().common
        };
        assert!(socket(&common(&[])).is_err_and(|error| error.contains("--config")));
        std::fs::write(&path, "socket = \"/run/a.sock\"\nnetwork = 3\n").unwrap();
        assert!(socket(&common(&[])).is_err_and(|error| error.contains("kpc.toml:2")));
        assert_eq!(socket(&common(&["--socket", "/run/b.sock"])), Ok(PathBuf::from("/run/b.sock")));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_shortest_file_is_enough() {
        let config =
            parse(Path::new("kpc.toml"), "[network.mgmt]\ninterface = \"eno1\"\naddress = \"10.0.0.1\"\n")
                .unwrap();
        assert_eq!(config.machines_url(), "http://10.0.0.1:8080");
        assert_eq!(config.tftp_root(), PathBuf::from("/var/lib/kpc/loaders"));
    }
}
