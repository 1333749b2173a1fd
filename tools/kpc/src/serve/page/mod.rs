//! The page: a plain table that lives. Read-only, behind a login, no outside asset; every string that came from a
//! machine is escaped (`html`). This file has its routes and its login; `table` and `detail` write HTML, `feed` tells
//! an open page what changed.

mod detail;
mod feed;
mod html;
mod table;

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::serve::http::{Body, fault, read_body, typed};
use crate::serve::operators::Operators;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
const HTML: &str = "text/html; charset=utf-8";
const COOKIE: &str = "kpc";
/// Octets of a login form that are read.
const MAX_FORM: usize = 1024;

/// The page and its login.
pub(crate) struct Page {
    /// What a person types to sign in; shown once where the server was started.
    token: String,
    /// What the cookie holds afterwards.
    session: String,
}

impl Page {
    /// A page behind this token.
    pub(crate) fn new(token: String) -> Result<Self, String> {
        Ok(Self { token, session: random_hex()? })
    }

    /// Answers one request of a browser.
    pub(crate) async fn answer(
        &self,
        operators: &Arc<Operators>,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let mut response = self.route(operators, request).await;
        let headers = response.headers_mut();
        headers.insert("content-security-policy", HeaderValue::from_static(POLICY));
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        // Not `no-referrer`: with that, browsers send the login's form with `Origin: null`.
        headers.insert("referrer-policy", HeaderValue::from_static("same-origin"));
        response
    }

    async fn route(&self, operators: &Arc<Operators>, request: Request<Incoming>) -> Response<Body> {
        if !host_is_loopback(request.headers()) {
            return fault(StatusCode::FORBIDDEN, "the page answers on loopback names only");
        }
        let path = request.uri().path();
        match (request.method(), path) {
            (&Method::POST, "/login") => return self.login(request).await,
            (&Method::GET, "/page.js") => {
                return typed(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT);
            }
            (&Method::GET, "/page.css") => return typed(StatusCode::OK, "text/css; charset=utf-8", STYLE),
            _ if !self.is_signed_in(request.headers()) => {
                let status = if path == "/" { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
                return typed(status, HTML, table::login_form(""));
            }
            _ => {}
        }
        let query = request.uri().query().unwrap_or_default();
        match (request.method(), path, path.strip_prefix("/machine/")) {
            (&Method::GET, "/", _) => {
                let (machines, unknown) =
                    operators.state.read(|fleet, now| (fleet.status(now), fleet.unknown()));
                let (notices, chosen) = (operators.state.notices(), table::Show::from_query(query));
                typed(StatusCode::OK, HTML, table::page(&machines, &unknown, &notices, chosen))
            }
            (&Method::GET, "/feed", _) => feed::stream(operators),
            (&Method::GET, _, Some(name)) => detail::answer(operators, name, query == "part=1").await,
            _ => operators.read(&request).await,
        }
    }

    async fn login(&self, request: Request<Incoming>) -> Response<Body> {
        if !origin_is_ours(request.headers()) {
            return fault(StatusCode::FORBIDDEN, "the form was sent from another site");
        }
        let body = match read_body(request.into_body(), MAX_FORM).await {
            Ok(body) => body,
            Err(answer) => return answer,
        };
        // Nothing opens nothing, whatever the file with the token holds.
        let given = body.strip_prefix(b"token=").filter(|token| !token.is_empty());
        if !given.is_some_and(|given| equal(given, self.token.as_bytes())) {
            return typed(StatusCode::FORBIDDEN, HTML, table::login_form("That is not the token."));
        }
        let mut response = typed(StatusCode::SEE_OTHER, "text/plain", "");
        let cookie = format!("{COOKIE}={}; HttpOnly; SameSite=Strict; Path=/", self.session);
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().insert("set-cookie", cookie);
        }
        response.headers_mut().insert("location", HeaderValue::from_static("/"));
        response
    }

    fn is_signed_in(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get("cookie").and_then(|value| value.to_str().ok()).unwrap_or_default();
        cookies.split(';').any(|cookie| {
            cookie.trim().split_once('=').is_some_and(|(name, value)| {
                name == COOKIE && equal(value.as_bytes(), self.session.as_bytes())
            })
        })
    }
}

/// 32 random hexadecimal digits.
pub(crate) fn random_hex() -> Result<String, String> {
    let mut octets = [0_u8; 16];
    getrandom::fill(&mut octets).map_err(|error| format!("no random numbers: {error}"))?;
    Ok(octets.iter().map(|octet| format!("{octet:02x}")).collect())
}

/// Compares without telling by its time where the first difference is.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// DNS rebinding: a page of somebody else's name must not read ours.
fn host_is_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get("host").and_then(|value| value.to_str().ok()).unwrap_or_default();
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|name| {
        let port = host.strip_prefix(name).map(|rest| rest.strip_prefix(':').unwrap_or(rest));
        port.is_some_and(|port| port.bytes().all(|digit| digit.is_ascii_digit()))
    })
}

fn origin_is_ours(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    match (text("origin"), text("host")) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, origin)| origin == host),
        (None, _) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_answered() {
        let mut headers = HeaderMap::new();
        for (host, good) in [
            ("127.0.0.1:8443", true),
            ("localhost", true),
            ("[::1]:8443", true),
            ("[::1]", true),
            ("[::1", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example:8443", false),
            ("evil.example:8443", false),
            ("", false),
        ] {
            headers.insert("host", HeaderValue::from_static(host));
            assert_eq!(host_is_loopback(&headers), good, "{host}");
        }
    }
}
