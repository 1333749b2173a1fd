//! What was typed.

use clap::{Args as ClapArgs, Parser, Subcommand};
use daemon::log::LogFormat;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use tftp::rules::MacAddr;

/// Serves the files of one directory by TFTP, or gets and puts a file.
///
/// Nothing outside the directory is served, whatever a client asks or a link says, and nothing but regular files.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
    #[command(flatten)]
    pub(crate) serve: Serve,
    #[command(flatten)]
    pub(crate) log: Log,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Log {
    /// Form of log lines
    #[arg(long, value_enum, default_value_t, global = true)]
    pub(crate) log_format: LogFormat,
    /// Least severe level to log: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", default_value = "info", global = true)]
    pub(crate) log_level: tracing::level_filters::LevelFilter,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Get a file: `tftp://HOST[:PORT]/PATH[;mode=netascii]`
    Get(Get),
    /// Put a file: `tftp://HOST[:PORT]/PATH[;mode=netascii]`
    Put(Put),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Get {
    /// What to get
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// Where to write it; `-` is standard output [default: the last part of the path]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) transfer: Transfer,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Put {
    /// What to send
    #[arg(value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// Where to put it
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) transfer: Transfer,
}

#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Transfer {
    /// Block size to ask for, 8..=65464; falls back to 512 where large packets are lost
    #[arg(long, value_name = "OCTETS", default_value_t = 1468, value_parser = clap::value_parser!(u16).range(8..=65464))]
    pub(crate) blksize: u16,
    /// Window size to ask for, in blocks
    #[arg(long, value_name = "BLOCKS", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) windowsize: u16,
    /// Seconds before a packet is sent again, asked of the server too [default: measured]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) timeout: Option<u8>,
    /// No progress bar
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Serve {
    /// Address and port to listen on; `[::]` takes IPv4, too. A socket given by systemd wins
    #[arg(long, value_name = "ADDR:PORT", default_value = "[::]:69")]
    pub(crate) listen: SocketAddr,
    /// Directory to serve
    #[arg(long, value_name = "DIR", required_unless_present = "map_test")]
    pub(crate) root: Option<PathBuf>,
    /// Rules that choose files by name, network, MAC address and architecture; read again on SIGHUP
    #[arg(long, value_name = "FILE")]
    pub(crate) map: Option<PathBuf>,
    /// Say what the rules make of a path, and exit
    #[arg(long, value_name = "PATH", requires = "map")]
    pub(crate) map_test: Option<String>,
    /// Client's address for --map-test
    #[arg(long, value_name = "ADDR", default_value = "192.0.2.1", requires = "map_test")]
    pub(crate) from: IpAddr,
    /// Client's MAC address for --map-test
    #[arg(long, value_name = "MAC", requires = "map_test")]
    pub(crate) mac: Option<MacAddr>,
    /// Let clients write new files, never over existing ones
    #[arg(long)]
    pub(crate) writable: bool,
    /// Longest file a client may write, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, requires = "writable")]
    pub(crate) quota: u64,
    /// Answer from the listening port, for clients behind NAT
    #[arg(long, conflicts_with = "port_range")]
    pub(crate) single_port: bool,
    /// Ports to answer from, for firewalls
    #[arg(long, value_name = "A-B", value_parser = ports)]
    pub(crate) port_range: Option<RangeInclusive<u16>>,
    /// Largest block, 8..=65464; the egress MTU lowers it per client
    #[arg(long, value_name = "OCTETS", default_value_t = 65464, value_parser = clap::value_parser!(u16).range(8..=65464))]
    pub(crate) max_blksize: u16,
    /// Allow blocks larger than the egress MTU, which travel in fragments
    #[arg(long)]
    pub(crate) allow_fragments: bool,
    /// Largest window in blocks
    #[arg(long, value_name = "BLOCKS", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_windowsize: u16,
    /// Transfers at once
    #[arg(long, value_name = "N", default_value_t = 16384)]
    pub(crate) max_transfers: usize,
    /// Transfers at once of one address
    #[arg(long, value_name = "N", default_value_t = 16384)]
    pub(crate) max_transfers_per_address: usize,
    /// Mebibytes of files kept in memory for all clients; longer files pass through
    #[arg(long, value_name = "MIB", default_value_t = 16)]
    pub(crate) cache: usize,
    /// One JSON line for each transfer and each refused request; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) access_log: Option<PathBuf>,
    /// Serve Prometheus metrics by HTTP
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) metrics: Option<SocketAddr>,
    /// Time for transfers to finish after SIGTERM, for instance 10s
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = seconds)]
    pub(crate) drain: Duration,
    /// User to become after the socket is open, when started as root; `root` keeps root
    #[arg(long, value_name = "NAME", default_value = "nobody")]
    pub(crate) user: String,
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let bounds = text.split_once('-').and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    match bounds {
        Some((from, to)) if from > 0 && from <= to => Ok(from..=to),
        _ => Err("write two ports, for instance 49152-49215".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| "write a number and a unit, for instance 10s".to_owned())?;
    match unit {
        "" | "s" => Ok(Duration::from_secs(number)),
        "ms" => Ok(Duration::from_millis(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err("units are ms, s and m".to_owned()),
    }
}

const EXAMPLES: &str = r#"EXAMPLES:
  Serve a directory of boot loaders:
    tftpd --root /srv/tftp

  The same as anybody, on another port, answering from that port:
    tftpd --root ./loaders --listen 127.0.0.1:6969 --single-port

  Per-client files by rules, and what the rules make of a name:
    tftpd --root /srv/tftp --map /etc/tftpd.toml --access-log /var/log/tftp.json --metrics 127.0.0.1:9069
    tftpd --map /etc/tftpd.toml --map-test grub.cfg --from 10.0.0.5 --mac 52:54:00:12:34:56

    # /etc/tftpd.toml: the first rule that matches, and whose file exists, wins
    [[rule]]
    match = '^(grub|pxelinux)\.cfg$'     # regular expression on the path; $1 is its first group
    from = ["10.0.0.0/24"]              # networks; also mac = ["52:54:00:*"], arch = ["x64-uefi"]
    path = "by-mac/{mac-dash}/$1.cfg"   # also {ip}, {ip-hex}, {mac}, {arch}, {name}
    render = true                       # replace {{ip}}, {{mac}}, {{arch}}, {{name}} in the file
    max-blksize = 1024                  # also refuse = "…", tsize = false, rollover = 1, fragments = true
    [[client]]
    mac = "52:54:00:12:34:56"
    arch = "x64-uefi"
    name = "node1"

  Get a file, put a file:
    tftpd get tftp://10.0.0.5/undionly.kpxe
    tftpd get -o - tftp://[fd00::5]:6969/motd;mode=netascii
    tftpd put ./switch.cfg tftp://10.0.0.5/backup/switch.cfg"#;
