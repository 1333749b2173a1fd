//! The engine: everything it remembers, and the few doors through which that changes.
//!
//! The rules live beside it: `decide` (who may boot), `claim` and `grant` (who may write), `observe` and
//! `register` (what machines say), `command` (what people say). This file keeps the books: ids, indexes,
//! timers, the queues of events and records.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use crate::attempt::{Attempt, Phase};
use crate::config::Config;
use crate::hint::{Hint, HintCode};
use crate::identity::{ClaimSecret, Mac, MachineId, OrderId, Uuid};
use crate::job::{Job, JobId};
use crate::machine::{Lifecycle, Machine};
use crate::order::{Order, OrderState};
use crate::peers::Early;
use crate::record::{Record, Vars};
use crate::sabotage::Rule;
use crate::time::{Clock, Timestamp};
use crate::timeline::{Event, EventKind, Timeline};
use crate::unknown::UnknownRing;

/// Most events waiting for [`Fleet::poll_event`]; beyond that the oldest are dropped (the timeline keeps them).
const EVENT_QUEUE: usize = 8192;
/// The same alarm about the same machine is not raised again within this time.
const ALARM_REPEAT: Duration = Duration::from_secs(60);
/// Ended orders kept per machine, beside the latest.
const ENDED_ORDERS: usize = 16;

/// What an alarm is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub(crate) enum AlarmKind {
    /// A sighting contradicts the record.
    Sighting,
    /// A second claimer.
    Claimer,
    /// A BMC with another GUID.
    Bmc,
    /// A registration contradicts the record.
    Registration,
    /// A registration with other SSH host keys.
    HostKey,
}

/// What a timer belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
enum Timer {
    Attempt(MachineId),
    Order(OrderId),
}

/// Machines, orders, attempts and their timeline.
///
/// After each call the driver drains [`Fleet::poll_record`] into the store and [`Fleet::poll_event`] to whom
/// it concerns, and answers only when the urgent records are durable; then it waits until
/// [`Fleet::poll_timeout`].
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    pub(crate) config: Config,
    pub(crate) machines: BTreeMap<MachineId, Machine>,
    pub(crate) orders: BTreeMap<OrderId, Order>,
    /// The latest order of each machine; the only one that may be open.
    pub(crate) latest: BTreeMap<MachineId, OrderId>,
    pub(crate) attempts: BTreeMap<MachineId, Attempt>,
    pub(crate) vars: BTreeMap<String, Vars>,
    pub(crate) jobs: BTreeMap<JobId, Job>,
    pub(crate) unknown: UnknownRing,
    pub(crate) timeline: Timeline,
    pub(crate) by_mac: BTreeMap<Mac, MachineId>,
    pub(crate) by_name: BTreeMap<String, MachineId>,
    pub(crate) by_uuid: BTreeMap<Uuid, BTreeSet<MachineId>>,
    pub(crate) by_claim: HashMap<ClaimSecret, OrderId>,
    /// Power as last read from the BMC.
    pub(crate) power: BTreeMap<MachineId, bool>,
    /// BMCs that cannot be used, and why.
    pub(crate) bmc_faults: BTreeMap<MachineId, Hint>,
    /// When we last commanded power.
    pub(crate) commanded: BTreeMap<MachineId, Timestamp>,
    /// Why the store refuses writes, while it does.
    pub(crate) degraded: Option<String>,
    /// The rule that a test took away.
    #[cfg(test)]
    pub(crate) removed: Option<crate::sabotage::Rule>,
    pub(crate) by_peer: HashMap<IpAddr, (MachineId, Timestamp)>,
    pub(crate) early: VecDeque<Early>,
    alarms: BTreeMap<(MachineId, AlarmKind), Timestamp>,
    timers: BTreeSet<(Timestamp, Timer)>,
    timer_of: BTreeMap<Timer, Timestamp>,
    pub(crate) clock: Clock,
    wall: Timestamp,
    /// Changes that a journal has not written yet: answers that rest on them wait.
    #[cfg(feature = "redb")]
    pub(crate) unwritten: usize,
    pub(crate) seq: u64,
    pub(crate) next_machine: u64,
    pub(crate) next_order: u64,
    pub(crate) next_job: u64,
    records: VecDeque<Record>,
    events: VecDeque<Event>,
    events_dropped: u64,
}

impl Fleet {
    /// An empty fleet.
    pub fn new(config: Config) -> Self {
        Self { config, ..Self::default() }
    }

    /// The next thing to make durable. Drain until `None` after every call.
    pub fn poll_record(&mut self) -> Option<Record> {
        self.records.pop_front()
    }

    /// The next thing that happened, in sequence. Drain until `None` after every call.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// How many events were dropped because nobody polled.
    pub fn events_dropped(&self) -> u64 {
        self.events_dropped
    }

    /// When [`Fleet::handle_timeout`] wants to be called, by the wall clock.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| self.clock.wall_of(*at))
    }

    /// Lets time pass: phases that lasted too long stall, claims and orders past their time end.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.tick(now);
    }

    /// Moves the engine's clock and runs what is due. Every door that changes something begins with it.
    pub(crate) fn tick(&mut self, wall: Timestamp) -> Timestamp {
        self.wall = wall;
        let now = self.clock.advance(wall);
        while let Some((at, timer)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, timer));
            self.timer_of.remove(&timer);
            match timer {
                Timer::Attempt(machine) => self.stall(machine),
                Timer::Order(order) => self.lapse(order, now),
            }
        }
        now
    }

    /// The engine's time at this reading of the wall clock, without moving it.
    pub(crate) fn at(&self, wall: Timestamp) -> Timestamp {
        self.clock.at(wall)
    }

    /// A phase lasted too long.
    fn stall(&mut self, id: MachineId) {
        let Some(attempt) = self.attempts.get(&id) else { return };
        let granted =
            self.latest_order(id).is_some_and(|order| matches!(order.state, OrderState::Granted { .. }));
        let late = || match attempt.phase()? {
            // From the grant on the disk may be half written.
            Phase::Agent | Phase::Writing if granted => Some(Hint {
                code: HintCode::WriteStopped,
                text: format!("no word of the agent since {} % were written", attempt.progress.unwrap_or(0)),
            }),
            phase => Hint::late(phase, attempt.times),
        };
        if let Some(hint) = attempt.suspect.clone().or_else(late) {
            self.stop(id, hint);
        }
    }

    /// A boot goes no further, and why.
    pub(crate) fn stop(&mut self, id: MachineId, hint: Hint) {
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        if attempt.stalled.as_ref() == Some(&hint) {
            return;
        }
        let phase = attempt.phase().unwrap_or(Phase::PowerCommanded);
        attempt.stalled = Some(hint.clone());
        self.event(Some(id), EventKind::Stalled { phase, hint: hint.text, code: Some(hint.code) });
        self.time_attempt(id);
    }

    /// An order's time is up.
    fn lapse(&mut self, id: OrderId, now: Timestamp) {
        let Some(order) = self.orders.get(&id) else { return };
        let lifetime = self.config.grant_lifetime;
        if order.deadline(lifetime).is_none_or(|deadline| deadline > now) {
            return;
        }
        if !self.holds(ending_rule(&order.state)) {
            return;
        }
        let state = match &order.state {
            OrderState::Armed => OrderState::Expired,
            OrderState::Claimed { .. } if order.role == crate::order::Role::Live => OrderState::Armed,
            OrderState::Claimed { .. } => OrderState::Failed {
                reason: "claimed, but the agent asked for no disk in time".into(),
                granted: false,
                hint: Some(HintCode::AgentStuck),
            },
            OrderState::Granted { .. } => OrderState::Failed {
                reason: "a disk was granted, but the agent never said done: it may be half written".into(),
                granted: true,
                hint: Some(HintCode::WriteStopped),
            },
            _ => return,
        };
        self.set_order(id, state, "");
    }

    /// Changes an order's state, keeps the books and tells of its end.
    pub(crate) fn set_order(&mut self, id: OrderId, state: OrderState, by: &str) {
        let forget = self.holds(Rule::PresentClaim);
        let Some(order) = self.orders.get_mut(&id) else { return };
        if let Some(claim) = order.claim().filter(|_| forget) {
            self.by_claim.remove(&claim.secret);
        }
        let was_open = order.is_open();
        order.state = state;
        let machine = order.machine;
        if let Some(claim) = order.claim() {
            self.by_claim.insert(claim.secret, id);
        }
        let ended = (was_open && !order.is_open()).then(|| EventKind::Ended {
            order: id,
            state: order.state.word().into(),
            reason: match &order.state {
                OrderState::Failed { reason, .. } => reason.clone(),
                _ => by.into(),
            },
        });
        let record = Record::Order(order.clone());
        self.records.push_back(record);
        self.time_order(id);
        if let Some(kind) = ended {
            self.event(Some(machine), kind);
            self.time_attempt(machine);
        }
    }

    /// Stops an order until a person has looked, and raises an alarm.
    pub(crate) fn freeze(&mut self, id: OrderId, reason: String) {
        let Some(order) = self.orders.get_mut(&id) else { return };
        if order.frozen.is_some() {
            return;
        }
        order.frozen = Some(reason.clone());
        let machine = order.machine;
        let record = Record::Order(order.clone());
        self.records.push_back(record);
        self.event(Some(machine), EventKind::Frozen { order: id, reason });
    }

    /// Makes a new order and puts it to work.
    pub(crate) fn mint_order(&mut self, make: impl FnOnce(OrderId) -> Order) -> OrderId {
        self.next_order += 1;
        let id = OrderId(self.next_order);
        let order = make(id);
        let machine = order.machine;
        self.event(
            Some(machine),
            EventKind::Ordered {
                order: id,
                profile: order.profile.clone(),
                role: order.role,
                by: order.by.clone(),
            },
        );
        self.records.push_back(Record::Order(order.clone()));
        self.orders.insert(id, order);
        self.latest.insert(machine, id);
        self.time_order(id);
        self.forget_orders(machine);
        id
    }

    /// Drops a machine's oldest ended orders past their retention.
    fn forget_orders(&mut self, machine: MachineId) {
        let ended: Vec<_> = self
            .orders
            .values()
            .filter(|order| order.machine == machine && !order.is_open())
            .map(|order| order.id)
            .collect();
        for order in ended.iter().take(ended.len().saturating_sub(ENDED_ORDERS)).copied() {
            if let Some(claim) = self.orders.remove(&order).as_ref().and_then(Order::claim) {
                self.by_claim.remove(&claim.secret);
            }
            self.records.push_back(Record::ForgetOrder { order, machine });
        }
    }

    /// A new machine id.
    pub(crate) fn mint_machine(&mut self) -> MachineId {
        self.next_machine += 1;
        MachineId(self.next_machine)
    }

    /// Keeps a machine as it is now: indexes, and a record.
    pub(crate) fn put_machine(&mut self, machine: Machine) {
        if let Some(before) = self.machines.remove(&machine.id) {
            self.unindex(&before);
        }
        self.index(&machine);
        self.records.push_back(Record::Machine(machine.clone()));
        self.machines.insert(machine.id, machine);
    }

    pub(crate) fn index(&mut self, machine: &Machine) {
        self.by_name.insert(machine.name.clone(), machine.id);
        if machine.lifecycle != Lifecycle::Retired {
            self.by_mac.extend(machine.macs.iter().map(|mac| (*mac, machine.id)));
            for uuid in uuids(machine) {
                self.by_uuid.entry(uuid).or_default().insert(machine.id);
            }
        }
    }

    fn unindex(&mut self, machine: &Machine) {
        self.by_name.remove(&machine.name);
        for mac in &machine.macs {
            if self.by_mac.get(mac) == Some(&machine.id) {
                self.by_mac.remove(mac);
            }
        }
        for uuid in uuids(machine) {
            if let Some(of) = self.by_uuid.get_mut(&uuid) {
                of.remove(&machine.id);
                if of.is_empty() {
                    self.by_uuid.remove(&uuid);
                }
            }
        }
    }

    /// Keeps variables as they are now.
    pub(crate) fn put_vars(&mut self, scope: String, vars: Vars) {
        self.records.push_back(Record::Vars { scope: scope.clone(), vars: vars.clone() });
        if vars.is_empty() {
            self.vars.remove(&scope)
        } else {
            self.vars.insert(scope, vars)
        };
    }

    /// Keeps a record that has no book of its own.
    pub(crate) fn push_record(&mut self, record: Record) {
        self.records.push_back(record);
    }

    /// The open order of a machine at the engine's time `now`: not ended, and not past its time.
    pub(crate) fn open_order(&self, machine: MachineId, now: Timestamp) -> Option<&Order> {
        let order = self.orders.get(self.latest.get(&machine)?)?;
        let deadline = order.deadline(self.config.grant_lifetime);
        let lapsed =
            deadline.is_some_and(|deadline| deadline <= now) && self.holds(ending_rule(&order.state));
        (order.is_open() && (!lapsed || order.role == crate::order::Role::Live)).then_some(order)
    }

    /// The latest order of a machine, open or ended.
    pub(crate) fn latest_order(&self, machine: MachineId) -> Option<&Order> {
        self.orders.get(self.latest.get(&machine)?)
    }

    /// Tells of something: into the timeline, the queue and, where it is worth it, the store.
    pub(crate) fn event(&mut self, machine: Option<MachineId>, kind: EventKind) {
        self.seq += 1;
        let event = Event {
            seq: self.seq,
            at: self.wall,
            machine,
            name: machine
                .and_then(|id| self.machines.get(&id))
                .map(|known| known.name.clone())
                .unwrap_or_default(),
            attempt: machine.and_then(|id| self.attempts.get(&id)).map_or(0, |attempt| attempt.number),
            kind,
        };
        let durable = match event.kind {
            EventKind::Unknown { .. } => false,
            EventKind::Reached { .. } | EventKind::Note { .. } | EventKind::Stalled { .. } => {
                machine.and_then(|id| self.latest_order(id)).is_some_and(Order::is_open)
            }
            _ => true,
        };
        if durable {
            self.records.push_back(Record::Event(event.clone()));
        }
        let (per_machine, total) = (self.config.timeline_per_machine, self.config.timeline_total);
        let seqs = self.timeline.keep(event.clone(), durable, per_machine, total);
        if !seqs.is_empty() {
            self.records.push_back(Record::ForgetEvents { seqs });
        }
        if self.events.len() >= EVENT_QUEUE {
            self.events.pop_front();
            self.events_dropped += 1;
        }
        self.events.push_back(event);
    }

    /// Raises an alarm, unless one of the same kind about the same machine was raised within the last minute:
    /// its text may be a forger's, so it does not count.
    pub(crate) fn alarm(&mut self, now: Timestamp, machine: MachineId, kind: AlarmKind, text: String) {
        self.alarms.retain(|_, at| now.since(*at) < ALARM_REPEAT);
        if self.alarms.insert((machine, kind), now).is_none() {
            self.event(Some(machine), EventKind::Alarm { text });
        }
    }

    /// Something on the network as a whole that somebody should look at now. The caller says each thing once.
    pub fn raise(&mut self, now: Timestamp, text: &str) {
        self.tick(now);
        self.event(None, EventKind::Alarm { text: crate::text::clean(text, crate::text::MAX_DETAIL) });
    }

    /// Begins the next attempt of a machine.
    pub(crate) fn begin_attempt(&mut self, id: MachineId, now: Timestamp) {
        let Some(machine) = self.machines.get_mut(&id) else { return };
        machine.attempts = machine.attempts.saturating_add(1);
        let mut attempt = Attempt::begin(machine.attempts, now);
        // What stood in the way of the boot before is looked for first.
        attempt.suspect = self
            .attempts
            .remove(&id)
            .and_then(|before| before.suspect.or(before.stalled.filter(|hint| hint.code.is_of_loading())));
        self.attempts.insert(id, attempt);
        self.time_attempt(id);
    }

    /// Moves a machine's attempt to `phase`, beginning one when there is none.
    pub(crate) fn reach(&mut self, id: MachineId, now: Timestamp, phase: Phase, detail: &str) {
        if !self.attempts.contains_key(&id) {
            self.begin_attempt(id, now);
        }
        if self.attempts.get_mut(&id).is_some_and(|attempt| attempt.reach(now, phase)) {
            self.time_attempt(id);
            self.event(Some(id), EventKind::Reached { phase, detail: detail.into() });
        }
    }

    /// Sets the time limit of a machine's present phase: only while an order wants it to come further.
    pub(crate) fn time_attempt(&mut self, id: MachineId) {
        let wanted = self.latest_order(id).is_some_and(|order| {
            order.is_open()
                || (matches!(order.state, OrderState::Done { .. }) && self.awaits_registration(id))
        });
        let limits = &self.config.phase_limits;
        let deadline = self.attempts.get_mut(&id).and_then(|attempt| {
            attempt.deadline =
                attempt.phase().filter(|_| wanted && attempt.stalled.is_none()).and_then(|phase| {
                    // A write is late when nothing is heard of it, however long it takes.
                    let since = if phase == Phase::Writing { attempt.last } else { attempt.since() };
                    let due = since.plus(limits.of(phase)?);
                    let rests = attempt.rests_until.filter(|_| phase == Phase::PowerCommanded);
                    Some(rests.map_or(due, |until| due.max(until)))
                });
            attempt.deadline
        });
        self.set_timer(Timer::Attempt(id), deadline);
    }

    /// Takes the time limit of a machine's present phase away until it moves on.
    pub(crate) fn let_rest(&mut self, id: MachineId) {
        if let Some(attempt) = self.attempts.get_mut(&id) {
            attempt.deadline = None;
        }
        self.set_timer(Timer::Attempt(id), None);
    }

    /// Whether a machine was installed and its system has not registered since.
    pub(crate) fn awaits_registration(&self, id: MachineId) -> bool {
        self.machines.get(&id).is_some_and(|machine| machine.lifecycle == Lifecycle::Installed)
    }

    pub(crate) fn time_order(&mut self, id: OrderId) {
        let deadline = self.orders.get(&id).and_then(|order| order.deadline(self.config.grant_lifetime));
        self.set_timer(Timer::Order(id), deadline);
    }

    fn set_timer(&mut self, timer: Timer, deadline: Option<Timestamp>) {
        if let Some(before) = self.timer_of.remove(&timer) {
            self.timers.remove(&(before, timer));
        }
        if let Some(at) = deadline {
            self.timer_of.insert(timer, at);
            self.timers.insert((at, timer));
        }
    }

    /// Ends every open order because a backup was restored: what happened since it was made is not known,
    /// so nothing of it may lead to a boot or a grant. A person orders again.
    pub fn void_orders(&mut self, now: Timestamp, by: &str) {
        self.tick(now);
        let open: Vec<_> =
            self.orders.values().filter(|order| order.is_open()).map(|order| order.id).collect();
        if self.holds(Rule::RestoreVoids) {
            open.into_iter().for_each(|order| self.set_order(order, OrderState::Voided, by));
        }
        self.void_jobs();
        let what = "a backup was restored: open orders are void".into();
        self.event(None, EventKind::Changed { by: by.into(), what });
    }

    /// Why the store refuses writes, while it does.
    pub fn store_fault(&self) -> Option<&str> {
        self.degraded.as_deref()
    }

    /// Whether the store refuses writes.
    pub fn store_refuses(&self) -> bool {
        self.degraded.is_some()
    }

    /// The driver says that the store refuses writes: until [`Fleet::store_recovered`], no order, claim or
    /// grant is given and armed machines are told to wait.
    pub fn store_failed(&mut self, now: Timestamp, detail: &str) {
        self.tick(now);
        if self.degraded.is_none() {
            let detail = crate::text::clean(detail, crate::text::MAX_DETAIL);
            self.degraded = Some(detail.clone());
            self.event(None, EventKind::StoreFailed { detail });
        }
    }

    /// The driver says that everything handed out by [`Fleet::poll_record`] is written.
    pub fn store_recovered(&mut self, now: Timestamp) {
        self.tick(now);
        if self.degraded.take().is_some() {
            self.event(None, EventKind::StoreRecovered);
        }
    }
}

/// The rule by which time ends an order in this state.
fn ending_rule(state: &OrderState) -> Rule {
    if matches!(state, OrderState::Armed) { Rule::OrderExpires } else { Rule::ClaimExpires }
}

/// The UUIDs under which a machine is found, in canonical form.
fn uuids(machine: &Machine) -> BTreeSet<Uuid> {
    let guid = machine.bmc.as_ref().and_then(|bmc| bmc.guid);
    [machine.uuid, guid].into_iter().flatten().filter(|uuid| uuid.is_telling()).map(Uuid::canonical).collect()
}
