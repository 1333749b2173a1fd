//! `lan set` and `lan alert print` (ipmitool's lib/ipmi_lanp.c; IPMI v2.0 §23.1, table 23-4).

use std::net::Ipv4Addr;

use ipmi::command::channel::GetChannelAccess;
use ipmi::command::lan::{GetLanParameter, SetLanParameter};
use ipmi::command::user::{PasswordOperation, SetUserAccess, SetUserPassword};
use ipmi::crypto::keys::Secret;
use ipmi::session::{Privilege, Request};

use super::{Context, Failed, hint, integer, number};
use crate::output::{line, part};

/// What `lan set CHANNEL` takes.
pub(super) const USAGE: &str = "\
usage: lan set <channel> <command> <parameter>
    ipaddr|netmask <x.x.x.x>       macaddr <x:x:x:x:x:x>
    defgw|bakgw ipaddr|macaddr <address>
    ipsrc <none|static|dhcp|bios>  vlan id <off|1-4094>   vlan priority <0-7>
    arp respond|generate <on|off>  arp interval <seconds>
    auth <level,..> <type,..>      cipher_privs XXXXXXXXXXXXXXX
    access <on|off>                user                   password <password>
    snmp <community string>        alert <on|off>
    bad_pass_thresh <number> <1|0> <reset interval> <lockout interval>";

/// One setting, read from the words behind `lan set CHANNEL`.
#[derive(Debug, Eq, PartialEq)]
enum Setting {
    /// A parameter's octets, and what is said before they are sent.
    Parameter(u8, Vec<u8>, Option<String>),
    /// A bit of the ARP control (parameter 10).
    Arp(u8, bool),
    ArpInterval(u8),
    VlanOff,
    AuthTypes(Vec<usize>, u8),
    Access(bool),
    User,
    Password(String),
    /// Said, and nothing is done: the words want help.
    Usage,
}

fn four(word: &str) -> Result<Vec<u8>, Failed> {
    let parsed: Result<Ipv4Addr, _> = word.parse();
    parsed.map(|address| address.octets().to_vec()).map_err(|_| format!("Invalid IP address: {word}").into())
}

fn six(word: &str) -> Result<Vec<u8>, Failed> {
    let octets: Result<Vec<u8>, _> = word.split([':', '-']).map(|hex| u8::from_str_radix(hex, 16)).collect();
    let octets = octets.ok().filter(|octets| octets.len() == 6);
    octets.ok_or_else(|| format!("Invalid MAC address: {word}").into())
}

fn on_off(word: &str) -> Result<bool, Failed> {
    match word {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(USAGE.to_owned().into()),
    }
}

/// A parameter that is announced: ipmitool's name of it and the value as it prints it.
fn told(number: u8, octets: Vec<u8>, name: &str, value: &str) -> Setting {
    Setting::Parameter(number, octets, Some(format!("Setting LAN {name} to {value}")))
}

fn setting(rest: &[&str]) -> Result<Setting, Failed> {
    let dotted = |octets: &[u8]| octets.iter().map(u8::to_string).collect::<Vec<_>>().join(".");
    let colons = |octets: &[u8]| octets.iter().map(|o| format!("{o:02x}")).collect::<Vec<_>>().join(":");
    let ip = |parameter, name, word| {
        four(word).map(|octets| told(parameter, octets.clone(), name, &dotted(&octets)))
    };
    let mac = |parameter, name, word| {
        six(word).map(|octets| told(parameter, octets.clone(), name, &colons(&octets)))
    };
    match rest {
        [_, "help", ..] | ["help", ..] => Ok(Setting::Usage),
        ["ipaddr", word] => ip(3, "IP Address", word),
        ["netmask", word] => ip(6, "Subnet Mask", word),
        ["macaddr", word] => mac(5, "MAC Address", word),
        ["defgw", "ipaddr", word, ..] => ip(12, "Default Gateway IP", word),
        ["defgw", "macaddr", word, ..] => mac(13, "Default Gateway MAC", word),
        ["bakgw", "ipaddr", word, ..] => ip(14, "Backup Gateway IP", word),
        ["bakgw", "macaddr", word, ..] => mac(15, "Backup Gateway MAC", word),
        ["ipsrc", word, ..] => {
            let source = ["none", "static", "dhcp", "bios"].iter().position(|name| name == word);
            let source = source.ok_or_else(|| Failed::from(format!("Invalid IP address source: {word}")))?;
            Ok(Setting::Parameter(4, vec![source as u8], None)) // 0..=3
        }
        ["snmp", word, ..] => {
            let mut octets: Vec<u8> = word.bytes().take(18).collect();
            let text = String::from_utf8_lossy(&octets).into_owned();
            octets.resize(18, 0);
            Ok(told(16, octets, "SNMP Community String", &text))
        }
        ["vlan", "id", "off", ..] => Ok(Setting::VlanOff),
        ["vlan", "id", word, ..] => match integer(word).and_then(|id| u16::try_from(id).ok()) {
            Some(id @ 1..=4094) => Ok(Setting::Parameter(20, SetLanParameter::vlan(0, Some(id)).data, None)),
            _ => Err(format!("VLAN ID {word:?} is not between 1 and 4094").into()),
        },
        ["vlan", "priority", word, ..] => match number(word)? {
            priority @ 0..=7 => Ok(Setting::Parameter(21, vec![priority], None)),
            _ => Err(String::from("VLAN priority must be between 0 and 7.").into()),
        },
        ["arp", "respond", word, ..] => on_off(word).map(|on| Setting::Arp(2, on)),
        ["arp", "generate", word, ..] => on_off(word).map(|on| Setting::Arp(1, on)),
        ["arp", "interval", word, ..] => match number(word)? {
            seconds @ 0..=127 => Ok(Setting::ArpInterval(seconds)),
            seconds => Err(format!("Given ARP interval '{seconds}' is too big.").into()),
        },
        ["auth", levels, types, ..] => auth(levels, types),
        ["cipher_privs", word] => cipher_privileges(word),
        ["access", word, ..] => on_off(word).map(Setting::Access),
        ["user", ..] => Ok(Setting::User),
        ["password", word, ..] => Ok(Setting::Password((*word).to_owned())),
        ["bad_pass_thresh", threshold, event, reset, lockout, ..] => {
            let long = |word: &str| integer(word).and_then(|n| u16::try_from(n).ok()).map(u16::to_le_bytes);
            match (number(threshold)?, *event, long(reset), long(lockout)) {
                (threshold, "0" | "1", Some(reset), Some(lockout)) => {
                    let mut octets = vec![u8::from(*event == "1"), threshold];
                    octets.extend(reset.into_iter().chain(lockout));
                    Ok(Setting::Parameter(26, octets, None))
                }
                _ => Err(USAGE.to_owned().into()),
            }
        }
        _ => Err(USAGE.to_owned().into()),
    }
}

fn auth(levels: &str, types: &str) -> Result<Setting, Failed> {
    let mut bits = 0;
    for word in types.split(',') {
        bits |= match word.to_ascii_lowercase().as_str() {
            "none" => 0x01,
            "md2" => 0x02,
            "md5" => 0x04,
            "password" | "key" => 0x10,
            "oem" => 0x20,
            _ => return Err(format!("Invalid authentication type: {word}").into()),
        };
    }
    let names = ["callback", "user", "operator", "admin"];
    let place = |word: &str| names.iter().position(|name| name.eq_ignore_ascii_case(word));
    let places: Option<Vec<usize>> = levels.split(',').map(place).collect();
    let places = places.ok_or_else(|| Failed::from(format!("Invalid authentication level: {levels}")))?;
    Ok(Setting::AuthTypes(places, bits))
}

/// Fifteen letters, one per cipher suite 0..=14 (parameter 24).
fn cipher_privileges(word: &str) -> Result<Setting, Failed> {
    let levels: Option<Vec<usize>> = word.chars().map(|c| "XcuoaO".find(c)).collect();
    match levels {
        Some(levels) if levels.len() == 15 => {
            let nibble = |at: usize| levels.get(at).copied().unwrap_or(0) as u8; // 0..=5
            let pairs = (0..8).map(|n| nibble(2 * n) | nibble(2 * n + 1) << 4);
            Ok(Setting::Parameter(24, std::iter::once(0).chain(pairs).collect(), None))
        }
        _ => Ok(Setting::Usage),
    }
}

/// Refuses what cannot be meant.
pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["help", ..] | [_, "help", ..] => Ok(()),
        [channel, rest @ ..] if !rest.is_empty() => number(channel).and_then(|_| setting(rest)).map(drop),
        _ => Err(USAGE.to_owned().into()),
    }
}

async fn read(context: &mut Context, channel: u8, parameter: u8, set: u8) -> Result<Vec<u8>, Failed> {
    Ok(context.bmc.execute(&GetLanParameter { channel, parameter, set }).await?)
}

/// Writes one parameter between "set in progress" and "set complete"; BMCs without these get it alone.
async fn write(context: &mut Context, channel: u8, parameter: u8, data: Vec<u8>) -> Result<(), Failed> {
    let bracket = |state: u8| SetLanParameter { channel, parameter: 0, data: vec![state] };
    let bracketed = context.bmc.execute(&bracket(1)).await.is_ok();
    let outcome = context.bmc.execute(&SetLanParameter { channel, parameter, data }).await;
    if bracketed {
        for state in [2, 0] {
            let _ = context.bmc.execute(&bracket(state)).await; // commit is optional (table 23-4)
        }
    }
    Ok(outcome?)
}

pub(super) async fn run(context: &mut Context, channel: u8, rest: &[&str]) -> Result<(), Failed> {
    match setting(rest)? {
        Setting::Parameter(parameter, octets, told) => {
            if let Some(told) = told {
                line(&told);
            }
            write(context, channel, parameter, octets).await
        }
        Setting::Arp(bit, on) => {
            let bits = read(context, channel, 10, 0).await?.first().copied().unwrap_or(0);
            let bits = if on { bits | bit } else { bits & !bit };
            let what = if bit == 2 { "ARP responses" } else { "Gratuitous ARPs" };
            line(&format!("{}abling BMC-generated {what}", if on { "En" } else { "Dis" }));
            write(context, channel, 10, vec![bits]).await
        }
        Setting::ArpInterval(seconds) => {
            let mut halves = read(context, channel, 11, 0).await?.first().copied().unwrap_or(0);
            if seconds != 0 {
                halves = seconds.saturating_mul(2).saturating_sub(1);
                write(context, channel, 11, vec![halves]).await?;
            }
            let shown = u16::from(halves).div_ceil(2);
            line(&format!("BMC-generated Gratuitous ARP interval:  {shown}.0 seconds"));
            Ok(())
        }
        Setting::VlanOff => {
            let now = read(context, channel, 20, 0).await.unwrap_or_default();
            let (low, high) = match now.as_slice() {
                [low, high, ..] => (*low, high & 0x0f),
                _ => (0, 0),
            };
            if (low, high) == (0, 0) && now.len() > 1 {
                line(&format!("VLAN is already disabled for channel {channel}"));
                return Ok(());
            }
            write(context, channel, 20, vec![low, high]).await
        }
        Setting::AuthTypes(places, bits) => {
            let mut octets = read(context, channel, 2, 0).await?;
            octets.resize(5, 0);
            for place in places {
                if let Some(octet) = octets.get_mut(place) {
                    *octet = bits;
                }
            }
            write(context, channel, 2, octets).await
        }
        Setting::Access(on) => access(context, channel, on).await,
        Setting::User => {
            let command = SetUserAccess { channel, flags: 0, user: 1, limit: 4 };
            context.bmc.execute(&command).await?;
            part(&format!("Set User Access for channel {channel} was successful."));
            Ok(())
        }
        Setting::Password(word) => {
            let password = Secret::new(word.as_bytes()).map_err(|error| error.to_string())?;
            let operation = PasswordOperation::Set { password, long: word.len() > 16 };
            context.bmc.execute(&SetUserPassword { user: 1, operation }).await?;
            line("Password set for user 1");
            Ok(())
        }
        Setting::Usage => hint(USAGE),
    }
}

/// The channel's access mode, stored and in force (IPMI v2.0 §22.22).
async fn access(context: &mut Context, channel: u8, on: bool) -> Result<(), Failed> {
    for (volatile, mask) in [(false, 0x40), (true, 0x80)] {
        let [bits, _] = context.bmc.execute(&GetChannelAccess { channel, volatile }).await?;
        let mode = bits & 0x38 | if on { 2 } else { 0 };
        let request = Request {
            privilege: Privilege::Administrator,
            ..Request::new(0x06, 0x40, vec![channel, mask | mode, mask | 0x04])
        };
        let (code, _) = context.bmc.request(request).await?;
        if !code.is_ok() {
            let kind = if volatile { "volatile" } else { "non-volatile" };
            return Err(format!(
                "Unable to Set Channel Access({kind}) for channel {channel}: {}",
                code.text()
            )
            .into());
        }
    }
    line(&format!("Set Channel Access for channel {channel} was successful."));
    Ok(())
}

/// Prints one alert destination, or all (parameters 17 to 19).
pub(super) async fn alerts(context: &mut Context, channel: u8, only: Option<u8>) -> Result<(), Failed> {
    let Ok(count) = read(context, channel, 17, 0).await else { return Err(Failed(None)) };
    let last = count.first().copied().unwrap_or(0) & 0x0f;
    if let Some(only) = only {
        if only > last {
            return Err(format!("Alert {only} is not a valid destination").into());
        }
        return alert(context, channel, only).await;
    }
    for destination in 0..=last {
        let _ = alert(context, channel, destination).await; // what cannot be read is left out
    }
    Ok(())
}

async fn alert(context: &mut Context, channel: u8, destination: u8) -> Result<(), Failed> {
    let kind = read(context, channel, 18, destination).await.map_err(|_| Failed(None))?;
    let address = read(context, channel, 19, destination).await.map_err(|_| Failed(None))?;
    let ([number, kind, interval, retries, ..], [_, form, gateway, a, b, c, d, mac @ ..]) =
        (kind.as_slice(), address.as_slice())
    else {
        return Err(Failed(None));
    };
    if mac.len() < 6 {
        return Err(Failed(None));
    }
    let acknowledged = kind & 0x80 != 0;
    let row = |title: &str, value: &str| line(&format!("{title:<24}: {value}"));
    row("Alert Destination", &number.to_string());
    row("Alert Acknowledge", if acknowledged { "Acknowledged" } else { "Unacknowledged" });
    row(
        "Destination Type",
        match kind & 7 {
            0 => "PET Trap",
            6 => "OEM 1",
            7 => "OEM 2",
            _ => "Unknown",
        },
    );
    row(if acknowledged { "Acknowledge Timeout" } else { "Retry Interval" }, &interval.to_string());
    row("Number of Retries", &(retries & 7).to_string());
    if form & 0xf0 == 0 {
        row("Alert Gateway", if gateway & 1 == 1 { "Backup" } else { "Default" });
        row("Alert IP Address", &Ipv4Addr::new(*a, *b, *c, *d).to_string());
        let mac: Vec<_> = mac.iter().take(6).map(|octet| format!("{octet:02x}")).collect();
        row("Alert MAC Address", &mac.join(":"));
    }
    line("");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // IPMI v2.0 table 23-4, parameters 20 and 24.
    #[test]
    fn settings_become_octets() {
        let read = |words: &[&str]| setting(words).map_err(|_| ());
        assert_eq!(read(&["vlan", "id", "77"]), Ok(Setting::Parameter(20, vec![77, 0x80], None)));
        assert_eq!(read(&["vlan", "id", "4095"]), Err(()));
        let octets = vec![0, 0, 0x40, 0, 0, 0, 0, 0, 0];
        assert_eq!(read(&["cipher_privs", "XXXaXXXXXXXXXXX"]), Ok(Setting::Parameter(24, octets, None)));
        assert_eq!(read(&["auth", "user,ADMIN", "MD5,password"]), Ok(Setting::AuthTypes(vec![1, 3], 0x14)));
        assert_eq!(read(&["ipaddr", "300.1.1.1"]), Err(()));
    }
}
