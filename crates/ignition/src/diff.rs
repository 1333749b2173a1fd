//! What differs between two configs in meaning: order of keyed lists, empty values and the encoding of contents do not.

use std::collections::BTreeMap;

use crate::convert::{self, Options};
use crate::data_url;
use crate::encode::Style;
use crate::parse::Config;
use crate::report::{Path, Step};
use crate::tree::{Cursor, Kind};

/// How a place differs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// Only in the second config.
    Added,
    /// Only in the first config.
    Removed,
    /// In both, differently.
    Changed,
}

/// One difference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// Where; elements of keyed lists are named by their key: `$.storage.files./etc/motd.mode`.
    pub path: Path,
    /// How.
    pub change: Change,
    /// The first config's value: text, or JSON of something larger.
    pub old: Option<String>,
    /// The second config's value.
    pub new: Option<String>,
}

/// Compares two configs. If their versions differ and the older can be upgraded without loss, it is.
///
/// ```
/// use ignition::Config;
/// let read = |json: &str| Config::parse(json.as_bytes()).unwrap().0;
/// let old = read(r#"{"ignition":{"version":"3.4.0"},"storage":{"files":[{"path":"/a","contents":{"source":"data:,hi"}}]}}"#);
/// let new = read(r#"{"ignition":{"version":"3.4.0"},"storage":{"files":[{"path":"/a","mode":420,"contents":{"source":"data:;base64,aGk="}}]}}"#);
/// let found = ignition::diff::diff(&old, &new);
/// assert_eq!(found.len(), 1);
/// assert_eq!(found[0].path.to_string(), "$.storage.files./a.mode");
/// ```
pub fn diff(old: &Config, new: &Config) -> Vec<Difference> {
    let newest = old.version.max(new.version);
    let upgraded = |config: &Config| {
        let made = convert::convert(config.clone(), newest, &Options::default());
        made.map_or_else(|_| config.clone(), |(config, _)| config)
    };
    let (old, new) = (upgraded(old), upgraded(new));
    let (old, new) = (old.to_json(Style::TIDY), new.to_json(Style::TIDY));
    let mut found = Vec::new();
    if let (Ok(old), Ok(new)) = (crate::json::parse(old.as_bytes()), crate::json::parse(new.as_bytes())) {
        compare(old.root(), new.root(), &Path::root(), &mut found);
    }
    found
}

fn compare(old: Option<Cursor<'_>>, new: Option<Cursor<'_>>, path: &Path, found: &mut Vec<Difference>) {
    let (change, old_value, new_value) = match (old, new) {
        (None, None) => return,
        (None, Some(new)) => (Change::Added, None, Some(show(path, new))),
        (Some(old), None) => (Change::Removed, Some(show(path, old)), None),
        (Some(old), Some(new)) => match (old.kind(), new.kind()) {
            (Kind::Object, Kind::Object) => return objects(old, new, path, found),
            (Kind::Array, Kind::Array) => return lists(old, new, path, found),
            _ if same(old, new) => return,
            _ => (Change::Changed, Some(show(path, old)), Some(show(path, new))),
        },
    };
    found.push(Difference { path: path.clone(), change, old: old_value, new: new_value });
}

fn objects(old: Cursor<'_>, new: Cursor<'_>, path: &Path, found: &mut Vec<Difference>) {
    let contents = |object: Cursor<'_>| {
        let source = object.get("source")?;
        let octets = data_url::decode(source.text()).ok()?;
        unpacked(octets, object.get("compression").map(Cursor::text))
    };
    let equal = contents(old).is_some_and(|octets| Some(octets) == contents(new));
    let names: BTreeMap<&str, ()> =
        old.members().chain(new.members()).map(|(name, _)| (name.text(), ())).collect();
    for name in names.keys() {
        // The same octets, however they are written.
        if equal && matches!(*name, "source" | "compression") {
            continue;
        }
        compare(old.get(name), new.get(name), &path.key(name), found);
    }
}

/// The contents themselves; `None` if they cannot be unpacked here.
fn unpacked(octets: Vec<u8>, compression: Option<&str>) -> Option<Vec<u8>> {
    if compression != Some("gzip") {
        return Some(octets);
    }
    #[cfg(feature = "butane")]
    {
        use std::io::Read as _;
        /// What is unpacked to be compared; more is compared as it is.
        const LIMIT: u64 = 64 << 20;
        let mut plain = Vec::new();
        let mut reader = flate2::read::GzDecoder::new(octets.as_slice()).take(LIMIT);
        reader.read_to_end(&mut plain).ok()?;
        Some(plain)
    }
    #[cfg(not(feature = "butane"))]
    None
}

/// What names an element of a list.
fn key(item: Cursor<'_>) -> Option<String> {
    if matches!(item.kind(), Kind::String | Kind::Number | Kind::Bool) {
        return Some(item.text().to_owned());
    }
    let number = item.get("number").map(|number| format!("number {}", number.text()));
    let name = ["path", "name", "device", "label", "url", "source"].iter().find_map(|name| item.get(name));
    number.or_else(|| name.map(|name| name.text().to_owned()))
}

fn lists(old: Cursor<'_>, new: Cursor<'_>, path: &Path, found: &mut Vec<Difference>) {
    let index = |list: Cursor<'_>| -> Option<BTreeMap<String, usize>> {
        let mut places = BTreeMap::new();
        for (place, item) in list.items().enumerate() {
            if places.insert(key(item)?, place).is_some() {
                return None; // not keyed: compared in order
            }
        }
        Some(places)
    };
    let (Some(old_places), Some(new_places)) = (index(old), index(new)) else {
        let (mut old, mut new) = (old.items(), new.items());
        for place in 0.. {
            match (old.next(), new.next()) {
                (None, None) => return,
                (old, new) => compare(old, new, &path.index(place), found),
            }
        }
        return;
    };
    let mut order: Vec<&String> = old_places.keys().chain(new_places.keys()).collect();
    order.sort_unstable();
    order.dedup();
    let old: Vec<_> = old.items().collect();
    let new: Vec<_> = new.items().collect();
    for name in order {
        let of = |places: &BTreeMap<String, usize>, items: &[_]| {
            places.get(name).and_then(|place| items.get(*place)).copied()
        };
        compare(of(&old_places, &old), of(&new_places, &new), &path.key(name), found);
    }
}

fn same(old: Cursor<'_>, new: Cursor<'_>) -> bool {
    old.kind() == new.kind() && old.text() == new.text()
}

/// A value as text, without secrets.
fn show(path: &Path, value: Cursor<'_>) -> String {
    if matches!(path.0.last(), Some(Step::Key(name)) if &**name == "passwordHash") {
        return crate::redact::MASK.to_owned();
    }
    let span = value.span();
    match value.kind() {
        Kind::Array | Kind::Object => crate::redact::redact(value.source_text(span)).into_owned(),
        _ => crate::redact::redact(value.text()).into_owned(),
    }
}
