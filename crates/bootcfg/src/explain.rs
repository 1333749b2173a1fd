//! Why a request gets what it gets: `?explain=1` and `kpc why`. Looks at every group, so it is not for machines.

use serde_json::{Map, Value, json};

use crate::catalog::Selection;
use crate::fault::{Fault, Reason};
use crate::render::{self, Context};
use crate::route::Endpoint;
use crate::template::Variables;

/// Which groups match, which one goes first, what its template sees, and how the rendering ends.
pub fn explain(endpoint: Endpoint, context: Context<'_>) -> Value {
    let (catalog, labels) = (context.catalog, context.labels);
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let matching: Vec<Value> = catalog
        .groups()
        .filter(|group| group.selector.matches(labels))
        .map(|group| json!({"group": group.file_id(), "selector": group.selector.text(), "profile": group.profile()}))
        .collect();
    let broken: Vec<Value> =
        catalog.broken().map(|broken| Value::from(broken.fault(Reason::GroupBroken).to_string())).collect();
    let mut out = Map::new();
    let mut set = |key: &str, value: Value| _ = out.insert(key.into(), value);
    for (key, value) in [
        ("endpoint", endpoint.as_str().into()),
        ("mode", catalog.compat().as_str().into()),
        ("labels", labels.iter().map(|(key, value)| (text(key), Value::from(text(value)))).collect()),
        ("matching", matching.into()),
        ("broken", broken.into()),
    ] {
        set(key, value);
    }
    if let Selection::Group { group, profile } = catalog.select(labels) {
        set("group", group.file_id().into());
        set("data", Variables::new(Some(group), Some(&context.additions.metadata)).map.into());
        match profile {
            Ok(profile) => set("profile", profile.file_id().into()),
            Err(fault) => set("profile_error", fault.to_string().into()),
        }
    }
    match render::respond(endpoint, context) {
        Ok(rendered) => {
            set("template", rendered.template.as_deref().into());
            set("octets", rendered.body.len().into());
        }
        Err(fault) => set("error", fault_value(&fault)),
    }
    out.into()
}

fn fault_value(fault: &Fault) -> Value {
    let value: Value = serde_json::from_slice(&fault.to_json()).unwrap_or_default();
    value.get("error").cloned().unwrap_or_default()
}
