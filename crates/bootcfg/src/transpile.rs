//! [`Transpile`] over crate `ignition`. Feature `ignition`.

use ignition::report::Entry;
use ignition::{Config, Report, Severity, fuze, yaml};

use crate::fault::{Fault, Reason};
use crate::render::ignition::Transpile;

/// Fuze and raw configs by crate `ignition`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ignition;

impl Transpile for Ignition {
    fn fuze(&self, yaml: &[u8]) -> Result<Vec<u8>, Fault> {
        fuze::transpile(yaml).map_err(|report| fault(Reason::BadYaml, &report))
    }

    fn butane(&self, _: &[u8]) -> Result<Vec<u8>, Fault> {
        Err(Fault::new(Reason::Unsupported, "Butane is not part of this build"))
    }

    fn any(&self, yaml: &[u8]) -> Result<Vec<u8>, Fault> {
        self.fuze(yaml)
    }

    fn reencode(&self, _: &[u8]) -> Result<Vec<u8>, Fault> {
        Err(Fault::new(Reason::Unsupported, "encoding Ignition again is not part of this build"))
    }

    fn validate(&self, config: &[u8]) -> Result<(), Fault> {
        match Config::parse(config) {
            Ok(_) => Ok(()),
            Err(report) => Err(fault(Reason::BadIgnition, &report)),
        }
    }

    fn check_yaml(&self, yaml: &[u8]) -> Result<(), String> {
        yaml::parse(yaml).map(|_| ()).map_err(|error| error.to_string())
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
