//! `-H RANGE`: power and boot device on many hosts in one process.

use ipmi::command::chassis::ChassisStatus;
use ipmi::script::{PowerControl, PowerStatus, SetBootDevice, Verified};
use ipmi::session::Config;
use ipmi::sweep;
use serde_json::json;

use super::{Failed, boot, chassis};
use crate::fleet::{self, Told};
use crate::options::Options;

/// Most machines switched, and most asked, without being told that it is meant.
const MANY: (usize, usize) = (256, 4096);

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
    let reads = rest.first() != Some(&"bootdev") && chassis::control(words).is_none();
    let (most, what) = if reads { (MANY.1, "hosts") } else { (MANY.0, "machines") };
    if hosts.len() > most && !options.yes {
        return Err(format!("{} {what}: add --yes if that is meant", hosts.len()).into());
    }
    let pace = sweep::Config { fanout: options.fanout, stagger: options.stagger, batch: options.batch };
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
