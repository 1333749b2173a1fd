//! Answers as Go writes them: status, headers and a body of known length.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};

use super::body::{Body, Part};
use crate::compat::Compat;
use crate::content::{Conditions, Content, Plan, Span, plan};
use crate::driver::assets::html_escape;
use crate::fault::Fault;
use crate::sniff;

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const HTML: &str = "text/html; charset=utf-8";

/// An answer with a body in memory.
pub(super) fn full(status: u16, content_type: Option<&str>, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(content_type) = content_type {
        set(&mut response, header::CONTENT_TYPE, content_type);
    }
    response
}

/// Go's `http.Error`.
pub(super) fn error(status: u16, text: &'static str) -> Response<Body> {
    let mut response = full(status, Some(TEXT), text);
    set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

/// The answer to a fault: the reason in strict mode, a bare 404 in the others.
pub(super) fn fault(compat: Compat, fault: &Fault) -> Response<Body> {
    if !compat.is_strict() {
        return error(404, "404 page not found\n");
    }
    let mut response = full(fault.reason.status(), Some("application/json"), fault.to_json());
    set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if fault.reason.status() == 503 {
        set(&mut response, header::RETRY_AFTER, "5");
    }
    response
}

/// Go's redirect of `ServeMux` to a cleaned path.
pub(super) fn redirect(method: &Method, compat: Compat, location: &str) -> Response<Body> {
    let status = compat.redirect_status();
    let text = if status == 301 { "Moved Permanently" } else { "Temporary Redirect" };
    let is_get = method == Method::GET;
    let body =
        if is_get { format!("<a href=\"{}\">{text}</a>.\n\n", html_escape(location)) } else { String::new() };
    let content_type = (is_get || method == Method::HEAD).then_some(HTML);
    let mut response = full(status, content_type, body);
    set(&mut response, header::LOCATION, location);
    response
}

/// Go's `localRedirect`, which the file server uses: no body, no type.
pub(super) fn local_redirect(location: &str, query: Option<&str>) -> Response<Body> {
    let mut response = full(301, None, Bytes::new());
    let location = match query {
        Some(query) if !query.is_empty() => format!("{location}?{query}"),
        _ => location.to_string(),
    };
    // Go sends the name as it is, line breaks as spaces.
    let octets: Vec<u8> =
        location.bytes().map(|octet| if matches!(octet, b'\r' | b'\n') { b' ' } else { octet }).collect();
    match HeaderValue::from_bytes(&octets) {
        Ok(value) => _ = response.headers_mut().insert(header::LOCATION, value),
        Err(_) => set(&mut response, header::LOCATION, &location),
    }
    response
}

/// Octets that may come whole, in parts or not at all.
pub(super) enum Octets {
    Memory(Bytes),
    File(std::fs::File),
}

/// Go's `http.ServeContent`.
pub(super) fn content(
    octets: Octets,
    content: Content<'_>,
    (method, headers, compat): (&Method, &HeaderMap, Compat),
) -> Response<Body> {
    // v0.4.0 is recorded from Go 1.19.
    let before_go_120 = compat == Compat::Bootcfg040;
    let mut response = match plan(content, Conditions { before_go_120, ..conditions(method, headers) }) {
        Plan::NotModified => full(304, None, Bytes::new()),
        Plan::PreconditionFailed => full(412, None, Bytes::new()),
        Plan::BadRange { text, name_size } => {
            let mut response = error(416, text);
            if name_size {
                set(&mut response, header::CONTENT_RANGE, &format!("bytes */{}", content.size));
            }
            if !before_go_120 {
                return response; // without Last-Modified, since Go 1.23
            }
            response
        }
        Plan::Whole => {
            let whole = Span { start: 0, length: content.size };
            ranged(200, content.content_type, octets.body(whole))
        }
        Plan::Part(span) => {
            let mut response = ranged(206, content.content_type, octets.body(span));
            set(&mut response, header::CONTENT_RANGE, &content_range(span, content.size));
            response
        }
        Plan::Parts(spans) => {
            let boundary = boundary();
            let content_type = format!("multipart/byteranges; boundary={boundary}");
            ranged(206, &content_type, octets.multipart(&spans, content, &boundary))
        }
    };
    if let Some(modified) = content.modified {
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(modified));
        set(&mut response, header::LAST_MODIFIED, &date);
    }
    response
}

impl Octets {
    fn body(self, span: Span) -> Body {
        match self {
            Self::Memory(octets) => Body::full(slice(&octets, span)),
            Self::File(file) => Body::file(file, span),
        }
    }

    fn multipart(self, spans: &[Span], content: Content<'_>, boundary: &str) -> Body {
        let mut parts = Vec::with_capacity(spans.len() * 2 + 1);
        let file = match &self {
            Self::File(file) => file.try_clone().ok().map(std::sync::Arc::new),
            Self::Memory(_) => None,
        };
        for (i, &span) in spans.iter().enumerate() {
            let before = if i == 0 { "" } else { "\r\n" };
            let range = content_range(span, content.size);
            let head = format!(
                "{before}--{boundary}\r\nContent-Range: {range}\r\nContent-Type: {}\r\n\r\n",
                content.content_type
            );
            parts.push(Part::Text(head.into()));
            parts.push(match (&self, &file) {
                (Self::Memory(octets), _) => Part::Text(slice(octets, span)),
                (Self::File(_), Some(file)) => Part::File(file.clone(), span, None),
                (Self::File(_), None) => Part::Text(Bytes::new()),
            });
        }
        parts.push(Part::Text(format!("\r\n--{boundary}--\r\n").into()));
        Body::parts(parts)
    }
}

fn slice(octets: &Bytes, span: Span) -> Bytes {
    let start = usize::try_from(span.start).unwrap_or(usize::MAX).min(octets.len());
    let end = start.saturating_add(usize::try_from(span.length).unwrap_or(usize::MAX)).min(octets.len());
    octets.slice(start..end)
}

fn ranged(status: u16, content_type: &str, body: Body) -> Response<Body> {
    let mut response = full(status, Some(content_type), Bytes::new());
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    *response.body_mut() = body;
    response
}

fn content_range(span: Span, size: u64) -> String {
    // Of nothing Go names the octet before the first: -1.
    let last = i128::from(span.start) + i128::from(span.length) - 1;
    format!("bytes {}-{last}/{size}", span.start)
}

/// A word that is not in the content, as far as anybody can say; as long as Go's.
fn boundary() -> String {
    use std::hash::{BuildHasher, RandomState};
    let mut boundary: String =
        (0..4).map(|number| format!("{:016x}", RandomState::new().hash_one(number))).collect();
    boundary.truncate(60);
    boundary
}

fn conditions<'a>(method: &Method, headers: &'a HeaderMap) -> Conditions<'a> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let date = |name: HeaderName| {
        let time = httpdate::parse_http_date(text(name)?).ok()?;
        time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
    };
    Conditions {
        range: text(header::RANGE),
        if_range: text(header::IF_RANGE),
        if_match: text(header::IF_MATCH),
        if_none_match: text(header::IF_NONE_MATCH),
        if_modified_since: date(header::IF_MODIFIED_SINCE),
        if_unmodified_since: date(header::IF_UNMODIFIED_SINCE),
        if_range_date: date(header::IF_RANGE),
        is_get: matches!(*method, Method::GET | Method::HEAD),
        before_go_120: false,
    }
}

/// A rendered answer.
pub(super) fn rendered(
    rendered: crate::Rendered,
    method: &Method,
    headers: &HeaderMap,
    compat: Compat,
) -> Response<Body> {
    let content_type = rendered.content_type.unwrap_or_else(|| sniff::content_type(&rendered.body));
    if !rendered.ranges {
        return full(200, Some(content_type), rendered.body);
    }
    let size = rendered.body.len() as u64;
    let about = Content { size, modified: None, content_type };
    content(Octets::Memory(rendered.body), about, (method, headers, compat))
}

pub(super) fn set(response: &mut Response<Body>, name: HeaderName, value: &str) {
    let escaped: String;
    let value = if value.bytes().all(|octet| (0x20..0x7f).contains(&octet)) {
        value
    } else {
        // Go's hexEscapeNonASCII; control characters cannot be sent at all.
        escaped = value.bytes().fold(String::new(), |mut out, octet| {
            match octet {
                0x20..0x7f => out.push(char::from(octet)),
                other => out.push_str(&format!("%{other:02x}")),
            }
            out
        });
        &escaped
    };
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
