//! Finds what is wrong with a store before a machine does: every file read, every group rendered, every result looked
//! at. `bootcfgd check` prints it.

use std::collections::BTreeMap;

use go_template::Limits;

use crate::catalog::Catalog;
use crate::fault::{Fault, Reason};
use crate::group::Group;
use crate::labels::Labels;
use crate::profile::Profile;
use crate::render::ignition::Transpile;
use crate::render::{self, Additions, Context};
use crate::route::Endpoint;

/// Query keys made up for one template, at most.
const MAX_INVENTED: usize = 64;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// A machine will not boot, or boots something else than meant.
    Error,
    /// It works, but probably not as meant.
    Warning,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One fault of a store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// A stable code: a [`Reason`], or one of `group-shadowed`, `never-matches`, `asset-missing`.
    pub code: &'static str,
    /// The file, relative to the data folder.
    pub file: String,
    /// Its line, counted from 1; 0 if unknown.
    pub line: u32,
    /// Its column, counted from 1; 0 if unknown.
    pub column: u32,
    /// What is wrong and what mends it.
    pub message: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}[{}]: {}", self.severity.as_str(), self.code, self.message)
    }
}

/// What the check may ask besides the catalog.
#[derive(Clone, Copy)]
pub struct Checks<'a> {
    /// What turns YAML into Ignition.
    pub transpile: &'a dyn Transpile,
    /// Bounds of one rendering.
    pub limits: &'a Limits,
    /// Whether a path below `/assets/` is a file; `None` leaves assets alone.
    pub asset: Option<&'a dyn Fn(&str) -> bool>,
}

/// All faults, by file and line.
pub fn check(catalog: &Catalog, checks: Checks<'_>) -> Vec<Finding> {
    let mut findings = Findings::default();
    for broken in catalog.broken() {
        let is_group = broken.file.starts_with("groups/");
        let fault = broken.fault(if is_group { Reason::GroupBroken } else { Reason::ProfileBroken });
        findings.fault(&broken.file, &fault);
    }
    for template in catalog.templates().filter(|template| !render::ignition::is_raw(template.file())) {
        if let Err(fault) = template.parsed() {
            findings.fault(template.file(), &fault);
        }
    }
    check_selectors(catalog, &mut findings);
    for profile in catalog.profiles() {
        check_assets(profile, checks, &mut findings);
        check_raw(catalog, profile, checks, &mut findings);
    }
    for group in catalog.groups() {
        match catalog.profile_of(group) {
            Ok(profile) => check_group(catalog, group, profile, checks, &mut findings),
            Err(fault) if fault.reason == Reason::ProfileBroken => {} // named by itself
            Err(fault) if fault.reason == Reason::NoProfile => {
                let text = "the group names no profile: only /metadata answers its machines";
                findings.push(Severity::Warning, "no-profile", (group.file(), 0, 0), text);
            }
            Err(fault) => findings.fault(group.file(), &fault),
        }
    }
    findings.into_sorted()
}

fn check_selectors(catalog: &Catalog, findings: &mut Findings) {
    let mut first: BTreeMap<String, &str> = BTreeMap::new();
    for group in catalog.groups() {
        let text = group.selector.text();
        if let Some(other) = first.get(&text) {
            let text = format!("`{other}` has the same selector and goes first: this group is never used");
            findings.push(Severity::Error, "group-shadowed", (group.file(), 0, 0), &text);
        } else {
            first.insert(text, group.file());
        }
        for (key, values) in group.selector.iter() {
            let why = if values.is_empty() {
                Some("an empty list of values matches nothing".to_string())
            } else if key == "uuid"
                && values.iter().all(|value| value.bytes().any(|octet| octet.is_ascii_uppercase()))
            {
                Some("iPXE sends `uuid` in lower case".to_string())
            } else if key != "mac" && key.eq_ignore_ascii_case("mac") {
                Some(format!(
                    "iPXE sends `mac`, and keys are compared with their case: `{key}` is another one"
                ))
            } else {
                None
            };
            if let Some(why) = why {
                let text = format!("the selector `{key}` can never match: {why}");
                findings.push(Severity::Warning, "never-matches", (group.file(), 0, 0), &text);
            }
        }
    }
}

fn check_assets(profile: &Profile, checks: Checks<'_>, findings: &mut Findings) {
    let (Some(exists), Some(boot)) = (checks.asset, &profile.boot) else { return };
    for file in std::iter::once(&boot.kernel).chain(&boot.initrd) {
        // Arguments may follow the name, and both may ask for an `--name`.
        let name = file.split_ascii_whitespace().find(|word| !word.starts_with('-')).unwrap_or_default();
        let Some(path) = name.strip_prefix("/assets/") else { continue };
        if !path.contains("${") && !exists(path) {
            let text = format!("`{name}` is not in the assets folder: add it or correct the name");
            findings.push(Severity::Error, "asset-missing", (&profile.file, 0, 0), &text);
        }
    }
}

/// Raw Ignition is the same for every group: looked at once, broken or not, in every mode.
fn check_raw(catalog: &Catalog, profile: &Profile, checks: Checks<'_>, findings: &mut Findings) {
    if render::ignition::is_raw(&profile.ignition_id) {
        let path = crate::path::join("ignition", &profile.ignition_id);
        let checked = catalog.template(&path).map(|file| checks.transpile.validate(file.source()));
        if let Some(Err(fault)) = checked {
            findings.fault(&path, &fault);
        }
    }
}

fn check_group(
    catalog: &Catalog,
    group: &Group,
    profile: &Profile,
    checks: Checks<'_>,
    findings: &mut Findings,
) {
    for (endpoint, id) in [
        (Endpoint::Ignition, &profile.ignition_id),
        (Endpoint::Generic, &profile.generic_id),
        (Endpoint::Cloud, &profile.cloud_id),
    ] {
        if id.is_empty() || (endpoint == Endpoint::Ignition && render::ignition::is_raw(id)) {
            if !id.is_empty() && catalog.template(&crate::path::join("ignition", id)).is_none() {
                let text = format!("the profile names ignition/{id}, which does not exist");
                findings.fault(&profile.file, &Fault::new(Reason::TemplateMissing, text));
            }
            continue;
        }
        if let Err(fault) = render_invented(catalog, group, profile, endpoint, checks) {
            let file = fault.file.clone().unwrap_or_else(|| profile.file.clone());
            let mut for_group = fault.clone();
            for_group.detail = format!("{} (for {})", fault.detail, group.file()).into();
            // One finding a file and place: the first group that shows it.
            let known = matches!(
                fault.reason,
                Reason::TemplateBroken | Reason::TemplateMissing | Reason::ProfileBroken
            );
            findings.fault(&file, if known { &fault } else { &for_group });
        }
    }
}

/// Renders for a machine that matches, inventing the query keys that the template asks for.
fn render_invented(
    catalog: &Catalog,
    group: &Group,
    profile: &Profile,
    endpoint: Endpoint,
    checks: Checks<'_>,
) -> Result<(), Fault> {
    let of_selector =
        |(key, values): (&str, &[Box<str>])| values.first().map(|value| (key.to_string(), value.to_string()));
    let mut query: BTreeMap<String, String> = group.selector.iter().filter_map(of_selector).collect();
    for _ in 0..MAX_INVENTED {
        let labels = Labels::from_pairs(&query);
        let raw_query =
            query.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&");
        let context = Context {
            catalog,
            labels: &labels,
            raw_query: raw_query.as_bytes(),
            limits: checks.limits,
            transpile: checks.transpile,
            additions: &Additions::default(),
        };
        match render::render(endpoint, group, Ok(profile), context) {
            Ok(_) => return Ok(()),
            Err(fault) => match fault.missing_query_key() {
                Some(key) if !query.contains_key(key) => _ = query.insert(key.to_string(), "example".into()),
                _ => return Err(fault),
            },
        }
    }
    Err(Fault::new(Reason::RenderLimit, "the template asks for more query keys than any machine sends"))
}

#[derive(Default)]
struct Findings(BTreeMap<(String, u32, u32, &'static str), Finding>);

impl Findings {
    fn push(&mut self, severity: Severity, code: &'static str, at: (&str, u32, u32), message: &str) {
        let (file, line, column) = at;
        let finding = Finding { severity, code, file: file.into(), line, column, message: message.into() };
        // The same place may have several faults of a kind only where there is no place.
        let mut key = (file.to_string(), line, column, code);
        if line == 0 {
            key.0.push_str(&format!("\0{message}"));
        }
        self.0.entry(key).or_insert(finding);
    }

    fn fault(&mut self, file: &str, fault: &Fault) {
        self.push(Severity::Error, fault.reason.as_str(), (file, fault.line, fault.column), &fault.detail);
    }

    fn into_sorted(self) -> Vec<Finding> {
        self.0.into_values().collect()
    }
}
