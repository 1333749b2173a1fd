//! `lan` (ipmitool's lib/ipmi_lanp.c): `print`, and the settings that scripts make.

use std::net::Ipv4Addr;

use ipmi::command::channel::GetChannelInfo;
use ipmi::command::lan::GetLanParameter;
use ipmi::driver::BmcError;
use ipmi::session::Request;

use super::{Context, Failed, hint, lan_set, number};
use crate::output::line;

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["help", ..] | ["print"] | ["alert", "help", ..] => Ok(()),
        ["print", word] | ["alert", "print", word] | ["stats", "get", word] => number(word).map(drop),
        ["alert", "print"] | ["stats", "get"] => Ok(()),
        ["alert", "print", channel, alert, ..] => number(channel).and_then(|_| number(alert)).map(drop),
        ["set", rest @ ..] => lan_set::check(rest),
        ["alert", "set", ..] => Err(String::from("lan alert set: not supported by this program").into()),
        ["print" | "alert" | "stats", ..] | [] => Err(USAGE.to_owned().into()),
        [word, ..] => Err(format!("Invalid LAN command: {word}").into()),
    }
}

const USAGE: &str = "\
LAN Commands:
    print [<channel number>]
    set <channel number> <command> <parameter>
    alert print [<channel number>] [<alert destination>]
    stats get [<channel number>]";

/// A parameter's octets; `None` where the BMC has none, as ipmitool leaves such lines out.
async fn parameter(context: &mut Context, channel: u8, parameter: u8) -> Result<Option<Vec<u8>>, Failed> {
    match context.bmc.execute(&GetLanParameter { channel, parameter, set: 0 }).await {
        Ok(octets) => Ok(Some(octets)),
        Err(BmcError::Completion(_) | BmcError::Malformed(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn auth_types(bits: u8) -> String {
    let names = [(0, "NONE "), (1, "MD2 "), (2, "MD5 "), (4, "PASSWORD "), (5, "OEM ")];
    names.iter().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, name)| *name).collect()
}

fn address(octets: &[u8]) -> Option<String> {
    let [a, b, c, d] = *octets.first_chunk()?;
    Some(Ipv4Addr::new(a, b, c, d).to_string())
}

fn mac(octets: &[u8]) -> Option<String> {
    let six = octets.first_chunk::<6>()?;
    Some(six.map(|octet| format!("{octet:02x}")).join(":"))
}

/// How one parameter is told.
fn shown(parameter: u8, octets: &[u8]) -> Option<Vec<(&'static str, String)>> {
    let at = |n: usize| octets.get(n).copied();
    let one = |title, text| Some(vec![(title, text)]);
    match parameter {
        0 => one(
            "Set in Progress",
            match at(0)? & 3 {
                0 => "Set Complete",
                1 => "Set In Progress",
                2 => "Commit Write",
                _ => "Reserved",
            }
            .to_owned(),
        ),
        1 => one("Auth Type Support", auth_types(at(0)?)),
        2 => {
            let levels = ["Callback", "User    ", "Operator", "Admin   ", "OEM     "];
            let lines = levels.iter().zip(octets).enumerate().map(|(n, (level, bits))| {
                (if n == 0 { "Auth Type Enable" } else { "" }, format!("{level} : {}", auth_types(*bits)))
            });
            Some(lines.collect())
        }
        4 => one(
            "IP Address Source",
            match at(0)? & 0x0f {
                0 => "Unspecified",
                1 => "Static Address",
                2 => "DHCP Address",
                3 => "BIOS Assigned Address",
                _ => "Other",
            }
            .to_owned(),
        ),
        3 => one("IP Address", address(octets)?),
        6 => one("Subnet Mask", address(octets)?),
        5 => one("MAC Address", mac(octets)?),
        16 => {
            let text =
                octets.iter().take_while(|octet| **octet != 0).map(|octet| char::from(*octet)).collect();
            one("SNMP Community String", text)
        }
        7 => {
            let (ttl, flags, tos) = (at(0)?, at(1)? & 0xe0, at(2)?);
            let (precedence, tos) = (tos & 0xe0, tos & 0x1e);
            let text =
                format!("TTL=0x{ttl:02x} Flags=0x{flags:02x} Precedence=0x{precedence:02x} TOS=0x{tos:02x}");
            one("IP Header", text)
        }
        10 => {
            let able = |bit: u8| if bit != 0 { "En" } else { "Dis" };
            let bits = at(0)?;
            let text =
                format!("ARP Responses {}abled, Gratuitous ARP {}abled", able(bits & 2), able(bits & 1));
            one("BMC ARP Control", text)
        }
        11 => {
            one("Gratituous ARP Intrvl", format!("{:.1} seconds", f64::from(u16::from(at(0)?).div_ceil(2))))
        }
        12 => one("Default Gateway IP", address(octets)?),
        13 => one("Default Gateway MAC", mac(octets)?),
        14 => one("Backup Gateway IP", address(octets)?),
        15 => one("Backup Gateway MAC", mac(octets)?),
        20 => {
            let id = u16::from_le_bytes(*octets.first_chunk()?);
            let text = if id & 0x8000 != 0 { (id & 0x0fff).to_string() } else { "Disabled".to_owned() };
            one("802.1q VLAN ID", text)
        }
        21 => one("802.1q VLAN Priority", (at(0)? & 7).to_string()),
        _ => None,
    }
}

async fn print(context: &mut Context, channel: u8) -> Result<(), Failed> {
    for number in [0, 1, 2, 4, 3, 6, 5, 16, 7, 10, 11, 12, 13, 14, 15, 20, 21] {
        let octets = parameter(context, channel, number).await?;
        for (title, text) in octets.and_then(|octets| shown(number, &octets)).unwrap_or_default() {
            line(&format!("{title:<24}: {text}"));
        }
    }
    if let Some(count) = parameter(context, channel, 22).await? {
        let count = usize::from(count.first().copied().unwrap_or(0)).min(16);
        let octets = parameter(context, channel, 23).await?.unwrap_or_default();
        let suites: Vec<_> = octets.iter().skip(1).take(count).map(u8::to_string).collect();
        let text = if octets.is_empty() { "None".to_owned() } else { suites.join(",") };
        line(&format!("{:<24}: {text}", "RMCP+ Cipher Suites"));
    }
    match parameter(context, channel, 24).await?.filter(|octets| octets.len() == 9) {
        Some(octets) => {
            let nibbles = octets.iter().skip(1).flat_map(|octet| [octet & 0x0f, octet >> 4]);
            let letter = |level: u8| "XcuoaO".chars().nth(level.into()).unwrap_or('-');
            let text: String = nibbles.take(15).map(letter).collect();
            line(&format!("{:<24}: {text}", "Cipher Suite Priv Max"));
            for legend in ["X=Cipher Suite Unused", "c=CALLBACK", "u=USER", "o=OPERATOR", "a=ADMIN", "O=OEM"]
            {
                line(&format!("{:<24}:     {legend}", ""));
            }
        }
        None => line(&format!("{:<24}: Not Available", "Cipher Suite Priv Max")),
    }
    match parameter(context, channel, 26).await?.and_then(|octets| octets.first_chunk::<6>().copied()) {
        Some([flags, threshold, r0, r1, l0, l1]) => {
            let tens = |a, b| u32::from(u16::from_le_bytes([a, b])) * 10;
            line(&format!("{:<24}: {threshold}", "Bad Password Threshold"));
            line(&format!(
                "{:<24}: {}",
                "Invalid password disable",
                if flags & 1 == 1 { "yes" } else { "no" }
            ));
            line(&format!("{:<24}: {}", "Attempt Count Reset Int.", tens(r0, r1)));
            line(&format!("{:<24}: {}", "User Lockout Interval", tens(l0, l1)));
        }
        None => line(&format!("{:<24}: Not Available", "Bad Password Threshold")),
    }
    Ok(())
}

/// The first LAN channel, as ipmitool looks for it.
async fn first(context: &mut Context) -> Result<u8, Failed> {
    for channel in 1..=11 {
        if is_lan(context, channel).await {
            return Ok(channel);
        }
    }
    Err(String::from("Invalid channel: 0").into())
}

/// Whether it is a channel to a network (IPMI v2.0 table 6-3).
async fn is_lan(context: &mut Context, channel: u8) -> bool {
    (1..=15).contains(&channel)
        && matches!(context.bmc.execute(&GetChannelInfo(channel)).await, Ok(info) if matches!(info.medium, 4 | 6))
}

/// The channel of a word, or the first; it must lead to a network.
async fn channel_of(context: &mut Context, word: Option<&&str>) -> Result<u8, Failed> {
    let Some(word) = word else { return first(context).await };
    let channel = number(word)?;
    if is_lan(context, channel).await {
        Ok(channel)
    } else {
        Err(format!("Channel {channel} is not a LAN channel!").into())
    }
}

pub(super) async fn run(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["print", rest @ ..] => {
            let channel = channel_of(context, rest.first()).await?;
            print(context, channel).await
        }
        ["alert", "print", rest @ ..] => {
            let channel = channel_of(context, rest.first()).await?;
            let only = rest.get(1).map(|word| number(word)).transpose()?;
            lan_set::alerts(context, channel, only).await
        }
        ["stats", _, rest @ ..] => {
            let channel = channel_of(context, rest.first()).await?;
            statistics(context, channel).await
        }
        ["set", word, rest @ ..] if !rest.is_empty() && *word != "help" => {
            let channel = channel_of(context, Some(word)).await?;
            lan_set::run(context, channel, rest).await
        }
        _ => hint(USAGE),
    }
}

/// Get IP/UDP/RMCP Statistics (IPMI v2.0 §23.4); ipmitool reads its numbers high octet first.
async fn statistics(context: &mut Context, channel: u8) -> Result<(), Failed> {
    let (code, data) = context.bmc.request(Request::new(0x0c, 0x04, vec![channel, 0])).await?;
    if !code.is_ok() {
        return Err(format!("Get LAN Stats command failed: {}", code.text()).into());
    }
    let titles = [
        "IP Rx Packet",
        "IP Rx Header Errors",
        "IP Rx Address Errors",
        "IP Rx Fragmented",
        "IP Tx Packet",
        "UDP Rx Packet",
        "RMCP Rx Valid",
        "UDP Proxy Packet Received",
        "UDP Proxy Packet Dropped",
    ];
    for (title, pair) in titles.iter().zip(data.chunks(2)) {
        let value = pair.first_chunk().map_or(0, |pair| u16::from_be_bytes(*pair));
        line(&format!("{title:<26}: {value}"));
    }
    Ok(())
}
