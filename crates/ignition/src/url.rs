//! URLs as Go's `net/url` reads and writes them (RFC 3986 with Go's habits).
//!
//! Verdicts and bytes of the reference depend on what Go refuses, keeps and escapes, so this is not the WHATWG URL of
//! browsers. Ignition calls [`Url::parse`]; Fuze also writes the result.

/// A URL in parts. Percent escapes of path and host are decoded to octets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Url {
    pub(crate) scheme: String,
    pub(crate) opaque: String,
    pub(crate) user: Option<(Vec<u8>, Option<Vec<u8>>)>,
    pub(crate) host: Vec<u8>,
    pub(crate) path: Vec<u8>,
    raw_path: String,
    omit_host: bool,
    force_query: bool,
    pub(crate) raw_query: String,
    fragment: Vec<u8>,
    raw_fragment: String,
}

/// Why a text is no URL, in Go's words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct UrlError(pub(crate) String);

type Parsed<T> = Result<T, UrlError>;

fn fail<T>(message: impl Into<String>) -> Parsed<T> {
    Err(UrlError(message.into()))
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Part {
    Path,
    UserPassword,
    Host,
    Zone,
    Fragment,
}

fn must_escape(byte: u8, part: Part) -> bool {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => false,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'[' | b']'
        | b'<' | b'>' | b'"'
            if matches!(part, Part::Host | Part::Zone) =>
        {
            false
        }
        b'-' | b'_' | b'.' | b'~' => false,
        b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@' => match part {
            Part::Path => byte == b'?',
            Part::UserPassword => matches!(byte, b'@' | b'/' | b'?' | b':'),
            Part::Host | Part::Zone => true,
            Part::Fragment => false,
        },
        b'!' | b'(' | b')' | b'*' => part != Part::Fragment,
        _ => true,
    }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

fn unescape(text: &str, part: Part) -> Parsed<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'%' {
            let escape = bytes.get(at..at + 3).and_then(|triple| match triple {
                [_, high, low] => Some((hex(*high)?, hex(*low)?)),
                _ => None,
            });
            let shown = String::from_utf8_lossy(bytes.get(at..(at + 3).min(bytes.len())).unwrap_or_default());
            let Some((high, low)) = escape else {
                return fail(format!("invalid URL escape {shown:?}"));
            };
            let value = high << 4 | low;
            let percent = value == b'%';
            if part == Part::Host && high < 8 && !percent
                || part == Part::Zone && !percent && value != b' ' && must_escape(value, Part::Host)
            {
                return fail(format!("invalid URL escape {shown:?}"));
            }
            out.push(value);
            at += 3;
        } else {
            if matches!(part, Part::Host | Part::Zone) && byte < 0x80 && must_escape(byte, part) {
                return fail(format!("invalid character {:?} in host name", char::from(byte).to_string()));
            }
            out.push(byte);
            at += 1;
        }
    }
    Ok(out)
}

fn escape(octets: &[u8], part: Part, out: &mut String) {
    for &byte in octets {
        if must_escape(byte, part) {
            push_escaped(byte, out);
        } else {
            out.push(char::from(byte));
        }
    }
}

fn push_escaped(byte: u8, out: &mut String) {
    out.push('%');
    for digit in [byte >> 4, byte & 15] {
        out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase());
    }
}

fn escaped(octets: &[u8], part: Part) -> String {
    let mut out = String::new();
    escape(octets, part, &mut out);
    out
}

fn valid_encoded(text: &str, part: Part) -> bool {
    text.bytes().all(|byte| match byte {
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@' | b'['
        | b']' | b'%' => true,
        _ => !must_escape(byte, part),
    })
}

impl Url {
    /// Reads a URL or a relative reference.
    ///
    /// `strict` is Go 1.26 and later: only bracketed hosts have colons, and brackets hold an IPv6 address.
    pub(crate) fn parse(raw: &str, strict: bool) -> Parsed<Self> {
        let (head, fragment) = raw.split_once('#').unwrap_or((raw, ""));
        let mut url = Self::parse_head(head, strict)?;
        if !fragment.is_empty() {
            url.fragment = unescape(fragment, Part::Fragment)?;
            if escaped(&url.fragment, Part::Fragment) != fragment {
                url.raw_fragment = fragment.to_owned();
            }
        }
        Ok(url)
    }

    fn parse_head(raw: &str, strict: bool) -> Parsed<Self> {
        if raw.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return fail("net/url: invalid control character in URL");
        }
        let mut url = Self::default();
        if raw == "*" {
            url.path = b"*".to_vec();
            return Ok(url);
        }
        let (scheme, rest) = split_scheme(raw)?;
        url.scheme = scheme.to_ascii_lowercase();
        let mut rest = match rest.split_once('?') {
            Some((rest, "")) => {
                url.force_query = true;
                rest
            }
            Some((rest, query)) => {
                url.raw_query = query.to_owned();
                rest
            }
            None => rest,
        };
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                url.opaque = rest.to_owned();
                return Ok(url);
            }
            if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
                return fail("first path segment in URL cannot contain colon");
            }
        }
        if rest.starts_with("//") && (!url.scheme.is_empty() || !rest.starts_with("///")) {
            let after = rest.get(2..).unwrap_or_default();
            let authority;
            (authority, rest) = after.split_at(after.find('/').unwrap_or(after.len()));
            (url.user, url.host) = authority_parts(authority, strict)?;
        } else if !url.scheme.is_empty() && rest.starts_with('/') {
            url.omit_host = true;
        }
        url.path = unescape(rest, Part::Path)?;
        if escaped(&url.path, Part::Path) != rest {
            url.raw_path = rest.to_owned();
        }
        Ok(url)
    }

    /// The first value of a query parameter, or `None` if the query has no such name.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        self.raw_query.split('&').filter(|pair| !pair.contains(';')).find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |text: &str| {
                let text = text.replace('+', " ");
                unescape(&text, Part::Fragment)
                    .ok()
                    .map(|octets| String::from_utf8_lossy(&octets).into_owned())
            };
            (decode(key)? == name).then(|| decode(value)).flatten()
        })
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::new();
        if !self.scheme.is_empty() {
            out.push_str(&self.scheme);
            out.push(':');
        }
        if self.opaque.is_empty() {
            let authority = !self.host.is_empty() || self.user.is_some();
            if authority || !self.scheme.is_empty() && !self.omit_host {
                if authority || !self.path.is_empty() {
                    out.push_str("//");
                }
                if let Some((name, password)) = &self.user {
                    escape(name, Part::UserPassword, &mut out);
                    if let Some(password) = password {
                        out.push(':');
                        escape(password, Part::UserPassword, &mut out);
                    }
                    out.push('@');
                }
                escape(&self.host, Part::Host, &mut out);
            }
            let path = if !self.raw_path.is_empty() && valid_encoded(&self.raw_path, Part::Path) {
                self.raw_path.clone()
            } else if self.path == b"*" {
                "*".to_owned()
            } else {
                escaped(&self.path, Part::Path)
            };
            if !path.is_empty() && !path.starts_with('/') && !self.host.is_empty() {
                out.push('/');
            }
            if out.is_empty() && path.split('/').next().is_some_and(|segment| segment.contains(':')) {
                out.push_str("./");
            }
            out.push_str(&path);
        } else {
            out.push_str(&self.opaque);
        }
        if self.force_query || !self.raw_query.is_empty() {
            out.push('?');
            out.push_str(&self.raw_query);
        }
        if !self.fragment.is_empty() {
            out.push('#');
            if !self.raw_fragment.is_empty() && valid_encoded(&self.raw_fragment, Part::Fragment) {
                out.push_str(&self.raw_fragment);
            } else {
                escape(&self.fragment, Part::Fragment, &mut out);
            }
        }
        f.write_str(&out)
    }
}

fn split_scheme(raw: &str) -> Parsed<(&str, &str)> {
    for (at, byte) in raw.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return fail("missing protocol scheme"),
            b':' => {
                let (scheme, rest) = raw.split_at(at);
                return Ok((scheme, rest.get(1..).unwrap_or_default()));
            }
            _ => break,
        }
    }
    Ok(("", raw))
}

type User = Option<(Vec<u8>, Option<Vec<u8>>)>;

fn authority_parts(authority: &str, strict: bool) -> Parsed<(User, Vec<u8>)> {
    let Some((user, host)) = authority.rsplit_once('@') else {
        return Ok((None, host_of(authority, strict)?));
    };
    let host = host_of(host, strict)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
    if !user.bytes().all(allowed) {
        return fail("net/url: invalid userinfo");
    }
    let user = match user.split_once(':') {
        Some((name, password)) => {
            (unescape(name, Part::UserPassword)?, Some(unescape(password, Part::UserPassword)?))
        }
        None => (unescape(user, Part::UserPassword)?, None),
    };
    Ok((Some(user), host))
}

fn check_port(port: &str) -> Parsed<()> {
    match port.strip_prefix(':') {
        _ if port.is_empty() => Ok(()),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Ok(()),
        _ => fail(format!("invalid port {port:?} after host")),
    }
}

fn host_of(host: &str, strict: bool) -> Parsed<Vec<u8>> {
    if host.starts_with('[') {
        let Some(end) = host.rfind(']') else { return fail("missing ']' in host") };
        let (inside, rest) = host.split_at(end);
        check_port(rest.get(1..).unwrap_or_default())?;
        let address = inside.get(1..).unwrap_or_default();
        let literal = address.split("%25").next().unwrap_or_default();
        if strict && literal.parse::<std::net::Ipv6Addr>().is_err() {
            return fail("invalid IP-literal");
        }
        if let Some(zone) = inside.find("%25") {
            let (before, zone) = inside.split_at(zone);
            let mut out = unescape(before, Part::Host)?;
            out.extend(unescape(zone, Part::Zone)?);
            out.extend(unescape(rest, Part::Host)?);
            return Ok(out);
        }
    } else if let Some(colon) = host.rfind(':') {
        let (name, port) = host.split_at(colon);
        check_port(port)?;
        if strict && name.contains(':') {
            return fail("invalid host: colons in host must be bracketed");
        }
    }
    unescape(host, Part::Host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_as_go() {
        // RFC 3986 §3, net/url's String
        for (raw, printed) in [
            ("https://h.example/a b?x=1&y=<2>", "https://h.example/a%20b?x=1&y=<2>"),
            ("HTTP://u:p%40@H:80/%7Ea#f g", "http://u:p%40@H:80/%7Ea#f%20g"),
            ("data:,a%20b", "data:,a%20b"),
            ("/rel/é?", "/rel/%C3%A9?"),
            ("file:///etc/x", "file:///etc/x"),
            ("x:/y", "x:/y"),
            ("http://[::1%25eth0]:80/", "http://[::1%25eth0]:80/"),
        ] {
            assert_eq!(Url::parse(raw, true).unwrap().to_string(), printed);
        }
    }

    #[test]
    fn refuses_as_go() {
        for raw in [
            ":x",
            "http://a b/",
            "http://h:x/",
            "http://h/%zz",
            "a:b\n",
            "1a:b",
            "http://[::1",
            "http://::1/",
        ] {
            assert!(Url::parse(raw, true).is_err(), "{raw}");
        }
    }
}
