//! What was typed. [`crate::config`] turns it into what will happen; nothing later reads flags or the environment.

mod look;
mod setup;

use std::path::PathBuf;

pub(crate) use look::{
    Completions, Console, Copy, Discover, Disk, DiskSet, Doctor, Events, MachineImport, MachineLabel,
    MachineRename, MachineReplace, Patient, Var, VarSet, VarUnset, Why,
};
pub(crate) use setup::{Assets, AssetsAdd, AssetsVerify, Bmc, BmcScan, Init};

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use daemon::log::LogFormat;

/// The configuration file where none is named.
pub(crate) const DEFAULT_CONFIG: &str = "/etc/kpc/kpc.toml";

const EXAMPLES: &str = "\
Examples:
  kpc init                                     sets this host up: configuration, keys, loaders, units; starts the server
  kpc assets add debian --from images          images for the machines, signatures and digests checked
  kpc bmc scan 10.100.0.0/24 --credentials bmc.toml --save
  kpc machine add rack1-01 --mac 52:54:00:00:00:21 --bmc 10.100.0.21
  kpc provision rack1-01 --profile live --watch
  kpc reinstall rack1-01 --profile worker      the same for a machine that is registered already, by its name only
  kpc retry @failed                            after looking: arms their orders again for the next boot
  kpc status                                   every machine, its phase, and what to check where one is stuck
  kpc show rack1-01                            the timeline of one machine
  kpc inventory --list | head                  the dynamic inventory that Ansible reads
  kpc lab up -n 3                              three virtual machines from power-on to registered, no hardware

A selection is a name, name[1-3], a MAC, a BMC's address, @all, @found, @failed,
@rack:RACK, or @role:ROLE.
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

impl Arguments {
    /// What was typed, checked beyond what the grammar can say. A fault ends the program with exit code 2.
    pub(crate) fn read() -> Self {
        let checked = Self::try_parse().and_then(|arguments| match arguments.check() {
            Ok(()) => Ok(arguments),
            Err(fault) => Err(Self::command().error(ErrorKind::ArgumentConflict, fault)),
        });
        match checked {
            Ok(arguments) => arguments,
            Err(error) if error.exit_code() == 0 => error.exit(),
            Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
            Err(error) => {
                eprintln!("{}", one_line(&error.to_string()));
                std::process::exit(error.exit_code());
            }
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        match &self.verb {
            Verb::Power(power) if power.hard && power.action != PowerAction::Off => {
                Err("--hard goes with `kpc power off`; the other actions are hard by themselves")
            }
            Verb::Lab(Lab::Up(up)) if !up.no_vm && up.machines > 32 => {
                Err("at most 32 virtual machines; --no-vm simulates up to 4000")
            }
            _ => Ok(()),
        }
    }
}

/// clap's message in one line: what is wrong, what there is instead, and whose help says more.
fn one_line(text: &str) -> String {
    let (said, usage) = text.split_once("\n\nUsage: ").unwrap_or((text, "kpc"));
    let lines = said.lines().map(str::trim);
    let lines: Vec<&str> =
        lines.filter(|line| !line.is_empty() && !line.starts_with("For more information")).collect();
    let verb =
        usage.split_whitespace().take_while(|word| word.bytes().all(|letter| letter.is_ascii_lowercase()));
    let verb: Vec<&str> = verb.collect();
    format!("{}; see `{} --help`", lines.join("; ").replace(":; ", ": "), verb.join(" "))
}

/// Flags that every verb takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The configuration file.
    #[arg(long, global = true, default_value = DEFAULT_CONFIG, value_name = "FILE")]
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
    #[arg(long, global = true, default_value = "info", value_name = "LEVEL", value_parser = level)]
    pub(crate) log_level: String,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Set this host up: configuration, keys, loaders, units. A second run replaces nothing.
    Init(Init),
    /// Operating systems' images: fetched, checked, served.
    #[command(subcommand)]
    Assets(Assets),
    /// BMCs by the range.
    #[command(subcommand)]
    Bmc(Bmc),
    /// Run the server: proxy DHCP, TFTP, machines' HTTP, operators' API and page.
    Serve(Serve),
    /// Add or change machines.
    #[command(subcommand)]
    Machine(Machine),
    /// Order machines to be booted with a profile: prints the plan, asks, and powers them on by IPMI.
    Provision(Provision),
    /// Order registered machines anew, each by its name: otherwise as `kpc provision`.
    Reinstall(Reinstall),
    /// End the open order of machines. What is running goes on; nothing is booted again.
    Cancel(Selected),
    /// After looking: arms the failed, expired, stalled or frozen order of machines for their next boot. It touches no
    /// power: `kpc power cycle` boots them.
    Retry(Selected),
    /// Make found machines ours. It erases nothing and orders nothing.
    Adopt(Selected),
    /// Say that what a machine shows is right: ends its conflict, or the doubt about its BMC.
    Resolve(Selected),
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
    /// A machine's serial console, by its BMC.
    Console(Console),
    /// What a machine would get now and why, without the machine.
    Why(Why),
    /// What is wrong with groups, profiles, templates and assets.
    Check(Listing),
    /// What happened, and what happens.
    Events(Events),
    /// Machines that are not ours, as they are heard.
    Discover(Discover),
    /// Inventory variables.
    #[command(subcommand)]
    Var(Var),
    /// Machines' disks.
    #[command(subcommand)]
    Disk(Disk),
    /// Copy the server's store to a file.
    Backup(Copy),
    /// Make the store from a copy, while the server stands still. Every order that was open is void then.
    Restore(Copy),
    /// What would go wrong on this host, or on this node.
    Doctor(Doctor),
    /// A shell's completions.
    Completions(Completions),
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
    /// Serve counters for Prometheus at `http://ADDRESS/metrics` (off by default).
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) metrics: Option<std::net::SocketAddr>,
}

/// `kpc machine …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Machine {
    /// Make a machine known by its identifiers.
    Add(MachineAdd),
    /// Make many known, from a CSV file.
    Import(MachineImport),
    /// Set the roles (groups in the inventory) or the rack of machines; no order is given.
    Label(MachineLabel),
    /// Give a machine another name.
    Rename(MachineRename),
    /// New hardware takes the place of old: its name, groups, rack and variables.
    Replace(MachineReplace),
    /// Take a machine out of service; its orders end.
    Retire(Selected),
}

/// `kpc machine add`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("identifier").required(true).multiple(true).args(["macs", "uuid", "bmc"]))]
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
    /// Its chassis' serial.
    #[arg(long, value_name = "SERIAL")]
    pub(crate) serial: Option<String>,
    /// Where it stands.
    #[arg(long, value_name = "RACK")]
    pub(crate) rack: Option<String>,
    /// Its groups in the inventory (repeatable, or separated by commas).
    #[arg(long = "role", value_name = "ROLE", value_delimiter = ',')]
    pub(crate) roles: Vec<String>,
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
    #[command(flatten)]
    pub(crate) what: What,
}

/// `kpc reinstall`.
#[derive(Debug, Args)]
pub(crate) struct Reinstall {
    /// Which machines: their names, never a group.
    #[arg(required = true, value_name = "NAME", value_parser = names)]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) what: What,
}

/// What is ordered, and at which pace.
#[derive(Debug, Args)]
pub(crate) struct What {
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
    /// Write this disk and no other (one machine only).
    #[arg(long, value_name = "SERIAL")]
    pub(crate) disk: Option<String>,
    /// Give up the data on this disk, which is then the one that is written (one machine only).
    #[arg(long, value_name = "SERIAL", conflicts_with = "disk")]
    pub(crate) wipe: Option<String>,
    /// Start although another PXE responder answers on the machines' network.
    #[arg(long)]
    pub(crate) despite_responders: bool,
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
    /// What the machine was last heard to be; legacy BIOS where it was not heard yet.
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
    /// Print one JSON object a change instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `kpc inventory`.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group(clap::ArgGroup::new("form").required(true).args(["list", "host", "static_file", "write", "known_hosts", "reservations"])))]
#[command(after_help = "\
Examples:
  kpc inventory --list                              what Ansible's inventory scripts print
  kpc inventory --static > inventory.yml            the same as a file
  kpc inventory --write /etc/kolla                  inventory/, globals.d/50-kpc.yml, known_hosts for kolla-ansible
  kpc inventory --reservations kea                  for a DHCP server that can be changed
")]
pub(crate) struct Inventory {
    /// The whole inventory, as Ansible asks for it.
    #[arg(long)]
    pub(crate) list: bool,
    /// One host's variables.
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// The whole inventory as a static file.
    #[arg(long = "static")]
    pub(crate) static_file: bool,
    /// Write what kolla-ansible takes into this folder; files that were changed by hand are kept.
    #[arg(long, value_name = "DIR")]
    pub(crate) write: Option<PathBuf>,
    /// SSH's known_hosts, from the keys that machines registered with.
    #[arg(long)]
    pub(crate) known_hosts: bool,
    /// Each machine's address, as lines for this DHCP server.
    #[arg(long, value_enum, value_name = "SERVER")]
    pub(crate) reservations: Option<Reservations>,
    /// Also machines that are not registered (Ansible will wait for them).
    #[arg(long)]
    pub(crate) all_states: bool,
    /// With --write: kolla's internal address.
    #[arg(long, value_name = "ADDRESS", requires = "write")]
    pub(crate) vip: Option<std::net::IpAddr>,
    /// With --write: the nodes' interface to the outside.
    #[arg(long, value_name = "IF", requires = "write")]
    pub(crate) external_interface: Option<String>,
    /// With --write: the registry of kolla's images, HOST:PORT.
    #[arg(long, value_name = "HOST:PORT", requires = "write")]
    pub(crate) registry: Option<String>,
    /// With --registry: it speaks no TLS.
    #[arg(long, requires = "registry")]
    pub(crate) insecure_registry: bool,
}

/// A DHCP server's language.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Reservations {
    /// ISC dhcpd.
    Isc,
    /// Kea's DHCPv4 server.
    Kea,
    /// dnsmasq.
    Dnsmasq,
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
    /// With `off`: cut the power at once, without asking the system.
    #[arg(long)]
    pub(crate) hard: bool,
    /// Also while the machine writes its disk, which is half written then.
    #[arg(long)]
    pub(crate) force: bool,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A power action of a BMC.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum PowerAction {
    /// Power on.
    On,
    /// Ask the system to shut down and wait until it is off; `--hard` cuts the power.
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

/// A machine of the lab as typed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct MachineKind {
    pub(crate) text: String,
    pub(crate) firmware: lab::Firmware,
    /// Its disk, still without a serial number.
    pub(crate) disk: Option<lab::DiskSpec>,
}

impl std::str::FromStr for MachineKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (firmware, disk) = text.split_once(':').map_or((text, None), |(one, two)| (one, Some(two)));
        let firmware = match firmware {
            "bios" => lab::Firmware::BiosMedium,
            "rom" => lab::Firmware::BiosRom,
            "uefi" => lab::Firmware::Uefi,
            _ => return Err("write bios, rom or uefi, and :disk, :slow or :data behind it".to_owned()),
        };
        let empty = lab::DiskSpec::empty("");
        let disk = match disk {
            None => None,
            Some("disk") => Some(empty),
            Some("slow") => Some(lab::DiskSpec { write_limit: Some(4 << 20), ..empty }),
            Some("data") => Some(lab::DiskSpec { holds_data: true, ..empty }),
            Some(_) => return Err("behind the firmware only :disk, :slow or :data".to_owned()),
        };
        Ok(Self { text: text.to_owned(), firmware, disk })
    }
}

/// `kpc lab up`.
#[derive(Clone, Debug, Args)]
pub(crate) struct LabUp {
    /// How many machines.
    #[arg(short = 'n', long = "machines", default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4000))]
    pub(crate) machines: u16,
    /// Simulated machines instead of virtual ones: they speak the real protocols on real sockets and execute nothing.
    #[arg(long, conflicts_with_all = ["uefi", "rom", "install", "kinds"])]
    pub(crate) no_vm: bool,
    /// With --no-vm: octets of the loader that each machine reads by TFTP.
    #[arg(long, default_value = "64KiB", value_name = "SIZE", value_parser = size)]
    pub(crate) loader_size: usize,
    /// With --no-vm: octets of kernel and initrd together, which each machine reads by HTTP.
    #[arg(long, default_value = "256KiB", value_name = "SIZE", value_parser = size)]
    pub(crate) payload_size: usize,
    /// UEFI machines (OVMF) whose own PXE client loads snponly.efi.
    #[arg(long, conflicts_with = "rom")]
    pub(crate) uefi: bool,
    /// BIOS machines that boot the bare iPXE ROM of their network card.
    #[arg(long)]
    pub(crate) rom: bool,
    /// Give each machine an empty disk and install it: an agent writes the lab's image, the machine registers from it.
    #[arg(long)]
    pub(crate) install: bool,
    /// A machine, as often as given, in place of -n, --uefi and --rom: bios, rom or uefi; with `:disk` an empty disk,
    /// with `:slow` one that takes 4 MiB in a second, with `:data` one that holds somebody's.
    #[arg(long = "machine", value_name = "KIND", conflicts_with_all = ["machines", "uefi", "rom"])]
    pub(crate) kinds: Vec<MachineKind>,
    /// Leave the machines powered off.
    #[arg(long)]
    pub(crate) no_provision: bool,
    /// The rack alone: no server runs on the deploy host, which is bare for `kpc init`. The BMCs' login is `admin` with
    /// the password in the lab's file bmc-password.
    #[arg(long, requires = "exec", requires = "once", conflicts_with_all = ["no_vm", "install", "no_provision"])]
    pub(crate) no_serve: bool,
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
    /// With --once: run this shell command inside the lab's deploy host when all machines are registered, with
    /// --no-provision or --no-serve at once, and end as it ends. It finds KPC_LAB_DIR set, and where a server runs
    /// KPC_SOCKET and KPC_SERVE_PID.
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

/// A name, or several by `name[1-3]`: what erases is never aimed by a group.
fn names(text: &str) -> Result<String, String> {
    match text.parse() {
        Ok(fleet::Selector::Names(_)) => Ok(text.to_owned()),
        Ok(_) => Err(format!("`{text}` is no machine's name; this verb takes names only")),
        Err(error) => Err(error.to_string()),
    }
}

/// A level, or a filter of `target=level` parts. A bare word that is no level would be read as a target, and hide all.
fn level(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let known =
        |part: &str| part.contains('=') || LEVELS.iter().any(|level| level.eq_ignore_ascii_case(part.trim()));
    match text.split(',').find(|part| !known(part)) {
        None => Ok(text.to_owned()),
        Some(part) => Err(format!(
            "`{part}` is no level; there are error, warn, info, debug, trace, off, and filters such as kpc=debug,info"
        )),
    }
}

/// Octets, 16 MiB at most.
fn size(text: &str) -> Result<usize, String> {
    const MOST: usize = 16 << 20;
    let (digits, unit) =
        text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()));
    let unit = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return Err(format!("`{text}`: the unit is B, KiB or MiB")),
    };
    let octets = digits.parse::<usize>().ok().and_then(|count| count.checked_mul(unit));
    octets.filter(|octets| (1..=MOST).contains(octets)).ok_or(format!("`{text}`: write 1B to 16MiB"))
}

pub(crate) fn seconds(text: &str) -> Result<std::time::Duration, String> {
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
        "h" => Ok(std::time::Duration::from_secs(count.saturating_mul(3600))),
        _ => Err(format!("`{text}`: the unit is ms, s, m or h")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_flag_gets_one_line() {
        let said = |words: &str| {
            let error = Arguments::try_parse_from(words.split(' ')).map(|_| ()).unwrap_err();
            one_line(&error.to_string())
        };
        let line = said("kpc status --colour");
        assert_eq!(line, "error: unexpected argument '--colour' found; see `kpc status --help`");
        let line = said("kpc provision n1");
        assert!(line.contains("provided: --profile") && line.contains("`kpc provision --help`"), "{line}");
        assert!(!line.contains('\n'));
    }

    #[test]
    fn the_grammar_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_machine_needs_an_identifier() {
        let parse = |words: &str| Arguments::try_parse_from(words.split(' '));
        let code = parse("kpc machine add n1").map_err(|error| error.exit_code()).map(|_| ()).unwrap_err();
        assert_eq!(code, 2);
        parse("kpc machine add n1 --mac 52:54:00:00:00:21 --bmc 10.0.0.1").unwrap();
        parse("kpc machine add n1 --uuid 4c4c4544-0044-4810-8031-b2c04f504431").unwrap();
    }

    #[test]
    fn only_off_has_a_hard_form() {
        let check = |words: &str| Arguments::try_parse_from(words.split(' ')).unwrap().check();
        assert_eq!(check("kpc power off n1 --hard"), Ok(()));
        assert_eq!(check("kpc power off n1"), Ok(()));
        assert!(check("kpc power reset n1 --hard").is_err());
    }

    #[test]
    fn reinstall_takes_names_only() {
        let parse =
            |who: &str| Arguments::try_parse_from(["kpc", "reinstall", who, "--profile", "live"]).is_ok();
        assert!(parse("n1") && parse("n[1-3]"));
        for group in ["@all", "@role:control", "@failed", "52:54:00:00:00:21", "10.0.0.1"] {
            assert!(!parse(group), "{group}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for good in ["info", "WARN", "kpc=debug,info", "off", "kpc::serve[span]=trace"] {
            assert_eq!(level(good).as_deref(), Ok(good));
        }
        assert!(level("chatty").is_err());
        assert!(level("info,chatty").is_err());
    }

    #[test]
    fn times_have_units() {
        assert_eq!(seconds("5s"), Ok(std::time::Duration::from_secs(5)));
        assert_eq!(seconds("250ms"), Ok(std::time::Duration::from_millis(250)));
        assert_eq!(seconds("3"), Ok(std::time::Duration::from_secs(3)));
        assert!(seconds("3d").is_err());
        assert!(seconds("fast").is_err());
    }
}
