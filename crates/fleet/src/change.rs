//! What operators change about a machine that is there: conflicts, BMCs, interfaces, disks, places.

use crate::command::{CommandOutcome, Refusal};
use crate::fleet::Fleet;
use crate::host_keys;
use crate::identity::{Mac, MachineId, OrderId};
use crate::machine::{Bmc, Lifecycle, MAX_MACS};
use crate::order::OrderState;
use crate::record::Record;
use crate::sabotage::Rule;
use crate::select::Selector;
use crate::text::{MAX_NAME, clean, is_label};

impl Fleet {
    /// A person says that the evidence is right after all.
    pub(crate) fn resolve(&mut self, id: MachineId, by: &str) -> Result<Option<OrderId>, Refusal> {
        let Some(mut machine) = self.machines.get(&id).cloned() else { return Err(Refusal::Retired) };
        let what = match (machine.lifecycle, machine.bmc_doubt.take()) {
            (Lifecycle::Conflict, _) => {
                (machine.uuid, machine.serial, machine.conflict) = (None, None, None);
                machine.lifecycle = Lifecycle::Adopted;
                "conflict resolved; its UUID and serial will be learned again"
            }
            (_, Some(_)) => "its BMC is its own",
            (_, None) if host_keys::accept(&mut machine) => "its SSH host keys are those that it shows",
            (_, None) if machine.uuid.is_some() => {
                machine.uuid = None;
                "its UUID will be learned again"
            }
            _ => return Err(Refusal::Nothing("it is not in conflict".into())),
        };
        self.changed(machine, by, what.into());
        Ok(None)
    }

    pub(crate) fn retire(&mut self, id: MachineId, by: &str) -> Result<Option<OrderId>, Refusal> {
        let Some(mut machine) = self.machines.get(&id).cloned() else { return Err(Refusal::Retired) };
        if machine.lifecycle == Lifecycle::Retired {
            return Err(Refusal::Retired);
        }
        let open = self.latest_order(id).filter(|order| order.is_open()).map(|order| order.id);
        if let Some(order) = open.filter(|_| self.holds(Rule::RetireEnds)) {
            self.set_order(order, OrderState::Cancelled, by);
        }
        (machine.lifecycle, machine.key) = (Lifecycle::Retired, None);
        self.changed(machine, by, "retired".into());
        self.attempts.remove(&id);
        self.time_attempt(id);
        Ok(open)
    }

    pub(crate) fn set_bmc(
        &mut self,
        by: &str,
        name: &str,
        bmc: Option<Bmc>,
    ) -> Result<CommandOutcome, Refusal> {
        let mut machine = self.one(name)?;
        bmc.iter().try_for_each(|bmc| self.bmc_taken(bmc, Some(machine.id)))?;
        let what =
            bmc.as_ref().map_or_else(|| "BMC removed".into(), |bmc| format!("BMC set to {}", bmc.address));
        (machine.bmc, machine.bmc_doubt) = (bmc, None);
        Ok(self.changed(machine, by, what))
    }

    pub(crate) fn add_mac(&mut self, by: &str, name: &str, mac: Mac) -> Result<CommandOutcome, Refusal> {
        let mut machine = self.one(name)?;
        self.taken(mac, None)?;
        if machine.macs.len() >= MAX_MACS {
            return Err(Refusal::TooMany(format!("at most {MAX_MACS} Ethernet addresses")));
        }
        machine.macs.push(mac);
        self.unknown.take(mac);
        Ok(self.changed(machine, by, format!("interface {mac} added")))
    }

    /// Names the disk of a machine's orders.
    pub(crate) fn set_disk(
        &mut self,
        by: &str,
        name: &str,
        serial: Option<String>,
    ) -> Result<CommandOutcome, Refusal> {
        let mut machine = self.one(name)?;
        let serial = serial.map(|serial| clean(serial.trim(), MAX_NAME)).filter(|serial| !serial.is_empty());
        let open = self.latest.get(&machine.id).and_then(|id| self.orders.get_mut(id));
        if let Some(order) =
            open.filter(|order| matches!(order.state, OrderState::Armed | OrderState::Claimed { .. }))
        {
            order.disk.clone_from(&serial);
            let record = Record::Order(order.clone());
            self.push_record(record);
        }
        let what = serial
            .as_ref()
            .map_or_else(|| "any disk may be chosen".into(), |serial| format!("disk {serial} named"));
        machine.disk = serial;
        Ok(self.changed(machine, by, what))
    }

    /// Sets groups and racks.
    pub(crate) fn label(
        &mut self,
        selector: &Selector,
        by: &str,
        roles: Option<&[String]>,
        rack: Option<&str>,
    ) -> Result<CommandOutcome, Refusal> {
        let mut words = roles.into_iter().flatten().map(String::as_str).chain(rack);
        if let Some(word) = words.find(|word| !is_label(word)) {
            return Err(Refusal::BadWord(clean(word, MAX_NAME)));
        }
        self.each(selector, |fleet, id| {
            let mut machine = fleet.machines.get(&id).cloned().ok_or(Refusal::Retired)?;
            if let Some(roles) = roles {
                machine.roles = roles.to_vec();
            }
            machine.rack = rack.map(str::to_owned).or(machine.rack);
            fleet.changed(machine, by, "labelled".into());
            Ok(None)
        })
    }

    /// Puts new hardware in the place of old.
    pub(crate) fn replace(&mut self, by: &str, old: &str, new: &str) -> Result<CommandOutcome, Refusal> {
        let (before, mut after) = (self.one(old)?, self.one(new)?);
        if before.id == after.id || after.lifecycle == Lifecycle::Retired {
            return Err(Refusal::Nothing(format!("{} cannot take the place of {}", after.name, before.name)));
        }
        if before.lifecycle != Lifecycle::Retired {
            self.retire(before.id, by)?;
        }
        let mut before = self.machines.get(&before.id).cloned().unwrap_or(before);
        let head: String = old.chars().take(MAX_NAME - 25).collect();
        before.name = format!("{head}-was-{}", before.id);
        (after.name, after.roles, after.rack) = (old.to_owned(), before.roles.clone(), before.rack.clone());
        if after.lifecycle == Lifecycle::Found {
            after.lifecycle = Lifecycle::Adopted;
        }
        self.put_vars(format!("host:{new}"), crate::record::Vars::new());
        self.put_machine(before);
        Ok(self.changed(after, by, format!("{new} took its place")))
    }
}
