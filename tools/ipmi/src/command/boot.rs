//! `chassis bootdev`, `bootparam`, `bootmbox` (ipmitool's lib/ipmi_chassis.c; IPMI v2.0 §28.12, table 28-14).

use ipmi::command::chassis::{BootDevice, BootFlags, BootOptions, GetBootOptions, SetBootOptions};
use ipmi::driver::BmcError;
use ipmi::script::{ScriptError, SetBootDevice};

use super::{Context, Failed, hint};
use crate::output::line;

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

const BOOTDEV_USAGE: &str = "\
bootdev <device> [clear-cmos=yes|no]
bootdev <device> [options=help,...]
  none  : Do not change boot device order
  pxe   : Force PXE boot
  disk  : Force boot from default Hard-drive
  safe  : Force boot from default Hard-drive, request Safe Mode
  diag  : Force boot from Diagnostic Partition
  cdrom : Force boot from CD/DVD
  bios  : Force boot into BIOS Setup
  floppy: Force boot from Floppy/primary removable media";

const BOOTPARAM_USAGE: &str = "\
bootparam get <param #>
bootparam set bootflag <device> [options=...]
 Legal devices are:
  none, force_pxe, force_disk, force_safe, force_diag, force_cdrom, force_bios, force_floppy
 Legal options are, each with no- before it to mean the opposite:
  PEF, timeout, watchdog, reset, power: what clears the valid bit";

const MAILBOX_USAGE: &str = "bootmbox: not supported by this program; bootparam get 7 reads one block";

/// An option of `bootdev`: its word, the octet of the boot flags, the bits it clears, the bits it sets.
const OPTIONS: [(&str, usize, u8, u8); 16] = [
    ("valid", 0, 0x80, 0x80),
    ("persistent", 0, 0x40, 0x40),
    ("efiboot", 0, 0x20, 0x20),
    ("clear-cmos", 1, 0x80, 0x80),
    ("lockkbd", 1, 0x40, 0x40),
    ("screenblank", 1, 0x02, 0x02),
    ("lockoutreset", 1, 0x01, 0x01),
    ("lockout_power", 2, 0x80, 0x80),
    ("verbose=default", 2, 0x60, 0x00),
    ("verbose=no", 2, 0x60, 0x20),
    ("verbose=yes", 2, 0x60, 0x40),
    ("force_pet", 2, 0x10, 0x10),
    ("upw_bypass", 2, 0x08, 0x08),
    ("lockout_sleep", 2, 0x04, 0x04),
    ("cons_redirect=default", 2, 0x03, 0x00),
    ("cons_redirect=skip", 2, 0x03, 0x01),
];

/// What clears the valid bit (parameter 3).
const CLEARING: [(&str, u8); 5] =
    [("PEF", 0x10), ("timeout", 0x08), ("watchdog", 0x04), ("reset", 0x02), ("power", 0x01)];

fn device(word: &str) -> Result<BootDevice, Failed> {
    let word = word.strip_prefix("force_").unwrap_or(word);
    let found = DEVICES.iter().find(|(name, _)| *name == word);
    found.map(|(_, device)| *device).ok_or_else(|| format!("Invalid argument: {word}").into())
}

/// The boot flags of a device and ipmitool's options, and whether they are kept valid (`options=keep`).
pub(super) fn boot_flags_of(word: &str, options: &[&str]) -> Result<(BootFlags, bool), Failed> {
    let mut flags = BootFlags::new(device(word)?, BootOptions::default());
    let mut keep = false;
    let words = match options {
        ["clear-cmos=yes", ..] => "clear-cmos",
        [option, ..] => option.strip_prefix("options=").unwrap_or(""),
        [] => "",
    };
    for word in words.split(',').filter(|word| !word.is_empty()) {
        match OPTIONS
            .iter()
            .chain(&[("cons_redirect=enable", 2, 0x03, 0x02)])
            .find(|(name, ..)| *name == word)
        {
            Some((_, octet, clear, set)) => {
                if let Some(octet) = flags.0.get_mut(*octet) {
                    *octet = *octet & !clear | set;
                }
            }
            None if word == "keep" => keep = true,
            None => {
                let names: Vec<_> = OPTIONS.iter().map(|(name, ..)| *name).collect();
                let known = names.join(", ");
                return Err(format!("Invalid option: {word}; there are: {known}, keep").into());
            }
        }
    }
    Ok((flags, keep))
}

/// `options=` of `bootparam set`: bits of parameter 3 to set and to clear.
fn clearing(option: &str) -> Result<(u8, u8), Failed> {
    let words = option.strip_prefix("options=");
    let words = words.ok_or_else(|| Failed::from(format!("No options= keyword found \"{option}\"")))?;
    let (mut set, mut clear) = (0, 0);
    for word in words.split(',') {
        let (name, inverted) = word.strip_prefix("no-").map_or((word, false), |name| (name, true));
        match CLEARING.iter().find(|(known, _)| *known == name) {
            Some((_, bit)) if inverted => set |= bit,
            Some((_, bit)) => clear |= bit,
            None => return Err(format!("Invalid option: {word}").into()),
        }
    }
    Ok((set, clear))
}

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["bootdev"] | ["bootdev", "help", ..] => Err(BOOTDEV_USAGE.to_owned().into()),
        ["bootdev", word, options @ ..] => boot_flags_of(word, options).map(drop),
        ["bootmbox", "get" | "set", ..] => Err(MAILBOX_USAGE.to_owned().into()),
        ["bootmbox", ..] => Ok(()),
        ["bootparam", "get", number, rest @ ..] => {
            let invalid =
                || Failed::from(format!("Invalid parameter '{number}' given instead of bootparam."));
            super::number(number).map_err(|_| invalid())?;
            match rest.first() {
                Some(word) if super::number(word).is_err() => {
                    Err(format!("Invalid argument '{word}' given to bootparam {number}").into())
                }
                _ => Ok(()),
            }
        }
        ["bootparam", "set", "bootflag", word, options @ ..] if *word != "help" => {
            device(word)?;
            options.first().map_or(Ok(()), |option| clearing(option).map(drop))
        }
        _ => Err(BOOTPARAM_USAGE.to_owned().into()),
    }
}

pub(super) async fn run(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["bootdev", word, options @ ..] => {
            let (flags, keep) = boot_flags_of(word, options)?;
            set(context, word, flags, keep).await
        }
        ["bootparam", "get", word, rest @ ..] => {
            let set = rest.first().map_or(Ok(0), |word| super::number(word))?;
            boot_parameter(context, super::number(word)?, set).await
        }
        ["bootparam", "set", _, word, options @ ..] => {
            let flags = BootFlags::new(device(word)?, BootOptions::default());
            set(context, word, flags, false).await?;
            match options.first().map(|option| clearing(option)).transpose()? {
                Some((0, 0)) | None => Ok(()),
                Some((add, remove)) => keep_valid(context, add, remove).await,
            }
        }
        _ => hint(MAILBOX_USAGE),
    }
}

async fn set(context: &mut Context, word: &str, flags: BootFlags, keep: bool) -> Result<(), Failed> {
    match context.bmc.run(SetBootDevice::with_flags(flags, keep)).await? {
        Ok(()) => {
            line(&format!("Set Boot Device to {word}"));
            Ok(())
        }
        // ipmitool tells a refusal and exits 0 all the same; `--json` and the fleet's forms do not.
        Err(ScriptError::Completion(code)) if !context.json => {
            hint(&format!("Set Chassis Boot Parameter 5 failed: {}", code.text()))
        }
        Err(error) => Err(error.to_string().into()),
    }
}

/// Changes which events clear the valid bit (parameter 3).
async fn keep_valid(context: &mut Context, add: u8, remove: u8) -> Result<(), Failed> {
    let now = match context.bmc.boot_option(3).await {
        Ok(parameter) => parameter.data.first().copied().unwrap_or(0),
        Err(BmcError::Completion(code)) => {
            return Err(format!("Get Chassis Boot Parameter 3 failed: {}", code.text()).into());
        }
        Err(error) => return Err(error.into()),
    };
    let command = SetBootOptions { parameter: 3, data: vec![now & !remove | add] };
    Ok(context.bmc.execute(&command).await?)
}

async fn boot_parameter(context: &mut Context, number: u8, set: u8) -> Result<(), Failed> {
    let parameter = match context.bmc.execute(&GetBootOptions { parameter: number, set, block: 0 }).await {
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
