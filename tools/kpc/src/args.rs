//! What was typed. [`crate::config`] turns it into what will happen; nothing later reads flags or the environment.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  kpc serve --config /etc/kpc/kpc.toml         start the server (systemd does this after installation)
  kpc machine add rack1-01 --mac 52:54:00:00:00:21 --bmc 10.100.0.21
  kpc provision rack1-01 --profile live --watch
  kpc status                                   every machine, its phase, and what to check where one is stuck
  kpc show rack1-01                            the timeline of one machine
  kpc inventory --list | head                  the dynamic inventory that Ansible reads
  kpc lab up -n 3                              three virtual machines from power-on to registered, no hardware

A selection is a name, name[1-3], a MAC, a BMC's address, @all, @found, @failed, or @role:ROLE.
";

/// From powered-off machines to registered nodes.
#[derive(Debug, Parser)]
#[command(name = "kpc", version, about, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Flags that every verb takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The configuration file.
    #[arg(long, global = true, default_value = "/etc/kpc/kpc.toml", value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Where the server keeps its store (overrides `data_dir` of the configuration).
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The server's socket (overrides `socket` of the configuration).
    #[arg(long, global = true, value_name = "PATH", env = "KPC_SOCKET")]
    pub(crate) socket: Option<PathBuf>,
    /// How log lines look.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or a filter such as `kpc=debug,info`.
    #[arg(long, global = true, default_value = "info", value_name = "LEVEL")]
    pub(crate) log_level: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One readable line an event.
    Text,
    /// One JSON object an event.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run the server: proxy DHCP, TFTP, machines' HTTP, operators' API and page.
    Serve(Serve),
    /// Add or change machines.
    #[command(subcommand)]
    Machine(Machine),
    /// Order machines to be booted with a profile: prints the plan, asks, and powers them on by IPMI.
    Provision(Provision),
    /// End the open order of machines. What is running goes on; nothing is booted again.
    Cancel(Selected),
    /// Every machine, one line each.
    Status(Listing),
    /// One machine with its timeline.
    Show(Show),
    /// Follow the machines until Ctrl-C (which stops nothing but the view).
    Watch(Watch),
    /// Ansible's dynamic inventory: registered machines, their groups and variables.
    Inventory(Inventory),
    /// Machines' power, by IPMI.
    Power(Power),
    /// A lab of virtual machines with real firmware and virtual BMCs.
    #[command(subcommand)]
    Lab(Lab),
    /// Inside the lab's namespaces (started by `kpc lab up`).
    #[command(hide = true, name = "lab-supervisor")]
    LabSupervisor(LabUp),
}

/// `kpc serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Keep the privileges the program was started with (it then runs everything as root; for debugging only).
    #[arg(long)]
    pub(crate) keep_root_privileges: bool,
    /// How long transfers may go on after SIGTERM, in seconds (`10s` and `10` are the same).
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = seconds)]
    pub(crate) drain: std::time::Duration,
}

/// `kpc machine …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Machine {
    /// Make a machine known by its identifiers.
    Add(MachineAdd),
    /// Take a machine out of service; its orders end.
    Retire(Selected),
}

/// `kpc machine add`.
#[derive(Debug, Args)]
pub(crate) struct MachineAdd {
    /// The machine's name; it becomes its host name in the inventory.
    pub(crate) name: String,
    /// A MAC address of the machine (repeatable).
    #[arg(long = "mac", value_name = "MAC")]
    pub(crate) macs: Vec<String>,
    /// The SMBIOS UUID as firmware prints it.
    #[arg(long, value_name = "UUID")]
    pub(crate) uuid: Option<String>,
    /// The BMC's address, with `:PORT` where it is not 623.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) bmc: Option<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `kpc provision`.
#[derive(Debug, Args)]
pub(crate) struct Provision {
    /// Which machines.
    #[arg(required = true, value_name = "SELECTION")]
    pub(crate) selection: Vec<String>,
    /// The profile that they boot (a file of the profiles folder, without `.json`).
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: String,
    /// Roles of the machines: their groups in the inventory (repeatable, or separated by commas).
    #[arg(long = "role", value_name = "ROLE", value_delimiter = ',')]
    pub(crate) roles: Vec<String>,
    /// Which boot mode the BMC is asked for.
    #[arg(long, value_enum, default_value_t = Firmware::Auto)]
    pub(crate) firmware: Firmware,
    /// At most this many machines between power-on and registration at a time.
    #[arg(long, default_value_t = 16, value_name = "N")]
    pub(crate) max_in_flight: usize,
    /// Wait between one machine's power-on and the next one's, for example 5s.
    #[arg(long, value_name = "TIME", value_parser = seconds, conflicts_with = "max_in_flight")]
    pub(crate) stagger: Option<std::time::Duration>,
    /// Start no further machine once this many have failed.
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub(crate) max_failures: usize,
    /// Follow the machines until all are registered or failed.
    #[arg(long)]
    pub(crate) watch: bool,
    /// Do not ask.
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The boot mode asked of a BMC.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Firmware {
    /// What the machine was last seen to be; unknown machines are asked to keep theirs.
    Auto,
    /// UEFI.
    Uefi,
    /// Legacy BIOS.
    Bios,
}

impl Firmware {
    /// The word that goes to the server.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Uefi => "uefi",
            Self::Bios => "bios",
        }
    }
}

/// A selection of machines.
#[derive(Debug, Args)]
pub(crate) struct Selected {
    /// Which machines.
    #[arg(required = true, value_name = "SELECTION")]
    pub(crate) selection: Vec<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A listing.
#[derive(Debug, Args)]
pub(crate) struct Listing {
    /// Print JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `kpc show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The machine's name, or one of its MACs.
    pub(crate) machine: String,
    /// Print JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `kpc watch`.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// End when every machine with an order is registered or failed.
    #[arg(long)]
    pub(crate) until_done: bool,
}

/// `kpc inventory`.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Inventory {
    /// The whole inventory, as Ansible asks for it.
    #[arg(long)]
    pub(crate) list: bool,
    /// One host's variables.
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
}

/// `kpc power`.
#[derive(Debug, Args)]
pub(crate) struct Power {
    /// What to do.
    #[arg(value_enum)]
    pub(crate) action: PowerAction,
    /// Which machines.
    #[arg(required = true, value_name = "SELECTION")]
    pub(crate) selection: Vec<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A power action of a BMC.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum PowerAction {
    /// Power on.
    On,
    /// Power off at once.
    Off,
    /// Off, then on.
    Cycle,
    /// Reset without cutting power.
    Reset,
    /// Ask whether the power is on.
    Status,
}

impl PowerAction {
    /// The word that goes to the server.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Cycle => "cycle",
            Self::Reset => "reset",
            Self::Status => "status",
        }
    }
}

/// `kpc lab …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Lab {
    /// Start a lab and stay until Ctrl-C: network, lease server, virtual BMCs, machines, `kpc serve`.
    Up(LabUp),
    /// End a lab that another terminal started.
    Down(LabDown),
}

/// `kpc lab up`.
#[derive(Clone, Debug, Args)]
pub(crate) struct LabUp {
    /// How many machines.
    #[arg(short = 'n', long = "machines", default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(crate) machines: u8,
    /// UEFI machines (OVMF) whose own PXE client loads snponly.efi.
    #[arg(long, conflicts_with = "rom")]
    pub(crate) uefi: bool,
    /// BIOS machines that boot the bare iPXE ROM of their network card.
    #[arg(long)]
    pub(crate) rom: bool,
    /// Leave the machines powered off.
    #[arg(long)]
    pub(crate) no_provision: bool,
    /// End when all machines are registered (exit 0) or one has failed (exit 1).
    #[arg(long)]
    pub(crate) once: bool,
    /// With --once: give up after this long.
    #[arg(long, default_value = "300s", value_name = "TIME", value_parser = seconds)]
    pub(crate) timeout: std::time::Duration,
    /// Where the lab keeps its sockets, logs, captures and store.
    #[arg(long, default_value = "target/lab-state", value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The port of the page on the host's 127.0.0.1 (0: any free one).
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub(crate) port: u16,
    /// Run this shell command inside the lab's deploy host once all machines are registered (KPC_SOCKET is set).
    #[arg(long, value_name = "COMMAND")]
    pub(crate) exec: Option<String>,
}

/// `kpc lab down`.
#[derive(Debug, Args)]
pub(crate) struct LabDown {
    /// The lab's folder, as given to `kpc lab up`.
    #[arg(long, default_value = "target/lab-state", value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let (digits, unit) = match text.find(|letter: char| !letter.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let count: u64 =
        digits.parse().map_err(|_| format!("`{text}` is no time; write for example 10s or 2m"))?;
    match unit {
        "ms" => Ok(std::time::Duration::from_millis(count)),
        "s" => Ok(std::time::Duration::from_secs(count)),
        "m" => Ok(std::time::Duration::from_secs(count.saturating_mul(60))),
        _ => Err(format!("`{text}`: the unit is ms, s or m")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_grammar_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn times_have_units() {
        assert_eq!(seconds("5s"), Ok(std::time::Duration::from_secs(5)));
        assert_eq!(seconds("250ms"), Ok(std::time::Duration::from_millis(250)));
        assert_eq!(seconds("3"), Ok(std::time::Duration::from_secs(3)));
        assert!(seconds("3h").is_err());
        assert!(seconds("fast").is_err());
    }
}
