//! Giving orders: to whom, when not, and again after a person has looked.

use crate::command::{CommandOutcome, Refusal};
use crate::fleet::Fleet;
use crate::hint::HintCode;
use crate::identity::{MachineId, OrderId};
use crate::machine::Lifecycle;
use crate::order::{Order, OrderState, Role};
use crate::sabotage::Rule;
use crate::select::Selector;
use crate::text::{MAX_DETAIL, clean, is_label};
use crate::time::Timestamp;
use crate::timeline::EventKind;

/// An order that an operator gives.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Provision {
    /// To whom.
    pub selector: Selector,
    /// What shall boot.
    pub profile: String,
    /// From memory, or to write a disk.
    pub role: Role,
    /// Inventory groups to set; empty: leave them.
    pub roles: Vec<String>,
    /// The disk, by serial; only with one machine.
    pub disk: Option<String>,
    /// The disk whose data is given up, by serial; only with one machine.
    pub wipe: Option<String>,
    /// Also machines that are powered on, installed or registered (`kpc reinstall`); only by name.
    pub again: bool,
}

impl Provision {
    /// The plain form: these machines, this profile, this role.
    pub fn new(selector: Selector, profile: impl Into<String>, role: Role) -> Self {
        Self {
            selector,
            profile: profile.into(),
            role,
            roles: Vec::new(),
            disk: None,
            wipe: None,
            again: false,
        }
    }
}

impl Fleet {
    /// Gives an order to each selected machine that may get one.
    pub(crate) fn provision(
        &mut self,
        now: Timestamp,
        by: &str,
        wanted: &Provision,
    ) -> Result<CommandOutcome, Refusal> {
        if let Some(word) = wanted.roles.iter().chain([&wanted.profile]).find(|word| !is_label(word)) {
            return Err(Refusal::BadWord(clean(word, 63)));
        }
        let by_name = matches!(&wanted.selector, Selector::Names(_) | Selector::Mac(_) | Selector::Bmc(_));
        if wanted.again && !by_name {
            return Err(Refusal::OnlyOne("`kpc reinstall`".into()));
        }
        let many = self.select(&wanted.selector).map_err(Refusal::NoMatch)?.len() != 1;
        if many && (wanted.disk.is_some() || wanted.wipe.is_some()) {
            return Err(Refusal::OnlyOne("naming a disk".into()));
        }
        self.each(&wanted.selector, |fleet, id| {
            fleet.may_order(id, now, wanted.role, wanted.again)?;
            let Some(mut machine) = fleet.machines.get(&id).cloned() else { return Err(Refusal::Retired) };
            if !wanted.roles.is_empty() && machine.roles != wanted.roles {
                machine.roles.clone_from(&wanted.roles);
                fleet.put_machine(machine);
            }
            let serial =
                |serial: &Option<String>| serial.as_ref().map(|serial| clean(serial.trim(), MAX_DETAIL));
            let (disk, wipe) = (serial(&wanted.disk), serial(&wanted.wipe));
            let disk = disk.or_else(|| wipe.clone()).or_else(|| fleet.machines.get(&id)?.disk.clone());
            let order = (wanted.profile.clone(), wanted.role, disk, wipe);
            Ok(Some(fleet.give_order(id, now, by, order)))
        })
    }

    /// Whether a machine may get an order.
    fn may_order(&self, id: MachineId, now: Timestamp, role: Role, again: bool) -> Result<(), Refusal> {
        let Some(machine) = self.machines.get(&id) else { return Err(Refusal::Retired) };
        match machine.lifecycle {
            Lifecycle::Found => return Err(Refusal::NotAdopted),
            Lifecycle::Retired => return Err(Refusal::Retired),
            Lifecycle::Conflict => {
                return Err(Refusal::InConflict(machine.conflict.clone().unwrap_or_default()));
            }
            Lifecycle::Installed | Lifecycle::Registered if !again => {
                return Err(Refusal::InUse(machine.lifecycle.word().into()));
            }
            _ => {}
        }
        if let Some(order) = self.open_order(id, now).filter(|_| self.holds(Rule::OneOpenOrder)) {
            return Err(Refusal::OrderOpen(order.id));
        }
        if role == Role::Install && !again && self.power.get(&id) == Some(&true) {
            return Err(Refusal::InUse("powered on".into()));
        }
        Ok(())
    }

    fn give_order(
        &mut self,
        machine: MachineId,
        now: Timestamp,
        by: &str,
        what: (String, Role, Option<String>, Option<String>),
    ) -> OrderId {
        let (profile, role, disk, wipe) = what;
        // What an earlier order's boot had reached says nothing of this one.
        self.attempts.remove(&machine);
        let expires = (role == Role::Install).then(|| now.plus(self.config.order_lifetime));
        let by = by.to_owned();
        let state = OrderState::Armed;
        self.mint_order(|id| Order {
            id,
            machine,
            profile,
            role,
            disk,
            wipe,
            by,
            at: now,
            expires,
            frozen: None,
            state,
        })
    }

    /// A person has looked: a frozen order is armed again for the next boot, a failed or expired one is given
    /// again as a new order.
    pub(crate) fn retry(
        &mut self,
        now: Timestamp,
        by: &str,
        id: MachineId,
    ) -> Result<Option<OrderId>, Refusal> {
        let nothing = || Refusal::Nothing("it has no failed or frozen order".into());
        let order = self.latest_order(id).cloned().ok_or_else(nothing)?;
        let again = (order.profile.clone(), order.role, order.disk.clone(), order.wipe.clone());
        match &order.state {
            OrderState::Failed { .. } | OrderState::Expired | OrderState::Voided => {
                self.may_order(id, now, order.role, true)?;
                Ok(Some(self.give_order(id, now, by, again)))
            }
            OrderState::Armed | OrderState::Claimed { .. } if order.frozen.is_some() => {
                if let Some(order) = self.orders.get_mut(&order.id) {
                    order.frozen = None;
                }
                self.set_order(order.id, OrderState::Armed, by);
                self.event(
                    Some(id),
                    EventKind::Changed { by: by.into(), what: format!("order {} thawed", order.id) },
                );
                Ok(Some(order.id))
            }
            OrderState::Granted { .. } if order.frozen.is_some() => {
                let reason = "frozen after its grant; ordered again".into();
                self.set_order(
                    order.id,
                    OrderState::Failed { reason, granted: true, hint: Some(HintCode::WriteStopped) },
                    by,
                );
                Ok(Some(self.give_order(id, now, by, again)))
            }
            OrderState::Armed | OrderState::Claimed { .. }
                if self.attempts.get(&id).is_some_and(|attempt| attempt.stalled.is_some()) =>
            {
                self.set_order(order.id, OrderState::Armed, by);
                self.attempts.remove(&id);
                self.time_attempt(id);
                self.event(
                    Some(id),
                    EventKind::Changed { by: by.into(), what: format!("order {} armed again", order.id) },
                );
                Ok(Some(order.id))
            }
            _ => Err(nothing()),
        }
    }
}
