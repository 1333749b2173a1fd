//! Ranges and conditions of a GET as Go's `http.ServeContent` answers them (RFC 9110 §13, §14), as values: what is
//! known of the request and of the content goes in, status, headers and the ranges to send come out.

/// The request's headers that matter here, as sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions<'a> {
    /// `Range`
    pub range: Option<&'a str>,
    /// `If-Range`
    pub if_range: Option<&'a str>,
    /// `If-Match`
    pub if_match: Option<&'a str>,
    /// `If-None-Match`
    pub if_none_match: Option<&'a str>,
    /// `If-Modified-Since`, in seconds since 1970 if it is a date.
    pub if_modified_since: Option<u64>,
    /// `If-Unmodified-Since`, likewise.
    pub if_unmodified_since: Option<u64>,
    /// `If-Range` as a date, likewise.
    pub if_range_date: Option<u64>,
    /// The method is GET or HEAD.
    pub is_get: bool,
}

/// What there is to send.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// Octets.
    pub size: u64,
    /// Seconds since 1970, for files.
    pub modified: Option<u64>,
    /// The Content-Type.
    pub content_type: &'a str,
}

/// From and length, in octets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// First octet.
    pub start: u64,
    /// Number of octets, never 0 but for empty content.
    pub length: u64,
}

/// What to answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Plan {
    /// 200 with everything.
    Whole,
    /// 206 with one range.
    Part(Span),
    /// 206 with `multipart/byteranges`.
    Parts(Vec<Span>),
    /// 304 without a body.
    NotModified,
    /// 412 without a body.
    PreconditionFailed,
    /// 416 with this text; `Content-Range: bytes */SIZE` if the range was readable.
    BadRange {
        /// The body's line.
        text: &'static str,
        /// Whether to name the size.
        name_size: bool,
    },
}

/// More ranges than this in one request are answered with everything.
const MAX_RANGES: usize = 64;

/// Decides.
pub fn plan(content: Content<'_>, conditions: Conditions<'_>) -> Plan {
    if let Some(want) = conditions.if_match {
        if want.trim() != "*" {
            return Plan::PreconditionFailed; // there are no entity tags here, so no list can match
        }
    } else if let (Some(limit), Some(modified)) = (conditions.if_unmodified_since, content.modified)
        && modified > limit
    {
        return Plan::PreconditionFailed;
    }
    if let Some(have) = conditions.if_none_match {
        if has_star(have) {
            return if conditions.is_get { Plan::NotModified } else { Plan::PreconditionFailed };
        }
    } else if let (Some(since), Some(modified), true) =
        (conditions.if_modified_since, content.modified, conditions.is_get)
        && modified <= since
    {
        return Plan::NotModified;
    }
    let Some(range) = conditions.range.filter(|range| !range.is_empty()) else { return Plan::Whole };
    if conditions.if_range.is_some()
        && (conditions.if_range_date.is_none() || conditions.if_range_date != content.modified)
    {
        return Plan::Whole;
    }
    match parse_range(range, content.size) {
        Err(RangeError::Invalid) => Plan::BadRange { text: "invalid range\n", name_size: false },
        Err(RangeError::NoOverlap) if content.size == 0 => Plan::Whole,
        Err(RangeError::NoOverlap) => {
            Plan::BadRange { text: "invalid range: failed to overlap\n", name_size: true }
        }
        Ok(spans) => {
            let total: u64 = spans.iter().map(|span| span.length).sum();
            match spans.as_slice() {
                [] => Plan::Whole,
                _ if total > content.size || spans.len() > MAX_RANGES => Plan::Whole,
                [span] => Plan::Part(*span),
                _ => Plan::Parts(spans),
            }
        }
    }
}

/// `*` in a list of entity tags. Other tags never match, because nothing here has one.
fn has_star(list: &str) -> bool {
    let mut rest = list.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        if rest.starts_with('*') {
            return true;
        }
        let tag = rest.strip_prefix("W/").unwrap_or(rest);
        let Some(end) = tag.strip_prefix('"').and_then(|tag| tag.find('"').map(|end| (tag, end))) else {
            return false;
        };
        rest = end.0.get(end.1 + 1..).unwrap_or_default().trim_start_matches([' ', '\t', ',']);
    }
    false
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum RangeError {
    Invalid,
    NoOverlap,
}

fn parse_range(text: &str, size: u64) -> Result<Vec<Span>, RangeError> {
    let list = text.strip_prefix("bytes=").ok_or(RangeError::Invalid)?;
    let (mut spans, mut missed) = (Vec::new(), false);
    for part in list.split(',').map(|part| part.trim_matches([' ', '\t'])).filter(|part| !part.is_empty()) {
        let (start, end) = part.split_once('-').ok_or(RangeError::Invalid)?;
        let (start, end) = (start.trim_matches([' ', '\t']), end.trim_matches([' ', '\t']));
        if start.is_empty() {
            if end.is_empty() || end.starts_with('-') {
                return Err(RangeError::Invalid);
            }
            let length = number(end)?.min(size);
            spans.push(Span { start: size - length, length });
            continue;
        }
        let start = number(start)?;
        if start >= size {
            missed = true;
            continue;
        }
        let length = match end {
            "" => size - start,
            end => {
                let end = number(end)?;
                if start > end {
                    return Err(RangeError::Invalid);
                }
                end.min(size - 1) - start + 1
            }
        };
        spans.push(Span { start, length });
    }
    if missed && spans.is_empty() { Err(RangeError::NoOverlap) } else { Ok(spans) }
}

fn number(text: &str) -> Result<u64, RangeError> {
    let text = text.strip_prefix('+').unwrap_or(text);
    text.parse::<i64>().ok().and_then(|number| u64::try_from(number).ok()).ok_or(RangeError::Invalid)
}

/// The type of a file by its ending, from Go's built-in table.
pub fn type_by_extension(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension.to_lowercase().as_str() {
        "avif" => "image/avif",
        "css" => "text/css; charset=utf-8",
        "gif" => "image/gif",
        "htm" | "html" => "text/html; charset=utf-8",
        "jpeg" | "jpg" => "image/jpeg",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "wasm" => "application/wasm",
        "webp" => "image/webp",
        "xml" => "text/xml; charset=utf-8",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Plan {
        let content = Content { size: 25, modified: None, content_type: "text/plain" };
        plan(content, Conditions { range: Some(text), is_get: true, ..Conditions::default() })
    }

    #[test]
    fn ranges() {
        // RFC 9110 §14.1.2
        assert_eq!(range("bytes=0-4"), Plan::Part(Span { start: 0, length: 5 }));
        assert_eq!(range("bytes=-4"), Plan::Part(Span { start: 21, length: 4 }));
        assert_eq!(range("bytes=5-"), Plan::Part(Span { start: 5, length: 20 }));
        assert_eq!(
            range("bytes=0-0, 2-3"),
            Plan::Parts(vec![Span { start: 0, length: 1 }, Span { start: 2, length: 2 }])
        );
        assert_eq!(range("bytes=0-24,0-24"), Plan::Whole);
        assert_eq!(
            range("bytes=9999-"),
            Plan::BadRange { text: "invalid range: failed to overlap\n", name_size: true }
        );
        assert_eq!(range("items=0-1"), Plan::BadRange { text: "invalid range\n", name_size: false });
        assert_eq!(range("bytes=x-y"), Plan::BadRange { text: "invalid range\n", name_size: false });
        assert_eq!(range("bytes=4-2"), Plan::BadRange { text: "invalid range\n", name_size: false });
    }

    #[test]
    fn conditions() {
        // RFC 9110 §13.1
        let file = Content { size: 5, modified: Some(1000), content_type: "text/plain" };
        let get = Conditions { is_get: true, ..Conditions::default() };
        assert_eq!(plan(file, Conditions { if_modified_since: Some(1000), ..get }), Plan::NotModified);
        assert_eq!(plan(file, Conditions { if_modified_since: Some(999), ..get }), Plan::Whole);
        assert_eq!(plan(file, Conditions { if_none_match: Some("\"a\", *"), ..get }), Plan::NotModified);
        assert_eq!(
            plan(file, Conditions { if_none_match: Some("\"a\""), if_modified_since: Some(2000), ..get }),
            Plan::Whole
        );
        assert_eq!(plan(file, Conditions { if_match: Some("\"a\""), ..get }), Plan::PreconditionFailed);
        assert_eq!(
            plan(file, Conditions { if_unmodified_since: Some(999), ..get }),
            Plan::PreconditionFailed
        );
    }
}
