//! `/generic`: any template, served as it comes out.

use super::{Context, Rendered};
use crate::fault::Fault;
use crate::group::Group;
use crate::profile::Profile;

pub(super) fn render(group: &Group, profile: &Profile, context: Context<'_>) -> Result<Rendered, Fault> {
    let template = context.template(profile, "generic", &profile.generic_id)?;
    let body = context.render(template, group)?;
    Ok(Rendered { ranges: true, template: Some(template.file().into()), ..Rendered::sniffed(body) })
}
