//! etcd and flannel: which options there are depends on the version the config names.

use super::tables::{ETCD2, ETCD3, FLANNEL};
use crate::decode::{Cx, Decode, Shape, is_null, unused};
use crate::report::At;
use crate::tree::{Cursor, Kind as NodeKind};

/// What an option holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Text,
    Number,
    Switch,
}

/// Three numbers; what follows a `-` or `+` is kept as text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Version {
    /// Major, minor and patch number.
    pub numbers: [i64; 3],
    /// The version as it was written.
    pub text: String,
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        if !crate::parse::is_semver(text) {
            return None;
        }
        let end = text.find(['-', '+']).unwrap_or(text.len());
        let mut numbers = text.get(..end)?.splitn(3, '.').map(|number| number.parse().ok());
        Some(Self { numbers: [numbers.next()??, numbers.next()??, numbers.next()??], text: text.to_owned() })
    }
}

/// Options as they are handed to a program: name and value, texts quoted.
pub type Arguments = Vec<(&'static str, String)>;

/// etcd as a unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Etcd {
    /// Its version; default 3.0.0 for the choice of options.
    pub version: Option<Version>,
    /// Its options, in the order of the reference.
    pub arguments: Arguments,
}

/// flannel as a unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flannel {
    /// Its version; default 0.6.0 for the choice of options.
    pub version: Option<Version>,
    /// JSON written to etcd before it starts.
    pub network_config: String,
    /// Its options, in the order of the reference.
    pub arguments: Arguments,
}

impl Decode for Etcd {
    const SHAPE: Shape = Shape::Map(&Shape::String);

    fn decode(&mut self, cx: &mut Cx<'_>, node: Cursor<'_>, at: &At<'_>) -> bool {
        if !begin(self, cx, node, at) {
            return is_null(cx, node);
        }
        self.version = version(cx, node, at);
        let [major, minor, _] = self.version.as_ref().map_or([3, 0, 0], |version| version.numbers);
        let table: Vec<(&'static str, Kind)> = match (major, minor) {
            (2, 3..) => ETCD2.to_vec(),
            (3, minor) => {
                let minor = u8::try_from(minor.clamp(0, 3)).unwrap_or_default();
                ETCD3
                    .iter()
                    .filter(|(_, _, since, last)| (*since..=*last).contains(&minor))
                    .map(|it| (it.0, it.1))
                    .collect()
            }
            _ => Vec::new(),
        };
        self.arguments = arguments(cx, node, at, &table, &["version"]);
        true
    }
}

impl Decode for Flannel {
    const SHAPE: Shape = Shape::Map(&Shape::String);

    fn decode(&mut self, cx: &mut Cx<'_>, node: Cursor<'_>, at: &At<'_>) -> bool {
        if !begin(self, cx, node, at) {
            return is_null(cx, node);
        }
        self.version = version(cx, node, at);
        if let Some(value) = node.get("network_config") {
            self.network_config.decode(cx, value, &at.key("network_config"));
        }
        let [major, minor, _] = self.version.as_ref().map_or([0, 6, 0], |version| version.numbers);
        let minor = if major == 0 { u8::try_from(minor.clamp(0, 7)).unwrap_or_default() } else { 0 };
        let known = FLANNEL.iter().filter(|(_, _, since)| *since <= minor).map(|it| (it.0, it.1));
        let table: Vec<(&'static str, Kind)> = known.collect();
        self.arguments = arguments(cx, node, at, &table, &["version", "network_config"]);
        true
    }
}

/// `false` if there is no object to read.
fn begin<T: Default>(to: &mut T, cx: &mut Cx<'_>, node: Cursor<'_>, at: &At<'_>) -> bool {
    *to = T::default();
    if is_null(cx, node) {
        return false;
    }
    if node.kind() != NodeKind::Object {
        cx.mismatch(node, "an object", at);
        return false;
    }
    true
}

fn version(cx: &mut Cx<'_>, node: Cursor<'_>, at: &At<'_>) -> Option<Version> {
    let value = node.get("version").filter(|value| !is_null(cx, *value))?;
    let version = Version::parse(value.text());
    if version.is_none() {
        cx.mismatch(value, "a version of three numbers", &at.key("version"));
    }
    version
}

fn arguments(
    cx: &mut Cx<'_>,
    node: Cursor<'_>,
    at: &At<'_>,
    table: &[(&'static str, Kind)],
    others: &[&str],
) -> Arguments {
    let mut arguments = Vec::new();
    for (name, kind) in table {
        let Some(value) = node.get(name).filter(|value| !is_null(cx, *value)) else { continue };
        let at = at.key(name);
        let text = match kind {
            Kind::Text => {
                let mut text = String::new();
                text.decode(cx, value, &at).then(|| quote(&text))
            }
            Kind::Number => {
                let mut number = 0_i64;
                number.decode(cx, value, &at).then(|| number.to_string())
            }
            Kind::Switch => {
                let mut switch = false;
                switch.decode(cx, value, &at).then(|| switch.to_string())
            }
        };
        arguments.extend(text.map(|text| (*name, text)));
    }
    for (key, _) in node.members() {
        let name = key.text();
        if !others.contains(&name) && !table.iter().any(|(known, _)| *known == name) {
            unused(cx, &[], name, at);
        }
    }
    arguments
}

/// A text in quotes, as Go's `%q`.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() || c.is_whitespace() && c != ' ' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)))
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
