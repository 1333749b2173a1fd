//! The repositories of a virtual BMC: sensor data records, readings, event log, FRU (IPMI v2.0 §31, §33–35).

use super::commands::{Answer, ok, refuse};
use super::config::Data;
use crate::CompletionCode;

/// Repositories with their reservations.
#[derive(Debug)]
pub(super) struct Storage {
    data: Data,
    sdr_reservation: u16,
    sel_reservation: u16,
}

fn next_reservation(reservation: &mut u16) -> Vec<u8> {
    *reservation = match reservation.wrapping_add(1) {
        0 => 1,
        next => next,
    };
    reservation.to_le_bytes().to_vec()
}

/// Record ids are places in the list, from 1; 0 and 1 are both the first, FFFFh is the last.
fn place(id: u16, count: usize) -> Option<usize> {
    match id {
        0 => (count > 0).then_some(0),
        0xffff => count.checked_sub(1),
        id => Some(usize::from(id) - 1).filter(|at| *at < count),
    }
}

fn next_id(at: usize, count: usize) -> u16 {
    if at + 1 < count { (at + 2) as u16 } else { 0xffff } // lists are bounded by `Storage::new`
}

impl Storage {
    pub(super) fn new(data: &Data) -> Self {
        let mut data = data.clone();
        data.records.truncate(0xfffe);
        data.log.truncate(0xfffe);
        data.fru.truncate(0xffff);
        Self { data, sdr_reservation: 0, sel_reservation: 0 }
    }

    /// Whether there is anything to serve.
    pub(super) fn is_empty(&self) -> bool {
        let Data { records, readings, log, fru } = &self.data;
        records.is_empty() && readings.is_empty() && log.is_empty() && fru.is_empty()
    }

    /// The bits of "additional device support" for what there is: 1 SDR, 2 SEL, 3 FRU (IPMI v2.0 §20.1).
    pub(super) fn support(&self) -> u8 {
        let Data { records, log, fru, .. } = &self.data;
        u8::from(!records.is_empty()) << 1 | u8::from(!log.is_empty()) << 2 | u8::from(!fru.is_empty()) << 3
    }

    pub(super) fn execute(&mut self, net_fn: u8, command: u8, data: &[u8]) -> Answer {
        match (net_fn, command) {
            (0x0a, 0x20) => self.info(0x51, self.data.records.len(), 0x02),
            (0x0a, 0x22) => ok(next_reservation(&mut self.sdr_reservation)),
            (0x0a, 0x23) => self.sdr(data),
            (0x0a, 0x40) => self.info(0x51, self.data.log.len(), 0x0a),
            (0x0a, 0x42) => ok(next_reservation(&mut self.sel_reservation)),
            (0x0a, 0x43) => self.entry(data),
            (0x0a, 0x47) => self.clear(data),
            (0x0a, 0x48) => ok(vec![0, 0, 0, 0]),
            (0x0a, 0x10) => match data {
                [0] if !self.data.fru.is_empty() => {
                    let mut reply = (self.data.fru.len() as u16).to_le_bytes().to_vec(); // bounded by `new`
                    reply.push(0);
                    ok(reply)
                }
                _ => refuse(CompletionCode::NOT_FOUND),
            },
            (0x0a, 0x11) => self.fru(data),
            (0x04, 0x2d) => match data.first().and_then(|number| self.data.readings.get(number)) {
                Some(reading) => ok(reading.to_vec()),
                None => refuse(CompletionCode::NOT_FOUND),
            },
            _ => refuse(CompletionCode::INVALID_COMMAND),
        }
    }

    fn info(&self, version: u8, count: usize, support: u8) -> Answer {
        let mut reply = vec![version];
        reply.extend_from_slice(&(count as u16).to_le_bytes()); // bounded by `new`
        reply.extend_from_slice(&[0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, support]);
        ok(reply)
    }

    fn sdr(&self, data: &[u8]) -> Answer {
        let &[r0, r1, i0, i1, offset, count] = data else { return refuse(CompletionCode::INVALID_LENGTH) };
        let (reservation, id) = (u16::from_le_bytes([r0, r1]), u16::from_le_bytes([i0, i1]));
        if offset != 0 && reservation != self.sdr_reservation {
            return refuse(CompletionCode::RESERVATION_LOST);
        }
        let Some(at) = place(id, self.data.records.len()) else { return refuse(CompletionCode::NOT_FOUND) };
        let mut record = ((at + 1) as u16).to_le_bytes().to_vec();
        record.extend_from_slice(self.data.records.get(at).map(Vec::as_slice).unwrap_or_default());
        let Some(part) = record.get(usize::from(offset)..) else {
            return refuse(CompletionCode::OUT_OF_RANGE);
        };
        let count = if count == 0xff { part.len() } else { usize::from(count) };
        if count > 200 {
            return refuse(CompletionCode::CANNOT_RETURN);
        }
        let mut reply = next_id(at, self.data.records.len()).to_le_bytes().to_vec();
        reply.extend(part.iter().take(count));
        ok(reply)
    }

    fn entry(&self, data: &[u8]) -> Answer {
        let &[_, _, low, high, offset, count] = data else { return refuse(CompletionCode::INVALID_LENGTH) };
        let id = u16::from_le_bytes([low, high]);
        let Some(at) = place(id, self.data.log.len()) else { return refuse(CompletionCode::NOT_FOUND) };
        let mut record = ((at + 1) as u16).to_le_bytes().to_vec();
        record.extend_from_slice(self.data.log.get(at).map(<[u8; 14]>::as_slice).unwrap_or_default());
        let mut reply = next_id(at, self.data.log.len()).to_le_bytes().to_vec();
        reply.extend(record.iter().skip(usize::from(offset)).take(usize::from(count)));
        ok(reply)
    }

    fn clear(&mut self, data: &[u8]) -> Answer {
        match data {
            [low, high, b'C', b'L', b'R', action @ (0x00 | 0xaa)] => {
                if u16::from_le_bytes([*low, *high]) != self.sel_reservation {
                    return refuse(CompletionCode::RESERVATION_LOST);
                }
                if *action == 0xaa {
                    self.data.log.clear();
                }
                ok(vec![1])
            }
            _ => refuse(CompletionCode::INVALID_FIELD),
        }
    }

    fn fru(&self, data: &[u8]) -> Answer {
        let &[0, low, high, count] = data else { return refuse(CompletionCode::NOT_FOUND) };
        let offset = usize::from(u16::from_le_bytes([low, high]));
        let Some(part) = self.data.fru.get(offset..) else { return refuse(CompletionCode::OUT_OF_RANGE) };
        if count > 200 {
            return refuse(CompletionCode::CANNOT_RETURN);
        }
        let part: Vec<u8> = part.iter().take(count.into()).copied().collect();
        let mut reply = vec![part.len() as u8]; // at most 200
        reply.extend(part);
        ok(reply)
    }
}
