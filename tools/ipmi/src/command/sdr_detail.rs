//! One sensor in full: `sdr get`, `-v`, and what `sensor get` shows of it (ipmitool's lib/ipmi_sdr.c).

use ipmi::command::reading::{GetSensorEventEnable, GetSensorEventStatus};
use ipmi::command::sdr::Sensor;
use ipmi::driver::BmcError;

use super::sdr::{Reading, entity_name, print_states, states, type_name};
use super::{Context, Failed};
use crate::output::line;

/// A sensor with `-c`; `-v` adds what its record says.
pub(super) fn print_csv(sensor: &Sensor, reading: &Reading, verbose: bool) {
    let (id, instance) = sensor.entity;
    if sensor.is_threshold() && (!reading.valid() || reading.value.is_some()) {
        let mut text = if reading.valid() {
            let status = reading.status(false, false, "ns");
            format!("{},{},{},{status}", sensor.name, reading.text(3), reading.unit)
        } else {
            format!("{},,,ns", sensor.name)
        };
        if verbose {
            let kind = type_name(sensor.sensor_type);
            text.push_str(&format!(",{id}.{instance},{},{kind},{}", entity_name(id), csv_limits(sensor)));
        }
        line(&text);
    } else if !reading.valid() {
        line(&format!("{},{:02X}h,ns,{id}.{instance},No Reading", sensor.name, sensor.number));
    } else {
        let shown = match reading.value {
            Some(_) => format!("{},{}", reading.text(2), reading.unit),
            None => format!("{:02X}h", sensor.number),
        };
        let o = &reading.octets;
        let names = states(sensor.sensor_type, sensor.event_type, o.states, o.more_states).join(", ");
        line(&format!("{},{shown},ok,{id}.{instance},{names}", sensor.name));
    }
}

/// Nominal, normal, the six thresholds, then the sensor's range, as far as the record knows them.
fn csv_limits(sensor: &Sensor) -> String {
    let Some(full) = &sensor.full else { return ",,,,,,,,,,".to_owned() };
    let value = |raw: u8| sensor.analog().map(|conversion| format!("{:.3}", conversion.value(raw)));
    let shown = |raw: u8| value(raw).unwrap_or_else(|| format!("0x{raw:02X}"));
    let [nominal, normal_max, normal_min, max, min] = full.readings;
    let [_, _, readable] = sensor.masks;
    let flags = full.analog_flags;
    let mut cells = Vec::new();
    for (bit, raw) in [(0, nominal), (2, normal_min), (1, normal_max)] {
        cells.push(if flags >> bit & 1 == 1 { shown(raw) } else { String::new() });
    }
    let [unr, ucr, unc, lnr, lcr, lnc] = full.thresholds;
    for (bit, raw) in [(5, unr), (4, ucr), (3, unc), (2, lnr), (1, lcr), (0, lnc)] {
        cells.push(if readable >> bit & 1 == 1 { shown(raw) } else { String::new() });
    }
    cells.extend([shown(min), shown(max)]);
    cells.join(",")
}

const THRESHOLDS: [&str; 6] = ["lnc", "lcr", "lnr", "unc", "ucr", "unr"];

/// `lnr lcr lnc unc ucr unr ` for the bits of a mask, in ipmitool's order.
fn mask(bits: u16) -> String {
    let order = [2usize, 1, 0, 3, 4, 5];
    let set = order.into_iter().filter(|bit| bits >> bit & 1 == 1);
    set.filter_map(|bit| THRESHOLDS.get(bit)).map(|name| format!("{name} ")).collect()
}

/// All about one sensor.
pub(super) async fn print_verbose(
    context: &mut Context,
    sensor: &Sensor,
    reading: &Reading,
) -> Result<(), Failed> {
    let (id, instance) = sensor.entity;
    let o = reading.octets;
    line(&format!("Sensor ID              : {} (0x{:x})", sensor.name, sensor.number));
    line(&format!(" Entity ID             : {id}.{instance} ({})", entity_name(id)));
    let kind = type_name(sensor.sensor_type);
    let control = match sensor.capabilities & 3 {
        0 => "Per-threshold",
        1 => "Entire Sensor Only",
        2 => "Global Disable Only",
        _ => "No Events From Sensor",
    };
    let off = if o.scanning() { "No Reading" } else { "Disabled" };
    if !sensor.is_threshold() {
        line(&format!(" Sensor Type (Discrete): {kind} (0x{:02x})", sensor.sensor_type));
        let shown = match (reading.valid(), reading.value) {
            (true, Some(_)) => format!("{} {}", reading.text(2), reading.unit),
            (true, None) => format!("{:x}h", o.raw),
            (false, _) => off.to_owned(),
        };
        line(&format!(" Sensor Reading        : {shown}"));
        line(&format!(" Event Message Control : {control}"));
        print_states("States Asserted", sensor, o.states, o.more_states);
        print_event_status(context, sensor).await?;
        print_event_enable(context, sensor).await?;
        line(&format!(" OEM                   : {:X}\n", sensor.oem));
        return Ok(());
    }
    line(&format!(" Sensor Type (Threshold)  : {kind} (0x{:02x})", sensor.sensor_type));
    line(&format!(" Sensor Reading        : {}", with_tolerance(sensor, reading, off)));
    line(&format!(
        " Status                : {}",
        reading.status(context.verbose > 0, false, "Not Available")
    ));
    if let Some(full) = &sensor.full {
        let conversion = sensor.analog();
        let shown = |raw: u8| match conversion {
            Some(conversion) => format!("{:.3}", conversion.value(raw)),
            None => format!("0x{raw:02X}"),
        };
        let [nominal, maximum, minimum, _, _] = full.readings;
        let normals =
            [("Nominal Reading", 0, nominal), ("Normal Minimum", 2, minimum), ("Normal Maximum", 1, maximum)];
        for (title, bit, raw) in normals {
            if full.analog_flags >> bit & 1 == 1 {
                line(&format!(" {title:<21} : {}", shown(raw)));
            }
        }
        let titles = [
            ("Upper non-recoverable", 5),
            ("Upper critical", 4),
            ("Upper non-critical", 3),
            ("Lower non-recoverable", 2),
            ("Lower critical", 1),
            ("Lower non-critical", 0),
        ];
        let [_, _, readable] = sensor.masks;
        for ((title, bit), raw) in titles.into_iter().zip(full.thresholds) {
            if sensor.initialization & 0x10 != 0 && readable >> bit & 1 == 1 {
                line(&format!(" {title:<21} : {}", shown(raw)));
            }
        }
    }
    print_hysteresis(sensor);
    print_range(sensor);
    line(&format!(" Event Message Control : {control}"));
    let [assertions, deassertions, access] = sensor.masks;
    for (title, bits) in [("Readable", access), ("Settable", access >> 8)] {
        let shown = match sensor.capabilities >> 2 & 3 {
            0 => "No Thresholds".to_owned(),
            3 => "Thresholds Fixed".to_owned(),
            _ => mask(bits),
        };
        line(&format!(" {title} Thresholds   : {shown}"));
    }
    let _ = assertions;
    if deassertions >> 12 != 0 || assertions >> 12 != 0 {
        // Bits 14:12 of the two masks say which comparisons a reading returns.
        let bits = (assertions >> 12 & 7) | (deassertions >> 12 & 7) << 3;
        line(&format!(" Threshold Read Mask   : {}", mask(bits)));
    }
    print_event_status(context, sensor).await?;
    print_event_enable(context, sensor).await?;
    line("");
    Ok(())
}

pub(super) fn with_tolerance(sensor: &Sensor, reading: &Reading, off: &str) -> String {
    if !reading.valid() {
        return off.to_owned();
    }
    match (sensor.analog(), &sensor.full) {
        (Some(conversion), _) => {
            let tolerance = conversion.tolerance();
            let shown = if tolerance == tolerance.trunc() {
                format!("{tolerance:.0}")
            } else {
                format!("{tolerance:.3}")
            };
            format!("{} (+/- {shown}) {}", reading.text(3), reading.unit)
        }
        (None, Some(full)) => {
            format!("0x{:02X} (+/- 0x{:02X}) {}", reading.octets.raw, full.conversion.tolerance, reading.unit)
        }
        (None, None) => format!("0x{:02X} {}", reading.octets.raw, reading.unit),
    }
}

pub(super) fn print_hysteresis(sensor: &Sensor) {
    for (title, raw) in ["Positive Hysteresis", "Negative Hysteresis"].into_iter().zip(sensor.hysteresis) {
        let shown = match sensor.analog() {
            _ if matches!(raw, 0 | 0xff) => "Unspecified".to_owned(),
            None => format!("0x{raw:02X}"),
            Some(conversion) => match conversion.difference(raw) {
                0.0 => "Unspecified".to_owned(),
                value => format!("{value:.3}"),
            },
        };
        line(&format!(" {title}   : {shown}"));
    }
}

fn print_range(sensor: &Sensor) {
    let Some(full) = &sensor.full else { return };
    let [_, _, _, maximum, minimum] = full.readings;
    let [flags, _, _] = sensor.units;
    let unspecified = match flags >> 6 {
        0 => (0x00, 0xff),
        1 => (0xff, 0x00),
        _ => (0x80, 0x7f),
    };
    let (lowest, highest) = unspecified;
    for (title, raw, none) in [("Minimum", minimum, lowest), ("Maximum", maximum, highest)] {
        let shown = match sensor.analog() {
            _ if raw == none && flags >> 6 != 3 => "Unspecified".to_owned(),
            None => format!("0x{raw:02X}"),
            Some(conversion) => match conversion.value(raw) {
                0.0 => "Unspecified".to_owned(),
                value => format!("{value:.3}"),
            },
        };
        line(&format!(" {title} sensor range  : {shown}"));
    }
}

const CONDITIONS: [&str; 12] =
    ["lnc-", "lnc+", "lcr-", "lcr+", "lnr-", "lnr+", "unc-", "unc+", "ucr-", "ucr+", "unr-", "unr+"];

fn conditions(low: u8, high: u8) -> String {
    let bits = u16::from(low) | u16::from(high & 0x0f) << 8;
    let set = CONDITIONS.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
    set.map(|(_, name)| format!("{name} ")).collect()
}

/// Get Sensor Event Status in ipmitool's words.
pub(super) async fn print_event_status(context: &mut Context, sensor: &Sensor) -> Result<(), Failed> {
    let octets = match context.bmc.execute(&GetSensorEventStatus(sensor.number)).await {
        Ok(octets) => octets,
        Err(BmcError::Completion(_) | BmcError::Malformed(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let at = |n: usize| octets.get(n).copied().unwrap_or(0);
    if at(0) & 0x20 != 0 {
        line(" Event Status          : Unavailable");
        return Ok(());
    }
    if at(0) & 0x80 == 0 {
        line(" Event Status          : Event Messages Disabled");
    }
    if !sensor.is_threshold() {
        print_states("Assertion Events", sensor, at(1), at(2));
        if octets.len() > 3 {
            print_states("Deassertion Events", sensor, at(3), at(4));
        }
        return Ok(());
    }
    line(&format!(" Assertion Events      : {}", conditions(at(1), at(2))));
    let some = match octets.len() {
        4 => at(3) != 0,
        5.. => at(3) != 0 && at(4) != 0,
        _ => false,
    };
    if some {
        line(&format!(" Deassertion Events    : {}", conditions(at(3), at(4))));
    }
    Ok(())
}

/// Get Sensor Event Enable in ipmitool's words.
pub(super) async fn print_event_enable(context: &mut Context, sensor: &Sensor) -> Result<(), Failed> {
    let octets = match context.bmc.execute(&GetSensorEventEnable(sensor.number)).await {
        Ok(octets) => octets,
        Err(BmcError::Completion(_) | BmcError::Malformed(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let at = |n: usize| octets.get(n).copied().unwrap_or(0);
    if at(0) & 0x80 == 0 {
        line(" Event Enable          : Event Messages Disabled");
    }
    if !sensor.is_threshold() {
        print_states("Assertions Enabled", sensor, at(1), at(2));
        if octets.len() > 3 {
            print_states("Deassertions Enabled", sensor, at(3), at(4));
        }
        return Ok(());
    }
    line(&format!(" Assertions Enabled    : {}", conditions(at(1), at(2))));
    let some = octets.len() == 4 && at(3) != 0 || octets.len() > 4 && (at(3) != 0 || at(4) != 0);
    if some {
        line(&format!(" Deassertions Enabled  : {}", conditions(at(3), at(4))));
    }
    Ok(())
}
