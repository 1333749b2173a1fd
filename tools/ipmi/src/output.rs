//! The only place that writes to the terminal.
#![expect(clippy::print_stderr, reason = "the tool's output")]

use std::io::Write;
use std::process::ExitCode;

/// Prints one line.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}"); // a closed pipe is no failure of ours
}

/// Prints one line for people.
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// Prints an error; exit code 1.
pub(crate) fn fail(text: &str) -> ExitCode {
    eprintln!("ipmi: {text}");
    ExitCode::from(1)
}

/// Prints an error of usage; exit code 2.
pub(crate) fn usage(text: &str) -> ExitCode {
    eprintln!("ipmi: {text}");
    ExitCode::from(2)
}

/// Prints an error of configuration; exit code 3.
pub(crate) fn configuration(text: &str) -> ExitCode {
    eprintln!("ipmi: {text}");
    ExitCode::from(3)
}
