//! Octets at a place: what the other modules read a disk through. No file here; whoever has one implements [`ReadAt`].

/// Something that has octets at places: a disk, an image, a slice.
pub trait ReadAt {
    /// Fills `into` from `offset` on. `false` when not all of it is there; `into` is then of no use.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> bool;

    /// `length` octets from `offset` on, if all of them are there.
    fn octets(&self, offset: u64, length: usize) -> Option<Vec<u8>> {
        let mut octets = vec![0; length];
        self.read_at(offset, &mut octets).then_some(octets)
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> bool {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let there = start.checked_add(into.len()).and_then(|end| self.get(start..end));
        there.map(|there| into.copy_from_slice(there)).is_some()
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> bool {
        (**self).read_at(offset, into)
    }
}

/// A part of something larger, a partition for instance.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a, T: ?Sized> {
    of: &'a T,
    offset: u64,
    length: u64,
}

impl<'a, T: ReadAt + ?Sized> Window<'a, T> {
    /// `length` octets of `of` from `offset` on.
    pub fn new(of: &'a T, offset: u64, length: u64) -> Self {
        Self { of, offset, length }
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Window<'_, T> {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> bool {
        let length = u64::try_from(into.len()).unwrap_or(u64::MAX);
        let inside = offset.checked_add(length).is_some_and(|end| end <= self.length);
        inside && self.offset.checked_add(offset).is_some_and(|at| self.of.read_at(at, into))
    }
}

/// Octets for a place of a disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Write {
    /// From the start of the disk.
    pub offset: u64,
    /// What is to lie there.
    pub octets: Vec<u8>,
}

pub(crate) fn le16(from: &[u8], at: usize) -> Option<u16> {
    let octets = from.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(octets.try_into().ok()?))
}

pub(crate) fn le32(from: &[u8], at: usize) -> Option<u32> {
    let octets = from.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(octets.try_into().ok()?))
}

pub(crate) fn le64(from: &[u8], at: usize) -> Option<u64> {
    let octets = from.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(octets.try_into().ok()?))
}

/// Puts `octets` at `at`; what does not fit is left out, which the callers' sizes rule out.
pub(crate) fn put(into: &mut [u8], at: usize, octets: &[u8]) {
    if let Some(place) = at.checked_add(octets.len()).and_then(|end| into.get_mut(at..end)) {
        place.copy_from_slice(octets);
    }
}

/// CRC-32 as UEFI uses it (UEFI 2.10 §5.3.2: ISO 3309, as Ethernet's).
pub(crate) fn crc32(octets: &[u8]) -> u32 {
    let table = |mut value: u32| {
        for _ in 0..8 {
            value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
        }
        value
    };
    !octets.iter().fold(u32::MAX, |crc, octet| table((crc ^ u32::from(*octet)) & 0xff) ^ (crc >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_end_where_they_should() {
        let octets: Vec<u8> = (0..100).collect();
        let window = Window::new(octets.as_slice(), 10, 20);
        assert_eq!(window.octets(0, 2), Some(vec![10, 11]));
        assert_eq!(window.octets(18, 2), Some(vec![28, 29]));
        assert_eq!(window.octets(19, 2), None);
        assert_eq!(window.octets(u64::MAX, 2), None);
        assert_eq!(octets.octets(u64::MAX - 1, 4), None);
    }

    #[test]
    fn the_check_value_of_crc_32() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
