//! The operators' side: the API on the socket (peer credentials) and, for reading, on the page's listener (login).

use std::net::IpAddr;
use std::sync::Arc;

use bootcfg::driver::store::{FileStore, Store as _};
use bytes::Bytes;
use fleet::inventory::Include;
use fleet::{Command, Lifecycle, NewMachine, Role, Selector};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json as value};

use crate::api;
use crate::serve::http::{Body, event_stream, fault, json, read_call, typed};
use crate::serve::install::Installs;
use crate::serve::power::{self, Action, Login};
use crate::serve::provision;
use crate::serve::state::State;
use crate::serve::why;

/// What the operators' API works on.
pub(crate) struct Operators {
    pub(crate) state: Arc<State>,
    pub(crate) login: Login,
    /// Groups, profiles and templates.
    pub(crate) store: Arc<FileStore>,
    /// The folder served below `/assets/`.
    pub(crate) assets: std::path::PathBuf,
    /// Profiles that write no disk.
    pub(crate) live_profiles: Vec<String>,
    /// What installing profiles write.
    pub(crate) installs: Arc<Installs>,
    /// Set when the server ends: streams of events end then.
    pub(crate) stopping: tokio::sync::watch::Receiver<bool>,
}

impl Operators {
    /// A call of an operator that may change things. `by` is who it is.
    pub(crate) async fn answer(&self, by: &str, request: Request<Incoming>) -> Response<Body> {
        let request = match self.more(by, request).await {
            Ok(answer) => return answer,
            Err(request) => request,
        };
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/v1/machines") => self.add(by, request).await,
            (&Method::POST, "/v1/plan") => self.plan(request).await,
            (&Method::POST, "/v1/provision") => self.provision(by, request).await,
            (&Method::POST, "/v1/cancel") => self.selected(by, request, Command::Cancel).await,
            (&Method::POST, "/v1/retry") => self.selected(by, request, Command::Retry).await,
            (&Method::POST, "/v1/adopt") => self.selected(by, request, Command::Adopt).await,
            (&Method::POST, "/v1/resolve") => self.selected(by, request, Command::Resolve).await,
            (&Method::POST, "/v1/label") => self.labelled(by, request).await,
            (&Method::POST, "/v1/retire") => self.selected(by, request, Command::Retire).await,
            (&Method::GET, "/v1/why") => self.why(request.uri().query().unwrap_or_default()).await,
            (&Method::POST, "/v1/power") => self.power(by, request).await,
            (&Method::GET, "/v1/backup") => self.backup().await,
            _ => self.read(&request).await,
        }
    }

    /// A call that reads.
    pub(crate) async fn read(&self, request: &Request<Incoming>) -> Response<Body> {
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        if request.method() != Method::GET {
            return fault(StatusCode::NOT_FOUND, &format!("no call {} {path}", request.method()));
        }
        if let Some(answer) = self.read_more(path, query).await {
            return answer;
        }
        match path {
            "/v1/machines" => {
                let (machines, unknown) = self.state.read(|fleet, now| (fleet.status(now), fleet.unknown()));
                let notices = self.state.notices();
                json(
                    StatusCode::OK,
                    &value!({ "machines": machines, "unknown": unknown, "notices": notices }),
                )
            }
            "/v1/events" => self.events(),
            "/v1/inventory" => {
                let text =
                    self.state.read(|fleet, _| fleet::inventory::list_text(fleet, Include::Registered));
                typed(StatusCode::OK, "application/json", text)
            }
            "/v1/version" => json(StatusCode::OK, &value!({ "version": env!("CARGO_PKG_VERSION") })),
            _ => {
                if let Some(host) = path.strip_prefix("/v1/inventory/") {
                    let vars =
                        self.state.read(|fleet, _| fleet::inventory::host(fleet, host, Include::Registered));
                    return json(StatusCode::OK, &vars);
                }
                match path.strip_prefix("/v1/machines/") {
                    Some(name) => self.show(name),
                    None => fault(StatusCode::NOT_FOUND, &format!("no call GET {path}")),
                }
            }
        }
    }

    /// `?machine=NAME`, or an Ethernet address in its place.
    async fn why(&self, query: &str) -> Response<Body> {
        let who = query.strip_prefix("machine=").unwrap_or_default();
        let Ok(who) = percent_encoding::percent_decode_str(who).decode_utf8().map(String::from) else {
            return fault(StatusCode::BAD_REQUEST, "the name is not UTF-8");
        };
        let (state, store) = (Arc::clone(&self.state), Arc::clone(&self.store));
        match tokio::task::spawn_blocking(move || why::why(&state, &store, &who)).await {
            Ok(Ok(why)) => json(StatusCode::OK, &why),
            Ok(Err(error)) => fault(StatusCode::NOT_FOUND, &error),
            Err(error) => fault(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    fn show(&self, name: &str) -> Response<Body> {
        let found = self.state.read(|fleet, now| {
            let mac = name.parse().ok();
            let machine = fleet.machine_named(name).or_else(|| fleet.machine_with(mac?))?;
            let status = fleet
                .status_of(now, machine.id)
                .filter(|status| status.lifecycle != Lifecycle::Retired)?;
            let timeline: Vec<Value> = fleet
                .timeline(machine.id)
                .iter()
                .map(|event| value!({ "seq": event.seq, "at": event.at, "attempt": event.attempt, "line": event.kind.line(), "alarm": event.kind.is_alarm() }))
                .collect();
            Some(value!({ "status": status, "facts": machine.facts, "timeline": timeline }))
        });
        match found {
            Some(shown) => json(StatusCode::OK, &shown),
            None => {
                fault(StatusCode::NOT_FOUND, &format!("no machine is named {name}; `kpc status` lists them"))
            }
        }
    }

    /// Server-sent events. A reader that falls behind is told so and reads the state again.
    fn events(&self) -> Response<Body> {
        let mut events = self.state.subscribe();
        let (sender, response) = event_stream();
        let mut stopping = self.stopping.clone();
        // Ends when the reader goes away (its channel closes) or the server ends.
        tokio::spawn(async move {
            use tokio::sync::broadcast::error::RecvError;
            let _ = sender.send(Bytes::from_static(b": kpc\n\n")).await;
            loop {
                let line = tokio::select! {
                    () = sender.closed() => return,
                    _ = stopping.wait_for(|stop| *stop) => return,
                    event = events.recv() => match event {
                        Ok(event) => {
                            let words = value!({ "machine": event.name, "attempt": event.attempt, "line": event.kind.line(), "alarm": event.kind.is_alarm(), "event": event });
                            format!("data: {words}\n\n")
                        }
                        Err(RecvError::Lagged(missed)) => format!("data: {}\n\n", value!({ "missed": missed })),
                        Err(RecvError::Closed) => return,
                    },
                };
                if sender.send(line.into()).await.is_err() {
                    return;
                }
            }
        });
        response
    }

    async fn add(&self, by: &str, request: Request<Incoming>) -> Response<Body> {
        let add: api::AddMachine = match read_call(request).await {
            Ok(add) => add,
            Err(answer) => return answer,
        };
        let new = match new_machine(add) {
            Ok(new) => new,
            Err(error) => return fault(StatusCode::BAD_REQUEST, &error),
        };
        let name = new.name.clone();
        let added = self.state.change(|fleet, now| fleet.command(now, by, Command::AddMachine(new)));
        match added.await {
            Ok(Ok(_)) => json(StatusCode::OK, &value!({ "name": name, "state": Lifecycle::Adopted.word() })),
            Ok(Err(refusal)) => fault(StatusCode::CONFLICT, &refusal.to_string()),
            Err(error) => fault(StatusCode::SERVICE_UNAVAILABLE, &error),
        }
    }

    async fn plan(&self, request: Request<Incoming>) -> Response<Body> {
        let request: api::Provision = match read_call(request).await {
            Ok(request) => request,
            Err(answer) => return answer,
        };
        let planned = match self.role_of(&request.profile) {
            Ok(role) => provision::plan(&self.state, &self.login, &request, role).await,
            Err(error) => Err(error),
        };
        match planned {
            Ok(plan) => json(StatusCode::OK, &plan),
            Err(error) => fault(StatusCode::BAD_REQUEST, &error),
        }
    }

    async fn provision(&self, by: &str, request: Request<Incoming>) -> Response<Body> {
        let request: api::Provision = match read_call(request).await {
            Ok(request) => request,
            Err(answer) => return answer,
        };
        let started = match self.role_of(&request.profile) {
            Ok(role) => provision::start(&self.state, &self.login, request, role, by).await,
            Err(error) => Err(error),
        };
        match started {
            Ok(started) => json(StatusCode::OK, &started),
            Err(error) => fault(StatusCode::BAD_REQUEST, &error),
        }
    }

    /// What a profile does to its machine: one that the configuration does not call live counts as erasing.
    fn role_of(&self, profile: &str) -> Result<Role, String> {
        let catalog = self.store.snapshot();
        if catalog.profile(profile).is_none() {
            let known: Vec<&str> = catalog.profiles().map(bootcfg::Profile::file_id).collect();
            let folder = self.store.root().join("profiles");
            return Err(format!(
                "no profile `{profile}` in {}; there are: {}",
                folder.display(),
                known.join(", ")
            ));
        }
        self.installs.check(profile)?;
        Ok(if self.live_profiles.iter().any(|live| live == profile) { Role::Live } else { Role::Install })
    }

    async fn selected(
        &self,
        by: &str,
        request: Request<Incoming>,
        verb: fn(Selector) -> Command,
    ) -> Response<Body> {
        match read_call::<api::Selected>(request).await {
            Ok(selected) => self.for_each(by, &selected.selection, verb).await,
            Err(answer) => answer,
        }
    }

    async fn labelled(&self, by: &str, request: Request<Incoming>) -> Response<Body> {
        match read_call::<api::Label>(request).await {
            Ok(api::Label { selection, roles, rack }) => {
                let verb = |selector| Command::Label { selector, roles, rack };
                self.for_each(by, &selection, verb).await
            }
            Err(answer) => answer,
        }
    }

    /// One command for the machines of all selections.
    async fn for_each(
        &self,
        by: &str,
        selection: &[String],
        verb: impl FnOnce(Selector) -> Command + Send,
    ) -> Response<Body> {
        // All selections mean machines before the first one is touched, and each machine once.
        let changed = self.state.change(|fleet, now| {
            let ids = provision::select(fleet, selection).map_err(Rejected::Selection)?;
            let names = names_of(fleet, &ids);
            let outcome = fleet.command(now, by, verb(Selector::Names(names))).map_err(Rejected::Command)?;
            let done = names_of(fleet, &outcome.machines);
            Ok((done, outcome.refused))
        });
        let (done, refused) = match changed.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(Rejected::Selection(error))) => return fault(StatusCode::BAD_REQUEST, &error),
            Ok(Err(Rejected::Command(refusal))) => return fault(StatusCode::CONFLICT, &refusal.to_string()),
            Err(error) => return fault(StatusCode::SERVICE_UNAVAILABLE, &error),
        };
        let done = done.into_iter().map(|name| api::Outcome { name, ok: true, detail: "done".to_owned() });
        let refused =
            refused.into_iter().map(|(name, why)| api::Outcome { name, ok: false, detail: why.to_string() });
        let outcomes: Vec<api::Outcome> = done.chain(refused).collect();
        json(StatusCode::OK, &outcomes)
    }

    async fn power(&self, by: &str, request: Request<Incoming>) -> Response<Body> {
        let request: api::Power = match read_call(request).await {
            Ok(request) => request,
            Err(answer) => return answer,
        };
        let action = match Action::parse(&request.action, request.hard) {
            Ok(action) => action,
            Err(error) => return fault(StatusCode::BAD_REQUEST, error),
        };
        let targets = self.state.read(|fleet, _| {
            let ids = provision::select(fleet, &request.selection)?;
            Ok::<_, String>(ids.into_iter().filter_map(|id| provision::target(fleet, id)).collect::<Vec<_>>())
        });
        let targets = match targets {
            Ok(targets) => targets,
            Err(error) => return fault(StatusCode::BAD_REQUEST, &error),
        };
        let slots = Arc::new(tokio::sync::Semaphore::new(provision::BMCS_AT_ONCE));
        let mut asked = tokio::task::JoinSet::new();
        for target in targets {
            let (state, login, by) = (Arc::clone(&self.state), self.login.clone(), by.to_owned());
            let slots = Arc::clone(&slots);
            asked.spawn(async move {
                let _slot = slots.acquire_owned().await;
                let outcome = power::act(&state, &login, &target, action, (&by, request.force)).await;
                let (ok, detail) = outcome.map_or_else(|error| (false, error), |done| (true, done));
                api::Outcome { name: target.name, ok, detail }
            });
        }
        let mut outcomes = asked.join_all().await;
        outcomes.sort_by(|a, b| a.name.cmp(&b.name));
        json(StatusCode::OK, &outcomes)
    }
}

/// Why a verb over a selection did nothing at all.
enum Rejected {
    Selection(String),
    Command(fleet::Refusal),
}

fn names_of(fleet: &fleet::Fleet, ids: &[fleet::MachineId]) -> Vec<String> {
    ids.iter().filter_map(|id| fleet.machine(*id)).map(|machine| machine.name.clone()).collect()
}

pub(crate) fn new_machine(add: api::AddMachine) -> Result<NewMachine, String> {
    let macs = add.macs.iter().map(|mac| mac.parse().map_err(|error| format!("--mac {mac}: {error}")));
    let bmc = add.bmc.map(|text| {
        let bad = |_| format!("--bmc {text}: an address, or ADDRESS:PORT");
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(fleet::Bmc::at(address)),
            Err(_) => text
                .parse::<std::net::SocketAddr>()
                .map(|address| fleet::Bmc { port: address.port(), ..fleet::Bmc::at(address.ip()) })
                .map_err(bad),
        }
    });
    Ok(NewMachine {
        name: add.name,
        macs: macs.collect::<Result<_, _>>()?,
        uuid: add
            .uuid
            .map(|uuid| uuid.parse().map_err(|error| format!("--uuid {uuid}: {error}")))
            .transpose()?,
        bmc: bmc.transpose()?,
        serial: add.serial,
        rack: add.rack,
        roles: add.roles,
        ..NewMachine::default()
    })
}
