//! The accept loops: machines' HTTP, the page and API on their own listener, and the operators' socket. Who is at the
//! other end is decided here: a peer's credentials, a client's certificate, or nobody.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use bootcfg::driver::http::Service;
use bootcfg::driver::tls::Tls;
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue, LOCATION, ORIGIN};
use hyper::{Method, Request, Response, StatusCode};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::serve::certificate::common_name;
use crate::serve::http::{self, Body, fault};
use crate::serve::machines::Machines;
use crate::serve::operators::Operators;
use crate::serve::page::Page;
use crate::serve::state::now;

/// How long to wait after an accept that failed for want of a descriptor or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Most connections of one peer at once: a stranger cannot hold them all.
const MAX_PER_PEER: usize = 64;
/// Most connections of one listener at once; more wait in its queue.
const MAX_CONNECTIONS: usize = 8192;
/// How long a client may take to begin, and to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The first octet of a TLS connection: a handshake record (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 22;

/// Machines' HTTP.
pub(crate) async fn machines(
    listener: TcpListener,
    machines: Arc<Machines>,
    service: Arc<Service>,
    stopping: watch::Receiver<bool>,
) -> Result<(), String> {
    accept_tcp(listener, stopping, move |stream, peer, stop| {
        let (machines, service) = (Arc::clone(&machines), Arc::clone(&service));
        http::connection(stream, stop, move |request| {
            let (machines, service) = (Arc::clone(&machines), Arc::clone(&service));
            async move {
                match machines.answer(peer, request).await {
                    Ok(response) => response.map(http::infallible),
                    Err(request) => service.handle(peer, request).await.map(http::fallible),
                }
            }
        })
    })
    .await
}

/// The page, for whoever signs in, and the API, for whoever shows a certificate of the authority's.
pub(crate) async fn page(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    operators: Arc<Operators>,
    page: Page,
    stopping: watch::Receiver<bool>,
) -> Result<(), String> {
    let page = Arc::new(page);
    accept_tcp(listener, stopping, move |stream, peer, stop| {
        let (page, operators, tls) = (Arc::clone(&page), Arc::clone(&operators), tls.clone());
        async move {
            let Some(tls) = tls else { return browser(stream, stop, operators, page, None).await };
            let mut first = [0];
            match tokio::time::timeout(HANDSHAKE, stream.peek(&mut first)).await {
                Ok(Ok(1)) if first == [TLS_HANDSHAKE] => {}
                Ok(Ok(1)) => return http::connection(stream, stop, to_https).await,
                _ => return,
            }
            match tokio::time::timeout(HANDSHAKE, tls.acceptor().accept(stream)).await {
                Ok(Ok(stream)) => {
                    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                    let who = shown.map(|certificate| {
                        let name =
                            common_name(certificate.as_ref()).unwrap_or_else(|| "without a name".into());
                        format!("certificate {name}")
                    });
                    browser(stream, stop, operators, page, who).await;
                }
                Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
                Err(_) => tracing::debug!(%peer, "no TLS in time"),
            }
        }
    })
    .await
}

/// A connection of the page's listener. `who`: by their certificate.
async fn browser<S>(
    stream: S,
    stop: watch::Receiver<bool>,
    operators: Arc<Operators>,
    page: Arc<Page>,
    who: Option<String>,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    http::connection(stream, stop, move |request| {
        let (page, operators, who) = (Arc::clone(&page), Arc::clone(&operators), who.clone());
        async move {
            let answered = match who.filter(|_| request.uri().path().starts_with("/v1/")) {
                Some(_) if is_from_elsewhere(&request) => {
                    fault(StatusCode::FORBIDDEN, "the request was sent by another site's page")
                }
                Some(who) => audited(&operators, &who, request).await,
                None => {
                    let sign_in = request.method() == Method::POST;
                    let answered = page.answer(&operators, request).await;
                    if sign_in {
                        operators.state.audit().call(
                            now(),
                            "page",
                            "POST /login",
                            answered.status().as_u16(),
                        );
                    }
                    answered
                }
            };
            answered.map(http::infallible)
        }
    })
    .await;
}

/// A call of somebody who may change things, kept in the audit log when it does or would.
async fn audited(operators: &Operators, by: &str, request: Request<Incoming>) -> Response<Body> {
    let changes = request.method() != Method::GET;
    let call = format!("{} {}", request.method(), request.uri().path());
    let answered = operators.answer(by, request).await;
    if changes {
        operators.state.audit().call(now(), by, &call, answered.status().as_u16());
    }
    answered
}

/// A browser that holds a certificate shows it for other sites' pages too.
fn is_from_elsewhere<B>(request: &Request<B>) -> bool {
    let text = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    match (text(ORIGIN), text(HOST)) {
        (None, _) => false,
        (Some(origin), Some(host)) => origin.split_once("://").is_none_or(|(_, origin)| origin != host),
        (Some(_), None) => true,
    }
}

/// Plain HTTP on the TLS port: the same address by its right name.
async fn to_https(request: Request<Incoming>) -> Response<http::Sent> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let place = format!("https://{host}{}", request.uri().path());
    let mut response = fault(StatusCode::PERMANENT_REDIRECT, "this is https");
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(LOCATION, place);
    }
    response.map(http::infallible)
}

/// The operators' socket: root, the server's own account, and whoever the socket's group lets in.
pub(crate) async fn socket(
    listener: UnixListener,
    operators: Arc<Operators>,
    has_group: bool,
    stopping: watch::Receiver<bool>,
) -> Result<(), String> {
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    let listener = tokio::net::UnixListener::from_std(listener).map_err(|error| error.to_string())?;
    let ours = nix::unistd::geteuid().as_raw();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stopped(stopping.clone()) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => {
                let stream = match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                };
                let Ok(peer) = stream.peer_cred() else { continue };
                let by = format!("uid {}", peer.uid());
                if peer.uid() != 0 && peer.uid() != ours && !has_group {
                    tracing::warn!(uid = peer.uid(), "refused on the operators' socket");
                    operators.state.audit().call(now(), &by, "connect", 403);
                    continue;
                }
                let operators = Arc::clone(&operators);
                connections.spawn(http::connection(stream, stopping.clone(), move |request| {
                    let (by, operators) = (by.clone(), Arc::clone(&operators));
                    async move { audited(&operators, &by, request).await.map(http::infallible) }
                }));
            }
        }
    }
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Ready when the server ends.
pub(crate) async fn stopped(mut stopping: watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn accept_tcp<F, Fut>(
    listener: TcpListener,
    stopping: watch::Receiver<bool>,
    answer: F,
) -> Result<(), String>
where
    F: Fn(TcpStream, SocketAddr, watch::Receiver<bool>) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(|error| error.to_string())?;
    let mut connections = JoinSet::new();
    let mut peers: HashMap<IpAddr, usize> = HashMap::new();
    loop {
        tokio::select! {
            () = stopped(stopping.clone()) => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                if let Ok(peer) = ended
                    && let Entry::Occupied(mut count) = peers.entry(peer)
                {
                    *count.get_mut() -= 1;
                    if *count.get() == 0 {
                        count.remove();
                    }
                }
            }
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, peer)) => {
                    let _ = stream.set_nodelay(true);
                    let count = peers.entry(peer.ip()).or_insert(0_usize);
                    if *count >= MAX_PER_PEER {
                        tracing::debug!(%peer, "too many connections of one peer");
                        continue;
                    }
                    *count += 1;
                    let answered = answer(stream, peer, stopping.clone());
                    connections.spawn(async move {
                        answered.await;
                        peer.ip()
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    while connections.join_next().await.is_some() {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_sites_page_borrows_no_certificate() {
        let request = |origin: Option<&str>| {
            let mut builder = Request::builder().header("host", "127.0.0.1:8443");
            if let Some(origin) = origin {
                builder = builder.header("origin", origin);
            }
            builder.body(()).unwrap()
        };
        assert!(!is_from_elsewhere(&request(None)));
        assert!(!is_from_elsewhere(&request(Some("https://127.0.0.1:8443"))));
        for origin in ["https://evil.example", "null", "https://127.0.0.1:8443.evil.example"] {
            assert!(is_from_elsewhere(&request(Some(origin))), "{origin}");
        }
    }
}
