//! The machines' side of HTTP: `/v1/report` and `/v1/register`, and everything else through bootcfg with the fleet's
//! decision. Nothing here is authenticated but by a claim's secret.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use fleet::{AgentKey, AgentPhase, ClaimSecret, Facts, Interface, Mac, Observation, Registration, Uuid};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;

use crate::serve::hook::BOOT_SCRIPT;
use crate::serve::http::{Body, fault, json, read_json, typed, whole};
use crate::serve::state::State;

/// `POST /v1/report`: how far the agent is.
#[derive(Debug, Deserialize)]
struct Report {
    claim: String,
    phase: String,
    #[serde(default)]
    detail: String,
}

/// `POST /v1/register`: the running system says what and where it is.
#[derive(Debug, Deserialize)]
struct Register {
    #[serde(default)]
    claim: Option<String>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    uuid: Option<String>,
    #[serde(default)]
    serial: String,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    interfaces: Vec<RegisterInterface>,
    #[serde(default)]
    digests: Digests,
    #[serde(default)]
    ssh_host_keys: Vec<String>,
    #[serde(default)]
    agent_version: String,
}

#[derive(Debug, Deserialize)]
struct RegisterInterface {
    #[serde(default)]
    name: String,
    #[serde(default)]
    mac: Option<String>,
    #[serde(default)]
    addresses: Vec<IpAddr>,
}

/// SHA-256 of what the machine got and wrote, in hexadecimal.
#[derive(Debug, Default, Deserialize)]
struct Digests {
    #[serde(default)]
    kernel: Option<String>,
    #[serde(default)]
    initrd: Option<String>,
    #[serde(default)]
    ignition: Option<String>,
    #[serde(default)]
    files: BTreeMap<String, String>,
}

/// Answers one request of a machine; `None` when the path is not one of ours and bootcfg shall answer.
pub(crate) async fn answer(
    state: &Arc<State>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Body>, Request<Incoming>> {
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/v1/report") => Ok(report(state, request).await),
        (&Method::POST, "/v1/register") => Ok(register(state, peer, request).await),
        (_, "/v1/report" | "/v1/register") => Ok(fault(StatusCode::METHOD_NOT_ALLOWED, "POST it")),
        (_, "/boot.ipxe" | "/boot.ipxe.0") => {
            Ok(typed(StatusCode::OK, "text/plain; charset=utf-8", BOOT_SCRIPT))
        }
        (_, path) if path.starts_with("/v1/") => {
            Ok(fault(StatusCode::NOT_FOUND, "no such call for machines"))
        }
        _ => Err(request),
    }
}

async fn report(state: &Arc<State>, request: Request<Incoming>) -> Response<Body> {
    let report: Report = match read_json(request).await {
        Ok(report) => report,
        Err(answer) => return answer,
    };
    let Ok(claim) = report.claim.parse::<ClaimSecret>() else {
        return fault(StatusCode::BAD_REQUEST, "`claim` is 32 hexadecimal digits");
    };
    let phase = AgentPhase::parse(&report.phase, &report.detail);
    let detail =
        if report.detail.is_empty() { report.phase } else { format!("{}: {}", report.phase, report.detail) };
    let observation = Observation::AgentReport { claim, phase, detail };
    match state.change(move |fleet, now| fleet.observe(now, observation)) {
        Ok(Ok(_)) => {
            let mut response = Response::new(whole(""));
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        Ok(Err(ignored)) => fault(StatusCode::CONFLICT, &ignored.to_string()),
        Err(error) => fault(StatusCode::SERVICE_UNAVAILABLE, &error),
    }
}

async fn register(state: &Arc<State>, peer: SocketAddr, request: Request<Incoming>) -> Response<Body> {
    let register: Register = match read_json(request).await {
        Ok(register) => register,
        Err(answer) => return answer,
    };
    let registration = match register.into_registration(peer.ip()) {
        Ok(registration) => registration,
        Err(what) => return fault(StatusCode::BAD_REQUEST, &what),
    };
    match state.change(move |fleet, now| fleet.register(now, &registration)) {
        Ok(Ok(registered)) => {
            json(StatusCode::OK, &serde_json::json!({ "name": registered.name, "state": "registered" }))
        }
        Ok(Err(refused)) => fault(StatusCode::FORBIDDEN, &refused.to_string()),
        Err(error) => fault(StatusCode::SERVICE_UNAVAILABLE, &error),
    }
}

impl Register {
    /// The typed form; a fault names the field.
    fn into_registration(self, peer: IpAddr) -> Result<Registration, String> {
        let mut digests = BTreeMap::new();
        for (name, digest) in [
            ("kernel", self.digests.kernel),
            ("initrd", self.digests.initrd),
            ("ignition", self.digests.ignition),
        ] {
            if let Some(digest) = digest {
                digests.insert(name.to_owned(), digest);
            }
        }
        digests.extend(self.digests.files);
        let mut interfaces = Vec::new();
        for interface in self.interfaces {
            let mac = interface.mac.map(|mac| mac.parse::<Mac>()).transpose();
            let mac = mac.map_err(|error| format!("`interfaces`: {error}"))?;
            interfaces.push(Interface { name: interface.name, mac, addresses: interface.addresses });
        }
        Ok(Registration {
            claim: parsed("claim", self.claim)?,
            key: self.key.map(|key| agent_key(&key)).transpose()?,
            peer: Some(peer),
            uuid: parsed::<Uuid>("uuid", self.uuid)?,
            facts: Facts {
                hostname: self.hostname,
                serial: self.serial,
                interfaces,
                ssh_host_keys: self.ssh_host_keys,
                digests,
                agent_version: self.agent_version,
            },
        })
    }
}

fn parsed<T: std::str::FromStr>(field: &str, text: Option<String>) -> Result<Option<T>, String>
where
    T::Err: std::fmt::Display,
{
    match text.filter(|text| !text.is_empty()) {
        Some(text) => text.parse().map(Some).map_err(|error| format!("`{field}`: {error}")),
        None => Ok(None),
    }
}

fn agent_key(hexadecimal: &str) -> Result<AgentKey, String> {
    let mut key = [0_u8; 32];
    let digits = hexadecimal.as_bytes();
    if digits.len() != 64 {
        return Err("`key`: 64 hexadecimal digits".to_owned());
    }
    for (octet, pair) in key.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| "`key`: 64 hexadecimal digits")?;
        *octet = u8::from_str_radix(pair, 16).map_err(|_| "`key`: 64 hexadecimal digits")?;
    }
    Ok(AgentKey(key))
}
