//! What is said on standard error beside findings, and which findings are shown there as text. Settled once in `main`.

use std::sync::OnceLock;

use ignition::Severity;
use serde_json::json;

use crate::args::{LogFormat, LogLevel};

static FORM: OnceLock<(LogFormat, LogLevel)> = OnceLock::new();

/// Settles format and level; the first call counts.
pub(crate) fn start(format: LogFormat, level: LogLevel) {
    let _ = FORM.set((format, level));
}

fn form() -> (LogFormat, LogLevel) {
    FORM.get().copied().unwrap_or((LogFormat::Text, LogLevel::Info))
}

/// Why the run ends: shown at every level.
pub(crate) fn error(why: &str) {
    match form().0 {
        LogFormat::Text => eprintln!("ign: {why}"),
        LogFormat::Json => eprintln!("{}", json!({ "level": "error", "program": "ign", "message": why })),
    }
}

/// Whether a finding of this severity is shown as text.
pub(crate) fn shows(severity: Severity) -> bool {
    let least = match severity {
        Severity::Error => LogLevel::Error,
        Severity::Warning | Severity::Deprecated => LogLevel::Warn,
        Severity::Info => LogLevel::Info,
    };
    least <= form().1
}
