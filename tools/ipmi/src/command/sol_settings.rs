//! `sol info`, `set`, `payload` (ipmitool's lib/ipmi_sol.c; IPMI v2.0 §26.2, §26.3, §24.6, §24.7).

use ipmi::command::sol::GetSolParameter;
use ipmi::driver::BmcError;
use ipmi::session::{Privilege, Request};

use super::{Context, Failed, channel_number, hint, number, sol::USAGE, user, user_id};
use crate::output::{line, note};

/// The channel in use.
const HERE: u8 = 0x0e;

/// Parameter names (table 26-5) as ipmitool writes them.
const NAMES: [&str; 9] = [
    "Set In Progress (0)",
    "Enable (1)",
    "Authentication (2)",
    "Character Interval (3)",
    "Retry (4)",
    "Nonvolatile Bitrate (5)",
    "Volatile Bitrate (6)",
    "Payload Channel (7)",
    "Payload Port (8)",
];

const RATES: [(u8, &str); 6] =
    [(0, "serial"), (6, "9.6"), (7, "19.2"), (8, "38.4"), (9, "57.6"), (10, "115.2")];

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["info"] | ["payload", "enable" | "disable" | "status"] => Ok(()),
        ["info", channel] | ["payload", "enable" | "disable" | "status", channel] => {
            channel_number(channel).map(drop)
        }
        ["payload", "enable" | "disable" | "status", channel, user] => {
            channel_number(channel).and_then(|_| user_id(user)).map(drop)
        }
        ["set", name, value] | ["set", name, value, "noguard"] => setting(name, value).map(drop),
        ["set", name, value, channel] | ["set", name, value, channel, "noguard"] => {
            channel_number(channel)?;
            setting(name, value).map(drop)
        }
        _ => Err(USAGE.to_owned().into()),
    }
}

pub(super) async fn run(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    let channel = |word: Option<&&str>| word.map_or(Ok(HERE), |word| channel_number(word));
    match rest {
        ["info", rest @ ..] => {
            let channel = channel(rest.first())?;
            info(context, channel).await
        }
        ["set", name, value, rest @ ..] => {
            let named = rest.first().filter(|word| **word != "noguard");
            let channel = channel(named)?;
            let guarded = rest.last() != Some(&"noguard");
            set(context, channel, setting(name, value)?, guarded).await
        }
        ["payload", verb, rest @ ..] => {
            let channel = channel(rest.first())?;
            let user = rest.get(1).map_or(Ok(1), |word| user_id(word))?;
            payload(context, verb, channel, user).await
        }
        _ => hint(USAGE),
    }
}

/// One parameter; `None` where the BMC does not have it (80h).
async fn read(context: &mut Context, channel: u8, parameter: u8) -> Result<Option<Vec<u8>>, Failed> {
    let name = NAMES.get(usize::from(parameter)).copied().unwrap_or_default();
    match context.bmc.execute(&GetSolParameter { channel, parameter }).await {
        Ok(octets) => Ok(Some(octets)),
        Err(BmcError::Completion(code)) if code.0 == 0x80 => {
            note(&format!("Info: SOL parameter '{name}' not supported"));
            Ok(None)
        }
        Err(BmcError::Completion(code)) => {
            Err(format!("Error requesting SOL parameter '{name}': {}", code.text()).into())
        }
        Err(error) => Err(error.into()),
    }
}

fn rate(number: u8) -> String {
    match RATES.iter().find(|(known, _)| *known == number) {
        Some((0, _)) => "IPMI-Over-Serial-Setting".to_owned(),
        Some((_, text)) => (*text).to_owned(),
        None => format!("Unknown (0x{number:02X})"),
    }
}

async fn info(context: &mut Context, channel: u8) -> Result<(), Failed> {
    let mut octets: Vec<[u8; 2]> = Vec::new();
    for parameter in 0..=8u8 {
        let missing = match parameter {
            7 => vec![channel],
            8 => context.bmc.addr().port().to_le_bytes().to_vec(),
            _ => Vec::new(),
        };
        let found = read(context, channel, parameter).await?.unwrap_or(missing);
        octets.push([found.first().copied().unwrap_or(0), found.get(1).copied().unwrap_or(0)]);
    }
    let [
        [progress, _],
        [enabled, _],
        [auth, _],
        interval,
        retry,
        [stored, _],
        [rate_now, _],
        [payload, _],
        port,
    ] = octets.as_slice()
    else {
        return Ok(());
    };
    let yes = |set: bool| if set { "true" } else { "false" };
    let progress = match progress & 3 {
        0 => "set-complete",
        1 => "set-in-progress",
        2 => "commit-write",
        _ => "Unknown (0x03)",
    };
    let (encryption, signature) = (yes(auth & 0x80 != 0), yes(auth & 0x40 != 0));
    let (level, enabled) = (user::privilege(auth & 0x0f), yes(*enabled != 0));
    let ([accumulate, threshold], [count, wait]) = (*interval, *retry);
    let (accumulate, wait) = (u16::from(accumulate) * 5, u16::from(wait) * 10);
    let (now, stored) = (rate(rate_now & 0x0f), rate(stored & 0x0f));
    let port = u16::from_le_bytes(*port);
    if context.csv {
        // The second switch repeats the first, as ipmitool's list does.
        line(&format!(
            "{progress},{enabled},{encryption},{encryption},{level},{accumulate},{threshold},{count},{wait},{now},{stored},{payload},{port}"
        ));
        return Ok(());
    }
    let rows = [
        ("Set in progress", progress.to_owned()),
        ("Enabled", enabled.to_owned()),
        ("Force Encryption", encryption.to_owned()),
        ("Force Authentication", signature.to_owned()),
        ("Privilege Level", level),
        ("Character Accumulate Level (ms)", accumulate.to_string()),
        ("Character Send Threshold", threshold.to_string()),
        ("Retry Count", count.to_string()),
        ("Retry Interval (ms)", wait.to_string()),
        ("Volatile Bit Rate (kbps)", now),
        ("Non-Volatile Bit Rate (kbps)", stored),
        ("Payload Channel", format!("{payload} (0x{payload:02x})")),
        ("Payload Port", port.to_string()),
    ];
    for (title, value) in rows {
        line(&format!("{title:<32}: {value}"));
    }
    Ok(())
}

/// One setting: the parameter, the octet, the bits of it that change, and their new values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Setting {
    parameter: u8,
    octet: usize,
    mask: u8,
    value: u8,
}

fn setting(name: &str, value: &str) -> Result<Setting, Failed> {
    let invalid = || Failed::from(format!("Error: invalid value \"{value}\" for SOL parameter \"{name}\""));
    let one_of = |words: &[(u8, &str)]| {
        words.iter().find(|(_, word)| *word == value).map(|(number, _)| *number).ok_or_else(invalid)
    };
    let switch = [(0, "false"), (1, "true")];
    let levels = [(2, "user"), (3, "operator"), (4, "admin"), (5, "oem")];
    let states = [(0, "set-complete"), (1, "set-in-progress"), (2, "commit-write")];
    let (parameter, octet, mask, value) = match name {
        "set-in-progress" => (0, 0, 0x03, one_of(&states)?),
        "enabled" => (1, 0, 0x01, one_of(&switch)?),
        "force-encryption" => (2, 0, 0x80, one_of(&switch)? << 7),
        "force-authentication" => (2, 0, 0x40, one_of(&switch)? << 6),
        "privilege-level" => (2, 0, 0x0f, one_of(&levels)?),
        "character-accumulate-level" => (3, 0, 0xff, number(value).map_err(|_| invalid())?),
        "character-send-threshold" => (3, 1, 0xff, number(value).map_err(|_| invalid())?),
        "retry-count" => (4, 0, 0x07, number(value).ok().filter(|n| *n < 8).ok_or_else(invalid)?),
        "retry-interval" => (4, 1, 0xff, number(value).map_err(|_| invalid())?),
        "non-volatile-bit-rate" => (5, 0, 0x0f, one_of(&RATES)?),
        "volatile-bit-rate" => (6, 0, 0x0f, one_of(&RATES)?),
        _ => return Err(format!("Error: invalid SOL parameter {name}").into()),
    };
    Ok(Setting { parameter, octet, mask, value })
}

/// Writes what belongs together in one parameter, between "set in progress" and "set complete".
async fn set(context: &mut Context, channel: u8, setting: Setting, guarded: bool) -> Result<(), Failed> {
    let Setting { parameter, octet, mask, value } = setting;
    let mut octets = match parameter {
        2..=4 => read(context, channel, parameter).await?.unwrap_or_default(),
        _ => Vec::new(),
    };
    octets.resize(if matches!(parameter, 3 | 4) { 2 } else { 1 }, 0);
    if let Some(octet) = octets.get_mut(octet) {
        *octet = *octet & !mask | value;
    }
    let guarded = guarded && parameter != 0;
    if guarded {
        write(context, channel, 0, vec![1]).await?;
    }
    let outcome = write(context, channel, parameter, octets).await;
    if guarded {
        for state in [2, 0] {
            let _ = write(context, channel, 0, vec![state]).await; // commit is optional (table 26-5)
        }
    }
    outcome
}

async fn write(context: &mut Context, channel: u8, parameter: u8, octets: Vec<u8>) -> Result<(), Failed> {
    let mut data = vec![channel, parameter];
    data.extend(octets);
    let request = Request { privilege: Privilege::Administrator, ..Request::new(0x0c, 0x21, data) };
    let (code, _) = context.bmc.request(request).await?;
    if code.is_ok() {
        return Ok(());
    }
    let name = NAMES.get(usize::from(parameter)).copied().unwrap_or_default();
    Err(format!("Error setting SOL parameter '{name}': {}", code.text()).into())
}

async fn payload(context: &mut Context, verb: &str, channel: u8, user: u8) -> Result<(), Failed> {
    if verb == "status" {
        let (code, data) = context.bmc.request(Request::new(0x06, 0x4d, vec![channel, user])).await?;
        if !code.is_ok() {
            let what = format!("Error getting SOL payload status for user {user} on channel {channel}");
            return Err(format!("{what}: {}", code.text()).into());
        }
        let able = if data.first().is_some_and(|bits| bits & 2 != 0) { "en" } else { "dis" };
        line(&format!("User {user} on channel {channel} is {able}abled"));
        return Ok(());
    }
    let able = if verb == "enable" { "en" } else { "dis" };
    let operation = if verb == "enable" { user } else { user | 0x40 };
    let data = vec![channel, operation, 0x02, 0, 0, 0];
    let request = Request { privilege: Privilege::Administrator, ..Request::new(0x06, 0x4c, data) };
    let (code, _) = context.bmc.request(request).await?;
    if code.is_ok() {
        return Ok(());
    }
    Err(format!("Error {able}abling SOL payload for user {user} on channel {channel}: {}", code.text())
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    // IPMI v2.0 table 26-5.
    #[test]
    fn settings_know_their_bits() {
        let read = |name, value| setting(name, value).map_err(|_| ());
        let expected = Setting { parameter: 6, octet: 0, mask: 0x0f, value: 10 };
        assert_eq!(read("volatile-bit-rate", "115.2"), Ok(expected));
        let expected = Setting { parameter: 2, octet: 0, mask: 0x80, value: 0x80 };
        assert_eq!(read("force-encryption", "true"), Ok(expected));
        assert_eq!((read("retry-count", "8"), read("foo", "bar")), (Err(()), Err(())));
    }
}
