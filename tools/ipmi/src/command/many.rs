//! `-H RANGE`: power and boot device on many hosts in one process.

use ipmi::command::chassis::ChassisStatus;
use ipmi::script::{PowerControl, PowerStatus, SetBootDevice, Verified};
use ipmi::session::Config;
use ipmi::{hostrange, sweep};
use serde_json::json;

use super::{Failed, boot, chassis};
use crate::fleet::{self, Told};
use crate::options::Options;

/// Expands `-H`: a range, or `@FILE` with one range a line (`#` begins a comment).
pub(super) fn hosts(text: &str) -> Result<Vec<String>, Failed> {
    let listed = match text.strip_prefix('@') {
        None => text.to_owned(),
        Some(path) => {
            let read = std::fs::read_to_string(path)
                .map_err(|error| format!("reading hosts from {path}: {error}"))?;
            let lines = read.lines().map(|line| line.split('#').next().unwrap_or_default());
            lines.collect::<Vec<_>>().join("\n")
        }
    };
    hostrange::expand(&listed).map_err(|error| error.to_string().into())
}

/// Runs the command on every host; a password goes out only under a strong suite unless it is allowed.
pub(super) async fn run(
    options: &Options,
    session: Config,
    hosts: &[String],
    group: &str,
    rest: &[&str],
) -> Result<(), Failed> {
    if !options.allow_weak && !options.is_strong() {
        return Err(
            String::from("with many hosts only cipher suites 3 and 17 are used; add --allow-weak").into()
        );
    }
    let words = if group == "power" { rest } else { rest.get(1..).unwrap_or_default() };
    let pace = sweep::Config { fanout: options.fanout, stagger: options.stagger };
    let (port, json) = (options.port, options.json);
    let code = match (group, rest, words) {
        ("chassis", ["bootdev", ..], [device, more @ ..]) => {
            let (flags, keep) = boot::boot_flags_of(device, more)?;
            let script = SetBootDevice::with_flags(flags, keep);
            let told = |(): &(), _: &str| Told {
                text: format!("Set Boot Device to {device}"),
                json: json!({"boot_device": device}),
                note: None,
            };
            fleet::run(hosts, port, session, pace, json, script, told).await
        }
        ("power", ..) | ("chassis", ["power", ..], _) => match chassis::control(words) {
            Some((control, text)) => {
                let told = |verified: &Verified, host: &str| Told {
                    text: format!("Chassis Power Control: {text}"),
                    json: json!({"power_control": text, "verified": format!("{verified:?}").to_lowercase()}),
                    note: (*verified != Verified::Answered)
                        .then(|| format!("{host}: the answer was lost; known by {verified:?}")),
                };
                fleet::run(hosts, port, session, pace, json, PowerControl::new(control), told).await
            }
            None => {
                let told = |status: &ChassisStatus, _: &str| {
                    let power = if status.power_on() { "on" } else { "off" };
                    Told {
                        text: format!("Chassis Power is {power}"),
                        json: json!({"power": power}),
                        note: None,
                    }
                };
                fleet::run(hosts, port, session, pace, json, PowerStatus, told).await
            }
        },
        _ => return Err(String::from("with many hosts: power and chassis bootdev").into()),
    };
    if code == std::process::ExitCode::SUCCESS { Ok(()) } else { Err(Failed(None)) }
}
