//! The program against the server of the library, over mutual TLS: create, list, describe, select, delete.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bootcfg::Compat;
use bootcfg::driver::grpc::{GrpcConfig, serve_grpc};
use bootcfg::driver::http::ServeConfig;
use bootcfg::driver::store::FileStore;
use bootcfg::driver::tls::{Tls, TlsConfig};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::sync::oneshot;

fn certificates(dir: &Path) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    fs::write(dir.join("ca.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    for name in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let leaf =
            CertificateParams::new(vec!["localhost".to_string()]).unwrap().signed_by(&key, &issuer).unwrap();
        fs::write(dir.join(format!("{name}.crt")), leaf.pem()).unwrap();
        fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

struct Server {
    files: TempDir,
    data: TempDir,
    endpoint: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start() -> Self {
        let (files, data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        certificates(files.path());
        let store = Arc::new(FileStore::open(data.path(), Compat::Matchbox).unwrap());
        let path = |name: &str| files.path().join(name);
        let tls = TlsConfig {
            certificate: path("server.crt"),
            key: path("server.key"),
            client_ca: Some(path("ca.crt")),
            alpn: vec!["h2"],
        };
        let config = GrpcConfig {
            store,
            tls: Some(Arc::new(Tls::load(tls).unwrap())),
            limits: ServeConfig::default(),
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("localhost:{}", listener.local_addr().unwrap().port());
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                serve_grpc(listener, config, async { drop(stopped.await) }).await.unwrap();
            });
        });
        Self { files, data, endpoint, stop: Some(stop), thread: Some(thread) }
    }

    fn run(&self, arguments: &[&str]) -> (bool, String, String) {
        let file = |name: &str| self.files.path().join(name);
        let output = Command::new(env!("CARGO_BIN_EXE_bootcmd"))
            .args(arguments)
            .args(["-endpoints", &self.endpoint])
            .arg("--ca-file")
            .arg(file("ca.crt"))
            .arg("--cert-file")
            .arg(file("client.crt"))
            .arg("--key-file")
            .arg(file("client.key"))
            .output()
            .unwrap();
        let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }

    fn good(&self, arguments: &[&str]) -> String {
        let (good, out, log) = self.run(arguments);
        assert!(good, "{arguments:?}: {log}");
        out
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.files.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

#[test]
fn the_life_of_a_store() {
    let server = Server::start();
    let profile = server.file("web.json", r#"{"id":"web","name":"Web","ignition_id":"web.yaml","boot":{"kernel":"/k","initrd":["/i"],"args":["a","b"]}}"#);
    let group = server.file(
        "node.json",
        r#"{"id":"node","profile":"web","selector":{"mac":"52-54-00-AA-BB-CC"},"metadata":{"role":"db"}}"#,
    );
    let template = server.file("web.yaml", "variant: fcos\n");
    server.good(&["profile", "create", "-f", &profile]);
    server.good(&["group", "create", "--filename", &group]);
    server.good(&["ignition", "create", "-f", &template]);
    server.good(&["generic", "create", "-f", &template]);
    let list = server.good(&["profile", "list"]);
    assert!(
        list.starts_with(
            "ID\tNAME\tIGNITION\tCLOUD\tKERNEL\tINITRD\tARGS\nweb\tWeb\tweb.yaml\t\t/k\t[/i]\t[a b]\n"
        ),
        "{list:?}"
    );
    let list = server.good(&["group", "list"]);
    assert!(list.contains("map[string]string{\"mac\":\"52:54:00:aa:bb:cc\"}"), "{list}");
    let described = server.good(&["group", "describe", "node", "--output", "json"]);
    assert!(described.contains("\"role\": \"db\""), "{described}");
    let selected = server.good(&["select", "profile", "mac=52-54-00-aa-bb-cc"]);
    assert!(selected.contains("\nweb\t"), "{selected}");
    assert_eq!(server.good(&["ignition", "get", "web.yaml"]), "variant: fcos\n");
    assert!(server.good(&["version"]).contains("(matchbox)"));
    assert!(server.data.path().join("groups/node.json").exists());
    server.good(&["group", "delete", "node"]);
    assert!(!server.data.path().join("groups/node.json").exists());
    let (good, _, log) = server.run(&["group", "delete", "node"]);
    assert!(!good && log.contains("no group named `node`"), "{log}");
    // As matchbox's client: an empty table, and no error.
    assert_eq!(server.good(&["group", "describe", "node"]), "ID\tGROUP NAME\tSELECTORS\tPROFILE\n");
    assert_eq!(server.good(&["instance", "list"]), "not implemented\n");
    let (good, _, log) = server.run(&["select", "group", "mac=52-54-00-aa-bb-cc"]);
    assert!(!good && log.contains("matchbox: No matching Group"), "{log}");
}

#[test]
fn faults_are_named() {
    let server = Server::start();
    let bad = server.file("bad.json", "{\n\"id\": }");
    let (good, _, log) = server.run(&["group", "create", "-f", &bad]);
    assert!(!good && log.contains("bad.json:2:7: "), "{log}");
    let (good, _, log) = server.run(&["group", "create", "-f", "/nonexistent"]);
    assert!(!good && log.contains("/nonexistent"), "{log}");
    let output = Command::new(env!("CARGO_BIN_EXE_bootcmd"))
        .args(["group", "list", "--endpoints", &server.endpoint, "--ca-file", "/nonexistent"])
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && log.contains("/nonexistent") && log.contains("certificates"),
        "{log}"
    );
}
