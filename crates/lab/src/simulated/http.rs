//! The HTTP client of a simulated machine: one request a connection, from the machine's own address (RFC 9112).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);
/// Nothing that a simulated lab serves is longer.
const LONGEST: usize = 16 << 20;

/// The status and the body.
pub(super) type Answer = (u16, Vec<u8>);

/// Fetches `url`; with `json`, posts it. Calls `sends` just before the request is written.
pub(super) async fn request(
    from: Ipv4Addr,
    url: &str,
    json: Option<&str>,
    sends: impl FnOnce(),
) -> Result<Answer, String> {
    let work = exchange(from, url, json, sends);
    timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| Err("no answer".to_owned()))
        .map_err(|error| format!("{url}: {error}"))
}

async fn exchange(
    from: Ipv4Addr,
    url: &str,
    json: Option<&str>,
    sends: impl FnOnce(),
) -> Result<Answer, String> {
    let rest = url.strip_prefix("http://").ok_or("only http:// is simulated")?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (host, target) = rest.split_at_checked(end).ok_or("bad URL")?;
    let target = if target.is_empty() { "/" } else { target };
    let address: SocketAddr = if host.contains(':') { host.parse() } else { format!("{host}:80").parse() }
        .map_err(|_| "only addresses are simulated, no names")?;
    let text = |error: std::io::Error| error.to_string();
    let socket = TcpSocket::new_v4().map_err(text)?;
    socket.bind(SocketAddr::from((from, 0))).map_err(text)?;
    let mut stream = socket.connect(address).await.map_err(text)?;
    let (method, body) = json.map_or(("GET", ""), |json| ("POST", json));
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: iPXE/1.0.0 (simulated)\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    sends();
    stream.write_all(request.as_bytes()).await.map_err(text)?;
    let mut answer = Vec::new();
    let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    (&mut stream).take(limit).read_to_end(&mut answer).await.map_err(text)?;
    split(&answer).ok_or_else(|| "a broken answer".to_owned())
}

/// Head and body; a body shorter than announced is broken.
fn split(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    let body = answer.get(end + 4..)?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let field = |name: &str| {
        head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    if field("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return Some((status, unchunked(body)?));
    }
    match field("content-length").and_then(|length| length.parse().ok()) {
        Some(length) => Some((status, body.get(..length)?.to_vec())),
        None => Some((status, body.to_vec())),
    }
}

/// RFC 9112 §7.1.
fn unchunked(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut contents = Vec::new();
    loop {
        let end = body.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(body.get(..end)?).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(contents);
        }
        contents.extend(body.get(end + 2..end + 2 + size)?);
        body = body.get(end + 2 + size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_whole_or_not_at_all() {
        let ok = |text: &str| split(text.as_bytes());
        assert_eq!(ok("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), Some((200, b"hi".to_vec())));
        assert_eq!(ok("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi"), None);
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1;x\r\ni\r\n0\r\n\r\n";
        assert_eq!(ok(chunked), Some((200, b"hi".to_vec())));
        assert_eq!(ok(&chunked[..chunked.len() - 5]), None);
        assert_eq!(ok("SSH-2.0"), None);
    }
}
