//! Sensor readings: the commands, and the formula from a raw octet to a value (IPMI v2.0 §35, §36).

use super::{Command, net_fn};
use crate::ParseError;
use crate::session::{Privilege, Request};
use crate::wire::Reader;

/// How a raw reading becomes a value: L[(M·x + B·10^K1)·10^K2] (IPMI v2.0 §36.3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conversion {
    /// 0 unsigned, 1 one's complement, 2 two's complement, 3 not analog.
    pub format: u8,
    /// 0 linear, 1 ln, 2 log10, 3 log2, 4 e^x, 5 10^x, 6 2^x, 7 1/x, 8 x², 9 x³, 0Ah √x, 0Bh ∛x; 70h and above:
    /// the factors hold for one reading alone (§35.5).
    pub linearization: u8,
    /// M, 10 bits signed.
    pub m: i16,
    /// Tolerance in half raw counts, 0..=63.
    pub tolerance: u8,
    /// B, 10 bits signed.
    pub b: i16,
    /// K1, the exponent of B, 4 bits signed.
    pub b_exponent: i8,
    /// K2, the exponent of the result, 4 bits signed.
    pub r_exponent: i8,
}

fn signed(number: u16, bits: u32) -> i16 {
    let shift = 16 - bits;
    ((number << shift) as i16) >> shift
}

impl Conversion {
    /// Reads linearization and the six octets of factors of a full record.
    pub fn new(format: u8, octets: [u8; 7]) -> Self {
        let [linearization, m, m_tolerance, b, b_accuracy, _, exponents] = octets;
        Self {
            format,
            linearization,
            m: signed(u16::from(m) | u16::from(m_tolerance >> 6) << 8, 10),
            tolerance: m_tolerance & 0x3f,
            b: signed(u16::from(b) | u16::from(b_accuracy >> 6) << 8, 10),
            b_exponent: signed(u16::from(exponents & 0x0f), 4) as i8,
            r_exponent: signed(u16::from(exponents >> 4), 4) as i8,
        }
    }

    fn signed_raw(&self, raw: u8) -> f64 {
        match self.format {
            1 => f64::from(if raw & 0x80 != 0 { raw.wrapping_add(1) as i8 } else { raw as i8 }),
            2 => f64::from(raw as i8),
            _ => f64::from(raw),
        }
    }

    fn linearize(&self, value: f64) -> f64 {
        match self.linearization & 0x7f {
            0x01 => value.ln(),
            0x02 => value.log10(),
            0x03 => value.ln() / std::f64::consts::LN_2,
            0x04 => value.exp(),
            0x05 => 10f64.powf(value),
            0x06 => value.exp2(),
            0x07 => value.powi(-1),
            0x08 => value.powi(2),
            0x09 => value.powi(3),
            0x0a => value.sqrt(),
            0x0b => value.cbrt(),
            _ => value,
        }
    }

    /// The value of a raw reading.
    ///
    /// ```
    /// use ipmi::command::reading::Conversion;
    /// let voltage = Conversion::new(0, [0, 0x3f, 0, 0, 0, 0, 0xd0]); // 63·x·10^-3
    /// assert!((voltage.value(0x30) - 3.024).abs() < 1e-9);
    /// ```
    pub fn value(&self, raw: u8) -> f64 {
        let offset = f64::from(self.b) * 10f64.powi(self.b_exponent.into());
        let value = f64::from(self.m) * self.signed_raw(raw) + offset;
        self.linearize(value * 10f64.powi(self.r_exponent.into()))
    }

    /// The value of a raw difference: hysteresis.
    pub fn difference(&self, raw: u8) -> f64 {
        self.linearize(f64::from(self.m) * self.signed_raw(raw) * 10f64.powi(self.r_exponent.into()))
    }

    /// The tolerance as a value.
    pub fn tolerance(&self) -> f64 {
        let half = f64::from(self.tolerance) / 2.0;
        self.linearize(f64::from(self.m) * half * 10f64.powi(self.r_exponent.into()))
    }

    /// The raw reading whose value is nearest below: for thresholds that are set.
    pub fn raw(&self, value: f64) -> Option<u8> {
        (0..=u8::MAX)
            .map(|raw| (raw, (self.value(raw) - value).abs()))
            .filter(|(_, distance)| distance.is_finite())
            .min_by(|(_, a), (_, b)| a.total_cmp(b))
            .map(|(raw, _)| raw)
    }
}

/// Get Sensor Reading (IPMI v2.0 §35.14).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetSensorReading {
    /// Sensor number.
    pub number: u8,
    /// LUN of the sensor's owner.
    pub lun: u8,
}

/// A reading as it came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SensorReading {
    /// Raw reading.
    pub raw: u8,
    /// Bit 5: unavailable; bit 6 clear: scanning is off; bit 7 clear: no event messages.
    pub flags: u8,
    /// Threshold comparisons or states 0..=7.
    pub states: u8,
    /// States 8..=14.
    pub more_states: u8,
}

impl SensorReading {
    /// Whether the reading means something.
    pub fn valid(&self) -> bool {
        self.flags & 0x60 == 0x40
    }

    /// Whether the sensor is being read at all.
    pub fn scanning(&self) -> bool {
        self.flags & 0x40 != 0
    }
}

impl Command for GetSensorReading {
    type Reply = SensorReading;
    const NET_FN: u8 = net_fn::SENSOR;
    const COMMAND: u8 = 0x2d;

    fn encode(&self, data: &mut Vec<u8>) {
        data.push(self.number);
    }

    fn parse_reply(&self, data: &[u8]) -> Result<SensorReading, ParseError> {
        let mut reader = Reader::new(data);
        let [raw, flags] = reader.array("sensor reading")?;
        let (states, more_states) = (reader.u8("").unwrap_or(0), reader.u8("").unwrap_or(0));
        Ok(SensorReading { raw, flags, states, more_states })
    }

    fn request(&self) -> Request {
        Request { lun: self.lun, ..Request::new(Self::NET_FN, Self::COMMAND, vec![self.number]) }
    }
}

/// Get Sensor Thresholds (IPMI v2.0 §35.9).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetSensorThresholds(pub u8);

/// Thresholds: which are readable (bits 0..=5), and lower non-critical, critical, non-recoverable, upper
/// non-critical, critical, non-recoverable; raw.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SensorThresholds {
    /// Which are readable, in the order of `raw`.
    pub readable: u8,
    /// The thresholds.
    pub raw: [u8; 6],
}

impl Command for GetSensorThresholds {
    type Reply = SensorThresholds;
    const NET_FN: u8 = net_fn::SENSOR;
    const COMMAND: u8 = 0x27;

    fn encode(&self, data: &mut Vec<u8>) {
        data.push(self.0);
    }

    fn parse_reply(&self, data: &[u8]) -> Result<SensorThresholds, ParseError> {
        let mut reader = Reader::new(data);
        Ok(SensorThresholds { readable: reader.u8("thresholds")?, raw: reader.array("thresholds")? })
    }
}

/// Set Sensor Thresholds (IPMI v2.0 §35.8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SetSensorThresholds {
    /// Sensor number.
    pub number: u8,
    /// Which of the six are set, in the order of [`SensorThresholds`].
    pub mask: u8,
    /// The thresholds.
    pub raw: [u8; 6],
}

impl Command for SetSensorThresholds {
    type Reply = ();
    const NET_FN: u8 = net_fn::SENSOR;
    const COMMAND: u8 = 0x26;
    const PRIVILEGE: Privilege = Privilege::Operator;

    fn encode(&self, data: &mut Vec<u8>) {
        data.extend_from_slice(&[self.number, self.mask]);
        data.extend_from_slice(&self.raw);
    }

    fn parse_reply(&self, _data: &[u8]) -> Result<(), ParseError> {
        Ok(())
    }
}

/// Get Sensor Event Enable (2Bh is event status, 29h event enable; IPMI v2.0 §35.11, §35.13).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetSensorEventEnable(pub u8);

impl Command for GetSensorEventEnable {
    type Reply = Vec<u8>;
    const NET_FN: u8 = net_fn::SENSOR;
    const COMMAND: u8 = 0x29;

    fn encode(&self, data: &mut Vec<u8>) {
        data.push(self.0);
    }

    fn parse_reply(&self, data: &[u8]) -> Result<Vec<u8>, ParseError> {
        if data.is_empty() { Err(ParseError::Truncated("event enable")) } else { Ok(data.to_vec()) }
    }
}

/// Get Sensor Event Status (IPMI v2.0 §35.13).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetSensorEventStatus(pub u8);

impl Command for GetSensorEventStatus {
    type Reply = Vec<u8>;
    const NET_FN: u8 = net_fn::SENSOR;
    const COMMAND: u8 = 0x2b;

    fn encode(&self, data: &mut Vec<u8>) {
        data.push(self.0);
    }

    fn parse_reply(&self, data: &[u8]) -> Result<Vec<u8>, ParseError> {
        if data.is_empty() { Err(ParseError::Truncated("event status")) } else { Ok(data.to_vec()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // IPMI v2.0 §36.3: every linearization.
    #[test]
    fn linearizations() {
        let at = |linearization, raw| Conversion::new(0, [linearization, 2, 0, 0, 0, 0, 0]).value(raw);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        close(at(0, 5), 10.0);
        close(at(1, 5), 10f64.ln());
        close(at(2, 50), 2.0);
        close(at(3, 4), 3.0);
        close(at(4, 1), 2f64.exp());
        close(at(5, 1), 100.0);
        close(at(6, 2), 16.0);
        close(at(7, 2), 0.25);
        close(at(8, 3), 36.0);
        close(at(9, 1), 8.0);
        close(at(10, 8), 4.0);
        close(at(11, 4), 2.0);
    }

    // IPMI v2.0 §43.1: signed factors and signed readings.
    #[test]
    fn signs() {
        let minus = Conversion::new(2, [0, 0xff, 0xc0, 0x01, 0, 0, 0x1f]); // -x + 1·10^-1, ·10
        assert!((minus.value(0xff) - 11.0).abs() < 1e-9);
        assert!((Conversion::new(1, [0, 1, 0, 0, 0, 0, 0]).value(0xfe) + 1.0).abs() < 1e-9);
        assert_eq!(Conversion::new(0, [0, 2, 0, 0, 0, 0, 0]).raw(20.0), Some(10));
    }
}
