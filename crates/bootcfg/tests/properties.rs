//! What holds for all octets: no panic, and what was read means the same when written and read again.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;

use bootcfg::content::{Conditions, Content, Plan, plan};
use bootcfg::render::ignition::Unsupported;
use bootcfg::{
    Additions, Catalog, Compat, Context, Endpoint, Entry, Group, Labels, Limits, Profile, Route, Selection,
    mac, path,
};
use proptest::prelude::*;

fn compat() -> impl Strategy<Value = Compat> {
    prop_oneof![Just(Compat::Matchbox), Just(Compat::Bootcfg040), Just(Compat::Strict)]
}

/// Text that often looks like a group or profile.
fn jsonish() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(":"),
        Just(","),
        Just("\"id\""),
        Just("\"profile\""),
        Just("\"selector\""),
        Just("\"metadata\""),
        Just("\"boot\""),
        Just("\"mac\""),
        Just("\"x\""),
        Just("null"),
        Just("1e5"),
        Just("true"),
        Just("\"\\ud83d\""),
        Just("\"52-54-00-aa-bb-cc\""),
        Just(" "),
        Just("\n"),
        Just("é"),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
}

/// Selectors over few keys and values, so that they collide.
fn selectors() -> impl Strategy<Value = Vec<Vec<(u8, u8)>>> {
    proptest::collection::vec(proptest::collection::vec((0..4_u8, 0..3_u8), 0..4), 0..12)
}

fn pairs_json(pairs: &[(u8, u8)]) -> String {
    let text: Vec<_> =
        pairs.iter().map(|(key, value)| format!("\"k{key}\":\"{}\"", value_text(*value))).collect();
    text.join(",")
}

/// 0 is the empty value, which an absent label has too.
fn value_text(value: u8) -> String {
    if value == 0 { String::new() } else { format!("v{value}") }
}

proptest! {
    #[test]
    fn no_octets_make_the_readers_panic(octets in any::<Vec<u8>>(), near in jsonish(), compat in compat()) {
        for text in [&octets, &near] {
            let _ = Group::parse("groups/g.json", text, compat);
            let _ = Profile::parse("profiles/p.json", text, compat);
            let _ = Labels::from_query(text, compat);
            let _ = Labels::check_query(text, compat);
            let _ = mac::normalise(text, true);
            let _ = bootcfg::sniff::content_type(text);
            let text = String::from_utf8_lossy(text);
            let _ = Route::parse(&text, Some(&text), compat);
            let content = Content { size: 100, modified: Some(5), content_type: "" };
            let conditions = Conditions {
                range: Some(&text), if_none_match: Some(&text), if_range: Some(&text), is_get: true, ..Conditions::default()
            };
            let _ = plan(content, conditions);
        }
    }

    #[test]
    fn a_catalog_of_anything_answers(group in jsonish(), profile in jsonish(), query in any::<Vec<u8>>(), compat in compat()) {
        let catalog = Catalog::from_files(compat, [("groups/g.json", &group), ("profiles/x.json", &profile)]);
        let labels = Labels::from_query(&query, compat);
        for endpoint in Endpoint::ALL {
            let context = Context {
                catalog: &catalog, labels: &labels, raw_query: &query, limits: &Limits::default(),
                transpile: &Unsupported, additions: &Additions::default(),
            };
            let _ = bootcfg::render::respond(endpoint, context);
        }
    }

    /// The index finds what trying every group in order finds.
    #[test]
    fn the_index_agrees_with_trying_them_all(selectors in selectors(), asked in proptest::collection::vec((0..4_u8, 0..3_u8), 0..5)) {
        let files = selectors.iter().enumerate().map(|(i, pairs)| {
            (format!("groups/{i:02}.json"), format!("{{\"selector\":{{{}}}}}", pairs_json(pairs)))
        });
        let catalog = Catalog::from_files(Compat::Matchbox, files);
        let query: Vec<_> = asked.iter().map(|(key, value)| format!("k{key}={}", value_text(*value))).collect();
        let labels = Labels::from_query(query.join("&").as_bytes(), Compat::Matchbox);
        let linear = catalog.groups().find(|group| group.selector.matches(&labels)).map(|group| group.file_id().to_string());
        let indexed = match catalog.select(&labels) {
            Selection::Group { group, .. } => Some(group.file_id().to_string()),
            _ => None,
        };
        prop_assert_eq!(linear, indexed);
    }

    /// A snapshot with changes is the snapshot of the changed files.
    #[test]
    fn edits_give_what_reading_again_gives(
        before in selectors(),
        edits in proptest::collection::vec((0..20_usize, proptest::option::of(selectors())), 0..90),
        asked in proptest::collection::vec((0..4_u8, 0..3_u8), 0..5),
    ) {
        let text = |pairs: &[(u8, u8)]| format!("{{\"selector\":{{{}}}}}", pairs_json(pairs));
        let name = |number: usize| format!("groups/{number:02}.json");
        let mut files: BTreeMap<String, String> =
            before.iter().enumerate().map(|(number, pairs)| (name(number), text(pairs))).collect();
        let mut catalog = Catalog::from_files(Compat::Strict, &files);
        for (number, edit) in &edits {
            let file = name(*number);
            // No selectors at all stand for a text that does not parse.
            let new = edit.as_ref().map(|some| some.first().map_or("{".to_string(), |pairs| text(pairs)));
            let entry = new.as_ref().and_then(|new| Entry::parse(&file, &new.clone().into(), Compat::Strict));
            catalog = catalog.with_changes([(file.as_str(), entry)]);
            match new {
                Some(new) => _ = files.insert(file, new),
                None => _ = files.remove(&file),
            }
        }
        let again = Catalog::from_files(Compat::Strict, &files);
        let names = |catalog: &Catalog| -> Vec<String> {
            let broken = catalog.broken().map(|broken| broken.file.to_string());
            catalog.groups().map(|group| group.file_id().to_string()).chain(broken).collect()
        };
        prop_assert_eq!(names(&catalog), names(&again));
        prop_assert_eq!(catalog.group_count(), again.group_count());
        let query: Vec<_> = asked.iter().map(|(key, value)| format!("k{key}={}", value_text(*value))).collect();
        let labels = Labels::from_query(query.join("&").as_bytes(), Compat::Strict);
        let picked = |catalog: &Catalog| match catalog.select(&labels) {
            Selection::Group { group, .. } => group.file_id().to_string(),
            Selection::NoGroup => "-".to_string(),
            Selection::Broken(broken) => broken.file.to_string(),
        };
        prop_assert_eq!(picked(&catalog), picked(&again));
    }

    #[test]
    fn an_address_is_normal_after_once(octets in proptest::collection::vec(any::<u8>(), 6)) {
        let hex = |separator: &str| octets.iter().map(|octet| format!("{octet:02X}")).collect::<Vec<_>>().join(separator);
        let normal = mac::normalise(hex(":").as_bytes(), true);
        prop_assert!(normal.is_some());
        for text in [hex("-"), hex(""), normal.clone().unwrap()] {
            prop_assert_eq!(&mac::normalise(text.as_bytes(), true), &normal);
        }
    }

    #[test]
    fn cleaned_paths_stay_inside(text in "[a./]{0,40}") {
        let clean = path::clean(&text);
        prop_assert!(!clean.starts_with('/') && clean.split('/').all(|part| part != ".."));
        prop_assert_eq!(path::clean(&clean), clean);
    }

    #[test]
    fn ranges_lie_within_the_content(size in 0_u64..1000, text in "bytes=[0-9,-]{0,12}") {
        let content = Content { size, modified: None, content_type: "" };
        let spans = match plan(content, Conditions { range: Some(&text), is_get: true, ..Conditions::default() }) {
            Plan::Part(span) => vec![span],
            Plan::Parts(spans) => spans,
            _ => Vec::new(),
        };
        for span in spans {
            prop_assert!(span.start + span.length <= size);
        }
    }
}
