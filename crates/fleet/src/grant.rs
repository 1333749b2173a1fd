//! The write grant: the agent asks immediately before its first write. At most one per order, durable before
//! the reply, the same answer to the same nonce; a second one only after a person ordered again.

use crate::attempt::Phase;
use crate::fleet::Fleet;
use crate::hint::{Hint, HintCode};
use crate::identity::{ClaimSecret, OrderId};
use crate::order::{Grant, Order, OrderState, Role};
use crate::record::Record;
use crate::sabotage::Rule;
use crate::text::{MAX_DETAIL, clean};
use crate::time::Timestamp;
use crate::timeline::EventKind;

/// The agent's question: may I write this disk?
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GrantRequest {
    /// The claim of its boot.
    pub claim: ClaimSecret,
    /// Sixteen random octets that this run of the agent chose when it started.
    pub nonce: ClaimSecret,
    /// Serial of the disk that its rule chose.
    pub serial: String,
    /// What it found on the disk: partition table, filesystem, LVM, md or Ceph. Empty: nothing.
    pub signatures: Vec<String>,
}

/// Why no grant was given.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantRefused {
    /// The claim is not (or no longer) that of an open order.
    #[error("no open order stands under this claim")]
    NoClaim,
    /// The order is frozen.
    #[error("order frozen: {0}")]
    Frozen(String),
    /// A live order never writes.
    #[error("the order runs from memory and never writes a disk")]
    Live,
    /// The order's one grant was given to another run of the agent.
    #[error("this order's one grant was given already; a person must order again")]
    Spent,
    /// The disk has no serial.
    #[error("a disk without a serial cannot be granted")]
    NoSerial,
    /// The operator named another disk.
    #[error("the order names disk {wanted}, not {asked}")]
    OtherDisk {
        /// What the order says.
        wanted: String,
        /// What the agent asked for.
        asked: String,
    },
    /// The disk is not empty and the order does not give up its data.
    #[error("disk {serial} holds data ({found}); `kpc reinstall --wipe {serial}` gives it up")]
    HoldsData {
        /// Which.
        serial: String,
        /// What was found.
        found: String,
    },
    /// The store refuses writes.
    #[error("the store refuses writes: {0}")]
    Store(String),
}

impl Fleet {
    /// Gives the one grant of the order that this claim holds, or the same answer again to the same nonce.
    /// The driver replies only after [`Record::Grant`] is durable.
    ///
    /// # Errors
    /// [`GrantRefused`], which the timeline keeps too.
    pub fn grant(&mut self, now: Timestamp, request: &GrantRequest) -> Result<Grant, GrantRefused> {
        let now = self.tick(now);
        let id = self.by_claim.get(&request.claim).copied();
        let machine = id.and_then(|id| self.orders.get(&id)).map(|order| order.machine);
        let result = id.ok_or(GrantRefused::NoClaim).and_then(|id| self.may_grant(id, request, now));
        match result {
            Ok(Some(before)) => Ok(before),
            Ok(None) => self.give_grant(id, request, now).ok_or(GrantRefused::NoClaim),
            Err(refused) => {
                if machine.is_some() {
                    self.event(
                        machine,
                        EventKind::GrantRefused { reason: clean(&refused.to_string(), MAX_DETAIL) },
                    );
                }
                if let (Some(machine), GrantRefused::HoldsData { .. }) = (machine, &refused) {
                    self.trouble(machine, Hint::new(HintCode::DiskHoldsData, &refused.to_string()), true);
                }
                Err(refused)
            }
        }
    }

    /// Every rule of the grant. `Ok(Some)`: given before to this very nonce; `Ok(None)`: may be given.
    fn may_grant(
        &self,
        id: OrderId,
        request: &GrantRequest,
        now: Timestamp,
    ) -> Result<Option<Grant>, GrantRefused> {
        let order = self.orders.get(&id).ok_or(GrantRefused::NoClaim)?;
        let present = order.claim().is_some_and(|claim| claim.secret == request.claim);
        if !present && self.holds(Rule::PresentClaim) {
            return Err(GrantRefused::NoClaim);
        }
        if let Some(why) = order.frozen.clone().filter(|_| self.holds(Rule::FrozenGrantsNothing)) {
            return Err(GrantRefused::Frozen(why));
        }
        if let Some(why) = self.degraded.clone() {
            return Err(GrantRefused::Store(why));
        }
        match &order.state {
            OrderState::Claimed { claim } if claim.expires <= now && self.holds(Rule::ClaimExpires) => {
                return Err(GrantRefused::NoClaim);
            }
            OrderState::Claimed { .. } => {}
            OrderState::Granted { grant, .. } => {
                let same = grant.nonce == request.nonce && grant.serial == request.serial.trim();
                if same || !self.holds(Rule::SameNonce) {
                    return Ok(Some(grant.clone()));
                }
                if self.holds(Rule::GrantOnce) {
                    return Err(GrantRefused::Spent);
                }
            }
            OrderState::Done { .. } if self.holds(Rule::GrantOnce) => return Err(GrantRefused::Spent),
            _ => return Err(GrantRefused::NoClaim),
        }
        self.may_write(order, request)?;
        Ok(None)
    }

    /// Whether the order lets this disk be written.
    fn may_write(&self, order: &Order, request: &GrantRequest) -> Result<(), GrantRefused> {
        let serial = request.serial.trim();
        if order.role == Role::Live && self.holds(Rule::LiveNeverWrites) {
            return Err(GrantRefused::Live);
        }
        if serial.is_empty() || serial.len() > MAX_DETAIL {
            return Err(GrantRefused::NoSerial);
        }
        if let Some(wanted) = order
            .disk
            .clone()
            .or_else(|| order.wipe.clone())
            .filter(|wanted| wanted != serial && self.holds(Rule::NamedDisk))
        {
            return Err(GrantRefused::OtherDisk { wanted, asked: clean(serial, 64) });
        }
        let given_up = order.wipe.as_deref() == Some(serial);
        if !request.signatures.is_empty() && !given_up && self.holds(Rule::DataNeedsWipe) {
            let found = clean(&request.signatures.join(", "), 120);
            return Err(GrantRefused::HoldsData { serial: clean(serial, 64), found });
        }
        Ok(())
    }

    /// Spends the order: the grant is recorded before anything else.
    fn give_grant(&mut self, id: Option<OrderId>, request: &GrantRequest, now: Timestamp) -> Option<Grant> {
        let order = self.orders.get(&id?)?;
        let (id, machine, claim) = (order.id, order.machine, order.claim()?.clone());
        let serial = request.serial.trim().to_owned();
        let grant = Grant {
            order: id,
            machine,
            claim: request.claim,
            nonce: request.nonce,
            serial: serial.clone(),
            at: now,
        };
        self.push_record(Record::Grant(grant.clone()));
        self.set_order(id, OrderState::Granted { claim, grant: grant.clone() }, "");
        self.reach(machine, now, Phase::Agent, "");
        self.event(Some(machine), EventKind::Granted { order: id, serial: clean(&serial, 64) });
        Some(grant)
    }
}
