//! What is typed to look, and to keep: `kpc why`, `check`, `events`, `discover`, `doctor`, `console`, `var`, `disk`,
//! `backup`, `restore`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::Shell;

/// `kpc why`.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group(clap::ArgGroup::new("machine_or_mac").required(true).args(["machine", "mac"])))]
#[command(after_help = "\
Examples:
  kpc why rack1-01            what it would get now, why, and the rendered answers, secrets taken out
  kpc why --mac 52:54:00:00:00:21
")]
pub(crate) struct Why {
    /// The machine's name.
    pub(crate) machine: Option<String>,
    /// A MAC, known or not.
    #[arg(long, value_name = "MAC")]
    pub(crate) mac: Option<String>,
    /// Print JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `kpc events`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kpc events                        the latest thousand, oldest first
  kpc events --follow --json | jq   one object an event, until Ctrl-C
  kpc events --after 1200           what came after event 1200
")]
pub(crate) struct Events {
    /// Go on with what happens from now on.
    #[arg(long)]
    pub(crate) follow: bool,
    /// Only events after this number.
    #[arg(long, value_name = "SEQ")]
    pub(crate) after: Option<u64>,
    /// Only this machine's.
    #[arg(long, value_name = "NAME")]
    pub(crate) machine: Option<String>,
    /// Print one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `kpc var …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Var {
    /// Set an inventory variable of a group or a host.
    #[command(after_help = "\
Examples:
  kpc var set group:kpc ansible_user=debian
  kpc var set host:rack1-01 neutron_external_interface=eno2
  kpc var set group:compute 'nova_compute_virt_type=\"kvm\"' ratio=1.5

A value that reads as JSON keeps its type; anything else is text.
")]
    Set(VarSet),
    /// Take a variable away.
    Unset(VarUnset),
}

/// `kpc var set`.
#[derive(Debug, Args)]
pub(crate) struct VarSet {
    /// `group:G` or `host:H`.
    pub(crate) scope: String,
    /// `KEY=VALUE`, one or several.
    #[arg(required = true, value_name = "KEY=VALUE")]
    pub(crate) values: Vec<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `kpc var unset`.
#[derive(Debug, Args)]
pub(crate) struct VarUnset {
    /// `group:G` or `host:H`.
    pub(crate) scope: String,
    /// The variables.
    #[arg(required = true, value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `kpc disk …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Disk {
    /// Name the disk that a machine's orders may write; `kpc show` has what it reported.
    Set(DiskSet),
}

/// `kpc disk set`.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group(clap::ArgGroup::new("serial_or_any").required(true).args(["serial", "any"])))]
pub(crate) struct DiskSet {
    /// The machine.
    pub(crate) machine: String,
    /// The disk's serial.
    #[arg(long, value_name = "SERIAL")]
    pub(crate) serial: Option<String>,
    /// No disk by name: the profile's rule chooses.
    #[arg(long)]
    pub(crate) any: bool,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `kpc backup` and `kpc restore`.
#[derive(Debug, Args)]
pub(crate) struct Copy {
    /// The file. It holds claims: keep it as private as the store.
    pub(crate) file: PathBuf,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `kpc doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kpc doctor                  what would keep this host from serving: files, ports, firewall, other PXE servers
  kpc doctor node             on a node: what kolla-ansible's prechecks will say, before Ansible is there
  kpc doctor node --interface eno1 --json
")]
pub(crate) struct Doctor {
    /// What is looked at.
    #[arg(value_enum, default_value_t = Patient::Host)]
    pub(crate) patient: Patient,
    /// With `node`: kolla's api_interface. Default: the one with the default route.
    #[arg(long, value_name = "IF")]
    pub(crate) interface: Option<String>,
    /// Print JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `kpc doctor` looks at.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Patient {
    /// This deploy host.
    Host,
    /// This node of the cluster to be.
    Node,
}

/// `kpc discover`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kpc discover --for 30m      lists machines that are not ours as they are heard; offers them nothing
  kpc adopt 52:54:00:00:00:21 then makes one of them ours
")]
pub(crate) struct Discover {
    /// How long.
    #[arg(long = "for", default_value = "30m", value_name = "TIME", value_parser = super::seconds)]
    pub(crate) time: std::time::Duration,
    /// Print one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `kpc console`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kpc console rack1-01        its serial console by its BMC; ~. at the begin of a line ends it

It reads the BMC's login from the server's data folder: root, or the server's account.
")]
pub(crate) struct Console {
    /// The machine's name.
    pub(crate) machine: String,
}

/// `kpc completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kpc completions bash > /etc/bash_completion.d/kpc
  kpc completions zsh > ~/.zfunc/_kpc
")]
pub(crate) struct Completions {
    /// For which shell.
    pub(crate) shell: Shell,
}

/// `kpc machine import`.
#[derive(Debug, Args)]
#[command(after_help = "\
The file is CSV with a head line. Columns, in any order: name, mac (several with spaces between), uuid, serial, bmc, rack,
roles (with spaces between). A name and one identifier are needed; the rest may be empty or absent.

Examples:
  kpc machine import rack1.csv
  printf 'name,mac,bmc\\nrack1-01,52:54:00:00:00:21,10.100.0.21\\n' | kpc machine import -
")]
pub(crate) struct MachineImport {
    /// The file; `-` is standard input.
    pub(crate) file: PathBuf,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `kpc machine label`.
#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("label").required(true).multiple(true).args(["roles", "rack"]),
    after_help = "\
Examples:
  kpc machine label kpc-[01-03] --role control,network,compute
  kpc machine label kpc-04 --role '' --rack r2     no role at all, another rack"
)]
pub(crate) struct MachineLabel {
    /// Which machines.
    #[arg(required = true, value_name = "SELECTION")]
    pub(crate) selection: Vec<String>,
    /// All their groups in the inventory from now on (repeatable, or separated by commas).
    #[arg(long = "role", value_name = "ROLE", value_delimiter = ',')]
    pub(crate) roles: Option<Vec<String>>,
    /// Where they stand.
    #[arg(long, value_name = "RACK")]
    pub(crate) rack: Option<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `kpc machine rename`.
#[derive(Debug, Args)]
pub(crate) struct MachineRename {
    /// Its name now.
    pub(crate) from: String,
    /// Its name from then on.
    pub(crate) to: String,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `kpc machine replace`.
#[derive(Debug, Args)]
pub(crate) struct MachineReplace {
    /// The machine that goes: its name, groups, rack and variables stay.
    pub(crate) old: String,
    /// The machine that takes its place.
    pub(crate) new: String,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Completions {
    /// Prints them.
    pub(crate) fn print(&self) -> u8 {
        use clap::CommandFactory as _;
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut super::Arguments::command(), "kpc", &mut text);
        match crate::verbs::say(String::from_utf8_lossy(&text).trim_end()) {
            Ok(()) => 0,
            Err(_) => 1,
        }
    }
}
