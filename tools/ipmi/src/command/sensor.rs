//! `sensor` (ipmitool's lib/ipmi_sensor.c).

use ipmi::command::reading::{Conversion, GetSensorThresholds, SensorThresholds, SetSensorThresholds};
use ipmi::command::sdr::{Sdr, SdrBody, Sensor};

use super::sdr::{self, Reading};
use super::{Context, Failed, hint, sdr_detail};
use crate::output::{line, note};

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        [] | ["list" | "help", ..] | ["get", _, ..] => Ok(()),
        ["reading", name, ..] if *name != "help" => Ok(()),
        ["thresh", "help", ..] | ["thresh"] | ["thresh", _] | ["thresh", _, _] => Ok(()),
        ["thresh", _, which, values @ ..] => {
            let wanted = match *which {
                "upper" | "lower" => 3,
                word if position(word).is_some() => 1,
                word => return Err(format!("Valid threshold '{word}' is not specified!").into()),
            };
            let values = values.get(..wanted);
            let values = values.ok_or_else(|| Failed::from(THRESHOLD_USAGE.to_owned()))?;
            match values.iter().find(|value| value.parse::<f64>().is_err()) {
                Some(value) => Err(format!("Given {which} threshold value '{value}' is invalid.").into()),
                None => Ok(()),
            }
        }
        ["get"] => Err(String::from("Not enough parameters given.\nsensor get <id> ... [id]").into()),
        ["reading", ..] => Err(String::from("sensor reading <id> ... [id]").into()),
        [word, ..] => Err(format!("Invalid sensor command: {word}").into()),
    }
}

const THRESHOLD_USAGE: &str = "\
sensor thresh <id> <threshold> <setting>
   threshold : unr, ucr, unc, lnc, lcr, lnr
sensor thresh <id> lower <lnr> <lcr> <lnc>
sensor thresh <id> upper <unc> <ucr> <unr>";

/// Thresholds in the order listed: lower non-recoverable first; the place of each in the answer.
const LISTED: [usize; 6] = [2, 1, 0, 3, 4, 5];

fn shown(sensor: &Sensor, thresholds: Option<&SensorThresholds>, at: usize, analog: bool) -> String {
    let Some(raw) = thresholds.filter(|t| t.readable >> at & 1 == 1).and_then(|t| t.raw.get(at)) else {
        return "na".to_owned();
    };
    match sensor.analog().filter(|_| analog) {
        Some(conversion) => format!("{:.3}", conversion.value(*raw)),
        None => format!("0x{raw:x}"),
    }
}

async fn list_one(context: &mut Context, sensor: &Sensor) -> Result<(), Failed> {
    let reading = sdr::read(context, sensor).await?;
    let o = reading.octets;
    let name = &sensor.name;
    if !sensor.is_threshold() {
        let (value, unit, status) = match (reading.valid(), reading.value) {
            (false, _) => ("na".to_owned(), "discrete".to_owned(), "na".to_owned()),
            (true, Some(_)) => (reading.text(3), reading.unit.clone(), "ok".to_owned()),
            (true, None) => {
                let status = format!("0x{:02x}{:02x}", o.states, o.more_states);
                // ipmitool's table shows the states where its CSV shows the raw reading.
                let value = if context.csv { o.raw } else { o.states };
                (format!("0x{value:x}"), "discrete".to_owned(), status)
            }
        };
        if context.csv {
            line(&format!("{name},{value},{unit},{status},na,na,na,na,na,na"));
        } else {
            let rest = "| na        ".repeat(6);
            line(&format!("{name:<16} | {value:<10} | {unit:<10} | {status:<6}{rest}"));
        }
        return Ok(());
    }
    let thresholds = sdr::ask(context, &GetSensorThresholds(sensor.number)).await?;
    let thresholds = thresholds.as_ref().filter(|_| sensor.full.is_some());
    let cells: Vec<_> = LISTED.iter().map(|at| shown(sensor, thresholds, *at, true)).collect();
    let (value, status) = match (reading.valid(), reading.value) {
        (false, _) => ("na".to_owned(), "na"),
        (true, Some(value)) => (format!("{value:.3}"), reading.status(false, false, "ns")),
        (true, None) => (format!("0x{:x}", o.raw), reading.status(false, false, "ns")),
    };
    let unit = &reading.unit;
    if context.csv {
        line(&format!("{name},{value},{unit},{status},{}", cells.join(",")));
    } else {
        let rest: String = cells.iter().map(|cell| format!("| {cell:<10}")).collect();
        line(&format!("{name:<16} | {value:<10} | {unit:<10} | {status:<6}{rest}"));
    }
    Ok(())
}

/// False if it cannot be read.
async fn get_one(context: &mut Context, record: &Sdr) -> Result<bool, Failed> {
    let sensor = match &record.body {
        SdrBody::Sensor(sensor) => sensor,
        // What is no sensor is shown as `sdr get` does.
        _ => {
            let verbose = std::mem::replace(&mut context.verbose, 1);
            let outcome = sdr::print(context, record, false).await;
            context.verbose = verbose;
            return outcome.map(|()| true);
        }
    };
    let reading = sdr::read(context, sensor).await?;
    if context.csv {
        list_one(context, sensor).await?;
    } else {
        print_one(context, sensor, &reading).await?;
    }
    // Only a threshold sensor that cannot be read is a failure to ipmitool.
    Ok(reading.valid() || !sensor.is_threshold())
}

pub(super) async fn print_one(
    context: &mut Context,
    sensor: &Sensor,
    reading: &Reading,
) -> Result<(), Failed> {
    let (id, instance) = sensor.entity;
    let o = reading.octets;
    line(&format!("Sensor ID              : {} (0x{:x})", sensor.name, sensor.number));
    line(&format!(" Entity ID             : {id}.{instance}"));
    let kind = sdr::type_name(sensor.sensor_type);
    if !sensor.is_threshold() {
        line(&format!(" Sensor Type (Discrete): {kind}"));
        if reading.valid() {
            if reading.value.is_some() {
                line(&format!(" Sensor Reading        : {} {}", reading.text(3), reading.unit));
            }
            sdr::print_states("States Asserted", sensor, o.states, o.more_states);
            line("");
        } else {
            line(" Unable to read sensor: Device Not Present\n");
        }
        return Ok(());
    }
    line(&format!(" Sensor Type (Threshold)  : {kind}"));
    if reading.valid() {
        line(&format!(" Sensor Reading        : {}", sdr_detail::with_tolerance(sensor, reading, "")));
        line(&format!(" Status                : {}", reading.status(true, false, "ns")));
        let thresholds = sdr::ask(context, &GetSensorThresholds(sensor.number)).await?;
        match &thresholds {
            Some(_) => {
                let titles = [
                    "Lower Non-Recoverable",
                    "Lower Critical       ",
                    "Lower Non-Critical   ",
                    "Upper Non-Critical   ",
                    "Upper Critical       ",
                    "Upper Non-Recoverable",
                ];
                for (title, at) in titles.iter().zip(LISTED).filter(|_| sensor.full.is_some()) {
                    line(&format!(" {title} : {}", shown(sensor, thresholds.as_ref(), at, true)));
                }
                sdr_detail::print_hysteresis(sensor);
            }
            None => line(" Sensor Threshold Settings not available"),
        }
    } else {
        line(" Sensor Reading        :  Unable to read sensor: Device Not Present\n");
    }
    sdr_detail::print_event_status(context, sensor).await?;
    sdr_detail::print_event_enable(context, sensor).await?;
    line("");
    Ok(())
}

fn position(word: &str) -> Option<usize> {
    ["lnc", "lcr", "lnr", "unc", "ucr", "unr"].iter().position(|name| *name == word)
}

/// Whether a threshold keeps its place among those that can be read (`lnr < lcr < lnc < unc < ucr < unr`).
fn is_in_order(conversion: &Conversion, now: &SensorThresholds, place: usize, value: f64) -> bool {
    let at = |place: usize| {
        let raw = now.raw.get(place).filter(|_| now.readable >> place & 1 == 1);
        raw.map(|raw| conversion.value(*raw).max(0.0)) // ipmitool takes what is below zero for zero
    };
    let above = |other: usize| at(other).is_none_or(|limit| value > limit);
    let below = |other: usize| at(other).is_none_or(|limit| value < limit);
    let (lnc, lcr, lnr, unc, ucr, unr) = (0, 1, 2, 3, 4, 5);
    if at(place).is_none() {
        return true;
    }
    match place {
        0 => above(lcr) && above(lnr) && below(unc),
        1 => below(lnc) && above(lnr),
        2 => below(lnc) && below(lcr),
        3 => below(unr) && below(ucr) && above(lnc),
        4 => below(unr) && above(unc),
        _ => above(ucr) && above(unc),
    }
}

async fn set_thresholds(context: &mut Context, records: &[Sdr], rest: &[&str]) -> Result<(), Failed> {
    let [name, which, values @ ..] = rest else { return hint(THRESHOLD_USAGE) };
    line(&format!("Locating sensor record '{name}'..."));
    let found = records.iter().find_map(|record| match &record.body {
        SdrBody::Sensor(sensor) if sensor.name.eq_ignore_ascii_case(name) => Some(sensor),
        _ => None,
    });
    let sensor = found.ok_or_else(|| String::from("Sensor data record not found!"))?;
    let conversion = sensor.analog().ok_or_else(|| String::from("Invalid sensor: it has no thresholds"))?;
    let places: Vec<usize> = match *which {
        "lower" => vec![2, 1, 0],
        "upper" => vec![3, 4, 5],
        word => position(word).into_iter().collect(),
    };
    let alone = places.len() == 1;
    if alone && let (Some(place), Some(value)) = (places.first(), values.first().and_then(|v| v.parse().ok()))
    {
        let now = context.bmc.execute(&GetSensorThresholds(sensor.number)).await?;
        if !is_in_order(conversion, &now, *place, value) {
            return Err(String::from("Invalid Threshold data values. Cannot Set Threshold Data.").into());
        }
    }
    let titles = [
        "Lower Non-Critical",
        "Lower Critical",
        "Lower Non-Recoverable",
        "Upper Non-Critical",
        "Upper Critical",
        "Upper Non-Recoverable",
    ];
    for (place, value) in places.into_iter().zip(values) {
        let value: f64 = value.parse().map_err(|_| format!("Given threshold value {value:?} is invalid."))?;
        let title = titles.get(place).copied().unwrap_or_default();
        line(&format!("Setting sensor \"{}\" {title} threshold to {value:.3}", sensor.name));
        let raw =
            conversion.raw(value).ok_or_else(|| format!("{value} cannot be expressed by this sensor"))?;
        let mut octets = [0; 6];
        if let Some(slot) = octets.get_mut(place) {
            *slot = raw;
        }
        let command = SetSensorThresholds { number: sensor.number, mask: 1 << place, raw: octets };
        context.bmc.execute(&command).await?;
    }
    Ok(())
}

pub(super) async fn run(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    if matches!(rest, ["help", ..] | ["thresh", "help", ..] | ["thresh"] | ["thresh", _] | ["thresh", _, _]) {
        return hint(THRESHOLD_USAGE);
    }
    let records = context.bmc.sensor_data_records().await?;
    match rest {
        ["get", names @ ..] => {
            line("Locating sensor record...");
            let mut missing = false;
            for name in names {
                match records.iter().find(|record| record.name().eq_ignore_ascii_case(name)) {
                    Some(record) => missing |= !get_one(context, record).await?,
                    None => {
                        note(&format!("Sensor data record \"{name}\" not found!"));
                        missing = true;
                    }
                }
            }
            if missing { Err(Failed(None)) } else { Ok(()) }
        }
        ["reading", names @ ..] => {
            let mut missing = false;
            for name in names {
                let found = records.iter().find(|record| record.name().eq_ignore_ascii_case(name));
                let Some(found) = found else {
                    note(&format!("Sensor \"{name}\" not found!"));
                    missing = true;
                    continue;
                };
                let SdrBody::Sensor(sensor) = &found.body else { continue };
                let reading = sdr::read(context, sensor).await?;
                if sensor.full.is_some() && reading.valid() {
                    let separator = if context.csv { "," } else { " | " };
                    let width = if context.csv { 0 } else { 16 };
                    line(&format!("{name:<width$}{separator}{}", reading.text(3)));
                }
            }
            if missing { Err(Failed(None)) } else { Ok(()) }
        }
        ["thresh", rest @ ..] => set_thresholds(context, &records, rest).await,
        _ => {
            for record in &records {
                let SdrBody::Sensor(sensor) = &record.body else { continue };
                if context.verbose > 0 && !context.csv {
                    let reading = sdr::read(context, sensor).await?;
                    print_one(context, sensor, &reading).await?;
                } else {
                    list_one(context, sensor).await?;
                }
            }
            Ok(())
        }
    }
}
