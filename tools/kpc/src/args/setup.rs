//! What is typed to set a deploy host up: `kpc init`, `kpc assets`, `kpc bmc`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

const INIT_EXAMPLES: &str = "\
Examples:
  kpc init                                          asks only where more than one answer is possible
  kpc init --interface eno1 --ssh-key admin.pub --yes
  kpc init --interface eno1 --no-ssh-key --from-kpc ~/kpc --yes
  kpc init --interface eno1 --print-dhcp-options    lines for a DHCP server that can be changed; changes nothing

A second run replaces no key and no file that is there: it says `kept`.
";

/// `kpc init`.
#[derive(Debug, Args)]
#[command(after_help = INIT_EXAMPLES)]
pub(crate) struct Init {
    /// The interface on the machines' network; never \"all\". Asked where more than one has an address.
    #[arg(long, value_name = "IF")]
    pub(crate) interface: Option<String>,
    /// A public key that may log in on installed machines (repeatable). Default: ~/.ssh/id_*.pub.
    #[arg(long = "ssh-key", value_name = "FILE", conflicts_with = "no_ssh_key")]
    pub(crate) ssh_keys: Vec<PathBuf>,
    /// Nobody may log in by SSH on installed machines.
    #[arg(long)]
    pub(crate) no_ssh_key: bool,
    /// Where the BMCs are (repeatable): 10.100.0.1-254, 10.100.0.0/24.
    #[arg(long = "bmc-range", value_name = "RANGE")]
    pub(crate) bmc_ranges: Vec<String>,
    /// The interface that reaches the BMCs, where it is not the machines' one: eno1.100 for a tagged VLAN.
    #[arg(long, value_name = "IF")]
    pub(crate) bmc_interface: Option<String>,
    /// The account that the server runs as. Default: `kpc` where it exists, else `nobody`.
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) user: Option<String>,
    /// Where iPXE's loaders are (Debian's package ipxe).
    #[arg(long, default_value = "/usr/lib/ipxe", value_name = "DIR")]
    pub(crate) loaders: PathBuf,
    /// Where the installing system's vmlinuz and initrd.img are, ready made; else they are made of this host's kernel.
    #[arg(long, default_value = "/usr/lib/kpc/agent", value_name = "DIR")]
    pub(crate) agent: PathBuf,
    /// Take over a KPC checkout: its profiles and templates; its groups become roles.
    #[arg(long, value_name = "DIR")]
    pub(crate) from_kpc: Option<PathBuf>,
    /// Print lines for a DHCP server that can be changed, and change nothing.
    #[arg(long)]
    pub(crate) print_dhcp_options: bool,
    /// How long to listen for DHCP and PXE servers.
    #[arg(long, default_value = "4s", value_name = "TIME", value_parser = super::seconds)]
    pub(crate) listen: std::time::Duration,
    /// Where systemd's units are written, if it has none of kpc's package.
    #[arg(long, default_value = "/etc/systemd/system", value_name = "DIR")]
    pub(crate) units: PathBuf,
    /// Do not start the server.
    #[arg(long)]
    pub(crate) no_start: bool,
    /// Do not ask.
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `kpc assets …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Assets {
    /// Fetch an operating system's image, check its signature and digest, and put it where machines get it.
    Add(AssetsAdd),
    /// What is there.
    List(super::Listing),
    /// Read every file again and compare it with what was checked when it came.
    Verify(AssetsVerify),
}

const ADD_EXAMPLES: &str = "\
Examples:
  kpc assets add flatcar stable                     kernel, initrd and image, signatures by the pinned key
  kpc assets add debian trixie --key site.asc       Debian's cloud image has no signature of its own: sums signed here
  kpc assets add debian --from /media/images        the same from a folder, without a network
  kpc assets add my-image --url http://mirror/images/ --file node.raw.zst --key site.asc
  kpc assets add agent                              the system that installs machines, made of this host's own kernel,
                                                    busybox-static and kpc-agent; `kpc init` does it the first time

A download that was cut goes on where it stopped. What does not verify is never served.
";

/// `kpc assets add`.
#[derive(Debug, Args)]
#[command(after_help = ADD_EXAMPLES)]
pub(crate) struct AssetsAdd {
    /// What: debian, flatcar, agent, or any name with --file.
    pub(crate) name: String,
    /// Which: trixie, stable, ….
    pub(crate) channel: Option<String>,
    /// Take the files from this folder instead of the network.
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    pub(crate) from: Option<PathBuf>,
    /// Take the files from here instead of the project's own place.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The files (repeatable). Default: the known ones of NAME; with --from, all in DIR.
    #[arg(long = "file", value_name = "NAME")]
    pub(crate) files: Vec<String>,
    /// A public key to trust for this and later downloads of NAME (repeatable); OpenPGP, armored or not.
    #[arg(long = "key", value_name = "FILE")]
    pub(crate) keys: Vec<PathBuf>,
    /// Take files whose digests nobody has signed (their digests are kept all the same).
    #[arg(long)]
    pub(crate) allow_unsigned: bool,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `kpc assets verify`.
#[derive(Debug, Args)]
pub(crate) struct AssetsVerify {
    /// Which; none: all.
    pub(crate) names: Vec<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `kpc bmc …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Bmc {
    /// Find BMCs by UDP 623, log in, and say what they are.
    Scan(BmcScan),
    /// Have the BMCs' logins and speak to BMCs for a server that has none (bmc.keeper in kpc.toml names its socket). It
    /// stays the account that started it, without a capability.
    Keep,
}

const SCAN_EXAMPLES: &str = "\
Examples:
  kpc bmc scan 10.100.0.1-254 --credentials bmc.toml
  kpc bmc scan 10.100.0.0/24 --credentials bmc.toml --save
  kpc bmc scan --credentials bmc.toml --save        the ranges of kpc.toml

bmc.toml has `user = …` and `password = …`, and [[bmc]] tables with `mac`, `serial` or `address` for BMCs with logins of
their own; others must not be able to read it (chmod 600). A refused password is tried once, never again.
";

/// `kpc bmc scan`.
#[derive(Debug, Args)]
#[command(after_help = SCAN_EXAMPLES)]
pub(crate) struct BmcScan {
    /// Addresses: 10.100.0.1-254, 10.100.0.0/24, bmc[1-40]. Default: network.bmc.ranges and the racks' of kpc.toml.
    #[arg(value_name = "RANGE")]
    pub(crate) ranges: Vec<String>,
    /// The logins. Default: those that the server keeps.
    #[arg(long, value_name = "FILE")]
    pub(crate) credentials: Option<PathBuf>,
    /// Keep what was found: logins, and a machine for each BMC.
    #[arg(long)]
    pub(crate) save: bool,
    /// The names of new machines; {} is a number.
    #[arg(long, default_value = "kpc-{}", value_name = "RULE")]
    pub(crate) naming: String,
    /// UDP port.
    #[arg(long, default_value_t = 623, value_name = "PORT")]
    pub(crate) port: u16,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
