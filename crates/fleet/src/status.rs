//! What people see: one line per machine, and its timeline.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::attempt::Phase;
use crate::fleet::Fleet;
use crate::hint::{Hint, HintCode};
use crate::host_keys;
use crate::identity::{Mac, MachineId, OrderId, Uuid};
use crate::machine::{Lifecycle, Machine};
use crate::order::{Order, OrderState, Role};
use crate::time::Timestamp;
use crate::timeline::Event;
use crate::unknown::Unknown;

/// An order, in short.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct OrderStatus {
    /// Its id.
    pub id: OrderId,
    /// Its profile.
    pub profile: String,
    /// Live or install.
    pub role: Role,
    /// `armed`, `claimed`, `granted`, `done`, `failed`, `expired`, `cancelled` or `voided`.
    pub state: String,
    /// Whether it is frozen.
    pub frozen: bool,
}

/// When a phase was reached, from the beginning of its attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct PhaseReached {
    /// Which.
    pub phase: Phase,
    /// Milliseconds since the attempt began.
    pub after_ms: u64,
}

/// One machine as `kpc status`, `kpc watch` and the page show it. Never holds a secret.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct MachineStatus {
    /// Our id.
    pub id: MachineId,
    /// Its name.
    pub name: String,
    /// Its Ethernet addresses.
    pub macs: Vec<Mac>,
    /// Its UUID.
    pub uuid: Option<Uuid>,
    /// Address of its registered system.
    pub address: Option<IpAddr>,
    /// Address of its BMC.
    pub bmc: Option<IpAddr>,
    /// Power as last read.
    pub power: Option<bool>,
    /// Where it stands.
    pub rack: Option<String>,
    /// Its inventory groups.
    pub roles: Vec<String>,
    /// How far it has come.
    pub lifecycle: Lifecycle,
    /// Its latest order.
    pub order: Option<OrderStatus>,
    /// Number of its present boot attempt; 0 before the first.
    pub attempt: u32,
    /// The phase reached.
    pub phase: Option<Phase>,
    /// Per cent written.
    pub progress: Option<u8>,
    /// Milliseconds from the beginning of the attempt until now, or until it registered.
    pub elapsed_ms: u64,
    /// Why a person should look, when one should: stalled, failed, frozen, in conflict, its BMC not usable.
    pub failed: Option<String>,
    /// The cause of that, else what seems to be in the way of its boot.
    #[serde(default)]
    pub hint: Option<HintCode>,
    /// The hint, or the last thing that the agent said.
    pub note: String,
    /// The phases of the attempt, in order.
    pub phases: Vec<PhaseReached>,
}

impl Fleet {
    /// Every machine, by name; retired ones left out.
    pub fn status(&self, now: Timestamp) -> Vec<MachineStatus> {
        self.by_name
            .values()
            .filter_map(|id| self.machines.get(id))
            .filter(|machine| machine.lifecycle != Lifecycle::Retired)
            .map(|machine| self.machine_status(now, machine))
            .collect()
    }

    /// One machine.
    pub fn status_of(&self, now: Timestamp, machine: MachineId) -> Option<MachineStatus> {
        self.machines.get(&machine).map(|machine| self.machine_status(now, machine))
    }

    fn machine_status(&self, now: Timestamp, machine: &Machine) -> MachineStatus {
        let (now, attempt) = (self.at(now), self.attempts.get(&machine.id));
        let failed = self.failure(machine.id);
        let suspect = attempt.and_then(|attempt| attempt.suspect.as_ref());
        let registered = attempt.filter(|attempt| attempt.phase() == Some(Phase::Registered));
        let until = registered.map_or(now, |attempt| attempt.since());
        let millis = |from: Timestamp, to: Timestamp| to.as_millis().saturating_sub(from.as_millis());
        MachineStatus {
            id: machine.id,
            name: machine.name.clone(),
            macs: machine.macs.clone(),
            uuid: machine.uuid,
            address: machine.address,
            bmc: machine.bmc.as_ref().map(|bmc| bmc.address),
            power: self.power.get(&machine.id).copied(),
            rack: machine.rack.clone(),
            roles: machine.roles.clone(),
            lifecycle: machine.lifecycle,
            order: self.latest_order(machine.id).map(order_status),
            attempt: attempt.map_or(0, |attempt| attempt.number),
            phase: attempt.and_then(|attempt| attempt.phase()),
            progress: attempt.and_then(|attempt| attempt.progress),
            elapsed_ms: attempt.map_or(0, |attempt| millis(attempt.began, until)),
            hint: failed.as_ref().or(suspect).map(|hint| hint.code),
            note: match (&failed, suspect) {
                (Some(hint), _) | (None, Some(hint)) => hint.text.clone(),
                (None, None) => attempt.map(|attempt| attempt.note.clone()).unwrap_or_default(),
            },
            failed: failed.map(|hint| hint.text),
            phases: attempt
                .into_iter()
                .flat_map(|attempt| attempt.phases.iter().map(|at| (attempt.began, at)))
                .map(|(began, reached)| PhaseReached {
                    phase: reached.phase,
                    after_ms: millis(began, reached.at),
                })
                .collect(),
        }
    }

    /// Why a person should look at a machine, if one should.
    pub(crate) fn failure(&self, id: MachineId) -> Option<Hint> {
        let machine = self.machines.get(&id).filter(|machine| machine.lifecycle != Lifecycle::Retired)?;
        let hint = |code, text: &str| Some(Hint { code, text: text.to_owned() });
        if machine.lifecycle == Lifecycle::Conflict {
            return hint(HintCode::Conflict, machine.conflict.as_deref().unwrap_or_default());
        }
        if let Some(doubt) = &machine.bmc_doubt {
            return hint(HintCode::BmcOther, doubt);
        }
        if let Some(why) = host_keys::words(machine) {
            return hint(HintCode::HostKeysChanged, &why);
        }
        let order = self.latest_order(id);
        let by_order = order.and_then(|order| match (&order.frozen, &order.state) {
            (Some(why), _) if order.is_open() => hint(HintCode::OrderFrozen, &format!("order frozen: {why}")),
            (_, OrderState::Failed { reason, hint: code, .. }) => {
                hint(code.unwrap_or(HintCode::AgentFailed), reason)
            }
            (_, OrderState::Expired) => {
                hint(HintCode::OrderExpired, "order expired: the machine never claimed it")
            }
            (_, OrderState::Voided) => hint(HintCode::OrderVoided, "order voided by restoring a backup"),
            _ => None,
        });
        let store = || {
            let why = self.degraded.as_ref().filter(|_| order.is_some_and(Order::is_open))?;
            hint(HintCode::StoreRefuses, &format!("the store refuses writes: {why}"))
        };
        by_order
            .or_else(store)
            .or_else(|| self.attempts.get(&id)?.stalled.clone())
            .or_else(|| self.bmc_faults.get(&id).cloned())
    }

    /// What happened to a machine, oldest first.
    pub fn timeline(&self, machine: MachineId) -> Vec<Event> {
        self.timeline.of(machine).cloned().collect()
    }

    /// What happened after `seq` anywhere, oldest first, at most `most`: for a reader that was away.
    pub fn events_after(&self, seq: u64, most: usize) -> Vec<Event> {
        self.timeline.after(seq).take(most).cloned().collect()
    }

    /// Unknown Ethernet addresses in memory, the longest silent first.
    pub fn unknown(&self) -> Vec<Unknown> {
        self.unknown.iter().cloned().collect()
    }

    /// How many unknown addresses were pushed out of memory.
    pub fn unknown_dropped(&self) -> u64 {
        self.unknown.left()
    }

    /// A machine by id.
    pub fn machine(&self, id: MachineId) -> Option<&Machine> {
        self.machines.get(&id)
    }

    /// A machine by name.
    pub fn machine_named(&self, name: &str) -> Option<&Machine> {
        self.machines.get(self.by_name.get(name)?)
    }

    /// A machine by one of its Ethernet addresses.
    pub fn machine_with(&self, mac: Mac) -> Option<&Machine> {
        self.machines.get(self.by_mac.get(&mac)?)
    }

    /// Every machine, by id.
    pub fn machines(&self) -> impl Iterator<Item = &Machine> {
        self.machines.values()
    }

    /// An order by id, while it is remembered.
    pub fn order(&self, id: OrderId) -> Option<&Order> {
        self.orders.get(&id)
    }

    /// The latest order of a machine, open or ended.
    pub fn order_of(&self, machine: MachineId) -> Option<&Order> {
        self.latest_order(machine)
    }
}

fn order_status(order: &Order) -> OrderStatus {
    OrderStatus {
        id: order.id,
        profile: order.profile.clone(),
        role: order.role,
        state: order.state.word().into(),
        frozen: order.frozen.is_some(),
    }
}
