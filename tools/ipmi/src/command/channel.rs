//! `channel` and `session` (ipmitool's lib/ipmi_channel.c, lib/ipmi_session.c).

use ipmi::command::app::GetChannelAuthCapabilities;
use ipmi::command::channel::{
    CipherSuiteRecord, GetChannelAccess, GetChannelInfo, GetSessionInfo, cipher_suite_records,
};
use ipmi::command::user::{GetUserAccess, GetUserName, SetUserAccess};
use ipmi::driver::BmcError;
use ipmi::session::Request;
use ipmi::{Command, CompletionCode, Privilege};

use super::{Context, Failed, channel_number, hint, integer, privilege_limit, user, user_id};
use crate::output::{line, note};

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["help", ..] | ["info"] | ["getciphers", "ipmi" | "sol"] | ["setaccess", "help", ..] => Ok(()),
        ["info" | "getaccess", channel] | ["getciphers", "ipmi" | "sol", channel] => {
            channel_number(channel).map(drop)
        }
        ["authcap", channel, level] => {
            channel_number(channel)?;
            privilege_limit(level).map(drop)
        }
        ["getaccess", channel, user] => channel_number(channel).and_then(|_| user_id(user)).map(drop),
        ["setaccess", channel, user, options @ ..] if !options.is_empty() => {
            channel_number(channel).and_then(|_| user_id(user))?;
            Access::default().with(options).map(drop)
        }
        ["info" | "authcap" | "getaccess" | "setaccess" | "getciphers", ..] | [] => {
            Err(format!("Not enough parameters given.\n{USAGE}").into())
        }
        [word, ..] => Err(format!("Invalid CHANNEL command: {word}").into()),
    }
}

const USAGE: &str = "\
Channel Commands:
    authcap   <channel number> <max privilege>
    getaccess <channel number> [user id]
    setaccess <channel number> <user id> [callin=on|off] [ipmi=on|off] [link=on|off] [privilege=level]
    info      [channel number]
    getciphers <ipmi | sol> [channel]";

const SESSION_USAGE: &str = "Session Commands: info <active | all | id 0xnnnnnnnn | handle 0xnn>";

pub(super) fn check_session(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        [] | ["help", ..] | ["info"] | ["info", "help" | "active" | "all", ..] => Ok(()),
        ["info", "id" | "handle", word, ..] => match integer(word) {
            Some(_) => Ok(()),
            None => Err(format!("HEX number expected, but '{word}' given.").into()),
        },
        _ => Err(SESSION_USAGE.to_owned().into()),
    }
}

/// What `setaccess` changes of a user's access (IPMI v2.0 §22.26).
#[derive(Clone, Copy, Debug, Default)]
struct Access {
    callback_only: bool,
    link: bool,
    messages: bool,
    limit: u8,
}

impl Access {
    fn with(mut self, options: &[&str]) -> Result<Self, Failed> {
        for option in options {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            // As documented; ipmitool 1.8.19 itself turns `link=off` into on.
            match name {
                "callin" => self.callback_only = matches!(value, "off" | "disable" | "no"),
                "link" => self.link = !matches!(value, "off" | "disable" | "no"),
                "ipmi" => self.messages = !matches!(value, "off" | "disable" | "no"),
                "privilege" => self.limit = level(value)?,
                _ => return Err(format!("Invalid option: {option}").into()),
            }
        }
        Ok(self)
    }
}

/// A privilege limit by its name or number.
fn level(word: &str) -> Result<u8, Failed> {
    let named = (1..=15).find(|number| user::privilege(*number).eq_ignore_ascii_case(word));
    named.map_or_else(|| privilege_limit(word), Ok)
}

async fn set_access(context: &mut Context, channel: u8, user: u8, options: &[&str]) -> Result<(), Failed> {
    let now = context.bmc.execute(&GetUserAccess { channel, user }).await?;
    let access = Access {
        callback_only: now.access & 0x40 != 0,
        link: now.access & 0x20 != 0,
        messages: now.access & 0x10 != 0,
        limit: now.access & 0x0f,
    };
    let access = access.with(options)?;
    let bit = |set: bool, bit: u8| u8::from(set) << bit;
    let flags = 0x80 | bit(access.callback_only, 6) | bit(access.link, 5) | bit(access.messages, 4);
    context.bmc.execute(&SetUserAccess { channel, flags, user, limit: access.limit }).await?;
    line(&format!("Set User Access (channel {channel} id {user}) successful."));
    Ok(())
}

/// Records that ipmitool's list has room for.
const LISTED: usize = 12;

fn medium(number: u8) -> &'static str {
    match number {
        0 => "reserved",
        1 => "IPMB (I2C)",
        2 => "ICMB v1.0",
        3 => "ICMB v0.9",
        4 => "802.3 LAN",
        5 => "Serial/Modem",
        6 => "Other LAN",
        7 => "PCI SMBus",
        8 => "SMBus v1.0/v1.1",
        9 => "SMBus v2.0",
        10 => "USB 1.x",
        11 => "USB 2.x",
        12 => "System Interface",
        _ => "Unknown",
    }
}

fn protocol(number: u8) -> &'static str {
    match number {
        0 => "reserved",
        1 => "IPMB-1.0",
        2 => "ICMB-1.0",
        4 => "IPMI-SMBus",
        5 => "KCS",
        6 => "SMIC",
        7 => "BT-10",
        8 => "BT-15",
        9 => "TMode",
        _ => "Unknown",
    }
}

fn print_access(title: &str, access: [u8; 2]) {
    let [bits, _] = access;
    let able = |disabled: bool| if disabled { "disabled" } else { "enabled" };
    line(&format!("  {title} Settings"));
    line(&format!("    Alerting            : {}", able(bits & 0x20 != 0)));
    line(&format!("    Per-message Auth    : {}", able(bits & 0x10 != 0)));
    line(&format!("    User Level Auth     : {}", able(bits & 0x08 != 0)));
    let mode = match bits & 7 {
        0 => "disabled",
        1 => "pre-boot only",
        2 => "always available",
        3 => "shared",
        _ => "unknown",
    };
    line(&format!("    Access Mode         : {mode}"));
}

async fn info(context: &mut Context, channel: u8) -> Result<(), Failed> {
    let info = context.bmc.execute(&GetChannelInfo(channel)).await?;
    line(&format!("Channel 0x{:x} info:", info.channel));
    line(&format!("  Channel Medium Type   : {}", medium(info.medium)));
    line(&format!("  Channel Protocol Type : {}", protocol(info.protocol)));
    let support = match info.session_support {
        0 => "session-less",
        1 => "single-session",
        2 => "multi-session",
        _ => "session-based",
    };
    line(&format!("  Session Support       : {support}"));
    line(&format!("  Active Session Count  : {}", info.active_sessions));
    line(&format!("  Protocol Vendor ID    : {}", info.vendor));
    if !matches!(info.medium, 4..=6) {
        return Ok(());
    }
    let channel = info.channel;
    for (title, volatile) in [("Volatile(active)", true), ("Non-Volatile", false)] {
        let access = context.bmc.execute(&GetChannelAccess { channel, volatile }).await?;
        print_access(title, access);
    }
    Ok(())
}

async fn access(context: &mut Context, channel: u8, only: Option<u8>) -> Result<(), Failed> {
    let (mut id, mut last) = (only.unwrap_or(1), only.unwrap_or(1));
    let mut first = true;
    while id <= last {
        let access = context.bmc.execute(&GetUserAccess { channel, user: id }).await?;
        if only.is_none() {
            last = access.maximum;
        }
        let name = match context.bmc.execute(&GetUserName(id)).await {
            Ok(name) => name,
            Err(BmcError::Completion(CompletionCode::INVALID_FIELD)) => String::new(),
            Err(error) => return Err(error.into()),
        };
        if first {
            line(&format!("Maximum User IDs     : {}", access.maximum));
            line(&format!("Enabled User IDs     : {}", access.enabled));
            first = false;
        }
        let able = |set: bool| if set { "enabled" } else { "disabled" };
        line("");
        line(&format!("User ID              : {id}"));
        line(&format!("User Name            : {name}"));
        line(&format!("Fixed Name           : {}", if id <= access.fixed_names { "Yes" } else { "No" }));
        let available = if access.access & 0x40 != 0 { "callback" } else { "call-in / callback" };
        line(&format!("Access Available     : {available}"));
        line(&format!("Link Authentication  : {}", able(access.access & 0x20 != 0)));
        line(&format!("IPMI Messaging       : {}", able(access.access & 0x10 != 0)));
        line(&format!("Privilege Level      : {}", user::privilege(access.access & 0x0f)));
        let status = match access.status {
            1 => "enabled",
            2 => "disabled",
            3 => "reserved",
            _ => "unknown",
        };
        line(&format!("Enable Status        : {status}"));
        id += 1;
    }
    Ok(())
}

fn print_suite(record: &CipherSuiteRecord, csv: bool) {
    let [authentication, integrity, confidentiality] = record.algorithms;
    let authentication = match authentication {
        0 => "none",
        1 => "hmac_sha1",
        2 => "hmac_md5",
        3 => "hmac_sha256",
        _ => "unknown",
    };
    let integrity = match integrity {
        0 => "none",
        1 => "hmac_sha1_96",
        2 => "hmac_md5_128",
        3 => "md5_128",
        4 => "sha256_128",
        _ => "unknown",
    };
    let confidentiality = match confidentiality {
        0 => "none",
        1 => "aes_cbc_128",
        2 => "xrc4_128",
        3 => "xrc4_40",
        _ => "unknown",
    };
    let id = record.id;
    let iana = record.iana.map_or_else(|| "N/A".to_owned(), |number| number.to_string());
    line(&if csv {
        format!("{id},{iana},{authentication},{integrity},{confidentiality}")
    } else {
        format!("{id:<4} {iana:<7} {authentication:<15} {integrity:<15} {confidentiality:<15}")
    });
}

async fn authcap(context: &mut Context, channel: u8, level: u8) -> Result<(), Failed> {
    let privilege = Privilege::from_wire(level).ok_or_else(|| format!("Invalid privilege level: {level}"))?;
    let caps = context.bmc.execute(&GetChannelAuthCapabilities { channel, privilege, v20: true }).await?;
    let yes = |set: bool| if set { "yes" } else { "no" };
    let able = |off: bool| if off { "disabled" } else { "enabled" };
    line(&format!("Channel number             : {}", caps.channel));
    line(&format!("IPMI v1.5  auth types      : {}", {
        let names = [(0, "NONE "), (1, "MD2 "), (2, "MD5 "), (4, "PASSWORD "), (5, "OEM ")];
        names
            .iter()
            .filter(|(bit, _)| caps.auth_types >> bit & 1 == 1)
            .map(|(_, name)| *name)
            .collect::<String>()
    }));
    if caps.auth_types & 0x80 != 0 {
        let k_g = if caps.has_k_g() { "set to non-zero value" } else { "set to default (all 0's)" };
        line(&format!(
            "KG status                  : {}",
            if caps.has_k_g() { k_g } else { "default (all zeroes)" }
        ));
    }
    line(&format!("Per message authentication : {}", able(caps.status & 0x10 != 0)));
    line(&format!("User level authentication  : {}", able(caps.status & 0x08 != 0)));
    line(&format!("Non-null user names exist  : {}", yes(caps.status & 0x04 != 0)));
    line(&format!("Null user names exist      : {}", yes(caps.null_users())));
    line(&format!("Anonymous login enabled    : {}", yes(caps.anonymous())));
    line(&format!("Channel supports IPMI v1.5 : {}", yes(caps.extended & 1 != 0)));
    line(&format!("Channel supports IPMI v2.0 : {}", yes(caps.extended & 2 != 0)));
    Ok(())
}

pub(super) async fn run(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["authcap", channel, level, ..] => {
            authcap(context, channel_number(channel)?, privilege_limit(level)?).await
        }
        ["getaccess", channel, rest @ ..] => {
            let only = rest.first().map(|word| user_id(word)).transpose()?;
            access(context, channel_number(channel)?, only).await
        }
        ["setaccess", channel, user, options @ ..] => {
            set_access(context, channel_number(channel)?, user_id(user)?, options).await
        }
        ["help", ..] => hint(USAGE),
        ["getciphers", kind, rest @ ..] => {
            let channel = rest.first().map_or(Ok(0x0e), |word| channel_number(word))?;
            let octets = context.bmc.cipher_suite_octets(channel, u8::from(*kind == "sol")).await?;
            if !context.csv {
                line("ID   IANA    Auth Alg        Integrity Alg   Confidentiality Alg");
            }
            let records = cipher_suite_records(&octets);
            for record in records.iter().take(LISTED) {
                print_suite(record, context.csv);
            }
            if let Some(more @ [_, ..]) = records.get(LISTED..) {
                // ipmitool ends its list here; nobody shall miss suite 17 for that.
                let ids: Vec<_> = more.iter().map(|record| record.id.to_string()).collect();
                note(&format!("and suites {}, which ipmitool does not list", ids.join(", ")));
            }
            Ok(())
        }
        [_, rest @ ..] => info(context, rest.first().map_or(Ok(0x0e), |word| channel_number(word))?).await,
        [] => Ok(()),
    }
}

fn print_session(octets: &[u8], csv: bool) {
    let at = |n: usize| octets.get(n).copied().unwrap_or(0);
    let kind = |protocol: u8| match protocol {
        0 => "IPMIv1.5",
        1 => "IPMIv2/RMCP+",
        _ => "unknown",
    };
    if csv {
        let mut text = format!("{},{},{}", at(0), at(1), at(2));
        if octets.len() >= 6 {
            let level = user::privilege(at(4) & 0x0f);
            text.push_str(&format!(",{},{level},{},0x{:02x}", at(3) & 0x3f, kind(at(5) >> 4), at(5) & 0x0f));
        }
        line(&text);
        return;
    }
    line(&format!("session handle                : {}", at(0)));
    line(&format!("slot count                    : {}", at(1)));
    line(&format!("active sessions               : {}", at(2)));
    if octets.len() >= 6 {
        line(&format!("user id                       : {}", at(3) & 0x3f));
        line(&format!("privilege level               : {}", user::privilege(at(4) & 0x0f)));
        line(&format!("session type                  : {}", kind(at(5) >> 4)));
        line(&format!("channel number                : 0x{:02x}", at(5) & 0x0f));
    }
    line("");
}

/// Asks at the level the options name: a session tells its own level too.
async fn info_of(context: &mut Context, command: GetSessionInfo) -> Result<Vec<u8>, Failed> {
    let request = Request { privilege: Privilege::Administrator, ..command.request() };
    let (code, data) = context.bmc.request(request).await?;
    if !code.is_ok() {
        return Err(BmcError::Completion(code).into());
    }
    command.parse_reply(&data).map_err(|error| error.to_string().into())
}

pub(super) async fn session(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    match rest {
        [_, "id", word, ..] => {
            let id = integer(word).ok_or_else(|| format!("Invalid session id: {word}"))?;
            let octets = info_of(context, GetSessionInfo::Id(id)).await?;
            print_session(&octets, context.csv);
        }
        [_, "handle", word, ..] => {
            let handle = integer(word).ok_or_else(|| format!("Invalid session handle: {word}"))?;
            // One octet on the wire (IPMI v2.0 §22.20); ipmitool cuts the rest off as well.
            let octets = info_of(context, GetSessionInfo::Handle(handle as u8)).await?;
            print_session(&octets, context.csv);
        }
        [_, "all", ..] => {
            let mut index = 1u8;
            loop {
                let octets = match info_of(context, GetSessionInfo::Index(index)).await {
                    Ok(octets) => octets,
                    Err(_) if index > 1 => break,
                    Err(error) => return Err(error),
                };
                print_session(&octets, context.csv);
                let slots = octets.get(1).copied().unwrap_or(0) & 0x3f;
                if index >= slots {
                    break;
                }
                index += 1;
            }
        }
        [_, "active", ..] => {
            let octets = info_of(context, GetSessionInfo::Current).await?;
            print_session(&octets, context.csv);
        }
        _ => return hint(SESSION_USAGE),
    }
    Ok(())
}
