//! The answers of bootcfg v0.4.0: recorded Fuze files and the octets it sent for them.
#![cfg(feature = "yaml")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use std::path::{Path, PathBuf};

use serde_json::Value;

fn cases(prefix: &str) -> Vec<(PathBuf, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut found: Vec<_> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix))
        .map(|path| {
            let case = std::fs::read(path.join("case.json")).unwrap();
            let case = serde_json::from_slice(&case).unwrap();
            (path, case)
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

#[test]
fn recorded_answers_octet_for_octet() {
    // bootcfg v0.4.0 http/ignition.go renderJSON
    let cases = cases("transpile-fuze-");
    assert_eq!(cases.len(), 28);
    for (path, case) in cases {
        let source = std::fs::read(path.join(case["in"].as_str().unwrap())).unwrap();
        let made = ignition::fuze::transpile(&source);
        assert_eq!(made.is_ok(), case["expect"]["ok"].as_bool().unwrap(), "{}: {made:?}", path.display());
        if let (Ok(made), Ok(expected)) = (made, std::fs::read(path.join("expected.bytes"))) {
            let made = String::from_utf8(made).unwrap();
            assert_eq!(made, String::from_utf8(expected).unwrap(), "{}", path.display());
        }
    }
}

#[test]
fn errors_name_the_line() {
    // every finding has a path, a line and a column
    let source = b"systemd:\n  units:\n    - name: a.service\n      enabled: true\n    - name: b\n      enable: maybe\n";
    let report = ignition::fuze::transpile(source).unwrap_err();
    let lines: Vec<String> = report.entries().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "error at $.systemd.units.0.enabled, line 4 column 7: unused key enabled (did you mean `enable`?)",
            "error at $.systemd.units.1.enable, line 6 column 15: expected true or false, found string `maybe`",
        ]
    );
}
