//! `mc` and `bmc` (ipmitool's lib/ipmi_mc.c).

use ipmi::driver::BmcError;
use ipmi::guid::Guid;
use ipmi::session::{Privilege, Request};

use super::{Context, Failed, hint, system_info, watchdog};
use crate::iana;
use crate::output::{line, note};

const USAGE: &str = "\
MC Commands:
  reset <warm|cold>
  guid [auto|smbios|ipmi|rfc|dump]
  info
  watchdog <get|set|reset|off>
  selftest
  getenables
  setenables <option=on|off> ...
    recv_msg_intr, event_msg_intr, event_msg, system_event_log, oem0, oem1, oem2
  getsysinfo <name>
  setsysinfo <name> <value>
    system_fw_version, system_name, primary_os_name, os_name";

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["help", ..] | ["info" | "guid" | "selftest" | "getenables", ..] => Ok(()),
        ["reset", "warm" | "cold" | "help", ..] | ["setenables", _, ..] => Ok(()),
        ["reset", word, ..] => Err(format!("Invalid mc/bmc reset command: {word}").into()),
        ["watchdog", rest @ ..] => watchdog::check(rest),
        ["getsysinfo" | "setsysinfo", rest @ ..] => system_info::check(rest),
        ["reset" | "setenables"] | [] => Err(format!("Not enough parameters given.\n{USAGE}").into()),
        [word, ..] => Err(format!("Invalid mc/bmc command: {word}").into()),
    }
}

pub(super) async fn run(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["info", ..] => info(context).await,
        ["guid", rest @ ..] => guid(context, rest.first().copied().unwrap_or("auto")).await,
        ["selftest", ..] => selftest(context).await,
        ["getenables", ..] => enables(context).await,
        ["setenables", options @ ..] if *options != ["help"] => set_enables(context, options).await,
        ["watchdog", rest @ ..] => watchdog::run(context, rest).await,
        ["reset", "cold", ..] => reset(context, "cold", 0x02).await,
        ["reset", "warm", ..] => reset(context, "warm", 0x03).await,
        ["getsysinfo", name, ..] if *name != "help" => system_info::get(context, name).await,
        ["setsysinfo", name, value, ..] => system_info::set(context, name, value).await,
        _ => hint(USAGE),
    }
}

const SUPPORT: [&str; 8] = [
    "Sensor Device",
    "SDR Repository Device",
    "SEL Device",
    "FRU Inventory Device",
    "IPMB Event Receiver",
    "IPMB Event Generator",
    "Bridge",
    "Chassis Device",
];

async fn info(context: &mut Context) -> Result<(), Failed> {
    let id = context.bmc.device_id().await?;
    let yes = |set: bool| if set { "yes" } else { "no" };
    line(&format!("Device ID                 : {}", id.device_id));
    line(&format!("Device Revision           : {}", id.revision));
    line(&format!("Firmware Revision         : {}.{:02x}", id.firmware_major, id.firmware_minor));
    line(&format!("IPMI Version              : {:x}.{:x}", id.ipmi_version & 15, id.ipmi_version >> 4));
    line(&format!("Manufacturer ID           : {}", id.manufacturer));
    line(&format!("Manufacturer Name         : {}", iana::name(id.manufacturer)));
    line(&format!("Product ID                : {} (0x{:04x})", id.product, id.product));
    line(&format!("Product Name              : Unknown (0x{:X})", id.product));
    line(&format!("Device Available          : {}", yes(!id.updating)));
    line(&format!("Provides Device SDRs      : {}", yes(id.provides_sdrs)));
    line("Additional Device Support :");
    for (bit, name) in SUPPORT.iter().enumerate() {
        if id.additional_support >> bit & 1 == 1 {
            line(&format!("    {name}"));
        }
    }
    if let Some(auxiliary) = id.auxiliary {
        line("Aux Firmware Rev Info     : ");
        for octet in auxiliary {
            line(&format!("    0x{octet:02x}"));
        }
    }
    Ok(())
}

/// The GUID in the order asked for; `auto` guesses it by the version bits, as ipmitool 1.8.19 does.
async fn guid(context: &mut Context, order: &str) -> Result<(), Failed> {
    let octets = context.bmc.system_guid().await?;
    let orders = [
        ("smbios", "SMBIOS (WARNING: IPMI Specification violation!)", ipmi::guid::smbios(octets)),
        ("ipmi", "IPMI", ipmi::guid::reversed(octets)),
        ("rfc", "RFC4122 (WARNING: IPMI Specification violation!)", octets),
    ];
    let named = orders.iter().find(|(name, _, _)| *name == order);
    let found = named.or_else(|| orders.iter().find(|(_, _, uuid)| version(uuid).is_some()));
    let Some((_, encoding, uuid)) = found.filter(|_| order != "dump") else {
        let hex: String = octets.iter().map(|octet| format!("{octet:02X}")).collect();
        line(&format!("System GUID   : {hex}"));
        return Ok(());
    };
    line(&format!("System GUID   : {}", Guid(*uuid)));
    if named.is_none() {
        line(&format!("GUID Encoding : {encoding}"));
    }
    match version(uuid) {
        Some(version) => line(&format!("GUID Version  : {version}")),
        None => line(&format!("GUID Version  : Unknown/unsupported ({})", uuid[6] >> 4)),
    }
    Ok(())
}

/// RFC 4122 §4.1.3.
fn version(uuid: &[u8; 16]) -> Option<&'static str> {
    Some(match uuid[6] >> 4 {
        1 => "Time-based",
        2 => "DCE Security with POSIX UIDs (not for IPMI)",
        3 => "Name-based using MD5",
        4 => "Random or pseudo-random",
        5 => "Name-based using SHA-1",
        _ => return None,
    })
}

/// A request that any user may make; its refusal in ipmitool's words.
async fn ask(context: &mut Context, command: u8, what: &str) -> Result<Vec<u8>, Failed> {
    let (code, data) = context.bmc.request(Request::new(0x06, command, Vec::new())).await?;
    if code.is_ok() { Ok(data) } else { Err(format!("{what}: {}", code.text()).into()) }
}

async fn selftest(context: &mut Context) -> Result<(), Failed> {
    let data = ask(context, 0x04, "Bad response").await?;
    let at = |n: usize| data.get(n).copied().unwrap_or(0);
    match at(0) {
        0x55 => line("Selftest: passed"),
        0x56 => line("Selftest: not implemented"),
        0x57 => {
            line("Selftest: device corrupted");
            let faults = [
                "SEL device not accessible",
                "SDR repository not accessible",
                "FRU device not accessible",
                "IPMB signal lines do not respond",
                "SDR repository empty",
                "Internal Use Area corrupted",
                "Controller update boot block corrupted",
                "controller operational firmware corrupted",
            ];
            for (fault, bit) in faults.iter().zip([7, 6, 5, 4, 3, 2, 1, 0]) {
                if at(1) >> bit & 1 == 1 {
                    line(&format!(" -> {fault}"));
                }
            }
        }
        0x58 => line(&format!("Selftest: fatal hardware error: {:02x}h", at(1))),
        code => line(&format!("Selftest: device specific (0x{code:02x}, 0x{:02x})", at(1))),
    }
    Ok(())
}

/// The global enables: bit, word, name (IPMI v2.0 §22.1).
const ENABLES: [(u8, &str, &str); 7] = [
    (0, "recv_msg_intr", "Receive Message Queue Interrupt"),
    (1, "event_msg_intr", "Event Message Buffer Full Interrupt"),
    (2, "event_msg", "Event Message Buffer"),
    (3, "system_event_log", "System Event Logging"),
    (5, "oem0", "OEM 0"),
    (6, "oem1", "OEM 1"),
    (7, "oem2", "OEM 2"),
];

async fn global_enables(context: &mut Context) -> Result<u8, Failed> {
    let data = ask(context, 0x2f, "Get Global Enables command failed").await?;
    Ok(data.first().copied().unwrap_or(0))
}

fn print_enables(bits: u8) {
    for (bit, _, name) in ENABLES {
        line(&format!("{name:<40} : {}abled", if bits >> bit & 1 == 1 { "en" } else { "dis" }));
    }
}

async fn enables(context: &mut Context) -> Result<(), Failed> {
    print_enables(global_enables(context).await?);
    Ok(())
}

/// `NAME=on|off …`; ipmitool 1.8.19 never finds a name here and changes nothing.
async fn set_enables(context: &mut Context, options: &[&str]) -> Result<(), Failed> {
    let before = global_enables(context).await?;
    let mut bits = before;
    for option in options {
        let (word, value) = option.split_once('=').unwrap_or((option, ""));
        let Some((bit, _, name)) = ENABLES.iter().find(|(_, known, _)| *known == word) else { continue };
        match value {
            "on" => bits |= 1 << bit,
            "off" => bits &= !(1 << bit),
            _ => return Err(format!("Unrecognized option: {option}").into()),
        }
        line(&format!("{}abling {name}", if value == "on" { "En" } else { "Dis" }));
    }
    if bits == before {
        line("\nNothing to change...");
        print_enables(bits);
        return Ok(());
    }
    let request = Request { privilege: Privilege::Administrator, ..Request::new(0x06, 0x2e, vec![bits]) };
    let (code, _) = context.bmc.request(request).await?;
    if !code.is_ok() {
        return Err(format!("Set Global Enables command failed: {}", code.text()).into());
    }
    line("\nVerifying...");
    print_enables(global_enables(context).await?);
    Ok(())
}

/// A cold reset need not be answered (IPMI v2.0 §20.2), and ipmitool does not look at its answer.
async fn reset(context: &mut Context, kind: &str, command: u8) -> Result<(), Failed> {
    let request = Request { privilege: Privilege::Administrator, ..Request::new(0x06, command, Vec::new()) };
    let outcome = context.bmc.request(request).await;
    match outcome {
        Ok((code, _)) if !code.is_ok() => {
            let text = format!("MC reset command failed: {}", code.text());
            if kind != "cold" || context.json {
                return Err(text.into());
            }
            note(&text);
        }
        Err(BmcError::Silent(_) | BmcError::Unreachable { .. }) if kind == "cold" => {}
        Err(error) => return Err(error.into()),
        Ok(_) => {}
    }
    line(&format!("Sent {kind} reset command to MC"));
    Ok(())
}
