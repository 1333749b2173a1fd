//! `bootcfgd check DIR`: prints what is wrong with a data folder.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

use bootcfg::check::{Checks, Finding, Severity, check};
use bootcfg::transpile::Ignition;
use bootcfg::{Catalog, Compat, Limits};

/// Prints the findings; whether there are no errors.
pub(crate) fn run(
    data: &Path,
    assets: Option<PathBuf>,
    compat: Compat,
    json: bool,
) -> Result<bool, Box<dyn Error>> {
    let catalog = Catalog::load(data, compat)?;
    let assets = assets.unwrap_or_else(|| data.join("assets"));
    let exists = |path: &str| assets.join(path).is_file();
    let asset: Option<&dyn Fn(&str) -> bool> =
        if assets.as_os_str().is_empty() { None } else { Some(&exists) };
    let findings = check(&catalog, Checks { transpile: &Ignition, limits: &Limits::default(), asset });
    let mut out = std::io::stdout().lock();
    if json {
        let list: Vec<_> = findings.iter().map(value).collect();
        writeln!(out, "{:#}", serde_json::Value::from(list))?;
    } else {
        for finding in &findings {
            writeln!(out, "{finding}")?;
        }
        let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
        let (groups, profiles) = (catalog.group_count(), catalog.profiles().count());
        writeln!(
            out,
            "{groups} groups, {profiles} profiles: {errors} errors, {} warnings",
            findings.len() - errors
        )?;
    }
    Ok(findings.iter().all(|finding| finding.severity != Severity::Error))
}

fn value(finding: &Finding) -> serde_json::Value {
    serde_json::json!({
        "severity": finding.severity.as_str(),
        "code": finding.code,
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "message": finding.message,
    })
}
