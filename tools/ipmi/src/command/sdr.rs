//! `sdr` (ipmitool's lib/ipmi_sdr.c).

use ipmi::command::Command;
use ipmi::command::names;
use ipmi::command::reading::{GetSensorReading, SensorReading};
use ipmi::command::sdr::{GetSdrRepositoryInfo, Sdr, SdrBody, Sensor};
use ipmi::driver::BmcError;

use super::{Context, Failed, hint, sdr_detail};
use crate::output::{line, note, part};

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        [] | ["info" | "type" | "help", ..] | ["entity"] | ["get" | "dump", _, ..] => Ok(()),
        ["list" | "elist"] | ["list" | "elist", "help", ..] => Ok(()),
        ["list" | "elist", kind, ..] if KINDS.contains(kind) => Ok(()),
        ["list" | "elist", kind, ..] => Err(format!("Invalid SDR list command: {kind}\n{USAGE}").into()),
        ["entity", word, ..] => entity_of(word).map(drop),
        ["get"] => Err(String::from("No Sensor ID supplied").into()),
        ["dump"] => Err(String::from("Not enough parameters given.\nusage: sdr dump <file>").into()),
        ["fill", ..] => Err(String::from("sdr fill: not supported by this program").into()),
        [word, ..] => Err(format!("Invalid SDR command: {word}").into()),
    }
}

const KINDS: [&str; 7] = ["all", "full", "compact", "event", "mcloc", "fru", "generic"];

const USAGE: &str = "\
usage: sdr list | elist [all|full|compact|event|mcloc|fru|generic]
       sdr type [list|<sensor type>]
       sdr get <sensor id>
       sdr info
       sdr entity <id>[.<instance>]
       sdr dump <file>";

/// `7`, `7.1` or an entity's name: its number, and 7Fh for every instance.
fn entity_of(word: &str) -> Result<(u8, u8), Failed> {
    if matches!(word, "list" | "help") {
        return Ok((0, 0));
    }
    let (id, instance) = word.split_once('.').unwrap_or((word, "127"));
    if let (Ok(id), Ok(instance)) = (id.parse(), instance.parse()) {
        return Ok((id, instance));
    }
    let named = names::entities().find(|(_, name)| name.eq_ignore_ascii_case(word));
    named.map(|(id, _)| (id, 127)).ok_or_else(|| format!("Invalid entity: {word}").into())
}

/// A sensor's reading with everything the listings show of it.
pub(super) struct Reading {
    pub(super) octets: SensorReading,
    pub(super) value: Option<f64>,
    pub(super) unit: String,
}

impl Reading {
    pub(super) fn valid(&self) -> bool {
        self.octets.valid()
    }

    /// The value with `decimals`, none when it is whole.
    pub(super) fn text(&self, decimals: usize) -> String {
        let value = self.value.unwrap_or(0.0);
        if value == value.trunc() { format!("{value:.0}") } else { format!("{value:.decimals$}") }
    }

    /// ipmitool's short or long word for the thresholds that are crossed.
    pub(super) fn status(&self, verbose: bool, extended: bool, invalid: &'static str) -> &'static str {
        if !self.valid() {
            return invalid;
        }
        let words = [
            (0x04, "Lower Non-Recoverable", "lnr", "nr"),
            (0x20, "Upper Non-Recoverable", "unr", "nr"),
            (0x02, "Lower Critical", "lcr", "cr"),
            (0x10, "Upper Critical", "ucr", "cr"),
            (0x01, "Lower Non-Critical", "lnc", "nc"),
            (0x08, "Upper Non-Critical", "unc", "nc"),
        ];
        let crossed = words.iter().find(|(bit, ..)| self.octets.states & bit != 0);
        match crossed {
            None => "ok",
            Some((_, long, _, _)) if verbose => long,
            Some((_, _, middle, _)) if extended => middle,
            Some((_, _, _, short)) => short,
        }
    }
}

pub(super) async fn read(context: &mut Context, sensor: &Sensor) -> Result<Reading, Failed> {
    let command = GetSensorReading { number: sensor.number, lun: sensor.lun };
    let none = SensorReading { raw: 0, flags: 0xe0, states: 0, more_states: 0 };
    let octets = match context.bmc.execute(&command).await {
        Ok(octets) => octets,
        Err(BmcError::Completion(_) | BmcError::Malformed(_)) => none,
        Err(error) => return Err(error.into()),
    };
    let value = sensor.analog().map(|conversion| conversion.value(octets.raw));
    let unit = if value.is_some() && octets.scanning() { sensor.unit() } else { String::new() };
    Ok(Reading { octets, value, unit })
}

pub(super) fn states(sensor_type: u8, event_type: u8, states: u8, more: u8) -> Vec<&'static str> {
    let bits = u16::from(states) | u16::from(more & 0x7f) << 8;
    let events = names::events(sensor_type, event_type).filter(|e| e.data2 == 0xff);
    events.filter(|e| bits >> e.offset & 1 == 1).map(|e| e.text).collect()
}

/// The lines `States Asserted : TYPE` and `[state]`.
pub(super) fn print_states(title: &str, sensor: &Sensor, low: u8, high: u8) {
    if low == 0 && high & 0x7f == 0 {
        return;
    }
    if names::events(sensor.sensor_type, sensor.event_type).any(|e| e.data2 == 0xff) {
        line(&format!(" {title:<21} : {}", type_name(sensor.sensor_type)));
    }
    for text in states(sensor.sensor_type, sensor.event_type, low, high) {
        line(&format!("                         [{text}]"));
    }
}

pub(super) fn type_name(number: u8) -> String {
    match names::sensor_type(number) {
        Some(name) => name.to_owned(),
        None if number < 0xc0 => format!("Unknown (0x{number:02X})"),
        None => format!("OEM reserved #{number:02x}"),
    }
}

pub(super) fn entity_name(number: u8) -> String {
    names::entity(number).map_or_else(|| format!("Unknown (0x{number:02X})"), str::to_owned)
}

/// One record, as short or long as the options say.
pub(super) async fn print(context: &mut Context, record: &Sdr, extended: bool) -> Result<(), Failed> {
    let (csv, verbose) = (context.csv, context.verbose > 0);
    match &record.body {
        SdrBody::Sensor(sensor) => {
            let reading = read(context, sensor).await?;
            match (csv, verbose, extended) {
                (true, ..) => sdr_detail::print_csv(sensor, &reading, verbose),
                (_, true, _) => sdr_detail::print_verbose(context, sensor, &reading).await?,
                (_, _, true) => print_extended(sensor, &reading),
                _ => print_short(sensor, &reading),
            }
        }
        SdrBody::EventOnly { number, entity: (id, instance), sensor_type, name, .. } => {
            if verbose {
                line(&format!("Sensor ID              : {name} (0x{number:x})"));
                line(&format!("Entity ID              : {id}.{instance} ({})", entity_name(*id)));
                line(&format!(
                    "Sensor Type            : {} (0x{sensor_type:02x})\n",
                    type_name(*sensor_type)
                ));
            } else if csv {
                line(&format!("{name},{number:02X}h,ns,{id}.{instance},Event-Only"));
            } else if extended {
                line(&format!("{name:<16} | {number:02X}h | ns  | {id:2}.{instance} | Event-Only"));
            } else {
                line(&format!("{name:<16} | Event-Only        | ns"));
            }
        }
        SdrBody::Generic(l) => {
            let ((id, instance), name) = (l.entity, &l.name);
            let (access, device, oem) = (l.access_address, l.device, l.oem);
            if verbose {
                print_locator(l, false);
            } else if csv {
                line(&format!("{name},00h,ns,{id}.{instance}"));
            } else if extended {
                line(&format!(
                    "{name:<16} | 00h | ns  | {id:2}.{instance} | Generic Device @{access:02X}h:{device:02X}h.{oem}"
                ));
            } else {
                line(&format!("{name:<16} | Generic @{access:02X}:{device:02X}.{oem:<2} | ok"));
            }
        }
        SdrBody::Fru(l) => {
            let ((id, instance), name, device) = (l.entity, &l.name, l.device);
            let kind = if l.logical { "Logical" } else { "Physical" };
            if verbose {
                print_locator(l, true);
            } else if csv {
                line(&format!("{name},00h,ns,{id}.{instance}"));
            } else if extended {
                line(&format!("{name:<16} | 00h | ns  | {id:2}.{instance} | {kind} FRU @{device:02X}h"));
            } else {
                let short = if l.logical { "Log" } else { "Phy" };
                line(&format!("{name:<16} | {short} FRU @{device:02X}h {id:02x}.{instance:x} | ok"));
            }
        }
        SdrBody::Controller { .. } => print_controller(record, csv, verbose, extended),
        _ => {}
    }
    Ok(())
}

fn print_controller(record: &Sdr, csv: bool, verbose: bool, extended: bool) {
    let SdrBody::Controller { address, channel, notification, support, entity: (id, instance), name } =
        &record.body
    else {
        return;
    };
    let presence = if notification & 1 == 1 { "Static" } else { "Dynamic" };
    if csv {
        line(&format!("{name},00h,ok,{id}.{instance}"));
    } else if extended && !verbose {
        line(&format!("{name:<16} | 00h | ok  | {id:2}.{instance} | {presence} MC @ {address:02X}h"));
    } else if !verbose {
        let gap = if notification & 1 == 1 { " " } else { "" };
        line(&format!("{name:<16} | {presence} MC @ {address:02X}h {gap} | ok"));
    } else {
        let yes = |set: bool| if set { "Yes" } else { "No" };
        let required = |set: bool| if set { "Required" } else { "Not Required" };
        line(&format!("Device ID              : {name}"));
        line(&format!("Entity ID              : {id}.{instance} ({})", entity_name(*id)));
        line(&format!("Device Slave Address   : {address:02X}h"));
        line(&format!("Channel Number         : {channel:01X}h"));
        line(&format!("ACPI System P/S Notif  : {}", required(notification & 0x80 != 0)));
        line(&format!("ACPI Device P/S Notif  : {}", required(notification & 0x40 != 0)));
        line(&format!("Controller Presence    : {presence}"));
        line("Logs Init Agent Errors : No");
        line("Event Message Gen      : Enable");
        line("Device Capabilities");
        let bits = [
            ("Chassis Device       ", 7),
            ("Bridge               ", 6),
            ("IPMB Event Generator ", 5),
            ("IPMB Event Receiver  ", 4),
            ("FRU Inventory Device ", 3),
            ("SEL Device           ", 2),
            ("SDR Repository       ", 1),
            ("Sensor Device        ", 0),
        ];
        for (title, bit) in bits {
            line(&format!(" {title} : {}", yes(support >> bit & 1 == 1)));
        }
        line("");
    }
}

fn print_locator(l: &ipmi::command::sdr::Locator, fru: bool) {
    let ((id, instance), (kind, modifier)) = (l.entity, l.device_type);
    line(&format!("Device ID              : {}", l.name));
    line(&format!("Entity ID              : {id}.{instance} ({})", entity_name(id)));
    line(&format!("Device Access Address  : {:02X}h", l.access_address));
    if fru {
        let title = if l.logical { "Logical FRU Device     " } else { "Slave Address          " };
        line(&format!("{title}: {:02X}h", l.device));
    } else {
        line(&format!("Device Slave Address   : {:02X}h", l.device));
        line("Address Span           : 00h");
    }
    line(&format!("Channel Number         : {:01X}h", l.channel));
    line(&format!("LUN.Bus                : {:01X}h.{:01X}h", l.lun, l.bus));
    let name = match (kind, modifier) {
        (0x10, 0) => "IPMI FRU Inventory",
        (0x10, 1) => "DIMM Memory ID",
        (0x10, 2) => "IPMI FRU Inventory",
        (0x10, 3) => "System Processor FRU",
        _ => "Unspecified",
    };
    line(&format!("Device Type.Modifier   : {kind:01X}h.{modifier:01X}h ({name})"));
    line(&format!("OEM                    : {:02X}h", l.oem));
    line("");
}

fn print_short(sensor: &Sensor, reading: &Reading) {
    let full = sensor.full.is_some();
    let value = if reading.valid() {
        match reading.value {
            Some(_) => format!("{} {}", reading.text(2), reading.unit),
            None if sensor.is_threshold() => format!("0x{:02x}", reading.octets.raw),
            None => format!("0x{:02x}", reading.octets.states),
        }
    } else if !full {
        "Not Readable".to_owned()
    } else if reading.octets.scanning() || reading.octets.flags == 0xe0 {
        "no reading".to_owned()
    } else {
        "disabled".to_owned()
    };
    let value: String = value.chars().take(15).collect();
    let status = match sensor.is_threshold() {
        true => reading.status(false, false, "ns"),
        false if reading.valid() => "ok",
        false => "ns",
    };
    line(&format!("{:<16} | {value:<17} | {status}", sensor.name));
}

fn print_extended(sensor: &Sensor, reading: &Reading) {
    let status = match sensor.is_threshold() {
        true => reading.status(false, true, "ns"),
        false if reading.valid() => "ok",
        false => "ns",
    };
    let mut shown = String::new();
    if !reading.valid() {
        shown.push_str(if reading.octets.scanning() { "No Reading" } else { "Disabled" });
    } else if sensor.is_threshold() && reading.value.is_some() {
        shown = format!("{} {}", reading.text(2), reading.unit);
    } else {
        if reading.value.is_some() {
            shown = format!("{} {}", reading.text(2), reading.unit);
        }
        let o = &reading.octets;
        let names = states(sensor.sensor_type, sensor.event_type, o.states, o.more_states);
        if !names.is_empty() && !shown.is_empty() {
            shown.push_str(", ");
        }
        shown.push_str(&names.join(", "));
    }
    let (id, instance) = sensor.entity;
    line(&format!(
        "{:<16} | {:02X}h | {status:<3} | {id:2}.{instance} | {shown}",
        sensor.name, sensor.number
    ));
}

async fn info(context: &mut Context) -> Result<(), Failed> {
    let info = context.bmc.execute(&GetSdrRepositoryInfo).await?;
    line(&format!("SDR Version                         : 0x{:x}", info.version));
    line(&format!("Record Count                        : {}", info.records));
    let free = match info.free {
        0x0000 => "none (full)".to_owned(),
        0xffff => "unspecified".to_owned(),
        0xfffe => "> 64Kb - 2 bytes".to_owned(),
        free => format!("{free} bytes"),
    };
    line(&format!("Free Space                          : {free}"));
    let time = super::time::text;
    // ipmitool shows a time only where the repository can be changed so.
    let when = |n: u8, seconds| if info.support >> n & 1 == 1 { time(seconds) } else { "NA".to_owned() };
    line(&format!("Most recent Addition                : {}", when(2, info.added)));
    line(&format!("Most recent Erase                   : {}", when(3, info.erased)));
    let bit = |n: u8| if info.support >> n & 1 == 1 { "yes" } else { "no" };
    line(&format!("SDR overflow                        : {}", bit(7)));
    let update = match info.support >> 5 & 3 {
        0 => "unspecified",
        1 => "non-modal",
        2 => "modal",
        _ => "both modal and non-modal",
    };
    line(&format!("SDR Repository Update Support       : {update}"));
    line(&format!("Delete SDR supported                : {}", bit(3)));
    line(&format!("Partial Add SDR supported           : {}", bit(2)));
    line(&format!("Reserve SDR repository supported    : {}", bit(1)));
    line(&format!("SDR Repository Alloc info supported : {}", bit(0)));
    Ok(())
}

fn print_types() {
    line("Sensor Types:");
    let names: Vec<_> = names::sensor_types().zip(0u8..).skip(1).collect();
    for pair in names.chunks(2) {
        part("\t");
        let cells: Vec<_> =
            pair.iter().map(|(name, number)| format!("{name:<25} (0x{number:02x})")).collect();
        line(&cells.join("   "));
    }
}

/// All entities in two columns.
fn print_entities() {
    line("\nEntity IDs:\n");
    let cells: Vec<_> = names::entities().map(|(id, name)| format!("  {id:>4}  {name:<32}")).collect();
    for pair in cells.chunks(2) {
        line(&pair.join("  "));
    }
    line("");
}

/// The sensor type of a word: a name, or a number behind 0x.
fn type_number(word: &str) -> Option<u8> {
    if let Some(hex) = word.strip_prefix("0x") {
        return u8::from_str_radix(hex, 16).ok();
    }
    let found = names::sensor_types().zip(0u8..).find(|(name, _)| name.eq_ignore_ascii_case(word));
    found.map(|(_, number)| number)
}

fn is_of_kind(record: &Sdr, kind: &str) -> bool {
    match (&record.body, kind) {
        (_, "all") => true,
        (SdrBody::Sensor(sensor), "full") => sensor.full.is_some(),
        (SdrBody::Sensor(sensor), "compact") => sensor.full.is_none(),
        (SdrBody::EventOnly { .. }, "event") => true,
        (SdrBody::Controller { .. }, "mcloc") => true,
        (SdrBody::Fru(_), "fru") => true,
        (SdrBody::Generic(_), "generic") => true,
        // What is listed without a word.
        (SdrBody::Sensor(_), "") => true,
        _ => false,
    }
}

pub(super) async fn run(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    let (verb, rest) = rest.split_first().map_or(("list", rest), |(verb, rest)| (*verb, rest));
    match (verb, rest) {
        ("info", _) => return info(context).await,
        ("type", [] | ["list" | "help", ..]) => {
            print_types();
            return Ok(());
        }
        ("type", [word, ..]) if type_number(word).is_none() => {
            note(&format!("Sensor Type \"{word}\" not found."));
            print_types();
            return Ok(());
        }
        ("entity", [] | ["list" | "help", ..]) => {
            print_entities();
            return Ok(());
        }
        ("help", _) | ("list" | "elist", ["help", ..]) => return hint(USAGE),
        ("dump", [path, ..]) => return dump(context, path).await,
        _ => {}
    }
    let records = context.bmc.sensor_data_records().await?;
    match (verb, rest) {
        ("list" | "elist", rest) => {
            let kind = rest.first().copied().unwrap_or("");
            for record in records.iter().filter(|record| is_of_kind(record, kind)) {
                print(context, record, verb == "elist").await?;
            }
        }
        ("type", [word, ..]) => {
            let Some(wanted) = type_number(word) else {
                return Err(format!("Sensor Type \"{word}\" not found.").into());
            };
            for record in &records {
                let kind = match &record.body {
                    SdrBody::Sensor(sensor) => Some(sensor.sensor_type),
                    SdrBody::EventOnly { sensor_type, .. } => Some(*sensor_type),
                    _ => None,
                };
                if kind == Some(wanted) {
                    print(context, record, true).await?;
                }
            }
        }
        ("entity", [word, ..]) => {
            let (id, instance) = entity_of(word)?;
            for record in &records {
                let here = record.entity();
                if here.is_some_and(|(a, b)| a == id && (instance == 127 || b == instance)) {
                    print(context, record, true).await?;
                }
            }
        }
        (_, names) => {
            context.verbose = context.verbose.max(1);
            for name in names {
                match records.iter().find(|record| record.name().eq_ignore_ascii_case(name)) {
                    Some(record) => print(context, record, true).await?,
                    None => note(&format!("Unable to find sensor id '{name}'")),
                }
            }
        }
    }
    Ok(())
}

/// Writes all records as they are.
async fn dump(context: &mut Context, path: &str) -> Result<(), Failed> {
    line(&format!("Dumping Sensor Data Repository to '{path}'"));
    let octets = context.bmc.sensor_data_octets().await?.concat();
    std::fs::write(path, octets).map_err(|error| format!("writing {path}: {error}").into())
}

/// Whether a command's refusal can be passed over.
pub(super) async fn ask<C: Command>(context: &mut Context, command: &C) -> Result<Option<C::Reply>, Failed> {
    match context.bmc.execute(command).await {
        Ok(reply) => Ok(Some(reply)),
        Err(BmcError::Completion(_) | BmcError::Malformed(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
