//! A TFTP URL (RFC 3617): `tftp://HOST[:PORT]/PATH[;mode=MODE]`.

use percent_encoding::percent_decode_str;
use std::net::{SocketAddr, ToSocketAddrs};
use tftp::wire::Mode;

/// Where a file is.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct TftpUrl {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) path: Vec<u8>,
    pub(crate) mode: Mode,
}

/// What is wrong with a URL.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UrlError {
    #[error("`{0}` is no TFTP URL: write tftp://HOST[:PORT]/PATH")]
    Form(String),
    #[error("mode `{0}` is neither octet nor netascii")]
    Mode(String),
    #[error("cannot find the address of {host}: {source}")]
    Resolve { host: String, source: std::io::Error },
    #[error("{0} has no address")]
    NoAddress(String),
}

impl TftpUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let form = || UrlError::Form(text.to_owned());
        let rest = text.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("tftp://"));
        let rest = rest.and_then(|_| text.get(7..)).ok_or_else(form)?;
        let (authority, path) = rest.split_once('/').ok_or_else(form)?;
        let (path, mode) = match path.rsplit_once(";mode=") {
            None => (path, Mode::Octet),
            Some((path, mode)) if mode.eq_ignore_ascii_case("octet") => (path, Mode::Octet),
            Some((path, mode)) if mode.eq_ignore_ascii_case("netascii") => (path, Mode::Netascii),
            Some((_, mode)) => return Err(UrlError::Mode(mode.to_owned())),
        };
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(form)?;
                (host, port.strip_prefix(':'))
            }
            None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Ok(69), str::parse).map_err(|_| form())?;
        let path: Vec<u8> = percent_decode_str(path).collect();
        if host.is_empty() || path.is_empty() || path.contains(&0) {
            return Err(form());
        }
        Ok(Self { host: host.to_owned(), port, path, mode })
    }

    /// The first address of the host.
    pub(crate) fn address(&self) -> Result<SocketAddr, UrlError> {
        let found = (self.host.as_str(), self.port).to_socket_addrs();
        let mut found = found.map_err(|source| UrlError::Resolve { host: self.host.clone(), source })?;
        found.next().ok_or_else(|| UrlError::NoAddress(self.host.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        // RFC 3617 §3
        let url = TftpUrl::parse("tftp://[fd00::5]:6969/a%20b;mode=netascii").unwrap();
        let expected =
            TftpUrl { host: "fd00::5".into(), port: 6969, path: b"a b".into(), mode: Mode::Netascii };
        assert_eq!(url, expected);
        assert_eq!(TftpUrl::parse("TFTP://h/x/y").unwrap().path, b"x/y");
        for bad in [
            "http://h/x",
            "tftp://h",
            "tftp:///x",
            "tftp://h/",
            "tftp://h:x/y",
            "tftp://h/a%00",
            "t\u{e9}ftp://h/x",
        ] {
            assert!(TftpUrl::parse(bad).is_err(), "{bad}");
        }
        assert!(TftpUrl::parse("tftp://h/x;mode=mail").is_err());
    }
}
