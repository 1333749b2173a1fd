//! TLS for machines: the certificate in use can be replaced while connections go on.
#![cfg(feature = "tls")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::path::Path;
use std::sync::Arc;

use bootcfg::driver::http::{ServeConfig, Service, ServiceConfig, serve_tls};
use bootcfg::driver::tls::{Tls, TlsConfig, TlsError};
use bootcfg::{Catalog, Compat};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Writes a self-signed certificate and gives its octets.
fn certificate(dir: &Path) -> CertificateDer<'static> {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_string()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(dir.join("server.crt"), certificate.pem()).unwrap();
    std::fs::write(dir.join("server.key"), key.serialize_pem()).unwrap();
    certificate.der().clone()
}

fn files(dir: &Path) -> TlsConfig {
    TlsConfig {
        certificate: dir.join("server.crt"),
        key: dir.join("server.key"),
        client_ca: None,
        alpn: vec!["http/1.1"],
    }
}

/// The answer to a request of a client that trusts this certificate only.
async fn get(addr: std::net::SocketAddr, trusted: &CertificateDer<'static>) -> std::io::Result<String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(addr).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await?;
    stream.write_all(b"GET /boot.ipxe HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn the_certificate_can_be_replaced() {
    let dir = TempDir::new().unwrap();
    let first = certificate(dir.path());
    let tls = Arc::new(Tls::load(files(dir.path())).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let store = Arc::new(Arc::new(Catalog::from_files(Compat::Matchbox, [("", ""); 0])));
    let service = Arc::new(Service::new(ServiceConfig::new(store)));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async { drop(stopped.await) };
    let serving = tokio::spawn(serve_tls(listener, tls.clone(), service, ServeConfig::default(), shutdown));
    assert!(get(addr, &first).await.unwrap().contains("#!ipxe\nchain ipxe?"));
    let second = certificate(dir.path());
    assert!(get(addr, &second).await.is_err(), "not read yet");
    tls.reload().unwrap();
    assert!(get(addr, &second).await.unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(get(addr, &first).await.is_err());
    // A reload that fails changes nothing.
    std::fs::write(dir.path().join("server.crt"), "no certificate").unwrap();
    let error = tls.reload().unwrap_err();
    assert!(matches!(error, TlsError::Pem { .. }) && error.to_string().contains("server.crt"), "{error}");
    assert!(get(addr, &second).await.is_ok());
    drop(stop);
    serving.await.unwrap().unwrap();
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    certificate(dir.path());
    certificate(other.path());
    std::fs::copy(other.path().join("server.key"), dir.path().join("server.key")).unwrap();
    let error = Tls::load(files(dir.path())).unwrap_err();
    assert!(matches!(error, TlsError::Unusable { .. }), "{error}");
}
