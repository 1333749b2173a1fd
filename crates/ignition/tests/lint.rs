//! The lint corpus: each unit and quadlet of `lint/` says behind `# !` on its lines and behind `whole:` what is found.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::path::Path;

use ignition::lint;
use serde_json::json;

/// `line 3: …` of a finding; 0 for findings about the whole.
fn line_of(message: &str) -> usize {
    let number = message.strip_prefix("line ").and_then(|rest| rest.split(':').next());
    number.map_or(0, |number| number.parse().unwrap())
}

#[test]
fn units_and_quadlets_have_the_findings_they_announce() {
    let (mut files, mut findings) = (0, 0);
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let source = std::fs::read_to_string(&path).unwrap();
        let (mut wanted, mut text) = (BTreeSet::new(), String::new());
        for (line, content) in (1..).zip(source.lines()) {
            if let Some((_, code)) = content.split_once("whole: ") {
                wanted.insert((0, code.to_owned()));
            }
            let (content, code) = content.split_once(" # ").unwrap_or((content, ""));
            if let Some(code) = code.strip_prefix("! ") {
                wanted.insert((line, code.to_owned()));
            }
            text.push_str(content);
            text.push('\n');
        }
        let mut data = String::from("data:,");
        text.bytes().for_each(|byte| data.push_str(&format!("%{byte:02x}")));
        let unit = [".service", ".timer", ".mount"].iter().any(|end| name.ends_with(end));
        let config = if unit {
            json!({ "ignition": { "version": "3.4.0" }, "systemd": { "units": [{ "name": name, "contents": text }] } })
        } else {
            let path = format!("/etc/containers/systemd/{name}");
            json!({ "ignition": { "version": "3.4.0" },
                "storage": { "files": [{ "path": path, "mode": 420, "contents": { "source": data } }] } })
        };
        let (_, report) = lint::check(config.to_string().as_bytes());
        let found: BTreeSet<_> =
            report.entries().iter().map(|entry| (line_of(&entry.message), entry.code.to_owned())).collect();
        assert_eq!(found, wanted, "{name}:\n{report}");
        files += 1;
        findings += wanted.len();
    }
    assert!(files >= 11 && findings >= 16, "{files} files, {findings} findings");
}

#[test]
fn files_directories_and_states() {
    let config = json!({ "ignition": { "version": "3.4.0" },
        "storage": {
            "files": [{ "path": "/a", "mode": 420 }, { "path": "/b", "mode": 0o200 }, { "path": "/c", "mode": 0o666 }],
            "directories": [{ "path": "/d", "mode": 0o755 }, { "path": "/e", "mode": 0o1777 }, { "path": "/f", "mode": 0o777 }],
        },
        "systemd": { "units": [{ "name": "a.service", "enabled": true, "mask": true }] } });
    let (_, report) = lint::check(config.to_string().as_bytes());
    let found: Vec<_> = report
        .entries()
        .iter()
        .filter(|entry| entry.code.starts_with("lint-"))
        .map(|entry| (entry.path.to_string(), entry.code))
        .collect();
    let wanted = [
        ("$.systemd.units.0.enabled", "lint-masked-and-enabled"),
        ("$.storage.files.1.mode", "lint-unreadable"),
        ("$.storage.files.2.mode", "lint-world-writable"),
        ("$.storage.directories.2.mode", "lint-world-writable"),
    ];
    assert_eq!(found, wanted.map(|(path, code)| (path.to_owned(), code)));
    assert!(report.entries().iter().all(|entry| entry.place.is_some()));
}
