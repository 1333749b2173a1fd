//! `sensor` (ipmitool's lib/ipmi_sensor.c).

use ipmi::command::reading::{GetSensorThresholds, SensorThresholds, SetSensorThresholds};
use ipmi::command::sdr::{Sdr, SdrBody, Sensor};

use super::sdr::{self, Reading};
use super::{Context, Failed};
use crate::output::{line, note};

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        [] | ["list", ..] | ["get" | "reading", _, ..] => Ok(()),
        ["thresh", _, which, _, ..] if ["upper", "lower"].contains(which) || position(which).is_some() => {
            Ok(())
        }
        [word, ..] => Err(format!("Invalid sensor command: {word}").into()),
    }
}

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

async fn get_one(context: &mut Context, record: &Sdr) -> Result<(), Failed> {
    let sensor = match &record.body {
        SdrBody::Sensor(sensor) => sensor,
        SdrBody::Fru(locator) => {
            sdr::print_locator(locator, true);
            return Ok(());
        }
        SdrBody::Generic(locator) => {
            sdr::print_locator(locator, false);
            return Ok(());
        }
        _ => return Ok(()),
    };
    let reading = sdr::read(context, sensor).await?;
    print_one(context, sensor, &reading).await
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
        line(&format!(" Sensor Reading        : {}", sdr::with_tolerance(sensor, reading, "")));
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
                sdr::print_hysteresis(sensor);
            }
            None => line(" Sensor Threshold Settings not available"),
        }
    } else {
        line(" Sensor Reading        :  Unable to read sensor: Device Not Present\n");
    }
    sdr::print_event_status(context, sensor).await?;
    sdr::print_event_enable(context, sensor).await?;
    line("");
    Ok(())
}

fn position(word: &str) -> Option<usize> {
    ["lnc", "lcr", "lnr", "unc", "ucr", "unr"].iter().position(|name| *name == word)
}

async fn set_thresholds(context: &mut Context, records: &[Sdr], rest: &[&str]) -> Result<(), Failed> {
    let [name, which, values @ ..] = rest else {
        return Err(String::from("sensor thresh NAME WHICH VALUE").into());
    };
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
    if places.len() != values.len() {
        return Err(String::from("one value per threshold is needed").into());
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
    let records = context.bmc.sensor_data_records().await?;
    match rest {
        ["get", names @ ..] => {
            line("Locating sensor record...");
            let mut missing = false;
            for name in names {
                match records.iter().find(|record| record.name().eq_ignore_ascii_case(name)) {
                    Some(record) => get_one(context, record).await?,
                    None => {
                        note(&format!("Sensor data record \"{name}\" not found!"));
                        missing = true;
                    }
                }
            }
            if missing { Err(Failed(None)) } else { Ok(()) }
        }
        ["reading", names @ ..] => {
            for name in names {
                let found = records.iter().find(|record| record.name().eq_ignore_ascii_case(name));
                let Some(SdrBody::Sensor(sensor)) = found.map(|record| &record.body) else {
                    return Err(format!("Sensor \"{name}\" not found!").into());
                };
                let reading = sdr::read(context, sensor).await?;
                if sensor.full.is_some() && reading.valid() {
                    let separator = if context.csv { "," } else { " | " };
                    let width = if context.csv { 0 } else { 16 };
                    line(&format!("{:<width$}{separator}{}", sensor.name, reading.text(3)));
                }
            }
            Ok(())
        }
        ["thresh", rest @ ..] => set_thresholds(context, &records, rest).await,
        _ => {
            for record in &records {
                if let SdrBody::Sensor(sensor) = &record.body {
                    list_one(context, sensor).await?;
                }
            }
            Ok(())
        }
    }
}
