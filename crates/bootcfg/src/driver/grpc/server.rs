//! HTTP/2 connections to the generated services, by the path of the call.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::{Code, Status};

use super::{rpcpb, v1};
use crate::compat::Compat;
use crate::driver::http::{Accepted, ServeConfig, accept_all};
use crate::driver::store::Store;
use crate::driver::tls::Tls;

/// Calls of one connection at once.
const MAX_STREAMS: u32 = 64;
/// A message this large is refused, as grpc-go does by itself.
const MAX_MESSAGE: usize = 4 << 20;

/// What the gRPC side is made of.
#[derive(Clone, Debug)]
pub struct GrpcConfig {
    /// Read and written.
    pub store: Arc<dyn Store>,
    /// Certificates; clients must show one. `None` speaks without TLS: for tests on the loopback only.
    pub tls: Option<Arc<Tls>>,
    /// Bounds, as for HTTP.
    pub limits: ServeConfig,
}

/// The services.
#[derive(Clone, Debug)]
pub(super) struct Api {
    pub(super) store: Arc<dyn Store>,
}

impl Api {
    /// What error texts begin with.
    pub(super) fn name(&self) -> &'static str {
        if self.store.snapshot().compat() == Compat::Bootcfg040 { "bootcfg" } else { "matchbox" }
    }
}

/// Calls that bootcfg v0.4.0 does not have.
const SINCE_MATCHBOX: [&str; 5] = [
    "/rpcpb.Groups/GroupDelete",
    "/rpcpb.Profiles/ProfileDelete",
    "/rpcpb.Ignition/IgnitionGet",
    "/rpcpb.Ignition/IgnitionDelete",
    "/rpcpb.Generic/",
];

/// Serves until `shutdown` is ready, then lets calls go on for [`ServeConfig::drain`].
///
/// # Errors
/// None that ends a server today: a failing accept is retried.
pub async fn serve_grpc(
    listener: TcpListener,
    config: GrpcConfig,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let api = Api { store: config.store };
    let limits = config.limits;
    let connect = move |accepted: Accepted| {
        let (api, tls) = (api.clone(), config.tls.clone());
        async move {
            let Accepted { stream, peer, stopping, slot: _slot } = accepted;
            let Some(tls) = tls else { return connection(stream, peer, api, stopping).await };
            match tokio::time::timeout(limits.header_timeout, tls.acceptor().accept(stream)).await {
                Ok(Ok(stream)) => connection(stream, peer, api, stopping).await,
                Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
                Err(_) => tracing::debug!(%peer, "no TLS in time"),
            }
        }
    };
    accept_all(listener, limits, shutdown, connect).await;
    Ok(())
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    api: Api,
    mut stopping: watch::Receiver<bool>,
) {
    let answer = service_fn(move |request| {
        let api = api.clone();
        async move { Ok::<_, Infallible>(call(api, request).await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(std::time::Duration::from_secs(30))
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = std::pin::pin!(connection);
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

async fn call(api: Api, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_string();
    let compat = api.store.snapshot().compat();
    let hidden = compat == Compat::Bootcfg040 && SINCE_MATCHBOX.iter().any(|prefix| path.starts_with(prefix));
    let mut response = match path.rsplit_once('/').map(|(service, _)| service) {
        _ if hidden => unimplemented(&path),
        Some("/rpcpb.Groups") => {
            run(rpcpb::groups_server::GroupsServer::new(api).max_decoding_message_size(MAX_MESSAGE), request)
                .await
        }
        Some("/rpcpb.Profiles") => {
            run(
                rpcpb::profiles_server::ProfilesServer::new(api).max_decoding_message_size(MAX_MESSAGE),
                request,
            )
            .await
        }
        Some("/rpcpb.Ignition") => {
            run(
                rpcpb::ignition_server::IgnitionServer::new(api).max_decoding_message_size(MAX_MESSAGE),
                request,
            )
            .await
        }
        Some("/rpcpb.Generic") => {
            run(
                rpcpb::generic_server::GenericServer::new(api).max_decoding_message_size(MAX_MESSAGE),
                request,
            )
            .await
        }
        Some("/rpcpb.Select") => run(rpcpb::select_server::SelectServer::new(api), request).await,
        Some("/bootcfg.v1.Store") => run(v1::store_server::StoreServer::new(api), request).await,
        _ => unimplemented(&path),
    };
    go_codes(&mut response, compat);
    let status =
        response.headers().get("grpc-status").and_then(|code| code.to_str().ok()).unwrap_or("0").to_string();
    tracing::info!(path, status, "called");
    response
}

async fn run<S>(mut service: S, request: Request<Incoming>) -> Response<Body>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
{
    match service.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn unimplemented(path: &str) -> Response<Body> {
    Status::unimplemented(format!("unknown method {path}")).into_http()
}

/// grpc-go's codes for what tonic itself refuses: too large, or no message.
fn go_codes(response: &mut Response<Body>, compat: Compat) {
    let number = |code: Code| HeaderValue::from(i32::from(code));
    let Some(status) = response.headers_mut().get_mut("grpc-status") else { return };
    if *status == number(Code::OutOfRange) {
        *status = number(Code::ResourceExhausted);
    } else if *status == number(Code::Internal) && compat == Compat::Bootcfg040 {
        *status = number(Code::FailedPrecondition);
    }
}
