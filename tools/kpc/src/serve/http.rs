//! The HTTP pieces that the operators' API, the page and the machines' API share: answers as values, and one loop a
//! listener that ends with the server.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

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

/// The largest request body that is read, in octets.
const MAX_REQUEST: usize = 256 * 1024;
/// How long a client may take to send its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

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

/// Reads a JSON request body of bounded size; the error is the answer to send.
pub(crate) async fn read_json<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Response<Body>> {
    let body = Limited::new(request.into_body(), MAX_REQUEST)
        .collect()
        .await
        .map_err(|_| {
            fault(StatusCode::PAYLOAD_TOO_LARGE, "the request's body is larger than 256 KiB or was cut")
        })?
        .to_bytes();
    serde_json::from_slice(&body)
        .map_err(|error| fault(StatusCode::BAD_REQUEST, &format!("the request's JSON is not right: {error}")))
}

/// Serves one connection until it ends, or gracefully to the end of its answer once `stop` is set.
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
                    let _ = tokio::time::timeout(Duration::from_secs(2), &mut connection).await;
                    return;
                }
            }
        }
    }
}
