//! Plans and jobs: which machines `provision` would start, and starting them, paced. The job lives in the server; a
//! verb that goes away stops nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fleet::{Command, Fleet, Lifecycle, MachineId, OrderId, Role, Selector};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::api::{Plan, PlannedMachine, Provision, RefusedMachine, Started};
use crate::serve::power::{self, Boot, Login, Target};
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

/// What would happen. Asks each BMC for its power; changes nothing.
pub(crate) async fn plan(
    state: &Arc<State>,
    login: &Login,
    request: &Provision,
    role: Role,
) -> Result<Plan, String> {
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
        asked.spawn(async move {
            let _slot = slots.acquire_owned().await;
            (power::status(&state, &login, &target).await, target)
        });
    }
    while let Some(answer) = asked.join_next().await {
        let (power, target) = answer.map_err(|error| error.to_string())?;
        match power {
            Ok(on) if on && role == Role::Install && !request.again => plan.refused.push(RefusedMachine {
                reason: format!("is powered on: switch it off first with `kpc power off {}`", target.name),
                name: target.name,
            }),
            Ok(on) => {
                let mode = match firmware(request, state, &target) {
                    Some(true) => "UEFI",
                    Some(false) => "legacy BIOS",
                    None => "legacy BIOS (firmware not heard yet; --firmware uefi for UEFI)",
                };
                plan.machines.push(PlannedMachine {
                    bmc: target.bmc.map(|bmc| bmc.to_string()),
                    power: if on { "on" } else { "off" }.to_owned(),
                    action: format!("network boot once, power {}, {mode}", if on { "cycle" } else { "on" }),
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

/// The boot mode to ask a BMC for: as said, else as last heard.
fn firmware(request: &Provision, state: &State, target: &Target) -> Option<bool> {
    match request.firmware.as_str() {
        "uefi" => Some(true),
        "bios" => Some(false),
        _ => state.is_uefi(target.machine),
    }
}

/// Gives the orders, durably, and starts the job that powers the machines on.
pub(crate) async fn start(
    state: &Arc<State>,
    login: &Login,
    request: Provision,
    role: Role,
    by: &str,
) -> Result<Started, String> {
    let names = state.read(|fleet, _| {
        let ids = select(fleet, &request.selection)?;
        Ok::<_, String>(
            ids.iter().filter_map(|id| Some(fleet.machine(*id)?.name.clone())).collect::<Vec<_>>(),
        )
    })?;
    let mut order = fleet::Provision::new(Selector::Names(names.clone()), request.profile.clone(), role);
    order.roles.clone_from(&request.roles);
    order.again = request.again;
    let who = by.to_owned();
    let changed = state.change(move |fleet, now| fleet.command(now, &who, Command::Provision(order)));
    let outcome = match changed.await {
        Ok(outcome) => outcome.map_err(|refusal| refusal.to_string())?,
        Err(error) => {
            // Told as failed, so it must not become an order once the store writes again.
            let cancel = Command::Cancel(Selector::Names(names));
            let _ =
                state.change(move |fleet, now| fleet.command(now, "kpc: the store refused", cancel)).await;
            return Err(error);
        }
    };
    let refused: Vec<RefusedMachine> = outcome
        .refused
        .iter()
        .map(|(name, why)| RefusedMachine { name: name.clone(), reason: why.to_string() })
        .collect();
    if outcome.machines.is_empty() {
        let lines: Vec<String> = refused.iter().map(|one| format!("{}: {}", one.name, one.reason)).collect();
        return Err(lines.join("; "));
    }
    let targets: Vec<(OrderId, Target)> = state.read(|fleet, _| {
        let of = |id: &MachineId| Some((fleet.order_of(*id)?.id, target(fleet, *id)?));
        outcome.machines.iter().filter_map(of).collect()
    });
    let machines = targets.iter().map(|(_, target)| target.name.clone()).collect();
    // The job is the server's: it ends with the server, or when its last machine has.
    tokio::spawn(job(Arc::clone(state), login.clone(), request, role, targets));
    Ok(Started { machines, refused })
}

async fn job(
    state: Arc<State>,
    login: Login,
    request: Provision,
    role: Role,
    targets: Vec<(OrderId, Target)>,
) {
    let (most, mut waiting) = (request.max_in_flight.max(1), targets.into_iter());
    let (mut started, mut dark) = (Vec::new(), BTreeSet::new());
    let mut powering: JoinSet<Option<MachineId>> = JoinSet::new();
    while let Some((order, target)) = waiting.next() {
        loop {
            while let Some(done) = powering.try_join_next() {
                dark.extend(done.ok().flatten());
            }
            let (moving, failed) = state.read(|fleet, now| standing(fleet, now, &started, &dark));
            if failed >= request.max_failures.max(1) {
                let names: Vec<String> =
                    std::iter::once(target.name).chain(waiting.map(|(_, target)| target.name)).collect();
                tracing::warn!(failed, ?names, "too many failures: these are not started, their orders end");
                let cancel = Command::Cancel(Selector::Names(names));
                let _ = state
                    .change(move |fleet, now| fleet.command(now, "kpc: too many failures", cancel))
                    .await;
                powering.join_all().await;
                return;
            }
            if request.stagger_ms.is_some() || moving < most {
                break;
            }
            tokio::time::sleep(LOOKED).await;
        }
        // Cancelled, or ordered anew, while it waited: not ours to power any more.
        let ours = state.read(|fleet, _| {
            fleet.order_of(target.machine).is_some_and(|now| now.id == order && now.is_open())
        });
        if !ours {
            continue;
        }
        started.push(target.machine);
        let boot = Boot { efi: firmware(&request, &state, &target), role, again: request.again };
        let (state, login) = (Arc::clone(&state), login.clone());
        powering.spawn(async move {
            let error = power::network_boot(&state, &login, &target, boot).await.err()?;
            tracing::warn!(machine = %target.name, %error, "not powered on");
            Some(target.machine)
        });
        if let Some(pause) = request.stagger_ms {
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }
    powering.join_all().await;
}

/// How many of these machines are between power-on and registration, and how many have failed.
fn standing(
    fleet: &Fleet,
    now: fleet::Timestamp,
    machines: &[MachineId],
    dark: &BTreeSet<MachineId>,
) -> (usize, usize) {
    let all = fleet.status(now);
    let ours = all.iter().filter(|status| machines.contains(&status.id));
    ours.fold((0, 0), |(moving, failed), status| {
        let open = fleet.order_of(status.id).is_some_and(fleet::Order::is_open);
        if dark.contains(&status.id) || status.failed.is_some() {
            (moving, failed + 1)
        } else if open && status.lifecycle != Lifecycle::Registered {
            (moving + 1, failed)
        } else {
            (moving, failed)
        }
    })
}
