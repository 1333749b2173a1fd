//! Where in the YAML a place of the generated config comes from.

use std::collections::HashMap;

#[cfg(feature = "butane")]
use crate::merge::{Origin, Side};
use crate::report::{Path, Step};
#[cfg(feature = "butane")]
use crate::tree::{Cursor, Kind};

/// How places below a recorded one map.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Below {
    /// All to the same place: the value was generated.
    Same,
    /// Alike, names in snake case: the value was copied.
    Alike,
}

/// The map from generated places to YAML places. What is not recorded is where its name says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins(HashMap<Path, (Path, Below)>);

impl Origins {
    /// Everything at and below `json` was generated from `yaml`.
    pub(crate) fn generated(&mut self, json: Path, yaml: Path) {
        self.0.insert(json, (yaml, Below::Same));
    }

    /// Everything at and below `json` was copied from `yaml`.
    pub(crate) fn copied(&mut self, json: Path, yaml: Path) {
        self.0.insert(json, (yaml, Below::Alike));
    }

    fn lookup(&self, json: &Path) -> (Path, Below) {
        for length in (0..=json.0.len()).rev() {
            let above = Path(json.0.get(..length).unwrap_or_default().to_vec());
            match self.0.get(&above) {
                Some((yaml, Below::Same)) => return (yaml.clone(), Below::Same),
                Some((yaml, Below::Alike)) => {
                    let mut yaml = yaml.clone();
                    yaml.0.extend(json.0.iter().skip(length).map(snake_step));
                    return (yaml, Below::Alike);
                }
                None => {}
            }
        }
        (Path(json.0.iter().map(snake_step).collect()), Below::Alike)
    }

    /// The YAML place of a generated one.
    pub(crate) fn yaml(&self, json: &Path) -> Path {
        self.lookup(json).0
    }

    #[cfg(feature = "butane")]
    /// The map after `generated` (a parent whose places this map knows as generated) and a child were merged.
    pub(crate) fn merged(parent: &Self, child: &Self, origins: &[Origin]) -> Self {
        let mut merged = HashMap::with_capacity(origins.len());
        for (side, places) in [(Side::Parent, parent), (Side::Child, child)] {
            // A list that one side alone has is recorded as a whole; what is known of its inside moves with it.
            let moved: HashMap<&Path, &Path> = origins
                .iter()
                .filter(|origin| origin.side == side)
                .map(|origin| (&origin.path, &origin.result))
                .collect();
            for (path, of) in &places.0 {
                let above = (0..=path.0.len()).rev().find_map(|length| {
                    let above = Path(path.0.get(..length)?.to_vec());
                    moved.get(&above).map(|result| (length, *result))
                });
                let Some((length, result)) = above else { continue };
                let mut place = result.clone();
                place.0.extend(path.0.iter().skip(length).cloned());
                merged.insert(place, of.clone());
            }
        }
        for origin in origins {
            let of = match origin.side {
                Side::Parent => parent.lookup(&origin.path),
                Side::Child => child.lookup(&origin.path),
            };
            merged.insert(origin.result.clone(), of);
        }
        Self(merged)
    }
}

fn snake_step(step: &Step) -> Step {
    match step {
        Step::Key(key) => Step::Key(snake(key).into()),
        Step::Index(index) => Step::Index(*index),
    }
}

/// `sizeMiB` becomes `size_mib`.
pub(crate) fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let name = name.replace("MiB", "_mib");
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(feature = "butane")]
/// Where the YAML says it in sugar: `source` by `inline` or `local`, `contents` by `contents_local`.
pub(crate) fn sugared(path: Path, root: Option<Cursor<'_>>) -> Path {
    let (Some(Step::Key(last)), Some(root)) = (path.0.last(), root) else { return path };
    let sugar: &[&str] = match &**last {
        "source" | "compression" => &["inline", "local"],
        "contents" => &["contents_local"],
        _ => return path,
    };
    let mut here = root;
    for step in path.0.iter().take(path.0.len() - 1) {
        let next = match step {
            Step::Key(key) => here.get(key),
            Step::Index(index) if here.kind() == Kind::Array => here.items().nth(*index as usize),
            Step::Index(_) => None,
        };
        let Some(next) = next else { return path };
        here = next;
    }
    if here.get(last).is_some() {
        return path;
    }
    match sugar.iter().find(|name| here.get(name).is_some()) {
        Some(name) => {
            let mut path = path.clone();
            path.0.pop();
            path.key(name)
        }
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let mut origins = Origins::default();
        origins.generated(
            Path::parse("$.systemd.units.0"),
            Path::parse("$.storage.filesystems.1.with_mount_unit"),
        );
        origins.copied(Path::parse("$.systemd.units.1"), Path::parse("$.systemd.units.0"));
        let yaml = |json: &str| origins.yaml(&Path::parse(json)).to_string();
        assert_eq!(yaml("$.systemd.units.0.contents"), "$.storage.filesystems.1.with_mount_unit");
        assert_eq!(yaml("$.systemd.units.1.name"), "$.systemd.units.0.name");
        assert_eq!(yaml("$.storage.disks.0.partitions.2.sizeMiB"), "$.storage.disks.0.partitions.2.size_mib");
    }
}
