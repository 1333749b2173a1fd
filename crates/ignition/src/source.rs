//! References to contents: which URLs and hashes each generation takes.

use crate::data_url;
use crate::url::Url;

/// A broken rule: its code and what to say.
pub(crate) type Rule = (&'static str, String);

fn rule<T>(code: &'static str, message: &str) -> Result<T, Rule> {
    Err((code, message.to_owned()))
}

/// Whose schemes apply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Schemes {
    /// 2.x by minor number.
    V2(u8),
    /// 3.x by minor number.
    V3(u8),
}

/// Checks a URL that Ignition is to fetch.
pub(crate) fn check_url(text: &str, schemes: Schemes) -> Result<(), Rule> {
    // What most configs consist of, without taking it apart.
    if let Some(known) = quick(text) {
        return known;
    }
    let Ok(url) = Url::parse(text, true) else {
        return rule("unable-to-parse-url", "unable to parse url");
    };
    let allowed = match (url.scheme.as_str(), schemes) {
        ("http" | "https", _) => true,
        ("tftp", Schemes::V2(minor)) => minor >= 1,
        ("s3", Schemes::V2(minor)) => return if minor >= 1 { check_version_id(&url) } else { scheme() },
        ("oem", Schemes::V2(_)) | ("tftp", Schemes::V3(_)) => true,
        ("s3", Schemes::V3(_)) => return check_version_id(&url),
        ("gs", Schemes::V3(minor)) => minor >= 2,
        ("arn", Schemes::V3(minor)) if minor >= 4 => return check_arn(&url),
        ("data", _) => return data_url::decode(text).map(drop).map_err(|why| (why.code(), why.to_string())),
        _ => false,
    };
    if allowed { Ok(()) } else { scheme() }
}

fn scheme() -> Result<(), Rule> {
    rule("invalid-url-scheme", "invalid url scheme")
}

/// `data:,` with nothing but unreserved characters and complete escapes.
fn quick(text: &str) -> Option<Result<(), Rule>> {
    let mut bytes = text.strip_prefix("data:,")?.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                if !(bytes.next()?.is_ascii_hexdigit() && bytes.next()?.is_ascii_hexdigit()) {
                    return None;
                }
            }
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'_'
            | b'.'
            | b'!'
            | b'~'
            | b'*'
            | b'\''
            | b'('
            | b')' => {}
            _ => return None,
        }
    }
    Some(Ok(()))
}

fn check_version_id(url: &Url) -> Result<(), Rule> {
    match url.query("versionId") {
        Some(id) if id.is_empty() => rule("invalid-s3-object-versionid", "invalid S3 object VersionId"),
        _ => Ok(()),
    }
}

/// `arn:partition:s3:region:account:resource/key`.
fn check_arn(url: &Url) -> Result<(), Rule> {
    let invalid = || rule("invalid-s3-arn-format", "invalid S3 ARN format");
    let parts: Vec<&str> = url.opaque.splitn(5, ':').collect();
    let [_, service, _, _, resource] = parts.as_slice() else { return invalid() };
    let pieces = url.opaque.split('/').count();
    let needed = if resource.starts_with("accesspoint/") { 3 } else { 2 };
    if *service != "s3" || pieces < needed {
        return invalid();
    }
    check_version_id(url)
}

/// Checks `function-digits`.
pub(crate) fn check_hash(hash: &str, sha256: bool) -> Result<(), Rule> {
    let Some((function, sum)) = hash.split_once('-') else {
        return rule("malformed-hash-specifier", "malformed hash specifier");
    };
    let length = match function {
        "sha512" => 128,
        "sha256" if sha256 => 64,
        _ => return rule("unrecognized-hash-function", "unrecognized hash function"),
    };
    if sum.len() == length {
        Ok(())
    } else {
        rule("incorrect-size-for-hash-sum", "incorrect size for hash sum")
    }
}

/// Checks that request headers can be sent to the source.
pub(crate) fn check_header_scheme(source: &str) -> Result<(), Rule> {
    match Url::parse(source, true) {
        Ok(url) if matches!(url.scheme.as_str(), "http" | "https") => Ok(()),
        Ok(_) => rule(
            "cannot-use-http-headers-with-this-source-scheme",
            "cannot use HTTP headers with this source scheme",
        ),
        Err(_) => rule("unable-to-parse-url", "unable to parse url"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_by_version() {
        let code = |url, schemes| check_url(url, schemes).map_err(|(code, _)| code);
        assert_eq!(code("gs://b/o", Schemes::V3(1)), Err("invalid-url-scheme"));
        assert_eq!(code("gs://b/o", Schemes::V3(2)), Ok(()));
        assert_eq!(code("arn:aws:s3:::bucket/key", Schemes::V3(4)), Ok(()));
        assert_eq!(code("arn:aws:s3:::bucket", Schemes::V3(4)), Err("invalid-s3-arn-format"));
        assert_eq!(code("arn:aws:s3:r:1:accesspoint/x", Schemes::V3(4)), Err("invalid-s3-arn-format"));
        assert_eq!(code("s3://b/o?versionId=", Schemes::V3(0)), Err("invalid-s3-object-versionid"));
        assert_eq!(code("oem:///x", Schemes::V2(4)), Ok(()));
        assert_eq!(code("data:,a b", Schemes::V3(4)), Err("bad-data-url"));
        assert_eq!(code("data:,a\nb", Schemes::V3(4)), Err("unable-to-parse-url"));
    }
}
