//! Classic pcap files (draft-ietf-opsawg-pcap): little-endian, microseconds, Ethernet. Called by the lab's capture
//! and by tests that read it back.

use std::io::{self, Read, Write};
use std::time::Duration;

const MAGIC: u32 = 0xa1b2_c3d4;
const LINKTYPE_ETHERNET: u32 = 1;
/// No frame of ours is longer, segmentation offload included.
const SNAPLEN: u32 = 262_144;

/// One captured frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Since the Unix epoch, to the microsecond.
    pub at: Duration,
    /// How long the frame was on the wire; `frame` may hold less.
    pub original_length: u32,
    /// The octets kept, from the Ethernet header on.
    pub frame: Vec<u8>,
}

/// Writes frames as they come.
#[derive(Debug)]
pub struct PcapWriter<W> {
    to: W,
}

impl<W: Write> PcapWriter<W> {
    /// Writes the file header.
    ///
    /// # Errors
    /// What writing to `to` returns.
    pub fn new(mut to: W) -> io::Result<Self> {
        to.write_all(&MAGIC.to_le_bytes())?;
        to.write_all(&[2, 0, 4, 0])?; // version 2.4
        to.write_all(&[0; 8])?; // time zone, accuracy
        to.write_all(&SNAPLEN.to_le_bytes())?;
        to.write_all(&LINKTYPE_ETHERNET.to_le_bytes())?;
        Ok(Self { to })
    }

    /// Writes one frame.
    ///
    /// # Errors
    /// What writing returns; a frame above 256 KiB is `InvalidInput`.
    pub fn write(&mut self, at: Duration, frame: &[u8], original_length: u32) -> io::Result<()> {
        let length = u32::try_from(frame.len())
            .ok()
            .filter(|length| *length <= SNAPLEN)
            .ok_or(io::ErrorKind::InvalidInput)?;
        let seconds = u32::try_from(at.as_secs()).unwrap_or(u32::MAX);
        for word in [seconds, at.subsec_micros(), length, original_length.max(length)] {
            self.to.write_all(&word.to_le_bytes())?;
        }
        self.to.write_all(frame)
    }

    /// Hands everything written so far to the file.
    ///
    /// # Errors
    /// What flushing returns.
    pub fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Reads frames until the file ends; a last record cut short (a capture still running) ends it too.
#[derive(Debug)]
pub struct PcapReader<R> {
    from: R,
}

impl<R: Read> PcapReader<R> {
    /// Reads and checks the file header.
    ///
    /// # Errors
    /// `InvalidData` when it is not a little-endian microsecond pcap of Ethernet frames.
    pub fn new(mut from: R) -> io::Result<Self> {
        let mut header = [0; 24];
        from.read_exact(&mut header)?;
        let word = |at: usize| header.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
        if word(0) != Some(MAGIC) || word(20) != Some(LINKTYPE_ETHERNET) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a little-endian Ethernet pcap"));
        }
        Ok(Self { from })
    }
}

impl<R: Read> Iterator for PcapReader<R> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let mut header = [0; 16];
        self.from.read_exact(&mut header).ok()?;
        let word = |at: usize| header.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
        let (seconds, micros, length, original_length) = (word(0)?, word(4)?, word(8)?, word(12)?);
        if length > SNAPLEN {
            return None;
        }
        let mut frame = vec![0; length as usize];
        self.from.read_exact(&mut frame).ok()?;
        let at = Duration::from_secs(seconds.into()) + Duration::from_micros(micros.into());
        Some(Record { at, original_length, frame })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut file = Vec::new();
        let mut writer = PcapWriter::new(&mut file).unwrap();
        writer.write(Duration::from_micros(1_700_000_000_000_001), &[1; 60], 60).unwrap();
        writer.write(Duration::from_secs(1_700_000_001), &[2; 96], 1514).unwrap();
        writer.flush().unwrap();
        assert_eq!(file.len(), 24 + 16 + 60 + 16 + 96);
        file.truncate(file.len() - 1); // a capture cut short
        let records: Vec<Record> = PcapReader::new(file.as_slice()).unwrap().collect();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].at, Duration::from_micros(1_700_000_000_000_001));
        assert_eq!(records[0].frame, [1; 60]);
    }

    #[test]
    fn another_file_is_refused() {
        assert!(PcapReader::new([0_u8; 24].as_slice()).is_err());
        assert!(PcapReader::new([].as_slice()).is_err());
    }
}
