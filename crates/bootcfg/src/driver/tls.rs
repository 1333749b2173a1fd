//! TLS for both listeners (rustls): certificates from PEM files, read again on demand, clients' certificates checked
//! where a CA is given. Feature `tls`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Which files.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// The server's certificate and the chain below it, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Clients must show a certificate of one of these CAs, PEM.
    pub client_ca: Option<PathBuf>,
    /// The protocols offered, best first: `h2` for gRPC, `http/1.1`.
    pub alpn: Vec<&'static str>,
}

/// What is wrong with the files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or holds no PEM of the wanted kind.
    #[error("{path}: {source}; a PEM file with {wanted} is needed here", path = path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
        /// What is wrong.
        source: rustls_pki_types::pem::Error,
    },
    /// Certificate and key do not belong together, or are of a kind that cannot be used.
    #[error("{path}: {source}", path = path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
    /// The CA file holds no usable CA.
    #[error("{path}: {reason}", path = path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A certificate in use, which can be replaced while connections go on.
#[derive(Debug)]
pub struct Tls {
    config: TlsConfig,
    /// Whether clients need no certificate of [`TlsConfig::client_ca`].
    asking: bool,
    current: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files. TLS 1.2 and 1.3 are spoken.
    ///
    /// # Errors
    /// The file at fault and what it should hold.
    pub fn load(config: TlsConfig) -> Result<Self, TlsError> {
        Self::new(config, false)
    }

    /// As [`Tls::load`], where clients may show a certificate of [`TlsConfig::client_ca`] and need not: what they showed
    /// is the connection's `peer_certificates`.
    ///
    /// # Errors
    /// As [`Tls::load`].
    pub fn load_asking(config: TlsConfig) -> Result<Self, TlsError> {
        Self::new(config, true)
    }

    fn new(config: TlsConfig, asking: bool) -> Result<Self, TlsError> {
        let current = RwLock::new(Arc::new(read(&config, asking)?));
        Ok(Self { config, asking, current })
    }

    /// Reads the files again: new connections get the new certificate.
    ///
    /// # Errors
    /// As [`Tls::load`]; the old certificate stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = Arc::new(read(&self.config, self.asking)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// An acceptor with the certificate now in use.
    pub fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone().into()
    }
}

/// Reads all certificates of a PEM file.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |source| TlsError::Pem { path: path.into(), wanted: "certificates", source };
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(wrong)?.collect();
    let all = all.map_err(wrong)?;
    if all.is_empty() { Err(wrong(rustls_pki_types::pem::Error::NoItemsFound)) } else { Ok(all) }
}

fn read(config: &TlsConfig, asking: bool) -> Result<ServerConfig, TlsError> {
    let chain = certificates(&config.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&config.key).map_err(|source| TlsError::Pem {
        path: config.key.clone(),
        wanted: "a private key",
        source,
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let unusable = |source| TlsError::Unusable { path: config.certificate.clone(), source };
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(unusable)?;
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let wrong = |reason: String| TlsError::Ca { path: path.clone(), reason };
            let mut roots = rustls::RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if asking { verifier.allow_unauthenticated() } else { verifier }.build();
            builder.with_client_cert_verifier(verifier.map_err(|error| wrong(error.to_string()))?)
        }
    };
    let mut server = builder.with_single_cert(chain, key).map_err(unusable)?;
    server.alpn_protocols = config.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(server)
}
