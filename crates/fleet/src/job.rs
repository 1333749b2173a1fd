//! BMC actions with intent: what we are about to do is durable before it is done, so that a restarted server
//! knows what it may have sent. What can be looked at is verified and sent again only when it had no effect;
//! a reset that may have happened is never sent again blindly.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::command::Refusal;
use crate::fleet::Fleet;
use crate::identity::{MachineId, OrderId, Uuid};
use crate::machine::Lifecycle;
use crate::observe::PowerAction;
use crate::order::{Order, OrderState};
use crate::record::Record;
use crate::text::{MAX_DETAIL, clean};
use crate::time::Timestamp;
use crate::timeline::EventKind;

/// Ended jobs kept per machine.
const ENDED_JOBS: usize = 8;

/// A job's id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "j{}", self.0)
    }
}

/// One thing to do to a BMC.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum BmcAction {
    /// Boot from the network once.
    NetworkBoot {
        /// By UEFI (true), by BIOS (false), or as the firmware is set.
        efi: Option<bool>,
    },
    /// Boot from the disk from now on.
    DiskBoot,
    /// A power command.
    Power {
        /// Which.
        action: PowerAction,
    },
}

impl BmcAction {
    /// Whether doing it twice is the same as doing it once, so that it may be sent again after a look.
    pub fn is_repeatable(self) -> bool {
        !matches!(self, Self::Power { action: PowerAction::Cycle | PowerAction::Reset })
    }
}

/// How far a job has come.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum JobState {
    /// Its next action is not yet begun.
    Ready,
    /// Its next action is being sent, as far as is known.
    Sent,
    /// Its next action may or may not have been done: the server was restarted, or no answer came.
    Doubt,
    /// All actions are done.
    Done,
    /// It ended; the rest is not done.
    Failed {
        /// In words for a person.
        reason: String,
    },
}

/// Actions on one BMC, in order.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Whose BMC.
    pub machine: MachineId,
    /// Who wants it.
    pub by: String,
    /// When it was given.
    pub at: Timestamp,
    /// The order that it begins; without it somebody asked for power alone.
    #[serde(default)]
    pub order: Option<OrderId>,
    /// What to do.
    pub actions: Vec<BmcAction>,
    /// How many of them are done.
    pub done: usize,
    /// How far it has come.
    pub state: JobState,
}

impl Job {
    /// Whether something is left to do.
    pub fn is_open(&self) -> bool {
        matches!(self.state, JobState::Ready | JobState::Sent | JobState::Doubt)
    }
}

/// What the driver does next for a job.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JobStep {
    /// Send this now; the intent must be durable before.
    Send(BmcAction),
    /// Find out whether this had its effect, and send nothing.
    Look(BmcAction),
}

/// What came of a step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StepResult {
    /// The BMC did it, or a look shows that it has been done.
    Done,
    /// The BMC said no, or a look shows that it was not done; in words, without secrets.
    NotDone(String),
    /// No answer: it may or may not have been done.
    NoAnswer(String),
}

impl Fleet {
    /// Gives a job. `force` lets power be cut while a disk is being written.
    ///
    /// # Errors
    /// [`Refusal`]: the machine has no BMC, is retired or in conflict, has an open job, or writes its disk.
    pub fn start_job(
        &mut self,
        now: Timestamp,
        by: &str,
        machine: MachineId,
        actions: Vec<BmcAction>,
        force: bool,
    ) -> Result<JobId, Refusal> {
        let now = self.tick(now);
        if let Some(why) = self.degraded.clone() {
            return Err(Refusal::Store(why));
        }
        self.may_touch(machine, &actions, force)?;
        self.next_job += 1;
        let (id, by) = (JobId(self.next_job), clean(by, 64));
        let job = Job { id, machine, by, at: now, order: None, actions, done: 0, state: JobState::Ready };
        self.put_job(job);
        self.forget_jobs(machine);
        Ok(id)
    }

    /// Gives the job that begins an open order: it ends with the order.
    ///
    /// # Errors
    /// As [`Fleet::start_job`], and when the order is not open.
    pub fn start_order_job(
        &mut self,
        now: Timestamp,
        by: &str,
        order: OrderId,
        actions: Vec<BmcAction>,
    ) -> Result<JobId, Refusal> {
        let open = self.orders.get(&order).filter(|order| order.is_open()).map(|order| order.machine);
        let machine = open.ok_or_else(|| Refusal::Nothing("its order has ended".into()))?;
        let id = self.start_job(now, by, machine, actions, false)?;
        if let Some(mut job) = self.jobs.get(&id).cloned() {
            job.order = Some(order);
            self.put_job(job);
        }
        Ok(id)
    }

    /// Takes a job back that is not at work: nothing more of it is sent. What is being sent is told by its result.
    pub fn cancel_job(&mut self, now: Timestamp, id: JobId, why: &str) {
        self.tick(now);
        let waiting = self.jobs.get(&id).filter(|job| job.state == JobState::Ready).cloned();
        if let Some(mut job) = waiting {
            job.state = JobState::Failed { reason: clean(why, MAX_DETAIL) };
            self.put_job(job);
        }
    }

    /// Whether these actions may be done to a machine now.
    fn may_touch(&self, id: MachineId, actions: &[BmcAction], force: bool) -> Result<(), Refusal> {
        let machine = self.machines.get(&id).ok_or(Refusal::Retired)?;
        match machine.lifecycle {
            Lifecycle::Retired => return Err(Refusal::Retired),
            Lifecycle::Conflict => {
                return Err(Refusal::InConflict(machine.conflict.clone().unwrap_or_default()));
            }
            _ => {}
        }
        if machine.bmc.is_none() {
            return Err(Refusal::Nothing("it has no BMC (`kpc machine` sets one)".into()));
        }
        if let Some(why) = &machine.bmc_doubt {
            return Err(Refusal::InConflict(why.clone()));
        }
        if let Some(job) = self.jobs.values().find(|job| job.machine == id && job.is_open()) {
            return Err(Refusal::Taken(format!("job {} is at work on its BMC", job.id)));
        }
        let writing =
            self.latest_order(id).is_some_and(|order| matches!(order.state, OrderState::Granted { .. }));
        let cuts =
            |action: &BmcAction| matches!(action, BmcAction::Power { action } if *action != PowerAction::On);
        if writing && !force && actions.iter().any(cuts) {
            return Err(Refusal::InUse("its disk is being written (`--force` cuts it off)".into()));
        }
        Ok(())
    }

    /// What to do next for a job; `None` when nothing is. [`JobStep::Send`] has recorded the intent: the driver
    /// sends only after that record is durable, and after it has compared the BMC's GUID
    /// ([`crate::Observation::BmcIdentity`]). A power command counts from here on: its machine may boot before the BMC
    /// has answered.
    pub fn next_step(&mut self, now: Timestamp, id: JobId) -> Option<JobStep> {
        let now = self.tick(now);
        let mut job = self.jobs.get(&id)?.clone();
        let action = *job.actions.get(job.done)?;
        match job.state {
            JobState::Ready if self.degraded.is_none() => {
                if job.order.is_some_and(|order| !self.orders.get(&order).is_some_and(Order::is_open)) {
                    job.state = JobState::Failed { reason: "its order has ended".into() };
                    self.put_job(job);
                    return None;
                }
                let machine = job.machine;
                job.state = JobState::Sent;
                self.put_job(job);
                if let BmcAction::Power { action } = action {
                    // Its machine is known: it has a job.
                    let _ = self.power_commanded(now, machine, action);
                }
                Some(JobStep::Send(action))
            }
            JobState::Doubt => Some(JobStep::Look(action)),
            _ => None,
        }
    }

    /// What came of the step that [`Fleet::next_step`] gave.
    pub fn step_result(&mut self, now: Timestamp, id: JobId, result: StepResult) {
        let now = self.tick(now);
        let Some(mut job) = self.jobs.get(&id).filter(|job| job.is_open()).cloned() else { return };
        let Some(action) = job.actions.get(job.done).copied() else { return };
        let looked = job.state == JobState::Doubt;
        match result {
            StepResult::Done => {
                job.done += 1;
                job.state = if job.done == job.actions.len() { JobState::Done } else { JobState::Ready };
            }
            StepResult::NotDone(_) if looked && action.is_repeatable() => job.state = JobState::Ready,
            StepResult::NoAnswer(_) if !looked => job.state = JobState::Doubt,
            StepResult::NotDone(why) | StepResult::NoAnswer(why) => {
                let doubt = if looked && !action.is_repeatable() {
                    ": it may have happened, and is not sent again"
                } else {
                    ""
                };
                job.state = JobState::Failed { reason: clean(&format!("{why}{doubt}"), MAX_DETAIL) };
            }
        }
        let machine = job.machine;
        let failed = match &job.state {
            JobState::Failed { reason } => Some(reason.clone()),
            _ => None,
        };
        self.put_job(job);
        if let Some(detail) = failed {
            self.event(Some(machine), EventKind::BmcFailed { detail: detail.clone() });
            self.power_failed(machine, now, &detail);
        }
    }

    /// The jobs that something is left to do for: after a restart the driver takes each up again.
    pub fn open_jobs(&self) -> Vec<Job> {
        self.jobs.values().filter(|job| job.is_open()).cloned().collect()
    }

    /// A job.
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(&id)
    }

    /// Whether a BMC that shows this GUID may be told anything for this machine: the recorded one, or none
    /// recorded yet.
    pub fn is_bmc_of(&self, machine: MachineId, guid: Uuid) -> bool {
        let Some(machine) = self.machines.get(&machine).filter(|machine| machine.bmc_doubt.is_none()) else {
            return false;
        };
        let known = machine.bmc.as_ref().and_then(|bmc| bmc.guid);
        known.filter(|known| known.is_telling()).is_none_or(|known| known.matches(guid))
    }

    fn put_job(&mut self, job: Job) {
        self.push_record(Record::Job(job.clone()));
        self.jobs.insert(job.id, job);
    }

    fn forget_jobs(&mut self, machine: MachineId) {
        let ended: Vec<_> = self
            .jobs
            .values()
            .filter(|job| job.machine == machine && !job.is_open())
            .map(|job| job.id)
            .collect();
        for job in ended.iter().take(ended.len().saturating_sub(ENDED_JOBS)).copied() {
            self.jobs.remove(&job);
            self.push_record(Record::ForgetJob { job });
        }
    }

    /// Ends every job because a backup was restored.
    pub(crate) fn void_jobs(&mut self) {
        for mut job in self.open_jobs() {
            job.state = JobState::Failed { reason: "a backup was restored".into() };
            self.put_job(job);
        }
    }

    /// Takes a job up after a restart: what was being sent is in doubt now.
    pub(crate) fn resume_job(&mut self, mut job: Job) {
        if job.state == JobState::Sent {
            job.state = JobState::Doubt;
        }
        self.next_job = self.next_job.max(job.id.0);
        self.jobs.insert(job.id, job);
    }
}
