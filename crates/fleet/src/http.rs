//! The machines' side of HTTP as values: a path and a body in, a status and a body out. Whoever owns the
//! socket reads the request, lets [`crate::store::Keeper::change`] run [`answer`], and sends what comes out,
//! or 503 when it is not durable.
//!
//! - `POST /v1/report` `{"claim","phase","detail","code","inventory":{"disks":[…]}}` → 204; `code` is for `failed`
//!   ([`HintCode::of_agent`]); it and the inventory may be left out
//! - `POST /v1/grant` `{"claim","nonce","serial","signatures":[…]}` → 200 `{"order","serial"}`
//! - `POST /v1/register` `{"claim"|"key","uuid","serial","hostname","interfaces":[{"name","mac","addresses"}],
//!   "digests":{…},"ssh_host_keys":[…],"agent_version"}` → 200 `{"name","state":"registered"}`
//!
//! Refusals are 400 (not understood), 403 (no claim, another key), 409 (understood, not now), each with
//! `{"error": words}`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::fleet::Fleet;
use crate::grant::{GrantRefused, GrantRequest};
use crate::hint::HintCode;
use crate::identity::{ClaimSecret, Uuid};
use crate::machine::{Disk, Facts, Interface};
use crate::observe::{AgentPhase, Ignored, Observation};
use crate::register::{AgentKey, RegisterRefused, Registration};
use crate::text::{MAX_DETAIL, clean};
use crate::time::Timestamp;

/// Longest body taken, in octets.
pub const MAX_BODY: usize = 64 << 10;

/// What to send back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// JSON, or nothing.
    pub body: String,
}

impl Answer {
    fn json(status: u16, value: &Value) -> Self {
        Self { status, body: format!("{value}\n") }
    }

    /// A refusal in words.
    pub fn error(status: u16, words: &str) -> Self {
        Self::json(status, &json!({ "error": words }))
    }
}

#[derive(Deserialize)]
struct Report {
    claim: ClaimSecret,
    phase: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    inventory: Option<Inventory>,
}

#[derive(Deserialize)]
struct Inventory {
    #[serde(default)]
    disks: Vec<Disk>,
}

#[derive(Deserialize)]
struct Ask {
    claim: ClaimSecret,
    nonce: ClaimSecret,
    serial: String,
    #[serde(default)]
    signatures: Vec<String>,
}

#[derive(Deserialize)]
struct Register {
    #[serde(default)]
    claim: Option<ClaimSecret>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    uuid: Option<String>,
    #[serde(default)]
    serial: String,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    interfaces: Vec<Interface>,
    #[serde(default)]
    digests: BTreeMap<String, Value>,
    #[serde(default)]
    ssh_host_keys: Vec<String>,
    #[serde(default)]
    agent_version: String,
}

/// Whether a path is one of these calls.
pub fn is_call(path: &str) -> bool {
    matches!(path, "/v1/report" | "/v1/grant" | "/v1/register")
}

/// Answers one request that came from `peer`.
pub fn answer(
    fleet: &mut Fleet,
    now: Timestamp,
    peer: IpAddr,
    method: &str,
    path: &str,
    body: &[u8],
) -> Answer {
    if !is_call(path) {
        return Answer::error(404, "no such call for machines");
    }
    if method != "POST" {
        return Answer::error(405, "POST it");
    }
    if body.len() > MAX_BODY {
        return Answer::error(413, "longer than any of these calls");
    }
    let answered = match path {
        "/v1/report" => read(body).map(|report| take_report(fleet, now, report)),
        "/v1/grant" => read(body).map(|ask| take_ask(fleet, now, ask)),
        _ => read(body)
            .and_then(|register| register_of(register, peer))
            .map(|register| take_register(fleet, now, &register)),
    };
    answered.unwrap_or_else(|words| Answer::error(400, &words))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| clean(&error.to_string(), MAX_DETAIL))
}

fn take_report(fleet: &mut Fleet, now: Timestamp, report: Report) -> Answer {
    if let Some(inventory) = report.inventory {
        let told = Observation::Inventory { claim: report.claim, disks: inventory.disks };
        if let Err(ignored) = fleet.observe(now, told) {
            return ignored_report(ignored);
        }
    }
    let phase = AgentPhase::parse(&report.phase, &report.detail);
    let detail = match (phase, report.detail.is_empty()) {
        (_, true) => report.phase,
        (AgentPhase::Note, false) => format!("{}: {}", report.phase, report.detail),
        (_, false) => report.detail,
    };
    let code = report.code.as_deref().map(HintCode::of_agent);
    match fleet.observe(now, Observation::AgentReport { claim: report.claim, phase, code, detail }) {
        Ok(_) => Answer { status: 204, body: String::new() },
        Err(ignored) => ignored_report(ignored),
    }
}

fn ignored_report(ignored: Ignored) -> Answer {
    let status = if ignored == Ignored::NoClaim { 403 } else { 409 };
    Answer::error(status, &ignored.to_string())
}

fn take_ask(fleet: &mut Fleet, now: Timestamp, ask: Ask) -> Answer {
    let request =
        GrantRequest { claim: ask.claim, nonce: ask.nonce, serial: ask.serial, signatures: ask.signatures };
    match fleet.grant(now, &request) {
        Ok(grant) => Answer::json(200, &json!({ "order": grant.order, "serial": grant.serial })),
        Err(refused @ GrantRefused::NoClaim) => Answer::error(403, &refused.to_string()),
        Err(refused) => Answer::error(409, &refused.to_string()),
    }
}

fn take_register(fleet: &mut Fleet, now: Timestamp, registration: &Registration) -> Answer {
    match fleet.register(now, registration) {
        Ok(registered) => Answer::json(200, &json!({ "name": registered.name, "state": "registered" })),
        Err(refused @ (RegisterRefused::NoClaim | RegisterRefused::OtherKey(_))) => {
            Answer::error(403, &refused.to_string())
        }
        Err(refused) => Answer::error(409, &refused.to_string()),
    }
}

fn register_of(register: Register, peer: IpAddr) -> Result<Registration, String> {
    let uuid = register.uuid.filter(|text| !text.is_empty()).map(|text| text.parse::<Uuid>());
    let key = register.key.filter(|text| !text.is_empty()).map(|text| text.parse::<AgentKey>());
    Ok(Registration {
        claim: register.claim,
        key: key.transpose().map_err(|error| format!("key: {error}"))?,
        peer: Some(peer),
        uuid: uuid.transpose().map_err(|error| format!("uuid: {error}"))?,
        facts: Facts {
            hostname: register.hostname,
            serial: register.serial,
            interfaces: register.interfaces,
            ssh_host_keys: register.ssh_host_keys,
            digests: flat(register.digests),
            agent_version: register.agent_version,
            disks: Vec::new(),
        },
    })
}

/// `{"kernel": hex, "files": {path: hex}}` as one map; anything else in it is left out.
fn flat(digests: BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (name, value) in digests {
        match value {
            Value::String(digest) => drop(out.insert(name, digest)),
            Value::Object(files) => {
                let text = |(name, value): (String, Value)| Some((name, value.as_str()?.to_owned()));
                out.extend(files.into_iter().filter_map(text));
            }
            _ => {}
        }
    }
    out
}
