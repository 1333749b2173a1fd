//! `sel` (ipmitool's lib/ipmi_sel.c).

use ipmi::command::sdr::{Sdr, SdrBody, Sensor};
use ipmi::command::sel::{ClearSel, GetSelInfo, GetSelTime, ReserveSel, SelRecord, SystemEvent};
use ipmi::driver::BmcError;

use super::{Context, Failed, sdr, sensor, time};
use crate::output::{line, note};

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        [] | ["info" | "list" | "elist" | "clear", ..] | ["get", _, ..] | ["time", "get", ..] => Ok(()),
        [word, ..] => Err(format!("Invalid SEL command: {word}").into()),
    }
}

async fn info(context: &mut Context) -> Result<(), Failed> {
    let info = context.bmc.execute(&GetSelInfo).await?;
    let (low, high) = (info.version & 0x0f, info.version >> 4);
    let compliant = if matches!(info.version, 0x51 | 0x02) { "v1.5, v2" } else { "unknown" };
    line("SEL Information");
    line(&format!("Version          : {low:x}.{high:x} ({compliant} compliant)"));
    line(&format!("Entries          : {}", info.entries));
    let more = if info.free == 0xffff { "or more" } else { "" };
    line(&format!("Free Space       : {} bytes {more}", info.free));
    let used = u32::from(info.entries) * 16;
    let percent =
        if info.free == 0xffff { None } else { (100 * used).checked_div(used + u32::from(info.free)) };
    match percent {
        Some(percent) => line(&format!("Percent Used     : {percent}%")),
        None => line("Percent Used     : unknown"),
    }
    let when = |seconds: u32| match seconds {
        0 | u32::MAX => "Not Available".to_owned(),
        seconds => time::text(seconds),
    };
    if info.entries != 0 && info.added != u32::MAX && info.added != 0 {
        line(&format!("Last Add Time    : {}", time::text(info.added)));
    } else {
        line("Last Add Time    : Not Available");
    }
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
    for word in ids {
        let id = match word.strip_prefix("0x") {
            Some(hex) => u16::from_str_radix(hex, 16),
            None => word.parse(),
        };
        let id = id.map_err(|_| format!("Given SEL ID '{word}' is invalid."))?;
        let Some(record) = log.iter().find(|record| record.id == id) else {
            return Err(format!("SEL record {word} not found").into());
        };
        let found = record.event().and_then(|event| sensor_of(&records, &event));
        print_verbose(record, found, "Event Data (RAW)");
        if let Some(found) = found {
            let reading = sdr::read(context, found).await?;
            sensor::print_one(context, found, &reading).await?;
        }
    }
    Ok(())
}

pub(super) async fn run(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    let (verb, rest) = rest.split_first().map_or(("info", rest), |(verb, rest)| (*verb, rest));
    match verb {
        "info" => return info(context).await,
        "get" => return get(context, rest).await,
        "time" => {
            let seconds = context.bmc.execute(&GetSelTime).await?;
            line(&time::text(seconds));
            return Ok(());
        }
        "clear" => {
            let reservation = context.bmc.execute(&ReserveSel).await.unwrap_or(0);
            context.bmc.execute(&ClearSel { reservation, start: true }).await?;
            line("Clearing SEL.  Please allow a few seconds to erase.");
            return Ok(());
        }
        _ => {}
    }
    let info = context.bmc.execute(&GetSelInfo).await?;
    if info.entries == 0 {
        note("SEL has no entries");
        return Ok(());
    }
    let log = context.bmc.event_log().await?;
    let count =
        |word: &str| word.parse::<usize>().map_err(|_| format!("Numeric argument required; got '{word}'"));
    let log = match rest {
        ["first", n, ..] => log.get(..count(n)?.min(log.len())),
        ["last", n, ..] => log.get(log.len().saturating_sub(count(n)?)..),
        [n, ..] => log.get(log.len().saturating_sub(count(n)?)..),
        [] => Some(log.as_slice()),
    };
    let records = match verb {
        "elist" => match context.bmc.sensor_data_records().await {
            Ok(records) => Some(records),
            Err(BmcError::Completion(_)) => Some(Vec::new()),
            Err(error) => return Err(error.into()),
        },
        _ => None,
    };
    for record in log.unwrap_or_default() {
        if context.verbose > 0 {
            print_verbose(record, None, "Event Data");
        } else {
            print_line(context, record, records.as_deref());
        }
    }
    Ok(())
}
