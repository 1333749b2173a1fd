//! The only place that writes to the terminal; with `--json` it gathers what a command says into one object.
#![expect(clippy::print_stderr, reason = "the tool's output")]

use std::io::Write;
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock};

use serde_json::{Map, Value, json};

/// Lines gathered for one object; `None` when they go straight out.
static GATHERED: Mutex<Option<String>> = Mutex::new(None);

fn write(text: &str) {
    let mut gathered = GATHERED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match gathered.as_mut() {
        Some(buffer) => buffer.push_str(text),
        None => {
            let mut stdout = std::io::stdout();
            let _ = stdout.write_all(text.as_bytes()); // a closed pipe is no failure of ours
        }
    }
}

/// Prints one line.
pub(crate) fn line(text: &str) {
    write(text);
    write("\n");
}

/// Prints the beginning of a line.
pub(crate) fn part(text: &str) {
    write(text);
}

/// Sends out what was printed so far.
pub(crate) fn flush() {
    let _ = std::io::stdout().flush();
}

/// Begins to gather lines.
pub(crate) fn gather() {
    *GATHERED.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(String::new());
}

/// Takes what was gathered and prints it as one object: `host`, `command`, `ok`, `error` and `kind` on
/// failure, `fields` (the `name : value` lines, names in snake case), `rows` (the cells of `a | b` lines),
/// `text` (all lines).
pub(crate) fn as_json(host: &str, command: &str, failure: Option<(&str, &str)>) {
    let text = GATHERED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take().unwrap_or_default();
    let (mut fields, mut rows) = (Map::new(), Vec::new());
    for line in text.lines() {
        if line.contains(" | ") {
            rows.push(Value::from(line.split('|').map(str::trim).collect::<Vec<_>>()));
        } else if let Some((name, value)) = line.split_once(':') {
            fields.entry(snake(name)).or_insert_with(|| value.trim().into());
        }
    }
    let mut object = json!({
        "host": host, "command": command, "ok": failure.is_none(),
        "fields": fields, "rows": rows, "text": text.lines().collect::<Vec<_>>(),
    });
    if let (Some((kind, error)), Some(object)) = (failure, object.as_object_mut()) {
        object.insert("kind".into(), kind.into());
        object.insert("error".into(), error.into());
    }
    line(&object.to_string());
}

/// `Power Restore Policy ` to `power_restore_policy`.
fn snake(name: &str) -> String {
    let words: Vec<_> =
        name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join("_").to_ascii_lowercase()
}

/// What the fleet forms say on standard error, beside their answers.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Messages {
    /// How messages are written to standard error.
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    log_format: String,
    /// Which messages are written.
    #[arg(long, default_value = "info", value_parser = LEVELS)]
    log_level: String,
}

impl Default for Messages {
    fn default() -> Self {
        Self { log_format: "text".into(), log_level: "info".into() }
    }
}

impl Messages {
    /// Takes the value of `--log-format`.
    pub(crate) fn set_format(&mut self, word: &str) -> Result<(), String> {
        if !["text", "json"].contains(&word) {
            return Err(format!("--log-format {word:?}: write text or json"));
        }
        word.clone_into(&mut self.log_format);
        Ok(())
    }

    /// Takes the value of `--log-level`.
    pub(crate) fn set_level(&mut self, word: &str) -> Result<(), String> {
        if !LEVELS.contains(&word) {
            return Err(format!("--log-level {word:?}: write one of {}", LEVELS.join(", ")));
        }
        word.clone_into(&mut self.log_level);
        Ok(())
    }
}

/// The later ones show more.
pub(crate) const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Whether a message of this level is shown.
pub(crate) fn shows(level: &str, wanted: &str) -> bool {
    let rank = |level: &str| LEVELS.iter().position(|known| *known == level);
    rank(level) <= rank(wanted)
}

static MESSAGES: OnceLock<Messages> = OnceLock::new();

/// Settles the form of messages; the first call counts. Without one they are all shown, as text.
pub(crate) fn start(messages: &Messages) {
    let _ = MESSAGES.set(messages.clone());
}

fn message(level: &str, prefix: &str, text: &str) {
    match MESSAGES.get() {
        Some(messages) if !shows(level, &messages.log_level) => {}
        Some(messages) if messages.log_format == "json" => {
            eprintln!("{}", json!({ "level": level, "message": text }));
        }
        _ => eprintln!("{prefix}{text}"),
    }
}

/// Prints one line for people.
pub(crate) fn note(text: &str) {
    message("info", "", text);
}

/// Prints what may be wrong with one host.
pub(crate) fn warn(text: &str) {
    message("warn", "", text);
}

/// Prints what is wrong with one host.
pub(crate) fn error(text: &str) {
    message("error", "", text);
}

/// Prints an error; exit code 1.
pub(crate) fn fail(text: &str) -> ExitCode {
    message("error", "ipmi: ", text);
    ExitCode::from(1)
}

/// Prints an error of usage; exit code 2.
pub(crate) fn usage(text: &str) -> ExitCode {
    message("error", "ipmi: ", text);
    ExitCode::from(2)
}

/// Prints an error of configuration; exit code 3.
pub(crate) fn configuration(text: &str) -> ExitCode {
    message("error", "ipmi: ", text);
    ExitCode::from(3)
}

#[cfg(test)]
mod tests {
    #[test]
    fn levels_show_what_matters_as_much() {
        assert!(super::shows("error", "error") && super::shows("info", "trace"));
        assert!(!super::shows("info", "warn") && !super::shows("warn", "error"));
    }
}
