//! `sel` (ipmitool's lib/ipmi_sel.c).

use ipmi::command::sdr::{Sdr, SdrBody, Sensor};
use ipmi::command::sel::{ClearSel, GetSelInfo, GetSelTime, ReserveSel, SelRecord, SystemEvent};
use ipmi::driver::BmcError;
use ipmi::session::{Privilege, Request};

use super::{Context, Failed, hint, integer, sdr, sensor, time};
use crate::output::{line, note};

const USAGE: &str = "SEL Commands:  info clear delete list elist get add time save writeraw";

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        [] | ["info" | "clear" | "help" | "get" | "delete" | "save" | "writeraw" | "time", ..] => Ok(()),
        ["list" | "elist", words @ ..] => part(words).map(drop),
        ["add" | "readraw" | "ereadraw"] | ["interpret"] | ["interpret", _] | ["interpret", _, _] => Ok(()),
        ["add" | "readraw" | "ereadraw" | "interpret", ..] => {
            Err(String::from("this SEL command is not supported by this program").into())
        }
        [word, ..] => Err(format!("Invalid SEL command: {word}").into()),
    }
}

/// Which part of the log `first N`, `last N` or `N` (as `first N`) is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    All,
    First(usize),
    Last(usize),
}

fn part(words: &[&str]) -> Result<Part, Failed> {
    let count = |word: &str| match integer(word) {
        Some(0) => Ok(usize::MAX), // ipmitool counts down to zero
        Some(count) => Ok(count as usize),
        None => Err(Failed::from(format!("Numeric argument required; got '{word}'"))),
    };
    match words {
        [] => Ok(Part::All),
        [word] | ["first", word] => count(word).map(Part::First),
        ["last", word] => count(word).map(Part::Last),
        [_, _] => Err(String::from("Unknown sel list option").into()),
        _ => Ok(Part::All),
    }
}

async fn info(context: &mut Context) -> Result<(), Failed> {
    let info = context.bmc.execute(&GetSelInfo).await?;
    let (low, high) = (info.version & 0x0f, info.version >> 4);
    let compliant = if matches!(info.version, 0x51 | 0x02) { "v1.5, v2 compliant" } else { "Unknown" };
    line("SEL Information");
    line(&format!("Version          : {low:x}.{high:x} ({compliant})"));
    line(&format!("Entries          : {}", info.entries));
    let more = if info.free == 0xffff { "or more" } else { "" };
    line(&format!("Free Space       : {} bytes {more}", info.free));
    let used = u32::from(info.entries) * 16;
    let total = used + u32::from(info.free);
    match (100 * used).checked_div(total) {
        _ if total >= 0xffff => line("Percent Used     : unknown"),
        percent => line(&format!("Percent Used     : {}%", percent.unwrap_or(0))),
    }
    let when = |seconds: u32| match seconds {
        0 | u32::MAX => "Not Available".to_owned(),
        seconds => time::text(seconds),
    };
    line(&format!("Last Add Time    : {}", when(info.added)));
    line(&format!("Last Del Time    : {}", when(info.erased)));
    line(&format!("Overflow         : {}", info.support & 0x80 != 0));
    let names = [(3, "Delete"), (2, "Partial Add"), (1, "Reserve"), (0, "Get Alloc Info")];
    let supported: String = names
        .iter()
        .filter(|(bit, _)| info.support >> bit & 1 == 1)
        .map(|(_, name)| format!("'{name}' "))
        .collect();
    let supported = if supported.is_empty() { "None".to_owned() } else { supported };
    line(&format!("Supported Cmds   : {supported}"));
    if info.support & 1 == 0 {
        return Ok(());
    }
    // Get SEL Allocation Info (IPMI v2.0 §31.3).
    let (code, data) = context.bmc.request(Request::new(0x0a, 0x41, Vec::new())).await?;
    if !code.is_ok() {
        return Err(format!("Get SEL Allocation Info command failed: {}", code.text()).into());
    }
    let titles = ["# of Alloc Units", "Alloc Unit Size", "# Free Units", "Largest Free Blk"];
    for (title, pair) in titles.iter().zip(data.chunks(2)) {
        let value = pair.first_chunk().map_or(0, |pair| u16::from_le_bytes(*pair));
        line(&format!("{title:<17}: {value}"));
    }
    line(&format!("Max Record Size  : {}", data.get(8).copied().unwrap_or(0)));
    Ok(())
}

fn sensor_of<'a>(records: &'a [Sdr], event: &SystemEvent) -> Option<&'a Sensor> {
    records.iter().find_map(|record| match &record.body {
        SdrBody::Sensor(sensor) => (sensor.number == event.sensor
            && u16::from(sensor.owner) == event.generator & 0xff
            && sensor.sensor_type == event.sensor_type)
            .then_some(sensor.as_ref()),
        _ => None,
    })
}

/// ipmitool's one line for an event; `records` are at hand in the extended form.
fn print_line(context: &Context, record: &SelRecord, records: Option<&[Sdr]>) {
    let csv = context.csv;
    let separator = if csv { "," } else { " | " };
    let id = if csv { format!("{:x}", record.id) } else { format!("{:4x}", record.id) };
    let Some(event) = record.event() else {
        let hex: String = record.octets.iter().skip(1).map(|octet| format!("{octet:02x}")).collect();
        line(&format!("{id}{separator}OEM record {:02x}{separator}{hex}", record.kind()));
        return;
    };
    let mut text = id;
    text.push_str(separator);
    if time::since_start(event.time) {
        text.push_str(&if csv {
            format!(" Pre-Init ,{:010}{separator}", event.time)
        } else {
            format!(" Pre-Init  |{:010}| ", event.time)
        });
    } else {
        text.push_str(&format!(
            "{}{separator}{} UTC{separator}",
            time::calendar(event.time),
            time::clock(event.time)
        ));
    }
    text.push_str(&sdr::type_name(event.sensor_type));
    let sensor = records.and_then(|records| sensor_of(records, &event));
    match (records, sensor) {
        (Some(_), Some(sensor)) => text.push_str(&format!(" {}", sensor.name)),
        _ if event.sensor != 0 => text.push_str(&format!(" #0x{:02x}", event.sensor)),
        _ => {}
    }
    text.push_str(separator);
    text.push_str(event.text().unwrap_or_default());
    text.push_str(separator);
    text.push_str(if event.deassertion { "Deasserted" } else { "Asserted" });
    if let (Some(sensor), Some((reading, threshold))) = (sensor, event.trigger())
        && let Some(conversion) = sensor.analog()
    {
        let [first, _, _] = event.data;
        let number =
            |value: f64| if value == value.trunc() { format!("{value:.0}") } else { format!("{value:.2}") };
        let relation = if first & 1 == 1 { ">" } else { "<" };
        let (reading, threshold) = (conversion.value(reading), conversion.value(threshold));
        text.push_str(&format!(
            "{separator}Reading {} {relation} Threshold {} {}",
            number(reading),
            number(threshold),
            sensor.unit()
        ));
    }
    line(&text);
}

fn print_verbose(record: &SelRecord, sensor: Option<&Sensor>, raw: &str) {
    line(&format!("SEL Record ID          : {:04x}", record.id));
    line(&format!(" Record Type           : {:02x}", record.kind()));
    let Some(event) = record.event() else {
        let hex: String = record.octets.iter().skip(1).map(|octet| format!("{octet:02x}")).collect();
        line(&format!(" OEM Defined           : {hex}\n"));
        return;
    };
    let stamp = if time::since_start(event.time) {
        // ipmitool writes the day of the year here, twice.
        let days = event.time / 86_400 + 1;
        format!("S+ 70/{days:03} S+ 70/{days:03}")
    } else {
        format!("{} {} UTC", time::calendar(event.time), time::clock(event.time))
    };
    line(&format!(" Timestamp             : {stamp}"));
    line(&format!(" Generator ID          : {:04x}", event.generator));
    line(&format!(" EvM Revision          : {:02x}", event.revision));
    line(&format!(" Sensor Type           : {}", sdr::type_name(event.sensor_type)));
    line(&format!(" Sensor Number         : {:02x}", event.sensor));
    let kind = match event.event_type {
        0x00 => "Unspecified",
        0x01 => "Threshold",
        0x02..=0x0c => "Generic Discrete",
        0x6f => "Sensor-specific Discrete",
        0x70..=0x7f => "OEM",
        _ => "Reserved",
    };
    line(&format!(" Event Type            : {kind}"));
    let direction = if event.deassertion { "Deassertion Event" } else { "Assertion Event" };
    line(&format!(" Event Direction       : {direction}"));
    let [a, b, c] = event.data;
    line(&format!(" {raw:<22}: {a:02x}{b:02x}{c:02x}"));
    if let (Some(sensor), Some((reading, threshold))) = (sensor, event.trigger())
        && let Some(conversion) = sensor.analog()
    {
        line(&format!(" Trigger Reading       : {:.3}{}", conversion.value(reading), sensor.unit()));
        line(&format!(" Trigger Threshold     : {:.3}{}", conversion.value(threshold), sensor.unit()));
    }
    line(&format!(" Description           : {}", event.text().unwrap_or_default()));
    line("");
}

async fn get(context: &mut Context, ids: &[&str]) -> Result<(), Failed> {
    let records = context.bmc.sensor_data_records().await?;
    let log = context.bmc.event_log().await?;
    let mut missing = false;
    for (at, word) in ids.iter().enumerate() {
        let id = integer(word).and_then(|id| u16::try_from(id).ok());
        if id.is_none() {
            note(&format!("Given SEL ID '{word}' is invalid."));
        }
        // Record 0 is the first, FFFFh the last (IPMI v2.0 §31.5).
        let found = match id {
            Some(0) => log.first(),
            Some(0xffff) => log.last(),
            id => log.iter().find(|record| Some(record.id) == id),
        };
        let Some(record) = found else {
            missing = true;
            continue;
        };
        let found = record.event().and_then(|event| sensor_of(&records, &event));
        print_verbose(record, found, "Event Data (RAW)");
        if let Some(found) = found {
            let reading = sdr::read(context, found).await?;
            sensor::print_one(context, found, &reading).await?;
            if at + 1 < ids.len() {
                line("----------------------\n");
            }
        }
    }
    if missing { Err(Failed(None)) } else { Ok(()) }
}

/// Deletes entries, the last named first, as ipmitool does.
async fn delete(context: &mut Context, ids: &[&str]) -> Result<(), Failed> {
    let reservation = context.bmc.execute(&ReserveSel).await?.to_le_bytes();
    let mut failed = false;
    for word in ids.iter().rev() {
        let Some(id) = integer(word).and_then(|id| u16::try_from(id).ok()) else {
            note(&format!("Given SEL ID '{word}' is invalid."));
            failed = true;
            continue;
        };
        let data = [reservation, id.to_le_bytes()].concat();
        let request = Request { privilege: Privilege::Operator, ..Request::new(0x0a, 0x46, data) };
        let (code, _) = context.bmc.request(request).await?;
        if code.is_ok() {
            line(&format!("Deleted entry {id}"));
        } else {
            note(&format!("Unable to delete entry {id}: {}", code.text()));
            failed = true;
        }
    }
    if failed { Err(Failed(None)) } else { Ok(()) }
}

/// `time get`, `time set "mm/dd/yyyy hh:mm:ss"` (UTC), `time set now`.
async fn clock(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    match rest {
        ["get", ..] => {}
        ["set", text, ..] => {
            let seconds = match *text {
                "now" => time::now(),
                text => time::parse(text)
                    .ok_or_else(|| Failed::from(String::from("Specified time could not be parsed")))?,
            };
            let data = seconds.to_le_bytes().to_vec();
            let request = Request { privilege: Privilege::Operator, ..Request::new(0x0a, 0x49, data) };
            let (code, _) = context.bmc.request(request).await?;
            if !code.is_ok() {
                return Err(format!("Set SEL Time command failed: {}", code.text()).into());
            }
        }
        ["set"] => return hint("usage: sel time set \"mm/dd/yyyy hh:mm:ss\""),
        _ => return hint("sel time commands: get set"),
    }
    let seconds = context.bmc.execute(&GetSelTime).await?;
    line(&time::text(seconds));
    Ok(())
}

/// A record as `sel save` writes it: the seven octets of Platform Event, and a comment.
fn saved(record: &SelRecord) -> String {
    let Some(e) = record.event() else { return String::new() };
    let [a, b, c] = e.data;
    let event = e.event_type | if e.deassertion { 0x80 } else { 0 };
    let octets = [e.revision, e.sensor_type, e.sensor, event, a, b, c].map(|octet| format!("0x{octet:02x}"));
    let (kind, text) = (sdr::type_name(e.sensor_type), e.text().unwrap_or("Unknown"));
    format!("{} # {kind} #0x{:02x} {text}\n", octets.join(" "), e.sensor)
}

pub(super) async fn run(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    let (verb, rest) = rest.split_first().map_or(("info", rest), |(verb, rest)| (*verb, rest));
    match (verb, rest) {
        ("info", _) => return info(context).await,
        ("get", []) => return hint("usage: sel get <entry>"),
        ("get", ids) => return get(context, ids).await,
        ("delete", []) => return hint("usage: sel delete <id>...<id>"),
        ("delete", ids) => return delete(context, ids).await,
        ("time", rest) => return clock(context, rest).await,
        ("save" | "writeraw" | "add" | "readraw" | "ereadraw" | "interpret", []) | ("interpret", _) => {
            return hint(&format!("usage: sel {verb} <filename>"));
        }
        ("help", _) => return hint(USAGE),
        ("clear", _) => {
            let reservation = context.bmc.execute(&ReserveSel).await.unwrap_or(0);
            context.bmc.execute(&ClearSel { reservation, start: true }).await?;
            line("Clearing SEL.  Please allow a few seconds to erase.");
            return Ok(());
        }
        _ => {}
    }
    let info = context.bmc.execute(&GetSelInfo).await?;
    if info.entries == 0 {
        return hint("SEL has no entries");
    }
    let log = context.bmc.event_log().await?;
    let wanted = if verb.ends_with("list") { part(rest)? } else { Part::All };
    let shown = match wanted {
        Part::All => log.as_slice(),
        Part::First(count) => log.get(..count).unwrap_or(&log),
        Part::Last(count) => log.get(log.len().saturating_sub(count)..).unwrap_or(&log),
    };
    let records = match verb {
        "elist" => match context.bmc.sensor_data_records().await {
            Ok(records) => Some(records),
            Err(BmcError::Completion(_)) => Some(Vec::new()),
            Err(error) => return Err(error.into()),
        },
        _ => None,
    };
    for record in shown {
        if context.verbose > 0 {
            print_verbose(record, None, "Event Data");
        } else {
            print_line(context, record, records.as_deref());
        }
    }
    let octets: Vec<u8> = match verb {
        "writeraw" => {
            let record = |record: &SelRecord| [&record.id.to_le_bytes()[..], &record.octets].concat();
            shown.iter().flat_map(record).collect()
        }
        "save" => shown.iter().flat_map(|record| saved(record).into_bytes()).collect(),
        _ => return Ok(()),
    };
    let path = rest.first().copied().unwrap_or_default();
    std::fs::write(path, octets).map_err(|error| format!("writing {path}: {error}").into())
}
