//! Netascii: a line ends with CR LF, a bare CR is CR NUL (RFC 1350 §1, RFC 764).
//!
//! Both ways work on pieces of any length: a CR may end one and its LF or NUL begin the next.

/// Turns local text into netascii: LF becomes CR LF, CR becomes CR NUL.
///
/// ```
/// let mut out = Vec::new();
/// tftp::netascii::encode(b"a\nb\r", &mut out);
/// assert_eq!(out, b"a\r\nb\r\0");
/// ```
pub fn encode(text: &[u8], out: &mut Vec<u8>) {
    for &octet in text {
        match octet {
            b'\n' => out.extend_from_slice(b"\r\n"),
            b'\r' => out.extend_from_slice(b"\r\0"),
            other => out.push(other),
        }
    }
}

/// The length of `text` in netascii, which is what `tsize` must say (RFC 2349).
#[must_use]
pub fn encoded_len(text: &[u8]) -> u64 {
    let grown = text.iter().filter(|&&octet| octet == b'\n' || octet == b'\r').count();
    (text.len() + grown) as u64
}

/// Turns netascii into local text: CR LF becomes LF, CR NUL becomes CR. Any other octet behind a CR keeps both.
#[derive(Clone, Copy, Debug, Default)]
pub struct Decoder {
    carriage_return: bool,
}

impl Decoder {
    /// Takes the next piece.
    pub fn decode(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for &octet in piece {
            if std::mem::take(&mut self.carriage_return) {
                match octet {
                    b'\n' => out.push(b'\n'),
                    0 => out.push(b'\r'),
                    b'\r' => {
                        out.push(b'\r');
                        self.carriage_return = true;
                    }
                    other => out.extend_from_slice(&[b'\r', other]),
                }
            } else if octet == b'\r' {
                self.carriage_return = true;
            } else {
                out.push(octet);
            }
        }
    }

    /// Ends the text: a CR that still waits is kept.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.carriage_return) {
            out.push(b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_in_pieces_of_any_length() {
        // RFC 764: CR LF is the end of a line, CR NUL a carriage return.
        let text = b"one\ntwo\r\nthree\r\r\n\n\rfour\0\r";
        let mut wire = Vec::new();
        encode(text, &mut wire);
        assert_eq!(wire.len() as u64, encoded_len(text));
        for length in 1..=wire.len() {
            let (mut decoder, mut out) = (Decoder::default(), Vec::new());
            wire.chunks(length).for_each(|piece| decoder.decode(piece, &mut out));
            decoder.finish(&mut out);
            assert_eq!(out, text, "pieces of {length}");
        }
    }
}
