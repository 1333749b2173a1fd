//! An extension: `@{NAME}` in a source config stands for a value given by its user.
//!
//! Nothing is replaced unless values are given. `@@{` is a literal `@{`. A name without a value is an error with its
//! place; values are put in as they are, so quote where the YAML needs it.

use std::collections::BTreeMap;

use crate::report::{Entry, Lines, Path, Report, Severity};
use crate::tree::Span;

/// Replaces variables.
///
/// ```
/// let values = [("HOST".to_owned(), "node1".to_owned())].into();
/// assert_eq!(ignition::variables::substitute("name: @{HOST}", &values).unwrap(), "name: node1");
/// ```
///
/// # Errors
/// Every name that has no value, and every `@{` without its `}`.
pub fn substitute(source: &str, values: &BTreeMap<String, String>) -> Result<String, Report> {
    let mut report = Report::default();
    let mut complain = |at: usize, length: usize, message: String| {
        let span = Span { start: at as u32, end: (at + length) as u32 };
        report.push(Entry {
            severity: Severity::Error,
            code: "unknown-variable",
            message,
            path: Path::root(),
            place: Some(Lines::new(source).place(None, span)),
            hint: None,
        });
    };
    let (mut out, mut from) = (String::with_capacity(source.len()), 0);
    while let Some(at) = source.get(from..).and_then(|rest| rest.find("@{")).map(|offset| from + offset) {
        out.push_str(source.get(from..at).unwrap_or_default());
        if out.ends_with('@') {
            out.push('{');
            from = at + 2;
            continue;
        }
        let rest = source.get(at + 2..).unwrap_or_default();
        let name = rest.split(['}', '\n']).next().unwrap_or_default();
        let closed = rest.get(name.len()..).is_some_and(|rest| rest.starts_with('}'));
        match values.get(name).filter(|_| closed) {
            Some(value) => out.push_str(value),
            None if closed => complain(at, name.len() + 3, format!("no value for the variable {name:?}")),
            None => complain(at, 2, "`@{` without `}`".to_owned()),
        }
        from = at + 2 + name.len() + usize::from(closed);
    }
    out.push_str(source.get(from..).unwrap_or_default());
    if report.is_fatal() { Err(report) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_mistakes() {
        let values = [("A".to_owned(), "1".to_owned())].into();
        assert_eq!(substitute("x @{A} @@{A} @", &values).unwrap(), "x 1 @{A} @");
        let report = substitute("a\n b @{B} @{", &values).unwrap_err();
        let lines: Vec<_> = report.entries().iter().map(|entry| entry.place.unwrap().line).collect();
        assert_eq!(lines, [2, 2]);
    }
}
