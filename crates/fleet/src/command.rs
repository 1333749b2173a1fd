//! What people say: machines added and adopted, orders given and taken back. Each command is checked whole
//! before it changes anything.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fleet::Fleet;
use crate::identity::{Mac, MachineId, OrderId, Uuid};
use crate::machine::{Bmc, Lifecycle, MAX_MACS, Machine};
use crate::order::OrderState;
use crate::provision::Provision;
use crate::sabotage::Rule;
use crate::select::Selector;
use crate::text::{clean, is_label, is_machine_name};
use crate::time::Timestamp;
use crate::timeline::EventKind;

/// A machine that an operator adds.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NewMachine {
    /// Its name.
    pub name: String,
    /// Its Ethernet addresses; none is fine when its BMC's GUID will tell.
    pub macs: Vec<Mac>,
    /// Its SMBIOS UUID.
    pub uuid: Option<Uuid>,
    /// Its serial.
    pub serial: Option<String>,
    /// Its BMC.
    pub bmc: Option<Bmc>,
    /// Where it stands.
    pub rack: Option<String>,
    /// Its inventory groups.
    pub roles: Vec<String>,
    /// From a scan: found, not ours until adopted.
    pub found: bool,
}

/// What an operator wants.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Adds a machine.
    AddMachine(NewMachine),
    /// Makes found machines ours; never erases.
    Adopt(Selector),
    /// Makes an unknown Ethernet address from the ring a machine of ours.
    AdoptUnknown {
        /// The address.
        mac: Mac,
        /// Its name; `None`: we choose `node-N`.
        name: Option<String>,
    },
    /// Gives a machine another name.
    Rename {
        /// Present name.
        from: String,
        /// New name.
        to: String,
    },
    /// Gives orders.
    Provision(Provision),
    /// Takes open orders back.
    Cancel(Selector),
    /// After looking: thaws a frozen order, or gives a failed one again.
    Retry(Selector),
    /// Says that the evidence is right: takes the conflict away and what it contradicted with it (UUID and serial),
    /// or the doubt about a BMC, or other SSH host keys than recorded, or a UUID that sightings contradict.
    Resolve(Selector),
    /// Takes machines out of service.
    Retire(Selector),
    /// Sets a machine's BMC.
    SetBmc {
        /// Its name.
        name: String,
        /// The BMC.
        bmc: Option<Bmc>,
    },
    /// Adds an Ethernet address to a machine.
    AddMac {
        /// Its name.
        name: String,
        /// The address.
        mac: Mac,
    },
    /// Names the disk of a machine's orders, this one's too while nothing is granted; `None`: any.
    SetDisk {
        /// Its name.
        name: String,
        /// The disk, by serial.
        serial: Option<String>,
    },
    /// Sets the inventory groups or the rack of machines; `None` leaves them.
    Label {
        /// Which.
        selector: Selector,
        /// All their groups.
        roles: Option<Vec<String>>,
        /// Where they stand.
        rack: Option<String>,
    },
    /// New hardware takes the place of old: its name, groups, rack and variables. The old one is retired.
    Replace {
        /// The name that stays.
        old: String,
        /// The machine that gets it.
        new: String,
    },
    /// Sets an inventory variable; `None` unsets it.
    SetVar {
        /// `group:G` or `host:H`.
        scope: String,
        /// Its name.
        key: String,
        /// Its value, with its JSON type.
        value: Option<serde_json::Value>,
    },
}

/// What came of a command.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct CommandOutcome {
    /// Machines it changed.
    pub machines: Vec<MachineId>,
    /// Orders it gave or changed.
    pub orders: Vec<OrderId>,
    /// Machines it left as they were, each with the reason.
    pub refused: Vec<(String, Refusal)>,
}

/// Why a command, or its part for one machine, was refused.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "refusal", content = "about", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// Nothing matches the selector.
    NoMatch(String),
    /// Not a host name.
    BadName(String),
    /// Not a word for a profile, role, rack, scope or variable.
    BadWord(String),
    /// Another machine has this name, address or BMC.
    Taken(String),
    /// It has an open order.
    OrderOpen(OrderId),
    /// Found, not adopted.
    NotAdopted,
    /// In conflict.
    InConflict(String),
    /// Retired.
    Retired,
    /// Powered on, installed or registered: needs `kpc reinstall` by name.
    InUse(String),
    /// Only for one machine, by name.
    OnlyOne(String),
    /// There is nothing to do it to.
    Nothing(String),
    /// Too many of something.
    TooMany(String),
    /// The store refuses writes.
    Store(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMatch(what) => f.write_str(what),
            Self::BadName(name) => {
                write!(f, "`{name}` is no host name (lower-case letters, digits, - and ., at most 63)")
            }
            Self::BadWord(word) => {
                write!(f, "`{word}` may have letters, digits, _, - and . only, at most 63")
            }
            Self::Taken(what) => f.write_str(what),
            Self::OrderOpen(order) => write!(f, "order {order} is open (`kpc cancel` takes it back)"),
            Self::NotAdopted => f.write_str("found, not adopted (`kpc adopt` makes it ours)"),
            Self::InConflict(why) => write!(f, "in conflict: {why}"),
            Self::Retired => f.write_str("retired"),
            Self::InUse(how) => write!(f, "{how}: needs `kpc reinstall` by name"),
            Self::OnlyOne(what) => write!(f, "{what} needs exactly one machine, by name"),
            Self::Nothing(what) => f.write_str(what),
            Self::TooMany(what) => f.write_str(what),
            Self::Store(why) => write!(f, "the store refuses writes: {why}"),
        }
    }
}

impl std::error::Error for Refusal {}

impl Fleet {
    /// Does what an operator wants. `Ok` may still name machines that were refused, each with its reason.
    ///
    /// # Errors
    /// [`Refusal`] when nothing was changed at all.
    pub fn command(&mut self, now: Timestamp, by: &str, command: Command) -> Result<CommandOutcome, Refusal> {
        let now = self.tick(now);
        // Taking back needs no promise: an order that could not be made durable must not come back with the store.
        let takes_back = matches!(command, Command::Cancel(_));
        if let Some(why) = self.degraded.clone().filter(|_| !takes_back) {
            return Err(Refusal::Store(why));
        }
        let by = &clean(by, 64);
        match command {
            Command::AddMachine(new) => self.add_machine(now, by, new),
            Command::Adopt(selector) => self.each(&selector, |fleet, id| fleet.adopt(id, by)),
            Command::AdoptUnknown { mac, name } => self.adopt_unknown(now, by, mac, name),
            Command::Rename { from, to } => self.rename(by, &from, to),
            Command::Provision(provision) => self.provision(now, by, &provision),
            Command::Cancel(selector) => self.each(&selector, |fleet, id| {
                let open = fleet.latest_order(id).filter(|order| order.is_open()).map(|order| order.id);
                let order = open.ok_or_else(|| Refusal::Nothing("it has no open order".into()))?;
                if fleet.holds(Rule::CancelEnds) {
                    fleet.set_order(order, OrderState::Cancelled, by);
                }
                Ok(Some(order))
            }),
            Command::Retry(selector) => self.each(&selector, |fleet, id| fleet.retry(now, by, id)),
            Command::Resolve(selector) => self.each(&selector, |fleet, id| fleet.resolve(id, by)),
            Command::Retire(selector) => self.each(&selector, |fleet, id| fleet.retire(id, by)),
            Command::SetBmc { name, bmc } => self.set_bmc(by, &name, bmc),
            Command::AddMac { name, mac } => self.add_mac(by, &name, mac),
            Command::SetDisk { name, serial } => self.set_disk(by, &name, serial),
            Command::Label { selector, roles, rack } => {
                self.label(&selector, by, roles.as_deref(), rack.as_deref())
            }
            Command::Replace { old, new } => self.replace(by, &old, &new),
            Command::SetVar { scope, key, value } => self.set_var(by, scope, key, value),
        }
    }

    /// Does something to each selected machine; one refusal does not stop the others.
    pub(crate) fn each(
        &mut self,
        selector: &Selector,
        mut act: impl FnMut(&mut Self, MachineId) -> Result<Option<OrderId>, Refusal>,
    ) -> Result<CommandOutcome, Refusal> {
        let mut outcome = CommandOutcome::default();
        for id in self.select(selector).map_err(Refusal::NoMatch)? {
            match act(self, id) {
                Ok(order) => {
                    outcome.machines.push(id);
                    outcome.orders.extend(order);
                }
                Err(refusal) => outcome.refused.push((self.name(id), refusal)),
            }
        }
        Ok(outcome)
    }

    pub(crate) fn one(&self, name: &str) -> Result<Machine, Refusal> {
        let id = self
            .by_name
            .get(name)
            .ok_or_else(|| Refusal::NoMatch(format!("no machine is named {}", clean(name, 63))))?;
        self.machines.get(id).cloned().ok_or(Refusal::Retired)
    }

    pub(crate) fn changed(&mut self, machine: Machine, by: &str, what: String) -> CommandOutcome {
        let id = machine.id;
        self.put_machine(machine);
        self.event(Some(id), EventKind::Changed { by: by.into(), what });
        CommandOutcome { machines: vec![id], ..CommandOutcome::default() }
    }

    /// Whether an address or a BMC belongs to another machine.
    pub(crate) fn taken(&self, mac: Mac, but: Option<MachineId>) -> Result<(), Refusal> {
        match self.by_mac.get(&mac).filter(|id| Some(**id) != but) {
            None if !mac.is_station() => Err(Refusal::Nothing(format!("{mac} is no interface's address"))),
            Some(id) => Err(Refusal::Taken(format!("{mac} is an interface of {}", self.name(*id)))),
            None => Ok(()),
        }
    }

    pub(crate) fn bmc_taken(&self, bmc: &Bmc, but: Option<MachineId>) -> Result<(), Refusal> {
        let other = self.machines.values().find(|machine| {
            let same = machine
                .bmc
                .as_ref()
                .is_some_and(|known| (known.address, known.port) == (bmc.address, bmc.port));
            same && Some(machine.id) != but && machine.lifecycle != Lifecycle::Retired
        });
        match other {
            Some(other) => Err(Refusal::Taken(format!("the BMC at {} is {}'s", bmc.address, other.name))),
            None => Ok(()),
        }
    }

    fn add_machine(&mut self, now: Timestamp, by: &str, new: NewMachine) -> Result<CommandOutcome, Refusal> {
        if !is_machine_name(&new.name) {
            return Err(Refusal::BadName(clean(&new.name, 63)));
        }
        if self.by_name.contains_key(&new.name) {
            return Err(Refusal::Taken(format!("a machine is named {} already", new.name)));
        }
        if new.macs.len() > MAX_MACS {
            return Err(Refusal::TooMany(format!("at most {MAX_MACS} Ethernet addresses")));
        }
        if let Some(word) = new.roles.iter().chain(&new.rack).find(|word| !is_label(word)) {
            return Err(Refusal::BadWord(clean(word, 63)));
        }
        new.macs.iter().try_for_each(|mac| self.taken(*mac, None))?;
        new.bmc.iter().try_for_each(|bmc| self.bmc_taken(bmc, None))?;
        let mut macs = new.macs;
        macs.sort_unstable();
        macs.dedup();
        for mac in &macs {
            self.unknown.take(*mac);
        }
        let id = self.mint_machine();
        let machine = Machine {
            id,
            name: new.name,
            macs,
            uuid: new.uuid.filter(|uuid| uuid.is_telling()),
            serial: new.serial.map(|serial| clean(serial.trim(), 64)),
            bmc: new.bmc,
            bmc_doubt: None,
            disk: None,
            rack: new.rack,
            roles: new.roles,
            lifecycle: if new.found { Lifecycle::Found } else { Lifecycle::Adopted },
            conflict: None,
            address: None,
            facts: crate::machine::Facts::default(),
            host_keys: None,
            registered_at: None,
            key: None,
            attempts: 0,
            power_epoch: 0,
            uefi: None,
            added_at: now,
        };
        self.put_machine(machine);
        self.event(Some(id), EventKind::Added { by: by.into() });
        Ok(CommandOutcome { machines: vec![id], ..CommandOutcome::default() })
    }

    fn adopt(&mut self, id: MachineId, by: &str) -> Result<Option<OrderId>, Refusal> {
        let Some(mut machine) = self.machines.get(&id).cloned() else { return Err(Refusal::Retired) };
        if machine.lifecycle != Lifecycle::Found {
            return Err(Refusal::Nothing("it is adopted already".into()));
        }
        machine.lifecycle = Lifecycle::Adopted;
        self.changed(machine, by, "adopted".into());
        Ok(None)
    }

    fn adopt_unknown(
        &mut self,
        now: Timestamp,
        by: &str,
        mac: Mac,
        name: Option<String>,
    ) -> Result<CommandOutcome, Refusal> {
        let known = self.unknown.find(mac).cloned();
        let known = known.ok_or_else(|| {
            Refusal::NoMatch(format!("{mac} has not been heard; `kpc machine add` adds it unheard"))
        })?;
        let free = || (1u64..).map(|n| format!("node-{n}")).find(|name| !self.by_name.contains_key(name));
        let name = name.or_else(free).unwrap_or_default();
        self.add_machine(
            now,
            by,
            NewMachine { name, macs: vec![mac], uuid: known.uuid, ..NewMachine::default() },
        )
    }

    fn rename(&mut self, by: &str, from: &str, to: String) -> Result<CommandOutcome, Refusal> {
        let mut machine = self.one(from)?;
        if !is_machine_name(&to) {
            return Err(Refusal::BadName(clean(&to, 63)));
        }
        if self.by_name.contains_key(&to) {
            return Err(Refusal::Taken(format!("a machine is named {to} already")));
        }
        machine.name = to;
        Ok(self.changed(machine, by, format!("renamed from {from}")))
    }

    fn set_var(
        &mut self,
        by: &str,
        scope: String,
        key: String,
        value: Option<serde_json::Value>,
    ) -> Result<CommandOutcome, Refusal> {
        let good = match scope.split_once(':') {
            Some(("group", name)) => is_label(name),
            Some(("host", name)) => self.by_name.contains_key(name),
            _ => false,
        };
        if !good {
            return Err(Refusal::Nothing(format!(
                "`{}` is neither group:G nor host:H of a machine",
                clean(&scope, 80)
            )));
        }
        let identifier = !key.starts_with(|c: char| c.is_ascii_digit())
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !identifier || !is_label(&key) {
            return Err(Refusal::BadWord(clean(&key, 63)));
        }
        let mut vars = self.vars.get(&scope).cloned().unwrap_or_default();
        let what =
            if value.is_some() { format!("{scope} {key} set") } else { format!("{scope} {key} unset") };
        match value {
            Some(value) => vars.insert(key, value),
            None => vars.remove(&key),
        };
        self.put_vars(scope, vars);
        self.event(None, EventKind::Changed { by: by.into(), what });
        Ok(CommandOutcome::default())
    }
}
