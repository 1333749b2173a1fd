//! The operators' side of `kpc serve`: TLS with certificates of its authority, gRPC, the audit log, metrics, and jobs on
//! BMCs that survive a server killed in the middle of them. curl is the browser and bootcmd the gRPC client.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod kpc_support;

use std::fs;
use std::path::Path;
use std::process::Command;

use kpc_support::{LIMIT, MAC, Served, UUID};
use kpc_tests::{binary, is_root, peer, run_within, wait_for};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use serde_json::Value;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// `NAME.pem` and `NAME.key` in `folder`.
fn issue(folder: &Path, authority: &Authority, name: &str, names: &[&str]) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

fn certificates(folder: &Path) {
    let tls = folder.join("state/tls");
    fs::create_dir_all(&tls).unwrap();
    let ours = authority();
    fs::write(tls.join("ca.pem"), ours.pem()).unwrap();
    issue(&tls, &ours, "server", &["127.0.0.1", "localhost"]);
    issue(&tls, &ours, "alice", &[]);
    issue(&tls, &authority(), "mallory", &[]);
}

#[test]
fn a_certificate_makes_an_operator_and_nothing_else_changes_anything() {
    if !is_root() || peer("curl").is_none() {
        return;
    }
    let served = Served::start_with("tls", &["--metrics", "127.0.0.1:9109"], certificates);
    let tls = served.folder.path().join("state/tls");
    let file = |name: &str| tls.join(name).display().to_string();
    let fetch = |arguments: &[&str]| {
        let mut curl = served.namespace.command("curl");
        curl.args([
            "--silent",
            "--max-time",
            "20",
            "--write-out",
            "\n%{http_code}",
            "--cacert",
            &file("ca.pem"),
        ]);
        let (_, text) = run_within(curl.args(arguments), LIMIT);
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse::<u16>().unwrap(), body.to_owned())
    };
    served.good(&["machine", "add", "n1", "--mac", MAC, "--uuid", UUID, "--bmc", "127.0.0.1:6230"]);
    let (page, api) = ("https://127.0.0.1:8443/", "https://127.0.0.1:8443/v1/machines");
    // Plain HTTP on that port is sent to TLS; without a certificate there is a login, and nothing is read.
    assert_eq!(fetch(&["http://127.0.0.1:8443/"]).0, 308);
    let (status, text) = fetch(&[page]);
    assert!(status == 200 && text.contains("token") && !text.contains("n1"), "{text}");
    assert_eq!(fetch(&[api]).0, 401);
    let cancel = ["--data", "{\"selection\":[\"n1\"]}", "https://127.0.0.1:8443/v1/retire"];
    assert!(fetch(&cancel).0 >= 400);
    // Another authority's certificate does not get through the handshake.
    let (mallory, key) = (file("mallory.pem"), file("mallory.key"));
    assert_eq!(fetch(&["--cert", &mallory, "--key", &key, api]).0, 0);
    let (alice, key) = (file("alice.pem"), file("alice.key"));
    let by_alice =
        |arguments: &[&str]| fetch(&[&["--cert", alice.as_str(), "--key", key.as_str()], arguments].concat());
    let (status, text) = by_alice(&[api]);
    assert!(status == 200 && text.contains("\"n1\""), "{text}");
    // A page of another site that makes Alice's browser send something.
    assert_eq!(by_alice(&[&["--header", "Origin: https://evil.example"], &cancel[..]].concat()).0, 403);
    assert_eq!(by_alice(&cancel).0, 200);
    let audit = fs::read_to_string(served.folder.path().join("state/audit.log")).unwrap();
    let lines: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let has = |by: &str, key: &str, value: &str| {
        lines
            .iter()
            .any(|line| line["by"] == by && line[key].as_str().is_some_and(|text| text.contains(value)))
    };
    assert!(has("uid 0", "call", "POST /v1/machines"), "{audit}");
    assert!(has("certificate alice", "call", "POST /v1/retire"), "{audit}");
    assert!(has("certificate alice", "did", "retired"), "{audit}");
    assert!(!audit.contains("secret-of-the-bmc"), "no password");

    let (status, text) = fetch(&["http://127.0.0.1:9109/metrics"]);
    assert!(status == 200 && text.contains("kpc_dhcp_answers_total{stage=\"firmware\"} 0"), "{text}");
    assert!(text.contains("kpc_store_refuses 0"), "{text}");
    grpc(&served, &tls);
}

/// Profiles are listed over gRPC by whoever shows a certificate.
fn grpc(served: &Served, tls: &Path) {
    let list = |who: Option<&str>| {
        let mut bootcmd = served.namespace.command(binary("bootcmd"));
        bootcmd.args(["profile", "list", "--endpoints", "127.0.0.1:8081"]);
        bootcmd.arg("--ca-file").arg(tls.join("ca.pem"));
        if let Some(who) = who {
            bootcmd.arg("--cert-file").arg(tls.join(format!("{who}.pem")));
            bootcmd.arg("--key-file").arg(tls.join(format!("{who}.key")));
        }
        run_within(&mut bootcmd, LIMIT)
    };
    let (good, text) = list(Some("alice"));
    assert!(good && text.contains("wipe"), "{text}");
    assert!(!list(Some("mallory")).0 && !list(None).0);
}

// issue 8: intent before each BMC action, verified after a restart, never sent again blindly.
#[test]
fn a_server_killed_while_it_powers_sends_nothing_twice() {
    if !is_root() || peer("curl").is_none() {
        return;
    }
    let mut served = Served::start("jobs");
    served.good(&["machine", "add", "n1", "--mac", MAC, "--uuid", UUID, "--bmc", "127.0.0.1:6230"]);
    let calls = served.folder.path().join("power.log");
    let sent = |what: &str| {
        let calls = fs::read_to_string(&calls).unwrap_or_default();
        calls.lines().filter(|line| *line == what).count()
    };
    // Killed while the BMC carries "power on" out: the restarted server looks, and finds it done.
    kpc_support::write(&served.folder, "slow", "");
    served.good(&["provision", "n1", "--profile", "wipe", "--yes"]);
    wait_for("the BMC was told", LIMIT, || sent("power on") == 1);
    served.restart();
    wait_for("the power was verified", LIMIT, || {
        let shown: Value = serde_json::from_str(&served.kpc(&["status", "--json"]).1).unwrap_or_default();
        shown["machines"][0]["power"] == true
    });
    assert_eq!(sent("power on"), 1, "{}", served.log());

    // A reset in doubt: nothing shows that it happened, and nothing shows that it did not. It is not sent again.
    served.good(&["cancel", "n1"]);
    let mut reset = Command::new(binary("kpc"));
    reset.arg("--socket").arg(served.folder.path().join("kpc.sock")).args(["power", "reset", "n1"]);
    let mut reset = reset.stderr(std::process::Stdio::null()).spawn().unwrap();
    wait_for("the BMC was told", LIMIT, || sent("power reset") == 1);
    served.restart();
    reset.wait().unwrap();
    fs::remove_file(served.folder.path().join("slow")).unwrap();
    let (good, text) = served.kpc(&["power", "reset", "n1"]);
    assert!(!good && text.contains("is at work on its BMC"), "the first one is still looked at: {text}");
    assert_eq!(sent("power reset"), 1, "{}", served.log());
    let log = served.log();
    assert!(log.contains("jobs of an earlier run go on"), "{log}");
}
