//! Quadlets (podman-systemd.unit(5)), section by section and key by key.

use super::tables::{
    ARTIFACT, BUILD, CONTAINER, EXEC, IMAGE, INSTALL, KILL, KUBE, NETWORK, POD, QUADLET, RESOURCE, SERVICE,
    UNIT, VOLUME,
};
use super::unit::{LineCount, say};
use crate::report::{At, Report};
use crate::unit::{extension, options};

/// The section of a kind of quadlet, its keys and the key without which it does nothing.
fn section(kind: &str) -> Option<(&'static str, &'static [&'static str], Option<&'static str>)> {
    Some(match kind {
        ".container" => ("Container", CONTAINER, Some("Image")),
        ".volume" => ("Volume", VOLUME, None),
        ".network" => ("Network", NETWORK, None),
        ".kube" => ("Kube", KUBE, Some("Yaml")),
        ".image" => ("Image", IMAGE, Some("Image")),
        ".build" => ("Build", BUILD, Some("ImageTag")),
        ".pod" => ("Pod", POD, None),
        ".artifact" => ("Artifact", ARTIFACT, Some("Artifact")),
        _ => return None,
    })
}

/// Checks a file below `/etc/containers/systemd`.
pub(super) fn check(path: &str, contents: &str, report: &mut Report, at: &At<'_>) {
    let dropin = path.rsplit_once(".d/").filter(|(_, name)| name.ends_with(".conf"));
    let kind = extension(dropin.map_or(path, |(unit, _)| unit));
    let Some((own, keys, needed)) = section(kind) else { return };
    let mut given = false;
    let mut lines = LineCount::new(contents);
    let read = options(contents, |option| {
        given |= option.section == own && (Some(option.name) == needed || option.name == "Rootfs");
        if report.is_full() {
            return;
        }
        let line = lines.at(option.offset);
        let tables: &[&[&str]] = match option.section {
            "Unit" => &[UNIT],
            "Install" => &[INSTALL],
            "Service" => &[SERVICE, EXEC, KILL, RESOURCE],
            "Quadlet" => &[QUADLET],
            section if section == own => &[keys],
            section if section.starts_with("X-") => return,
            section => {
                let message = format!("line {line}: a {kind} quadlet has no section [{section}]");
                let names = [own, "Unit", "Service", "Install", "Quadlet"].into_iter();
                say("lint-quadlet-unknown-section", message, section, names, report, at);
                return;
            }
        };
        if !tables.iter().any(|table| table.contains(&option.name)) && !option.name.starts_with("X-") {
            let message = format!("line {line}: [{}] has no {}=", option.section, option.name);
            let names = tables.iter().flat_map(|table| table.iter().copied());
            say("lint-quadlet-unknown-key", message, option.name, names, report, at);
        }
    });
    match (read, needed) {
        (Err(why), _) => report.warn("lint-quadlet-syntax", why.to_string(), at),
        (Ok(()), Some(needed)) if !given && dropin.is_none() => {
            let message = format!("[{own}] has no {needed}=: the quadlet makes nothing");
            report.warn("lint-quadlet-incomplete", message, at);
        }
        (Ok(()), _) => {}
    }
}
