//! "Memory at most 10 × input" for any bytes: the heap of hostile documents, counted.
#![cfg(feature = "butane")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;

use ignition::{butane, check, clc, fuze, lint};

/// What is allowed beside ten times the document: a thousand findings, and tables that are there anyway.
const FIXED: u64 = 1 << 20;

/// The most octets `work` holds at once.
fn peak(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).bytes_max
}

fn repeated(head: &str, unit: &str, tail: &str, octets: usize) -> Vec<u8> {
    let count = octets.saturating_sub(head.len() + tail.len()) / unit.len();
    format!("{head}{}{tail}", unit.repeat(count)).into_bytes()
}

/// Numbered, so that nothing is said twice.
fn numbered(head: &str, tail: &str, octets: usize, unit: impl Fn(usize) -> String) -> Vec<u8> {
    let mut text = head.to_owned();
    let mut number = 0;
    while text.len() + tail.len() < octets {
        text += &unit(number);
        number += 1;
    }
    (text + tail).into_bytes()
}

fn documents(octets: usize) -> Vec<(&'static str, Vec<u8>)> {
    let v3 = r#"{"ignition":{"version":"3.4.0"},"#;
    let v2 = r#"{"ignition":{"version":"2.3.0"},"#;
    let bu = "variant: fcos\nversion: 1.5.0\n";
    let json = |member: &str, unit: &str, end: &str| repeated(&format!("{v3}{member}"), unit, end, octets);
    let yaml = |member: &str, unit: &str, end: &str| repeated(&format!("{bu}{member}"), unit, end, octets);
    vec![
        ("brackets", "[".repeat(octets).into_bytes()),
        ("closed brackets", repeated("[", "[],", "0]", octets)),
        ("objects in objects", repeated("", "{\"a\":", "", octets)),
        ("numbers", repeated("[", "0,", "0]", octets)),
        ("escapes", repeated("[", "\"\\n\",", "0]", octets)),
        ("line breaks", "\n".repeat(octets).into_bytes()),
        ("broken UTF-8", [b"\"".as_slice(), &vec![0xff; octets], b"\""].concat()),
        ("broken UTF-8 in contents", {
            let head = format!("{v3}\"systemd\":{{\"units\":[{{\"name\":\"a.service\",\"contents\":\"");
            [head.as_bytes(), &vec![0xff; octets], b"\"}]}}"].concat()
        }),
        ("zeros", vec![0; octets]),
        ("unknown members", json("\"x\":0,", "\"\":0,", "\"y\":0}")),
        ("many unknown members", numbered(&format!("{v3}\"x\":0"), "}", octets, |n| format!(",\"k{n}\":0"))),
        ("files without anything", json("\"storage\":{\"files\":[", "{},", "{}]}}")),
        ("null files", json("\"storage\":{\"files\":[", "null,", "{}]}}")),
        ("zero files", json("\"storage\":{\"files\":[", "0,", "{}]}}")),
        ("disks without anything", json("\"storage\":{\"disks\":[", "{},", "{}]}}")),
        ("partitions", json("\"storage\":{\"disks\":[{\"device\":\"/d\",\"partitions\":[", "{},", "{}]}]}}")),
        ("luks", json("\"storage\":{\"luks\":[", "{},", "{}]}}")),
        ("users", json("\"passwd\":{\"users\":[", "{},", "{}]}}")),
        ("short files", json("\"storage\":{\"files\":[", "{\"path\":\"/a\"},", "{\"path\":\"/b\"}]}}")),
        (
            "many files",
            numbered(&format!("{v3}\"storage\":{{\"files\":["), "{\"path\":\"/z\"}]}}", octets, |n| {
                format!("{{\"path\":\"/{n}\"}},")
            }),
        ),
        (
            "usual files",
            numbered(&format!("{v3}\"storage\":{{\"files\":["), "{\"path\":\"/z\"}]}}", octets, |n| {
                format!(
                    "{{\"path\":\"/etc/app/conf.d/file{n}.conf\",\"mode\":420,\"contents\":{{\"source\":\"data:,{n}\"}}}},"
                )
            }),
        ),
        (
            "links and files below",
            numbered(&format!("{v3}\"storage\":{{\"links\":["), "{\"path\":\"/z\"}]}}", octets, |n| {
                format!("{{\"path\":\"/{n}\",\"target\":\"/\"}},{{\"path\":\"/{n}/{n}\",\"target\":\"/\"}},")
            }),
        ),
        ("arguments", json("\"kernelArguments\":{\"shouldExist\":[", "\"\",", "\"\"]}}")),
        (
            "keys",
            json("\"passwd\":{\"users\":[{\"name\":\"a\",\"sshAuthorizedKeys\":[", "\"\",", "\"\"]}]}}"),
        ),
        ("units", json("\"systemd\":{\"units\":[", "{},", "{}]}}")),
        (
            "one long unit",
            json("\"systemd\":{\"units\":[{\"name\":\"a.service\",\"contents\":\"[A]", "\\nB=", "\"}]}}"),
        ),
        ("2.x files", repeated(&format!("{v2}\"storage\":{{\"files\":["), "{},", "{}]}}", octets)),
        (
            "1 files",
            repeated(
                r#"{"ignitionVersion":1,"storage":{"filesystems":[{"files":["#,
                "{},",
                "{}]}]}}",
                octets,
            ),
        ),
        ("flow brackets", yaml("storage: ", "[", "")),
        ("flow lists", yaml("storage: [", "[],", "]")),
        ("flow mappings", yaml("storage: {files: [", "{},", "]}")),
        ("flow scalars", yaml("storage: [", "a,", "]")),
        ("flow keys", yaml("storage: {", "a: ,", "}")),
        ("plain keys", yaml("", "a:\n", "")),
        ("entries", yaml("storage:\n", "-\n", "")),
        ("entries in entries", yaml("storage:\n", "- ", "")),
        ("explicit keys", yaml("", "? ", "")),
        ("short YAML files", yaml("storage:\n  files:\n", "  - path: /a\n", "")),
        ("anchors", yaml("storage: [", "&a a,", "]")),
        ("many anchors", numbered(bu, "", octets, |n| format!("- &a{n} b\n"))),
        ("anchored flow lists", yaml("storage: [&a a, ", "[],", "]")),
        ("tagged flow on lines", yaml("storage:\n  files: !x\n   [", "{},\n   ", "]")),
        ("flow in quotes", yaml("storage: [!x \"]\", ", "\"]\",\n  ", "]")),
        ("aliases", yaml("a: &a [0]\nstorage: [", "*a,", "]")),
        ("aliases of files", yaml("a: &a {path: /a}\nstorage:\n  files: [", "*a,", "]")),
        (
            "aliases of contents",
            yaml(&format!("a: &a {}\nstorage:\n  files: [", "x".repeat(octets / 4)), "{path: *a},", "]"),
        ),
        ("aliases of aliases", {
            let mut text = format!("{bu}a0: &a0 {{path: /a}}\n");
            for level in 1..40 {
                text += &format!(
                    "a{level}: &a{level} [*a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}]\n",
                    level - 1
                );
            }
            text += "storage: {files: [*a39]}\n";
            repeated(&text, "# x\n", "", octets)
        }),
        ("merges", yaml("a: &a {path: /a}\nstorage:\n  files:\n", "  - <<: *a\n", "")),
        ("tags", yaml("storage: [", "!!str a,", "]")),
        ("folded", yaml("a: >\n", "  x\n", "")),
        ("quoted lines", yaml("a: \"", "x\n ", "\"")),
        ("comments", yaml("", "#\n", "")),
        (
            "inline contents",
            yaml("storage:\n  files:\n  - path: /a\n    contents:\n      inline: |\n", "        a\n", ""),
        ),
        (
            "inline that grows",
            yaml("storage:\n  files:\n  - path: /a\n    contents:\n      inline: |\n        ", "%é<", "\n"),
        ),
        ("units of YAML", yaml("systemd:\n  units:\n", "  - name: a.service\n", "")),
    ]
}

#[test]
fn ten_times_the_document() {
    let mut over = Vec::new();
    for octets in [4 << 10, 64 << 10, 1 << 20] {
        for (name, document) in documents(octets) {
            let mut seen = BTreeMap::new();
            let document = document.as_slice();
            seen.insert("check", peak(|| drop(check(document))));
            seen.insert("lint", peak(|| drop(lint::check(document))));
            seen.insert("fuze", peak(|| drop(fuze::transpile(document))));
            seen.insert("clc", peak(|| drop(clc::transpile(document, &clc::Options::default()))));
            let plain = butane::Options { no_compression: true, ..butane::Options::default() };
            seen.insert("butane", peak(|| drop(butane::transpile(document, &plain))));
            let bound = 10 * document.len() as u64 + FIXED;
            for (what, octets) in seen {
                let times = octets as f64 / document.len() as f64;
                if octets > bound {
                    over.push(format!("{name} of {}, {what}: {times:.1} times", document.len()));
                }
            }
        }
    }
    assert!(over.is_empty(), "{}", over.join("\n"));
}
