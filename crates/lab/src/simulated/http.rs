//! The HTTP client of a simulated machine, from the machine's own address (RFC 9112). iPXE keeps its connection to a
//! server from one request to the next; the agent opens one for each.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);
/// Nothing that a simulated lab serves is longer.
const LONGEST: usize = 16 << 20;
/// Octets that are read at once before the length is known: a whole answer but for kernel and initrd.
const FIRST_READ: usize = 4 << 10;

/// The status and the body.
pub(super) type Answer = (u16, Vec<u8>);

/// What a machine fetches with.
#[derive(Debug)]
pub(super) struct Client {
    from: Ipv4Addr,
    /// Whether connections are kept.
    keeps: bool,
    kept: Option<(SocketAddr, TcpStream)>,
}

impl Client {
    /// As iPXE does it: a connection stays open for the next request to the same server.
    pub(super) fn ipxe(from: Ipv4Addr) -> Self {
        Self { from, keeps: true, kept: None }
    }

    /// As the agent does it: `Connection: close`.
    pub(super) fn agent(from: Ipv4Addr) -> Self {
        Self { from, keeps: false, kept: None }
    }

    /// Fetches `url`; with `json`, posts it. Calls `sends` just before the request is written.
    pub(super) async fn request(
        &mut self,
        url: &str,
        json: Option<&str>,
        sends: impl FnOnce(),
    ) -> Result<Answer, String> {
        let work = self.exchange(url, json, sends);
        timeout(PATIENCE, work)
            .await
            .unwrap_or_else(|_| Err("no answer".to_owned()))
            .map_err(|error| format!("{url}: {error}"))
    }

    async fn exchange(
        &mut self,
        url: &str,
        json: Option<&str>,
        sends: impl FnOnce(),
    ) -> Result<Answer, String> {
        let rest = url.strip_prefix("http://").ok_or("only http:// is simulated")?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (host, target) = rest.split_at_checked(end).ok_or("bad URL")?;
        let target = if target.is_empty() { "/" } else { target };
        let address: SocketAddr =
            if host.contains(':') { host.parse() } else { format!("{host}:80").parse() }
                .map_err(|_| "only addresses are simulated, no names")?;
        let mut stream = match self.kept.take() {
            Some((to, stream)) if to == address => stream,
            _ => connect(self.from, address).await?,
        };
        let (method, body) = json.map_or(("GET", ""), |json| ("POST", json));
        let connection = if self.keeps { "keep-alive" } else { "close" };
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: iPXE/1.0.0 (simulated)\r\n\
             Connection: {connection}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        sends();
        stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
        let (answer, reusable) = read_answer(&mut stream).await?;
        if self.keeps && reusable {
            self.kept = Some((address, stream));
        }
        Ok(answer)
    }
}

async fn connect(from: Ipv4Addr, to: SocketAddr) -> Result<TcpStream, String> {
    let text = |error: std::io::Error| error.to_string();
    let socket = TcpSocket::new_v4().map_err(text)?;
    socket.bind(SocketAddr::from((from, 0))).map_err(text)?;
    socket.connect(to).await.map_err(text)
}

/// One answer, and whether the connection can carry another: its end was told by a length or a last chunk.
async fn read_answer(stream: &mut TcpStream) -> Result<(Answer, bool), String> {
    let mut read = Vec::with_capacity(FIRST_READ);
    let mut wanted = FIRST_READ;
    let mut head = None;
    loop {
        head = head.or_else(|| Head::of(&read));
        if let Some(head) = &head {
            let body = read.get(head.length..).unwrap_or_default();
            match head.ends {
                Ends::After(length) if body.len() >= length => {
                    read.truncate(head.length + length);
                    read.drain(..head.length);
                    return Ok(((head.status, read), !head.closes));
                }
                Ends::After(length) => wanted = length - body.len(),
                Ends::WithLastChunk => {
                    if let Some(contents) = unchunked(body) {
                        return Ok(((head.status, contents), !head.closes));
                    }
                }
                Ends::WithConnection => {}
            }
        }
        if read.len() > LONGEST {
            return Err("an answer that is too long".to_owned());
        }
        read.reserve_exact(wanted.clamp(FIRST_READ, LONGEST));
        if stream.read_buf(&mut read).await.map_err(|error| error.to_string())? == 0 {
            let head = head.filter(|head| matches!(head.ends, Ends::WithConnection));
            let answer = head.map(|head| (head.status, read.split_off(head.length)));
            return answer.map(|answer| (answer, false)).ok_or_else(|| "a broken answer".to_owned());
        }
    }
}

/// What the head of an answer says.
struct Head {
    /// Octets of it, the empty line included.
    length: usize,
    status: u16,
    ends: Ends,
    closes: bool,
}

/// How a body ends (RFC 9112 §6.3).
enum Ends {
    After(usize),
    WithLastChunk,
    WithConnection,
}

impl Head {
    fn of(answer: &[u8]) -> Option<Self> {
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(answer.get(..end)?).ok()?;
        let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
        let field = |name: &str| {
            head.lines().skip(1).find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found.eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        let says = |name, word| field(name).is_some_and(|value: &str| value.eq_ignore_ascii_case(word));
        let ends = if says("transfer-encoding", "chunked") {
            Ends::WithLastChunk
        } else {
            match field("content-length").and_then(|length| length.parse().ok()) {
                Some(length) if length <= LONGEST => Ends::After(length),
                _ => Ends::WithConnection,
            }
        };
        Some(Self { length: end + 4, status, ends, closes: says("connection", "close") })
    }
}

/// RFC 9112 §7.1; `None` while the last chunk has not come.
fn unchunked(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut contents = Vec::new();
    loop {
        let end = body.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(body.get(..end)?).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(contents);
        }
        let (chunk, rest) = body.get(end + 2..)?.split_at_checked(size)?;
        contents.extend(chunk);
        body = rest.get(2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client makes of connections that end after each of `answers`, and whether it would go on.
    async fn answered(answers: &[&str]) -> Result<(Answer, bool), String> {
        let answers: Vec<String> = answers.iter().map(|&answer| answer.to_owned()).collect();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for answer in answers {
                stream.write_all(answer.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let mut stream = TcpStream::connect(address).await.unwrap();
        let answer = read_answer(&mut stream).await;
        serving.await.unwrap();
        answer
    }

    #[tokio::test]
    async fn bodies_whole_or_not_at_all() {
        let hi = |goes_on| Ok(((200, b"hi".to_vec()), goes_on));
        assert_eq!(answered(&["HTTP/1.1 200 OK\r\nContent-Le", "ngth: 2\r\n\r\nh", "i"]).await, hi(true));
        assert_eq!(answered(&["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more"]).await, hi(true));
        let closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(answered(&[closing]).await, hi(false));
        assert_eq!(answered(&["HTTP/1.1 200 OK\r\n\r\n", "hi"]).await, hi(false));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1;x\r\ni\r\n";
        assert_eq!(answered(&[chunked, "0\r\n\r\n"]).await, hi(true));
        let endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nh\r\n";
        for broken in [chunked, endless, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", "SSH-2.0"] {
            assert!(answered(&[broken]).await.is_err(), "{broken:?}");
        }
    }

    #[tokio::test]
    async fn ipxe_keeps_its_connection_and_the_agent_does_not() {
        for (keeps, connections) in [(true, 1), (false, 2)] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/", listener.local_addr().unwrap());
            let serving = tokio::spawn(async move {
                let mut accepted = 0;
                let mut answered = 0;
                while answered < 2 {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    accepted += 1;
                    let mut request = Vec::with_capacity(4096);
                    while stream.read_buf(&mut request).await.unwrap() > 0 {
                        answered += 1;
                        let closes = request.windows(17).any(|window| window == b"Connection: close");
                        let head: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
                        stream.write_all(head).await.unwrap();
                        request.clear();
                        if closes {
                            break;
                        }
                    }
                }
                accepted
            });
            let from = Ipv4Addr::LOCALHOST;
            let mut client = if keeps { Client::ipxe(from) } else { Client::agent(from) };
            for _ in 0..2 {
                assert_eq!(client.request(&url, None, || {}).await, Ok((200, b"hi".to_vec())));
            }
            drop(client);
            assert_eq!(serving.await.unwrap(), connections);
        }
    }
}
