//! Ranges and conditions of a GET as Go's `http.ServeContent` answers them (RFC 9110 §13, §14), as values: what is
//! known of the request and of the content goes in, status, headers and the ranges to send come out.

use crate::compat::Compat;

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
    /// Answer as Go did before 1.20: a range of an empty file is an error.
    pub before_go_120: bool,
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
pub fn plan<'a>(content: Content<'_>, conditions: Conditions<'a>) -> Plan {
    let given = |value: Option<&'a str>| value.filter(|value| !value.is_empty());
    if let Some(want) = given(conditions.if_match) {
        if !has_star(want) {
            return Plan::PreconditionFailed; // there are no entity tags here, so no list can match
        }
    } else if let (Some(limit), Some(modified)) = (conditions.if_unmodified_since, content.modified)
        && modified > limit
    {
        return Plan::PreconditionFailed;
    }
    if let Some(have) = given(conditions.if_none_match) {
        if has_star(have) {
            return if conditions.is_get { Plan::NotModified } else { Plan::PreconditionFailed };
        }
    } else if let (Some(since), Some(modified), true) =
        (conditions.if_modified_since, content.modified, conditions.is_get)
        && modified <= since
    {
        return Plan::NotModified;
    }
    let Some(range) = given(conditions.range) else { return Plan::Whole };
    if conditions.is_get
        && given(conditions.if_range).is_some()
        && (conditions.if_range_date.is_none() || conditions.if_range_date != content.modified)
    {
        return Plan::Whole;
    }
    match parse_range(range, content.size) {
        Err(RangeError::Invalid) => Plan::BadRange { text: "invalid range\n", name_size: false },
        Err(RangeError::NoOverlap) if content.size == 0 && !conditions.before_go_120 => Plan::Whole,
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
        let Some((tag, after)) = tag.strip_prefix('"').and_then(|tag| tag.split_once('"')) else {
            return false;
        };
        // RFC 9110 §8.8.3: no white space and no control characters inside the quotes.
        if tag.bytes().any(|octet| octet <= b' ' || octet == 0x7f) {
            return false;
        }
        rest = after.trim_start_matches([' ', '\t', ',']);
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
    text.parse::<i64>().ok().and_then(|number| u64::try_from(number).ok()).ok_or(RangeError::Invalid)
}

/// The type of a file by its ending, from Go's built-in table: the one of Go 1.19 for v0.4.0, of Go 1.26 for the others.
pub fn type_by_extension(name: &str, compat: Compat) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    let extension = extension.to_lowercase();
    let known = match extension.as_str() {
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
        _ if compat == Compat::Bootcfg040 => return None,
        newer => return type_since_go_126(newer),
    };
    Some(known)
}

/// What Go's table has beside since 1.26.
fn type_since_go_126(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "ai" | "eps" | "ps" => "application/postscript",
        "apk" => "application/vnd.android.package-archive",
        "apng" => "image/apng",
        "bin" | "com" | "exe" => "application/octet-stream",
        "bmp" => "image/bmp",
        "csv" => "text/csv; charset=utf-8",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "ehtml" | "shtml" => "text/html; charset=utf-8",
        "eml" => "message/rfc822",
        "flac" => "audio/flac",
        "gz" => "application/gzip",
        "ico" => "image/vnd.microsoft.icon",
        "ics" => "text/calendar; charset=utf-8",
        "jfif" | "pjp" | "pjpeg" => "image/jpeg",
        "m4a" => "audio/mp4",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "oga" | "ogg" | "opus" => "audio/ogg",
        "ogv" => "video/ogg",
        "ppt" => "application/vnd.ms-powerpoint",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "rdf" => "application/rdf+xml",
        "rtf" => "application/rtf",
        "text" | "txt" => "text/plain; charset=utf-8",
        "tif" | "tiff" => "image/tiff",
        "vtt" => "text/vtt; charset=utf-8",
        "wav" => "audio/wav",
        "webm" => "audio/webm",
        "xbl" | "xsl" => "text/xml; charset=utf-8",
        "xbm" => "image/x-xbitmap",
        "xht" | "xhtml" => "application/xhtml+xml",
        "xls" => "application/vnd.ms-excel",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "zip" => "application/zip",
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
    fn endings_have_the_types_of_their_go() {
        let types =
            |name| [Compat::Bootcfg040, Compat::Matchbox].map(|compat| type_by_extension(name, compat));
        assert_eq!(types("initrd.cpio.GZ"), [None, Some("application/gzip")]);
        assert_eq!(types("a.JSON"), [Some("application/json"); 2]);
        assert_eq!([types("vmlinuz"), types("x."), types("a.img")], [[None; 2]; 3]);
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
        assert_eq!(plan(file, Conditions { if_match: Some("\"a\", *"), ..get }), Plan::Whole);
        assert_eq!(plan(file, Conditions { if_match: Some("\"a b\", *"), ..get }), Plan::PreconditionFailed);
        assert_eq!(plan(file, Conditions { if_match: Some(""), ..get }), Plan::Whole);
        let since = Conditions { if_none_match: Some(""), if_modified_since: Some(2000), ..get };
        assert_eq!(plan(file, since), Plan::NotModified);
        let ranged = Conditions { range: Some("bytes=1-2"), if_range: Some("\"a\""), ..get };
        assert_eq!(plan(file, ranged), Plan::Whole);
        let part = Plan::Part(Span { start: 1, length: 2 });
        assert_eq!(plan(file, Conditions { is_get: false, ..ranged }), part);
        assert_eq!(
            plan(file, Conditions { if_range: Some("now"), if_range_date: Some(1000), ..ranged }),
            part
        );
        let empty = Content { size: 0, ..file };
        assert_eq!(plan(empty, Conditions { range: Some("bytes=0-"), ..get }), Plan::Whole);
        assert_eq!(
            plan(file, Conditions { if_unmodified_since: Some(999), ..get }),
            Plan::PreconditionFailed
        );
    }
}
