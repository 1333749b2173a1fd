//! Files from a folder or by HTTP (RFC 9110). A download that was cut goes on with `Range` and `If-Range` (§14.2, §13.1.5)
//! from what is on the disk; a server that has another version by then starts it anew.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 5;
/// Tries in a row that bring nothing.
const MAX_TRIES: u32 = 5;
/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause before the next try; it grows with each.
const PAUSE: Duration = Duration::from_millis(200);
/// Where systems keep the certificates that they trust.
const ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Where files come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A folder of this host.
    Folder(PathBuf),
    /// A place behind a URL, with `/` at its end.
    Url(String),
}

/// Whether a small file was there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fetched {
    /// It is here now.
    Here,
    /// The source has none.
    Absent,
}

impl Source {
    /// The place behind a URL.
    pub(super) fn at(url: &str) -> Result<Self, String> {
        let good = url.parse::<Uri>().is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some()
                && uri.query().is_none()
        });
        if !good {
            return Err(format!("`{url}` is no http or https URL"));
        }
        Ok(Self::Url(if url.ends_with('/') { url.to_owned() } else { format!("{url}/") }))
    }

    /// The files of a folder, without signatures and lists of digests.
    pub(super) fn listed(&self) -> Result<Vec<String>, String> {
        let Self::Folder(folder) = self else { return Ok(Vec::new()) };
        let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let proof = |name: &str| {
            super::sums::SIGNATURES.iter().any(|end| name.ends_with(end))
                || name.ends_with(".sha256")
                || name.starts_with("SHA256SUMS")
                || name.starts_with("SHA512SUMS")
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter(|entry| entry.path().is_file())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| !proof(name) && !name.starts_with('.'))
            .collect();
        names.sort();
        if names.is_empty() { Err(format!("{}: no file in it", folder.display())) } else { Ok(names) }
    }

    /// Brings one file to `place`; `progress` hears of octets here and in all.
    pub(super) async fn fetch(
        &self,
        name: &str,
        place: &Path,
        progress: &(dyn Fn(u64, Option<u64>) + Sync),
    ) -> Result<(), String> {
        match self {
            Self::Folder(folder) => {
                let from = folder.join(name);
                let octets =
                    std::fs::copy(&from, place).map_err(|error| format!("{}: {error}", from.display()))?;
                progress(octets, Some(octets));
                Ok(())
            }
            Self::Url(base) => match download(&format!("{base}{name}"), place, u64::MAX, progress).await? {
                Fetched::Here => Ok(()),
                Fetched::Absent => Err(format!("{base}{name}: there is no such file (404)")),
            },
        }
    }

    /// Brings one small file, if there is one.
    pub(super) async fn small(&self, name: &str, place: &Path, most: u64) -> Result<Fetched, String> {
        match self {
            Self::Folder(folder) => match std::fs::metadata(folder.join(name)) {
                Err(_) => Ok(Fetched::Absent),
                Ok(metadata) if metadata.len() > most => Err(format!("{name}: larger than {most} octets")),
                Ok(_) => {
                    std::fs::copy(folder.join(name), place).map_err(|error| format!("{name}: {error}"))?;
                    Ok(Fetched::Here)
                }
            },
            Self::Url(base) => download(&format!("{base}{name}"), place, most, &|_, _| {}).await,
        }
    }
}

/// How one try ended.
enum Try {
    Whole,
    Absent,
    /// Cut, or refused for now: worth another try.
    Cut(String),
}

/// Downloads to `PLACE.part` and renames it once it is whole.
async fn download(
    url: &str,
    place: &Path,
    most: u64,
    progress: &(dyn Fn(u64, Option<u64>) + Sync),
) -> Result<Fetched, String> {
    let part = Part::of(place);
    let mut fruitless = 0;
    loop {
        let before = part.octets();
        match part.go_on(url, most, progress).await? {
            Try::Whole => {
                part.finish(place)?;
                return Ok(Fetched::Here);
            }
            Try::Absent => {
                part.forget();
                return Ok(Fetched::Absent);
            }
            Try::Cut(why) => {
                fruitless = if part.octets() > before { 0 } else { fruitless + 1 };
                if fruitless >= MAX_TRIES {
                    return Err(format!(
                        "{url}: {why}; {} octets are kept, and the same command goes on from there",
                        part.octets()
                    ));
                }
                tracing::info!(url, why, "cut; going on");
                tokio::time::sleep(PAUSE * 2_u32.saturating_pow(fruitless)).await;
            }
        }
    }
}

/// A file on its way, and beside it what the server said its version is.
struct Part {
    file: PathBuf,
    tag: PathBuf,
}

impl Part {
    fn of(place: &Path) -> Self {
        let beside = |end: &str| {
            let mut path = place.as_os_str().to_owned();
            path.push(end);
            PathBuf::from(path)
        };
        Self { file: beside(".part"), tag: beside(".part.version") }
    }

    fn octets(&self) -> u64 {
        std::fs::metadata(&self.file).map_or(0, |metadata| metadata.len())
    }

    fn forget(&self) {
        let _ = std::fs::remove_file(&self.file);
        let _ = std::fs::remove_file(&self.tag);
    }

    fn finish(&self, place: &Path) -> Result<(), String> {
        let said = |error: std::io::Error| format!("{}: {error}", place.display());
        std::fs::File::open(&self.file).and_then(|file| file.sync_all()).map_err(said)?;
        std::fs::rename(&self.file, place).map_err(said)?;
        let _ = std::fs::remove_file(&self.tag);
        Ok(())
    }

    /// One request, from where the part ends.
    async fn go_on(
        &self,
        url: &str,
        most: u64,
        progress: &(dyn Fn(u64, Option<u64>) + Sync),
    ) -> Result<Try, String> {
        let have = self.octets();
        let version = std::fs::read_to_string(&self.tag).ok().filter(|_| have > 0);
        // Without a version nobody can say that the rest is of the same file.
        let have = if version.is_some() { have } else { 0 };
        let response = match get(url, have, version.as_deref()).await {
            Ok(response) => response,
            Err(why) => return Ok(Try::Cut(why)),
        };
        let status = response.status();
        let start = match status {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT if starts_at(response.headers(), have) => have,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                self.forget();
                return Ok(Try::Cut("another version is there now".to_owned()));
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(Try::Absent),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Ok(Try::Cut(format!("the server answered {status}")));
            }
            status => return Err(format!("{url}: the server answered {status}")),
        };
        let text =
            |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        // Weak validators do not go with ranges (RFC 9110 §13.1.5).
        let strong = text(header::ETAG).filter(|tag| !tag.starts_with("W/"));
        let said = |error: std::io::Error| format!("{}: {error}", self.file.display());
        match strong.or_else(|| text(header::LAST_MODIFIED)) {
            Some(version) => std::fs::write(&self.tag, version).map_err(said)?,
            None => drop(std::fs::remove_file(&self.tag)),
        }
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.file)
            .map_err(said)?;
        file.set_len(start).map_err(said)?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(start)).map_err(said)?;
        let all = length.map(|length| start + length);
        let mut body = response.into_body();
        let mut at = start;
        progress(at, all);
        loop {
            match tokio::time::timeout(PATIENCE, body.frame()).await {
                Err(_) => return Ok(Try::Cut(format!("nothing came for {} s", PATIENCE.as_secs()))),
                Ok(Some(Err(error))) => return Ok(Try::Cut(format!("the connection was cut: {error}"))),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        file.write_all(&data).map_err(said)?;
                        at += data.len() as u64;
                        if at > most {
                            self.forget();
                            return Err(format!("{url}: larger than {most} octets"));
                        }
                        progress(at, all);
                    }
                }
                Ok(None) => break,
            }
        }
        Ok(match all {
            Some(all) if at < all => Try::Cut(format!("it ended after {at} of {all} octets")),
            _ => Try::Whole,
        })
    }
}

/// Whether a partial answer begins where ours ends.
fn starts_at(headers: &HeaderMap, have: u64) -> bool {
    let range = headers.get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let first = range.strip_prefix("bytes ").and_then(|range| range.split('-').next());
    first.and_then(|first| first.parse::<u64>().ok()) == Some(have)
}

/// One answer, redirects followed.
async fn get(url: &str, from: u64, version: Option<&str>) -> Result<Response<Incoming>, String> {
    let mut url = url.to_owned();
    for _ in 0..=MAX_REDIRECTS {
        let uri: Uri = url.parse().map_err(|_| format!("`{url}` is no URL"))?;
        let answered = tokio::time::timeout(PATIENCE, ask(&uri, from, version)).await;
        let response = answered.map_err(|_| format!("no answer within {} s", PATIENCE.as_secs()))??;
        let moved = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        match moved.filter(|_| response.status().is_redirection()) {
            Some(place) if place.starts_with("http://") || place.starts_with("https://") => {
                if uri.scheme_str() == Some("https") && place.starts_with("http://") {
                    return Err(format!("it sends us from TLS to {place}"));
                }
                url = place.to_owned();
            }
            Some(place) if place.starts_with('/') => {
                let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
                url = format!("{}://{authority}{place}", uri.scheme_str().unwrap_or("http"));
            }
            Some(place) => return Err(format!("it sends us to `{place}`")),
            None => return Ok(response),
        }
    }
    Err("it sends us round in a circle".to_owned())
}

async fn ask(uri: &Uri, from: u64, version: Option<&str>) -> Result<Response<Incoming>, String> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream =
        TcpStream::connect((host.as_str(), port)).await.map_err(|error| format!("{host}:{port}: {error}"))?;
    let _ = stream.set_nodelay(true);
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let mut request = Request::builder()
        .uri(target)
        .header(header::HOST, authority)
        .header(header::USER_AGENT, concat!("kpc/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close");
    if let Some(version) = version.filter(|_| from > 0) {
        request =
            request.header(header::RANGE, format!("bytes={from}-")).header(header::IF_RANGE, version.trim());
    }
    let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
    if secure {
        let name = ServerName::try_from(host.clone()).map_err(|error| format!("{host}: {error}"))?;
        let stream =
            connector()?.connect(name, stream).await.map_err(|error| format!("{host}: TLS: {error}"))?;
        exchange(stream, request).await
    } else {
        exchange(stream, request).await
    }
}

async fn exchange<S>(stream: S, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let said = |error: hyper::Error| error.to_string();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(said)?;
    // Ends with the response's body: nobody else holds the connection.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(said)
}

/// TLS with the certificates that this system trusts.
fn connector() -> Result<tokio_rustls::TlsConnector, String> {
    let mut roots = rustls::RootCertStore::empty();
    let path = ROOTS.iter().map(Path::new).find(|path| path.exists());
    let path =
        path.ok_or("no list of trusted certificates; install ca-certificates, or use an http:// mirror")?;
    let found =
        CertificateDer::pem_file_iter(path).map_err(|error| format!("{}: {error}", path.display()))?;
    roots.add_parsable_certificates(found.flatten());
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
    Ok(tokio_rustls::TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_checked() {
        for good in ["http://a/b", "https://a.example/", "http://127.0.0.1:8080"] {
            assert!(matches!(Source::at(good), Ok(Source::Url(url)) if url.ends_with('/')), "{good}");
        }
        for bad in ["ftp://a", "a/b", "http://", "http://a/?q=1"] {
            assert!(Source::at(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_partial_answer_must_fit() {
        let mut headers = HeaderMap::new();
        assert!(!starts_at(&headers, 0));
        headers.insert(header::CONTENT_RANGE, header::HeaderValue::from_static("bytes 10-19/20"));
        assert!(starts_at(&headers, 10) && !starts_at(&headers, 9));
    }
}
