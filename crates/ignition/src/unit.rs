//! Unit files: names and syntax, as Ignition checks them (systemd.syntax(7) read by go-systemd's lexer).

/// Unit types a config may carry.
pub(crate) const UNIT_EXTENSIONS: [&str; 12] = [
    ".service",
    ".socket",
    ".device",
    ".mount",
    ".automount",
    ".swap",
    ".target",
    ".path",
    ".timer",
    ".snapshot",
    ".slice",
    ".scope",
];

/// The last component's text from its last dot on, as Go's `path.Ext`.
pub(crate) fn extension(name: &str) -> &str {
    let last = name.rsplit('/').next().unwrap_or_default();
    last.rfind('.').and_then(|dot| last.get(dot..)).unwrap_or_default()
}

/// Why a text is no unit file, in the lexer's words.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UnitError {
    /// A `[` without its `]`.
    SectionEnd,
    /// Text after the `]`.
    Garbage(String),
    /// The text ends inside an option's name.
    End,
    /// A line without `=`.
    Newline,
    /// A line of 2048 octets or more.
    LineTooLong,
}

impl std::fmt::Display for UnitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("invalid unit content: ")?;
        match self {
            Self::SectionEnd => f.write_str("unable to find end of section"),
            Self::Garbage(text) => write!(f, "found garbage after section name : {text:?}"),
            Self::End => f.write_str("EOF"),
            Self::Newline => f.write_str("unexpected newline encountered while parsing option name"),
            Self::LineTooLong => f.write_str("line too long (max 2048 bytes)"),
        }
    }
}

impl std::error::Error for UnitError {}

/// One `Name=value` line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnitOption<'u> {
    /// The section it stands in.
    pub section: &'u str,
    /// Its name.
    pub name: &'u str,
    /// Its value; continuation lines as they are, backslashes included.
    pub value: &'u str,
    /// Octet at which its name starts.
    pub offset: usize,
}

/// go-systemd's `SYSTEMD_LINE_MAX`.
const LINE_MAX: usize = 2048;
/// What its `bufio.Reader` holds.
const BUFFER: usize = 4096;

/// Reads a unit file and hands each option to `each`.
///
/// # Errors
/// The first place where the text stops being a unit file.
pub fn options<'u>(text: &'u str, each: impl FnMut(UnitOption<'u>)) -> Result<(), UnitError> {
    // Only lines this long can trip the lexer's limit; then its buffer has to be imitated.
    let long = text.len() >= LINE_MAX && text.split(['\n', '\r']).any(|line| line.len() >= LINE_MAX);
    Lexer { text, at: 0, filled: 0, long }.run(each)
}

/// Whether the unit says what enabling it does: an `[Install]` section with an option.
pub(crate) fn has_install(text: &str) -> Result<bool, UnitError> {
    let mut found = false;
    options(text, |option| found |= option.section == "Install")?;
    Ok(found)
}

struct Lexer<'u> {
    text: &'u str,
    at: usize,
    /// How far the reference's reader has filled its buffer.
    filled: usize,
    long: bool,
}

impl<'u> Lexer<'u> {
    fn run(mut self, mut each: impl FnMut(UnitOption<'u>)) -> Result<(), UnitError> {
        // Before the first section everything is skipped, character by character.
        loop {
            self.step()?;
            match self.next() {
                None => return Ok(()),
                Some('[') => break,
                Some('#' | ';') => self.comment()?,
                Some(_) => {}
            }
        }
        let mut section = self.section()?;
        loop {
            self.step()?;
            let offset = self.at;
            match self.next() {
                None => return Ok(()),
                Some('[') => section = self.section()?,
                Some('#' | ';') => self.comment()?,
                Some(c) if c.is_whitespace() => {}
                Some(_) => {
                    self.at = offset;
                    self.step()?;
                    let name = self.name()?;
                    let value = self.value()?;
                    each(UnitOption { section, name, value, offset });
                }
            }
        }
    }

    /// The lexer's check between its steps.
    fn step(&self) -> Result<(), UnitError> {
        if !self.long || self.filled.saturating_sub(self.at) < LINE_MAX {
            return Ok(());
        }
        let ahead = self.text.as_bytes().get(self.at..self.at + LINE_MAX).unwrap_or_default();
        if ahead.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            Ok(())
        } else {
            Err(UnitError::LineTooLong)
        }
    }

    fn fill(&mut self) {
        self.filled = self.text.len().min(self.at + BUFFER);
    }

    fn next(&mut self) -> Option<char> {
        let c = self.text.get(self.at..)?.chars().next()?;
        if self.filled < self.at + c.len_utf8() {
            self.fill();
        }
        self.at += c.len_utf8();
        Some(c)
    }

    /// Reads through `end`; the text without it, and whether it was there.
    fn until(&mut self, end: u8) -> (&'u str, bool) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let found = rest.bytes().position(|byte| byte == end);
        let length = found.unwrap_or(rest.len());
        let stop = self.at + length + usize::from(found.is_some());
        while self.filled < stop {
            let full = self.filled >= self.at + BUFFER;
            self.at = if full { self.filled } else { self.at };
            self.fill();
        }
        self.at = stop;
        (rest.get(..length).unwrap_or_default(), found.is_some())
    }

    fn section(&mut self) -> Result<&'u str, UnitError> {
        self.step()?;
        let (name, closed) = self.until(b']');
        if !closed {
            return Err(UnitError::SectionEnd);
        }
        self.step()?;
        let garbage = self.until(b'\n').0.trim();
        if garbage.is_empty() { Ok(name) } else { Err(UnitError::Garbage(garbage.to_owned())) }
    }

    fn comment(&mut self) -> Result<(), UnitError> {
        self.step()?;
        loop {
            let (line, more) = self.until(b'\n');
            if !more || !line.strip_suffix(' ').unwrap_or(line).ends_with('\\') {
                return Ok(());
            }
        }
    }

    fn name(&mut self) -> Result<&'u str, UnitError> {
        let start = self.at;
        loop {
            match self.next() {
                None => return Err(UnitError::End),
                Some('\n' | '\r') => return Err(UnitError::Newline),
                Some('=') => break,
                Some(_) => {}
            }
        }
        Ok(self.text.get(start..self.at - 1).unwrap_or_default().trim())
    }

    fn value(&mut self) -> Result<&'u str, UnitError> {
        let start = self.at;
        loop {
            self.step()?;
            let (line, more) = self.until(b'\n');
            if line.trim().is_empty() || !line.ends_with('\\') || !more {
                return Ok(self.text.get(start..self.at).unwrap_or_default().trim());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(&str, &str, &str)>, UnitError> {
        let mut found = Vec::new();
        options(text, |option| found.push((option.section, option.name, option.value)))?;
        Ok(found)
    }

    #[test]
    fn sections_options_continuations() {
        // systemd.syntax(7)
        let text = "ignored\n# c \\\n[not]\n[Unit]\nA = b \n\n;x\n[Service]\nExecStart=/a \\\n  b\nC=\n";
        let expected = [("Unit", "A", "b"), ("Service", "ExecStart", "/a \\\n  b"), ("Service", "C", "")];
        assert_eq!(read(text).unwrap(), expected);
        assert_eq!(has_install("[Install]\n"), Ok(false));
        assert_eq!(has_install("[Install]\nWantedBy=x"), Ok(true));
    }

    #[test]
    fn refuses_what_the_lexer_refuses() {
        assert_eq!(read("[a"), Err(UnitError::SectionEnd));
        assert_eq!(read("[a] b\n"), Err(UnitError::Garbage("b".to_owned())));
        assert_eq!(read("[a]\nx\n"), Err(UnitError::Newline));
        assert_eq!(read("[a]\nx"), Err(UnitError::End));
        assert_eq!(read(&format!("[a]\nx={}\n", "y".repeat(3000))), Err(UnitError::LineTooLong));
        assert!(read(&format!("[a]\nx={}\n", "y".repeat(2000))).is_ok());
    }
}
