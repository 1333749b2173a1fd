//! Replays answers recorded from matchbox and bootcfg v0.4.0 against our server, over a real socket.
//!
//! `tests/corpus/README.md` says where the cases come from. KPC's own templates are not part of this repository:
//! that suite runs where `CONFORMANCE_DIR` has it.
#![cfg(feature = "http")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods
)]

mod common;

use std::path::{Path, PathBuf};

use base64::Engine;
use bootcfg::Compat;
use common::{Answer, Server};
use serde_json::Value;

fn corpus(suite: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(suite)
}

fn replay(dir: &Path, compat: Compat, skip: impl Fn(&str) -> bool) {
    let server = Server::start(&dir.join("data"), compat);
    let text = std::fs::read(dir.join("cases.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let (mut matched, mut total, mut skipped, mut report) = (0, 0, 0, String::new());
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        if skip(name) {
            skipped += 1;
            continue;
        }
        total += 1;
        let headers: Vec<(String, String)> = case["headers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_string()))
            .collect();
        let body = case["request_body"].as_str();
        let answer =
            server.ask(case["method"].as_str().unwrap(), case["path"].as_str().unwrap(), &headers, body);
        let faults = differences(case, &answer);
        if faults.is_empty() {
            matched += 1;
        } else {
            report.push_str(&format!("{name}: {}\n", faults.join("; ")));
        }
    }
    println!("{}: {matched} of {total} match, {skipped} skipped", dir.display());
    assert!(matched == total, "{matched} of {total} match\n{report}");
}

fn differences(case: &Value, answer: &Answer) -> Vec<String> {
    let expect = &case["expect"];
    let mut faults = Vec::new();
    let mut check = |what: &str, want: String, got: String| {
        if want != got {
            faults.push(format!("{what}: want {want:?} got {got:?}"));
        }
    };
    check("status", expect["status"].to_string(), answer.status.to_string());
    let header = |name: &str| answer.header(name).unwrap_or("(absent)").to_string();
    check(
        "content-type",
        expect["content_type"].as_str().unwrap_or("(absent)").into(),
        header("content-type"),
    );
    for (name, want) in expect["headers"].as_object().into_iter().flatten() {
        check(name, want.as_str().unwrap().into(), header(name));
    }
    let want = match (expect["body"].as_str(), expect["body_base64"].as_str()) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(text)) => base64::engine::general_purpose::STANDARD.decode(text).unwrap(),
        (None, None) => {
            assert!(expect["body_sha256"].is_null(), "no digest is expected in these suites");
            Vec::new()
        }
    };
    let show = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let lines = |octets: &[u8]| {
        let mut lines: Vec<_> = octets.split(|&octet| octet == b'\n').map(show).collect();
        lines.sort();
        lines.join("\n")
    };
    if case["compare"] == "lines" {
        check("lines", lines(&want), lines(&answer.body));
    } else if want != answer.body {
        check("body", show(&want), show(&answer.body));
    }
    faults
}

#[test]
fn matchbox_main() {
    replay(&corpus("main"), Compat::Matchbox, |name| {
        name.starts_with("ignition-") && !cfg!(feature = "ignition")
    });
}

#[test]
fn matchbox_with_a_default_group() {
    replay(&corpus("default"), Compat::Matchbox, |_| false);
}

#[test]
fn matchbox_malformed_templates() {
    replay(&corpus("malformed"), Compat::Matchbox, |_| false);
}

#[test]
fn bootcfg_040() {
    replay(&corpus("v040"), Compat::Bootcfg040, |name| {
        name.starts_with("v040-ignition-") && !cfg!(feature = "ignition")
    });
}

#[test]
fn bootcfg_040_with_the_templates_of_kpc() {
    let Some(dir) = std::env::var_os("CONFORMANCE_DIR").map(|dir| Path::new(&dir).join("bootcfg/kpc-v040"))
    else {
        println!("skipped: 21 cases over KPC's own templates need CONFORMANCE_DIR");
        return;
    };
    let needs_ignition = |name: &str| {
        ["kpc-stage0", "kpc-target", "kpc-deploy", "kpc-other-mode"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    replay(&dir, Compat::Bootcfg040, |name| needs_ignition(name) && !cfg!(feature = "ignition"));
}
