//! One page for Prometheus, on a listener of its own (`--metrics`), off by default. There is nothing secret in it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a scraper may take in all; the next one waits for it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait when no connection can be accepted, in the hope of a free descriptor.
const PAUSE: Duration = Duration::from_millis(100);

/// Opens the listener, before privileges are dropped.
///
/// # Errors
/// The address cannot be listened on.
pub fn listen(address: Option<SocketAddr>) -> io::Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    let listener = crate::sockets::listen_tcp(&[address])
        .map_err(|error| io::Error::new(error.kind(), format!("--metrics: {error}")))?;
    listener.set_nonblocking(true)?;
    Ok(Some(listener))
}

/// Answers one scraper after the other with what `page` says, in the text format of Prometheus, version 0.0.4. Never
/// returns: the caller drops or aborts it.
pub async fn serve(listener: tokio::net::TcpListener, page: impl Fn() -> String) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let _ = timeout(PATIENCE, answer(stream, &page)).await; // a slow scraper asks again
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a metrics connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, page: &impl Fn() -> String) -> io::Result<()> {
    let mut request = [0; 1024];
    let mut length = 0;
    // A request line may come in pieces; the rest of the head is not needed.
    while let Some(room) = request.get_mut(length..).filter(|room| !room.is_empty()) {
        let read = stream.read(room).await?;
        length += read;
        if read == 0 || request.get(..length).is_some_and(|head| head.contains(&b'\n')) {
            break;
        }
    }
    let found = request.get(..length).is_some_and(|head| head.starts_with(b"GET /metrics"));
    let (status, body) =
        if found { ("200 OK", page()) } else { ("404 Not Found", "see /metrics\n".to_owned()) };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    async fn ask(request: &[&str]) -> String {
        let listener = listen(Some("127.0.0.1:0".parse().unwrap())).unwrap().unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let asking = async {
            for piece in request {
                stream.write_all(piece.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        tokio::select! {
            answer = asking => answer,
            () = serve(listener, || "boots_total 3\n".to_owned()) => unreachable!(),
        }
    }

    #[tokio::test]
    async fn the_page_is_served_also_to_a_request_in_pieces() {
        for request in [&["GET /metrics HTTP/1.1\r\n\r\n"][..], &["GET /me", "trics HTTP/1.1\r\n\r\n"]] {
            let answer = ask(request).await;
            assert!(
                answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("boots_total 3\n"),
                "{answer}"
            );
        }
    }

    #[tokio::test]
    async fn any_other_path_is_told_where_the_page_is() {
        assert!(ask(&["GET / HTTP/1.1\r\n\r\n"]).await.starts_with("HTTP/1.1 404 "));
    }
}
