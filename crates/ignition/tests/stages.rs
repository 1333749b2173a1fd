//! One run says everything: each file of `stages/` has mistakes of all three stages of Butane (types, sugar, the config
//! that is generated), and each line with a mistake names its code behind `# !`.
#![cfg(feature = "butane")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::path::Path;

use ignition::butane;
use ignition::report::Step;

/// Line and code of every finding the file announces.
fn announced(source: &str) -> BTreeSet<(u32, String)> {
    let mut found = BTreeSet::new();
    for (line, text) in (1..).zip(source.lines()) {
        if let Some((_, code)) = text.split_once("# ! ") {
            found.extend(code.split(", ").map(|code| (line, code.to_owned())));
        }
    }
    found
}

#[test]
fn findings_of_all_stages_come_in_one_run() {
    let mut files = 0;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stages");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let source = std::fs::read_to_string(&path).unwrap();
        let (_, report) = butane::check(source.as_bytes(), &butane::Options::default());
        let found: BTreeSet<(u32, String)> = report
            .entries()
            .iter()
            .map(|entry| (entry.place.expect("a place").line, entry.code.to_owned()))
            .collect();
        let wanted = announced(&source);
        assert!(wanted.len() >= 3, "{}: three stages", path.display());
        assert_eq!(found, wanted, "{}:\n{report}", path.display());
        files += 1;
    }
    assert!(files >= 40, "{files} files");
}

#[test]
fn type_errors_have_the_spans_of_key_and_value() {
    let mut seen = 0;
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stages")).unwrap() {
        let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let (_, report) = butane::check(source.as_bytes(), &butane::Options::default());
        for entry in report.entries().iter().filter(|entry| entry.code == "yaml-type") {
            let place = entry.place.unwrap();
            let text = |span: ignition::tree::Span| &source[span.start as usize..span.end as usize];
            let line = source.lines().nth(place.line as usize - 1).unwrap();
            assert!(line.contains(text(place.value)), "{entry}");
            if let Some(Step::Key(key)) = entry.path.0.last() {
                assert_eq!(text(place.key.unwrap()), &**key, "{entry}");
            }
            seen += 1;
        }
    }
    assert!(seen >= 40);
}
