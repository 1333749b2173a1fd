//! `/ignition`: raw configs by their ending, templates in YAML by everything else.

use bytes::Bytes;

use super::{Context, Rendered};
use crate::compat::Compat;
use crate::fault::{Fault, Reason};
use crate::group::Group;
use crate::profile::Profile;

/// What turns YAML into Ignition and looks into configs. A value, so that this crate knows no YAML by itself; feature
/// `ignition` has the real one, [`Unsupported`] says no to everything.
pub trait Transpile: std::fmt::Debug + Send + Sync {
    /// Fuze, as bootcfg v0.4.0 had it: YAML to Ignition 2.0.0.
    ///
    /// # Errors
    /// [`Reason::BadYaml`] or [`Reason::BadIgnition`] with the words for a person; line and column where known.
    fn fuze(&self, yaml: &[u8]) -> Result<Vec<u8>, Fault>;

    /// Butane, encoded as matchbox does: Ignition 3.4.0.
    ///
    /// # Errors
    /// As [`Transpile::fuze`].
    fn butane(&self, yaml: &[u8]) -> Result<Vec<u8>, Fault>;

    /// YAML of any dialect to the Ignition version it asks for: strict mode's way.
    ///
    /// # Errors
    /// As [`Transpile::fuze`].
    fn any(&self, yaml: &[u8]) -> Result<Vec<u8>, Fault>;

    /// A raw config as matchbox answers it: encoded again as 3.4.0, and an empty config for what it cannot read.
    fn reencode(&self, config: &[u8]) -> Result<Vec<u8>, Fault>;

    /// Whether a raw config is valid Ignition of a known version.
    ///
    /// # Errors
    /// [`Reason::BadIgnition`] with the first fault of the config.
    fn validate(&self, config: &[u8]) -> Result<(), Fault>;

    /// The structure of a YAML document without its scalars: two renderings of a template that differ in it differ in
    /// more than values.
    ///
    /// # Errors
    /// What is wrong, for a person.
    fn shape(&self, yaml: &[u8]) -> Result<String, String>;

    /// Whether octets are one well-formed YAML document.
    ///
    /// # Errors
    /// What is wrong, for a person.
    fn check_yaml(&self, yaml: &[u8]) -> Result<(), String>;
}

/// Refuses: for builds without feature `ignition`. Raw configs of bootcfg v0.4.0 need none of this.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unsupported;

fn unsupported() -> Fault {
    Fault::new(
        Reason::Unsupported,
        "this build has no Ignition: enable feature `ignition` of the bootcfg crate",
    )
}

impl Transpile for Unsupported {
    fn fuze(&self, _: &[u8]) -> Result<Vec<u8>, Fault> {
        Err(unsupported())
    }

    fn butane(&self, _: &[u8]) -> Result<Vec<u8>, Fault> {
        Err(unsupported())
    }

    fn any(&self, _: &[u8]) -> Result<Vec<u8>, Fault> {
        Err(unsupported())
    }

    fn reencode(&self, _: &[u8]) -> Result<Vec<u8>, Fault> {
        Err(unsupported())
    }

    fn validate(&self, _: &[u8]) -> Result<(), Fault> {
        Err(unsupported())
    }

    fn shape(&self, _: &[u8]) -> Result<String, String> {
        Ok(String::new())
    }

    fn check_yaml(&self, _: &[u8]) -> Result<(), String> {
        Err("this build has no YAML: enable feature `ignition` of the bootcfg crate".into())
    }
}

/// Whether a file of this name is served without being a template. Case counts: `x.IGN` is YAML.
pub fn is_raw(name: &str) -> bool {
    name.ends_with(".ign") || name.ends_with(".ignition")
}

pub(super) fn render(group: &Group, profile: &Profile, context: Context<'_>) -> Result<Rendered, Fault> {
    let template = context.template(profile, "ignition", &profile.ignition_id)?;
    let here = |fault: Fault| {
        let (line, column) = (fault.line, fault.column);
        fault.at(template.file(), line, column)
    };
    let body: Bytes = if is_raw(&profile.ignition_id) {
        let made = template.raw(|source| match context.compat() {
            Compat::Bootcfg040 => Ok(source.clone()),
            Compat::Matchbox => context.transpile.reencode(source).map(Bytes::from),
            Compat::Strict => context.transpile.validate(source).map(|()| source.clone()),
        });
        made.map_err(here)?
    } else {
        let yaml = context.render_yaml(template, group)?;
        let config = match context.compat() {
            Compat::Bootcfg040 => context.transpile.fuze(&yaml),
            Compat::Matchbox => context.transpile.butane(&yaml),
            Compat::Strict => context.transpile.any(&yaml),
        };
        config.map_err(here)?.into()
    };
    Ok(Rendered {
        body,
        content_type: Some("application/json"),
        ranges: false,
        template: Some(template.file().into()),
    })
}
