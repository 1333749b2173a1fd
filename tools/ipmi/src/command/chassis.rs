//! `chassis` and `power` (ipmitool's lib/ipmi_chassis.c).

use ipmi::command::chassis::ChassisControl;
use ipmi::driver::BmcError;
use ipmi::session::{Privilege, Request};

use super::{Context, Failed, boot};
use crate::output::{line, note};

const POWER: [(&str, ChassisControl, &str); 9] = [
    ("on", ChassisControl::PowerUp, "Up/On"),
    ("up", ChassisControl::PowerUp, "Up/On"),
    ("off", ChassisControl::PowerDown, "Down/Off"),
    ("down", ChassisControl::PowerDown, "Down/Off"),
    ("cycle", ChassisControl::PowerCycle, "Cycle"),
    ("reset", ChassisControl::HardReset, "Reset"),
    ("diag", ChassisControl::DiagnosticInterrupt, "Diag"),
    ("soft", ChassisControl::SoftShutdown, "Soft"),
    ("acpi", ChassisControl::SoftShutdown, "Soft"),
];

pub(super) fn check_power(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        [] | ["status" | "help", ..] => Ok(()),
        [word, ..] if POWER.iter().any(|(name, _, _)| name == word) => Ok(()),
        [word, ..] => Err(format!("Invalid chassis power command: {word}").into()),
    }
}

/// The power command these words name, and ipmitool's word for it; `None` is status.
pub(super) fn control(rest: &[&str]) -> Option<(ChassisControl, &'static str)> {
    let word = rest.first()?;
    POWER.iter().find(|(name, _, _)| name == word).map(|(_, control, text)| (*control, *text))
}

const POLICIES: [(&str, u8); 4] = [("list", 3), ("always-on", 2), ("previous", 1), ("always-off", 0)];

const USAGE: &str = "\
Chassis Commands:
  status, power, policy, restart_cause
  poh, identify, selftest,
  bootdev, bootparam, bootmbox";

const POLICY_USAGE: &str = "\
chassis policy <state>
   list        : return supported policies
   always-on   : turn on when power is restored
   previous    : return to previous state when power is restored
   always-off  : stay off after power is restored";

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["power", rest @ ..] => check_power(rest),
        ["status" | "poh" | "restart_cause" | "selftest", ..] | ["identify"] => Ok(()),
        ["identify", "force", ..] => Ok(()),
        ["identify", word, ..] => match super::number(word) {
            Ok(_) => Ok(()),
            Err(_) => Err(String::from("Invalid interval given.").into()),
        },
        ["policy", word, ..] if POLICIES.iter().any(|(name, _)| name == word) => Ok(()),
        ["policy", word, ..] if *word != "help" => Err(format!("Invalid chassis policy: {word}").into()),
        ["policy", ..] => Err(POLICY_USAGE.to_owned().into()),
        ["bootdev" | "bootparam" | "bootmbox", ..] => boot::check(rest),
        [] | ["help", ..] => Err(USAGE.to_owned().into()),
        [word, ..] => Err(format!("Invalid chassis command: {word}").into()),
    }
}

pub(super) async fn run(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["power", rest @ ..] => power(context, rest).await,
        ["bootdev" | "bootparam" | "bootmbox", ..] => boot::run(context, rest).await,
        ["poh", ..] => power_on_hours(context).await,
        ["identify", rest @ ..] => identify(context, rest).await,
        ["policy", word, ..] => policy(context, word).await,
        ["restart_cause", ..] => restart_cause(context).await,
        ["selftest", ..] => selftest(context).await,
        _ => status(context).await,
    }
}

/// One request; a refusal in ipmitool's words.
async fn ask(context: &mut Context, request: Request, what: &str) -> Result<Vec<u8>, Failed> {
    let (code, data) = context.bmc.request(request).await?;
    if code.is_ok() { Ok(data) } else { Err(format!("{what}: {}", code.text()).into()) }
}

fn operator(command: u8, data: Vec<u8>) -> Request {
    Request { privilege: Privilege::Operator, ..Request::new(0x00, command, data) }
}

async fn power_on_hours(context: &mut Context) -> Result<(), Failed> {
    let data =
        ask(context, Request::new(0x00, 0x0f, Vec::new()), "Get Chassis Power-On-Hours failed").await?;
    let [per_count, counter @ ..] = data.as_slice() else { return Err(String::from("short answer").into()) };
    let count = counter.first_chunk().map_or(0, |octets| u32::from_le_bytes(*octets));
    let minutes = u64::from(count) * u64::from(*per_count);
    let (days, hours) = (minutes / 1440, minutes / 60 % 24);
    line(&format!("POH Counter  : {days} days, {hours} hours"));
    Ok(())
}

async fn identify(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    let (data, told) = match rest {
        [] => (Vec::new(), "default (15 seconds)".to_owned()),
        ["force", ..] => (vec![0, 1], "indefinite".to_owned()),
        [word, ..] => {
            let seconds = super::number(word)?;
            (vec![seconds, 0], if seconds == 0 { "off".to_owned() } else { format!("{seconds} seconds") })
        }
    };
    ask(context, operator(0x04, data), "Set Chassis Identify failed").await?;
    line(&format!("Chassis identify interval: {told}"));
    Ok(())
}

async fn policy(context: &mut Context, word: &str) -> Result<(), Failed> {
    let number = POLICIES.iter().find(|(name, _)| *name == word).map_or(3, |(_, number)| *number);
    let what = "Power Restore Policy command failed";
    let data = ask(context, operator(0x06, vec![number]), what).await?;
    if word == "list" {
        let bits = data.first().copied().unwrap_or(0);
        let names = [(2, "always-on"), (1, "previous"), (0, "always-off")];
        let text: Vec<_> =
            names.iter().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, name)| *name).collect();
        line(&format!("Supported chassis power policy:  {}", text.join(" ")));
    } else {
        line(&format!("Set chassis power restore policy to {word}"));
    }
    Ok(())
}

async fn restart_cause(context: &mut Context) -> Result<(), Failed> {
    let request = Request::new(0x00, 0x07, Vec::new());
    let data = ask(context, request, "Get Chassis Restart Cause failed").await?;
    let cause = match data.first().copied().unwrap_or(0) & 0x0f {
        0 => "unknown",
        1 => "chassis power control command",
        2 => "reset via pushbutton",
        3 => "power-up via pushbutton",
        4 => "watchdog expired",
        5 => "OEM",
        6 => "power-up due to always-restore power policy",
        7 => "power-up due to restore-previous power policy",
        8 => "reset via PEF",
        9 => "power-cycle via PEF",
        _ => "invalid",
    };
    line(&format!("System restart cause: {cause}"));
    Ok(())
}

async fn selftest(context: &mut Context) -> Result<(), Failed> {
    let request = Request::new(0x06, 0x04, Vec::new());
    let data = ask(context, request, "Error sending Get Self Test command").await?;
    let verdict = match data.first().copied().unwrap_or(0) {
        0x55 => "passed",
        0x56 => "not implemented",
        0x57 => "device error",
        0x58 => "fatal error",
        _ => "device specific",
    };
    line(&format!("Self Test Results    : {verdict}"));
    Ok(())
}

pub(super) async fn power(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    if let Some((control, text)) = control(rest) {
        return match context.bmc.chassis_control(control).await {
            Err(BmcError::Completion(code)) => {
                Err(format!("Set Chassis Power Control to {text} failed: {}", code.text()).into())
            }
            Err(error) => Err(error.into()),
            Ok(_) => {
                line(&format!("Chassis Power Control: {text}"));
                Ok(())
            }
        };
    }
    if !matches!(rest, ["status", ..]) {
        note("chassis power Commands: status, on, off, cycle, reset, diag, soft");
        return Ok(());
    }
    let on = context.bmc.chassis_status().await?.power_on();
    line(&format!("Chassis Power is {}", if on { "on" } else { "off" }));
    Ok(())
}

async fn status(context: &mut Context) -> Result<(), Failed> {
    let s = context.bmc.chassis_status().await?;
    let bit = |octet: u8, bit: u8| octet >> bit & 1 == 1;
    let yes = |set: bool| if set { "true" } else { "false" };
    line(&format!("System Power         : {}", if s.power_on() { "on" } else { "off" }));
    line(&format!("Power Overload       : {}", yes(bit(s.power_state, 1))));
    line(&format!("Power Interlock      : {}", if bit(s.power_state, 2) { "active" } else { "inactive" }));
    line(&format!("Main Power Fault     : {}", yes(bit(s.power_state, 3))));
    line(&format!("Power Control Fault  : {}", yes(bit(s.power_state, 4))));
    let policy = match s.power_state >> 5 & 3 {
        0 => "always-off",
        1 => "previous",
        2 => "always-on",
        _ => "unknown",
    };
    line(&format!("Power Restore Policy : {policy}"));
    let names = [(4, "command"), (3, "fault"), (2, "interlock"), (1, "overload"), (0, "ac-failed")];
    let events: String =
        names.iter().filter(|(n, _)| bit(s.last_event, *n)).map(|(_, name)| format!("{name} ")).collect();
    line(&format!("Last Power Event     : {events}"));
    line(&format!("Chassis Intrusion    : {}", if bit(s.misc, 0) { "active" } else { "inactive" }));
    line(&format!("Front-Panel Lockout  : {}", if bit(s.misc, 1) { "active" } else { "inactive" }));
    line(&format!("Drive Fault          : {}", yes(bit(s.misc, 2))));
    line(&format!("Cooling/Fan Fault    : {}", yes(bit(s.misc, 3))));
    Ok(())
}
