//! Signatures of every endpoint, verified by stock gpg: RSA and Ed25519, binary and armored, rings of both kinds.
#![cfg(all(feature = "http", feature = "sign", feature = "ignition"))]
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
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bootcfg::Compat;
use bootcfg::driver::http::ServiceConfig;
use bootcfg::driver::store::FileStore;
use bootcfg::openpgp::{KeyRingError, OpenPgpSigner};
use common::{Server, config};
use tempfile::TempDir;

const PASSPHRASE: &str = "correct horse";

/// A home of gpg with one key of a kind; `None` where gpg is not installed.
struct Gpg {
    home: TempDir,
}

impl Gpg {
    fn new(kind: &str, passphrase: &str) -> Option<Self> {
        let home = TempDir::new().unwrap();
        let gpg = Self { home };
        if Command::new("gpg").arg("--version").output().is_err() {
            println!("skipped: gpg is not installed");
            return None;
        }
        let user = "Boot <boot@example.org>";
        gpg.run(&["--passphrase", passphrase, "--quick-generate-key", user, kind, "sign", "never"]);
        Some(gpg)
    }

    fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new("gpg")
            .args([
                "--homedir",
                self.home.path().to_str().unwrap(),
                "--batch",
                "--yes",
                "--pinentry-mode",
                "loopback",
            ])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "gpg {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn verify(&self, signature: &[u8], data: &[u8]) -> bool {
        let (sig, file) = (self.home.path().join("s"), self.home.path().join("d"));
        fs::write(&sig, signature).unwrap();
        fs::write(&file, data).unwrap();
        Command::new("gpg")
            .args(["--homedir", self.home.path().to_str().unwrap(), "--batch", "--verify"])
            .args([&sig, &file])
            .output()
            .unwrap()
            .status
            .success()
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let home = self.home.path().to_str().unwrap();
        let _ = Command::new("gpgconf").args(["--homedir", home, "--kill", "all"]).output();
    }
}

fn data() -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, text) in [
        ("groups/g.json", r#"{"profile":"p","metadata":{"b":1,"a":"x","n":{"k":true}}}"#),
        (
            "profiles/p.json",
            r#"{"id":"p","generic_id":"t","cloud_id":"c","ignition_id":"i.ign","boot":{"kernel":"/k","args":["a"]}}"#,
        ),
        ("generic/t", "line one  \nline two\r\nno end"),
        ("cloud/c", "#!/bin/sh\necho {{.a}}\n"),
        ("ignition/i.ign", r#"{"ignition":{"version":"3.4.0"}}"#),
        ("assets/kernel", "octets \r\n and \n lines\0"),
        ("assets/vendor.sig", "the vendor's own"),
    ] {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn signed_server(dir: &Path, compat: Compat, ring: &[u8]) -> Server {
    let signer = OpenPgpSigner::from_key_ring(ring, PASSPHRASE).unwrap();
    let store = Arc::new(FileStore::open(dir, compat).unwrap());
    let assets = Some(dir.join("assets"));
    Server::over(ServiceConfig { signer: Some(Arc::new(signer)), assets, ..config(store) })
}

fn verify_all(kind: &str) {
    let Some(gpg) = Gpg::new(kind, PASSPHRASE) else { return };
    let dir = data();
    let export = ["--passphrase", PASSPHRASE, "--export-secret-keys"];
    let binary = gpg.run(&export);
    let armored = gpg.run(&[&["--armor"], &export[..]].concat());
    for (ring, compat) in
        [(&binary, Compat::Strict), (&armored, Compat::Matchbox), (&armored, Compat::Bootcfg040)]
    {
        let server = signed_server(dir.path(), compat, ring);
        let all = [
            "ipxe",
            "grub",
            "generic",
            "cloud",
            "ignition",
            "metadata",
            "boot.ipxe",
            "boot.ipxe.0",
            "assets/kernel",
        ];
        // The mode changes what is signed, not how: one mode has every endpoint.
        let paths = if compat == Compat::Strict { &all[..] } else { &all[..1] };
        for path in paths {
            let body = server.get(&format!("/{path}?mac=52-54-00-00-00-01&z=1&a=2"));
            assert_eq!(body.status, 200, "{path}: {}", body.text());
            for (ending, content_type) in
                [(".sig", "application/octet-stream"), (".asc", "text/plain; charset=utf-8")]
            {
                let signature = server.get(&format!("/{path}{ending}?mac=52-54-00-00-00-01&z=1&a=2"));
                assert_eq!(
                    (signature.status, signature.header("content-type")),
                    (200, Some(content_type)),
                    "{path}{ending}"
                );
                assert!(gpg.verify(&signature.body, &body.body), "{kind} {compat} {path}{ending}");
                assert!(!gpg.verify(&signature.body, b"something else"), "{path}{ending}");
            }
        }
        // Twice from the cache, and a signature that lies there is not replaced.
        assert_eq!(server.get("/assets/kernel.sig").body, server.get("/assets/kernel.sig").body);
        assert_eq!(server.get("/assets/vendor.sig").text(), "the vendor's own");
        assert_eq!(server.get("/assets/none.sig").status, 404);
    }
}

#[test]
fn gpg_verifies_rsa() {
    verify_all("rsa2048");
}

#[test]
fn gpg_verifies_ed25519() {
    verify_all("ed25519");
}

#[test]
fn a_404_is_signed_and_stays_one_as_in_matchbox() {
    let Some(gpg) = Gpg::new("ed25519", PASSPHRASE) else { return };
    let ring = gpg.run(&["--passphrase", PASSPHRASE, "--export-secret-keys"]);
    let dir = data();
    fs::remove_file(dir.path().join("groups/g.json")).unwrap();
    let server = signed_server(dir.path(), Compat::Matchbox, &ring);
    let signature = server.get("/ipxe.sig");
    assert_eq!(signature.status, 404);
    assert!(gpg.verify(&signature.body, b"404 page not found\n"));
}

#[test]
fn a_ring_that_cannot_sign_is_refused_at_once() {
    let Some(gpg) = Gpg::new("ed25519", PASSPHRASE) else { return };
    let ring = gpg.run(&["--passphrase", PASSPHRASE, "--export-secret-keys"]);
    let public = gpg.run(&["--export"]);
    let refuse = |ring: &[u8], passphrase| OpenPgpSigner::from_key_ring(ring, passphrase).unwrap_err();
    assert!(matches!(refuse(&ring, "wrong"), KeyRingError::Passphrase));
    assert!(matches!(refuse(&ring, ""), KeyRingError::Passphrase));
    assert!(matches!(refuse(&public, PASSPHRASE), KeyRingError::NoSecretKey(_)));
    assert!(matches!(refuse(b"", PASSPHRASE), KeyRingError::NoSecretKey(_)));
    assert!(matches!(refuse(b"-----BEGIN garbage", PASSPHRASE), KeyRingError::NoSecretKey(_)));
    let signer = OpenPgpSigner::from_key_ring(&ring, PASSPHRASE).unwrap();
    assert_eq!(format!("{signer:?}"), "OpenPgpSigner { .. }");
}
