//! What was typed. bootcfg and matchbox take long options with one dash, as Go's flag package does; a table turns
//! those into two dashes before clap sees them.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bootcfg::Compat;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, Subcommand};
use daemon::log::LogFormat;

const EXAMPLES: &str = "\
EXAMPLES
  Serve a matchbox folder as matchbox does:
    bootcfgd -address 0.0.0.0:8080 -data-path /var/lib/matchbox -assets-path /var/lib/matchbox/assets
  Serve KPC's folder as bootcfg v0.4.0 does:
    bootcfgd --compat bootcfg-0.4.0 -address=0.0.0.0:8080 -data-path=/var/lib/bootcfg -assets-path=
  Machines over HTTP, operators over gRPC with client certificates (see bootcmd):
    bootcfgd -address=0.0.0.0:8080 -rpc-address=0.0.0.0:8081 -cert-file=server.crt -key-file=server.key -ca-file=ca.crt
  Find what is wrong with a folder before a machine does:
    bootcfgd check /var/lib/matchbox
  Tell clients the reason of an error and never fall through a broken group:
    bootcfgd --compat strict -data-path examples

Every option with one dash may also come from the environment: -data-path is MATCHBOX_DATA_PATH or BOOTCFG_DATA_PATH.
SIGHUP reads the folder and the certificates again; SIGTERM lets transfers finish (--drain).
Exit: 0 stopped, 1 failed, 2 usage, 3 configuration.
";

/// Options of bootcfg and matchbox, which take one dash as well as two.
const ONE_DASH: [&str; 15] = [
    "address",
    "rpc-address",
    "data-path",
    "assets-path",
    "key-ring-path",
    "cert-file",
    "key-file",
    "ca-file",
    "web-ssl",
    "web-cert-file",
    "web-key-file",
    "log-level",
    "version",
    "help",
    "log-format",
];

/// Serves groups, profiles and templates to booting machines, as matchbox and bootcfg v0.4.0 do.
#[derive(Debug, Parser)]
#[command(name = "bootcfgd", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Where machines ask, over HTTP [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) address: Option<String>,
    /// Where gRPC is served, with client certificates; nowhere if not given
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) rpc_address: Option<String>,
    /// The data folder [default: /var/lib/matchbox, /var/lib/bootcfg with --compat bootcfg-0.4.0]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_path: Option<PathBuf>,
    /// The folder below /assets/; empty for none [default: DATA-PATH/assets]
    #[arg(long, value_name = "DIR", value_parser = path_or_empty())]
    pub(crate) assets_path: Option<PathBuf>,
    /// An OpenPGP key ring whose first secret key signs (.sig, .asc); its passphrase is MATCHBOX_PASSPHRASE
    #[arg(long, value_name = "FILE", value_parser = path_or_empty())]
    pub(crate) key_ring_path: Option<PathBuf>,
    /// The gRPC server's certificate [default: /etc/matchbox/server.crt]
    #[arg(long, value_name = "FILE")]
    pub(crate) cert_file: Option<PathBuf>,
    /// Its key [default: /etc/matchbox/server.key]
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// The CA of gRPC clients [default: /etc/matchbox/ca.crt]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Serve machines over TLS
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) web_ssl: Option<bool>,
    /// The certificate for machines [default: /etc/matchbox/ssl/server.crt]
    #[arg(long, value_name = "FILE")]
    pub(crate) web_cert_file: Option<PathBuf>,
    /// Its key [default: /etc/matchbox/ssl/server.key]
    #[arg(long, value_name = "FILE")]
    pub(crate) web_key_file: Option<PathBuf>,
    /// Where Prometheus asks (GET /metrics); nowhere if not given
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) metrics: Option<String>,
    /// A file with the bearer token of callers who may ask ?explain=1
    #[arg(long, value_name = "FILE")]
    pub(crate) explain_token_file: Option<PathBuf>,
    #[arg(
        long,
        global = true,
        value_name = "MODE",
        default_value = "matchbox",
        help = "Whose answers to give: matchbox, bootcfg-0.4.0 or strict"
    )]
    pub(crate) compat: Compat,
    /// Do not list folders of assets that have no index.html
    #[arg(long)]
    pub(crate) no_listing: bool,
    /// The account to become after binding, when started as root; `root` to stay root
    #[arg(long, value_name = "NAME", default_value = "nobody")]
    pub(crate) user: String,
    /// How long transfers may go on after SIGTERM
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) drain: Duration,
    /// Connections at once
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub(crate) max_connections: usize,
    /// Lines for people or JSON objects for programs
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
}

/// What to do instead of serving.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Look for faults in a data folder: every file read, every group rendered, nothing served. Exit 1 if there are errors
    Check {
        /// The data folder
        #[arg(value_name = "DIR")]
        data: PathBuf,
        /// The assets folder; empty to leave assets alone [default: DIR/assets]
        #[arg(long, value_name = "DIR", value_parser = path_or_empty())]
        assets: Option<PathBuf>,
        /// Print one JSON list
        #[arg(long)]
        json: bool,
    },
}

/// Reads the command line.
pub(crate) fn parse() -> Args {
    Args::parse_from(std::env::args_os().map(two_dashes))
}

/// `-data-path=x` → `--data-path=x`; anything else stays.
fn two_dashes(argument: OsString) -> OsString {
    let Some(text) = argument.to_str() else { return argument };
    let Some(option) = text.strip_prefix('-').filter(|rest| !rest.starts_with('-')) else { return argument };
    let name = option.split('=').next().unwrap_or_default();
    if ONE_DASH.contains(&name) { format!("-{text}").into() } else { argument }
}

/// `10s`, `500ms`, `2m` or plain seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is no time: write 10s, 500ms or 2m"))?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" | "" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err(format!("`{unit}` is no unit of time: write ms, s or m")),
    }
}

/// `host:port`, or `:port` for all addresses as Go has it.
pub(crate) fn socket_addr(text: &str) -> Result<Vec<SocketAddr>, String> {
    use std::net::ToSocketAddrs;
    let wrong = |error: &dyn std::fmt::Display| {
        format!("`{text}` is no address to listen on ({error}): write 0.0.0.0:8080")
    };
    match text.strip_prefix(':') {
        Some(port) => {
            let port: u16 = port.parse().map_err(|error| wrong(&error))?;
            Ok(vec![SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port))])
        }
        None => Ok(text.to_socket_addrs().map_err(|error| wrong(&error))?.collect()),
    }
}

/// A path that may be empty, which says "none": clap's own parser of paths refuses that.
fn path_or_empty() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn one_dash_is_enough_for_the_options_of_the_originals() {
        for (typed, want) in [
            ("-address=0.0.0.0:8080", "--address=0.0.0.0:8080"),
            ("-data-path", "--data-path"),
            ("--data-path", "--data-path"),
            ("-h", "-h"),
            ("-drain=1s", "-drain=1s"),
            ("check", "check"),
        ] {
            assert_eq!(two_dashes(typed.into()), want);
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert!(duration("x").is_err());
    }
}
