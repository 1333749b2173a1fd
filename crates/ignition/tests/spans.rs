//! Every type and syntax error of JSON: its path, and where key and value stand.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use ignition::check;

/// Source, code, path, key, value; the value's text begins at the place.
const CASES: &[(&str, &str, &str, &str, &str)] = &[
    (r#"{"ignition":{"version":3}}"#, "json-type", "$.ignition.version", "\"version\"", "3"),
    (r#"{"ignition":[]}"#, "json-type", "$.ignition", "\"ignition\"", "[]"),
    (r#"[]"#, "json-type", "$", "", "[]"),
    (
        r#"{"ignition":{"version":"3.0.0"},"storage":{"files":[{"path":"/a"},{"path":"/b","mode":"0644"}]}}"#,
        "json-type",
        "$.storage.files.1.mode",
        "\"mode\"",
        "\"0644\"",
    ),
    (
        r#"{"ignition":{"version":"2.2.0"},"passwd":{"users":[{"name":"a","groups":["b",{"c":1}]}]}}"#,
        "json-type",
        "$.passwd.users.0.groups.1",
        "",
        "{\"c\":1}",
    ),
    (
        r#"{"ignition":{"version":"3.4.0"},"systemd":{"units":{"name":"a.service"}}}"#,
        "json-type",
        "$.systemd.units",
        "\"units\"",
        "{\"name\":\"a.service\"}",
    ),
    (
        r#"{"ignition":{"version":"3.4.0"},"storage":{"disks":[{"device":"/dev/a","partitions":[{"number":1.5}]}]}}"#,
        "json-type",
        "$.storage.disks.0.partitions.0.number",
        "\"number\"",
        "1.5",
    ),
];

#[test]
fn type_errors() {
    for (source, code, path, key, value) in CASES {
        let (_, report) = check(source.as_bytes());
        let entry = report
            .entries()
            .iter()
            .find(|entry| entry.code == *code)
            .unwrap_or_else(|| panic!("{source}: {report}"));
        let place = entry.place.unwrap();
        let text = |span: ignition::tree::Span| &source[span.start as usize..span.end as usize];
        assert_eq!(entry.path.to_string(), *path);
        assert_eq!(place.key.map_or("", text), *key, "{path}");
        assert_eq!(text(place.value), *value, "{path}");
        assert_eq!((place.line, place.column), (1, place.value.start + 1), "{path}");
    }
}

#[test]
fn syntax_errors() {
    for (source, path, line, column) in [
        (
            "{\"ignition\": {\"version\": \"3.4.0\"},\n \"storage\": {\"files\": [{\"path\": }]}}",
            "$.storage.files.0.path",
            2,
            33,
        ),
        ("{\"a\": [1, 2,, 3]}", "$.a.2", 1, 13),
        ("{\"a\": tru}", "$.a", 1, 10),
        ("{\"a\": {\"b\": \"\\x\"}}", "$.a.b", 1, 15),
    ] {
        let (config, report) = check(source.as_bytes());
        assert!(config.is_none());
        let entry = &report.entries()[0];
        let place = entry.place.unwrap();
        assert_eq!(entry.code, "json-syntax");
        assert_eq!(
            (entry.path.to_string().as_str(), place.line, place.column),
            (path, line, column),
            "{source}"
        );
    }
}

#[test]
fn type_errors_do_not_hide_broken_rules() {
    let source =
        br#"{"ignition":{"version":"3.4.0"},"storage":{"files":[{"path":"/a","mode":"x"},{"path":"b"}]}}"#;
    let (config, report) = check(source);
    assert!(config.is_none());
    let codes: Vec<_> = report.entries().iter().map(|entry| entry.code).collect();
    assert_eq!(codes, ["json-type", "path-not-absolute"]);
}
