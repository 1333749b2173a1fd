//! Paths to endpoints, as Go's `ServeMux` routes them: exact paths, a clean-up that redirects, one subtree for assets.

use crate::compat::Compat;
use crate::labels::percent_decode;

/// An endpoint whose answer depends on the machine.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Endpoint {
    /// `/ipxe`
    Ipxe,
    /// `/grub`
    Grub,
    /// `/ignition`
    Ignition,
    /// `/cloud`
    Cloud,
    /// `/generic`
    Generic,
    /// `/metadata`
    Metadata,
    /// `/pixiecore/v1/boot/MAC`, bootcfg v0.4.0 only.
    Pixiecore,
}

impl Endpoint {
    /// All endpoints.
    pub const ALL: [Self; 7] =
        [Self::Ipxe, Self::Grub, Self::Ignition, Self::Cloud, Self::Generic, Self::Metadata, Self::Pixiecore];

    /// The name in logs and metrics, and the path without its slash.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ipxe => "ipxe",
            Self::Grub => "grub",
            Self::Ignition => "ignition",
            Self::Cloud => "cloud",
            Self::Generic => "generic",
            Self::Metadata => "metadata",
            Self::Pixiecore => "pixiecore",
        }
    }
}

/// Which detached signature of an answer is asked for instead of the answer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SignatureForm {
    /// `.sig`: octets.
    Binary,
    /// `.asc`: ASCII armor.
    Armored,
}

/// Where a request goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Route {
    /// `/`: the program's name.
    Home,
    /// `/boot.ipxe` and `/boot.ipxe.0`.
    BootScript,
    /// An endpoint that selects.
    Endpoint(Endpoint),
    /// The MAC (or what should be one) in a pixiecore path.
    Pixiecore(Vec<u8>),
    /// Below `/assets/`: the decoded rest of the path.
    Asset(Vec<u8>),
    /// To this location (path and query), because the path was not clean.
    Redirect(String),
    /// Nothing there.
    NotFound,
    /// The path has a `%` that is not followed by two hex digits.
    BadPath,
}

/// A route and the signature asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Routed {
    /// Where to.
    pub route: Route,
    /// `.sig` or `.asc` at the end of a known path.
    pub signature: Option<SignatureForm>,
}

impl Route {
    /// Routes a path as sent (still percent-encoded) and its query.
    ///
    /// ```
    /// use bootcfg::{Compat, Endpoint, Route};
    /// let route = |path| Route::parse(path, None, Compat::Matchbox).route;
    /// assert_eq!(route("/ipxe"), Route::Endpoint(Endpoint::Ipxe));
    /// assert_eq!(route("//boot.ipxe"), Route::Redirect("/boot.ipxe".into()));
    /// assert_eq!(route("/ipxe/"), Route::NotFound);
    /// ```
    pub fn parse(path: &str, query: Option<&str>, compat: Compat) -> Routed {
        let plain = |route| Routed { route, signature: None };
        let Some(decoded) = percent_decode(path.as_bytes(), false) else { return plain(Route::BadPath) };
        // Today's Go cleans the path as sent, Go 1.19 the decoded one.
        let (as_sent, cleaned) = if compat == Compat::Bootcfg040 {
            let text = String::from_utf8_lossy(&decoded).into_owned();
            let cleaned = clean_slash(&text);
            (text, cleaned)
        } else {
            (path.to_string(), clean_slash(path))
        };
        if cleaned != as_sent || decoded == b"/assets" {
            let target = if decoded == b"/assets" { "/assets/".to_string() } else { cleaned };
            let query = query.map(|query| format!("?{query}")).unwrap_or_default();
            return plain(Route::Redirect(target + &query));
        }
        if let Some(rest) = decoded.strip_prefix(b"/assets/") {
            return plain(Route::Asset(rest.to_vec()));
        }
        if compat == Compat::Bootcfg040 && decoded.starts_with(b"/pixiecore/v1/boot/") {
            return plain(Route::Pixiecore(base(&decoded).to_vec()));
        }
        match (fixed(&decoded), signature(&decoded)) {
            (Some(route), _) => plain(route),
            (None, Some((rest, form))) => match fixed(rest) {
                Some(Route::Home) | None => plain(Route::NotFound),
                Some(route) => Routed { route, signature: Some(form) },
            },
            (None, None) => plain(Route::NotFound),
        }
    }
}

fn fixed(path: &[u8]) -> Option<Route> {
    Some(match path {
        b"/" => Route::Home,
        b"/boot.ipxe" | b"/boot.ipxe.0" => Route::BootScript,
        b"/ipxe" => Route::Endpoint(Endpoint::Ipxe),
        b"/grub" => Route::Endpoint(Endpoint::Grub),
        b"/ignition" => Route::Endpoint(Endpoint::Ignition),
        b"/cloud" => Route::Endpoint(Endpoint::Cloud),
        b"/generic" => Route::Endpoint(Endpoint::Generic),
        b"/metadata" => Route::Endpoint(Endpoint::Metadata),
        _ => return None,
    })
}

/// What a path with `.sig` or `.asc` at its end is the signature of.
pub(crate) fn signature(path: &[u8]) -> Option<(&[u8], SignatureForm)> {
    let binary = path.strip_suffix(b".sig").map(|rest| (rest, SignatureForm::Binary));
    binary.or_else(|| path.strip_suffix(b".asc").map(|rest| (rest, SignatureForm::Armored)))
}

/// Go's `filepath.Base`.
fn base(path: &[u8]) -> &[u8] {
    path.split(|&octet| octet == b'/').rfind(|part| !part.is_empty()).unwrap_or(b"/")
}

/// Go's `cleanPath`: rooted, no `.`, `..` or double slashes; a trailing slash stays.
fn clean_slash(path: &str) -> String {
    let mut cleaned = format!("/{}", crate::path::clean(path));
    if path.ends_with('/') && cleaned != "/" {
        cleaned.push('/');
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str, compat: Compat) -> Route {
        Route::parse(path, None, compat).route
    }

    #[test]
    fn encoded_dots_redirect_only_in_old_go() {
        assert_eq!(route("/assets/%2e%2e/x", Compat::Matchbox), Route::Asset(b"../x".to_vec()));
        assert_eq!(route("/assets/%2e%2e/x", Compat::Bootcfg040), Route::Redirect("/x".into()));
        assert_eq!(route("/%62oot.ipxe", Compat::Matchbox), Route::BootScript);
        assert_eq!(route("/%zz", Compat::Matchbox), Route::BadPath);
    }

    #[test]
    fn the_query_survives_a_redirect() {
        let routed = Route::parse("/./ipxe", Some("boot=full"), Compat::Matchbox);
        assert_eq!(routed.route, Route::Redirect("/ipxe?boot=full".into()));
        assert_eq!(route("/assets", Compat::Matchbox), Route::Redirect("/assets/".into()));
    }

    #[test]
    fn pixiecore_takes_the_last_part() {
        assert_eq!(
            route("/pixiecore/v1/boot/a/b/52-54", Compat::Bootcfg040),
            Route::Pixiecore(b"52-54".to_vec())
        );
        assert_eq!(route("/pixiecore/v1/boot/", Compat::Bootcfg040), Route::Pixiecore(b"boot".to_vec()));
        assert_eq!(route("/pixiecore/v1/boot/x", Compat::Matchbox), Route::NotFound);
    }

    #[test]
    fn signatures_are_endings_of_known_paths() {
        let routed = Route::parse("/metadata.asc", None, Compat::Matchbox);
        assert_eq!(
            (routed.route, routed.signature),
            (Route::Endpoint(Endpoint::Metadata), Some(SignatureForm::Armored))
        );
        assert_eq!(route("/.sig", Compat::Matchbox), Route::NotFound);
    }
}
