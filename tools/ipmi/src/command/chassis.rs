//! `chassis` and `power` (ipmitool's lib/ipmi_chassis.c).

use std::time::Duration;

use ipmi::command::chassis::{BootDevice, BootFlags, BootOptions, ChassisControl};
use ipmi::driver::BmcError;
use ipmi::script::SetBootDevice;
use ipmi::session::{Privilege, Request};

use super::{Context, Failed};
use crate::output::{line, note};

const POWER: [(&str, ChassisControl, &str); 7] = [
    ("on", ChassisControl::PowerUp, "Up/On"),
    ("up", ChassisControl::PowerUp, "Up/On"),
    ("off", ChassisControl::PowerDown, "Down/Off"),
    ("cycle", ChassisControl::PowerCycle, "Cycle"),
    ("reset", ChassisControl::HardReset, "Reset"),
    ("diag", ChassisControl::DiagnosticInterrupt, "Diag"),
    ("soft", ChassisControl::SoftShutdown, "Soft"),
];

const DEVICES: [(&str, BootDevice); 8] = [
    ("none", BootDevice::None),
    ("pxe", BootDevice::Pxe),
    ("disk", BootDevice::Disk),
    ("safe", BootDevice::SafeDisk),
    ("diag", BootDevice::Diagnostic),
    ("cdrom", BootDevice::CdRom),
    ("bios", BootDevice::BiosSetup),
    ("floppy", BootDevice::Floppy),
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

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["power", rest @ ..] => check_power(rest),
        ["status" | "poh" | "restart_cause" | "selftest" | "identify", ..] => Ok(()),
        ["policy", word, ..] if POLICIES.iter().any(|(name, _)| name == word) => Ok(()),
        ["policy", ..] => {
            Err(String::from("chassis policy <state>: list, always-on, previous, always-off").into())
        }
        ["bootdev", word, options @ ..] => boot_flags_of(word, options).map(drop),
        ["bootparam", "get", number, ..] => super::number(number).map(drop),
        ["bootparam", "set", "bootflag", flag, ..] => boot_flag(flag).map(drop),
        [word, ..] => Err(format!("Invalid chassis command: {word}").into()),
        [] => {
            let text = "chassis commands: status, power, policy, restart_cause, poh, identify, selftest, bootdev, bootparam";
            Err(String::from(text).into())
        }
    }
}

/// ipmitool's words for `bootparam set bootflag`.
fn boot_flag(word: &str) -> Result<BootDevice, Failed> {
    Ok(match word {
        "force_pxe" => BootDevice::Pxe,
        "force_disk" => BootDevice::Disk,
        "force_safe" => BootDevice::SafeDisk,
        "force_diag" => BootDevice::Diagnostic,
        "force_cdrom" => BootDevice::CdRom,
        "force_bios" => BootDevice::BiosSetup,
        _ => return Err(format!("Invalid argument: {word}").into()),
    })
}

pub(super) fn device(word: &str) -> Result<BootDevice, Failed> {
    let found = DEVICES.iter().find(|(name, _)| *name == word);
    found.map(|(_, device)| *device).ok_or_else(|| format!("Invalid argument: {word}").into())
}

/// ipmitool's `options=`: the boot flags, and whether they are kept valid.
pub(super) fn boot_flags_of(word: &str, options: &[&str]) -> Result<(BootFlags, bool), Failed> {
    let device = device(word)?;
    let (mut wanted, mut clear_cmos) = (BootOptions::default(), false);
    for option in options {
        for word in option.strip_prefix("options=").unwrap_or(option).split(',') {
            match word {
                "efiboot" => wanted.efi = true,
                "persistent" => wanted.persistent = true,
                "valid" | "" => {}
                "timeout" => wanted.keep_valid_bit = true,
                "clear-cmos" | "clear-cmos=yes" => clear_cmos = true,
                "clear-cmos=no" => clear_cmos = false,
                other => return Err(format!("Invalid bootdev option: {other}").into()),
            }
        }
    }
    let flags = BootFlags::new(device, wanted);
    Ok((if clear_cmos { flags.with_cmos_cleared() } else { flags }, wanted.keep_valid_bit))
}

pub(super) async fn run(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["power", rest @ ..] => power(context, rest).await,
        ["bootdev", word, options @ ..] => {
            let (flags, keep) = boot_flags_of(word, options)?;
            let outcome = context.bmc.run(SetBootDevice::with_flags(flags, keep)).await?;
            outcome.map_err(|error| error.to_string())?;
            line(&format!("Set Boot Device to {word}"));
            Ok(())
        }
        ["bootparam", "get", word, ..] => boot_parameter(context, super::number(word)?).await,
        ["bootparam", _, _, word, ..] => {
            context.bmc.set_boot_device(boot_flag(word)?, BootOptions::default()).await?;
            line(&format!("Set Boot Device to {word}"));
            Ok(())
        }
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

/// Gives a BMC up to a second and a half to turn the power on again after a cycle. Scripts written for
/// ipmitool rely on its slowness: their next command must not find the machine off.
async fn settle(context: &mut Context) {
    let mut off = false;
    for poll in 0..15 {
        match context.bmc.chassis_status().await {
            Ok(status) if status.power_on() && (off || poll >= 3) => return,
            Ok(status) => off |= !status.power_on(),
            Err(_) => return,
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
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
                if control == ChassisControl::PowerCycle {
                    settle(context).await;
                }
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

async fn boot_parameter(context: &mut Context, number: u8) -> Result<(), Failed> {
    let parameter = match context.bmc.boot_option(number).await {
        Err(BmcError::Completion(code)) => {
            let text = if code.0 == 0x80 { "Parameter not supported" } else { code.text() };
            return Err(format!("Get Chassis Boot Parameter {number} failed: {text}").into());
        }
        other => other?,
    };
    line(&format!("Boot parameter version: {}", parameter.version));
    let mark = if parameter.locked { "invalid/locked" } else { "valid/unlocked" };
    line(&format!("Boot parameter {number} is {mark}"));
    let hex: String = parameter.data.iter().map(|octet| format!("{octet:02x}")).collect();
    line(&format!("Boot parameter data: {hex}"));
    let at = |n: usize| parameter.data.get(n).copied().unwrap_or(0);
    match number {
        0 => {
            let state = match at(0) & 3 {
                0 => "set complete",
                1 => "set in progress",
                2 => "commit write",
                _ => "error, reserved bit",
            };
            line(&format!(" Set In Progress : {state}"));
        }
        1 if at(0) == 0 => line(" Service Partition Selector : unspecified"),
        1 => line(&format!(" Service Partition Selector : {}", at(0))),
        2 => flag_list(
            " Service Partition Scan :",
            "     - ",
            at(0),
            &[(0, "Request BIOS to scan"), (1, "Service Partition Discovered")],
        ),
        3 => flag_list(
            " BMC boot flag valid bit clearing :",
            "     - ",
            at(0),
            &[
                (4, "Don't clear valid bit on reset/power cycle cause by PEF"),
                (3, "Don't automatically clear boot flag valid bit on timeout"),
                (2, "Don't clear valid bit on reset/power cycle cause by watchdog"),
                (1, "Don't clear valid bit on push button reset // soft reset"),
                (0, "Don't clear valid bit on power up via power push button or wake event"),
            ],
        ),
        4 => flag_list(
            " Boot Info Acknowledge :",
            "    - ",
            at(1),
            &[
                (4, "OEM has handled boot info"),
                (3, "SMS has handled boot info"),
                (2, "OS // service partition has handled boot info"),
                (1, "OS Loader has handled boot info"),
                (0, "BIOS/POST has handled boot info"),
            ],
        ),
        5 => boot_flags(at),
        _ => line(&format!(" Unsupported parameter {number}")),
    }
    Ok(())
}

fn flag_list(title: &str, mark: &str, bits: u8, names: &[(u8, &str)]) {
    line(title);
    let set: Vec<_> = names.iter().filter(|(bit, _)| bits >> bit & 1 == 1).collect();
    if set.is_empty() {
        line("     No flag set");
    }
    for (_, name) in set {
        line(&format!("{mark}{name}"));
    }
}

fn boot_flags(at: impl Fn(usize) -> u8) {
    let bit = |n: usize, bit: u8| at(n) >> bit & 1 == 1;
    let when = |set: bool, text: &str| {
        if set {
            line(&format!("   - {text}"));
        }
    };
    line(" Boot Flags :");
    line(if bit(0, 7) { "   - Boot Flag Valid" } else { "   - Boot Flag Invalid" });
    line(if bit(0, 6) {
        "   - Options apply to all future boots"
    } else {
        "   - Options apply to only next boot"
    });
    line(if bit(0, 5) { "   - BIOS EFI boot " } else { "   - BIOS PC Compatible (legacy) boot " });
    when(bit(1, 7), "CMOS Clear");
    when(bit(1, 6), "Lock Keyboard");
    let device = match at(1) >> 2 & 0x0f {
        0 => "No override",
        1 => "Force PXE",
        2 => "Force Boot from default Hard-Drive",
        3 => "Force Boot from default Hard-Drive, request Safe-Mode",
        4 => "Force Boot from Diagnostic Partition",
        5 => "Force Boot from CD/DVD",
        6 => "Force Boot into BIOS Setup",
        7 => "Force Boot from remotely connected Floppy/primary removable media",
        8 => "Force Boot from remotely connected CD/DVD",
        9 => "Force Boot from primary remote media",
        11 => "Force Boot from remotely connected Hard-Drive",
        15 => "Force Boot from Floppy/primary removable media",
        _ => "Flag error",
    };
    line(&format!("   - Boot Device Selector : {device}"));
    when(bit(1, 1), "Screen blank");
    when(bit(1, 0), "Lock out Reset buttons");
    when(bit(2, 7), "Lock out (power off/sleep request) via Power Button");
    let verbosity = match at(2) >> 5 & 3 {
        0 => "System Default",
        1 => "Request Quiet Display",
        2 => "Request Verbose Display",
        _ => "Flag error",
    };
    line(&format!("   - BIOS verbosity : {verbosity}"));
    when(bit(2, 4), "Force progress event traps");
    when(bit(2, 3), "User password bypass");
    when(bit(2, 2), "Lock Out Sleep Button");
    let redirection = match at(2) & 3 {
        0 => "Console redirection occurs per BIOS configuration setting (default)",
        1 => "Suppress (skip) console redirection if enabled",
        2 => "Request console redirection be enabled",
        _ => "Flag error",
    };
    line(&format!("   - Console Redirection control : {redirection}"));
    when(bit(3, 3), "BIOS Shared Mode Override");
    let mux = match at(3) & 7 {
        0 => "BIOS uses recommended setting of the mux at the end of POST",
        1 => "Requests BIOS to force mux to BMC at conclusion of POST/start of OS boot",
        2 => "Requests BIOS to force mux to system at conclusion of POST/start of OS boot",
        _ => "Flag error",
    };
    line(&format!("   - BIOS Mux Control Override : {mux}"));
}
