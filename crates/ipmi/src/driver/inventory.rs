//! Reading whole repositories: SDRs, the event log, FRU data; every loop has an end.

use std::collections::BTreeSet;

use super::{Bmc, BmcError};
use crate::CompletionCode;
use crate::ParseError;
use crate::command::Command;
use crate::command::fru::{FruInventory, GetFruInventoryAreaInfo, ReadFruData};
use crate::command::sdr::{GetSdr, ReserveSdrRepository, Sdr};
use crate::command::sel::{GetSelEntry, SelRecord};

/// Most records read from a repository or log; a BMC that names more is lying or going in circles.
const MAX_RECORDS: usize = 16_384;
/// Octets asked for at once, before a BMC says that it cannot.
const CHUNK: u8 = 32;
/// Reservations tried for one repository; others may be writing to it.
const RESERVATIONS: usize = 8;

impl Bmc {
    /// Reads all sensor data records (IPMI v2.0 §33.3).
    ///
    /// # Errors
    /// As [`Bmc::execute`]; also when the BMC's list of records has no end.
    pub async fn sensor_data_records(&mut self) -> Result<Vec<Sdr>, BmcError> {
        let records = self.sensor_data_octets().await?;
        let parsed: Result<_, _> = records.iter().map(|octets| Sdr::parse(octets)).collect();
        parsed.map_err(BmcError::Malformed)
    }

    /// Reads all sensor data records as octets, each with its header (IPMI v2.0 §33.3, §43).
    ///
    /// # Errors
    /// As [`Bmc::execute`]; also when the BMC's list of records has no end.
    pub async fn sensor_data_octets(&mut self) -> Result<Vec<Vec<u8>>, BmcError> {
        let mut records = Vec::new();
        let (mut reservation, mut reservations) = (self.execute(&ReserveSdrRepository).await?, 1);
        let (mut id, mut chunk) = (0u16, CHUNK);
        let mut seen = BTreeSet::new();
        while id != 0xffff {
            match self.sensor_data_record(reservation, id, &mut chunk).await {
                Ok((next, octets)) => {
                    records.push(octets);
                    if !seen.insert(next) || records.len() >= MAX_RECORDS {
                        return Err(BmcError::Malformed(ParseError::Length("SDR repository")));
                    }
                    id = next;
                }
                Err(BmcError::Completion(CompletionCode::RESERVATION_LOST))
                    if reservations < RESERVATIONS =>
                {
                    reservation = self.execute(&ReserveSdrRepository).await?;
                    reservations += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }

    /// One record in pieces; a BMC that cannot return as many octets at once is asked for fewer.
    async fn sensor_data_record(
        &mut self,
        reservation: u16,
        record: u16,
        chunk: &mut u8,
    ) -> Result<(u16, Vec<u8>), BmcError> {
        let header = self.execute(&GetSdr { reservation, record, offset: 0, count: 5 }).await?;
        let mut octets = header.data;
        let total =
            usize::from(*octets.get(4).ok_or(BmcError::Malformed(ParseError::Truncated("record header")))?)
                + 5;
        while octets.len() < total {
            let offset =
                u8::try_from(octets.len()).map_err(|_| BmcError::Malformed(ParseError::Length("record")))?;
            let count = (total - octets.len()).min(usize::from(*chunk)) as u8;
            match self.execute(&GetSdr { reservation, record, offset, count }).await {
                Ok(part) if part.data.is_empty() => {
                    return Err(BmcError::Malformed(ParseError::Truncated("record body")));
                }
                Ok(part) => octets.extend_from_slice(&part.data),
                Err(BmcError::Completion(CompletionCode::CANNOT_RETURN | CompletionCode::LENGTH_LIMIT))
                    if *chunk > 8 =>
                {
                    *chunk /= 2;
                }
                Err(error) => return Err(error),
            }
        }
        octets.truncate(total);
        Ok((header.next, octets))
    }

    /// Reads the whole event log (IPMI v2.0 §31.5).
    ///
    /// # Errors
    /// As [`Bmc::execute`]; also when the BMC's list of records has no end.
    pub async fn event_log(&mut self) -> Result<Vec<SelRecord>, BmcError> {
        let mut records = Vec::new();
        let mut id = 0u16;
        let mut seen = BTreeSet::new();
        while id != 0xffff {
            let (next, record) = match self.execute(&GetSelEntry(id)).await {
                Err(BmcError::Completion(CompletionCode::NOT_FOUND)) if id == 0 => break, // empty
                other => other?,
            };
            records.push(record);
            if !seen.insert(next) || next == record.id || records.len() >= MAX_RECORDS {
                return Err(BmcError::Malformed(ParseError::Length("SEL")));
            }
            id = next;
        }
        Ok(records)
    }

    /// Reads a FRU device's octets (IPMI v2.0 §34.2).
    ///
    /// # Errors
    /// As [`Bmc::execute`].
    pub async fn fru_data(&mut self, device: u8) -> Result<Vec<u8>, BmcError> {
        let info = self.execute(&GetFruInventoryAreaInfo(device)).await?;
        let (size, step) = (usize::from(info.size), if info.by_words { 2 } else { 1 });
        let (mut octets, mut chunk) = (Vec::with_capacity(size), CHUNK);
        while octets.len() < size {
            let offset = (octets.len() / step) as u16; // below `size`, which is 16 bits
            let count = ((size - octets.len()) / step).clamp(1, usize::from(chunk)) as u8;
            match self.execute(&ReadFruData { device, offset, count }).await {
                Ok(part) if part.is_empty() => break,
                Ok(part) => octets.extend_from_slice(&part),
                Err(BmcError::Completion(
                    CompletionCode::CANNOT_RETURN
                    | CompletionCode::LENGTH_LIMIT
                    | CompletionCode::INVALID_LENGTH,
                )) if chunk > 8 => chunk /= 2,
                Err(error) => return Err(error),
            }
        }
        octets.truncate(size);
        Ok(octets)
    }

    /// Reads and decodes a FRU device.
    ///
    /// # Errors
    /// As [`Bmc::execute`]; [`BmcError::Malformed`] when the data are no FRU inventory.
    pub async fn fru_inventory(&mut self, device: u8) -> Result<FruInventory, BmcError> {
        let octets = self.fru_data(device).await?;
        FruInventory::parse(&octets).map_err(BmcError::Malformed)
    }

    /// The cipher suites a channel lists (IPMI v2.0 §22.15).
    ///
    /// # Errors
    /// As [`Bmc::execute`].
    pub async fn cipher_suite_octets(&mut self, channel: u8, payload_type: u8) -> Result<Vec<u8>, BmcError> {
        let mut octets = Vec::new();
        for index in 0..64 {
            let command = crate::command::channel::GetChannelCipherSuites { channel, payload_type, index };
            let (completion, data) = self.request(command.request()).await?;
            if !completion.is_ok() {
                return Err(BmcError::Completion(completion));
            }
            let part = command.parse_reply(&data).map_err(BmcError::Malformed)?;
            octets.extend_from_slice(&part);
            if part.len() < 16 {
                break;
            }
        }
        Ok(octets)
    }
}
