//! The tool as its users start it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn ign(folder: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ign"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("IGN_REPORT")
        .output()
        .unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, contents) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
    folder
}

const GOOD: &str = r#"{"ignition":{"version":"3.4.0"},"storage":{"files":[{"path":"/a","mode":420,"contents":{"source":"data:,hi"}}]}}"#;
const BUTANE: &str =
    "variant: fcos\nversion: 1.5.0\nstorage:\n  files:\n    - path: etc/motd\n      mode: 644\n";

#[test]
fn findings_underline_their_place() {
    let folder = folder(&[("node.bu", BUTANE)]);
    let output = ign(&folder, &["validate", "node.bu"]);
    assert_eq!(output.status.code(), Some(1));
    let shown = text(&output.stderr);
    assert!(shown.contains("node.bu:5:13: error: "), "{shown}");
    assert!(shown.contains("    5 |     - path: etc/motd\n      |             ^^^^^^^^\n"), "{shown}");
    assert!(shown.contains("    6 |       mode: 644\n      |             ^^^\n"), "{shown}");
}

#[test]
fn long_lines_are_cut_around_the_place() {
    let padding = "x".repeat(5000);
    let json = format!(
        r#"{{"ignition":{{"version":"3.4.0"}},"storage":{{"files":[{{"path":"/{padding}"}},{{"path":"b"}},{{"path":"/{padding}"}}]}}}}"#
    );
    let folder = folder(&[("node.ign", &json)]);
    let shown = text(&ign(&folder, &["validate", "node.ign"]).stderr);
    assert!(shown.lines().all(|line| line.chars().count() < 140), "{shown}");
    let lines: Vec<_> = shown.lines().collect();
    let at = lines.iter().position(|line| line.contains("^^^")).unwrap();
    let column = lines[at].chars().position(|c| c == '^').unwrap();
    assert_eq!(lines[at - 1].chars().skip(column).take(3).collect::<String>(), "\"b\"");
}

#[test]
fn exit_codes() {
    let folder = folder(&[("good.ign", GOOD), ("warn.ign", &GOOD.replace("\"mode\":420", "\"mod\":420"))]);
    for (arguments, code) in [
        (&["validate", "good.ign"][..], 0),
        (&["validate", "warn.ign"], 0),
        (&["validate", "--strict", "warn.ign"], 1),
        (&["validate", "missing.ign"], 1),
        (&["validate", "-", "-"], 2),
        (&["frobnicate"], 2),
        (&["convert", "--to", "3.9.0", "good.ign"], 1),
        (&["explain", "unit-no-install"], 0),
        (&["explain", "no-such-code"], 1),
        (&["schema", "fcos-1.5.0"], 0),
        (&["schema", "nothing"], 1),
    ] {
        assert_eq!(ign(&folder, arguments).status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn messages_as_objects_and_levels() {
    let folder = folder(&[(
        "unit.bu",
        "variant: fcos\nversion: 1.5.0\nsystemd:\n  units:\n    - name: a.service\n      enabled: true\n      contents: |\n        [Service]\n        ExecStart=/bin/true\n",
    )]);
    let output = ign(&folder, &["validate", "--log-format", "json", "nowhere.ign"]);
    let message: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((output.status.code(), &message["level"]), (Some(1), &Value::from("error")));
    assert!(message["message"].as_str().unwrap().contains("nowhere.ign"));
    let words = ["validate", "--lint", "--strict", "unit.bu"];
    let shown = ign(&folder, &words);
    assert!(text(&shown.stderr).contains("unit-no-install"), "{}", text(&shown.stderr));
    let quiet = ign(&folder, &[&words[..], &["--log-level", "error"]].concat());
    assert_eq!((text(&quiet.stderr).as_str(), quiet.status.code()), ("", Some(1)));
}

#[test]
fn diff_says_what_a_machine_would_notice() {
    let other = GOOD.replace("data:,hi", "data:;base64,aGk=");
    let changed = GOOD.replace("420", "384").replace("3.4.0", "3.3.0");
    let folder = folder(&[("a.ign", GOOD), ("same.ign", &other), ("changed.ign", &changed)]);
    let output = ign(&folder, &["diff", "a.ign", "same.ign"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), String::new()));
    let output = ign(&folder, &["diff", "a.ign", "changed.ign"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "~ $.storage.files./a.mode: 420 -> 384\n");
    let added = GOOD.replace("]}}", r#"]},"passwd":{"users":[{"name":"core","passwordHash":"secret"}]}}"#);
    fs::write(folder.path().join("added.ign"), added).unwrap();
    let shown = text(&ign(&folder, &["diff", "a.ign", "added.ign"]).stdout);
    assert!(shown.starts_with("+ $.passwd: ") && !shown.contains("secret"), "{shown}");
}

#[test]
fn several_sources_and_variables() {
    let base = "variant: fcos\nversion: 1.5.0\nstorage:\n  files:\n    - path: /etc/hostname\n      mode: 0600\n      contents: {inline: base}\n";
    let node = "variant: fcos\nversion: 1.5.0\nstorage:\n  files:\n    - path: /etc/hostname\n      contents: {inline: \"@{NAME}\"}\n";
    let folder = folder(&[("base.bu", base), ("node.bu", node)]);
    let output = ign(&folder, &["transpile", "--var", "NAME=node1", "base.bu", "node.bu"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    let file = &made["storage"]["files"][0];
    assert_eq!(
        (file["mode"].as_u64(), file["contents"]["source"].as_str()),
        (Some(0o600), Some("data:,node1"))
    );
    let output = ign(&folder, &["transpile", "--var", "OTHER=1", "base.bu", "node.bu"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("node.bu:6:27: error: no value for the variable \"NAME\""),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn local_files_stay_below_their_directory() {
    let butane = |local: &str| {
        format!(
            "variant: fcos\nversion: 1.5.0\nstorage:\n  files:\n    - path: /etc/a\n      contents: {{local: {local}}}\n"
        )
    };
    let folder = folder(&[
        ("in/a", "inside"),
        ("out", "outside"),
        ("good.bu", &butane("a")),
        ("up.bu", &butane("../out")),
        ("link.bu", &butane("link")),
    ]);
    std::os::unix::fs::symlink("../out", folder.path().join("in/link")).unwrap();
    let output = ign(&folder, &["transpile", "-d", "in", "good.bu"]);
    assert!(text(&output.stdout).contains("data:,inside"));
    for name in ["up.bu", "link.bu"] {
        let output = ign(&folder, &["transpile", "-d", "in", name]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(
            text(&output.stderr).contains("[local-file-path-traverses-outside-the-files-directory]"),
            "{name}"
        );
        assert!(output.stdout.is_empty());
    }
}

/// SARIF 2.1.0 by section: every object has what it must and nothing it does not know.
#[test]
fn sarif() {
    let folder = folder(&[("a b.bu", BUTANE), ("good.ign", GOOD), ("broken.ign", "{\"ignition\": }")]);
    let output = ign(&folder, &["validate", "--report", "sarif", "a b.bu", "good.ign", "broken.ign"]);
    assert_eq!(output.status.code(), Some(1));
    let log: Value = serde_json::from_slice(&output.stdout).unwrap();
    let only = |value: &Value, names: &[&str], required: usize| {
        let object = value.as_object().unwrap();
        assert!(object.keys().all(|name| names.contains(&name.as_str())), "{value}");
        assert!(names[..required].iter().all(|name| object.contains_key(*name)), "{value}");
    };
    only(&log, &["version", "runs", "$schema"], 2); // §3.13
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    only(run, &["tool", "results", "columnKind"], 2); // §3.14
    only(&run["tool"]["driver"], &["name", "version", "rules"], 3); // §3.19
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for rule in rules {
        only(rule, &["id", "shortDescription", "help"], 3); // §3.49
        only(&rule["help"], &["text"], 1); // §3.12
    }
    let results = run["results"].as_array().unwrap();
    assert!(results.len() >= 3);
    for result in results {
        only(result, &["message", "ruleId", "ruleIndex", "level", "locations"], 5); // §3.27
        assert_eq!(rules[result["ruleIndex"].as_u64().unwrap() as usize]["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        let location = &result["locations"][0];
        only(location, &["physicalLocation", "logicalLocations"], 2); // §3.28
        only(&location["physicalLocation"], &["artifactLocation", "region"], 2); // §3.29
        only(
            &location["physicalLocation"]["region"],
            &["startLine", "startColumn", "endLine", "endColumn"],
            2,
        ); // §3.30
        assert!(location["physicalLocation"]["region"]["startLine"].as_u64().unwrap() >= 1);
    }
    let motd = results.iter().find(|result| result["ruleId"] == "path-not-absolute").unwrap();
    let place = &motd["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "a%20b.bu");
    let region = ["startLine", "startColumn", "endLine", "endColumn"]
        .map(|name| place["region"][name].as_u64().unwrap());
    assert_eq!(region, [5, 13, 5, 21]);
}

/// Real keys and a real hash, in the places people put them and in places that are wrong, so that they are shown.
#[test]
fn secrets_are_not_printed() {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys");
    let hash =
        "$6$saltsalt$Y5SQipmINi0NgSqEPAtwxqvsOU6Vhf0BnEBvIjtw77OrezJUbFAIYqGGVxhMHJzSMks74AO1x95SYikG7SVqP/";
    for name in ["never-used-ed25519", "never-used-p256.pem"] {
        let key = fs::read_to_string(keys.join(name)).unwrap();
        let body: Vec<&str> = key.lines().filter(|line| !line.starts_with("-----")).collect();
        let one_line = key.replace('\n', "\\n");
        let indented = key.lines().map(|line| format!("          {line}\n")).collect::<String>();
        let escaped: String = key
            .bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() || byte == b'-' {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect();
        let json = |member: &str| format!(r#"{{"ignition":{{"version":"3.4.0"}},{member}}}"#);
        let inputs = [
            (
                "mode.bu",
                format!(
                    "variant: fcos\nversion: 1.5.0\nstorage:\n  files:\n    - path: x\n      mode: |\n{indented}      contents:\n        inlin: |\n{indented}"
                ),
            ),
            (
                "kinds.bu",
                format!(
                    "variant: fcos\nversion: 1.5.0\npasswd:\n  users:\n    - name: core\n      uid: \"{one_line}\"\n      password_hash: [\"{hash}\"]\n"
                ),
            ),
            (
                "path.ign",
                json(&format!(r#""storage":{{"files":[{{"path":"{one_line}"}},{{"path":"{hash}"}}]}}"#)),
            ),
            (
                "url.ign",
                json(&format!(
                    r#""storage":{{"files":[{{"path":"/a","contents":{{"source":"dat:,{escaped}"}}}}]}}"#
                )),
            ),
            (
                "name.ign",
                json(&format!(r#""systemd":{{"units":[{{"name":"{one_line}"}},{{"name":"{hash}"}}]}}"#)),
            ),
            (
                "key.ign",
                json(&format!(
                    r#""passwd":{{"users":[{{"name":"core","passwordHash":"{hash}","uid":"{hash}"}}]}}"#
                )),
            ),
            (
                "fuze.yaml",
                format!("passwd:\n  users:\n    - name: core\n      password_hash: {{a: \"{hash}\"}}\n"),
            ),
        ];
        let files: Vec<(&str, &str)> = inputs.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let folder = folder(&files);
        for (input, _) in &inputs {
            for form in ["text", "json", "sarif"] {
                let output = ign(&folder, &["validate", "--lint", "--report", form, input]);
                let shown = text(&output.stdout) + &text(&output.stderr);
                assert_eq!(output.status.code(), Some(1), "{input} is wrong: {shown}");
                for secret in body.iter().copied().chain([&hash[12..]]) {
                    let secret = &secret[..secret.len().min(20)];
                    assert!(!shown.contains(secret), "{name} {input} {form}: {shown}");
                    let secret = secret.replace('/', "%2F").replace('+', "%2B");
                    assert!(!shown.contains(&secret), "{name} {input} {form}: {shown}");
                }
            }
        }
    }
}

#[test]
fn diff_hides_keys() {
    let key =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys/never-used-p256.pem"))
            .unwrap();
    let unit = |key: &str| {
        serde_json::json!({ "ignition": { "version": "3.4.0" }, "systemd": { "units": [{ "name": "a.service", "contents": format!("[Service]\nEnvironment=\"{key}\"") }] } }).to_string()
    };
    let folder = folder(&[("a.ign", &unit("none")), ("b.ign", &unit(&key.replace('\n', "\\n")))]);
    let output = ign(&folder, &["diff", "a.ign", "b.ign"]);
    let shown = text(&output.stdout);
    assert!(shown.contains("contents") && shown.contains("redacted"), "{shown}");
    assert!(key.lines().skip(1).all(|line| line.starts_with('-') || !shown.contains(&line[..20])), "{shown}");
}
