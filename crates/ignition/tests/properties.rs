//! What holds for every input.
#![cfg(feature = "butane")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_methods)]

use std::path::Path;

use ignition::convert::{Options, convert};
use ignition::merge::merge;
use ignition::{Body, Config, Report, SpecVersion, Style, butane, check, clc, fuze};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

/// The inputs of the recorded cases: what real documents look like.
fn seeds(ending: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for case in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")).unwrap() {
        for file in std::fs::read_dir(case.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            if path.is_file() && name.ends_with(ending) && name != "case.json" {
                found.push(std::fs::read(&path).unwrap());
            }
        }
    }
    found.sort();
    found.retain(|text| text.len() < 4096);
    assert!(found.len() > 40, "{ending}: {}", found.len());
    found
}

/// A document with a few octets changed, taken out or doubled.
fn mutated(ending: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let edit = (any::<Index>(), any::<u8>(), 0..4_u8);
    (select(seeds(ending)), proptest::collection::vec(edit, 0..5)).prop_map(|(mut text, edits)| {
        for (at, byte, what) in edits {
            if text.is_empty() {
                break;
            }
            let at = at.index(text.len());
            match what {
                0 => text[at] = byte,
                1 => drop(text.remove(at)),
                2 => text.insert(at, b"{}[]\":,&*-#\n "[usize::from(byte) % 13]),
                _ => text.truncate(at),
            }
        }
        text
    })
}

/// Valid configs of specification 3 among the cases.
fn valid_v3() -> Vec<Config> {
    let read = |text: Vec<u8>| Config::parse(&text).ok().map(|(config, _)| config);
    let mut found: Vec<Config> = seeds(".json").into_iter().filter_map(read).collect();
    found.retain(|config| matches!(config.body, Body::V3(_)));
    assert!(found.len() > 20, "{}", found.len());
    found
}

/// The config as a value; what means the same as being absent is absent.
fn plain(config: &Config) -> Value {
    fn tidy(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.retain(|name, value| name != "compression" || value != "");
                // False is what an absent `discard` means, so a version without the member loses nothing by it.
                members.retain(|name, value| name != "discard" || value != false);
                members.values_mut().for_each(tidy);
            }
            Value::Array(items) => items.iter_mut().for_each(tidy),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(&config.to_json(Style::TIDY)).expect("JSON");
    tidy(&mut value);
    value
}

/// Whether a path is a file in one of these configs and a directory or a link in another, or a kernel argument is
/// wanted by one and unwanted by another: merging moves it from list to list.
fn kinds_differ(configs: &[&Config]) -> bool {
    let mut kinds = std::collections::BTreeMap::new();
    configs.iter().map(|config| plain(config)).any(|config| {
        let lists = ["files", "directories", "links"].map(|kind| (kind, &config["storage"][kind]));
        let arguments =
            ["shouldExist", "shouldNotExist"].map(|kind| (kind, &config["kernelArguments"][kind]));
        lists.into_iter().chain(arguments).any(|(kind, list)| {
            let nodes = list.as_array().cloned().unwrap_or_default();
            nodes.iter().any(|node| {
                let key =
                    node.as_str().map_or_else(|| node["path"].to_string(), |word| format!("argument {word}"));
                *kinds.entry(key).or_insert(kind) != kind
            })
        })
    })
}

/// Whether every finding says where.
fn named(report: &Report) -> bool {
    !report.is_empty() && report.entries().iter().all(|entry| !entry.path.0.is_empty())
}

fn everything(octets: &[u8]) {
    let (config, report) = check(octets);
    if let Some(config) = config.filter(|_| !report.is_fatal()) {
        let again = Config::parse(config.to_json(Style::TIDY).as_bytes());
        assert_eq!(again.map(|(config, _)| config), Ok(config));
    }
    for entry in report.entries() {
        let place = entry.place;
        assert!(place.is_none_or(|place| place.value.end as usize <= octets.len() * 3 + 3));
    }
    let _ = fuze::transpile(octets);
    let _ = clc::transpile(octets, &clc::Options::default());
    if let Ok((json, _)) = butane::transpile(octets, &butane::Options { raw: true, ..Default::default() }) {
        let (_, report) = check(&json);
        assert!(!report.is_fatal(), "transpile made what validate refuses: {report}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_octets(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        everything(&octets);
    }

    #[test]
    fn changed_json(octets in mutated(".json")) {
        everything(&octets);
    }

    #[test]
    fn changed_yaml(octets in mutated(".yaml")) {
        everything(&octets);
    }

    #[test]
    fn up_and_down_again(config in select(valid_v3()), to in 0..8_u8) {
        let Some(to) = SpecVersion::v3(to).filter(|to| *to >= config.version) else { return Ok(()) };
        let from = config.version;
        // A newer version may refuse what an older one let pass, such as a link without target, and an older one may
        // have ignored what a newer one heeds, such as the sticky bit; both are named.
        let (up, said) = match convert(config.clone(), to, &Options::default()) {
            Ok(made) => made,
            Err(lost) => {
                prop_assert!(named(&lost), "{}", lost);
                return Ok(());
            }
        };
        prop_assert_eq!(up.version, to);
        match convert(up, from, &Options::default()) {
            Ok((down, _)) => prop_assert!(plain(&down) == plain(&config) || named(&said), "{:?}\n{:?}", down, config),
            Err(lost) => prop_assert!(named(&lost), "{}", lost),
        }
    }

    #[test]
    fn down_and_up_again(config in select(valid_v3()), to in 0..8_u8) {
        let Some(to) = SpecVersion::v3(to).filter(|to| *to <= config.version) else { return Ok(()) };
        let from = config.version;
        match convert(config.clone(), to, &Options::default()) {
            Ok((down, said)) => {
                let mut report = Report::default();
                down.validate(&mut report);
                prop_assert!(!report.is_fatal(), "{}", report);
                match convert(down, from, &Options::default()) {
                    Ok((up, _)) => prop_assert!(plain(&up) == plain(&config) || named(&said), "{:?}\n{:?}", up, config),
                    Err(lost) => prop_assert!(named(&lost), "{}", lost),
                }
            }
            Err(lost) => prop_assert!(named(&lost), "{}", lost),
        }
    }

    /// The keyed lists and the fields of objects; appended files and set lists are concatenated, which is associative too.
    #[test]
    fn merge_is_associative(a in select(valid_v3()), b in select(valid_v3()), c in select(valid_v3())) {
        let all = [a, b, c].map(|config| {
            let newest = SpecVersion::v3(6).expect("3.6.0");
            convert(config, newest, &Options::default()).map(|(config, _)| config)
        });
        let [Ok(a), Ok(b), Ok(c)] = all else { return Ok(()) };
        // Files, directories and links share one namespace, and so do wanted and unwanted kernel arguments: what changes
        // its list on the way takes what was there before with it, so the order of merging counts for it.
        if kinds_differ(&[&a, &b, &c]) {
            return Ok(());
        }
        let merged = |a: &Config, b: &Config| merge(a.clone(), b.clone(), false).map(|merged| merged.config);
        let left = merged(&a, &b).and_then(|ab| merged(&ab, &c));
        let right = merged(&b, &c).and_then(|bc| merged(&a, &bc));
        if let (Ok(left), Ok(right)) = (left, right) {
            prop_assert_eq!(left.to_json(Style::TIDY), right.to_json(Style::TIDY));
        }
    }
}
