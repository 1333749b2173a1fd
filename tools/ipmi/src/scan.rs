//! `ipmi scan RANGE`: who is out there?

use std::process::ExitCode;
use std::time::Duration;

use ipmi::driver::{ScanConfig, scan};
use ipmi::scan::Found;
use serde_json::json;

use crate::{output, target};

const EXAMPLES: &str = "\
EXAMPLES:
    ipmi scan 10.100.0.1-254
    ipmi scan 10.100.0.0/24,bmc[1-40] --json";

/// Most addresses swept without being told that it is meant.
const MANY: usize = 4096;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Hosts: 10.0.0.1-254, 10.0.0.0/24, bmc[1-40], names; comma-separated; @FILE.
    #[arg(required = true)]
    ranges: Vec<String>,
    /// UDP port.
    #[arg(long, default_value_t = 623)]
    port: u16,
    /// Datagrams per second.
    #[arg(long, default_value_t = 20_000)]
    rate: u32,
    /// Time to wait for an answer, per question.
    #[arg(long, default_value = "200", value_name = "MS")]
    wait: u64,
    /// Questions per silent address.
    #[arg(long, default_value_t = 2)]
    rounds: u8,
    /// Ask neither for cipher suites nor whether suite 0 is open.
    #[arg(long)]
    quick: bool,
    /// One JSON object per BMC.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    messages: output::Messages,
    /// Sweep more than 4096 addresses.
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(args: Args) -> ExitCode {
    output::start(&args.messages);
    let hosts = match target::expand(args.ranges.iter().map(String::as_str)) {
        Ok(hosts) => hosts,
        Err(error) => return output::usage(&error),
    };
    if hosts.len() > MANY && !args.yes {
        return output::usage(&format!("{} addresses: add --yes if that is meant", hosts.len()));
    }
    let mut targets = Vec::with_capacity(hosts.len());
    for host in &hosts {
        match target::resolve(host, args.port).await {
            Ok(addr) => targets.push(addr),
            Err(error) => return output::fail(&error),
        }
    }
    let wait = Duration::from_millis(args.wait);
    let config = ScanConfig { rate: args.rate, rounds: args.rounds, wait, ping: true, details: !args.quick };
    let json = args.json;
    let shown = |found: &Found| output::line(&if json { as_json(found) } else { as_text(found) });
    match scan(targets, config, shown).await {
        Ok(found) => {
            if !json {
                output::note(&format!("{} of {} addresses answered", found.len(), hosts.len()));
            }
            ExitCode::SUCCESS
        }
        Err(error) => output::fail(&format!("scanning: {error}")),
    }
}

const AUTH_TYPES: [(u8, &str); 5] = [(0, "none"), (1, "md2"), (2, "md5"), (4, "password"), (5, "oem")];

fn as_json(found: &Found) -> String {
    let mut object = json!({
        "address": found.addr.ip().to_string(),
        "port": found.addr.port(),
        "rtt_ms": (found.rtt.as_secs_f64() * 1e6).round() / 1e3,
        "pong": found.pong.is_some(),
    });
    if let (Some(c), Some(fields)) = (found.capabilities, object.as_object_mut()) {
        let types: Vec<_> = AUTH_TYPES
            .iter()
            .filter(|(bit, _)| c.auth_types & 1 << bit != 0)
            .map(|(_, name)| *name)
            .collect();
        fields.insert("ipmi_1_5".into(), c.supports_v15().into());
        fields.insert("ipmi_2_0".into(), c.supports_v20().into());
        fields.insert("auth_types".into(), types.into());
        fields.insert("k_g".into(), c.has_k_g().into());
        fields.insert("null_users".into(), c.null_users().into());
        fields.insert("anonymous".into(), c.anonymous().into());
        fields.insert("suites".into(), suites(found).into());
        fields.insert("cipher_zero".into(), found.cipher_zero.into());
    }
    object.to_string()
}

/// The numbers of the cipher suites listed; `None` from a BMC that does not say.
fn suites(found: &Found) -> Option<Vec<u8>> {
    found.suites.map(|bits| (0..64).filter(|id| bits >> id & 1 == 1).collect())
}

fn as_text(found: &Found) -> String {
    let Some(c) = found.capabilities else {
        return format!("{:<21} answers pings alone", found.addr.ip());
    };
    let version = match (c.supports_v15(), c.supports_v20()) {
        (true, true) => "1.5, 2.0",
        (_, true) => "2.0",
        _ => "1.5",
    };
    let mut notes = Vec::new();
    if let Some(suites) = suites(found) {
        let numbers: Vec<_> = suites.iter().map(u8::to_string).collect();
        notes.push(format!("suites {}", numbers.join(",")));
    }
    if found.cipher_zero == Some(true) {
        notes.push("SUITE 0 OPEN: no password needed".to_owned());
    }
    if c.has_k_g() {
        notes.push("K_G set".to_owned());
    }
    if c.null_users() {
        notes.push("null user".to_owned());
    }
    if c.anonymous() {
        notes.push("ANONYMOUS LOGIN".to_owned());
    }
    let rtt = found.rtt.as_secs_f64() * 1e3;
    format!("{:<21} IPMI {version:<9} {rtt:7.2} ms  {}", found.addr.ip(), notes.join(", "))
        .trim_end()
        .to_owned()
}
