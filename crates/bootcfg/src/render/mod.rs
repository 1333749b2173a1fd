//! From a selected profile to the octets a machine gets: one module per endpoint, all of them values in, values out.

pub mod cloud_config;
pub mod generic;
pub mod grub;
pub mod ignition;
pub mod ipxe;
pub mod metadata;
pub mod pixiecore;

use bytes::Bytes;
use go_template::Limits;

use crate::catalog::{Catalog, Selection};
use crate::compat::Compat;
use crate::fault::{Fault, Reason};
use crate::group::Group;
use crate::labels::Labels;
use crate::path;
use crate::profile::{NetBoot, Profile};
use crate::route::Endpoint;
use crate::template::{TemplateFile, Variables};
use ignition::Transpile;

/// A finished answer, before conditional headers and signatures.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rendered {
    /// The octets.
    pub body: Bytes,
    /// The Content-Type; `None` leaves it to sniffing, as Go does.
    pub content_type: Option<&'static str>,
    /// Whether Range and conditional headers are honoured here.
    pub ranges: bool,
    /// The template it came from, for logs.
    pub template: Option<Box<str>>,
}

impl Rendered {
    pub(crate) fn sniffed(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), content_type: None, ranges: false, template: None }
    }
}

/// What a caller's decision adds to a rendering.
#[derive(Clone, Debug, Default)]
pub struct Additions {
    /// Variables over the group's metadata.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// Kernel arguments after the profile's.
    pub arguments: Vec<String>,
}

/// Everything a renderer may look at.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The snapshot.
    pub catalog: &'a Catalog,
    /// The labels of the request.
    pub labels: &'a Labels,
    /// The query as sent.
    pub raw_query: &'a [u8],
    /// Bounds of a template's output, steps and depth.
    pub limits: &'a Limits,
    /// What turns YAML into Ignition.
    pub transpile: &'a dyn Transpile,
    /// The caller's additions.
    pub additions: &'a Additions,
}

impl Context<'_> {
    fn compat(&self) -> Compat {
        self.catalog.compat()
    }

    fn variables(&self, group: &Group) -> Variables {
        Variables::new(Some(group), Some(&self.additions.metadata))
    }

    fn render(&self, template: &TemplateFile, group: &Group) -> Result<Vec<u8>, Fault> {
        let data = self.variables(group).template_data(self.labels, self.raw_query);
        template.render(&data, self.limits)
    }

    /// As [`Self::render`], for YAML. Strict mode renders once more with harmless values where the request's are not:
    /// if the structure then differs, a value has become more than a value.
    fn render_yaml(&self, template: &TemplateFile, group: &Group) -> Result<Vec<u8>, Fault> {
        let yaml = self.render(template, group)?;
        if !self.compat().is_strict()
            || is_harmless(self.raw_query) && self.labels.iter().all(|(_, v)| is_harmless(v))
        {
            return Ok(yaml);
        }
        let labels = Labels::from_pairs(self.labels.iter().map(|(key, value)| (key, harmless(value))));
        let raw_query = harmless(self.raw_query);
        let context = Context { labels: &labels, raw_query: &raw_query, ..*self };
        let shape = |yaml: &[u8]| self.transpile.shape(yaml);
        match context.render(template, group) {
            Ok(plain) if shape(&plain).is_ok() && shape(&plain) != shape(&yaml) => {
                let detail = "a value of the query would change the structure of the rendered YAML: quote it in the template";
                Err(Fault::new(Reason::Injection, detail).at(template.file(), 0, 0))
            }
            _ => Ok(yaml),
        }
    }

    fn template(&self, profile: &Profile, folder: &str, id: &str) -> Result<&TemplateFile, Fault> {
        if id.is_empty() {
            let detail = format!("the profile names no template for {folder}: set `{folder}_id`");
            return Err(Fault::new(Reason::NoTemplate, detail).at(&profile.file, 0, 0));
        }
        if self.compat().is_strict() && !path::is_confined(id) {
            let detail = format!("`{folder}_id` leaves its folder: write the name of a file in {folder}/");
            return Err(Fault::new(Reason::ProfileBroken, detail).at(&profile.file, 0, 0));
        }
        self.catalog.template(&path::join(folder, id)).ok_or_else(|| {
            let detail = format!(
                "the profile names {folder}/{id}, which does not exist: add it or correct `{folder}_id`"
            );
            Fault::new(Reason::TemplateMissing, detail).at(&profile.file, 0, 0)
        })
    }
}

/// Octets that cannot begin, end or split anything in YAML inside a scalar.
fn is_harmless(text: &[u8]) -> bool {
    text.iter().all(|octet| is_plain(*octet) || matches!(octet, b'&' | b'=' | b'%' | b'?' | b'+'))
}

fn is_plain(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'_' | b'-' | b'/' | b':' | b'@')
}

fn harmless(text: &[u8]) -> Vec<u8> {
    text.iter().map(|&octet| if is_plain(octet) { octet } else { b'x' }).collect()
}

/// Selects and renders: the whole answer to a request without a hook.
///
/// # Errors
/// Why there is no answer.
pub fn respond(endpoint: Endpoint, context: Context<'_>) -> Result<Rendered, Fault> {
    let (group, profile) = selected(context.catalog.select(context.labels))?;
    render(endpoint, group, profile, context)
}

/// Takes a selection apart.
///
/// # Errors
/// No group, or a broken one that might have matched.
pub fn selected(selection: Selection<'_>) -> Result<(&Group, Result<&Profile, Fault>), Fault> {
    match selection {
        Selection::Group { group, profile } => Ok((group, profile)),
        Selection::NoGroup => Err(Fault::new(Reason::NoGroup, "no group matches these labels")),
        Selection::Broken(broken) => Err(broken.fault(Reason::GroupBroken)),
    }
}

/// Renders an endpoint for a group and its profile.
///
/// # Errors
/// Why there is no answer.
pub fn render(
    endpoint: Endpoint,
    group: &Group,
    profile: Result<&Profile, Fault>,
    context: Context<'_>,
) -> Result<Rendered, Fault> {
    match endpoint {
        Endpoint::Metadata => Ok(metadata::render(group, context)),
        Endpoint::Ipxe => Ok(ipxe::render(net_boot(profile?)?, context)),
        Endpoint::Grub => Ok(grub::render(net_boot(profile?)?, context)),
        Endpoint::Generic => generic::render(group, profile?, context),
        Endpoint::Cloud => cloud_config::render(group, profile?, context),
        Endpoint::Ignition => ignition::render(group, profile?, context),
        Endpoint::Pixiecore => Ok(pixiecore::render(profile?)),
    }
}

fn net_boot(profile: &Profile) -> Result<&NetBoot, Fault> {
    let missing = || Fault::new(Reason::NoBoot, "the profile has no `boot` section").at(&profile.file, 0, 0);
    profile.boot.as_ref().ok_or_else(missing)
}
