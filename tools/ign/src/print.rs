//! Reports as text and as JSON.

use ignition::{Report, Severity};
use serde_json::{Value, json};

use crate::args::ReportForm;
use crate::config::Input;

/// Prints the findings about one input: text on standard error, JSON on standard output.
pub(crate) fn report(input: &Input, report: &Report, form: ReportForm) {
    match form {
        ReportForm::Text => {
            for entry in report.entries() {
                eprintln!("{}: {entry}", input.name.display());
            }
            if report.dropped() > 0 {
                eprintln!("{}: and {} more", input.name.display(), report.dropped());
            }
        }
        ReportForm::Json => println!("{}", as_json(report)),
    }
}

/// The object the conformance runner reads.
pub(crate) fn as_json(report: &Report) -> Value {
    let entries: Vec<Value> = report
        .entries()
        .iter()
        .map(|entry| {
            json!({
                "kind": entry.severity.as_str(),
                "code": entry.code,
                "message": entry.message,
                "path": entry.path.to_string(),
                "line": entry.place.map(|place| place.line),
                "column": entry.place.map(|place| place.column),
                "hint": entry.hint,
            })
        })
        .collect();
    json!({ "valid": !report.is_fatal(), "entries": entries, "dropped": report.dropped() })
}

/// Whether the findings fail the run.
pub(crate) fn passes(report: &Report, strict: bool) -> bool {
    !report.is_fatal()
        && !(strict && report.entries().iter().any(|entry| entry.severity == Severity::Warning))
}
