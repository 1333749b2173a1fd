//! The one decision that DHCP, TFTP and every HTTP path ask: what may this machine boot now?
//!
//! It reads and changes nothing. An Ethernet address selects, a UUID only narrows, contradicting evidence
//! refuses, and without an open order the answer is never a boot.

use serde::Serialize;

use crate::fleet::Fleet;
use crate::identity::{MachineId, OrderId, Sighting};
use crate::machine::Lifecycle;
use crate::order::{OrderState, Role};
use crate::sabotage::Rule;
use crate::time::Timestamp;

/// What a machine may boot now.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Decision {
    /// Not ours, or not yet: listed, offered nothing.
    Observe {
        /// Why.
        reason: Reason,
    },
    /// Ours, with nothing to boot: leave the network for the disk (`exit 1` on UEFI, `sanboot` on BIOS).
    Local {
        /// Which machine.
        machine: MachineId,
        /// Why.
        reason: Reason,
    },
    /// Not ours, and discovery was asked for: the read-only discovery system.
    Discover,
    /// Boot what the order says.
    Boot(Boot),
    /// Wait and ask again: there is an order, but it may not be served now.
    Hold {
        /// Which machine.
        machine: MachineId,
        /// Why.
        reason: Reason,
    },
    /// What it says contradicts what is recorded: offered nothing until a person has looked.
    Refuse {
        /// Which machine it contradicts.
        machine: MachineId,
        /// Why.
        reason: Reason,
    },
}

/// What an order lets a machine boot.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Boot {
    /// Which machine.
    pub machine: MachineId,
    /// Its name.
    pub name: String,
    /// Under which order.
    pub order: OrderId,
    /// From memory, or to write a disk.
    pub role: Role,
    /// What.
    pub profile: String,
    /// The machine's groups.
    pub roles: Vec<String>,
    /// Whether this sighting showed the order's present claim: rendering endpoints answer only then.
    pub claimed: bool,
}

/// Why a decision is what it is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Nothing in it selects a machine.
    #[error("it carries no Ethernet address and no claim")]
    Nameless,
    /// No machine has this Ethernet address.
    #[error("no machine has this Ethernet address (`kpc adopt` makes it ours)")]
    UnknownMac,
    /// No machine has this Ethernet address, though one has this UUID: a UUID never selects alone.
    #[error(
        "its UUID is that of {name}, its Ethernet address is not: add the address to {name}, or look for a cloned UUID"
    )]
    OnlyUuid {
        /// Whose UUID it is.
        name: String,
    },
    /// The machine was found, not adopted.
    #[error("found, not adopted (`kpc adopt` makes it ours)")]
    NotAdopted,
    /// It has no open order.
    #[error("no open order")]
    NoOrder,
    /// Its order's one grant is given: network booting again must not write again.
    #[error("its order's one write grant is given")]
    Granted,
    /// Its order is frozen.
    #[error("order frozen: {why} (`kpc retry` after looking)")]
    Frozen {
        /// Why.
        why: String,
    },
    /// The store refuses writes, so nothing new can be promised.
    #[error("the store refuses writes: {why}")]
    Store {
        /// Its words.
        why: String,
    },
    /// Evidence contradicts the record.
    #[error("{why}")]
    Conflict {
        /// What contradicts what.
        why: String,
    },
}

/// Whose sighting it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Identity {
    Known(MachineId),
    Unknown(Reason),
    Contradicts(MachineId, String),
}

impl Fleet {
    /// What the machine of this sighting may boot now.
    pub fn decide(&self, now: Timestamp, sighting: &Sighting) -> Decision {
        let now = self.at(now);
        let id = match self.identify(now, sighting) {
            Identity::Known(id) => id,
            Identity::Unknown(_) if self.config.discovery && sighting.mac.is_some() => {
                return Decision::Discover;
            }
            Identity::Unknown(reason) => return Decision::Observe { reason },
            Identity::Contradicts(machine, why) => {
                return Decision::Refuse { machine, reason: Reason::Conflict { why } };
            }
        };
        let Some(machine) = self.machines.get(&id) else {
            return Decision::Observe { reason: Reason::UnknownMac };
        };
        match machine.lifecycle {
            Lifecycle::Conflict if self.holds(Rule::ConflictBootsNothing) => {
                let why = machine.conflict.clone().unwrap_or_else(|| "its identity is in doubt".into());
                return Decision::Refuse { machine: id, reason: Reason::Conflict { why } };
            }
            Lifecycle::Found => return Decision::Observe { reason: Reason::NotAdopted },
            Lifecycle::Retired => return Decision::Observe { reason: Reason::UnknownMac },
            _ => {}
        }
        let order = match self.open_order(id, now) {
            Some(order) => order,
            None if self.holds(Rule::NoOrderNoBoot) => {
                return Decision::Local { machine: id, reason: Reason::NoOrder };
            }
            None => match self.latest_order(id) {
                Some(order) => order,
                None => return Decision::Local { machine: id, reason: Reason::NoOrder },
            },
        };
        if let Some(why) = order.frozen.clone().filter(|_| self.holds(Rule::FrozenGrantsNothing)) {
            return Decision::Hold { machine: id, reason: Reason::Frozen { why } };
        }
        let claimed = sighting.claim.is_some() && order.claim().map(|claim| claim.secret) == sighting.claim;
        if matches!(order.state, OrderState::Granted { .. }) && !claimed && self.holds(Rule::GrantOnce) {
            return Decision::Local { machine: id, reason: Reason::Granted };
        }
        if let Some(why) = self.degraded.clone().filter(|_| !claimed) {
            return Decision::Hold { machine: id, reason: Reason::Store { why } };
        }
        Decision::Boot(Boot {
            machine: id,
            name: machine.name.clone(),
            order: order.id,
            role: order.role,
            profile: order.profile.clone(),
            roles: machine.roles.clone(),
            claimed,
        })
    }

    /// Whose sighting this is. A claim or an Ethernet address selects; a UUID narrows; what contradicts is
    /// said so.
    pub(crate) fn identify(&self, now: Timestamp, sighting: &Sighting) -> Identity {
        let by_claim = sighting
            .claim
            .and_then(|secret| self.orders.get(self.by_claim.get(&secret)?))
            .map(|order| order.machine);
        let by_mac = sighting.mac.and_then(|mac| self.by_mac.get(&mac)).copied();
        let id = match (by_claim, by_mac) {
            (Some(claim), Some(mac)) if claim != mac => {
                let why = format!(
                    "the claim of {} was shown by an interface of {}",
                    self.name(claim),
                    self.name(mac)
                );
                return Identity::Contradicts(claim, why);
            }
            (Some(id), _) | (None, Some(id)) => id,
            (None, None) => {
                let joined = self.join(now, sighting);
                #[cfg(test)]
                let joined = joined.or_else(|| self.lookalike(sighting));
                return match (joined, sighting.mac, sighting.peer.and_then(|peer| self.machine_at(peer))) {
                    (Some(id), _, _) | (None, None, Some(id)) => Identity::Known(id),
                    (None, None, None) => Identity::Unknown(Reason::Nameless),
                    (None, Some(_), _) => Identity::Unknown(self.why_unknown(sighting)),
                };
            }
        };
        let Some(machine) = self.machines.get(&id) else { return Identity::Unknown(Reason::UnknownMac) };
        if let Some((said, known)) = sighting
            .uuid
            .and_then(|uuid| Some((uuid, machine.contradicts(uuid)?)))
            .filter(|_| self.holds(Rule::ConflictBootsNothing))
        {
            let why = format!(
                "an interface of {} came with UUID {said}, recorded is {known}: board swapped, or address forged?",
                machine.name
            );
            return Identity::Contradicts(id, why);
        }
        Identity::Known(id)
    }

    /// A machine known by its BMC alone, whose BMC's GUID is this UUID and whose power we have just
    /// commanded under an order: two pieces of evidence that agree.
    pub(crate) fn join(&self, now: Timestamp, sighting: &Sighting) -> Option<MachineId> {
        let uuid = sighting.uuid.filter(|uuid| sighting.mac.is_some() && uuid.is_telling())?;
        let mut same = self.by_uuid.get(&uuid.canonical())?.iter().copied();
        let (id, None) = (same.next()?, same.next()) else { return None };
        let machine = self.machines.get(&id)?;
        let powered = now.since(*self.commanded.get(&id)?) <= self.config.power_window;
        (machine.macs.is_empty() && machine.is_board(uuid) && powered && self.open_order(id, now).is_some())
            .then_some(id)
    }

    /// The machine that a UUID alone would select, if a test let it.
    #[cfg(test)]
    fn lookalike(&self, sighting: &Sighting) -> Option<MachineId> {
        if self.holds(Rule::UuidNeverSelects) {
            return None;
        }
        self.by_uuid.get(&sighting.uuid?.canonical())?.first().copied()
    }

    /// Why an Ethernet address selects nobody.
    fn why_unknown(&self, sighting: &Sighting) -> Reason {
        let of =
            sighting.uuid.and_then(|uuid| self.by_uuid.get(&uuid.canonical())).and_then(|ids| ids.first());
        of.map_or(Reason::UnknownMac, |id| Reason::OnlyUuid { name: self.name(*id) })
    }

    /// A machine's name.
    pub(crate) fn name(&self, id: MachineId) -> String {
        self.machines.get(&id).map_or_else(|| id.to_string(), |machine| machine.name.clone())
    }
}
