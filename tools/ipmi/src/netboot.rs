//! `ipmi netboot RANGE`: one-time PXE and power, per host back to back, hosts apart by `--stagger`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ipmi::command::chassis::{BootDevice, ChassisControl};
use ipmi::driver::Credentials;
use ipmi::script::{Netboot, NetbootOutcome};
use ipmi::session::Config;
use ipmi::sweep;
use serde_json::json;

use crate::fleet::{self, Told};
use crate::{output, secret, target};

const EXAMPLES: &str = "\
EXAMPLES:
    ipmi netboot 10.100.0.1-16 --user root --password-file /etc/kpc/bmc-password --stagger 5s
    ipmi netboot bmc7 --uefi --user root --password-file pw --guid 00112233-4455-6677-8899-aabbccddeeff";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Hosts: 10.0.0.1-254, 10.0.0.0/24, bmc[1-40], names; comma-separated; @FILE.
    #[arg(required = true)]
    ranges: Vec<String>,
    /// Ask for an EFI boot.
    #[arg(long, conflicts_with = "bios")]
    uefi: bool,
    /// Ask for a legacy BIOS boot (default).
    #[arg(long)]
    bios: bool,
    /// User name.
    #[arg(long, default_value = "")]
    user: String,
    /// File whose first line is the password; without it IPMITOOL_PASSWORD, IPMI_PASSWORD, or a prompt.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// UDP port.
    #[arg(long, default_value_t = 623)]
    port: u16,
    /// Time between two hosts: 500ms, 5s, 1m.
    #[arg(long, default_value = "0s", value_parser = duration)]
    stagger: Duration,
    /// Hosts that start together, as far as the power supply allows.
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// Hosts in conversation at once.
    #[arg(long, default_value_t = 256)]
    fanout: usize,
    /// Refuse before any write unless the BMC has this GUID (any octet order); one host only.
    #[arg(long)]
    guid: Option<String>,
    /// One JSON object per host.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    messages: output::Messages,
    /// Boot more than 256 machines.
    #[arg(long)]
    yes: bool,
}

/// Most machines booted without being told that it is meant.
const MANY: usize = 256;

/// Reads `500ms`, `5s`, `2m`, `5`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u32 = number.parse().map_err(|_| format!("{text:?} is no duration; write 5s or 500ms"))?;
    match unit {
        "ms" => Ok(Duration::from_millis(number.into())),
        "s" | "" => Ok(Duration::from_secs(number.into())),
        "m" => Ok(Duration::from_secs(u64::from(number) * 60)),
        _ => Err(format!("{text:?} is no duration; write 5s or 500ms")),
    }
}

pub(crate) async fn run(args: Args) -> ExitCode {
    output::start(&args.messages);
    let hosts = match target::expand(args.ranges.iter().map(String::as_str)) {
        Ok(hosts) => hosts,
        Err(error) => return output::usage(&error),
    };
    if hosts.len() > MANY && !args.yes {
        return output::usage(&format!("{} machines: add --yes if that is meant", hosts.len()));
    }
    let expected = match args.guid.as_deref().map(ipmi::guid::parse) {
        None => None,
        Some(None) => return output::usage("--guid takes 32 hex digits, dashes allowed"),
        Some(Some(_)) if hosts.len() > 1 => return output::usage("--guid goes with one host"),
        Some(guid) => guid,
    };
    let password = match &args.password_file {
        Some(path) => secret::from_file(path),
        None => match secret::from_environment(&["IPMITOOL_PASSWORD", "IPMI_PASSWORD"]) {
            Some(password) => Ok(password),
            None => secret::from_prompt(),
        },
    };
    let credentials = password
        .and_then(|password| Credentials::new(&args.user, &password).map_err(|error| error.to_string()));
    let session = match credentials {
        Ok(credentials) => Config::new(credentials),
        Err(error) => return output::configuration(&error),
    };
    let pace = sweep::Config { fanout: args.fanout, stagger: args.stagger, batch: args.batch };
    let script = Netboot::new(args.uefi, expected);
    fleet::run(&hosts, args.port, session, pace, args.json, script, |outcome, host| Told {
        text: format!("PXE once, {}", action(outcome)),
        json: json!({"boot": "pxe", "action": action(outcome), "read_back": reads_back(outcome)}),
        note: (!reads_back(outcome))
            .then(|| format!("{host}: the BMC does not read the boot device back as written; some never do")),
    })
    .await
}

fn action(outcome: &NetbootOutcome) -> &'static str {
    if outcome.control == ChassisControl::HardReset { "reset" } else { "power on" }
}

fn reads_back(outcome: &NetbootOutcome) -> bool {
    outcome.read_back.is_some_and(|flags| flags.valid() && flags.device() == BootDevice::Pxe)
}
