//! What happened, ordered by sequence and not by clock: for `kpc status`, the page and the audit.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::attempt::Phase;
use crate::hint::HintCode;
use crate::identity::{Mac, MachineId, OrderId};
use crate::order::Role;
use crate::time::Timestamp;

/// One thing that happened.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its place; strictly increasing over restarts.
    pub seq: u64,
    /// What the wall clock said. Only for people: the order is `seq`'s.
    pub at: Timestamp,
    /// Whose, unless it is the fleet's or an unknown machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineId>,
    /// That machine's name then.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// In which boot attempt; 0 outside any.
    #[serde(default)]
    pub attempt: u32,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened. Strings in it are cleaned for terminals, not for HTML.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// An unknown Ethernet address was heard for the first time since it left the ring.
    Unknown {
        /// It.
        mac: Mac,
    },
    /// A machine was added or adopted.
    Added {
        /// By whom.
        by: String,
    },
    /// An operator changed something about it.
    Changed {
        /// By whom.
        by: String,
        /// What.
        what: String,
    },
    /// An order was given.
    Ordered {
        /// Its id.
        order: OrderId,
        /// Its profile.
        profile: String,
        /// Live or install.
        role: Role,
        /// By whom.
        by: String,
    },
    /// A boot reached a phase.
    Reached {
        /// Which.
        phase: Phase,
        /// With what: a file, an address, a disk.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        detail: String,
    },
    /// Something worth telling that moves no phase.
    Note {
        /// In words.
        text: String,
    },
    /// A boot claimed an order.
    Claimed {
        /// Which.
        order: OrderId,
        /// By which interface.
        mac: Mac,
        /// From which address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer: Option<IpAddr>,
    },
    /// The one grant of an order was given.
    Granted {
        /// Which.
        order: OrderId,
        /// The disk.
        serial: String,
    },
    /// A request for a grant was refused.
    GrantRefused {
        /// Why.
        reason: String,
    },
    /// An order is frozen until a person has looked.
    Frozen {
        /// Which.
        order: OrderId,
        /// Why.
        reason: String,
    },
    /// An order ended.
    Ended {
        /// Which.
        order: OrderId,
        /// `done`, `failed`, `expired`, `cancelled` or `voided`.
        state: String,
        /// Why, or by whom.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// A boot goes no further.
    Stalled {
        /// Which.
        phase: Phase,
        /// What was seen.
        hint: String,
        /// The cause.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<HintCode>,
    },
    /// A system registered.
    Registered {
        /// Its address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<IpAddr>,
    },
    /// A BMC refused or failed.
    BmcFailed {
        /// How.
        detail: String,
    },
    /// Somebody should look now.
    Alarm {
        /// At what.
        text: String,
    },
    /// The store refuses writes; no order, claim or grant until it does not.
    StoreFailed {
        /// Its words.
        detail: String,
    },
    /// The store writes again.
    StoreRecovered,
}

impl EventKind {
    /// Whether somebody should be woken.
    pub fn is_alarm(&self) -> bool {
        matches!(self, Self::Alarm { .. } | Self::Frozen { .. } | Self::StoreFailed { .. })
    }

    /// One line in words, for `kpc show` and the page.
    pub fn line(&self) -> String {
        match self {
            Self::Unknown { mac } => format!("unknown machine {mac} heard"),
            Self::Added { by } => with("added", by),
            Self::Changed { by, what } => with(what, by),
            Self::Ordered { order, profile, role: Role::Live, by } => {
                with(&format!("order {order}: run {profile} from memory"), by)
            }
            Self::Ordered { order, profile, role: Role::Install, by } => {
                with(&format!("order {order}: install {profile}"), by)
            }
            Self::Reached { phase, detail } if detail.is_empty() => phase.words().into(),
            Self::Reached { phase, detail } => format!("{}: {detail}", phase.words()),
            Self::Note { text } => text.clone(),
            Self::Claimed { order, mac, peer: Some(peer) } => {
                format!("order {order} claimed by {mac} at {peer}")
            }
            Self::Claimed { order, mac, peer: None } => format!("order {order} claimed by {mac}"),
            Self::Granted { order, serial } => format!("order {order}: disk {serial} may be written, once"),
            Self::GrantRefused { reason } => format!("write refused: {reason}"),
            Self::Frozen { order, reason } => format!("order {order} frozen: {reason}"),
            Self::Ended { order, state, reason } if reason.is_empty() => format!("order {order} {state}"),
            Self::Ended { order, state, reason } => format!("order {order} {state}: {reason}"),
            Self::Stalled { phase, hint, code: None } => format!("stalled at {}: {hint}", phase.words()),
            Self::Stalled { phase, hint, code: Some(code) } => {
                format!("stalled at {}: [{code}] {hint}; {}", phase.words(), code.remedy())
            }
            Self::Registered { address: Some(address) } => format!("registered at {address}"),
            Self::Registered { address: None } => "registered".into(),
            Self::BmcFailed { detail } => format!("BMC: {detail}"),
            Self::Alarm { text } => format!("ALARM {text}"),
            Self::StoreFailed { detail } => format!("store refuses writes: {detail}"),
            Self::StoreRecovered => "store writes again".into(),
        }
    }
}

/// `what (by whom)`.
fn with(what: &str, by: &str) -> String {
    if by.is_empty() { what.into() } else { format!("{what} (by {by})") }
}

/// The events kept in memory: so many per machine, so many in all, the oldest dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    /// With whether they are in the store. Boxed: a tree that only grows at its end is half empty.
    events: BTreeMap<u64, Box<(Event, bool)>>,
    per_machine: BTreeMap<MachineId, VecDeque<u64>>,
    others: VecDeque<u64>,
}

impl Timeline {
    /// Keeps `event`, which is in the store when `durable`; returns what has to go from the store.
    pub(crate) fn keep(&mut self, event: Event, durable: bool, per_machine: usize, total: usize) -> Vec<u64> {
        let (seq, machine) = (event.seq, event.machine);
        self.events.insert(seq, Box::new((event, durable)));
        let queue = match machine {
            Some(machine) => self.per_machine.entry(machine).or_default(),
            None => &mut self.others,
        };
        queue.push_back(seq);
        let oldest = if queue.len() > per_machine.max(1) { queue.pop_front() } else { None };
        let mut gone: Vec<_> =
            oldest.and_then(|old| self.events.remove(&old).map(|kept| (old, kept))).into_iter().collect();
        while self.events.len() > total.max(1) {
            gone.extend(self.events.pop_first());
        }
        gone.into_iter().filter(|(_, kept)| kept.1).map(|(seq, _)| seq).collect()
    }

    /// The events of a machine, oldest first.
    pub(crate) fn of(&self, machine: MachineId) -> impl Iterator<Item = &Event> {
        self.per_machine.get(&machine).into_iter().flatten().filter_map(|seq| Some(&self.events.get(seq)?.0))
    }

    /// Events after `seq`, oldest first.
    pub(crate) fn after(&self, seq: u64) -> impl Iterator<Item = &Event> {
        self.events.range(seq.saturating_add(1)..).map(|(_, kept)| &kept.0)
    }
}
