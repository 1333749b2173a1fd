//! From any version to any other: lossless, or with every loss named by its path.
//!
//! One step at a time: 1 ↔ 2.0 ↔ … ↔ 2.4 ↔ 3.1 ↔ …; a step up adds what the newer version calls the same thing, a step
//! down drops what the older one does not know and says so.

mod prune;
mod v1;
mod v2;
mod v2_to_v3;
mod v3;
mod v3_to_v2;

use std::collections::BTreeMap;

pub(crate) use prune::{Prune, lose};

use crate::encode::Style;
use crate::parse::{Body, Config};
use crate::report::{At, Report, Severity};
use crate::version::SpecVersion;

/// How to convert.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Options {
    /// Mount points of the filesystems that 2.x configs name; needed for 2.x → 3.x.
    pub fs_map: BTreeMap<String, String>,
    /// Losses are warnings instead of errors.
    pub allow_loss: bool,
    /// Partition sizes may be converted between MiB and sectors of 512 octets, which is wrong for disks with others.
    pub sectors: bool,
}

/// Converts a valid config to another version.
///
/// ```
/// use ignition::{Config, SpecVersion, convert};
/// let (config, _) = Config::parse(br#"{"ignition":{"version":"3.0.0"}}"#).unwrap();
/// let (config, losses) = convert::convert(config, SpecVersion::v3(4).unwrap(), &Default::default()).unwrap();
/// assert_eq!(config.version.to_string(), "3.4.0");
/// assert!(losses.is_empty());
/// ```
///
/// # Errors
/// What the target cannot say, each with its path, and every rule of the target that the result breaks.
pub fn convert(config: Config, to: SpecVersion, options: &Options) -> Result<(Config, Report), Report> {
    let mut losses = Report::default();
    let mut config = config;
    while config.version != to {
        config = step(config, to, options, &mut losses);
        if losses.is_fatal() && !options.allow_loss {
            break;
        }
    }
    if options.allow_loss {
        for entry in losses.entries_mut().iter_mut().filter(|entry| entry.code == "lost") {
            entry.severity = Severity::Warning;
        }
    }
    if !losses.is_fatal() {
        let mut broken = Report::default();
        config.validate(&mut broken);
        for entry in broken.entries().iter().filter(|entry| entry.severity == Severity::Error) {
            losses.push(entry.clone());
        }
    }
    if losses.is_fatal() { Err(losses) } else { Ok((config, losses)) }
}

/// One step towards `to`.
fn step(config: Config, to: SpecVersion, options: &Options, losses: &mut Report) -> Config {
    let up = config.version < to;
    let (version, body) = match (config.body, config.version) {
        (Body::V1(config), _) => (SpecVersion::v2(0), Body::V2(v1::up(config))),
        (Body::V2(config), SpecVersion::V2(minor)) => match (minor.number(), up) {
            (4, true) => (SpecVersion::v3(1), Body::V3(v2_to_v3::convert(config, options, losses))),
            (level, true) => (SpecVersion::v2(level + 1), Body::V2(v2::up(config, level + 1))),
            (0, false) => (Some(SpecVersion::V1), Body::V1(v1::down(config, losses))),
            (level, false) => {
                (SpecVersion::v2(level - 1), Body::V2(v2::down(config, level - 1, options, losses)))
            }
        },
        (Body::V3(config), SpecVersion::V3(minor)) => match (minor.number(), up) {
            (level, true) => (SpecVersion::v3(level + 1), Body::V3(v3::up(config, level + 1, losses))),
            (0, false) => (SpecVersion::v3(1), Body::V3(v3::up(config, 1, losses))),
            (1, false) if to.major() < 3 => (SpecVersion::v2(4), Body::V2(v3_to_v2::convert(config, losses))),
            (level, false) => (SpecVersion::v3(level - 1), Body::V3(v3::down(config, level - 1, losses))),
        },
        // A version always has its own generation's body.
        (body, _) => (Some(to), body),
    };
    let mut config = Config { version: version.unwrap_or(to), body };
    let version = config.version.to_string();
    match &mut config.body {
        Body::V1(config) => config.ignition_version = 1,
        Body::V2(config) => config.ignition.version = version,
        Body::V3(config) => config.ignition.version = version,
    }
    config
}

/// What matchbox does with an Ignition file before it sends it: parse, upgrade to 3.4.0, write as Go does.
///
/// ```
/// let json = ignition::convert::matchbox_reencode(br#"{"ignition":{"version":"3.3.0"}}"#).unwrap();
/// assert!(json.starts_with(br#"{"ignition":{"config":{"replace":{"verification":{}}},"proxy":{},"#));
/// ```
///
/// # Errors
/// Whatever makes the config invalid, or newer than 3.4.0.
pub fn matchbox_reencode(source: &[u8]) -> Result<Vec<u8>, Report> {
    let (config, _) = Config::parse(source)?;
    let mut report = Report::default();
    let target = SpecVersion::v3(4).unwrap_or(config.version);
    if config.version.major() != 3 || config.version > target {
        let ignition = At::ROOT.key("ignition");
        report.error("unsupported-config-version", "unsupported config version", &ignition.key("version"));
        return Err(report);
    }
    let (config, _) = convert(config, target, &Options::default())?;
    Ok(config.to_json(Style::GO).into_bytes())
}

/// The answer matchbox gives for an Ignition file: [`matchbox_reencode`], or the empty config it sends for anything
/// it cannot parse, with what it would have logged.
pub fn matchbox_answer(source: &[u8]) -> (Vec<u8>, Report) {
    match matchbox_reencode(source) {
        Ok(json) => (json, Report::default()),
        Err(report) => {
            let version = SpecVersion::v3(4).unwrap_or(SpecVersion::V1);
            let empty = Config { version, body: Body::V3(crate::v3::Config::default()) };
            (empty.to_json(Style::GO).into_bytes(), report)
        }
    }
}
