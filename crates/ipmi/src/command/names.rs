//! The specification's names for numbers: units, sensor types, entities, events (IPMI v2.0 §42, §43).
//!
//! Held as text and searched when a person is to read something; nothing else depends on them.

const NAMES: &str = include_str!("names.txt");

fn lines(kind: &'static str) -> impl Iterator<Item = &'static str> {
    NAMES.lines().filter_map(move |line| line.strip_prefix(kind)?.strip_prefix(' '))
}

fn name(kind: &'static str, number: u8) -> Option<&'static str> {
    lines(kind).find_map(|line| {
        let (hex, name) = line.split_once(' ')?;
        (u8::from_str_radix(hex, 16) == Ok(number)).then_some(name)
    })
}

/// A sensor unit (IPMI v2.0 §43.17).
pub fn unit(number: u8) -> &'static str {
    name("unit", number).unwrap_or("invalid")
}

/// A sensor type (IPMI v2.0 table 42-3).
pub fn sensor_type(number: u8) -> Option<&'static str> {
    name("type", number)
}

/// All sensor types, by number.
pub fn sensor_types() -> impl Iterator<Item = &'static str> {
    lines("type").filter_map(|line| line.split_once(' ').map(|(_, name)| name))
}

/// An entity id (IPMI v2.0 §43.14).
pub fn entity(number: u8) -> Option<&'static str> {
    name("entity", number)
}

/// All entity ids with their names, by number.
pub fn entities() -> impl Iterator<Item = (u8, &'static str)> {
    lines("entity").filter_map(|line| {
        let (hex, name) = line.split_once(' ')?;
        Some((u8::from_str_radix(hex, 16).ok()?, name))
    })
}

/// A chassis type (SMBIOS; Platform Management FRU §10).
pub fn chassis_type(number: u8) -> &'static str {
    name("chassis", number).unwrap_or("Unknown")
}

/// One state or event of a discrete sensor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EventName {
    /// The state's bit, 0..=14.
    pub offset: u8,
    /// The second event octet it holds for; FFh for any.
    pub data2: u8,
    /// The specification's words.
    pub text: &'static str,
}

/// The states of a sensor: generic by event type, or its sensor type's own with event type 6Fh
/// (IPMI v2.0 tables 42-2, 42-3).
pub fn events(sensor_type: u8, event_type: u8) -> impl Iterator<Item = EventName> {
    let (kind, wanted) = match event_type {
        0x6f => ("specific", sensor_type),
        other => ("generic", other),
    };
    lines(kind).filter_map(move |line| {
        let mut fields = line.splitn(4, ' ');
        let mut number = || fields.next().and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let (class, offset, data2) = (number()?, number()?, number()?);
        let text = fields.next()?;
        (class == wanted).then_some(EventName { offset, data2, text })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_numbers() {
        assert_eq!((unit(1), sensor_type(4), entity(7)), ("degrees C", Some("Fan"), Some("System Board")));
        assert_eq!(events(0x01, 0x01).count(), 12);
        assert_eq!(events(0x08, 0x6f).next().map(|e| e.text), Some("Presence detected"));
    }
}
