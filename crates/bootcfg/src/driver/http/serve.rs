//! Accepts connections, bounds them, and ends them in peace.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::head::{Head, NoHead, Rewound};
use super::service::Service;

/// Bounds of a server.
#[derive(Clone, Copy, Debug)]
pub struct ServeConfig {
    /// Connections at once; more wait in the listener's queue. Default 20,000.
    pub max_connections: usize,
    /// A request's line and headers must be here within this. Default 10 s.
    pub header_timeout: Duration,
    /// A client that takes no octet of its answer for this long is cut. Default 60 s.
    pub write_timeout: Duration,
    /// Octets of a request's line and headers. Default 1 MiB, as Go has it.
    pub max_header: usize,
    /// How long transfers may go on after the shutdown. Default 10 s.
    pub drain: Duration,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            max_connections: 20_000,
            header_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(60),
            max_header: 1 << 20,
            drain: Duration::from_secs(10),
        }
    }
}

/// How long to wait after an accept that failed for want of a descriptor or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Go reads this much beyond its limit before it gives up.
const HEADER_SLACK: usize = 4096;
/// The HTTP parser's buffer for requests after the first of a connection.
const PARSER_BUFFER: usize = 64 << 10;

const TOO_LONG: &[u8] =
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\n\r\n431 Request Header Fields Too Large";

/// Serves until `shutdown` is ready, then lets transfers go on for [`ServeConfig::drain`] and cuts the rest.
///
/// # Errors
/// None that ends a server today: a failing accept is retried.
pub async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    config: ServeConfig,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let connect = move |accepted: Accepted| {
        let service = service.clone();
        async move {
            let Accepted { stream, peer, stopping, slot: _slot } = accepted;
            connection(stream, peer, service, config, stopping).await;
        }
    };
    accept_all(listener, config, shutdown, connect).await;
    Ok(())
}

/// As [`serve`], over TLS.
///
/// # Errors
/// As [`serve`].
#[cfg(feature = "tls")]
pub async fn serve_tls(
    listener: TcpListener,
    tls: Arc<crate::driver::tls::Tls>,
    service: Arc<Service>,
    config: ServeConfig,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let connect = move |accepted: Accepted| {
        let (service, tls) = (service.clone(), tls.clone());
        async move {
            let Accepted { stream, peer, stopping, slot: _slot } = accepted;
            match tokio::time::timeout(config.header_timeout, tls.acceptor().accept(stream)).await {
                Ok(Ok(stream)) => connection(stream, peer, service, config, stopping).await,
                Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
                Err(_) => tracing::debug!(%peer, "no TLS in time"),
            }
        }
    };
    accept_all(listener, config, shutdown, connect).await;
    Ok(())
}

/// A connection that has a slot.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    /// Becomes true when the server is to end.
    pub(crate) stopping: watch::Receiver<bool>,
    /// Given back when the connection is over.
    pub(crate) slot: OwnedSemaphorePermit,
}

/// Runs `connect` for every connection until the shutdown, and for a while after it.
pub(crate) async fn accept_all<F, C>(
    listener: TcpListener,
    config: ServeConfig,
    shutdown: impl Future<Output = ()>,
    connect: F,
) where
    F: Fn(Accepted) -> C,
    C: Future<Output = ()> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(config.max_connections));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = accept(&listener, &slots) => accepted,
        };
        match accepted {
            Ok((stream, peer, slot)) => {
                let _ = stream.set_nodelay(true);
                connections.spawn(connect(Accepted { stream, peer, stopping: stopping.clone(), slot }));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stop.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(config.drain, drained).await.is_err() {
        tracing::warn!(connections = connections.len(), "cut connections that were still busy");
        connections.shutdown().await;
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, slot))
}

async fn connection(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    service: Arc<Service>,
    config: ServeConfig,
    mut stopping: watch::Receiver<bool>,
) {
    let head = tokio::select! {
        head = Head::read(&mut stream, config.max_header + HEADER_SLACK, config.header_timeout) => head,
        _ = stopping.wait_for(|stop| *stop) => return,
    };
    match head {
        // Boxed: whoever has sent no head yet costs no HTTP.
        Ok(head) => Box::pin(requests(head, stream, peer, service, config, stopping)).await,
        Err(NoHead::Gone) => {}
        Err(NoHead::TooLong) => {
            let _ = stream.write_all(TOO_LONG).await;
            let _ = stream.shutdown().await;
            // What is still on its way is taken, lest its arrival at a closed socket throws our answer away.
            let mut rest = vec![0; 4096];
            let linger = async { while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {} };
            let _ = tokio::time::timeout(LINGER, linger).await;
        }
    }
}

/// Answers what comes on a connection, from the head of the first request on.
async fn requests(
    mut head: Head,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    service: Arc<Service>,
    config: ServeConfig,
    mut stopping: watch::Receiver<bool>,
) {
    let parser_buffer = PARSER_BUFFER.max(head.len() + STEP_OVER);
    // Only the first request of a connection may have a target that goes around the parser.
    let first_target = Arc::new(Mutex::new(head.take_odd_target()));
    let answer = service_fn(move |request| {
        let service = service.clone();
        let target = first_target.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move { Ok::<_, std::convert::Infallible>(service.handle_target(peer, request, target).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout)
        .max_buf_size(parser_buffer)
        .serve_connection(TokioIo::new(Rewound::new(head, stream, config.write_timeout)), answer);
    let mut connection = pin!(connection);
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%peer, %error, "connection ended");
                }
                return;
            }
            Ok(()) = stopping.changed() => connection.as_mut().graceful_shutdown(),
        }
    }
}

/// How long the rest of a request that is too long is taken in.
const LINGER: Duration = Duration::from_millis(500);
/// What the parser reads beyond a head.
const STEP_OVER: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::driver::http::ServiceConfig;

    /// 10,000 of these wait at once in 64 MB, with what the runtime and the allocator add.
    #[test]
    fn a_connection_without_a_request_is_small() {
        let service = Arc::new(Service::new(ServiceConfig::new(Arc::new(Arc::new(Catalog::default())))));
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let (stream, _other) = tokio::io::duplex(1);
        let (_stop, stopping) = watch::channel(false);
        let waiting = connection(stream, peer, service, ServeConfig::default(), stopping);
        assert!(size_of_val(&waiting) < 1024, "{}", size_of_val(&waiting));
    }
}
