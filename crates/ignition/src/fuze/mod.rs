//! Fuze, the YAML of bootcfg v0.4.0, to Ignition 2.0.0: the octets of that server's answer.
//!
//! The dialect is what `fuze` at 60c987a read inside bootcfg v0.4.0; its own habits (units of 1024, sectors, which
//! empty things stay) are kept, since its users' templates were written against them.

mod check;
pub(crate) mod model;
mod write;

pub use model::Config;

use crate::decode::{Cx, Decode as _, Format};
use crate::report::{At, Report, Severity};
use crate::{decode, yaml};

/// Reads a Fuze config.
///
/// # Errors
/// Every finding, located: syntax, types, keys Fuze does not know.
pub fn parse(source: &[u8]) -> Result<Config, Report> {
    let mut report = Report::default();
    let tree = match yaml::parse_as(source, yaml::Library::V2) {
        Ok(tree) => tree,
        Err(why) => return Err(crate::parse::yaml_syntax(source, &why)),
    };
    let mut config = Config::default();
    if let Some(root) = tree.root() {
        let mut cx = Cx::new(&mut report, Format::Yaml2, 0).reading(&tree, 2);
        cx.unused = Severity::Error;
        config.decode(&mut cx, root, &At::ROOT);
    }
    if !report.is_fatal() {
        check::check(&config, &mut report);
    }
    if report.is_fatal() {
        report.locate(&tree);
        return Err(report);
    }
    Ok(config)
}

/// Fuze YAML to the JSON of an Ignition 2.0.0 config, as bootcfg v0.4.0 sends it.
///
/// ```
/// let json = ignition::fuze::transpile(b"systemd: {units: [{name: a.service, enable: yes}]}").unwrap();
/// assert!(json.starts_with(br#"{"ignition":{"version":"2.0.0","config":{}},"storage":{},"systemd":{"units":["#));
/// ```
///
/// # Errors
/// Every finding, located in the YAML.
pub fn transpile(source: &[u8]) -> Result<Vec<u8>, Report> {
    let config = parse(source)?;
    write::config(&config, source.len()).map(String::into_bytes)
}

/// The fields of a Fuze config, for schemas.
pub fn shape() -> decode::Shape {
    Config::SHAPE
}
