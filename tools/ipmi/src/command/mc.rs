//! `mc` and `bmc` (ipmitool's lib/ipmi_mc.c).

use ipmi::guid::Guid;
use ipmi::session::{Privilege, Request};

use super::{Context, Failed};
use crate::iana;
use crate::output::line;

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["info" | "guid" | "selftest" | "getenables", ..] | ["watchdog", "get", ..] => Ok(()),
        ["reset", "warm" | "cold", ..] => Ok(()),
        ["reset", ..] | [] => Err(String::from("Not enough parameters given.").into()),
        [word, ..] => Err(format!("Invalid mc/bmc command: {word}").into()),
    }
}

pub(super) async fn run(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["guid", ..] => guid(context).await,
        ["selftest", ..] => selftest(context).await,
        ["getenables", ..] => enables(context).await,
        ["watchdog", ..] => watchdog(context).await,
        ["reset", kind, ..] => reset(context, kind).await,
        _ => info(context).await,
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

/// The GUID as ipmitool 1.8.19 reads it: the encoding is guessed by the version and variant bits.
async fn guid(context: &mut Context) -> Result<(), Failed> {
    let octets = context.bmc.system_guid().await?;
    let (encoding, text, version) = decode(octets);
    match version {
        Some(version) => {
            line(&format!("System GUID   : {}", Guid(text)));
            line(&format!("GUID Encoding : {encoding}"));
            line(&format!("GUID Version  : {version}"));
        }
        None => {
            let hex: String = octets.iter().map(|octet| format!("{octet:02X}")).collect();
            line(&format!("System GUID   : {hex}"));
            line("GUID Encoding : Unknown (unsupported data dump)");
        }
    }
    Ok(())
}

/// Tries IPMI's order, then SMBIOS's, then the plain one; takes the first whose version is 1 to 5.
fn decode(octets: [u8; 16]) -> (&'static str, [u8; 16], Option<&'static str>) {
    let version = |uuid: &[u8; 16]| match uuid[6] >> 4 {
        1 => Some("Time-based Gregorian"),
        2 => Some("DCE Security with POSIX UIDs (not for IPMI)"),
        3 => Some("Name-based using MD5"),
        4 => Some("Random or pseudo-random"),
        5 => Some("Name-based using SHA-1"),
        _ => None,
    };
    let orders =
        [("SMBIOS", ipmi::guid::smbios(octets)), ("IPMI", ipmi::guid::reversed(octets)), ("RFC4122", octets)];
    for (name, uuid) in orders {
        if let Some(version) = version(&uuid) {
            return (name, uuid, Some(version));
        }
    }
    ("Unknown", octets, None)
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

async fn enables(context: &mut Context) -> Result<(), Failed> {
    let data = ask(context, 0x2f, "Get Global Enables command failed").await?;
    let bits = data.first().copied().unwrap_or(0);
    let rows = [
        (0, "Receive Message Queue Interrupt"),
        (1, "Event Message Buffer Full Interrupt"),
        (2, "Event Message Buffer"),
        (3, "System Event Logging"),
        (5, "OEM 0"),
        (6, "OEM 1"),
        (7, "OEM 2"),
    ];
    for (bit, name) in rows {
        line(&format!("{name:<40} : {}abled", if bits >> bit & 1 == 1 { "en" } else { "dis" }));
    }
    Ok(())
}

async fn watchdog(context: &mut Context) -> Result<(), Failed> {
    let data = ask(context, 0x25, "Get Watchdog Timer command failed").await?;
    let at = |n: usize| data.get(n).copied().unwrap_or(0);
    let usage = match at(0) & 7 {
        1 => "BIOS FRB2",
        2 => "BIOS/POST",
        3 => "OS Load",
        4 => "SMS/OS",
        5 => "OEM",
        _ => "Reserved",
    };
    let action = match at(1) & 7 {
        0 => "No action",
        1 => "Hard Reset",
        2 => "Power Down",
        3 => "Power Cycle",
        _ => "Reserved",
    };
    let interrupt = match at(1) >> 4 & 7 {
        0 => "None",
        1 => "SMI",
        2 => "NMI / Diagnostic",
        3 => "Messaging",
        _ => "Reserved",
    };
    let flags = [(1, "FRB2"), (2, "POST"), (3, "OS_Load"), (4, "SMS/OS"), (5, "OEM")];
    let expired: Vec<_> =
        flags.iter().filter(|(bit, _)| at(3) >> bit & 1 == 1).map(|(_, name)| *name).collect();
    let expired = if expired.is_empty() { "None".to_owned() } else { expired.join(" ") };
    let tenths = |low: u8, high: u8| f64::from(u16::from_le_bytes([low, high])) / 10.0;
    line(&format!("Watchdog Timer Use:     {usage} (0x{:02x})", at(0) & 7));
    line(&format!(
        "Watchdog Timer Is:      {}",
        if at(0) & 0x40 != 0 { "Started/Running" } else { "Stopped" }
    ));
    line(&format!("Watchdog Timer Logging: {}", if at(0) & 0x80 != 0 { "Off" } else { "On" }));
    line(&format!("Watchdog Timer Action:  {action} (0x{:02x})", at(1) & 7));
    line(&format!("Pre-timeout interrupt:  {interrupt}"));
    line(&format!("Pre-timeout interval:   {} seconds", at(2)));
    line(&format!("Timer Expiration Flags: {expired} (0x{:02x})", at(3)));
    line(&format!("Initial Countdown:      {:.1} sec", tenths(at(4), at(5))));
    line(&format!("Present Countdown:      {:.1} sec", tenths(at(6), at(7))));
    Ok(())
}

async fn reset(context: &mut Context, kind: &str) -> Result<(), Failed> {
    let command = if kind == "cold" { 0x02 } else { 0x03 };
    let request = Request { privilege: Privilege::Administrator, ..Request::new(0x06, command, Vec::new()) };
    let (code, _) = context.bmc.request(request).await?;
    if !code.is_ok() {
        return Err(format!("MC reset command failed: {}", code.text()).into());
    }
    line(&format!("Sent {kind} reset command to MC"));
    Ok(())
}
