//! What a machine printed to its serial port, read back for messages and asserts. Pure; called with the log's text.

use std::collections::BTreeMap;

/// A serial log without its terminal control sequences.
#[derive(Clone, Debug, Default)]
pub struct Console {
    text: String,
}

impl Console {
    /// Reads the octets of a log. Whatever a machine sends, the text holds printable characters and line feeds only.
    #[must_use]
    pub fn new(octets: &[u8]) -> Self {
        let raw = String::from_utf8_lossy(octets);
        let mut text = String::with_capacity(raw.len());
        let mut characters = raw.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\u{1b}' => skip_sequence(&mut characters),
                '\n' => text.push('\n'),
                '\t' => text.push(' '),
                other if !other.is_control() => text.push(other),
                _ => {}
            }
        }
        Self { text }
    }

    /// Reads a log file; one that is not there yet is empty.
    #[must_use]
    pub fn read(path: &std::path::Path) -> Self {
        Self::new(&std::fs::read(path).unwrap_or_default())
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The last `count` lines that are not empty.
    #[must_use]
    pub fn tail(&self, count: usize) -> Vec<&str> {
        let mut lines: Vec<&str> =
            self.text.lines().rev().filter(|l| !l.trim().is_empty()).take(count).collect();
        lines.reverse();
        lines
    }

    /// The firmware's own line: SeaBIOS's version, or EDK2's PXE start.
    #[must_use]
    pub fn firmware(&self) -> Option<&str> {
        self.line_with("SeaBIOS (version")
            .or_else(|| self.line_with(">>Start PXE over IPv4"))
            .or_else(|| self.line_with("BdsDxe:"))
    }

    /// iPXE's banner.
    #[must_use]
    pub fn ipxe(&self) -> Option<&str> {
        self.line_with("iPXE 1.").or_else(|| self.line_with("iPXE 2."))
    }

    /// How often iPXE started: two on a machine that loaded undionly.kpxe from the medium's iPXE.
    #[must_use]
    pub fn ipxe_starts(&self) -> usize {
        self.text.matches("-- Open Source Network Boot Firmware --").count()
    }

    /// The kernel's banner.
    #[must_use]
    pub fn kernel(&self) -> Option<&str> {
        self.line_with("Linux version ")
    }

    /// The agent's lines, without their prefix.
    pub fn agent(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter_map(|line| line.split_once("kpc-agent: ").map(|(_, rest)| rest.trim_end()))
    }

    /// The name the agent was given at registration.
    #[must_use]
    pub fn registered_as(&self) -> Option<&str> {
        self.agent().find_map(|line| line.strip_prefix("registered as "))
    }

    /// What the agent measured: `kernel`, `initrd`, `ignition` or `file /path`, to lower-case hexadecimal SHA-256.
    #[must_use]
    pub fn digests(&self) -> BTreeMap<&str, &str> {
        self.agent().filter_map(|line| line.strip_prefix("sha256 ")?.rsplit_once(' ')).collect()
    }

    fn line_with(&self, what: &str) -> Option<&str> {
        self.text.lines().find(|line| line.contains(what)).map(str::trim)
    }
}

/// Skips the rest of an escape sequence: `[ … letter` (ECMA-48 §5.4) or one character.
fn skip_sequence(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    let first = match characters.peek() {
        // A message may break a sequence: never swallow a whole line.
        None | Some('\n') => return,
        Some(first) => *first,
    };
    characters.next();
    if first != '[' {
        return;
    }
    while let Some(character) = characters.peek().copied() {
        if character == '\n' {
            return;
        }
        characters.next();
        if ('@'..='~').contains(&character) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banners_and_digests() {
        let log = b"\x1bc\x1b[?7l\x1b[2J\x1b[0mSeaBIOS (version 1.16.2-debian-1.16.2-1)\r\n\
            \x1b[0;1miPXE 1.0.0+git-20190125.36a4c85-5.1\x1b[0m -- Open Source Network Boot Firmware -- \r\n\
            [    0.000000] Linux version 6.1.0-50-amd64 (debian)\r\n\
            kpc-agent: sha256 kernel 00ff\r\nkpc-agent: sha256 file /etc/a b ab12\r\n\
            kpc-agent: registered as node-1\r\n";
        let console = Console::new(log);
        assert_eq!(console.firmware(), Some("SeaBIOS (version 1.16.2-debian-1.16.2-1)"));
        assert!(console.ipxe().is_some_and(|line| line.starts_with("iPXE 1.0.0+git")));
        assert_eq!(console.ipxe_starts(), 1);
        assert!(console.kernel().is_some());
        assert_eq!(console.registered_as(), Some("node-1"));
        assert_eq!(console.digests()["kernel"], "00ff");
        assert_eq!(console.digests()["file /etc/a b"], "ab12");
        assert_eq!(console.tail(1), ["kpc-agent: registered as node-1"]);
    }

    #[test]
    fn a_broken_sequence_does_not_swallow_the_next_line() {
        assert_eq!(Console::new(b"a\x1b[31\nb\x1b\nc\x1b").text(), "a\nb\nc");
        assert_eq!(Console::new(b"\xff\x00\x07x\r\n").text(), "\u{fffd}x\n");
    }
}
