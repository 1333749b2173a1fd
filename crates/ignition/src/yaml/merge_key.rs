//! Members of a YAML mapping, with merge keys (`<<`), aliases and repeated keys as each library treats them.

use std::collections::HashMap;

use crate::decode::{Cx, Format, Object, decode_member, decode_object};
use crate::report::At;
use crate::tree::{Cursor, Kind, Tag};

fn is_merge(key: Cursor<'_>) -> bool {
    key.text() == "<<" && (key.kind() == Kind::Plain || key.tag() == Tag::Merge)
}

/// Reads a mapping into `to`. `false` when version 3 refuses it for a repeated key.
pub(crate) fn decode_members<T: Object>(to: &mut T, cx: &mut Cx<'_>, node: Cursor<'_>, at: &At<'_>) -> bool {
    // Aliases make small texts large: every expansion pays.
    if node.is_alias() && !cx.spend(node.weight() as usize * size_of::<T>().max(64), at) {
        return false;
    }
    if cx.format == Format::Yaml3 && repeated_key(cx, node, at) {
        return false;
    }
    let aliased = node.is_alias() && cx.format == Format::Yaml3;
    if aliased && cx.quiet == 0 {
        let message = "context tree does not match content tree: the alias is not looked into";
        cx.report.warn("null-where-object", message, at);
    }
    cx.quiet += u32::from(aliased);
    let mut merged = None;
    for (key, value) in node.members() {
        if is_merge(key) {
            if cx.format == Format::Yaml2 {
                // Version 2 merges where the key stands.
                merge(to, cx, value, at, &mut Vec::new());
            } else {
                merged = Some(value);
            }
        } else if matches!(key.kind(), Kind::Array | Kind::Object) {
            cx.mismatch(key, "a key that is text", at);
        } else {
            decode_member(to, cx, key, value, at);
        }
    }
    if let Some(value) = merged {
        // Version 3 merges last, and only what is not there yet.
        let mut taken: Vec<&str> = node.members().map(|(key, _)| key.text()).collect();
        if cx.quiet == 0 {
            cx.report.warn("unused-key", "unused key <<", &at.key("<<"));
        }
        cx.quiet += 1;
        merge(to, cx, value, at, &mut taken);
        cx.quiet -= 1;
    }
    cx.quiet -= u32::from(aliased);
    true
}

fn merge<'t, T: Object>(
    to: &mut T,
    cx: &mut Cx<'_>,
    value: Cursor<'t>,
    at: &At<'_>,
    taken: &mut Vec<&'t str>,
) {
    match value.kind() {
        Kind::Object => merge_one(to, cx, value, at, taken),
        Kind::Array => {
            let mut items: Vec<_> = value.items().collect();
            if cx.format == Format::Yaml2 {
                items.reverse(); // earlier ones win by being read last
            }
            for item in items {
                if item.kind() == Kind::Object {
                    merge_one(to, cx, item, at, taken);
                } else {
                    not_a_map(cx, at);
                }
            }
        }
        _ => not_a_map(cx, at),
    }
}

fn merge_one<'t, T: Object>(
    to: &mut T,
    cx: &mut Cx<'_>,
    node: Cursor<'t>,
    at: &At<'_>,
    taken: &mut Vec<&'t str>,
) {
    if !cx.spend(node.weight() as usize * size_of::<T>().max(64), at) {
        return;
    }
    if cx.format == Format::Yaml2 {
        decode_object(to, cx, node, at);
        return;
    }
    let mut inner = None;
    for (key, value) in node.members() {
        if is_merge(key) {
            inner = Some(value);
        } else if !taken.contains(&key.text()) {
            taken.push(key.text());
            decode_member(to, cx, key, value, at);
        }
    }
    if let Some(value) = inner {
        merge(to, cx, value, at, taken);
    }
}

fn not_a_map(cx: &mut Cx<'_>, at: &At<'_>) {
    let message = "map merge requires map or sequence of maps as the value";
    cx.report.error("yaml-syntax", message, &at.key("<<"));
}

/// Says which keys stand twice.
fn repeated_key(cx: &mut Cx<'_>, node: Cursor<'_>, at: &At<'_>) -> bool {
    let mut seen = HashMap::new();
    let mut found = false;
    for (key, _) in node.members().filter(|(key, _)| !matches!(key.kind(), Kind::Array | Kind::Object)) {
        if seen.insert(key.text(), ()).is_some() {
            found = true;
            let message = format!("mapping key {:?} already defined", crate::text::shorten(key.text(), 80));
            cx.report.error("yaml-type", message, &at.key(key.text()));
        }
    }
    found
}
