//! `chassis` and `power` (ipmitool's lib/ipmi_chassis.c).

use ipmi::command::chassis::{BootDevice, BootFlags, BootOptions, ChassisControl};

use super::{Context, Failed};
use crate::output::line;

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
        ["status", ..] => Ok(()),
        [word, ..] if POWER.iter().any(|(name, _, _)| name == word) => Ok(()),
        [word, ..] => Err(format!("Invalid chassis power command: {word}").into()),
        [] => Err(String::from("chassis power commands: status, on, off, cycle, reset, diag, soft").into()),
    }
}

/// The power command these words name, and ipmitool's word for it; `None` is status.
pub(super) fn control(rest: &[&str]) -> Option<(ChassisControl, &'static str)> {
    let word = rest.first()?;
    POWER.iter().find(|(name, _, _)| name == word).map(|(_, control, text)| (*control, *text))
}

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["power", rest @ ..] => check_power(rest),
        ["status", ..] => Ok(()),
        ["bootdev", word, options @ ..] => {
            device(word)?;
            boot_options(options).map(drop)
        }
        ["bootparam", "get", number, ..] => {
            number.parse::<u8>().map(drop).map_err(|_| format!("Invalid parameter number: {number}").into())
        }
        [word, ..] => Err(format!("Invalid chassis command: {word}").into()),
        [] => Err(String::from("chassis commands: status, power, bootdev, bootparam").into()),
    }
}

pub(super) fn device(word: &str) -> Result<BootDevice, Failed> {
    let found = DEVICES.iter().find(|(name, _)| *name == word);
    found.map(|(_, device)| *device).ok_or_else(|| format!("Invalid argument: {word}").into())
}

pub(super) fn boot_options(options: &[&str]) -> Result<BootOptions, Failed> {
    let mut wanted = BootOptions::default();
    for option in options {
        match option.strip_prefix("options=").unwrap_or(option) {
            "efiboot" => wanted.efi = true,
            "persistent" => wanted.persistent = true,
            "efiboot,persistent" | "persistent,efiboot" => (wanted.efi, wanted.persistent) = (true, true),
            other => return Err(format!("Invalid bootdev option: {other}").into()),
        }
    }
    Ok(wanted)
}

pub(super) async fn run(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["power", rest @ ..] => power(context, rest).await,
        ["bootdev", word, options @ ..] => {
            let options = boot_options(options)?;
            context.bmc.set_boot_device(device(word)?, options).await?;
            line(&format!("Set Boot Device to {word}"));
            Ok(())
        }
        ["bootparam", "get", number, ..] => {
            let number = number.parse().map_err(|_| String::from("Invalid parameter number"))?;
            boot_parameter(context, number).await
        }
        _ => status(context).await,
    }
}

pub(super) async fn power(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    if let Some((control, text)) = control(rest) {
        context.bmc.chassis_control(control).await?;
        line(&format!("Chassis Power Control: {text}"));
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
    let parameter = context.bmc.boot_option(number).await?;
    line(&format!("Boot parameter version: {}", parameter.version));
    let mark = if parameter.locked { "invalid/locked" } else { "valid/unlocked" };
    line(&format!("Boot parameter {number} is {mark}"));
    let hex: String = parameter.data.iter().map(|octet| format!("{octet:02x}")).collect();
    line(&format!("Boot parameter data: {hex}"));
    if let (5, Some(octets)) = (number, parameter.data.first_chunk::<5>()) {
        let flags = BootFlags(*octets);
        line(" Boot Flags :");
        line(&format!("   - Boot Flag {}", if flags.valid() { "Valid" } else { "Invalid" }));
    }
    Ok(())
}
