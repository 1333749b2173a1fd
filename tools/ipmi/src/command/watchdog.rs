//! `mc watchdog` (ipmitool's lib/ipmi_mc.c; IPMI v2.0 §27).

use ipmi::session::{Privilege, Request};

use super::{Context, Failed, hint};
use crate::output::{line, note};

const USAGE: &str = "\
usage: watchdog <command>:
    get    : Get Current Watchdog settings
    set    : timeout=SECONDS pretimeout=SECONDS int=none|smi|nmi|msg use=frb2|post|osload|sms|oem
             action=none|reset|poweroff|cycle clear=USE nolog dontstop
    reset  : Restart Watchdog timer based on the most recent settings
    off    : Shut off a running Watchdog timer";

const USES: [(&str, &str); 6] = [
    ("none", "Reserved"),
    ("frb2", "BIOS FRB2"),
    ("post", "BIOS/POST"),
    ("osload", "OS Load"),
    ("sms", "SMS/OS"),
    ("oem", "OEM"),
];
const ACTIONS: [(&str, &str); 4] =
    [("none", "No action"), ("reset", "Hard Reset"), ("poweroff", "Power Down"), ("cycle", "Power Cycle")];
const INTERRUPTS: [(&str, &str); 4] =
    [("none", "None"), ("smi", "SMI"), ("nmi", "NMI / Diagnostic"), ("msg", "Messaging")];

fn shown(table: &[(&str, &'static str)], number: u8) -> &'static str {
    table.get(usize::from(number)).map_or("Reserved", |(_, text)| text)
}

fn named(table: &[(&str, &str)], word: &str) -> Result<u8, Failed> {
    let found = table.iter().position(|(name, _)| *name == word);
    found.map(|at| at as u8).ok_or_else(|| format!("'{word}' is not valid").into()) // tables of at most six
}

/// The octets of Set Watchdog Timer (§27.6).
fn settings(options: &[&str]) -> Result<[u8; 6], Failed> {
    let mut octets = [0u8; 6];
    let [usage, action, pretimeout, clear, low, high] = &mut octets;
    for option in options {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name.chars().next() {
            Some('t') => match value.parse::<u16>() {
                Ok(seconds @ 1..=6553) => [*low, *high] = (seconds * 10).to_le_bytes(),
                _ => return Err(format!("Timeout value {value} is out of range (1-6553)").into()),
            },
            Some('p') => match value.parse::<u8>() {
                Ok(seconds @ 1..) => *pretimeout = seconds,
                _ => return Err(format!("Pretimeout value {value} is out of range (1-255)").into()),
            },
            Some('i') => *action = *action & 0x07 | named(&INTERRUPTS, value)? << 4,
            Some('u') => *usage = *usage & 0xc0 | named(&USES, value)?,
            Some('a') => *action = *action & 0x70 | named(&ACTIONS, value)?,
            Some('c') => *clear |= 1 << named(&USES, value)?,
            Some('n') => *usage |= 0x80,
            Some('d') => *usage |= 0x40,
            _ => return Err(format!("Invalid option '{option}'").into()),
        }
    }
    Ok(octets)
}

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["get" | "reset" | "off" | "help", ..] => Ok(()),
        ["set", options @ ..] if !options.is_empty() => settings(options).map(drop),
        ["set"] | [] => Err(format!("Not enough parameters given.\n{USAGE}").into()),
        [word, ..] => Err(format!("Invalid mc/bmc watchdog command: {word}").into()),
    }
}

pub(super) async fn run(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["get", ..] => get(context).await,
        ["set", options @ ..] => {
            let octets = settings(options)?.to_vec();
            send(context, 0x24, octets, "Set Watchdog Timer command failed:").await?;
            note("Watchdog Timer was successfully configured");
            Ok(())
        }
        ["off", ..] => {
            // SMS/OS, no action, its expiration cleared, five minutes: a timer that is set stands still (§27.6).
            let octets = vec![0x04, 0x00, 0x00, 0x10, 0xb8, 0x0b];
            send(context, 0x24, octets, "Watchdog Timer Shutoff command failed!").await?;
            line("Watchdog Timer Shutoff successful -- timer stopped");
            Ok(())
        }
        ["reset", ..] => {
            send(context, 0x22, Vec::new(), "Reset Watchdog Timer command failed:").await?;
            line("IPMI Watchdog Timer Reset -  countdown restarted!");
            Ok(())
        }
        _ => hint(USAGE),
    }
}

async fn send(context: &mut Context, command: u8, data: Vec<u8>, what: &str) -> Result<Vec<u8>, Failed> {
    let privilege = if command == 0x25 { Privilege::User } else { Privilege::Operator };
    let (code, data) =
        context.bmc.request(Request { privilege, ..Request::new(0x06, command, data) }).await?;
    match code.0 {
        0 => Ok(data),
        0x80 if command == 0x22 => Err(format!("{what} Attempt to reset uninitialized watchdog").into()),
        _ => Err(format!("{what} {}", code.text()).into()),
    }
}

async fn get(context: &mut Context) -> Result<(), Failed> {
    let data = send(context, 0x25, Vec::new(), "Get Watchdog Timer command failed:").await?;
    let at = |n: usize| data.get(n).copied().unwrap_or(0);
    let (usage, action) = (shown(&USES, at(0) & 7), shown(&ACTIONS, at(1) & 7));
    let interrupt = shown(&INTERRUPTS, at(1) >> 4 & 7);
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
