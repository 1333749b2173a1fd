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

#[test]
#[cfg(feature = "butane")]
fn what_sugar_generates_leads_back_to_its_own_line() {
    // butane config/fcos/v1_6/translate.go: translations of boot_device
    for (yaml, code, path, line) in [
        (
            "variant: fcos\nversion: 1.3.0\nboot_device:\n  luks:\n    tpm2: true\n    tang:\n      - url: h|tp://a\n        thumbprint: x\n",
            "unable-to-parse-url",
            "$.boot_device.luks.tang.0.url",
            7,
        ),
        (
            "variant: fcos\nversion: 1.3.0\nboot_device:\n  layout: x86_64\n  mirror:\n    devices:\n      - x\n      - /dev/sdb\n",
            "path-not-absolute",
            "$.boot_device.mirror.devices.0",
            7,
        ),
    ] {
        let report = ignition::butane::transpile(yaml.as_bytes(), &Default::default()).unwrap_err();
        let places: Vec<_> = report
            .entries()
            .iter()
            .map(|entry| (entry.code, entry.path.to_string(), entry.place.unwrap().line))
            .collect();
        assert!(places.contains(&(code, path.to_owned(), line)), "{places:?}");
    }
}

#[test]
#[cfg(feature = "butane")]
fn yaml_places_are_exact() {
    let head = "variant: fcos\nversion: 1.5.0\n";
    for (yaml, path, key, value) in [
        (
            "storage:\n  files:\n    - path: /a\n      mode: \"0o9\" # c\n",
            "$.storage.files.0.mode",
            "mode",
            "\"0o9\"",
        ),
        (
            "storage:\n  files:\n  - path: /a\n    mode: |\n      x\n\n",
            "$.storage.files.0.mode",
            "mode",
            "|\n      x",
        ),
        ("systemd:\n  units:\n    name: a.service\n", "$.systemd.units", "units", "name: a.service"),
        ("systemd: {units: {name: a.service,}} # d\n", "$.systemd.units", "units", "{name: a.service,}"),
        ("systemd:\n  units: &u [1]\n", "$.systemd.units.0", "", "1"),
        (
            "storage:\n  files:\n  - path: /a\n    'user':\n    - 'é' # x\n",
            "$.storage.files.0.user",
            "'user'",
            "- 'é'",
        ),
        (
            "passwd:\n  users:\n    - name: core\n      uid: >-\n        1\n        2\n",
            "$.passwd.users.0.uid",
            "uid",
            ">-\n        1\n        2",
        ),
    ] {
        let text = format!("{head}{yaml}");
        let report = ignition::butane::transpile(text.as_bytes(), &Default::default()).unwrap_err();
        let entry = report.entries().iter().find(|entry| entry.code == "yaml-type").unwrap();
        assert_eq!(entry.path.to_string(), path, "{yaml}");
        let place = entry.place.unwrap();
        let piece = |span: ignition::tree::Span| &text[span.start as usize..span.end as usize];
        assert_eq!((place.key.map(piece).unwrap_or_default(), piece(place.value)), (key, value), "{yaml}");
    }
}
