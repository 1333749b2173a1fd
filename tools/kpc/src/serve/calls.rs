//! The operators' calls beside ordering and power: what is kept of a scan, machines by the list, variables, disks, the
//! inventory in its other forms, and copies of the store.

use std::sync::Arc;

use bootcfg::check::{Checks, Finding, check};
use bootcfg::driver::store::Store as _;
use bootcfg::{Labels, Limits, transpile};
use fleet::inventory::{self, DhcpServer, Include};
use fleet::{Command, Mac, NewMachine};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json as value};

use crate::api;
use crate::serve::http::{Body, fault, json, read_call, typed};
use crate::serve::operators::{Operators, new_machine};

/// Events that one call returns.
const MAX_EVENTS: usize = 1000;

impl Operators {
    /// The calls of this file that may change things; the request comes back where it is none of them.
    pub(crate) async fn more(
        &self,
        by: &str,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Request<Incoming>> {
        if request.method() != Method::POST {
            return Err(request);
        }
        Ok(match request.uri().path() {
            "/v1/bmc" => self.scanned(by, request).await,
            "/v1/import" => self.import(by, request).await,
            "/v1/rename" => {
                self.call(by, request, |api::Rename { from, to }| Command::Rename { from, to }).await
            }
            "/v1/replace" => {
                self.call(by, request, |api::Replace { old, new }| Command::Replace { old, new }).await
            }
            "/v1/disk" => {
                let command = |api::Disk { name, serial }| Command::SetDisk { name, serial };
                self.call(by, request, command).await
            }
            "/v1/var" => {
                let command = |api::Var { scope, key, value }| Command::SetVar { scope, key, value };
                self.call(by, request, command).await
            }
            "/v1/adopt-unknown" => self.adopt_unknown(by, request).await,
            _ => return Err(request),
        })
    }

    /// One command from one body.
    async fn call<T: serde::de::DeserializeOwned>(
        &self,
        by: &str,
        request: Request<Incoming>,
        command: impl FnOnce(T) -> Command,
    ) -> Response<Body> {
        match read_call::<T>(request).await {
            Ok(call) => self.command(by, command(call)).await,
            Err(answer) => answer,
        }
    }

    async fn command(&self, by: &str, command: Command) -> Response<Body> {
        let who = by.to_owned();
        match self.state.change(move |fleet, now| fleet.command(now, &who, command)).await {
            Ok(Ok(_)) => json(StatusCode::OK, &value!({ "done": true })),
            Ok(Err(refusal)) => fault(StatusCode::CONFLICT, &refusal.to_string()),
            Err(error) => fault(StatusCode::SERVICE_UNAVAILABLE, &error),
        }
    }

    async fn adopt_unknown(&self, by: &str, request: Request<Incoming>) -> Response<Body> {
        let call: api::AdoptUnknown = match read_call(request).await {
            Ok(call) => call,
            Err(answer) => return answer,
        };
        match call.mac.parse::<Mac>() {
            Ok(mac) => self.command(by, Command::AdoptUnknown { mac, name: call.name }).await,
            Err(error) => fault(StatusCode::BAD_REQUEST, &format!("{}: {error}", call.mac)),
        }
    }

    /// Keeps what a scan found to be right: logins first, then the machines.
    async fn scanned(&self, by: &str, request: Request<Incoming>) -> Response<Body> {
        let scanned: Vec<api::Scanned> = match read_call(request).await {
            Ok(scanned) => scanned,
            Err(answer) => return answer,
        };
        let logins = scanned.iter().filter_map(|one| Some((one.address, one.login.clone()?))).collect();
        let login = self.login.clone();
        if let Err(error) = blocking(move || login.keep(logins)).await.and_then(|kept| kept) {
            return fault(StatusCode::SERVICE_UNAVAILABLE, &error);
        }
        let mut outcomes = Vec::new();
        for one in scanned {
            match self.keep_scanned(by, &one).await {
                Ok(outcome) => outcomes.push(outcome),
                Err(error) => return fault(StatusCode::SERVICE_UNAVAILABLE, &error),
            }
        }
        json(StatusCode::OK, &outcomes)
    }

    /// One BMC of a scan: a machine that is known by its BMC's address, GUID or serial stays what it is.
    async fn keep_scanned(&self, by: &str, one: &api::Scanned) -> Result<api::Outcome, String> {
        let guid: Option<fleet::Uuid> = one.guid.as_deref().and_then(|guid| guid.parse().ok());
        let guid = guid.filter(|guid| guid.is_telling());
        let (by, asked) = (by.to_owned(), one.clone());
        self.state
            .change(move |fleet, now| {
                let known = fleet.machines().find(|machine| {
                    let bmc = machine.bmc.as_ref();
                    let same_guid = guid.is_some_and(|guid| {
                        bmc.and_then(|bmc| bmc.guid).is_some_and(|known| known.matches(guid))
                    });
                    let same_serial = asked.serial.is_some() && machine.serial == asked.serial;
                    let same_place =
                        bmc.is_some_and(|bmc| bmc.address == asked.address && bmc.port == asked.port);
                    same_guid || same_serial || same_place
                });
                let bmc = fleet::Bmc { port: asked.port, guid, ..fleet::Bmc::at(asked.address) };
                if let Some(known) = known {
                    let name = known.name.clone();
                    let moved = known.bmc.as_ref().is_none_or(|known| known.address != bmc.address);
                    if !moved {
                        return api::Outcome { name, ok: true, detail: "known".to_owned() };
                    }
                    let set = Command::SetBmc { name: name.clone(), bmc: Some(bmc) };
                    return match fleet.command(now, &by, set) {
                        Ok(_) => {
                            api::Outcome { name, ok: true, detail: format!("BMC now at {}", asked.address) }
                        }
                        Err(refusal) => api::Outcome { name, ok: false, detail: refusal.to_string() },
                    };
                }
                let name = asked.name.clone().unwrap_or_else(|| free_name(fleet, &asked.naming));
                let new = NewMachine {
                    name: name.clone(),
                    uuid: guid,
                    serial: asked.serial.clone(),
                    bmc: Some(bmc),
                    rack: asked.rack.clone(),
                    ..NewMachine::default()
                };
                match fleet.command(now, &by, Command::AddMachine(new)) {
                    Ok(_) => api::Outcome { name, ok: true, detail: "added".to_owned() },
                    Err(refusal) => api::Outcome { name, ok: false, detail: refusal.to_string() },
                }
            })
            .await
    }

    /// A list of machines, each added or refused with its reason.
    async fn import(&self, by: &str, request: Request<Incoming>) -> Response<Body> {
        let list: Vec<api::AddMachine> = match read_call(request).await {
            Ok(list) => list,
            Err(answer) => return answer,
        };
        let mut news = Vec::new();
        for add in list {
            let name = add.name.clone();
            match new_machine(add) {
                Ok(new) => news.push(new),
                Err(error) => return fault(StatusCode::BAD_REQUEST, &format!("{name}: {error}")),
            }
        }
        let who = by.to_owned();
        let outcomes = self.state.change(move |fleet, now| {
            news.into_iter()
                .map(|new| {
                    let name = new.name.clone();
                    match fleet.command(now, &who, Command::AddMachine(new)) {
                        Ok(_) => api::Outcome { name, ok: true, detail: "added".to_owned() },
                        Err(refusal) => api::Outcome { name, ok: false, detail: refusal.to_string() },
                    }
                })
                .collect::<Vec<_>>()
        });
        match outcomes.await {
            Ok(outcomes) => json(StatusCode::OK, &outcomes),
            Err(error) => fault(StatusCode::SERVICE_UNAVAILABLE, &error),
        }
    }

    /// The calls of this file that read; `None` where it is none of them.
    pub(crate) async fn read_more(&self, path: &str, query: &str) -> Option<Response<Body>> {
        let labels = Labels::from_pairs(query.split('&').filter_map(|pair| pair.split_once('=')));
        let include = if labels.get("all").is_some() { Include::AllStates } else { Include::Registered };
        let text = |body: String| Some(typed(StatusCode::OK, "text/plain; charset=utf-8", body));
        match path {
            "/v1/inventory" if labels.get("all").is_some() => {
                text(self.state.read(|fleet, _| inventory::list_text(fleet, include)))
            }
            "/v1/inventory-static" => {
                text(self.state.read(|fleet, _| inventory::static_text(fleet, include)))
            }
            "/v1/known-hosts" => text(self.state.read(|fleet, _| inventory::known_hosts(fleet, include))),
            "/v1/reservations" => {
                let server = match labels.get("server") {
                    Some("dnsmasq") => DhcpServer::Dnsmasq,
                    Some("isc") => DhcpServer::Dhcpd,
                    Some("kea") => DhcpServer::Kea,
                    _ => return Some(fault(StatusCode::BAD_REQUEST, "the server is isc, kea or dnsmasq")),
                };
                text(self.state.read(|fleet, _| inventory::reservations(fleet, include, server)))
            }
            "/v1/timeline" => {
                let after = labels.get("after").and_then(|after| after.parse().ok()).unwrap_or(0);
                let events: Vec<Value> = self.state.read(|fleet, _| {
                    fleet
                        .events_after(after, MAX_EVENTS)
                        .into_iter()
                        .map(|event| event_value(&event))
                        .collect()
                });
                Some(json(StatusCode::OK, &events))
            }
            "/v1/check" => Some(match self.check().await {
                Ok(findings) => json(StatusCode::OK, &findings),
                Err(error) => fault(StatusCode::INTERNAL_SERVER_ERROR, &error),
            }),
            "/v1/unknown" => Some(json(StatusCode::OK, &self.state.read(|fleet, _| fleet.unknown()))),
            _ => None,
        }
    }

    /// A copy of the store. It holds claims: never on the page.
    pub(crate) async fn backup(&self) -> Response<Body> {
        let (now, state) = (crate::serve::state::now(), Arc::clone(&self.state));
        let write = move || {
            let records = state.copy()?;
            fleet::backup::write(&records, now).map_err(|error| error.to_string())
        };
        match blocking(write).await.and_then(|text| text) {
            Ok(text) => typed(StatusCode::OK, "application/x-ndjson", text),
            Err(error) => fault(StatusCode::SERVICE_UNAVAILABLE, &error),
        }
    }

    /// Every fault of groups, profiles, templates and assets.
    async fn check(&self) -> Result<Value, String> {
        let (catalog, assets) = (self.store.snapshot(), self.assets.clone());
        let findings = blocking(move || {
            let exists = |path: &str| assets.join(path).is_file();
            let checks =
                Checks { transpile: &transpile::Ignition, limits: &Limits::default(), asset: Some(&exists) };
            check(&catalog, checks)
        });
        let value = |finding: &Finding| {
            value!({
                "severity": finding.severity.as_str(), "code": finding.code, "file": finding.file,
                "line": finding.line, "column": finding.column, "message": finding.message,
            })
        };
        Ok(findings.await?.iter().map(value).collect())
    }
}

/// Work that waits for a disk or takes its time, on a thread where that holds nobody up.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
}

/// An event as the calls show it.
pub(crate) fn event_value(event: &fleet::Event) -> Value {
    value!({
        "seq": event.seq, "at": event.at, "machine": event.name, "attempt": event.attempt,
        "line": event.kind.line(), "alarm": event.kind.is_alarm(),
    })
}

/// The first free name of a naming rule: `kpc-{}` gives `kpc-01`, `kpc-02`, ….
fn free_name(fleet: &fleet::Fleet, rule: &str) -> String {
    let rule = if rule.contains("{}") { rule.to_owned() } else { format!("{rule}{{}}") };
    let names = (1..).map(|number| rule.replace("{}", &format!("{number:02}")));
    names.into_iter().find(|name| fleet.machine_named(name).is_none()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule() {
        let mut fleet = fleet::Fleet::new(fleet::Config::default());
        assert_eq!(free_name(&fleet, "rack1-{}"), "rack1-01");
        let new = NewMachine {
            name: "rack1-01".to_owned(),
            macs: vec!["52:54:00:00:00:21".parse().unwrap()],
            ..NewMachine::default()
        };
        fleet.command(fleet::Timestamp::from_millis(1), "test", Command::AddMachine(new)).unwrap();
        assert_eq!(free_name(&fleet, "rack1-{}"), "rack1-02");
        assert_eq!(free_name(&fleet, "kpc-"), "kpc-01");
    }
}
