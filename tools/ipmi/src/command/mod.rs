//! ipmitool's commands for one host: words to requests, answers to ipmitool's text.

mod boot;
mod channel;
mod chassis;
mod dcmi;
mod fru;
mod lan;
mod lan_set;
mod many;
mod mc;
mod raw;
mod sdr;
mod sdr_detail;
mod sel;
mod sensor;
mod sol;
mod sol_settings;
mod system_info;
mod time;
mod user;
mod watchdog;

use std::process::ExitCode;

use ipmi::driver::{Bmc, BmcConfig, BmcError};

use crate::options::Options;
use crate::remembered::Suites;
use crate::{output, target};

/// ipmitool's groups that make no sense here.
const UNSUPPORTED: [&str; 19] = [
    "pef",
    "event",
    "firewall",
    "hpm",
    "fwum",
    "ime",
    "picmg",
    "vita",
    "delloem",
    "sunoem",
    "kontronoem",
    "ekanalyzer",
    "tsol",
    "isol",
    "i2c",
    "spd",
    "gendev",
    "nm",
    "sunoem",
];

const GROUPS: &str = "\
Commands:
    chassis, power      power, boot device, identify, policy
    mc, bmc             the management controller
    sdr, sensor         sensors
    sel, fru            event log, inventory
    user, lan, channel, session
    sol                 serial console
    dcmi                power reading
    raw                 any request
    exec, shell         many commands in one session
    scan, netboot, bmcd forms of this program: see ipmi --help";

/// Why a command ended badly: already told (`None`), or a text to tell; and a word for programs.
pub(crate) struct Failed(pub(crate) Option<(&'static str, String)>);

impl From<BmcError> for Failed {
    fn from(error: BmcError) -> Self {
        Self(Some((error.kind(), error.to_string())))
    }
}

impl From<String> for Failed {
    fn from(text: String) -> Self {
        Self(Some(("command", text)))
    }
}

/// What every command gets.
pub(crate) struct Context {
    pub(crate) bmc: Bmc,
    pub(crate) csv: bool,
    pub(crate) verbose: u8,
    /// One object instead of text, and its honest verdict.
    pub(crate) json: bool,
}

/// A number as C reads it: decimal, hexadecimal behind 0x, octal behind 0.
pub(crate) fn integer(word: &str) -> Option<u32> {
    match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None if word.len() > 1 && word.starts_with('0') => u32::from_str_radix(word, 8).ok(),
        None => word.parse().ok(),
    }
}

/// A number 0..=255.
pub(super) fn number(word: &str) -> Result<u8, Failed> {
    let octet = integer(word).and_then(|number| u8::try_from(number).ok());
    octet.ok_or_else(|| format!("Given {word:?} is no number 0..255").into())
}

/// A channel that can be named (IPMI v2.0 §6.3).
pub(super) fn channel_number(word: &str) -> Result<u8, Failed> {
    let channel = number(word).ok().filter(|channel| matches!(channel, 0..=0x0b | 0x0e..=0x0f));
    channel.ok_or_else(|| format!("Given Channel number '{word}' is either invalid or out of range.").into())
}

/// A user number.
pub(super) fn user_id(word: &str) -> Result<u8, Failed> {
    let user = number(word).ok().filter(|user| (1..=63).contains(user));
    user.ok_or_else(|| format!("Given User ID '{word}' is either invalid or out of range.").into())
}

/// A privilege limit: 1..=5, 15 for none.
pub(super) fn privilege_limit(word: &str) -> Result<u8, Failed> {
    let limit = number(word).ok().filter(|limit| matches!(limit, 1..=5 | 15));
    limit.ok_or_else(|| format!("Given Privilege Limit '{word}' is invalid.").into())
}

/// Tells how a command is used where ipmitool ends well all the same.
pub(super) fn hint(text: &str) -> Result<(), Failed> {
    output::note(text);
    Ok(())
}

/// Reads options and command, opens a session, runs, closes.
pub(crate) async fn run(arguments: Vec<String>) -> ExitCode {
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(stop) if stop.code == 0 => {
            output::line(&stop.text);
            return ExitCode::SUCCESS;
        }
        Err(stop) => return output::fail(&stop.text),
    };
    output::start(&options.messages);
    let words: Vec<&str> = options.words.iter().map(String::as_str).collect();
    match execute(&options, &words).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(None)) => ExitCode::from(1),
        Err(Failed(Some((_, text)))) => output::fail(&text),
    }
}

async fn execute(options: &Options, words: &[&str]) -> Result<(), Failed> {
    let Some((group, rest)) = words.split_first() else {
        return Err(String::from("no command given; see ipmi --help").into());
    };
    if *group == "help" {
        output::note(GROUPS);
        return Ok(());
    }
    let host = options.host.as_deref().ok_or_else(|| String::from("no host given: add -H HOST"))?;
    if !matches!(*group, "exec" | "shell") {
        check(group, rest)?;
    }
    let mut session = options.session()?;
    let hosts = target::expand([host])?;
    let [host] = hosts.as_slice() else {
        return many::run(options, session, &hosts, group, rest).await;
    };
    let addr = target::resolve(host, options.port).await?;
    let mut suites = Suites::load(&session);
    suites.prefer(addr, &mut session);
    if *group == "sol" && sol::is_console(rest) {
        return sol::run(BmcConfig { addr, session }).await;
    }
    if options.json {
        output::gather();
    }
    let outcome = async {
        let bmc = Bmc::connect(BmcConfig { addr, session }).await?;
        suites.note(addr, bmc.suite());
        suites.save();
        let mut context = Context { bmc, csv: options.csv, verbose: options.verbose, json: options.json };
        let outcome = match *group {
            "exec" => script(&mut context, rest).await,
            "shell" => shell(&mut context).await,
            _ => dispatch(&mut context, group, rest).await,
        };
        context.bmc.close().await;
        outcome
    }
    .await;
    if options.json {
        let failure = match &outcome {
            Ok(()) => None,
            Err(Failed(Some((kind, text)))) => Some((*kind, text.as_str())),
            Err(Failed(None)) => Some(("command", "the command failed")),
        };
        output::as_json(host, &words.join(" "), failure);
        return outcome.map_err(|_| Failed(None));
    }
    outcome
}

async fn dispatch(context: &mut Context, group: &str, rest: &[&str]) -> Result<(), Failed> {
    match group {
        "chassis" => chassis::run(context, rest).await,
        "power" => chassis::power(context, rest).await,
        "mc" | "bmc" => mc::run(context, rest).await,
        "sdr" => sdr::run(context, rest).await,
        "sensor" => sensor::run(context, rest).await,
        "sel" => sel::run(context, rest).await,
        "fru" => fru::run(context, rest).await,
        "user" => user::run(context, rest).await,
        "lan" => lan::run(context, rest).await,
        "channel" => channel::run(context, rest).await,
        "session" => channel::session(context, rest).await,
        "dcmi" => dcmi::run(context, rest).await,
        "sol" => sol::manage(context, rest).await,
        _ => raw::run(context, rest).await,
    }
}

/// Refuses unknown commands before a session is opened.
fn check(group: &str, rest: &[&str]) -> Result<(), Failed> {
    match group {
        "chassis" => chassis::check(rest),
        "power" => chassis::check_power(rest),
        "mc" | "bmc" => mc::check(rest),
        "sdr" => sdr::check(rest),
        "sensor" => sensor::check(rest),
        "sel" => sel::check(rest),
        "fru" => fru::check(rest),
        "user" => user::check(rest),
        "lan" => lan::check(rest),
        "channel" => channel::check(rest),
        "session" => channel::check_session(rest),
        "raw" => raw::check(rest),
        "sol" => sol::check(rest),
        "dcmi" => dcmi::check(rest),
        _ if UNSUPPORTED.contains(&group) => Err(format!("{group}: not supported by this program").into()),
        _ => Err(format!("Invalid command: {group}").into()),
    }
}

/// Words of a line; single and double quotes hold blanks together.
fn words_of(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut open) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => (quote, open) = (Some(c), true),
            (None, c) if c.is_whitespace() => {
                if open || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            (_, c) => word.push(c),
        }
    }
    if open || !word.is_empty() {
        words.push(word);
    }
    words
}

/// One line of a script or of the shell; `false` ends it.
async fn one_line(context: &mut Context, line: &str) -> Result<bool, Failed> {
    let words = words_of(line.split('#').next().unwrap_or_default());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.split_first() {
        None => Ok(true),
        Some((&("exit" | "quit"), _)) => Ok(false),
        Some((group, rest)) => {
            check(group, rest)?;
            dispatch(context, group, rest).await?;
            Ok(true)
        }
    }
}

/// `exec FILE`: commands from a file in one session; the last failure decides the exit code.
async fn script(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    let [path, ..] = rest else { return Err(String::from("usage: exec <filename>").into()) };
    let text = match *path {
        "-" => std::io::read_to_string(std::io::stdin()),
        path => std::fs::read_to_string(path),
    };
    let text = text.map_err(|error| format!("reading {path}: {error}"))?;
    let mut outcome = Ok(());
    for line in text.lines() {
        match one_line(context, line).await {
            Ok(true) => {}
            Ok(false) => break,
            Err(Failed(told)) => {
                if let Some((_, text)) = told {
                    output::note(&format!("ipmi: {text}"));
                }
                outcome = Err(Failed(None));
            }
        }
    }
    outcome
}

/// `shell`: commands from the terminal in one session.
async fn shell(context: &mut Context) -> Result<(), Failed> {
    loop {
        output::part("ipmi> ");
        output::flush();
        let mut line = String::new();
        match std::io::stdin().read_line(&mut line) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(format!("reading from the terminal: {error}").into()),
        }
        match one_line(context, &line).await {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(Failed(Some((_, text)))) => output::note(&format!("ipmi: {text}")),
            Err(Failed(None)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(words_of("sensor get \"Sys Fan\" VBAT ''"), ["sensor", "get", "Sys Fan", "VBAT", ""]);
    }
}
