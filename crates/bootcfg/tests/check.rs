//! `check` on a crafted store finds exactly the faults that are in it.
#![cfg(feature = "ignition")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

use bootcfg::check::{Checks, check};
use bootcfg::transpile::Ignition;
use bootcfg::{Catalog, Compat, Limits};

fn findings(files: &[(&str, &str)], assets: &[&str]) -> Vec<String> {
    let catalog = Catalog::from_files(Compat::Strict, files.iter().copied());
    let exists = |path: &str| assets.contains(&path);
    let checks = Checks { transpile: &Ignition, limits: &Limits::default(), asset: Some(&exists) };
    let place =
        |finding: bootcfg::check::Finding| format!("{}:{} {}", finding.file, finding.line, finding.code);
    check(&catalog, checks).into_iter().map(place).collect()
}

#[test]
fn exactly_the_faults_are_found() {
    let files = [
        ("groups/broken.json", "{\n\"profile\" \"p\"}"),
        ("groups/typo.json", "{\"profile\":\"good\",\n\"selectors\":{}}"),
        ("groups/first.json", r#"{"profile":"good","selector":{"os":"installed"}}"#),
        ("groups/second.json", r#"{"profile":"good","selector":{"os":"installed"}}"#),
        ("groups/upper.json", r#"{"profile":"good","selector":{"uuid":"4C4C4544"}}"#),
        ("groups/case.json", r#"{"profile":"good","selector":{"MAC":"52:54:00:00:00:01"}}"#),
        ("groups/nowhere.json", r#"{"profile":"nowhere","selector":{"a":"1"}}"#),
        ("groups/noprofile.json", r#"{"selector":{"a":"2"}}"#),
        ("groups/nometa.json", r#"{"profile":"needs","selector":{"a":"3"}}"#),
        ("groups/meta.json", r#"{"profile":"needs","selector":{"a":"4"},"metadata":{"role":"db"}}"#),
        ("groups/asksquery.json", r#"{"profile":"query","selector":{"a":"5"}}"#),
        (
            "profiles/good.json",
            r#"{"id":"g","boot":{"kernel":"/assets/vmlinuz","initrd":["/assets/none.gz"]}}"#,
        ),
        ("profiles/broken.json", "{\"id\":\n}"),
        ("profiles/needs.json", r#"{"id":"n","generic_id":"role.tmpl"}"#),
        ("profiles/query.json", r#"{"id":"q","ignition_id":"query.yaml"}"#),
        ("profiles/raw.json", r#"{"id":"r","ignition_id":"bad.ign"}"#),
        ("generic/role.tmpl", "first line\n{{.role}}\n"),
        ("generic/broken.tmpl", "{{end}}"),
        ("ignition/query.yaml", "systemd:\n  units:\n    - name: {{.request.query.unit}}.service\n"),
        ("ignition/bad.ign", "{\"ignition\":{\"version\":\"9.9.9\"}}"),
    ];
    let want = [
        "generic/broken.tmpl:1 template-broken",
        "generic/role.tmpl:2 render-failed",
        "groups/broken.json:2 group-broken",
        "groups/case.json:0 never-matches",
        "groups/noprofile.json:0 no-profile",
        "groups/nowhere.json:0 profile-missing",
        "groups/second.json:0 group-shadowed",
        "groups/typo.json:2 group-broken",
        "groups/upper.json:0 never-matches",
        "ignition/bad.ign:1 bad-ignition",
        "profiles/broken.json:2 profile-broken",
        "profiles/good.json:0 asset-missing",
    ];
    let mut got = findings(&files, &["vmlinuz"]);
    got.sort();
    assert_eq!(got, want);
}

#[test]
fn a_good_store_has_none() {
    let files = [
        ("groups/default.json", r#"{"profile":"p","metadata":{"k":["a"]}}"#),
        (
            "groups/two.json",
            r#"{"profile":"p","selector":{"mac":["52:54:00:00:00:01","52:54:00:00:00:02"]},"metadata":{"k":[]}}"#,
        ),
        (
            "profiles/p.json",
            r#"{"id":"p","ignition_id":"i.yaml","cloud_id":"c","boot":{"kernel":"/assets/k","args":["a"]}}"#,
        ),
        (
            "ignition/i.yaml",
            "variant: fcos\nversion: 1.4.0\npasswd:\n  users:\n    - name: core\n      ssh_authorized_keys: [{{range .k}}{{.}},{{end}}]\n",
        ),
        ("cloud/c", "#!/bin/sh\necho {{.request.query.mac}} {{.request.raw_query}}\n"),
    ];
    assert_eq!(findings(&files, &["k"]), Vec::<String>::new());
}
