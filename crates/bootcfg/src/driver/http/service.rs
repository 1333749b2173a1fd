//! One request in, one response out. Routes, asks the hook, selects, renders and tells the hook how it went.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, Version};

use super::asset::{self, Ask};
use super::body::Body;
use super::hook::{Access, DefaultHook, Hook, RequestFacts, Target, Verdict};
use super::reply::{self, TEXT};
use super::signed::SignatureCache;
use crate::compat::Compat;
use crate::driver::assets::Assets;
use crate::driver::store::Store;
use crate::explain;
use crate::fault::{Fault, Reason};
use crate::group::Group;
use crate::labels::Labels;
use crate::mac;
use crate::render::ignition::{Transpile, Unsupported};
use crate::render::{self, Additions, Context, Rendered, ipxe};
use crate::route::{Endpoint, Route, signature};
use crate::sign::Sign;
use go_template::Limits;

/// What a [`Service`] is made of.
#[derive(Clone)]
pub struct ServiceConfig {
    /// Where snapshots come from; their mode is the service's mode.
    pub store: Arc<dyn Store>,
    /// The folder served below `/assets/`; `None` for none.
    pub assets: Option<PathBuf>,
    /// Whether folders without `index.html` are listed. Default: yes, as the originals do.
    pub listing: bool,
    /// Who decides and keeps the log. Default: nobody.
    pub hook: Arc<dyn Hook>,
    /// What turns YAML into Ignition. Default: nothing does.
    pub transpile: Arc<dyn Transpile>,
    /// Bounds of one rendering.
    pub limits: Limits,
    /// Who signs for `.sig` and `.asc`; `None` answers those with 404.
    pub signer: Option<Arc<dyn Sign>>,
    /// Callers with this bearer token may ask `?explain=1`; `None` lets nobody.
    pub explain_token: Option<Arc<str>>,
    /// The runtime whose blocking threads open and read assets: where those stand behind others for a processor, so do
    /// kernels and images behind scripts and configs. Default: this runtime's, and what the page cache has is read at
    /// once, without them.
    pub files: Option<tokio::runtime::Handle>,
}

impl ServiceConfig {
    /// Defaults over a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            assets: None,
            listing: true,
            hook: Arc::new(DefaultHook),
            transpile: Arc::new(Unsupported),
            limits: Limits::default(),
            signer: None,
            explain_token: None,
            files: None,
        }
    }
}

/// Answers requests. Share it in an [`Arc`].
pub struct Service {
    pub(super) config: ServiceConfig,
    pub(super) signatures: SignatureCache,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("store", &self.config.store).finish_non_exhaustive()
    }
}

/// An answer and what the log says of it.
pub(super) struct Outcome {
    pub(super) response: Response<Body>,
    pub(super) facts: Facts,
}

#[derive(Default)]
pub(super) struct Facts {
    pub(super) group: Option<String>,
    pub(super) profile: Option<String>,
    pub(super) template: Option<String>,
    pub(super) fault: Option<Fault>,
}

impl From<Response<Body>> for Outcome {
    fn from(response: Response<Body>) -> Self {
        Self { response, facts: Facts::default() }
    }
}

impl Service {
    /// A service.
    pub fn new(config: ServiceConfig) -> Self {
        Self { config, signatures: SignatureCache::default() }
    }

    /// Answers one request. Its body is not read, as in the originals.
    pub async fn handle<B>(&self, peer: SocketAddr, request: Request<B>) -> Response<Body> {
        self.handle_target(peer, request, None).await
    }

    /// As [`Self::handle`]; `odd` is the request's target where the HTTP library could not hold it.
    pub(super) async fn handle_target<B>(
        &self,
        peer: SocketAddr,
        request: Request<B>,
        odd: Option<Vec<u8>>,
    ) -> Response<Body> {
        #[expect(clippy::disallowed_methods, reason = "drivers read the clock")]
        let start = Instant::now();
        let (parts, _) = request.into_parts();
        let compat = self.config.store.snapshot().compat();
        let (path, query) = match &odd {
            Some(odd) => split_target(odd),
            None => (parts.uri.path().into(), parts.uri.query().map(str::as_bytes)),
        };
        let raw_query = query.unwrap_or_default();
        let labels = Labels::from_query(raw_query, compat);
        let mut target = Target::Other(path.clone().into_owned());
        let no_host = parts.version == Version::HTTP_11
            && !parts.headers.contains_key(header::HOST)
            && parts.uri.authority().is_none();
        let outcome = if no_host {
            bad_request("400 Bad Request: missing required Host header")
        } else {
            let routed = Route::parse(&path, query.map(String::from_utf8_lossy).as_deref(), compat);
            target = target_of(&routed.route, target);
            let ask = Asked {
                labels: &labels,
                query,
                raw_query,
                peer,
                method: &parts.method,
                headers: &parts.headers,
                compat,
            };
            match routed.signature {
                Some(_) if self.config.signer.is_none() => not_found(compat),
                Some(form) => self.signed(self.answer(routed.route, &ask).await, form).await,
                None => self.answer(routed.route, &ask).await,
            }
        };
        let mut response = self.finish(outcome, target, labels, (peer, &parts.method, start));
        if odd.is_some() {
            // The next target of this connection would not be carried around the parser.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn answer(&self, route: Route, ask: &Asked<'_>) -> Outcome {
        match route {
            Route::Home => {
                let name = if ask.compat == Compat::Matchbox { "matchbox\n" } else { "bootcfg\n" };
                reply::full(200, Some(TEXT), name).into()
            }
            Route::BootScript => reply::full(200, Some(TEXT), ipxe::chain_script(ask.compat)).into(),
            Route::Redirect(location) => reply::redirect(ask.method, ask.compat, &location).into(),
            Route::NotFound => not_found(ask.compat),
            Route::BadPath => bad_request("400 Bad Request"),
            Route::Endpoint(endpoint) => self.endpoint(endpoint, ask, ask.labels.clone()).await,
            Route::Pixiecore(text) => match mac::normalise(&text, ask.compat.bare_mac()) {
                Some(address) => {
                    let labels = Labels::from_pairs([("mac", address)]);
                    self.endpoint(Endpoint::Pixiecore, ask, labels).await
                }
                None => {
                    let text = String::from_utf8_lossy(&text);
                    let mut response =
                        reply::full(400, Some(TEXT), format!("address {text}: invalid MAC address\n"));
                    reply::set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
                    response.into()
                }
            },
            Route::Asset(path) => match &self.config.assets {
                None => not_found(ask.compat),
                Some(root) => {
                    let assets = Assets::new(root.clone(), ask.compat.is_strict(), self.config.listing);
                    let signed = signature(&path).map(|(path, form)| (path.to_vec(), form));
                    let (query, method, headers) = (ask.query, ask.method, ask.headers);
                    let ask_asset = Ask { path, query, method, headers, files: self.config.files.as_ref() };
                    let (response, fault) = asset::answer(assets.clone(), ask_asset, ask.compat).await;
                    match (signed, &self.config.signer) {
                        // A signature that lies there goes first: vendors ship theirs.
                        (Some((path, form)), Some(signer)) if response.status() == 404 => {
                            self.signed_asset(assets, path, form, signer.clone(), ask.compat).await
                        }
                        _ => Outcome { response, facts: Facts { fault, ..Facts::default() } },
                    }
                }
            },
        }
    }

    async fn endpoint(&self, endpoint: Endpoint, ask: &Asked<'_>, labels: Labels) -> Outcome {
        if let Some(outcome) = self.explained(endpoint, ask, &labels).await {
            return outcome;
        }
        if ask.compat.is_strict()
            && let Err(error) = Labels::check_query(ask.raw_query, ask.compat)
        {
            return failed(ask.compat, Facts::default(), Fault::new(Reason::BadQuery, error.to_string()));
        }
        let raw_query = String::from_utf8_lossy(ask.raw_query);
        let facts = RequestFacts { endpoint, labels: &labels, raw_query: &raw_query, peer: ask.peer };
        let verdict = self.config.hook.decide(&facts).await;
        match verdict {
            Verdict::Respond { status, content_type, body } => {
                return reply::full(status, Some(content_type), body).into();
            }
            Verdict::Refuse { status, reason } => {
                let fault = Fault::new(Reason::Refused, reason);
                let mut outcome = failed(ask.compat, Facts::default(), fault);
                if let Ok(status) = hyper::StatusCode::from_u16(status) {
                    *outcome.response.status_mut() = status;
                }
                return outcome;
            }
            Verdict::Select | Verdict::Boot { .. } => {}
        }
        let job =
            Job { endpoint, labels, raw_query: ask.raw_query.into(), verdict, config: self.config.clone() };
        let renders = matches!(endpoint, Endpoint::Generic | Endpoint::Cloud | Endpoint::Ignition);
        let (result, facts) = if renders {
            // A template may run long, up to its limits: not on the tasks that answer everybody else.
            match tokio::task::spawn_blocking(move || job.run()).await {
                Ok(done) => done,
                Err(error) => (Err(Fault::new(Reason::RenderFailed, error.to_string())), Facts::default()),
            }
        } else {
            job.run()
        };
        match result {
            Ok(rendered) => {
                let response = reply::rendered(rendered, ask.method, ask.headers, ask.compat);
                Outcome { response, facts }
            }
            Err(fault) => failed(ask.compat, facts, fault),
        }
    }

    /// `?explain=1` of a caller with the token; to anybody else it is a label like others.
    async fn explained(&self, endpoint: Endpoint, ask: &Asked<'_>, labels: &Labels) -> Option<Outcome> {
        let token = self.config.explain_token.as_ref()?;
        let given = ask.headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        if labels.get("explain") != Some("1") || !same(given, token) {
            return None;
        }
        let without = |pair: &&[u8]| !pair.starts_with(b"explain=");
        let raw_query =
            ask.raw_query.split(|&octet| octet == b'&').filter(without).collect::<Vec<_>>().join(&b'&');
        let labels = Labels::from_pairs(labels.iter().filter(|(key, _)| *key != b"explain"));
        let config = self.config.clone();
        let explaining = tokio::task::spawn_blocking(move || {
            let context = Context {
                catalog: &config.store.snapshot(),
                labels: &labels,
                raw_query: &raw_query,
                limits: &config.limits,
                transpile: &*config.transpile,
                additions: &Additions::default(),
            };
            format!("{:#}\n", explain::explain(endpoint, context))
        });
        Some(reply::full(200, Some("application/json"), explaining.await.ok()?).into())
    }

    fn finish(
        &self,
        outcome: Outcome,
        target: Target,
        labels: Labels,
        (peer, method, start): (SocketAddr, &Method, Instant),
    ) -> Response<Body> {
        let Outcome { mut response, facts } = outcome;
        let status = response.status().as_u16();
        if status != 304 {
            let length = HeaderValue::from(response.body().remaining());
            response.headers_mut().insert(header::CONTENT_LENGTH, length);
        }
        if method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        let access = Access {
            target,
            method: method.to_string(),
            labels,
            peer,
            status,
            octets: 0,
            complete: false,
            took: start.elapsed(),
            group: facts.group,
            profile: facts.profile,
            template: facts.template,
            reason: facts.fault.as_ref().map(|fault| fault.reason),
            detail: facts.fault.as_ref().map(ToString::to_string),
        };
        let hook = self.config.hook.clone();
        response.map(|body| body.recorded(hook, access))
    }
}

struct Asked<'a> {
    labels: &'a Labels,
    query: Option<&'a [u8]>,
    raw_query: &'a [u8],
    peer: SocketAddr,
    method: &'a Method,
    headers: &'a HeaderMap,
    compat: Compat,
}

/// A rendering with everything it needs, so that it can go to another thread.
struct Job {
    endpoint: Endpoint,
    labels: Labels,
    raw_query: Vec<u8>,
    verdict: Verdict,
    config: ServiceConfig,
}

impl Job {
    fn run(self) -> (Result<Rendered, Fault>, Facts) {
        let catalog = self.config.store.snapshot();
        let mut facts = Facts::default();
        let mut additions = Additions::default();
        let synthetic;
        let selected = match self.verdict {
            Verdict::Boot { profile, group, metadata, arguments } => {
                additions = Additions { metadata, arguments };
                synthetic = Group::synthetic(group.as_deref().unwrap_or_default(), &profile);
                let named = group.as_deref().and_then(|id| catalog.group(id));
                facts.group = group.clone();
                Ok((named.unwrap_or(&synthetic), catalog.profile_of(&synthetic)))
            }
            _ => render::selected(catalog.select(&self.labels)).inspect(|(group, _)| {
                facts.group = Some(group.file_id().to_string());
            }),
        };
        let result = selected.and_then(|(group, profile)| {
            facts.profile = profile.as_ref().ok().map(|profile| profile.file_id().to_string());
            let context = Context {
                catalog: &catalog,
                labels: &self.labels,
                raw_query: &self.raw_query,
                limits: &self.config.limits,
                transpile: &*self.config.transpile,
                additions: &additions,
            };
            render::render(self.endpoint, group, profile, context)
        });
        if let Ok(rendered) = &result {
            facts.template = rendered.template.as_deref().map(Into::into);
        }
        (result, facts)
    }
}

pub(super) fn failed(compat: Compat, facts: Facts, fault: Fault) -> Outcome {
    Outcome { response: reply::fault(compat, &fault), facts: Facts { fault: Some(fault), ..facts } }
}

/// Compares without telling by the time it takes how much is right.
fn same(given: &str, token: &str) -> bool {
    given.len() == token.len() && given.bytes().zip(token.bytes()).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// Path and query of a target as sent.
fn split_target(target: &[u8]) -> (Cow<'_, str>, Option<&[u8]>) {
    match target.iter().position(|&octet| octet == b'?') {
        Some(at) => (String::from_utf8_lossy(target.get(..at).unwrap_or_default()), target.get(at + 1..)),
        None => (String::from_utf8_lossy(target), None),
    }
}

/// Go's answer to what is no request.
fn bad_request(text: &'static str) -> Outcome {
    let mut response = reply::full(400, Some(TEXT), text);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    let facts = Facts { fault: Some(Fault::new(Reason::BadQuery, text)), ..Facts::default() };
    Outcome { response, facts }
}

fn not_found(compat: Compat) -> Outcome {
    failed(compat, Facts::default(), Fault::new(Reason::NotFound, "no such endpoint"))
}

fn target_of(route: &Route, other: Target) -> Target {
    match route {
        Route::Home => Target::Home,
        Route::BootScript => Target::BootScript,
        Route::Endpoint(endpoint) => Target::Endpoint(*endpoint),
        Route::Pixiecore(_) => Target::Endpoint(Endpoint::Pixiecore),
        Route::Asset(path) => Target::Asset(String::from_utf8_lossy(path).into_owned()),
        Route::Redirect(_) | Route::NotFound | Route::BadPath => other,
    }
}
