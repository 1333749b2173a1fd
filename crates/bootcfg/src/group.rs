//! A group: which machines get which profile, and with what metadata. Decoded from `groups/*.json`.

use crate::compat::Compat;
use crate::json::{self, Json, JsonError, Node, is_key};
use crate::mac;
use crate::selector::{Selector, Wanted};

/// One group file.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// What a machine must say to belong here.
    pub selector: Selector,
    texts: Texts,
}

/// The group's texts one behind the other, so that a request looks at one place in memory: file, profile, metadata (as
/// compact JSON: a tenth of the parsed tree, and parsed only where a template needs it), id, name.
#[derive(Clone, Debug, Default)]
struct Texts {
    text: Box<str>,
    ends: [u32; 4],
}

impl Texts {
    fn new(parts: [&str; 5]) -> Self {
        let mut ends = [0; 4];
        let mut length = 0;
        for (end, part) in ends.iter_mut().zip(parts) {
            length += part.len();
            *end = u32::try_from(length).unwrap_or(u32::MAX);
        }
        Self { text: parts.concat().into(), ends }
    }

    fn part(&self, number: usize) -> &str {
        let place = |number: usize| self.ends.get(number).map_or(self.text.len(), |&end| end as usize);
        let start = number.checked_sub(1).map_or(0, place);
        self.text.get(start..place(number)).unwrap_or_default()
    }
}

impl Group {
    /// Decodes a group as Go would: keys in any case, duplicates merged, wrong types refused.
    ///
    /// # Errors
    /// The place and the reason, for the first thing that is wrong.
    pub fn parse(file: &str, text: &[u8], compat: Compat) -> Result<Self, JsonError> {
        Self::decode(file, text, json::parse(text)?, compat)
    }

    fn decode(file: &str, text: &[u8], root: Node, compat: Compat) -> Result<Self, JsonError> {
        let wrong = |at, message| json::error_at(text, at, message);
        let [mut id, mut name, mut profile]: [Box<str>; 3] = Default::default();
        let mut selector = Pairs::default();
        let mut metadata = serde_json::Map::new();
        let pairs = match root.value {
            Json::Object(pairs) => pairs,
            Json::Null => Vec::new(),
            _ => return Err(wrong(root.at, "a group must be an object")),
        };
        for (key, node) in pairs {
            let at = node.at;
            if is_key(&key, "id") {
                set_string(&mut id, node).ok_or_else(|| wrong(at, "`id` must be a string"))?;
            } else if is_key(&key, "name") {
                set_string(&mut name, node).ok_or_else(|| wrong(at, "`name` must be a string"))?;
            } else if is_key(&key, "profile") {
                set_string(&mut profile, node).ok_or_else(|| wrong(at, "`profile` must be a string"))?;
            } else if is_key(&key, "selector") {
                selector.merge(node, compat).map_err(|(at, message)| wrong(at, message))?;
            } else if is_key(&key, "metadata") {
                match node.into_value() {
                    serde_json::Value::Null => metadata.clear(),
                    serde_json::Value::Object(more) => metadata.extend(more),
                    _ => return Err(wrong(at, "`metadata` must be an object")),
                }
            } else if compat.is_strict() && !is_key(&key, "requirements") {
                return Err(wrong(
                    at,
                    "no such key in a group (id, name, profile, selector, metadata): correct or remove it",
                ));
            }
        }
        let selector = selector.finish(compat).map_err(|(at, message)| wrong(at, message))?;
        let metadata = match metadata.is_empty() {
            true => String::new(),
            false => serde_json::Value::Object(metadata).to_string(),
        };
        Ok(Self { selector, texts: Texts::new([file, &profile, &metadata, &id, &name]) })
    }

    /// A group that selects nothing by itself: what a caller's own decision boots with.
    pub fn synthetic(id: &str, profile: &str) -> Self {
        Self { selector: Selector::default(), texts: Texts::new(["", profile, "", id, ""]) }
    }

    /// `groups/x.json`.
    pub fn file(&self) -> &str {
        self.texts.part(0)
    }

    /// The profile's file name without `.json`; empty if the group has metadata only.
    pub fn profile(&self) -> &str {
        self.texts.part(1)
    }

    /// The file's `id`; may differ from the file's name, may be empty.
    pub fn id(&self) -> &str {
        self.texts.part(3)
    }

    /// A name for people.
    pub fn name(&self) -> &str {
        self.texts.part(4)
    }

    /// The metadata, every number a float as Go's decoder makes it.
    pub fn metadata(&self) -> serde_json::Map<String, serde_json::Value> {
        match serde_json::from_str(self.texts.part(2)) {
            Ok(serde_json::Value::Object(map)) => map,
            _ => serde_json::Map::new(),
        }
    }

    /// The file's name without folder and `.json`: how profiles and the API call the group.
    pub fn file_id(&self) -> &str {
        file_id(self.file(), "groups/")
    }
}

/// `groups/a.json` → `a`.
pub(crate) fn file_id<'a>(file: &'a str, folder: &str) -> &'a str {
    let name = file.strip_prefix(folder).unwrap_or(file);
    name.strip_suffix(".json").unwrap_or(name)
}

/// What is known of the selector of a file that does not parse.
///
/// `Some` holds pairs that the group certainly demands; `None` means nothing is known and any machine may be meant.
pub(crate) fn salvage_selector(text: &[u8], compat: Compat) -> Option<Selector> {
    let Ok(Node { value: Json::Object(pairs), .. }) = json::parse_lenient(text) else { return None };
    let mut selector = Pairs::default();
    for (key, node) in pairs {
        if is_key(&key, "selector") {
            selector.merge(node, compat).ok()?;
        }
    }
    selector.finish(compat).ok()
}

/// Go's decoding of a string field: null changes nothing, any other type is an error.
pub(crate) fn set_string(field: &mut Box<str>, node: Node) -> Option<()> {
    match node.value {
        Json::String(text) => *field = text.into(),
        Json::Null => {}
        _ => return None,
    }
    Some(())
}

/// The pairs of one or more `selector` objects, merged as Go merges into a map.
#[derive(Default)]
struct Pairs(Vec<(Box<str>, usize, Wanted)>);

type Wrong = (usize, &'static str);

impl Pairs {
    fn merge(&mut self, node: Node, compat: Compat) -> Result<(), Wrong> {
        let pairs = match node.value {
            Json::Null => {
                return {
                    self.0.clear();
                    Ok(())
                };
            }
            Json::Object(pairs) => pairs,
            _ => return Err((node.at, "`selector` must be an object of strings")),
        };
        for (key, node) in pairs {
            let wanted = match node.value {
                Json::String(value) => Wanted::One(value.into()),
                Json::Null => Wanted::One("".into()),
                Json::List(items) if compat.is_strict() => any_of(items)?,
                _ if compat.is_strict() => {
                    return Err((node.at, "a selector's value must be a string or a list of strings"));
                }
                _ => return Err((node.at, "a selector's value must be a string: put it in double quotes")),
            };
            self.0.retain(|(old, ..)| **old != *key);
            self.0.push((key.into(), node.at, wanted));
        }
        Ok(())
    }

    fn finish(self, compat: Compat) -> Result<Selector, Wrong> {
        let mut pairs = Vec::with_capacity(self.0.len());
        for (key, at, mut wanted) in self.0 {
            if key.eq_ignore_ascii_case("mac") {
                let values = match &mut wanted {
                    Wanted::One(value) => std::slice::from_mut(value),
                    Wanted::AnyOf(values) => values,
                };
                for value in values {
                    let address = mac::normalise(value.as_bytes(), compat.bare_mac());
                    *value =
                        address.ok_or((at, "`mac` is no hardware address, so no machine can match"))?.into();
                }
            }
            if let Wanted::AnyOf(values) = &mut wanted {
                values.sort();
            }
            pairs.push((key, wanted));
        }
        Ok(Selector::new(pairs))
    }
}

fn any_of(items: Vec<Node>) -> Result<Wanted, Wrong> {
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        match item.value {
            Json::String(value) => values.push(value.into()),
            _ => return Err((item.at, "a selector's list must hold strings")),
        }
    }
    Ok(Wanted::AnyOf(values.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Labels;

    fn group(text: &str, compat: Compat) -> Result<Group, JsonError> {
        Group::parse("groups/g.json", text.as_bytes(), compat)
    }

    #[test]
    fn decodes_as_go() {
        let text = r#"{"ID":"ck","PROFILE":"p","Selector":{"a":"0"},"selector":{"a":"1","b":null},"MetaData":{"who":1},"bogus":[1]}"#;
        let group = group(text, Compat::Matchbox).unwrap();
        assert_eq!((group.id(), group.profile(), group.selector.text().as_str()), ("ck", "p", "a=1,b="));
        assert_eq!(serde_json::to_string(&group.metadata()).unwrap(), r#"{"who":1.0}"#);
        assert_eq!(group.file_id(), "g");
    }

    #[test]
    fn refuses_with_a_place() {
        let fail = |text, compat| group(text, compat).unwrap_err();
        assert_eq!(fail("{\"selector\":\n {\"wt\": 1}}", Compat::Matchbox).line, 2);
        fail(r#"{"metadata":["a"]}"#, Compat::Matchbox);
        fail(r#"{"selector":{"mac":"nonsense"}}"#, Compat::Matchbox);
        fail(r#"{"selector":{"mac":["a"]}}"#, Compat::Matchbox);
        fail(r#"{"selectors":{}}"#, Compat::Strict);
    }

    #[test]
    fn lists_match_any_of_their_values() {
        let group =
            group(r#"{"selector":{"mac":["52-54-00-00-00-02","52-54-00-00-00-01"]}}"#, Compat::Strict)
                .unwrap();
        assert_eq!(group.selector.text(), "mac=52:54:00:00:00:01|52:54:00:00:00:02");
        assert!(group.selector.matches(&Labels::from_query(b"mac=52-54-00-00-00-01", Compat::Strict)));
        assert!(!group.selector.matches(&Labels::from_query(b"mac=52-54-00-00-00-03", Compat::Strict)));
    }

    #[test]
    fn a_stray_comma_leaves_the_selector_readable() {
        let text = br#"{"id":"x","selector":{"modekey":"targetnode",},}"#;
        assert_eq!(salvage_selector(text, Compat::Strict).unwrap().text(), "modekey=targetnode");
        assert_eq!(salvage_selector(br#"{"selector":{"a":"b"}"#, Compat::Strict), None);
    }
}
