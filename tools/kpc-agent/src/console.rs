//! Lines on the machine's console, each with the program's name, so that a serial log can be searched; or each a JSON
//! object.

use std::io::Write as _;
use std::sync::OnceLock;

use serde_json::json;

/// How much a line matters; the later ones are for those who want to see more.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Level {
    /// The agent has ended, or needs a person.
    Error,
    /// It did not work this time.
    Warn,
    /// What was done. There is nothing below it: `debug` and `trace` show the same.
    Info,
}

/// Which lines are shown, and how.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Form {
    /// Objects instead of text.
    pub(crate) json: bool,
    /// Lines that matter less are left out.
    pub(crate) level: Level,
}

impl Default for Form {
    fn default() -> Self {
        Self { json: false, level: Level::Info }
    }
}

static FORM: OnceLock<Form> = OnceLock::new();

/// Settles the form of all lines; the first call counts.
pub(crate) fn start(form: Form) {
    let _ = FORM.set(form);
}

/// What was done.
pub(crate) fn say(line: impl AsRef<str>) {
    tell(Level::Info, line.as_ref());
}

/// What did not work this time.
pub(crate) fn warn(line: impl AsRef<str>) {
    tell(Level::Warn, line.as_ref());
}

/// Why the agent ends.
pub(crate) fn fail(line: impl AsRef<str>) {
    tell(Level::Error, line.as_ref());
}

fn tell(level: Level, line: &str) {
    if let Some(line) = FORM.get().copied().unwrap_or_default().line(level, line) {
        print(&line);
    }
}

impl Form {
    /// The line as it is shown, if it is.
    fn line(self, level: Level, text: &str) -> Option<String> {
        let word = match level {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
        };
        (level <= self.level).then(|| match self.json {
            true => json!({ "level": word, "program": "kpc-agent", "message": printable(text) }).to_string(),
            false => format!("kpc-agent: {}", printable(text)),
        })
    }
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
    use super::*;

    #[test]
    fn lines_in_both_forms() {
        let text = Form { level: Level::Warn, ..Form::default() };
        assert_eq!(text.line(Level::Info, "done"), None);
        assert_eq!(text.line(Level::Error, "lost").as_deref(), Some("kpc-agent: lost"));
        let line = Form { json: true, level: Level::Info }.line(Level::Warn, "a \"b\"\n").unwrap();
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&object["level"], &object["message"]), (&json!("warn"), &json!("a \"b\"\u{fffd}")));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(super::printable("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
