//! One HTTP request at a time (RFC 9112), without TLS: until the kernel runs nothing on this wire is authenticated,
//! and what comes back is bound by the claim. Called by `run` and `apply`.

use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, SystemTime};

/// Silence for this long ends a request.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest line of a head, and most lines.
const LINE: u64 = 16 * 1024;
const LINES: usize = 100;

/// Where a request goes.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Url {
    host: String,
    port: u16,
    target: String,
}

impl Url {
    /// `http://host[:port][/path][?query]`; the fragment is dropped (RFC 9110 §7.1).
    fn parse(url: &str) -> Result<Self, String> {
        let rest =
            url.strip_prefix("http://").ok_or_else(|| format!("{url}: only http:// URLs can be fetched"))?;
        if rest.bytes().any(|octet| octet <= b' ' || octet == 0x7f) {
            return Err(format!("{url}: a blank or control character in a URL"));
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().map_err(|_| format!("{url}: bad port"))?)
            }
            _ => (authority, 80),
        };
        if host.is_empty() {
            return Err(format!("{url}: no host"));
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { host: host.to_owned(), port, target })
    }
}

/// An answer whose body is still to be read.
pub(crate) struct Response {
    /// 200, 404, …
    pub(crate) status: u16,
    /// When the server says it is (RFC 9110 §6.6.1).
    pub(crate) date: Option<SystemTime>,
    body: Body,
}

enum Body {
    /// Until the connection ends, or the length that was announced.
    Plain { from: io::Take<BufReader<TcpStream>>, announced: bool },
    /// In chunks (RFC 9112 §7.1); what is left of the current one.
    Chunked { from: BufReader<TcpStream>, left: u64, ended: bool },
}

/// Fetches `url`; redirections are followed three times.
pub(crate) fn get(url: &str) -> Result<Response, String> {
    get_from(url, 0)
}

/// The same from octet `first` on (RFC 9110 §14.2): 206, or 200 with everything where the server cannot.
pub(crate) fn get_from(url: &str, first: u64) -> Result<Response, String> {
    let range = if first > 0 { format!("Range: bytes={first}-\r\n") } else { String::new() };
    let mut url = url.to_owned();
    for _ in 0..4 {
        match request("GET", &url, &range, &[], None)? {
            (response, Some(location)) if (300..400).contains(&response.status) => {
                url = absolute(&url, &location)?
            }
            (response, _) => return Ok(response),
        }
    }
    Err(format!("{url}: too many redirections"))
}

/// Posts a JSON text.
pub(crate) fn post(url: &str, json: &str) -> Result<Response, String> {
    request("POST", url, "", json.as_bytes(), Some("application/json")).map(|(response, _)| response)
}

fn absolute(base: &str, location: &str) -> Result<String, String> {
    if location.starts_with('/') {
        let base = Url::parse(base)?;
        return Ok(format!("http://{}:{}{location}", base.host, base.port));
    }
    Ok(location.to_owned())
}

fn request(
    method: &str,
    url: &str,
    fields: &str,
    body: &[u8],
    content_type: Option<&str>,
) -> Result<(Response, Option<String>), String> {
    let parsed = Url::parse(url)?;
    let failed = |doing: &'static str| move |error: io::Error| format!("{url}: {doing}: {error}");
    let bare = parsed.host.trim_start_matches('[').trim_end_matches(']');
    let mut addresses = (bare, parsed.port).to_socket_addrs().map_err(failed("resolve"))?;
    let address = addresses.next().ok_or_else(|| format!("{url}: no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(failed("connect"))?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed("set a time-out"))?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(failed("set a time-out"))?;
    let Url { host, port, target } = &parsed;
    let version = env!("CARGO_PKG_VERSION");
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: kpc-agent/{version}\r\n");
    if let Some(content_type) = content_type {
        head.push_str(&format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len()));
    }
    head.push_str(fields);
    head.push_str("Accept: */*\r\nConnection: close\r\n\r\n");
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    sent.map_err(failed("send"))?;
    read_head(BufReader::with_capacity(64 * 1024, stream)).map_err(failed("read the answer"))
}

fn read_head(mut from: BufReader<TcpStream>) -> io::Result<(Response, Option<String>)> {
    let status_line = line(&mut from)?;
    let status = status_line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.get(2..5)?.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {status_line}")))?;
    let (mut length, mut chunked, mut location, mut date) = (None, false, None, None);
    for _ in 0..LINES {
        let field = line(&mut from)?;
        if field.is_empty() {
            let body = if chunked {
                Body::Chunked { from, left: 0, ended: false }
            } else {
                Body::Plain { from: from.take(length.unwrap_or(u64::MAX)), announced: length.is_some() }
            };
            return Ok((Response { status, date, body }, location));
        }
        let Some((name, value)) = field.split_once(':') else { continue };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok(),
            "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
            "date" => date = httpdate::parse_http_date(value.trim()).ok(),
            "location" => location = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "the head does not end"))
}

fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut octets = Vec::new();
    from.by_ref().take(LINE).read_until(b'\n', &mut octets)?;
    if octets.last() != Some(&b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&octets).trim_end().to_owned())
}

impl Response {
    /// The whole body, at most `limit` octets.
    pub(crate) fn into_bytes(mut self, limit: u64) -> Result<Vec<u8>, String> {
        let mut octets = Vec::new();
        let read = self.by_ref().take(limit.saturating_add(1)).read_to_end(&mut octets);
        read.map_err(|error| format!("read the answer: {error}"))?;
        if u64::try_from(octets.len()).unwrap_or(u64::MAX) > limit {
            return Err(format!("the answer is longer than {limit} octets"));
        }
        Ok(octets)
    }

    /// The same when the status is 2xx; otherwise the status and the first line of the answer.
    pub(crate) fn success(self, limit: u64) -> Result<Vec<u8>, String> {
        let status = self.status;
        if (200..300).contains(&status) {
            return self.into_bytes(limit);
        }
        let body = self.into_bytes(4096).unwrap_or_default();
        let first = String::from_utf8_lossy(&body).lines().next().unwrap_or_default().to_owned();
        Err(format!("the server answered {status} {first}"))
    }
}

impl Read for Response {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.body {
            Body::Plain { from, announced } => {
                let read = from.read(into)?;
                if read == 0 && !into.is_empty() && *announced && from.limit() > 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into()); // cut short is not complete
                }
                Ok(read)
            }
            Body::Chunked { ended: true, .. } => Ok(0),
            Body::Chunked { from, left, ended } => {
                if *left == 0 {
                    let size = line(from)?;
                    let digits = size.split(';').next().unwrap_or_default().trim();
                    *left = u64::from_str_radix(digits, 16).map_err(|_| {
                        io::Error::new(io::ErrorKind::InvalidData, format!("bad chunk size {digits}"))
                    })?;
                    if *left == 0 {
                        *ended = true;
                        return Ok(0);
                    }
                }
                let room = usize::try_from(*left).unwrap_or(usize::MAX).min(into.len());
                let read = from.read(into.get_mut(..room).unwrap_or_default())?;
                if read == 0 && room > 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                *left -= u64::try_from(read).unwrap_or(*left);
                if *left == 0 {
                    line(from)?; // the line end after a chunk
                }
                Ok(read)
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test server")]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Answers each connection with the next text; returns the base URL.
    fn server(answers: Vec<&'static str>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for answer in answers {
                let mut stream = listener.accept().unwrap().0;
                let mut octets = [0; 4096];
                let _ = stream.read(&mut octets);
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        base
    }

    #[test]
    fn bodies_by_length_by_chunk_and_by_end() {
        // RFC 9112 §6.3
        let base = server(vec![
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello+more",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\nhello",
            "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        ]);
        for _ in 0..4 {
            assert_eq!(get(&base).unwrap().success(100).unwrap(), b"hello");
        }
    }

    #[test]
    fn cut_short_too_long_and_refused_are_errors() {
        let base = server(vec![
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
            "HTTP/1.1 200 OK\r\n\r\nhello",
            "HTTP/1.1 403 Forbidden\r\n\r\nclaim spent\r\n",
            "SSH-2.0-x\r\n",
        ]);
        assert!(get(&base).unwrap().success(100).is_err());
        assert!(get(&base).unwrap().success(100).is_err());
        assert!(get(&base).unwrap().success(4).unwrap_err().contains("longer"));
        assert_eq!(get(&base).unwrap().success(100).unwrap_err(), "the server answered 403 claim spent");
        assert!(get(&base).err().unwrap().contains("not HTTP"));
    }

    #[test]
    fn urls() {
        let url = Url::parse("http://u@[::1]:8080?a=b#c").unwrap();
        assert_eq!(url, Url { host: "[::1]".into(), port: 8080, target: "/?a=b".into() });
        assert_eq!(Url::parse("http://h/x").unwrap().port, 80);
        for bad in ["https://h/", "http:///x", "http://h:x/", "http://h/a b"] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
    }
}
