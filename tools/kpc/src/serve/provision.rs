//! Plans and jobs: which machines `provision` would start, and starting them, paced. The job lives in the server; a
//! verb that goes away stops nothing.

use std::sync::Arc;
use std::time::Duration;

use fleet::{Command, Fleet, Lifecycle, MachineId, Role, Selector};

use crate::api::{Plan, PlannedMachine, Provision, RefusedMachine};
use crate::serve::power::{self, Login, Target};
use crate::serve::state::State;

/// How often a job looks whether machines have moved on.
const LOOKED: Duration = Duration::from_millis(500);

/// The machines that selections name, each once, in order of name.
pub(crate) fn select(fleet: &Fleet, selections: &[String]) -> Result<Vec<MachineId>, String> {
    let mut chosen = std::collections::BTreeSet::new();
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
                    Some((
                        target(fleet, *id)?,
                        fleet.machine(*id)?.lifecycle,
                        fleet.order_of(*id).is_some_and(fleet::Order::is_open),
                    ))
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
    let mut asked = tokio::task::JoinSet::new();
    for (target, lifecycle, ordered) in targets {
        let refusal = match lifecycle {
            _ if ordered => Some(format!("has an open order; end it with `kpc cancel {}`", target.name)),
            Lifecycle::Registered | Lifecycle::Installed => Some(format!(
                "is {}: `kpc cancel` and a new order need its name, not a group",
                lifecycle.word()
            ))
            .filter(|_| !request.selection.contains(&target.name)),
            Lifecycle::Conflict => Some(format!("is in conflict; see `kpc show {}`", target.name)),
            Lifecycle::Found => Some("is found, not adopted".to_owned()),
            Lifecycle::Retired => Some("is retired".to_owned()),
            _ => None,
        };
        if let Some(reason) = refusal {
            plan.refused.push(RefusedMachine { name: target.name, reason });
            continue;
        }
        let (state, login) = (Arc::clone(state), login.clone());
        asked.spawn(async move { (power::status(&state, &login, &target).await, target) });
    }
    while let Some(answer) = asked.join_next().await {
        let Ok((power, target)) = answer else { continue };
        match power {
            Ok(on) if on && role == Role::Install => plan.refused.push(RefusedMachine {
                reason: format!("is powered on: switch it off first with `kpc power off {}`", target.name),
                name: target.name,
            }),
            Ok(on) => plan.machines.push(PlannedMachine {
                name: target.name,
                bmc: target.bmc.map(|bmc| bmc.to_string()),
                power: if on { "on" } else { "off" }.to_owned(),
                action: if on { "network boot once, power cycle" } else { "network boot once, power on" }
                    .to_owned(),
            }),
            Err(reason) => plan.refused.push(RefusedMachine { name: target.name, reason }),
        }
    }
    plan.machines.sort_by(|a, b| a.name.cmp(&b.name));
    plan.refused.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(plan)
}

/// Gives the orders, durably, and starts the job that powers the machines on.
pub(crate) fn start(
    state: &Arc<State>,
    login: &Login,
    request: Provision,
    role: Role,
    by: &str,
) -> Result<Vec<String>, String> {
    let ids = state.read(|fleet, _| select(fleet, &request.selection))?;
    let selectors =
        state.read(|fleet, _| ids.iter().filter_map(|id| Some(fleet.machine(*id)?.name.clone())).collect());
    let mut order = fleet::Provision::new(Selector::Names(selectors), request.profile.clone(), role);
    order.roles.clone_from(&request.roles);
    let outcome = state.change(|fleet, now| fleet.command(now, by, Command::Provision(order)))?;
    let ids = outcome.map_err(|refusal| refusal.to_string())?.machines;
    let targets: Vec<Target> =
        state.read(|fleet, _| ids.iter().filter_map(|id| target(fleet, *id)).collect());
    let names = targets.iter().map(|target| target.name.clone()).collect();
    // The job is the server's: it ends with the server, or when its last machine has.
    tokio::spawn(job(Arc::clone(state), login.clone(), request, targets));
    Ok(names)
}

async fn job(state: Arc<State>, login: Login, request: Provision, targets: Vec<Target>) {
    let efi = match request.firmware.as_str() {
        "uefi" => Some(true),
        "bios" => Some(false),
        _ => None,
    };
    let mut started = Vec::new();
    let mut refused = 0;
    let mut powering = tokio::task::JoinSet::new();
    for target in targets {
        loop {
            while let Some(done) = powering.try_join_next() {
                if matches!(done, Ok(Err(()))) {
                    refused += 1;
                }
            }
            let (moving, failed) = state.read(|fleet, now| standing(fleet, now, &started));
            if failed + refused >= request.max_failures {
                tracing::warn!(
                    failed = failed + refused,
                    "too many failures: the machines that wait are not started"
                );
                return;
            }
            if request.stagger_ms.is_some() || moving < request.max_in_flight {
                break;
            }
            tokio::time::sleep(LOOKED).await;
        }
        started.push(target.machine);
        let (state, login) = (Arc::clone(&state), login.clone());
        powering.spawn(async move {
            power::network_boot(&state, &login, &target, efi).await.map_err(|error| {
                tracing::warn!(machine = %target.name, %error, "not powered on");
            })
        });
        if let Some(pause) = request.stagger_ms {
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }
    powering.join_all().await;
}

/// How many of these machines are between power-on and registration, and how many have failed.
fn standing(fleet: &Fleet, now: fleet::Timestamp, machines: &[MachineId]) -> (usize, usize) {
    let all = fleet.status(now);
    let ours = all.iter().filter(|status| machines.contains(&status.id));
    ours.fold((0, 0), |(moving, failed), status| match status.lifecycle {
        Lifecycle::Registered => (moving, failed),
        _ if status.failed.is_some() => (moving, failed + 1),
        _ => (moving + 1, failed),
    })
}
