//! `/cloud`: a script or a `#cloud-config` for coreos-cloudinit; anything else is refused as the originals do.

use super::{Context, Rendered};
use crate::fault::{Fault, Reason};
use crate::group::Group;
use crate::profile::Profile;

pub(super) fn render(group: &Group, profile: &Profile, context: Context<'_>) -> Result<Rendered, Fault> {
    let template = context.template(profile, "cloud", &profile.cloud_id)?;
    let body =
        if context.catalog.template(template.file()).is_some_and(|file| file.source().starts_with(b"#!")) {
            context.render(template, group)?
        } else {
            context.render_yaml(template, group)?
        };
    let first = body.split(|&octet| octet == b'\n').next().unwrap_or_default();
    // coreos-cloudinit's library looks at the syntax only: values of a wrong type are passed over, not refused.
    if std::str::from_utf8(first).is_ok_and(|first| first.trim_end() == "#cloud-config") {
        context
            .transpile
            .check_yaml(&body)
            .map_err(|detail| Fault::new(Reason::BadYaml, detail).at(template.file(), 0, 0))?;
    } else if !first.starts_with(b"#!") {
        let detail = "user data must begin with `#cloud-config` or `#!`";
        return Err(Fault::new(Reason::BadYaml, detail).at(template.file(), 1, 1));
    }
    Ok(Rendered { ranges: true, template: Some(template.file().into()), ..Rendered::sniffed(body) })
}
