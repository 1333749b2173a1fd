//! What was typed.

use clap::Parser;
use daemon::log::LogFormat;
use proxy_dhcp::ClientArch;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// Tells network-booting machines which file to load, beside a DHCP server that stays as it is.
///
/// The existing DHCP server gives addresses; this one gives only the boot file, and binds no port that the other
/// needs: both may run on one host.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Interface the machines are on; may be given several times
    #[arg(short, long, value_name = "IF")]
    pub(crate) interface: Vec<String>,
    /// Configuration file; flags given beside it win
    #[arg(short, long, value_name = "FILE.toml")]
    pub(crate) config: Option<PathBuf>,
    /// TFTP server of boot files [default: our address on the interface the request came by]
    #[arg(long, value_name = "ADDR")]
    pub(crate) tftp_server: Option<Ipv4Addr>,
    /// File or URL for an architecture: bios, x64-uefi, arm64-uefi, x64-uefi-http, … or IANA's number; may be given
    /// several times [default: bios=undionly.kpxe, x64-uefi=snponly.efi]
    #[arg(long, value_name = "ARCH=FILE|URL", value_parser = boot)]
    pub(crate) boot: Vec<(ClientArch, String)>,
    /// Script for machines that already run iPXE; `{server}` is replaced by our address
    /// [default: http://{server}:8080/boot.ipxe]
    #[arg(long, value_name = "URL")]
    pub(crate) ipxe_script: Option<String>,
    /// Answer requests that this relay agent passes on; may be given several times
    #[arg(long, value_name = "ADDR")]
    pub(crate) relay: Vec<Ipv4Addr>,
    /// Tell booting machines that there is no IPv6 router, which saves iPXE 15 seconds a stage
    #[arg(long)]
    pub(crate) answer_router_solicitations: bool,
    /// Bind UDP port 67 as well, so that relays get no "port unreachable"; never beside a DHCP server on this host
    #[arg(long)]
    pub(crate) bind_port_67: bool,
    /// Say what each packet of a recording (pcap, pcapng) would get and why, and what each boot was missing; then end
    #[arg(long, value_name = "FILE.pcap")]
    pub(crate) dry_run: Option<PathBuf>,
    /// With --dry-run: our address [default: that of the server that answered in the recording]
    #[arg(long, value_name = "ADDR", requires = "dry_run")]
    pub(crate) address: Option<Ipv4Addr>,
    /// Read dnsmasq's flags and print the configuration file that answers alike; then end
    #[arg(long, value_name = "'ARGS'", allow_hyphen_values = true)]
    pub(crate) dnsmasq: Option<String>,
    /// Serve counters for Prometheus on http://ADDR/metrics
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) metrics: Option<std::net::SocketAddr>,
    /// After SIGTERM, seconds in which answers that a rule holds back are still sent; without any it ends at once, and
    /// so it does at a second SIGTERM
    #[arg(long, value_name = "SECONDS", default_value = "10s", value_parser = seconds)]
    pub(crate) drain: u64,
    /// User to become after the sockets are open, when started as root; `root` keeps root
    #[arg(long, value_name = "NAME", default_value = "nobody")]
    pub(crate) user: String,
    /// Form of log lines
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// Least severe level to log: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: tracing::level_filters::LevelFilter,
}

fn boot(text: &str) -> Result<(ClientArch, String), String> {
    let (arch, file) = text.split_once('=').ok_or("write ARCH=FILE, for instance bios=undionly.kpxe")?;
    if file.is_empty() {
        return Err("the file is empty".to_owned());
    }
    Ok((arch.parse().map_err(|error: proxy_dhcp::wire::UnknownArchName| error.to_string())?, file.to_owned()))
}

/// Seconds with or without their unit: `10` or `10s`.
fn seconds(text: &str) -> Result<u64, String> {
    text.strip_suffix('s').unwrap_or(text).parse().map_err(|_| "write seconds, for instance 10s".to_owned())
}

const EXAMPLES: &str = "\
EXAMPLES:
  Chain every machine into iPXE (loaders by TFTP from this host), then run a script by HTTP:
    proxy-dhcpd --interface eth0 --ipxe-script http://{server}:8080/boot.ipxe

  The same, with the loaders on another host and one for arm64:
    proxy-dhcpd -i eth0 --tftp-server 10.0.0.5 --boot arm64-uefi=arm64/snponly.efi \\
        --ipxe-script http://10.0.0.5:8080/boot.ipxe

  UEFI HTTP Boot:
    proxy-dhcpd -i eth0 --boot x64-uefi-http=http://{server}:8080/assets/snponly.efi

  What dnsmasq's flags become, and what a recording would have got:
    proxy-dhcpd --dnsmasq '--dhcp-range=10.0.0.2,proxy --pxe-service=x86PC,Boot,undionly.kpxe' >proxy.toml
    tcpdump -i eth0 -w boot.pcap 'udp port 67 or 68 or 69 or 4011'
    proxy-dhcpd --config proxy.toml --dry-run boot.pcap";
