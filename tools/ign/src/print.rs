//! Findings as text with their line underlined, and as JSON. Secrets do not leave this file.

use std::path::Path;

use ignition::report::{Lines, Place};
use ignition::tree::Span;
use ignition::{Entry, Report, Severity, redact};
use serde_json::{Value, json};

use crate::config::Input;
use crate::log;

/// What is shown of a line that is longer.
const WIDTH: usize = 110;

/// Prints findings for a person, on standard error.
pub(crate) fn text(input: &Input, report: &Report) {
    if report.is_empty() {
        return;
    }
    let source = String::from_utf8_lossy(&input.octets);
    let (lines, secrets) = (Lines::new(&source), redact::secrets(&source));
    let mut out = String::new();
    for entry in report.entries().iter().filter(|entry| log::shows(entry.severity)) {
        finding(&mut out, &input.name, entry, &lines, &secrets);
    }
    if report.dropped() > 0 {
        out.push_str(&format!("{}: and {} more\n", input.name.display(), report.dropped()));
    }
    eprint!("{out}");
}

fn finding(out: &mut String, name: &Path, entry: &Entry, lines: &Lines<'_>, secrets: &[(usize, usize)]) {
    out.push_str(&name.display().to_string());
    if let Some(place) = entry.place {
        out.push_str(&format!(":{}:{}", place.line, place.column));
    }
    let message = redact::redact(&entry.message);
    out.push_str(&format!(": {}: {message} [{}]\n", entry.severity, entry.code));
    if !entry.path.0.is_empty() {
        out.push_str(&format!("      at {}\n", entry.path));
    }
    if let Some(place) = entry.place {
        underlined(out, place, lines, secrets);
    }
    if let Some(hint) = &entry.hint {
        out.push_str(&format!("      = {hint}\n"));
    }
}

/// The line of a place, cut around it, secrets hidden, and marks below it.
fn underlined(out: &mut String, place: Place, lines: &Lines<'_>, secrets: &[(usize, usize)]) {
    let start = lines.start(place.line) as usize;
    let text = lines.text(place.line);
    let span = about(place, lines);
    let marked = span.end.saturating_sub(span.start) as usize;
    let column = place.column.saturating_sub(1) as usize;
    let from = column.saturating_sub(WIDTH / 2).min(text.chars().count().saturating_sub(WIDTH));
    let (mut shown, mut marks) = (String::new(), String::new());
    let mut first = None;
    for (index, (at, c)) in text.char_indices().enumerate().skip(from).take(WIDTH) {
        let offset = start + at;
        let secret = secrets.iter().any(|(from, to)| (*from..*to).contains(&offset));
        shown.push(match c {
            _ if secret => '*',
            c if c.is_control() && c != '\t' => ' ',
            c => c,
        });
        let begin = *first.get_or_insert(if index >= column { offset } else { usize::MAX });
        if index < column {
            first = None;
            marks.push(if c == '\t' { '\t' } else { ' ' });
        } else if index == column || offset < begin + marked {
            marks.push('^');
        }
    }
    let cut = if from > 0 { "…" } else { "" };
    let space = if from > 0 { " " } else { "" };
    let (line, marks) = (place.line, if marks.contains('^') { marks } else { marks + "^" });
    out.push_str(&format!("{line:5} | {cut}{shown}\n      | {space}{marks}\n"));
}

/// The key or the value, whichever the finding stands at.
pub(crate) fn about(place: Place, lines: &Lines<'_>) -> Span {
    let at_value = lines.at(place.value.start) == (place.line, place.column);
    place.key.filter(|_| !at_value).unwrap_or(place.value)
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
                "message": redact::redact(&entry.message),
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
    let warned = report.entries().iter().any(|entry| entry.severity == Severity::Warning);
    !(report.is_fatal() || strict && warned)
}
