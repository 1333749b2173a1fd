//! The host's own certificate authority and the certificates that come from it: the server's, and one for an operator.
//! Made once; what is there stays.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use super::files::{Written, secret, text};
use super::network::Interface;

/// `ca.pem`, `ca.key`, `server.pem`, `server.key`, `operator.pem`, `operator.key` in `folder`.
pub(super) fn write(folder: &Path, interface: &Interface) -> Result<Vec<Written>, String> {
    let said = |error: rcgen::Error| format!("certificates: {error}");
    let (authority, key) = (folder.join("ca.pem"), folder.join("ca.key"));
    let wanted = ["ca.pem", "ca.key", "server.pem", "server.key", "operator.pem", "operator.key"];
    if wanted.iter().all(|name| folder.join(name).exists()) {
        return Ok(wanted.iter().map(|name| Written::kept(folder.join(name))).collect());
    }
    if authority.exists() != key.exists() {
        return Err(format!(
            "{}: one of ca.pem and ca.key is missing; put it back, or move the other away for a new authority",
            folder.display()
        ));
    }
    let mut written = Vec::new();
    if !key.exists() {
        let (pem, pair) = new_authority().map_err(said)?;
        written.push(secret(&key, pair.serialize_pem().as_bytes())?);
        written.push(text(&authority, &pem)?);
    } else {
        written.extend([Written::kept(authority.clone()), Written::kept(key.clone())]);
    }
    let read =
        |path: &Path| std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    let pair = KeyPair::from_pem(&read(&key)?).map_err(said)?;
    // The authority's certificate is always made of these parts, so they say who issues.
    let issuer = Issuer::new(authority_parts().map_err(said)?, pair);
    for (name, server) in [("server", true), ("operator", false)] {
        let (pem, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        if pem.exists() && key.exists() {
            written.extend([Written::kept(pem), Written::kept(key)]);
            continue;
        }
        let pair = KeyPair::generate().map_err(said)?;
        let certificate = leaf(name, server, interface)
            .and_then(|params| params.signed_by(&pair, &issuer))
            .map_err(said)?;
        written.push(secret(&key, pair.serialize_pem().as_bytes())?);
        written.push(text(&pem, &certificate.pem())?);
    }
    Ok(written)
}

fn new_authority() -> Result<(String, KeyPair), rcgen::Error> {
    let pair = KeyPair::generate()?;
    let pem = authority_parts()?.self_signed(&pair)?.pem();
    Ok((pem, pair))
}

fn authority_parts() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "kpc authority of this host");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    lasting(&mut params);
    Ok(params)
}

fn leaf(name: &str, server: bool, interface: &Interface) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, format!("kpc {name}"));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    if server {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = vec![
            SanType::DnsName("localhost".try_into()?),
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
            SanType::IpAddress(IpAddr::V4(interface.address)),
        ];
    } else {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    }
    lasting(&mut params);
    Ok(params)
}

/// Ten years from a fixed day: nothing here asks the clock, which may be wrong on a host that was just set up.
fn lasting(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2036, 1, 1);
}
