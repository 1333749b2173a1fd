//! From octets to a config of the version it says it has.

use crate::decode::{Cx, Decode, Format};
use crate::encode::{Encode as _, Style, Writer};
use crate::json::{self, Broken};
use crate::report::{At, Entry, Lines, Path, Report, Severity};
use crate::tree::{Cursor, Kind, Span, Tree};
use crate::version::SpecVersion;
use crate::{v1, v2, v3};

/// A config and the version of the specification it is written in.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The version.
    pub version: SpecVersion,
    /// What the config says.
    pub body: Body,
}

/// The objects of a config, by generation.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Ignition 1.
    V1(v1::Config),
    /// Ignition 2.0 to 2.4.
    V2(v2::Config),
    /// Ignition 3.0 to 3.7-experimental.
    V3(v3::Config),
}

impl Config {
    /// Reads a config of any version.
    ///
    /// ```
    /// use ignition::Config;
    /// let (config, report) = Config::parse(br#"{"ignition":{"version":"3.4.0"},"bogus":1}"#).unwrap();
    /// assert_eq!(config.version.to_string(), "3.4.0");
    /// assert_eq!(report.entries()[0].to_string(), "warning at $.bogus, line 1 column 33: unused key bogus");
    /// ```
    ///
    /// # Errors
    /// All findings, if at least one is an error.
    pub fn parse(source: &[u8]) -> Result<(Self, Report), Report> {
        let (config, report) = check(source);
        match config {
            Some(config) if !report.is_fatal() => Ok((config, report)),
            _ => Err(report),
        }
    }

    /// Reports everything that is wrong with the config.
    ///
    /// Configs that were read were checked; this is for those that were made or changed.
    pub fn validate(&self, report: &mut Report) {
        match (&self.body, self.version.minor()) {
            (Body::V1(config), _) => v1::validate::validate(config, report),
            (Body::V2(config), level) => v2::validate::validate(config, level, report),
            (Body::V3(config), level) => v3::validate::validate(config, level, report),
        }
    }

    /// The config as JSON.
    pub fn to_json(&self, style: Style) -> String {
        let mut out = Writer::new(style, self.version.minor());
        match &self.body {
            Body::V1(config) => config.encode(&mut out),
            Body::V2(config) => config.encode(&mut out),
            Body::V3(config) => config.encode(&mut out),
        }
        out.text
    }
}

/// Reads a config of any version and says everything that is to be said about it.
///
/// The config is there as soon as its types were right, even if rules are broken.
pub fn check(source: &[u8]) -> (Option<Config>, Report) {
    check_and(source, |_, _| {})
}

/// As [`check`]; `more` adds what else is to be said about a valid config.
pub(crate) fn check_and(source: &[u8], more: impl Fn(&Config, &mut Report)) -> (Option<Config>, Report) {
    let mut report = Report::default();
    let text = json::text(source);
    if let Some((code, message)) = not_a_config(&text) {
        report.error(code, message, &At::ROOT);
        return (None, report);
    }
    let tree = match json::parse_text(text) {
        Ok(tree) => tree,
        Err(why) => return (None, json_syntax(source, why)),
    };
    let config = read(&tree, &mut report);
    let readable = !report.is_fatal();
    if let Some(config) = &config {
        let mut rules = Report::default();
        config.validate(&mut rules);
        report.append_unread(rules);
        if !report.is_fatal() {
            more(config, &mut report);
        }
    }
    report.locate(&tree);
    (config.filter(|_| readable), report)
}

fn read(tree: &Tree<'_>, report: &mut Report) -> Option<Config> {
    let version = version(tree, report)?;
    let body = match version {
        SpecVersion::V1 => Body::V1(decode(tree, 0, report)),
        SpecVersion::V2(minor) => Body::V2(decode(tree, minor.number(), report)),
        SpecVersion::V3(minor) => Body::V3(decode(tree, minor.number(), report)),
    };
    Some(Config { version, body })
}

fn decode<T: Decode>(tree: &Tree<'_>, level: u8, report: &mut Report) -> T {
    let mut config = T::default();
    if let Some(root) = tree.root() {
        let mut cx = Cx::new(report, Format::Json, level).reading(tree, 1);
        config.decode(&mut cx, root, &At::ROOT);
    }
    config
}

/// Text that is meant for somebody else, or nothing at all.
fn not_a_config(text: &str) -> Option<(&'static str, &'static str)> {
    if text.is_empty() {
        return Some(("not-a-config", "not a config (empty)"));
    }
    let first = text.split('\n').next().unwrap_or_default().trim_end();
    if first == "#cloud-config" {
        return Some(("not-a-config", "not a config (found coreos-cloudconfig)"));
    }
    if first.starts_with("#!") {
        return Some(("not-a-config", "not a config (found coreos-cloudinit script)"));
    }
    None
}

/// The member a Go decoder fills a field from: the last whose name is the same but for case.
fn member<'t>(object: Cursor<'t>, name: &str) -> Option<Cursor<'t>> {
    let mut found = None;
    for (key, value) in object.members() {
        if crate::text::eq_fold(key.text(), name) && value.kind() != Kind::Null {
            found = Some(value);
        }
    }
    found
}

/// Which version the document says it has.
fn version(tree: &Tree<'_>, report: &mut Report) -> Option<SpecVersion> {
    let root = tree.root()?;
    let at = At::ROOT.key("ignition");
    let at = at.key("version");
    let mut cx = Cx::new(report, Format::Json, 0);
    if !matches!(root.kind(), Kind::Object | Kind::Null) {
        cx.mismatch(root, "an object", &At::ROOT);
        return None;
    }
    let ignition = member(root, "ignition");
    if let Some(other) = ignition.filter(|ignition| ignition.kind() != Kind::Object) {
        cx.mismatch(other, "an object", &At::ROOT.key("ignition"));
        return None;
    }
    match ignition.and_then(|ignition| member(ignition, "version")) {
        Some(found) if found.kind() != Kind::String => {
            cx.mismatch(found, "text", &at);
            None
        }
        Some(found) => match SpecVersion::parse(found.text()) {
            Some(version @ (SpecVersion::V2(_) | SpecVersion::V3(_))) => Some(version),
            _ if is_semver(found.text()) => {
                report.error("unsupported-config-version", "unsupported config version", &at);
                None
            }
            _ => invalid_version(report, &at),
        },
        None if member(root, "ignitionVersion").is_some_and(|version| version.text() == "1") => {
            Some(SpecVersion::V1)
        }
        None => invalid_version(report, &at),
    }
}

fn invalid_version(report: &mut Report, at: &At<'_>) -> Option<SpecVersion> {
    report.error("invalid-config-version", "invalid config version (couldn't parse)", at);
    None
}

/// Three numbers, then perhaps `-` and `+` parts of letters, digits, dots and hyphens (go-semver).
pub(crate) fn is_semver(text: &str) -> bool {
    let identifier = |text: &str| {
        text.is_empty()
            || text.split('.').all(|part| {
                !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            })
    };
    let (text, metadata) = text.split_once('+').unwrap_or((text, ""));
    let (text, release) = text.split_once('-').unwrap_or((text, ""));
    let numbers: Vec<&str> = text.splitn(3, '.').collect();
    numbers.len() == 3
        && numbers.iter().all(|number| number.parse::<i64>().is_ok())
        && identifier(metadata)
        && identifier(release)
}

/// A report of one syntax error.
fn syntax(code: &'static str, message: String, source: &str, offset: u32, path: Path) -> Report {
    let span = Span { start: offset, end: (offset + 1).min(source.len() as u32) };
    let place = Some(Lines::new(source).place(None, span));
    let mut report = Report::default();
    report.push(Entry { severity: Severity::Error, code, message, path, place, hint: None });
    report
}

pub(crate) fn json_syntax(source: &[u8], why: Broken) -> Report {
    let text = json::text(source);
    let offset = why.error.offset().unwrap_or(text.len() as u32);
    syntax("json-syntax", why.error.to_string(), &text, offset, why.path)
}

#[cfg(feature = "yaml")]
pub(crate) fn yaml_syntax(source: &[u8], why: &crate::yaml::YamlError) -> Report {
    syntax("yaml-syntax", why.to_string(), &json::text(source), why.offset, why.path.clone())
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.severity, self.path)?;
        if let Some(place) = self.place {
            write!(f, ", line {} column {}", place.line, place.column)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, entry) in self.entries().iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{entry}")?;
        }
        match self.dropped() {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for Report {}
