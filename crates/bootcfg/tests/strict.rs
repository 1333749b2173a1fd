//! Strict mode: every reason has its code, status and place; nothing falls through; nothing broken is served.
#![cfg(all(feature = "http", feature = "ignition"))]
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

use std::fs;
use std::sync::{Arc, Mutex};

use bootcfg::driver::http::{Access, Deciding, Hook, RequestFacts, ServiceConfig, Target, Verdict};
use bootcfg::driver::store::FileStore;
use bootcfg::{Compat, Endpoint, Limits};
use common::{Answer, Server, config};
use serde_json::{Value, json};
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn group(key: &str, profile: &str) -> String {
    format!(r#"{{"profile":"{profile}","selector":{{"t":"{key}"}},"metadata":{{"host":"h"}}}}"#)
}

fn fault(answer: &Answer) -> (u16, String, Value) {
    let body: Value =
        serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("no JSON: {}", answer.text()));
    (answer.status, body["error"]["code"].as_str().unwrap().to_string(), body["error"].clone())
}

#[test]
fn every_reason_has_its_code() {
    let dir = folder(&[
        ("groups/none.json", &group("noprofile", "")),
        ("groups/missing.json", &group("missing", "nowhere")),
        ("groups/broken.json", "{\"profile\":\"p\",\n \"selector\":{\"t\":\"broken\"},,}"),
        ("groups/pbroken.json", &group("pbroken", "bad")),
        ("groups/nothing.json", &group("nothing", "empty")),
        ("groups/g.json", &group("g", "all")),
        ("groups/esc.json", &group("esc", "escape")),
        ("groups/absent.json", &group("absent", "absent")),
        ("groups/tbroken.json", &group("tbroken", "tbroken")),
        ("groups/loop.json", &group("loop", "loop")),
        ("profiles/bad.json", "{\"id\":\"bad\",\n\"bot\":{}}"),
        ("profiles/empty.json", r#"{"id":"e"}"#),
        ("profiles/escape.json", r#"{"id":"e","generic_id":"../groups/g.json"}"#),
        ("profiles/absent.json", r#"{"id":"a","generic_id":"none.tmpl"}"#),
        ("profiles/tbroken.json", r#"{"id":"t","generic_id":"broken.tmpl"}"#),
        ("profiles/loop.json", r#"{"id":"l","generic_id":"loop.tmpl"}"#),
        (
            "profiles/all.json",
            r#"{"id":"all","generic_id":"key.tmpl","cloud_id":"plain","ignition_id":"bad.ign"}"#,
        ),
        ("generic/key.tmpl", "one\ntwo {{.nokey}}"),
        ("generic/broken.tmpl", "\n{{if}}"),
        ("generic/loop.tmpl", "{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}"),
        ("cloud/plain", "no header"),
        (
            "ignition/bad.ign",
            "{\"ignition\":{\"version\":\"3.3.0\"},\n\"storage\":{\"files\":[{\"path\":\"relative\"}]}}",
        ),
    ]);
    let server = Server::start(dir.path(), Compat::Strict);
    let of = |path: &str| fault(&server.get(path));
    for (path, status, code) in [
        ("/nope", 404, "not-found"),
        ("/assets/none", 404, "not-found"),
        ("/ipxe?t=%zz", 400, "bad-query"),
        ("/ipxe?t=a;b", 400, "bad-query"),
        ("/ipxe?t=a&t=b", 400, "bad-query"),
        ("/ipxe?t=%00", 400, "bad-query"),
        ("/ipxe?mac=nonsense", 400, "bad-query"),
        ("/ipxe?t=nobody", 404, "no-group"),
        ("/ipxe?t=noprofile", 404, "no-profile"),
        ("/ipxe?t=broken", 503, "group-broken"),
        ("/ipxe?t=missing", 503, "profile-missing"),
        ("/ipxe?t=pbroken", 503, "profile-broken"),
        ("/ipxe?t=nothing", 404, "no-boot"),
        ("/grub?t=nothing", 404, "no-boot"),
        ("/generic?t=nothing", 404, "no-template"),
        ("/generic?t=esc", 503, "profile-broken"),
        ("/generic?t=absent", 503, "template-missing"),
        ("/generic?t=tbroken", 503, "template-broken"),
        ("/generic?t=g", 500, "render-failed"),
        ("/generic?t=loop", 500, "render-limit"),
        ("/cloud?t=g", 500, "bad-yaml"),
        ("/ignition?t=g", 500, "bad-ignition"),
    ] {
        let (got_status, got_code, error) = of(path);
        assert_eq!((got_status, got_code.as_str()), (status, code), "{path}: {error}");
        assert!(error["message"].as_str().unwrap().len() > 10, "{path}: {error}");
    }
    // Files and lines are named, relative to the data folder.
    let (_, _, error) = of("/ipxe?t=broken");
    assert_eq!((&error["file"], &error["line"]), (&json!("groups/broken.json"), &json!(2)));
    let (_, _, error) = of("/ipxe?t=pbroken");
    assert_eq!((&error["file"], &error["line"]), (&json!("profiles/bad.json"), &json!(2)));
    let (_, _, error) = of("/generic?t=g");
    assert_eq!((&error["file"], &error["line"]), (&json!("generic/key.tmpl"), &json!(2)));
    assert!(error["message"].as_str().unwrap().contains("nokey"), "{error}");
    let (_, _, error) = of("/ignition?t=g");
    assert_eq!((&error["file"], &error["line"]), (&json!("ignition/bad.ign"), &json!(2)), "{error}");
    assert_eq!(server.get("/ipxe?t=broken").header("retry-after"), Some("5"));
    // /metadata needs no profile.
    assert_eq!(server.get("/metadata?t=noprofile").status, 200);
}

#[test]
fn a_broken_group_stops_only_the_machines_it_may_mean() {
    let files = [
        ("groups/default.json", r#"{"profile":"wipe"}"#),
        ("groups/target.json", r#"{"profile":"keep","selector":{"mode":"target",},}"#),
        ("profiles/wipe.json", r#"{"id":"w","boot":{"kernel":"wipe"}}"#),
        ("profiles/keep.json", r#"{"id":"k","boot":{"kernel":"keep"}}"#),
    ];
    let dir = folder(&files);
    let strict = Server::start(dir.path(), Compat::Strict);
    assert_eq!(strict.get("/ipxe?mode=target").status, 503);
    assert_eq!(strict.get("/ipxe?mode=other").text(), "#!ipxe\nkernel wipe\nboot\n");
    // What the original does: the install config with status 200.
    let matchbox = Server::start(dir.path(), Compat::Matchbox);
    assert_eq!(matchbox.get("/ipxe?mode=target").text(), "#!ipxe\nkernel wipe\nboot\n");
}

#[test]
fn a_query_cannot_add_structure_to_yaml() {
    let dir = folder(&[
        ("groups/g.json", r#"{"profile":"p"}"#),
        ("profiles/p.json", r#"{"id":"p","ignition_id":"i.yaml","cloud_id":"c.yaml"}"#),
        (
            "ignition/i.yaml",
            "variant: fcos\nversion: 1.4.0\nstorage:\n  files:\n    - path: /etc/name\n      contents: {inline: {{.request.query.name}}}\n",
        ),
        ("cloud/c.yaml", "#cloud-config\nhostname: {{.request.query.name}}\n"),
    ]);
    let server = Server::start(dir.path(), Compat::Strict);
    let ask = |path: &str, name: &str| server.get(&format!("/{path}?name={name}"));
    assert_eq!(ask("ignition", "node-1.example").status, 200, "{}", ask("ignition", "node-1.example").text());
    assert_eq!(ask("ignition", "two%20words").status, 200);
    // `x}, mode: 0777, z: {` closes the map and adds a key.
    for name in ["x%7D%2C%20mode%3A%200777%2C%20z%3A%20%7B", "x%2C%20local%3A%20y", "%5Ba%5D"] {
        let (status, code, error) = fault(&ask("ignition", name));
        assert_eq!((status, code.as_str()), (400, "injection"), "{name}: {error}");
        assert_eq!(error["file"], "ignition/i.yaml");
    }
    assert_eq!(fault(&ask("cloud", "%7Ba%3A%20b%7D")).1, "injection");
    assert_eq!(ask("cloud", "plain").status, 200);
}

#[test]
fn explain_is_for_those_with_the_token() {
    let dir = folder(&[
        ("groups/a.json", r#"{"profile":"p","metadata":{"x":1}}"#),
        ("groups/b.json", r#"{"profile":"p","selector":{"os":"installed"}}"#),
        ("profiles/p.json", r#"{"id":"p","boot":{"kernel":"k"}}"#),
    ]);
    let store = Arc::new(FileStore::open(dir.path(), Compat::Strict).unwrap());
    let server = Server::over(ServiceConfig { explain_token: Some("s3cret".into()), ..config(store) });
    let with = |token: &str| [("Authorization".to_string(), format!("Bearer {token}"))];
    let answer = server.ask("GET", "/ipxe?os=installed&explain=1", &with("s3cret"), None);
    let explained: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(explained["group"], "b");
    assert_eq!(explained["matching"][0]["group"], "b");
    assert_eq!(explained["matching"][1]["group"], "a");
    assert_eq!(explained["labels"], json!({"os": "installed"}));
    for token in ["wrong", ""] {
        let answer = server.ask("GET", "/ipxe?os=installed&explain=1", &with(token), None);
        assert_eq!(answer.text(), "#!ipxe\nkernel k\nboot\n", "without the token it is a label like others");
    }
}

/// Decides by label and keeps what was recorded.
#[derive(Default)]
struct Decider {
    seen: Mutex<Vec<Access>>,
}

impl Hook for Decider {
    fn decide<'a>(&'a self, facts: &'a RequestFacts<'a>) -> Deciding<'a> {
        Box::pin(async {
            assert!(facts.peer.ip().is_loopback());
            tokio::task::yield_now().await;
            match facts.labels.get("verdict") {
                Some("boot") => Verdict::Boot {
                    profile: "p".into(),
                    group: Some("never".into()),
                    metadata: json!({"added": "yes", "host": "over"}).as_object().unwrap().clone(),
                    arguments: vec!["kpc.nonce=1".into()],
                },
                Some("respond") => {
                    Verdict::Respond { status: 200, content_type: "text/plain", body: "local\n".into() }
                }
                Some("refuse") => Verdict::Refuse { status: 409, reason: "no open order".into() },
                _ => Verdict::Select,
            }
        })
    }

    fn record(&self, access: &Access) {
        self.seen.lock().unwrap().push(access.clone());
    }
}

#[test]
fn a_hook_decides_and_hears_how_it_went() {
    let dir = folder(&[
        (
            "groups/never.json",
            r#"{"profile":"other","selector":{"never":"matches"},"metadata":{"host":"h","kept":"k"}}"#,
        ),
        (
            "profiles/p.json",
            r#"{"id":"p","generic_id":"t","ignition_id":"i","boot":{"kernel":"/k","initrd":["/i"],"args":["quiet"]}}"#,
        ),
        ("generic/t", "{{.host}} {{.kept}} {{.added}} {{.never}}\n"),
        ("ignition/i", "systemd:\n  units:\n    - name: {{.host}}.service\n"),
        ("assets/kernel", "0123456789"),
    ]);
    let store = Arc::new(FileStore::open(dir.path(), Compat::Strict).unwrap());
    let hook = Arc::new(Decider::default());
    let server = Server::over(ServiceConfig {
        hook: hook.clone(),
        assets: Some(dir.path().join("assets")),
        ..config(store)
    });
    assert_eq!(
        server.get("/ipxe?verdict=boot").text(),
        "#!ipxe\nkernel /k quiet kpc.nonce=1\ninitrd /i\nboot\n"
    );
    assert!(server.get("/grub?verdict=boot").text().contains("linux \"/k\" quiet kpc.nonce=1\n"));
    assert_eq!(server.get("/generic?verdict=boot").text(), "over k yes matches\n");
    assert!(server.get("/ignition?verdict=boot").text().contains("\"over.service\""));
    assert!(server.get("/metadata?verdict=boot").text().contains("ADDED=yes\nHOST=over\nKEPT=k\n"));
    assert_eq!(server.get("/ipxe?verdict=respond").text(), "local\n");
    let refused = server.get("/ipxe?verdict=refuse");
    assert_eq!((refused.status, fault(&refused).1.as_str()), (409, "refused"));
    assert_eq!(server.get("/ipxe").status, 404);
    assert_eq!(server.get("/assets/kernel").text(), "0123456789");
    drop(server);
    let seen = hook.seen.lock().unwrap();
    let find = |target: &Target| seen.iter().find(|access| access.target == *target).unwrap();
    let asset = find(&Target::Asset("kernel".into()));
    assert_eq!((asset.octets, asset.complete, asset.status), (10, true, 200));
    let generic = find(&Target::Endpoint(Endpoint::Generic));
    assert_eq!(
        (generic.group.as_deref(), generic.profile.as_deref(), generic.template.as_deref()),
        (Some("never"), Some("p"), Some("generic/t"))
    );
    assert!(seen.iter().all(|access| access.complete));
}

#[test]
fn a_template_without_end_stops_at_its_limits() {
    let dir = folder(&[
        ("groups/g.json", r#"{"profile":"p"}"#),
        ("profiles/p.json", r#"{"id":"p","generic_id":"t"}"#),
        ("generic/t", "{{range $i := 1000000}}{{range 1000}}0123456789{{end}}{{end}}"),
    ]);
    let store = Arc::new(FileStore::open(dir.path(), Compat::Matchbox).unwrap());
    let limits = Limits { output: 100_000, ..Limits::default() };
    let server = Server::over(ServiceConfig { limits, ..config(store) });
    assert_eq!(server.get("/generic").text(), "404 page not found\n");
}

#[test]
fn assets_do_not_leave_their_folder() {
    let dir = folder(&[("assets/in", "in"), ("secret", "secret"), ("groups/.keep", "")]);
    let assets = dir.path().join("assets");
    std::os::unix::fs::symlink("../secret", assets.join("out")).unwrap();
    std::os::unix::fs::symlink("in", assets.join("link")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", assets.join("abs")).unwrap();
    let strict = Server::start(dir.path(), Compat::Strict);
    assert_eq!(strict.get("/assets/link").text(), "in");
    for path in ["out", "abs", "..%2fsecret", "%2e%2e/secret", "..%2f..%2f..%2fetc%2fpasswd", "%00", "in%00"]
    {
        assert_eq!(strict.get(&format!("/assets/{path}")).status, 404, "{path}");
    }
    // The originals follow links.
    assert_eq!(Server::start(dir.path(), Compat::Matchbox).get("/assets/out").text(), "secret");
}

#[test]
fn odd_requests_are_answered_as_go_does() {
    let dir = folder(&[("groups/g.json", r#"{"profile":"p","selector":{"a":"<b>"}}"#)]);
    let server = Server::start(dir.path(), Compat::Matchbox);
    let line = |request: &str| server.raw(format!("{request}\r\nConnection: close\r\n\r\n").as_bytes());
    assert_eq!(line("GET / HTTP/1.1").status, 400, "RFC 9112 §3.2: no Host");
    assert_eq!(line("GET / HTTP/1.0").status, 200);
    assert_eq!(line("BREW / HTTP/1.1\r\nHost: x").status, 200);
    assert_eq!(line("GET /metadata?a=<b>#c HTTP/1.1\r\nHost: x").status, 404);
    let odd = line("GET /metadata?a=<b> HTTP/1.1\r\nHost: x");
    assert!(odd.text().contains("REQUEST_RAW_QUERY=a=<b>\n"), "{}", odd.text());
    assert_eq!(line("GET /%zz HTTP/1.1\r\nHost: x").status, 400);
    let long = "x".repeat(900_000);
    let answer = line(&format!("GET /metadata?a=<b>&l={long} HTTP/1.1\r\nHost: x"));
    assert_eq!((answer.status, answer.body.len() > 1_800_000), (200, true));
    let long = "x".repeat(1_100_000);
    assert_eq!(line(&format!("GET /?{long} HTTP/1.1\r\nHost: x")).status, 431);
}

#[test]
fn several_ranges_come_as_parts() {
    // RFC 9110 §14.6
    let dir = folder(&[("assets/f", "0123456789"), ("groups/.keep", "")]);
    let server = Server::start(dir.path(), Compat::Matchbox);
    let range = [("Range".to_string(), "bytes=0-1,8-".to_string())];
    let answer = server.ask("GET", "/assets/f", &range, None);
    let kind = answer.header("content-type").unwrap().to_string();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let part = |range: &str, text: &str| {
        format!(
            "--{boundary}\r\nContent-Range: bytes {range}/10\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
        )
    };
    assert_eq!(answer.text(), format!("{}{}--{boundary}--\r\n", part("0-1", "01"), part("8-9", "89")));
    assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
}
