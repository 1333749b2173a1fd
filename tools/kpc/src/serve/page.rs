//! The page: a plain table that lives. Read-only, behind a login, no outside asset; every string that came from a
//! machine is escaped.

use std::fmt::Write as _;

use fleet::attempt::Phase;
use fleet::{Lifecycle, MachineStatus};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::serve::http::{Body, fault, read_body, typed};
use crate::serve::operators::Operators;

const HEAD: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
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
    pub(crate) async fn answer(&self, operators: &Operators, request: Request<Incoming>) -> Response<Body> {
        let mut response = self.route(operators, request).await;
        let headers = response.headers_mut();
        headers.insert("content-security-policy", HeaderValue::from_static(POLICY));
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
        response
    }

    async fn route(&self, operators: &Operators, request: Request<Incoming>) -> Response<Body> {
        if !host_is_loopback(request.headers()) {
            return fault(StatusCode::FORBIDDEN, "the page answers on loopback names only");
        }
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/login") => self.login(request).await,
            (&Method::GET, "/page.js") => typed(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT),
            _ if !self.is_signed_in(request.headers()) => {
                let status =
                    if request.uri().path() == "/" { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
                typed(status, "text/html; charset=utf-8", login_form(""))
            }
            (&Method::GET, "/") => {
                let machines = operators.state.read(|fleet, now| fleet.status(now));
                typed(StatusCode::OK, "text/html; charset=utf-8", page(&machines))
            }
            (&Method::GET, "/rows") => {
                let machines = operators.state.read(|fleet, now| fleet.status(now));
                typed(
                    StatusCode::OK,
                    "text/html; charset=utf-8",
                    format!("{}\n{}", summary(&machines), rows(&machines)),
                )
            }
            _ => operators.read(&request),
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
            return typed(
                StatusCode::FORBIDDEN,
                "text/html; charset=utf-8",
                login_form("That is not the token."),
            );
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

fn login_form(fault: &str) -> String {
    let fault = if fault.is_empty() {
        String::new()
    } else {
        format!("<p class=\"alarm\" role=\"alert\">{fault}</p>")
    };
    format!(
        "{HEAD}<header><h1>kpc</h1></header><form method=\"post\" action=\"/login\">{fault}\
         <label for=\"token\">The token that <span class=\"mono\">kpc serve</span> wrote to <span class=\"mono\">page-token</span> in its data folder:</label>\
         <input id=\"token\" name=\"token\" type=\"password\" autocomplete=\"off\" autofocus required>\
         <button>Sign in</button></form></body></html>"
    )
}

fn page(machines: &[MachineStatus]) -> String {
    format!(
        "{HEAD}<header><h1>kpc</h1><span id=\"counts\">{}</span></header>\
         <table><thead><tr><th scope=\"col\">Machine</th><th scope=\"col\">State</th><th scope=\"col\">Phases</th>\
         <th scope=\"col\">Elapsed</th><th scope=\"col\">Address</th><th scope=\"col\">Note</th></tr></thead>\
         <tbody id=\"machines\" aria-live=\"polite\">{}</tbody></table>\
         <footer><span id=\"feed\" role=\"status\">as of now</span></footer>\
         <script src=\"/page.js\" defer></script></body></html>",
        summary(machines),
        rows(machines)
    )
}

fn summary(machines: &[MachineStatus]) -> String {
    let registered = machines.iter().filter(|machine| machine.lifecycle == Lifecycle::Registered).count();
    let failed = machines.iter().filter(|machine| machine.failed.is_some()).count();
    format!("{} machines, {registered} registered, {failed} failed", machines.len())
}

fn rows(machines: &[MachineStatus]) -> String {
    let mut html = String::new();
    for machine in machines {
        let class = match (&machine.failed, machine.lifecycle) {
            (Some(_), _) => "failed",
            (None, Lifecycle::Registered) => "registered",
            _ => "",
        };
        let phase = machine.phase.map_or("", Phase::words);
        let state =
            if machine.failed.is_some() { format!("failed at {phase}") } else { state(machine, phase) };
        let note = machine.failed.as_deref().unwrap_or(&machine.note);
        let _ = write!(
            html,
            "<tr class=\"{class}\"><th scope=\"row\">{}<div class=\"mono note\">{}</div></th><td class=\"state\">{state}</td><td>{}</td><td>{}</td><td class=\"mono\">{}</td><td class=\"note\">{}</td></tr>",
            escape(&machine.name),
            machine.macs.first().map(ToString::to_string).unwrap_or_default(),
            bar(machine),
            seconds(machine.elapsed_ms),
            machine.address.map(|address| address.to_string()).unwrap_or_default(),
            escape(note),
        );
    }
    if machines.is_empty() {
        html.push_str("<tr><td colspan=\"6\" class=\"note\">No machine yet: <span class=\"mono\">kpc machine add</span></td></tr>");
    }
    html
}

fn state(machine: &MachineStatus, phase: &str) -> String {
    match (machine.lifecycle, machine.progress) {
        (Lifecycle::Registered, _) => "registered".to_owned(),
        (_, Some(percent)) => format!("{phase} {percent}%"),
        (lifecycle, None) if phase.is_empty() => lifecycle.word().to_owned(),
        _ => phase.to_owned(),
    }
}

/// One segment a phase, as wide as it lasted; read out as text.
fn bar(machine: &MachineStatus) -> String {
    let mut segments = String::new();
    let mut words = Vec::new();
    let total = machine.elapsed_ms.max(1);
    for (at, reached) in machine.phases.iter().enumerate() {
        let end = machine.phases.get(at + 1).map_or(machine.elapsed_ms, |next| next.after_ms);
        let width = 1000 * end.saturating_sub(reached.after_ms) / total;
        words.push(format!("{} {}", reached.phase.words(), seconds(reached.after_ms)));
        let _ = write!(
            segments,
            "<i style=\"width:{}.{}%;background:var(--p{})\" title=\"{}\"></i>",
            width / 10,
            width % 10,
            reached.phase as u8,
            reached.phase.words()
        );
    }
    format!("<div class=\"bar\" role=\"img\" aria-label=\"{}\">{segments}</div>", words.join(", "))
}

fn seconds(millis: u64) -> String {
    format!("{:02}:{:02}.{}", millis / 60_000, millis / 1000 % 60, millis / 100 % 10)
}

/// Text for HTML.
fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            letter => html.push(letter),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_machine_says_stays_text() {
        assert_eq!(escape("<script>\"&'"), "&lt;script&gt;&quot;&amp;&#39;");
    }

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
