//! [`Transpile`] over crate `ignition`. Feature `ignition`.

use ignition::report::Entry;
use ignition::tree::{Cursor, Kind};
use ignition::{Config, Report, Severity, butane, convert, fuze, yaml};

use crate::fault::{Fault, Reason};
use crate::render::ignition::Transpile;

/// Deeper structure is not compared.
const MAX_SHAPE: u32 = 200;

/// Fuze, Butane and raw configs by crate `ignition`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ignition;

impl Transpile for Ignition {
    fn fuze(&self, yaml: &[u8]) -> Result<Vec<u8>, Fault> {
        fuze::transpile(yaml).map_err(|report| fault(Reason::BadYaml, &report))
    }

    fn butane(&self, yaml: &[u8]) -> Result<Vec<u8>, Fault> {
        // As matchbox does: what Butane gives is read again and answered like a raw config.
        Ok(convert::matchbox_answer(&native(yaml)?).0)
    }

    fn any(&self, yaml: &[u8]) -> Result<Vec<u8>, Fault> {
        let tree = yaml::parse(yaml).map_err(|error| {
            let line = yaml.iter().take(error.offset as usize).filter(|&&octet| octet == b'\n').count() + 1;
            let mut fault = Fault::new(Reason::BadYaml, error.message);
            fault.line = u32::try_from(line).unwrap_or(u32::MAX);
            fault
        })?;
        let is_butane = tree.root().is_some_and(|root| root.get("variant").is_some());
        if is_butane { native(yaml) } else { self.fuze(yaml) }
    }

    fn reencode(&self, config: &[u8]) -> Result<Vec<u8>, Fault> {
        Ok(convert::matchbox_answer(config).0)
    }

    fn validate(&self, config: &[u8]) -> Result<(), Fault> {
        match Config::parse(config) {
            Ok(_) => Ok(()),
            Err(report) => Err(fault(Reason::BadIgnition, &report)),
        }
    }

    fn shape(&self, yaml: &[u8]) -> Result<String, String> {
        let tree = yaml::parse(yaml).map_err(|error| error.to_string())?;
        let mut out = String::new();
        if let Some(root) = tree.root() {
            shape(root, 0, &mut out);
        }
        Ok(out)
    }

    fn check_yaml(&self, yaml: &[u8]) -> Result<(), String> {
        yaml::parse(yaml).map(|_| ()).map_err(|error| error.to_string())
    }
}

/// Butane to the version it asks for.
fn native(yaml: &[u8]) -> Result<Vec<u8>, Fault> {
    match butane::transpile(yaml, &butane::Options::default()) {
        Ok((config, _)) => Ok(config),
        Err(report) => Err(fault(Reason::BadYaml, &report)),
    }
}

/// Lists, maps and keys; `.` for any scalar.
fn shape(at: Cursor<'_>, depth: u32, out: &mut String) {
    match at.kind() {
        Kind::Object if depth < MAX_SHAPE => {
            out.push('{');
            for (key, value) in at.members() {
                out.push_str(key.text());
                out.push('=');
                shape(value, depth + 1, out);
            }
            out.push('}');
        }
        Kind::Array if depth < MAX_SHAPE => {
            out.push('[');
            for item in at.items() {
                shape(item, depth + 1, out);
            }
            out.push(']');
        }
        _ => out.push('.'),
    }
}

/// The first error of a report.
fn fault(reason: Reason, report: &Report) -> Fault {
    let entry = report.entries().iter().find(|entry| entry.severity == Severity::Error);
    let Some(entry) = entry else { return Fault::new(reason, report.to_string()) };
    let mut fault = Fault::new(reason, detail(entry));
    if let Some(place) = &entry.place {
        (fault.line, fault.column) = (place.line, place.column);
    }
    fault
}

fn detail(entry: &Entry) -> String {
    let path = entry.path.to_string();
    let hint = entry.hint.as_deref().map(|hint| format!("; {hint}")).unwrap_or_default();
    if path.is_empty() {
        format!("{}{hint}", entry.message)
    } else {
        format!("{path}: {}{hint}", entry.message)
    }
}
