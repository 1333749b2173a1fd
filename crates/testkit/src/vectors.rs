//! Packet vectors in text files: `label: hex`, `#` starts a comment line. Called by tests/vectors.rs of the crates.

/// One recorded packet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vector {
    /// What it is and where it came from.
    pub label: String,
    /// Its octets.
    pub octets: Vec<u8>,
}

impl Vector {
    /// Reads a file of vectors. Blanks between digits are free.
    ///
    /// # Errors
    /// The number of the first line that is no vector, counted from 1, with the line.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        text.lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
            .map(|(index, line)| {
                let wrong = || format!("line {}: not `label: hex`: {line}", index + 1);
                let (label, hex) = line.rsplit_once(':').ok_or_else(wrong)?;
                let octets = unhex(hex).ok_or_else(wrong)?;
                Ok(Self { label: label.trim().to_owned(), octets })
            })
            .collect()
    }
}

/// Octets from hexadecimal digits, blanks ignored; `None` for anything else.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect();
    let digits = digits?;
    if digits.len() % 2 != 0 {
        return None;
    }
    digits
        .chunks_exact(2)
        .map(|pair| u8::try_from(pair.iter().fold(0, |value, digit| value * 16 + digit)).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_comments_and_mistakes() {
        let vectors = Vector::parse_all("# from a capture\nack 7 (RFC 1350 §5): 0004 0007\n\n").unwrap();
        assert_eq!(vectors, [Vector { label: "ack 7 (RFC 1350 §5)".into(), octets: vec![0, 4, 0, 7] }]);
        assert!(Vector::parse_all("a: 0\n").unwrap_err().starts_with("line 1"));
        assert!(Vector::parse_all("a: 00\nb: 0g\n").unwrap_err().starts_with("line 2"));
    }
}
