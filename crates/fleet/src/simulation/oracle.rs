//! What must hold, kept apart from the engine: it only hears what was acknowledged to whom.

use std::collections::BTreeMap;

use crate::identity::{ClaimSecret, MachineId, OrderId};
use crate::order::{Claim, Claimer, Grant, Order, Role};

/// How an order looks from outside.
#[derive(Clone, Debug, Default)]
struct Seen {
    cancelled: bool,
    frozen: bool,
    voided: bool,
    grants: Vec<(ClaimSecret, ClaimSecret, String)>,
    claim: Option<(Claim, u64)>,
    writes: u32,
    minted: Option<u64>,
}

/// Who stands before the server in truth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Truth {
    /// The board that the operator means by this machine.
    Board(MachineId),
    /// Somebody who may spoof anything but was not first.
    Attacker,
    /// A board that is no machine of ours.
    Stranger,
}

/// Keeps the promises in view. Orders are keyed by how often a backup was restored, too: ids come again.
#[derive(Clone, Debug, Default)]
pub(super) struct Oracle {
    orders: BTreeMap<(u32, OrderId), Seen>,
    restores: u32,
    /// Power commands of ours, by machine.
    epochs: BTreeMap<MachineId, u64>,
    epoch_of_claim: BTreeMap<ClaimSecret, u64>,
    /// Whether time can be judged: not when clocks jump or servers restart.
    times: bool,
}

/// Hours in milliseconds.
const HOUR: u64 = 3_600_000;

impl Oracle {
    pub(super) fn new(times: bool) -> Self {
        Self { times, ..Self::default() }
    }

    fn order(&mut self, id: OrderId) -> &mut Seen {
        self.orders.entry((self.restores, id)).or_default()
    }

    pub(super) fn ordered(&mut self, now: u64, id: OrderId) {
        let seen = self.order(id);
        *seen = Seen { minted: Some(now), ..Seen::default() };
    }

    pub(super) fn cancelled(&mut self, id: OrderId) {
        self.order(id).cancelled = true;
    }

    pub(super) fn frozen(&mut self, id: OrderId) {
        self.order(id).frozen = true;
    }

    pub(super) fn retried(&mut self, id: OrderId) {
        let seen = self.order(id);
        (seen.frozen, seen.claim) = (false, None);
    }

    pub(super) fn powered(&mut self, machine: MachineId) {
        *self.epochs.entry(machine).or_default() += 1;
    }

    pub(super) fn restored(&mut self) {
        for seen in self.orders.values_mut() {
            seen.voided = true;
        }
        self.restores += 1;
    }

    /// Takes back that the present orders are void: without the rule they go on, and must be judged by
    /// what they were before.
    pub(super) fn restores_nothing(&mut self) {
        self.restores -= 1;
        for seen in self.orders.values_mut() {
            seen.voided = false;
        }
    }

    /// Whether another boot holds the order, as far as anybody was told.
    pub(super) fn holder(&mut self, now: u64, id: OrderId) -> Option<Claimer> {
        let seen = self.order(id);
        let (claim, at) = seen.claim.as_ref()?;
        (now < at + HOUR).then_some(claim.claimer)
    }

    /// A claim was acknowledged to somebody.
    pub(super) fn claimed(
        &mut self,
        now: u64,
        claim: &Claim,
        order: &Order,
        by: Truth,
    ) -> Result<(), String> {
        let epoch = self.epochs.get(&claim.machine).copied().unwrap_or(0);
        let times = self.times;
        let before = self.order(claim.order).claim.clone();
        let epoch_before =
            before.as_ref().and_then(|(before, _)| self.epoch_of_claim.get(&before.secret)).copied();
        self.epoch_of_claim.insert(claim.secret, epoch);
        let seen = self.order(claim.order);
        if seen.cancelled || seen.voided {
            return Err(format!("claim of an ended order {seen:?}"));
        }
        if seen.frozen {
            return Err("claim of a frozen order".into());
        }
        if !seen.grants.is_empty() && before.as_ref().is_none_or(|(before, _)| before.secret != claim.secret)
        {
            return Err("claim after the grant".into());
        }
        let late = seen.minted.is_some_and(|minted| now > minted + 24 * HOUR + 60_000);
        if times && late && order.role == Role::Install && before.is_none() {
            return Err("claim of an order past its time".into());
        }
        if let Some((before, at)) = &before {
            let other = before.claimer.mac != claim.claimer.mac || before.claimer.peer != claim.claimer.peer;
            let takes_over = other && epoch_before == Some(epoch) && order.role == Role::Install;
            if takes_over && times && now < at + HOUR {
                return Err("a second claimer was given the order".into());
            }
        }
        match by {
            Truth::Board(machine) if machine != claim.machine => {
                return Err("another machine's board claimed".into());
            }
            Truth::Stranger => return Err("a stranger's board claimed".into()),
            _ => {}
        }
        let at = before.filter(|(before, _)| before.secret == claim.secret).map_or(now, |(_, at)| at);
        seen.claim = Some((claim.clone(), at));
        Ok(())
    }

    /// A grant was acknowledged to somebody. `data`: whether the disk held any.
    pub(super) fn granted(
        &mut self,
        now: u64,
        grant: &Grant,
        order: &Order,
        open: Option<OrderId>,
        data: bool,
        by: Truth,
    ) -> Result<(), String> {
        let times = self.times;
        let seen = self.order(grant.order);
        if seen.cancelled || seen.voided || seen.frozen {
            return Err(format!("grant of an ended or frozen order: {seen:?}"));
        }
        if open != Some(grant.order) {
            return Err("grant of an order that is not its machine's one open order".into());
        }
        let this = (grant.claim, grant.nonce, grant.serial.clone());
        if !seen.grants.contains(&this) {
            seen.grants.push(this);
        }
        if seen.grants.len() > 1 {
            return Err(format!("two grants: {:?}", seen.grants));
        }
        match &seen.claim {
            Some((claim, _)) if claim.secret != grant.claim => {
                return Err("grant under a claim that was replaced".into());
            }
            Some((_, at)) if times && now > at + 4 * HOUR => {
                return Err("grant under a claim past its time".into());
            }
            _ => {}
        }
        if order.role == Role::Live {
            return Err("a live order was granted a disk".into());
        }
        if let Some(named) =
            order.disk.as_ref().or(order.wipe.as_ref()).filter(|named| **named != grant.serial)
        {
            return Err(format!("disk {} was granted, {named} was named", grant.serial));
        }
        if data && order.wipe.as_ref() != Some(&grant.serial) {
            return Err("a disk with data was granted that nobody gave up".into());
        }
        match by {
            Truth::Board(machine) if machine == grant.machine => Ok(()),
            Truth::Attacker => Ok(()), // it had to be first, and then it is the machine as far as anybody can tell
            _ => Err("another board was granted".into()),
        }
    }

    /// A disk is being written.
    pub(super) fn writes(&mut self, order: OrderId) -> Result<(), String> {
        let seen = self.order(order);
        seen.writes += 1;
        if seen.writes > 1 { Err("an order wrote twice".into()) } else { Ok(()) }
    }

    /// Whether anybody was told that this order is granted.
    pub(super) fn acknowledged(&self) -> impl Iterator<Item = OrderId> {
        let now = self.restores;
        self.orders
            .iter()
            .filter(move |((restores, _), seen)| *restores == now && !seen.grants.is_empty())
            .map(|((_, id), _)| *id)
    }
}
