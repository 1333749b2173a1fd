//! The HTTP pieces that the operators' API, the page and the machines' API share: answers as values, and one loop a
//! listener that ends with the server.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};

use crate::api::Fault;

/// The body of every answer of ours.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;
/// A body on a connection: ours, or one that reads a file and may fail.
pub(crate) type Sent = UnsyncBoxBody<Bytes, io::Error>;

/// Ours on a connection.
pub(crate) fn infallible(body: Body) -> Sent {
    body.map_err(|never| match never {}).boxed_unsync()
}

/// Any other on a connection.
pub(crate) fn fallible<B>(body: B) -> Sent
where
    B: hyper::body::Body<Data = Bytes, Error = io::Error> + Send + 'static,
{
    body.boxed_unsync()
}

/// The largest body that a machine may send, in octets: a report, or a registration with its facts. Anybody on the
/// machines' network may hold one on each connection.
pub(crate) const MAX_REPORT: usize = 32 * 1024;
/// The largest body that an operator may send, in octets: a selection of thousands of names.
const MAX_REQUEST: usize = 256 * 1024;
/// How long a client may take to send its request's head, and then its body.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Events that wait for a slow reader.
const EVENTS_IN_FLIGHT: usize = 64;

/// A whole body.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// An answer with a JSON body.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(bytes) => typed(status, "application/json", bytes),
        Err(error) => fault(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// An answer that says in one line what is wrong.
pub(crate) fn fault(status: StatusCode, error: &str) -> Response<Body> {
    let bytes = serde_json::to_vec(&Fault { error: error.to_owned() }).unwrap_or_default();
    typed(status, "application/json", bytes)
}

/// An answer of one content type, never cached.
pub(crate) fn typed(
    status: StatusCode,
    content_type: &'static str,
    bytes: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(whole(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A body of server-sent events, and where they are put. A reader that is slow makes the sender wait; one that has gone
/// closes it.
pub(crate) fn event_stream() -> (mpsc::Sender<Bytes>, Response<Body>) {
    let (sender, receiver) = mpsc::channel(EVENTS_IN_FLIGHT);
    let mut response = Response::new(StreamBody::new(Frames(receiver)).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    (sender, response)
}

/// A channel as a body's stream of frames.
struct Frames(mpsc::Receiver<Bytes>);

impl futures_core::Stream for Frames {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Reads an operator's JSON request body of bounded size; the error is the answer to send.
pub(crate) async fn read_call<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Response<Body>> {
    let body = read_body(request.into_body(), MAX_REQUEST).await?;
    serde_json::from_slice(&body)
        .map_err(|error| fault(StatusCode::BAD_REQUEST, &format!("the request's JSON is not right: {error}")))
}

/// Reads a body of at most `most` octets, for a limited time; the error is the answer to send.
pub(crate) async fn read_body<B>(body: B, most: usize) -> Result<Bytes, Response<Body>>
where
    B: hyper::body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    read_for(body, most, HEAD_TIMEOUT).await
}

async fn read_for<B>(body: B, most: usize, patience: Duration) -> Result<Bytes, Response<Body>>
where
    B: hyper::body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match tokio::time::timeout(patience, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => Err(fault(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("the request's body is larger than {most} octets, or was cut"),
        )),
        Err(_) => Err(fault(
            StatusCode::REQUEST_TIMEOUT,
            &format!("the request's body did not come within {} s", patience.as_secs()),
        )),
    }
}

/// Serves one connection until it ends. Once `stop` is set its present answer is the last; how long that one may take
/// is the drain's to say, which drops this.
pub(crate) async fn connection<S, F, Fut>(stream: S, mut stop: watch::Receiver<bool>, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response<Sent>> + Send,
{
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    loop {
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection");
                }
                return;
            }
            Ok(()) = stop.changed() => {
                if *stop.borrow() {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Empty;

    /// A body of one octet that never ends.
    struct Slow(bool);

    impl futures_core::Stream for Slow {
        type Item = Result<Frame<Bytes>, Infallible>;

        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            if std::mem::replace(&mut self.0, true) {
                return std::task::Poll::Pending;
            }
            std::task::Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"{")))))
        }
    }

    #[tokio::test]
    async fn a_body_is_waited_for_so_long_and_no_longer() {
        let slow = read_for(StreamBody::new(Slow(false)), 16, Duration::ZERO).await;
        let slow = slow.map_err(|answer| answer.status());
        assert_eq!(slow, Err(StatusCode::REQUEST_TIMEOUT));
        let large = read_body(Full::new(Bytes::from_static(b"0123456789")), 9).await;
        assert_eq!(large.map_err(|answer| answer.status()), Err(StatusCode::PAYLOAD_TOO_LARGE));
        let fits = read_body(Full::new(Bytes::from_static(b"0123456789")), 10).await.unwrap();
        assert_eq!(&fits[..], b"0123456789");
        assert!(read_body(Empty::<Bytes>::new(), 0).await.unwrap().is_empty());
    }
}
