//! Plans and jobs: which machines `provision` would start, and starting them, paced. The job lives in the server; a
//! verb that goes away stops nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fleet::{
    BmcAction, Command, Fleet, JobId, JobState, Lifecycle, MachineId, Observation, PowerAction, Role,
    Selector, Timestamp,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::api::{Plan, PlannedMachine, Provision, RefusedMachine, Started};
use crate::serve::jobs;
use crate::serve::power::{self, Login, Target};
use crate::serve::state::State;

/// How often a job looks whether machines have moved on.
const LOOKED: Duration = Duration::from_millis(500);
/// BMCs asked at a time.
pub(crate) const BMCS_AT_ONCE: usize = 256;

/// The machines that selections name, each once, in order of name.
pub(crate) fn select(fleet: &Fleet, selections: &[String]) -> Result<Vec<MachineId>, String> {
    let mut chosen = BTreeSet::new();
    for text in selections {
        let selector: Selector =
            text.parse().map_err(|error: fleet::select::SelectorError| error.to_string())?;
        chosen.extend(fleet.select(&selector)?);
    }
    if chosen.is_empty() {
        return Err("no machine was named".to_owned());
    }
    Ok(chosen.into_iter().collect())
}

/// What the BMC driver needs to know of a machine.
pub(crate) fn target(fleet: &Fleet, id: MachineId) -> Option<Target> {
    let machine = fleet.machine(id)?;
    let bmc = machine.bmc.as_ref();
    Some(Target {
        machine: id,
        name: machine.name.clone(),
        bmc: bmc.map(|bmc| (bmc.address, bmc.port).into()),
        known: bmc.and_then(|bmc| bmc.guid).into_iter().chain(machine.uuid).collect(),
    })
}

/// Why a plan says what it says of the boot mode, and how to have the other one.
const GUESSED: &str =
    "guessed: its firmware was not heard yet, its BMC does not say; --firmware uefi for UEFI";
const FOR_UEFI: &str = "as its BMC has it: --firmware uefi for UEFI";

/// What would happen. Asks each BMC for its power; changes nothing.
pub(crate) async fn plan(
    state: &Arc<State>,
    login: &Login,
    request: &Provision,
    role: Role,
) -> Result<Plan, String> {
    alone(state, request)?;
    let targets = state.read(|fleet, _| {
        select(fleet, &request.selection).map(|ids| {
            ids.iter()
                .filter_map(|id| {
                    let ordered = fleet.order_of(*id).is_some_and(fleet::Order::is_open);
                    Some((target(fleet, *id)?, fleet.machine(*id)?.lifecycle, ordered))
                })
                .collect::<Vec<_>>()
        })
    })?;
    let kind = match role {
        Role::Live => "live",
        Role::Install => "install",
    };
    let mut plan = Plan {
        profile: request.profile.clone(),
        kind: kind.to_owned(),
        machines: Vec::new(),
        refused: Vec::new(),
    };
    let slots = Arc::new(Semaphore::new(BMCS_AT_ONCE));
    let mut asked = JoinSet::new();
    for (target, lifecycle, ordered) in targets {
        if let Some(reason) = refusal(&target.name, lifecycle, ordered, request.again) {
            plan.refused.push(RefusedMachine { name: target.name, reason });
            continue;
        }
        let (state, login, slots) = (Arc::clone(state), login.clone(), Arc::clone(&slots));
        let unheard = firmware(request, state.is_uefi(target.machine)).is_none();
        asked.spawn(async move {
            let _slot = slots.acquire_owned().await;
            (power::look(&state, &login, &target, unheard).await, target)
        });
    }
    while let Some(answer) = asked.join_next().await {
        let (power, target) = answer.map_err(|error| error.to_string())?;
        match power {
            Ok((on, _)) if on && role == Role::Install && !request.again => {
                plan.refused.push(RefusedMachine {
                    reason: format!(
                        "is powered on: switch it off first with `kpc power off {}`",
                        target.name
                    ),
                    name: target.name,
                })
            }
            Ok((on, efi)) => {
                let (mode, note) = match (firmware(request, state.is_uefi(target.machine)), efi) {
                    (Some(true), _) => ("UEFI", None),
                    (Some(false), _) => ("legacy BIOS", None),
                    (None, Some(true)) => ("UEFI (as its BMC has it)", None),
                    (None, Some(false)) => ("legacy BIOS (as its BMC has it)", Some(FOR_UEFI)),
                    (None, None) => ("legacy BIOS (guessed)", Some(GUESSED)),
                };
                plan.machines.push(PlannedMachine {
                    bmc: target.bmc.map(|bmc| bmc.to_string()),
                    power: if on { "on" } else { "off" }.to_owned(),
                    action: format!("network boot once, power {}, {mode}", if on { "cycle" } else { "on" }),
                    note: note.map(str::to_owned),
                    name: target.name,
                });
            }
            Err(reason) => plan.refused.push(RefusedMachine { name: target.name, reason }),
        }
    }
    plan.machines.sort_by(|a, b| a.name.cmp(&b.name));
    plan.refused.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(plan)
}

/// Why a machine gets no order, and what to do instead.
fn refusal(name: &str, lifecycle: Lifecycle, ordered: bool, again: bool) -> Option<String> {
    match lifecycle {
        _ if ordered => Some(format!("has an open order; end it with `kpc cancel {name}`")),
        Lifecycle::Registered | Lifecycle::Installed if !again => {
            Some(format!("is {}: `kpc reinstall {name}` does it again", lifecycle.word()))
        }
        Lifecycle::Conflict => {
            Some(format!("is in conflict; see `kpc show {name}`, then `kpc resolve {name}`"))
        }
        Lifecycle::Found => Some(format!("is found, not adopted; `kpc adopt {name}` makes it ours")),
        Lifecycle::Retired => Some("is retired".to_owned()),
        _ => None,
    }
}

/// The boot mode to ask a BMC for: as said, else as last heard. What is neither, the BMC is asked itself.
fn firmware(request: &Provision, heard: Option<bool>) -> Option<bool> {
    match request.firmware.as_str() {
        "uefi" => Some(true),
        "bios" => Some(false),
        _ => heard,
    }
}

/// Gives the orders and their jobs, durably in one write, and starts the batch that carries them out.
pub(crate) async fn start(
    state: &Arc<State>,
    login: &Login,
    request: Provision,
    role: Role,
    by: &str,
) -> Result<Started, String> {
    alone(state, &request)?;
    let names = state.read(|fleet, _| {
        let ids = select(fleet, &request.selection)?;
        Ok::<_, String>(
            ids.iter().filter_map(|id| Some(fleet.machine(*id)?.name.clone())).collect::<Vec<_>>(),
        )
    })?;
    let mut order = fleet::Provision::new(Selector::Names(names.clone()), request.profile.clone(), role);
    order.roles.clone_from(&request.roles);
    order.again = request.again;
    order.disk.clone_from(&request.disk);
    order.wipe.clone_from(&request.wipe);
    let changed = state.change(|fleet, now| give(fleet, now, by, order, |heard| firmware(&request, heard)));
    let given = match changed.await {
        Ok(given) => given.map_err(|refusal| refusal.to_string())?,
        Err(error) => {
            // Told as failed, so it must not become an order once the store writes again.
            let cancel = Command::Cancel(Selector::Names(names));
            let _ =
                state.change(move |fleet, now| fleet.command(now, "kpc: the store refused", cancel)).await;
            return Err(error);
        }
    };
    if given.machines.is_empty() {
        let lines: Vec<String> =
            given.refused.iter().map(|one| format!("{}: {}", one.name, one.reason)).collect();
        return Err(lines.join("; "));
    }
    let pace = Pace {
        most: request.max_in_flight.max(1),
        stagger: request.stagger_ms.map(Duration::from_millis),
        max_failures: request.max_failures.max(1),
    };
    // The batch is the server's: it ends with the server, or when its last machine has.
    tokio::spawn(batch(Arc::clone(state), login.clone(), pace, given.jobs));
    Ok(Started { machines: given.machines, refused: given.refused })
}

/// No order starts while another PXE responder is heard, unless told to: it may boot the machines with something else.
fn alone(state: &State, request: &Provision) -> Result<(), String> {
    let others: Vec<String> = state.responders().iter().map(ToString::to_string).collect();
    if others.is_empty() || request.despite_responders {
        return Ok(());
    }
    Err(format!(
        "another PXE responder answers on the machines' network: {}; stop it and wait a quarter of an hour, or say \
         --despite-responders",
        others.join(", ")
    ))
}

/// What `start` gave.
struct Given {
    machines: Vec<String>,
    refused: Vec<RefusedMachine>,
    jobs: Vec<JobId>,
}

fn give(
    fleet: &mut Fleet,
    now: Timestamp,
    by: &str,
    order: fleet::Provision,
    firmware: impl Fn(Option<bool>) -> Option<bool>,
) -> Result<Given, fleet::Refusal> {
    // A live system that runs is booted anew; what an install would erase must be off, unless it is said by name.
    let action = if order.role == Role::Live || order.again { PowerAction::Cycle } else { PowerAction::On };
    let outcome = fleet.command(now, by, Command::Provision(order))?;
    let refused = |(name, why): &(String, fleet::Refusal)| RefusedMachine {
        name: name.clone(),
        reason: why.to_string(),
    };
    let mut given = Given {
        machines: Vec::new(),
        refused: outcome.refused.iter().map(refused).collect(),
        jobs: Vec::new(),
    };
    for id in outcome.orders {
        let Some(target) = fleet.order(id).and_then(|order| target(fleet, order.machine)) else { continue };
        let heard = fleet.machine(target.machine).and_then(|machine| machine.uefi);
        let boot = BmcAction::NetworkBoot { efi: firmware(heard) };
        match fleet.start_order_job(now, by, id, vec![boot, BmcAction::Power { action }]) {
            Ok(job) => given.jobs.push(job),
            // Ordered, and for a person to switch on: shown where its boot stands.
            Err(why) => {
                let detail = why.to_string();
                let _ = fleet.observe(now, Observation::BmcError { machine: target.machine, detail });
            }
        }
        given.machines.push(target.name);
    }
    Ok(given)
}

/// How fast a batch goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Machines between power-on and registration at a time, where there is no stagger.
    most: usize,
    /// Time between two power-ons.
    stagger: Option<Duration>,
    /// After so many failures no further machine is started.
    max_failures: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { most: 16, stagger: None, max_failures: 2 }
    }
}

/// After a restart: jobs that were at work are looked at, those that begin open orders go on, and what somebody asked
/// of the power alone and was not begun is over: whoever asked has got no answer.
pub(crate) async fn resume(state: &Arc<State>, login: &Login) -> Result<(), String> {
    let (mut waiting, mut at_work) = (Vec::new(), Vec::new());
    for job in state.read(|fleet, _| fleet.open_jobs()) {
        match (&job.state, job.order) {
            (JobState::Doubt, _) => at_work.push(job.id),
            (_, Some(_)) => waiting.push(job.id),
            (_, None) => {
                let why = "the server was restarted before it was begun";
                state.change(move |fleet, now| fleet.cancel_job(now, job.id, why)).await?;
            }
        }
    }
    if !waiting.is_empty() || !at_work.is_empty() {
        tracing::info!(waiting = waiting.len(), at_work = at_work.len(), "jobs of an earlier run go on");
    }
    let pace = Pace { most: at_work.len().max(1), stagger: None, max_failures: usize::MAX };
    tokio::spawn(batch(Arc::clone(state), login.clone(), pace, at_work));
    tokio::spawn(batch(Arc::clone(state), login.clone(), Pace::default(), waiting));
    Ok(())
}

async fn batch(state: Arc<State>, login: Login, pace: Pace, jobs: Vec<JobId>) {
    let mut waiting = jobs.into_iter();
    let (mut moving, mut failures) = (BTreeSet::new(), BTreeSet::new());
    let mut looked: Option<Instant> = None;
    let mut powering: JoinSet<Option<MachineId>> = JoinSet::new();
    while let Some(id) = waiting.next() {
        loop {
            while let Some(done) = powering.try_join_next() {
                failures.extend(done.ok().flatten());
            }
            // A look at all of them before each one would be a million looks at a thousand machines.
            let full = pace.stagger.is_none() && moving.len() >= pace.most;
            if full || looked.is_none_or(|at| at.elapsed() >= LOOKED) {
                state.read(|fleet, now| standing(fleet, now, &mut moving, &mut failures));
                looked = Some(Instant::now());
            }
            if failures.len() >= pace.max_failures {
                give_up(&state, failures.len(), std::iter::once(id).chain(waiting).collect()).await;
                powering.join_all().await;
                return;
            }
            if pace.stagger.is_some() || moving.len() < pace.most {
                break;
            }
            tokio::time::sleep(LOOKED).await;
        }
        // Cancelled, or ordered anew, while it waited: not ours to power any more.
        let ours = state.read(|fleet, _| {
            let job = fleet.job(id).filter(|job| job.is_open())?;
            let open = job.order.is_none_or(|order| {
                fleet.order_of(job.machine).is_some_and(|now| now.id == order && now.is_open())
            });
            open.then_some(job.machine)
        });
        let Some(machine) = ours else {
            let _ = state.change(move |fleet, now| fleet.cancel_job(now, id, "its order has ended")).await;
            continue;
        };
        moving.insert(machine);
        let (state, login) = (Arc::clone(&state), login.clone());
        powering.spawn(async move {
            let error = jobs::carry(&state, &login, id).await.err()?;
            let name = state.read(|fleet, _| fleet.machine(machine).map(|machine| machine.name.clone()));
            tracing::warn!(machine = name, %error, "not powered on");
            Some(machine)
        });
        if let Some(pause) = pace.stagger {
            tokio::time::sleep(pause).await;
        }
    }
    powering.join_all().await;
}

/// Too many machines have failed: the others are not started, and their orders end.
async fn give_up(state: &State, failed: usize, jobs: Vec<JobId>) {
    let names: Vec<String> = state.read(|fleet, _| {
        let name = |id: &JobId| Some(fleet.machine(fleet.job(*id)?.machine)?.name.clone());
        jobs.iter().filter_map(name).collect()
    });
    tracing::warn!(failed, ?names, "too many failures: these are not started, their orders end");
    let told = state.change(move |fleet, now| {
        jobs.iter().for_each(|job| fleet.cancel_job(now, *job, "too many failures"));
        fleet.command(now, "kpc: too many failures", Command::Cancel(Selector::Names(names)))
    });
    let _ = told.await;
}

/// Takes those that have come to an end out of `moving`, the failed ones into `failures`.
fn standing(
    fleet: &Fleet,
    now: Timestamp,
    moving: &mut BTreeSet<MachineId>,
    failures: &mut BTreeSet<MachineId>,
) {
    moving.retain(|machine| {
        let Some(status) = fleet.status_of(now, *machine) else { return false };
        if status.failed.is_some() {
            failures.insert(*machine);
        }
        let open = fleet.order_of(*machine).is_some_and(fleet::Order::is_open);
        open && status.lifecycle != Lifecycle::Registered && !failures.contains(machine)
    });
}
