//! `ipmi netboot RANGE`: one-time PXE and power, per host back to back, hosts apart by `--stagger`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ipmi::command::chassis::{BootDevice, BootOptions, ChassisControl};
use ipmi::driver::{Bmc, BmcConfig, BmcError, Credentials};
use ipmi::guid::Guid;
use ipmi::hostrange;
use serde_json::json;

use crate::{output, secret, target};

const EXAMPLES: &str = "\
EXAMPLES:
    ipmi netboot 10.100.0.1-16 --user root --password-file /etc/kpc/bmc-password --stagger 5s
    ipmi netboot bmc7 --uefi --user root --password-file pw --guid 00112233-4455-6677-8899-aabbccddeeff";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Hosts: 10.0.0.1-254, 10.0.0.0/24, bmc[1-40], names; comma-separated.
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
    /// Refuse before any write unless the BMC has this GUID (any octet order); one host only.
    #[arg(long)]
    guid: Option<String>,
    /// One JSON object per host.
    #[arg(long)]
    json: bool,
}

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

struct Done {
    action: &'static str,
    warning: Option<String>,
}

async fn one(config: BmcConfig, efi: bool, expected: Option<[u8; 16]>) -> Result<Done, String> {
    let text = |error: BmcError| error.to_string();
    let mut bmc = Bmc::connect(config).await.map_err(text)?;
    let outcome = steps(&mut bmc, efi, expected).await;
    bmc.close().await;
    outcome
}

async fn steps(bmc: &mut Bmc, efi: bool, expected: Option<[u8; 16]>) -> Result<Done, String> {
    let text = |error: BmcError| error.to_string();
    if let Some(expected) = expected {
        let guid = bmc.managed_system_guid();
        if !ipmi::guid_matches_uuid(guid, expected) {
            return Err(format!("its GUID is {}, not the expected one; nothing was written", Guid(guid)));
        }
    }
    let options = BootOptions { efi, persistent: false, keep_valid_bit: true };
    bmc.set_boot_device(BootDevice::Pxe, options).await.map_err(text)?;
    let warning = match bmc.boot_option(5).await {
        Ok(parameter) => match parameter.data.as_slice() {
            [first, second, ..] if first & 0x80 != 0 && second >> 2 & 0x0f == 1 => None,
            _ => Some("the BMC does not read back the boot device as written; some never do".to_owned()),
        },
        Err(error) => Some(format!("the boot device cannot be read back: {error}")),
    };
    let on = bmc.chassis_status().await.map_err(text)?.power_on();
    let (control, action) =
        if on { (ChassisControl::HardReset, "reset") } else { (ChassisControl::PowerUp, "power on") };
    bmc.chassis_control(control).await.map_err(text)?;
    Ok(Done { action, warning })
}

pub(crate) async fn run(args: Args) -> ExitCode {
    let hosts = match hostrange::expand(&args.ranges.join(",")) {
        Ok(hosts) => hosts,
        Err(error) => return output::usage(&error.to_string()),
    };
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
    let credentials = match credentials {
        Ok(credentials) => credentials,
        Err(error) => return output::configuration(&error),
    };
    let mut tasks = tokio::task::JoinSet::new();
    for (at, host) in (0u32..).zip(hosts) {
        let (credentials, stagger) = (credentials.clone(), args.stagger * at);
        let (port, efi) = (args.port, args.uefi);
        tasks.spawn(async move {
            tokio::time::sleep(stagger).await;
            let outcome = match target::resolve(&host, port).await {
                Ok(addr) => one(BmcConfig::new(addr, credentials), efi, expected).await,
                Err(error) => Err(error),
            };
            (host, outcome)
        });
    }
    let mut failures = 0;
    while let Some(joined) = tasks.join_next().await {
        let Ok((host, outcome)) = joined else { continue };
        failures += usize::from(outcome.is_err());
        report(args.json, &host, outcome);
    }
    if failures == 0 { ExitCode::SUCCESS } else { output::fail(&format!("{failures} hosts failed")) }
}

fn report(as_json: bool, host: &str, outcome: Result<Done, String>) {
    match outcome {
        Ok(Done { action, warning }) if as_json => {
            let object =
                json!({"host": host, "ok": true, "boot": "pxe", "action": action, "warning": warning});
            output::line(&object.to_string());
        }
        Ok(Done { action, warning }) => {
            output::line(&format!("{host}: PXE once, {action}"));
            if let Some(warning) = warning {
                output::note(&format!("{host}: {warning}"));
            }
        }
        Err(error) if as_json => {
            output::line(&json!({"host": host, "ok": false, "error": error}).to_string());
        }
        Err(error) => output::note(&format!("{host}: {error}")),
    }
}
