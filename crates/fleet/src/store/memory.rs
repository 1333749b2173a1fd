//! The tables of a store as plain values: what a backup holds, and a store for tests and simulations.

use std::collections::BTreeMap;

use crate::identity::{MachineId, OrderId};
use crate::job::{Job, JobId};
use crate::machine::Machine;
use crate::order::{Grant, Order};
use crate::record::{Record, Vars};
use crate::store::Store;
use crate::timeline::Event;

/// A grant for this order exists and is another one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("order {0} has a grant already")]
pub struct GrantExists(pub OrderId);

/// What a store holds, by table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables {
    machines: BTreeMap<MachineId, Machine>,
    orders: BTreeMap<OrderId, Order>,
    grants: BTreeMap<OrderId, Grant>,
    vars: BTreeMap<String, Vars>,
    jobs: BTreeMap<JobId, Job>,
    events: BTreeMap<u64, Event>,
}

impl Tables {
    /// Takes one record in.
    ///
    /// # Errors
    /// [`GrantExists`]: grants are create-only.
    pub fn apply(&mut self, record: Record) -> Result<(), GrantExists> {
        match record {
            Record::Machine(machine) => drop(self.machines.insert(machine.id, machine)),
            Record::Order(order) => drop(self.orders.insert(order.id, order)),
            Record::Grant(grant) => {
                let order = grant.order;
                if *self.grants.entry(order).or_insert_with(|| grant.clone()) != grant {
                    return Err(GrantExists(order));
                }
            }
            Record::Vars { scope, vars } if vars.is_empty() => drop(self.vars.remove(&scope)),
            Record::Vars { scope, vars } => drop(self.vars.insert(scope, vars)),
            Record::Job(job) => drop(self.jobs.insert(job.id, job)),
            Record::ForgetJob { job } => drop(self.jobs.remove(&job)),
            Record::Event(event) => drop(self.events.insert(event.seq, event)),
            Record::ForgetEvents { seqs } => seqs.iter().for_each(|seq| drop(self.events.remove(seq))),
            Record::ForgetOrder { order, .. } => drop(self.orders.remove(&order)),
        }
        Ok(())
    }

    /// Everything, as records, in the order in which they may be applied.
    pub fn records(&self) -> Vec<Record> {
        let machines = self.machines.values().cloned().map(Record::Machine);
        let orders = self.orders.values().cloned().map(Record::Order);
        let grants = self.grants.values().cloned().map(Record::Grant);
        let vars =
            self.vars.iter().map(|(scope, vars)| Record::Vars { scope: scope.clone(), vars: vars.clone() });
        let events = self.events.values().cloned().map(Record::Event);
        let jobs = self.jobs.values().cloned().map(Record::Job);
        machines.chain(orders).chain(grants).chain(vars).chain(jobs).chain(events).collect()
    }
}

impl Store for Tables {
    type Error = GrantExists;

    fn append(&mut self, records: &[Record]) -> Result<(), GrantExists> {
        records.iter().try_for_each(|record| self.apply(record.clone()))
    }

    fn load(&self) -> Result<Vec<Record>, GrantExists> {
        Ok(self.records())
    }
}
