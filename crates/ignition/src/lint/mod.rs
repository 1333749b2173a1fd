//! What is accepted and still probably a mistake: units and quadlets key by key, modes, files nobody can read.
//!
//! Lints are asked for; they are no part of validation, and none of them is an error.

mod quadlet;
mod tables;
mod unit;

use crate::parse::{Body, Config};
use crate::report::{At, Report};
use crate::resolved::Source;

/// Reports what looks like a mistake in a valid config.
///
/// ```
/// use ignition::{Config, Report, lint};
/// let json = br#"{"ignition":{"version":"3.4.0"},
///   "systemd":{"units":[{"name":"a.service","contents":"[Service]\nExecStrat=/bin/x\n"}]}}"#;
/// let (config, _) = Config::parse(json).unwrap();
/// let mut report = Report::default();
/// lint::lint(&config, &mut report);
/// assert_eq!(report.entries()[0].code, "lint-unit-unknown-key");
/// ```
pub fn lint(config: &Config, report: &mut Report) {
    let systemd = At::ROOT.key("systemd");
    let list = systemd.key("units");
    for (index, unit) in config.units().enumerate() {
        let at = list.index(index);
        if let Some(contents) = unit.contents {
            unit::check(unit.name, contents, report, &at.key("contents"));
        }
        let dropins = at.key("dropins");
        for (index, (_, contents)) in unit.dropins.iter().enumerate() {
            unit::check_dropin(unit.name, contents, report, &dropins.index(index).key("contents"));
        }
        if unit.mask && unit.enabled == Some(true) {
            let message = "the unit is masked and enabled: masking wins";
            report.warn("lint-masked-and-enabled", message, &at.key("enabled"));
        }
    }
    files(config, report);
}

/// As [`crate::check`], and lints a valid config; the findings have their places in the document.
pub fn check(source: &[u8]) -> (Option<Config>, Report) {
    crate::parse::check_and(source, lint)
}

/// Files: quadlets, modes.
fn files(config: &Config, report: &mut Report) {
    let storage = At::ROOT.key("storage");
    let list = storage.key("files");
    for (index, file) in config.files().enumerate() {
        let Ok(file) = file else { continue };
        let at = list.index(index);
        mode(file.mode, false, report, &at.key("mode"));
        if file.path.starts_with("/etc/containers/systemd/")
            && let Some(contents) = &file.contents
            && let Source::Data(octets) = &contents.source
            && !contents.gzip
            && let Ok(text) = std::str::from_utf8(octets)
        {
            quadlet::check(file.path, text, report, &at.key("contents").key("source"));
        }
    }
    let directories: Vec<Option<i64>> = match &config.body {
        Body::V1(_) => Vec::new(),
        Body::V2(config) => config.storage.directories.iter().map(|directory| directory.mode).collect(),
        Body::V3(config) => config.storage.directories.iter().map(|directory| directory.mode).collect(),
    };
    let list = storage.key("directories");
    for (index, bits) in directories.into_iter().enumerate() {
        let bits = bits.and_then(|bits| u32::try_from(bits).ok());
        mode(bits, true, report, &list.index(index).key("mode"));
    }
}

fn mode(mode: Option<u32>, directory: bool, report: &mut Report, at: &At<'_>) {
    let Some(mode) = mode else { return };
    if crate::mode::looks_decimal(i64::from(mode), directory) {
        let message = format!("mode {mode} makes little sense; in octal it would: JSON has no octal numbers");
        report.warn("lint-decimal-mode", message, at);
    } else if mode & 0o444 == 0 && mode != 0 {
        report.warn("lint-unreadable", format!("mode {mode:#o} lets nobody read it"), at);
    } else if mode & 0o002 != 0 && mode & 0o1000 == 0 {
        report.warn("lint-world-writable", format!("mode {mode:#o} lets everybody write it"), at);
    }
}
