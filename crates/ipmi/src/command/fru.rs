//! FRU inventory: the commands (IPMI v2.0 §34) and the areas (Platform Management FRU v1.0 rev 1.3).

use super::{Command, net_fn};
use crate::ParseError;
use crate::wire::Reader;

/// Get FRU Inventory Area Info (IPMI v2.0 §34.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetFruInventoryAreaInfo(pub u8);

/// The size of a FRU device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FruInventoryAreaInfo {
    /// Octets.
    pub size: u16,
    /// Offsets and counts are in 16-bit words.
    pub by_words: bool,
}

impl Command for GetFruInventoryAreaInfo {
    type Reply = FruInventoryAreaInfo;
    const NET_FN: u8 = net_fn::STORAGE;
    const COMMAND: u8 = 0x10;

    fn encode(&self, data: &mut Vec<u8>) {
        data.push(self.0);
    }

    fn parse_reply(&self, data: &[u8]) -> Result<FruInventoryAreaInfo, ParseError> {
        let mut reader = Reader::new(data);
        let size = reader.u16("FRU size")?;
        Ok(FruInventoryAreaInfo { size, by_words: reader.u8("FRU access")? & 1 == 1 })
    }
}

/// Read FRU Data (IPMI v2.0 §34.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReadFruData {
    /// FRU device id.
    pub device: u8,
    /// First octet (or word).
    pub offset: u16,
    /// How many.
    pub count: u8,
}

impl Command for ReadFruData {
    type Reply = Vec<u8>;
    const NET_FN: u8 = net_fn::STORAGE;
    const COMMAND: u8 = 0x11;

    fn encode(&self, data: &mut Vec<u8>) {
        data.push(self.device);
        data.extend_from_slice(&self.offset.to_le_bytes());
        data.push(self.count);
    }

    fn parse_reply(&self, data: &[u8]) -> Result<Vec<u8>, ParseError> {
        let mut reader = Reader::new(data);
        let count = usize::from(reader.u8("FRU count")?);
        Ok(reader.take(count.min(reader.rest().len()), "FRU data")?.to_vec())
    }
}

/// The text of a field: 0 binary (hex digits), 1 BCD plus, 2 packed 6-bit ASCII, 3 8-bit ASCII or Latin-1
/// (Platform Management FRU §13).
pub fn text(code: u8, octets: &[u8]) -> String {
    match code & 3 {
        0 => octets.iter().map(|octet| format!("{octet:02x}")).collect(),
        1 => {
            let digits = "0123456789 -.:,_";
            let digit = |n: u8| digits.chars().nth(usize::from(n & 0x0f)).unwrap_or(' ');
            octets.iter().flat_map(|octet| [digit(octet >> 4), digit(*octet)]).collect()
        }
        2 => octets
            .chunks(3)
            .flat_map(|chunk| {
                let bits = chunk.iter().rev().fold(0u32, |bits, octet| bits << 8 | u32::from(*octet));
                (0..chunk.len() * 8 / 6).map(move |n| char::from((bits >> (6 * n) & 0x3f) as u8 + 0x20))
            })
            .collect(),
        _ => octets.iter().take_while(|octet| **octet != 0).map(|octet| char::from(*octet)).collect(),
    }
}

/// The areas of a FRU device that are text.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FruInventory {
    /// Chassis: type, part number, serial, extra fields.
    pub chassis: Option<ChassisArea>,
    /// Board.
    pub board: Option<BoardArea>,
    /// Product.
    pub product: Option<ProductArea>,
}

/// The chassis info area (§10).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ChassisArea {
    /// SMBIOS chassis type.
    pub kind: u8,
    /// Part number, serial, then extra fields.
    pub fields: Vec<String>,
}

/// The board info area (§11).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BoardArea {
    /// Minutes since 1996-01-01 00:00 UTC.
    pub manufactured: u32,
    /// Maker, product, serial, part number, FRU file id, then extra fields.
    pub fields: Vec<String>,
}

/// The product info area (§12).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProductArea {
    /// Maker, name, part number, version, serial, asset tag, FRU file id, then extra fields.
    pub fields: Vec<String>,
}

/// Most fields taken from one area.
const MAX_FIELDS: usize = 64;

fn fields(mut reader: Reader<'_>) -> Vec<String> {
    let mut fields = Vec::new();
    while let Ok(code) = reader.u8("field") {
        if code == 0xc1 || fields.len() == MAX_FIELDS {
            break;
        }
        let Ok(octets) = reader.take(usize::from(code & 0x3f), "field") else { break };
        fields.push(text(code >> 6, octets));
    }
    fields
}

impl FruInventory {
    /// Reads the areas that the common header names (§8). Offsets and lengths that lie are errors.
    ///
    /// # Errors
    /// There is no common header, its checksum is wrong, or an area lies outside the data.
    pub fn parse(octets: &[u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(octets);
        let header: [u8; 8] = reader.array("FRU common header")?;
        let [version, _internal, chassis, board, product, _multi, _, _] = header;
        if version & 0x0f != 1 {
            return Err(ParseError::Value("FRU format version", version));
        }
        if header.iter().fold(0u8, |sum, octet| sum.wrapping_add(*octet)) != 0 {
            return Err(ParseError::Checksum("FRU common header"));
        }
        let area = |offset: u8| -> Result<Option<Reader<'_>>, ParseError> {
            if offset == 0 {
                return Ok(None);
            }
            let start = usize::from(offset) * 8;
            let rest = octets.get(start..).ok_or(ParseError::Truncated("FRU area"))?;
            let length = usize::from(*rest.get(1).ok_or(ParseError::Truncated("FRU area"))?) * 8;
            let area = rest.get(2..length.max(2)).ok_or(ParseError::Length("FRU area"))?;
            Ok(Some(Reader::new(area)))
        };
        let mut inventory = Self::default();
        if let Some(mut reader) = area(chassis)? {
            let kind = reader.u8("chassis type")?;
            inventory.chassis = Some(ChassisArea { kind, fields: fields(reader) });
        }
        if let Some(mut reader) = area(board)? {
            let _language = reader.u8("language")?;
            let manufactured = reader.u24("manufacturing date")?;
            inventory.board = Some(BoardArea { manufactured, fields: fields(reader) });
        }
        if let Some(mut reader) = area(product)? {
            let _language = reader.u8("language")?;
            inventory.product = Some(ProductArea { fields: fields(reader) });
        }
        Ok(inventory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Platform Management FRU §13.3: "IPMI" in packed 6-bit ASCII is 29h DCh A6h.
    #[test]
    fn field_codes() {
        assert_eq!(text(2, &[0x29, 0xdc, 0xa6]), "IPMI");
        assert_eq!(text(1, &[0x12, 0xab]), "12 -");
        assert_eq!(text(0, &[0xab, 0x01]), "ab01");
        assert_eq!(text(3, b"ab\0c"), "ab");
    }

    #[test]
    fn lying_lengths_are_errors() {
        let header = [1, 0, 1, 0, 0, 0, 0, 0xfe];
        assert_eq!(FruInventory::parse(&header), Err(ParseError::Truncated("FRU area")));
        let mut long = header.to_vec();
        long.extend_from_slice(&[1, 200, 0]);
        assert_eq!(FruInventory::parse(&long), Err(ParseError::Length("FRU area")));
    }
}
