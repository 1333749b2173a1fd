//! Findings as SARIF 2.1.0 (OASIS Standard, sections 3.13 to 3.30), for code reviews.

use std::collections::BTreeMap;
use std::path::Path;

use ignition::explain::explain;
use ignition::report::Lines;
use ignition::{Entry, Report, Severity, redact};
use serde_json::{Map, Value, json};

use crate::config::Input;
use crate::print;

/// One document about all inputs.
pub(crate) fn document(found: &[(&Input, &Report)]) -> Value {
    let codes = found.iter().flat_map(|(_, report)| report.entries()).map(|entry| (entry.code, 0));
    let mut rules: BTreeMap<&str, usize> = codes.collect();
    for (index, number) in rules.values_mut().enumerate() {
        *number = index;
    }
    let described: Vec<Value> = rules.keys().map(|code| rule(code)).collect();
    let mut results = Vec::new();
    for (input, report) in found {
        let source = String::from_utf8_lossy(&input.octets);
        let lines = Lines::new(&source);
        results.extend(report.entries().iter().map(|entry| result(input, entry, &lines, &rules)));
    }
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "ign",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": described,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// §3.49: what a code means.
fn rule(code: &str) -> Value {
    match explain(code) {
        Some(explanation) => json!({
            "id": code,
            "shortDescription": { "text": explanation.meaning },
            "help": { "text": explanation.remedy },
        }),
        None => json!({ "id": code }),
    }
}

/// §3.27: one finding.
fn result(input: &Input, entry: &Entry, lines: &Lines<'_>, rules: &BTreeMap<&str, usize>) -> Value {
    let mut location = Map::new();
    let mut physical = json!({ "artifactLocation": { "uri": uri(&input.name) } });
    if let (Some(place), Some(physical)) = (entry.place, physical.as_object_mut()) {
        // §3.30.8: the end column is the one behind the last character.
        let (end_line, end_column) = lines.at(print::about(place, lines).end);
        let mut region = json!({ "startLine": place.line, "startColumn": place.column });
        if let Some(region) =
            region.as_object_mut().filter(|_| (end_line, end_column) > (place.line, place.column))
        {
            region.insert("endLine".to_owned(), json!(end_line));
            region.insert("endColumn".to_owned(), json!(end_column));
        }
        physical.insert("region".to_owned(), region);
    }
    location.insert("physicalLocation".to_owned(), physical);
    location.insert("logicalLocations".to_owned(), json!([{ "fullyQualifiedName": entry.path.to_string() }]));
    let hint = entry.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    json!({
        "ruleId": entry.code,
        "ruleIndex": rules.get(entry.code),
        "level": match entry.severity {
            Severity::Error => "error",
            Severity::Warning | Severity::Deprecated => "warning",
            Severity::Info => "note",
        },
        "message": { "text": format!("{}{hint}", redact::redact(&entry.message)) },
        "locations": [location],
    })
}

/// §3.4.3: a relative reference, as RFC 3986 writes it.
fn uri(name: &Path) -> String {
    let text = name.to_string_lossy();
    if text == "-" {
        return "stdin".to_owned();
    }
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte))
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    if out.starts_with('/') { format!("file://{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_references() {
        assert_eq!(uri(Path::new("a b/ü.bu")), "a%20b/%C3%BC.bu");
        assert_eq!(uri(Path::new("/a:b")), "file:///a%3Ab");
        assert_eq!(uri(Path::new("-")), "stdin");
    }
}
