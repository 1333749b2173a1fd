//! Lines on the machine's console, each with the program's name, so that a serial log can be searched.

use std::io::Write as _;

/// One line of the agent.
pub(crate) fn say(line: impl AsRef<str>) {
    print(&format!("kpc-agent: {}", printable(line.as_ref())));
}

/// A text as it is.
pub(crate) fn print(text: &str) {
    // A console that is gone leaves nobody to tell.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A mistake in the arguments.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "kpc-agent: {}", printable(text));
}

/// What came from the network must not move a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(1000).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(super::printable("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
