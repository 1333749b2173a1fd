//! The machines' side of HTTP: claim, report, grant and register, and everything else through bootcfg with the fleet's
//! decision. Nothing here is authenticated but by a claim's secret.

use std::net::SocketAddr;
use std::sync::Arc;

use fleet::{ClaimSecret, GrantRefused, Hint, HintCode, Observation};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;

use crate::serve::hook::BOOT_SCRIPT;
use crate::serve::http::{Body, MAX_REPORT, fault, json, read_body, typed};
use crate::serve::install::{Installs, Untold};
use crate::serve::state::State;

/// What machines' calls work on.
pub(crate) struct Machines {
    pub(crate) state: Arc<State>,
    pub(crate) installs: Arc<Installs>,
}

/// `POST /v1/claim`.
#[derive(Deserialize)]
struct Ask {
    claim: ClaimSecret,
}

impl Machines {
    /// Answers one request of a machine; `Err` when the path is not one of ours and bootcfg shall answer.
    pub(crate) async fn answer(
        &self,
        peer: SocketAddr,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Request<Incoming>> {
        let path = request.uri().path();
        if path == "/boot.ipxe" || path == "/boot.ipxe.0" {
            return Ok(typed(StatusCode::OK, "text/plain; charset=utf-8", BOOT_SCRIPT));
        }
        if path == "/v1/claim" || fleet::http::is_call(path) {
            if request.method() != Method::POST {
                return Ok(fault(StatusCode::METHOD_NOT_ALLOWED, "POST it"));
            }
            return Ok(self.call(peer, request).await);
        }
        if path.starts_with("/v1/") {
            return Ok(fault(StatusCode::NOT_FOUND, "no such call for machines"));
        }
        Err(request)
    }

    async fn call(&self, peer: SocketAddr, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let body = match read_body(request.into_body(), MAX_REPORT).await {
            Ok(body) => body,
            Err(answer) => return answer,
        };
        if path == "/v1/claim" {
            return self.claim(&body).await;
        }
        let from = peer.ip().to_canonical();
        let answered =
            self.state.change(|fleet, now| fleet::http::answer(fleet, now, from, "POST", &path, &body));
        match answered.await {
            Ok(answer) => {
                let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                typed(status, "application/json", answer.body)
            }
            // Not durable, so not given: the same again may be.
            Err(error) => fault(StatusCode::SERVICE_UNAVAILABLE, &error),
        }
    }

    async fn claim(&self, body: &[u8]) -> Response<Body> {
        let ask: Ask = match serde_json::from_slice(body) {
            Ok(ask) => ask,
            Err(error) => return fault(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        let (state, installs) = (Arc::clone(&self.state), Arc::clone(&self.installs));
        match tokio::task::spawn_blocking(move || installs.tell(&state, ask.claim)).await {
            Ok(Ok(told)) => json(StatusCode::OK, &told),
            Ok(Err(Untold::Claim(refused @ GrantRefused::NoClaim))) => {
                fault(StatusCode::FORBIDDEN, &refused.to_string())
            }
            Ok(Err(Untold::Claim(refused))) => fault(StatusCode::CONFLICT, &refused.to_string()),
            Ok(Err(Untold::Image(why))) => {
                tracing::error!("{why}");
                let hint = Hint::new(HintCode::AssetMissing, &why);
                self.state.observe(Observation::ClaimTrouble { claim: ask.claim, hint });
                fault(StatusCode::CONFLICT, &why)
            }
            Err(error) => fault(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
}
