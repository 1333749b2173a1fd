//! Rules for units.

use std::collections::HashMap;

use super::{duplicates, filled};
use crate::report::{At, Report};
use crate::unit::{UNIT_EXTENSIONS, extension, has_install};
use crate::v3::{Systemd, Unit};

pub(super) fn units(systemd: &Systemd, report: &mut Report, at: &At<'_>) {
    let list = at.key("units");
    for (index, unit) in systemd.units.iter().enumerate() {
        one(unit, report, &list.index(index));
    }
    instances(systemd, report, &list);
    duplicates(systemd.units.iter().map(|unit| &unit.name), report, &list);
}

fn one(unit: &Unit, report: &mut Report, at: &At<'_>) {
    if !UNIT_EXTENSIONS.contains(&extension(&unit.name)) {
        report.error("invalid-systemd-unit-extension", "invalid systemd unit extension", &at.key("name"));
    }
    if let Some(contents) = &unit.contents {
        match has_install(contents) {
            Err(why) => report.error("unit-syntax", why.to_string(), &at.key("contents")),
            Ok(false) if unit.enabled == Some(true) && !contents.is_empty() => {
                let message = format!(
                    "unit {:?} is enabled, but has no install section so enable does nothing",
                    unit.name
                );
                report.warn("unit-no-install", message, &at.key("contents"));
            }
            Ok(_) => {}
        }
    }
    let list = at.key("dropins");
    for (index, dropin) in unit.dropins.iter().enumerate() {
        let at = list.index(index);
        if let Some(Err(why)) = dropin.contents.as_deref().map(has_install) {
            report.error("unit-syntax", why.to_string(), &at.key("contents"));
        }
        if extension(&dropin.name) != ".conf" {
            let message = "invalid systemd drop-in extension";
            report.error("invalid-systemd-drop-in-extension", message, &at.key("name"));
        }
    }
    duplicates(unit.dropins.iter().map(|dropin| &dropin.name), report, &list);
}

/// `a@` of an instance `a@b.service`: the shortest name, as in `^(.+?)@(.+?)\.service$`.
pub(crate) fn template_of(name: &str) -> Option<String> {
    let stem = name.strip_suffix(".service")?;
    // The name before the `@` has at least one character, and so has the instance.
    let (at, _) = stem.char_indices().skip(1).find(|(_, c)| *c == '@')?;
    let (before, instance) = stem.split_at(at);
    (instance.len() > 1 && !stem.contains('\n')).then(|| format!("{before}@.service"))
}

/// Enabled instances whose template cannot be enabled.
fn instances(systemd: &Systemd, report: &mut Report, at: &At<'_>) {
    if !systemd.units.iter().any(|unit| unit.enabled == Some(true) && unit.name.contains('@')) {
        return;
    }
    let units: HashMap<&str, &Unit> = systemd.units.iter().map(|unit| (unit.name.as_str(), unit)).collect();
    for (index, unit) in systemd.units.iter().enumerate().filter(|(_, unit)| unit.enabled == Some(true)) {
        let Some(template) = template_of(&unit.name) else { continue };
        let Some(contents) = units.get(template.as_str()).and_then(|unit| filled(&unit.contents)) else {
            continue;
        };
        if has_install(contents) == Ok(false) {
            let message =
                format!("template unit {template:?} for {:?} doesn't have Install section", unit.name);
            report.warn("template-unit-no-install", message, &at.index(index).key("contents"));
        }
    }
}
