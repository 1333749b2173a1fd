//! Rules for what is fetched: resources, other configs, certificates, proxies.

use super::{duplicates, filled};
use crate::report::{At, Report};
use crate::source::{Schemes, check_hash, check_header_scheme, check_url};
use crate::url::Url;
use crate::v3::{Ignition, Resource};

/// A resource of a file or a key.
pub(super) fn resource(resource: &Resource, level: u8, report: &mut Report, at: &At<'_>) {
    if !matches!(resource.compression.as_deref(), None | Some("" | "gzip")) {
        report.error("invalid-compression-method", "invalid compression method", &at.key("compression"));
    }
    if resource.verification.hash.is_some() && resource.source.is_none() {
        let message = "source must be specified if verification is specified";
        let code = "source-must-be-specified-if-verification-is-specified";
        report.error(code, message, &at.key("verification").key("hash"));
    }
    fetched(resource, level, report, at);
}

/// What even a reference to another config of 3.0 has: URL, hash, headers.
fn fetched(resource: &Resource, level: u8, report: &mut Report, at: &At<'_>) {
    if let Some(source) = filled(&resource.source)
        && let Err((code, message)) = check_url(source, Schemes::V3(level))
    {
        report.error(code, message, &at.key("source"));
    }
    if !resource.http_headers.is_empty() {
        let at = at.key("httpHeaders");
        match filled(&resource.source).map(check_header_scheme) {
            None => report.error("unable-to-parse-url", "unable to parse url", &at),
            Some(Err((code, message))) => report.error(code, message, &at),
            Some(Ok(())) => {}
        }
        for (index, header) in resource.http_headers.iter().enumerate() {
            let at = at.index(index);
            if header.name.is_empty() {
                report.error(
                    "http-header-name-can-t-be-empty",
                    "HTTP header name can't be empty",
                    &at.key("name"),
                );
            }
            if header.value.as_deref() == Some("") {
                report.error("unable-to-parse-http-header", "unable to parse HTTP header", &at.key("value"));
            }
        }
        duplicates(resource.http_headers.iter().map(|header| &header.name), report, &at);
    }
    if let Some(hash) = &resource.verification.hash
        && let Err((code, message)) = check_hash(hash, level >= 1)
    {
        report.error(code, message, &at.key("verification").key("hash"));
    }
}

/// A source that has to be there.
fn required(resource: &Resource, level: u8, report: &mut Report, at: &At<'_>) {
    match filled(&resource.source).map(|source| check_url(source, Schemes::V3(level))) {
        None => report.error("source-is-required", "source is required", at),
        Some(Err((code, message))) => report.error(code, message, at),
        Some(Ok(())) => {}
    }
}

/// Ignition's own part of the config.
pub(super) fn ignition(ignition: &Ignition, level: u8, report: &mut Report, at: &At<'_>) {
    let config = at.key("config");
    let merge = config.key("merge");
    for (index, reference) in ignition.config.merge.iter().enumerate() {
        let at = merge.index(index);
        if level == 0 {
            without_compression(reference, report, &at);
            fetched(reference, level, report, &at);
        } else {
            required(reference, level, report, &at);
            resource(reference, level, report, &at);
        }
    }
    duplicates(ignition.config.merge.iter().map(key), report, &merge);
    let at_replace = config.key("replace");
    if level == 0 {
        without_compression(&ignition.config.replace, report, &at_replace);
        fetched(&ignition.config.replace, level, report, &at_replace);
    } else {
        resource(&ignition.config.replace, level, report, &at_replace);
    }
    let security = at.key("security");
    let at_tls = security.key("tls");
    let authorities = at_tls.key("certificateAuthorities");
    let certificates = &ignition.security.tls.certificate_authorities;
    for (index, authority) in certificates.iter().enumerate() {
        let at = authorities.index(index);
        if level == 0 {
            without_compression(authority, report, &at);
            if filled(&authority.source).is_none() {
                report.error("invalid-url-scheme", "invalid url scheme", &at.key("source"));
            }
            fetched(authority, level, report, &at);
        } else {
            required(authority, level, report, &at);
            resource(authority, level, report, &at);
        }
    }
    duplicates(certificates.iter().map(key), report, &authorities);
    let proxy = at.key("proxy");
    check_proxy(&ignition.proxy.http_proxy, true, report, &proxy.key("httpProxy"));
    check_proxy(&ignition.proxy.https_proxy, false, report, &proxy.key("httpsProxy"));
    duplicates(ignition.proxy.no_proxy.iter(), report, &proxy.key("noProxy"));
}

fn key(resource: &Resource) -> &str {
    resource.source.as_deref().unwrap_or_default()
}

/// References to configs and certificates have no compression in 3.0.
fn without_compression(resource: &Resource, report: &mut Report, at: &At<'_>) {
    if resource.compression.is_some() {
        report.warn("unused-key", "unused key compression", &at.key("compression"));
    }
}

fn check_proxy(proxy: &Option<String>, plain: bool, report: &mut Report, at: &At<'_>) {
    let Some(proxy) = proxy else { return };
    match Url::parse(proxy, true) {
        Err(_) => report.error("unable-to-parse-url", "unable to parse url", at),
        Ok(url) if url.scheme == "http" && !plain => {
            let message = "insecure plaintext HTTP proxy specified for HTTPS resources";
            report.warn("insecure-plaintext-http-proxy-specified-for-https-resources", message, at);
        }
        Ok(url) if !matches!(url.scheme.as_str(), "http" | "https") => {
            report.error("proxies-must-be-http", "proxies must be http(s)", at);
        }
        Ok(_) => {}
    }
}
