//! The fleet that a store's records describe.

use std::collections::BTreeMap;

use crate::attempt::{Attempt, Phase};
use crate::config::Config;
use crate::fleet::Fleet;
use crate::identity::OrderId;
use crate::order::{Grant, OrderState};
use crate::record::Record;
use crate::sabotage::Rule;
use crate::time::{Clock, Timestamp};
use crate::timeline::EventKind;

/// What sequence numbers jump by at a restart: events that were not durable had numbers, too, and a reader
/// may have seen them.
const SEQ_GAP: u64 = 1 << 20;

/// A fleet that takes in the records of its store one by one, so that they are never all in memory beside it.
#[derive(Debug)]
pub(crate) struct Restoring {
    fleet: Fleet,
    newest: Timestamp,
    grants: BTreeMap<OrderId, Grant>,
}

impl Restoring {
    /// Over an empty fleet.
    pub(crate) fn begin(fleet: Fleet) -> Self {
        Self { fleet, newest: Timestamp::default(), grants: BTreeMap::new() }
    }

    /// The next record, in the order in which a store loads them.
    pub(crate) fn take(&mut self, record: Record) {
        let Self { fleet, newest, grants } = self;
        match record {
            Record::Machine(machine) => {
                *newest = machine.added_at.max(machine.registered_at.unwrap_or_default()).max(*newest);
                fleet.next_machine = fleet.next_machine.max(machine.id.0);
                fleet.index(&machine);
                fleet.machines.insert(machine.id, machine);
            }
            Record::Order(order) => {
                *newest = order.claim().map_or(order.at, |claim| claim.at).max(order.at).max(*newest);
                fleet.next_order = fleet.next_order.max(order.id.0);
                fleet.orders.insert(order.id, order);
            }
            Record::Grant(grant) => {
                *newest = grant.at.max(*newest);
                fleet.next_order = fleet.next_order.max(grant.order.0);
                grants.insert(grant.order, grant);
            }
            Record::Vars { scope, vars } => {
                fleet.vars.insert(scope, vars);
            }
            Record::Event(event) => {
                fleet.seq = fleet.seq.max(event.seq);
                let (per_machine, total) = (fleet.config.timeline_per_machine, fleet.config.timeline_total);
                let seqs = fleet.timeline.keep(event, true, per_machine, total);
                if !seqs.is_empty() {
                    fleet.push_record(Record::ForgetEvents { seqs });
                }
            }
            Record::Job(job) => fleet.resume_job(job),
            Record::ForgetEvents { .. } | Record::ForgetOrder { .. } | Record::ForgetJob { .. } => {}
        }
    }

    /// The fleet, at work again.
    pub(crate) fn end(self) -> Fleet {
        let mut fleet = self.fleet;
        fleet.clock = Clock::resumed(self.newest);
        fleet.seq += SEQ_GAP;
        fleet.resume_attempts();
        fleet.resume_orders(&self.grants);
        fleet
    }
}

impl Fleet {
    /// The fleet that these records describe, as a store loads them. An attempt is what its timeline tells; a
    /// machine whose order was claimed goes on at least from where the claim was given.
    pub fn restore(config: Config, records: impl IntoIterator<Item = Record>) -> Self {
        let mut restoring = Restoring::begin(Self::new(config));
        records.into_iter().for_each(|record| restoring.take(record));
        restoring.end()
    }

    /// As [`Fleet::restore`], without a rule.
    #[cfg(test)]
    pub(crate) fn restore_without(config: Config, records: Vec<Record>, removed: Option<Rule>) -> Self {
        let mut fleet = Self::new(config);
        fleet.removed = removed;
        let mut restoring = Restoring::begin(fleet);
        records.into_iter().for_each(|record| restoring.take(record));
        restoring.end()
    }

    /// Reads each machine's last attempt out of its timeline.
    fn resume_attempts(&mut self) {
        for (id, machine) in &mut self.machines {
            let number = self.timeline.of(*id).map(|event| event.attempt).max().unwrap_or(0);
            machine.attempts = machine.attempts.max(number);
            let mut attempt: Option<Attempt> = None;
            for event in self.timeline.of(*id).filter(|event| event.attempt == number && number > 0) {
                if let EventKind::Reached { phase, .. } = event.kind {
                    attempt.get_or_insert_with(|| Attempt::begin(number, event.at)).reach(event.at, phase);
                }
            }
            self.attempts.extend(attempt.map(|attempt| (*id, attempt)));
        }
    }

    /// Puts every order back to work. A grant always wins over an order written before it.
    fn resume_orders(&mut self, grants: &BTreeMap<OrderId, Grant>) {
        for (id, mut order) in std::mem::take(&mut self.orders) {
            let grant = grants.get(&id).filter(|_| self.holds(Rule::GrantRecordWins));
            if let (OrderState::Claimed { claim }, Some(grant)) = (&order.state, grant) {
                order.state = OrderState::Granted { claim: claim.clone(), grant: grant.clone() };
            }
            if let Some(claim) = order.claim() {
                let (machine, claim) = (order.machine, claim.clone());
                self.by_claim.insert(claim.secret, id);
                let behind = self.attempts.get(&machine).is_none_or(|attempt| attempt.number < claim.attempt);
                if order.is_open() && behind {
                    self.attempts.insert(machine, Attempt::begin(claim.attempt, claim.at));
                }
                if let Some(attempt) =
                    self.attempts.get_mut(&machine).filter(|attempt| attempt.number == claim.attempt)
                {
                    attempt.mac = Some(claim.claimer.mac);
                    attempt.reach(claim.at, Phase::Script);
                }
            }
            self.latest.entry(order.machine).and_modify(|latest| *latest = id.max(*latest)).or_insert(id);
            self.orders.insert(id, order);
            self.time_order(id);
        }
        for machine in self.attempts.keys().copied().collect::<Vec<_>>() {
            self.time_attempt(machine);
        }
    }
}
