//! A connection to a gRPC server, for the generated clients.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tonic::body::Body;
use tonic::codegen::Service;

use crate::driver::tls::{TlsError, certificates};

/// Certificates of a client.
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// The CA that has signed the server's certificate, PEM.
    pub ca: PathBuf,
    /// The client's certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The endpoint is not `host:port`, or the name is not known.
    #[error("`{endpoint}` is no endpoint: {reason}; write HOST:PORT")]
    Endpoint {
        /// As given.
        endpoint: String,
        /// What is wrong.
        reason: String,
    },
    /// Nobody listens there.
    #[error("cannot connect to {endpoint}: {source}; is bootcfgd running with -rpc-address?")]
    Connect {
        /// As given.
        endpoint: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Files(#[from] TlsError),
    /// The two sides do not accept each other.
    #[error("no TLS with {endpoint}: {reason}; check the CA, certificate and key of both sides")]
    Tls {
        /// As given.
        endpoint: String,
        /// What is wrong.
        reason: String,
    },
    /// The server does not speak HTTP/2.
    #[error("{endpoint} does not speak gRPC: {source}")]
    Http {
        /// As given.
        endpoint: String,
        /// What is wrong.
        source: hyper::Error,
    },
}

/// One HTTP/2 connection; clones share it.
#[derive(Clone, Debug)]
pub struct Channel {
    sender: http2::SendRequest<Body>,
    authority: String,
    scheme: &'static str,
}

impl Channel {
    /// Connects to `host:port`; without `tls` in the clear.
    ///
    /// # Errors
    /// What is wrong and what to look at.
    pub async fn connect(endpoint: &str, tls: Option<&ClientTls>) -> Result<Self, ConnectError> {
        let refused = |source| ConnectError::Connect { endpoint: endpoint.into(), source };
        let addresses = tokio::net::lookup_host(endpoint).await.map_err(|error| ConnectError::Endpoint {
            endpoint: endpoint.into(),
            reason: error.to_string(),
        })?;
        let addresses: Vec<SocketAddr> = addresses.collect();
        let stream = TcpStream::connect(&*addresses).await.map_err(refused)?;
        stream.set_nodelay(true).map_err(refused)?;
        let Some(tls) = tls else { return Self::over(TokioIo::new(stream), endpoint, "http").await };
        let failed = |reason: String| ConnectError::Tls { endpoint: endpoint.into(), reason };
        let host = endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host).trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_string()).map_err(|error| failed(error.to_string()))?;
        let config = client_config(tls, &failed)?;
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await.map_err(|error| failed(error.to_string()))?;
        Self::over(TokioIo::new(stream), endpoint, "https").await
    }

    async fn over<S>(stream: S, endpoint: &str, scheme: &'static str) -> Result<Self, ConnectError>
    where
        S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
            .await
            .map_err(|source| ConnectError::Http { endpoint: endpoint.into(), source })?;
        // Ends by itself when the last clone of the sender is dropped.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        });
        Ok(Self { sender, authority: endpoint.into(), scheme })
    }
}

fn client_config(
    tls: &ClientTls,
    failed: &dyn Fn(String) -> ConnectError,
) -> Result<rustls::ClientConfig, ConnectError> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates(&tls.ca)? {
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|source| TlsError::Pem {
        path: tls.key.clone(),
        wanted: "a private key",
        source,
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(&tls.certificate)?, key)
        .map_err(|error| failed(error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let whole = Uri::builder()
            .scheme(self.scheme)
            .authority(self.authority.as_str())
            .path_and_query(path)
            .build();
        if let Ok(uri) = whole {
            *request.uri_mut() = uri;
        }
        Box::pin(self.sender.send_request(request))
    }
}
