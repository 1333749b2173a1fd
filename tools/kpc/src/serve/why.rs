//! Why a machine gets what it gets, without the machine: the fleet's decision, the order behind it, the group whose
//! selector lends its metadata, and every config rendered as it would be, secrets left out. `GET /v1/why` and the page
//! call it; a machine never does.

use bootcfg::driver::store::{FileStore, Store as _};
use bootcfg::render::{self, Additions, Context};
use bootcfg::route::Endpoint;
use bootcfg::{Catalog, Group, Labels, Selection};
use fleet::{Decision, HintCode, Mac, MachineId, Sighting};
use serde::Serialize;

use crate::serve::state::State;

/// Octets of one rendered config that are shown.
const MAX_SHOWN: usize = 256 * 1024;

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Why {
    /// The machine's name; `None` for an address that is no machine's.
    pub(crate) machine: Option<String>,
    /// What it says of itself when it boots.
    pub(crate) labels: Vec<(String, String)>,
    /// What it would be told now, in words.
    pub(crate) decision: String,
    /// What stops its boot, or seems to.
    pub(crate) hint: Option<Cause>,
    /// The profile that its open order names, else the one of its last order.
    pub(crate) profile: Option<String>,
    /// The group whose metadata the templates see.
    pub(crate) group: Option<Chosen>,
    /// Every group whose selector fits.
    pub(crate) matching: Vec<Chosen>,
    /// Each config that the profile has.
    pub(crate) configs: Vec<Shown>,
}

/// Why a boot goes no further.
#[derive(Debug, Serialize)]
pub(crate) struct Cause {
    /// Its word.
    pub(crate) code: HintCode,
    /// What was seen.
    pub(crate) text: String,
    /// What a person does about it.
    pub(crate) remedy: &'static str,
}

/// A group.
#[derive(Debug, Serialize)]
pub(crate) struct Chosen {
    /// Its file's name without `.json`.
    pub(crate) group: String,
    /// What it asks of a machine.
    pub(crate) selector: String,
    /// The profile that it names.
    pub(crate) profile: String,
}

impl Chosen {
    fn new(group: &Group) -> Self {
        Self {
            group: group.file_id().to_owned(),
            selector: group.selector.text(),
            profile: group.profile().to_owned(),
        }
    }
}

/// One config as it would be sent.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    /// `ipxe`, `ignition`, `cloud` or `generic`.
    pub(crate) endpoint: &'static str,
    /// The template's file.
    pub(crate) template: Option<String>,
    /// Octets as sent.
    pub(crate) octets: usize,
    /// The text without its secrets.
    pub(crate) text: String,
    /// Why it cannot be rendered.
    pub(crate) error: Option<String>,
}

/// The group whose metadata an order's templates see: the one of the first role that has a group of its name and of this
/// profile, else the one that the labels select, if it names this profile or none. An error names the file that does not
/// parse and might have been the one.
pub(crate) fn group_of(
    catalog: &Catalog,
    labels: &Labels,
    profile: &str,
    roles: &[String],
) -> Result<Option<String>, String> {
    let of_role = |role: &String| catalog.group(role).filter(|group| group.profile() == profile);
    if let Some(group) = roles.iter().find_map(of_role) {
        return Ok(Some(group.file_id().to_owned()));
    }
    match catalog.select(labels) {
        Selection::Group { group, .. } if group.profile().is_empty() || group.profile() == profile => {
            Ok(Some(group.file_id().to_owned()))
        }
        Selection::Group { .. } | Selection::NoGroup => Ok(None),
        Selection::Broken(broken) => Err(broken.fault(bootcfg::Reason::GroupBroken).to_string()),
    }
}

/// Who is asked about.
struct Asked {
    machine: Option<(MachineId, String)>,
    sighting: Sighting,
    hint: Option<Cause>,
    profile: Option<String>,
    roles: Vec<String>,
}

/// Answers for a machine's name or an Ethernet address. Renders, so it belongs on a thread that may block.
pub(crate) fn why(state: &State, store: &FileStore, who: &str) -> Result<Why, String> {
    let asked = asked(state, who)?;
    let decision = state.read(|fleet, now| fleet.decide(now, &asked.sighting));
    let labels: Vec<(String, String)> = [
        asked.sighting.uuid.map(|uuid| ("uuid".to_owned(), uuid.to_string())),
        asked.sighting.mac.map(|mac| ("mac".to_owned(), mac.to_string())),
    ]
    .into_iter()
    .flatten()
    .collect();
    let request = Labels::from_pairs(labels.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let catalog = store.snapshot();
    let matching =
        catalog.groups().filter(|group| group.selector.matches(&request)).map(Chosen::new).collect();
    let mut configs = Vec::new();
    let mut group = None;
    if let Some(profile) = &asked.profile {
        let found = group_of(&catalog, &request, profile, &asked.roles);
        group = found.as_ref().ok().and_then(|id| catalog.group(id.as_deref()?));
        let name = asked.machine.as_ref().map(|(_, name)| name.as_str()).unwrap_or_default();
        configs = match found {
            Ok(_) => rendered(&catalog, &request, group, profile, name, &asked.roles),
            Err(error) => vec![failed("groups", error)],
        };
    }
    Ok(Why {
        machine: asked.machine.map(|(_, name)| name),
        labels,
        decision: words(&decision),
        hint: asked.hint,
        profile: asked.profile,
        group: group.map(Chosen::new),
        matching,
        configs,
    })
}

fn asked(state: &State, who: &str) -> Result<Asked, String> {
    let mac: Option<Mac> = who.parse().ok();
    state.read(|fleet, now| match fleet.machine_named(who).or_else(|| fleet.machine_with(mac?)) {
        Some(machine) => {
            let mut sighting = Sighting { mac: machine.macs.first().copied().or(mac), ..Sighting::default() };
            sighting.uuid = machine.uuid;
            let status = fleet.status_of(now, machine.id);
            let hint = status.and_then(|status| {
                let code = status.hint?;
                Some(Cause { code, text: status.failed.unwrap_or(status.note), remedy: code.remedy() })
            });
            Ok(Asked {
                machine: Some((machine.id, machine.name.clone())),
                sighting,
                hint,
                profile: fleet.order_of(machine.id).map(|order| order.profile.clone()),
                roles: machine.roles.clone(),
            })
        }
        None => match mac {
            Some(mac) => {
                let sighting = Sighting::of(mac);
                Ok(Asked { machine: None, sighting, hint: None, profile: None, roles: Vec::new() })
            }
            None => Err(format!("no machine is named {who}; `kpc status` lists them")),
        },
    })
}

fn words(decision: &Decision) -> String {
    match decision {
        Decision::Observe { reason } => format!("silence: {reason}"),
        Decision::Local { reason, .. } => format!("on to its disk: {reason}"),
        Decision::Discover => "the read-only discovery system".to_owned(),
        Decision::Boot(boot) => format!("boot profile {} under order {}", boot.profile, boot.order),
        Decision::Hold { reason, .. } => format!("wait: {reason}"),
        Decision::Refuse { reason, .. } => format!("refused: {reason}"),
        _ => "nothing".to_owned(),
    }
}

fn rendered(
    catalog: &Catalog,
    labels: &Labels,
    group: Option<&Group>,
    profile: &str,
    name: &str,
    roles: &[String],
) -> Vec<Shown> {
    let synthetic = Group::synthetic("", profile);
    let additions = Additions {
        metadata: crate::serve::hook::metadata(name, roles, profile),
        arguments: vec!["kpc.claim=[made at each boot]".to_owned()],
    };
    let context = Context {
        catalog,
        labels,
        raw_query: b"",
        limits: &bootcfg::Limits::default(),
        transpile: &bootcfg::transpile::Ignition,
        additions: &additions,
    };
    let ids = catalog.profile(profile);
    let has = |endpoint| match (endpoint, ids) {
        (Endpoint::Ignition, Some(profile)) => !profile.ignition_id.is_empty(),
        (Endpoint::Cloud, Some(profile)) => !profile.cloud_id.is_empty(),
        (Endpoint::Generic, Some(profile)) => !profile.generic_id.is_empty(),
        _ => true,
    };
    [Endpoint::Ipxe, Endpoint::Ignition, Endpoint::Cloud, Endpoint::Generic]
        .into_iter()
        .filter(|endpoint| has(*endpoint))
        .map(|endpoint| {
            let found = catalog.profile_of(&synthetic);
            match render::render(endpoint, group.unwrap_or(&synthetic), found, context) {
                Ok(rendered) => shown(endpoint.as_str(), rendered.template.as_deref(), &rendered.body),
                Err(fault) => failed(endpoint.as_str(), fault.to_string()),
            }
        })
        .collect()
}

fn shown(endpoint: &'static str, template: Option<&str>, body: &[u8]) -> Shown {
    let mut text = String::from_utf8_lossy(body).into_owned();
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) {
        text = format!("{value:#}");
    }
    let mut text = ignition::redact::redact(&text).into_owned();
    if let Some((at, _)) = text.char_indices().find(|(at, _)| *at >= MAX_SHOWN) {
        text.truncate(at);
        text.push_str("\n[cut here]");
    }
    Shown { endpoint, template: template.map(str::to_owned), octets: body.len(), text, error: None }
}

fn failed(endpoint: &'static str, error: String) -> Shown {
    Shown { endpoint, template: None, octets: 0, text: String::new(), error: Some(error) }
}
