//! Jobs on BMCs, carried out step by step as the fleet says: the intent is durable before the BMC hears of it, what may
//! have been sent is looked at first, and a reset in doubt is never sent again.

use std::time::Duration;

use fleet::attempt::Phase;
use fleet::{BmcAction, Job, JobId, JobState, JobStep, Observation, PowerAction, StepResult};
use ipmi::command::chassis::{BootDevice, BootOptions, ChassisControl};

use crate::bmc::session::{Fault, Kind, Session};
use crate::serve::power::{self, Login, Target, Unopened};
use crate::serve::provision::target;
use crate::serve::state::State;

/// How long a BMC may take from a power command to saying that it had its effect.
const POWER_SETTLES: Duration = Duration::from_secs(30);
/// How long a system may take to end by itself.
const SOFT_OFF: Duration = Duration::from_secs(120);
/// How long a power cycle in doubt may take to show itself by a network boot.
const CYCLE_SHOWS: Duration = Duration::from_secs(120);
/// How often something is asked meanwhile.
const ASKED: Duration = Duration::from_millis(500);
/// Most steps of one job: each action sent and looked at a few times.
const MAX_STEPS: usize = 16;

/// Carries a job to its end. What ends it in failure is told to the fleet, which shows it, and returned.
pub(crate) async fn carry(state: &State, login: &Login, id: JobId) -> Result<(), String> {
    let mut carrier = Carrier { state, login, session: None, fresh: true };
    let outcome = carrier.carry(id).await;
    if let Some(bmc) = carrier.session {
        bmc.close().await;
    }
    outcome
}

/// One job's way, and the session that it keeps open.
struct Carrier<'a> {
    state: &'a State,
    login: &'a Login,
    session: Option<Session>,
    /// Whether nothing of the job has been sent by this run of the server.
    fresh: bool,
}

impl Carrier<'_> {
    async fn carry(&mut self, id: JobId) -> Result<(), String> {
        for _ in 0..MAX_STEPS {
            let step = self.state.change(move |fleet, now| fleet.next_step(now, id)).await;
            let found = self
                .state
                .read(|fleet, _| Some((fleet.job(id)?.clone(), target(fleet, fleet.job(id)?.machine)?)));
            let Some((job, target)) = found else { return Err("the job is gone".to_owned()) };
            let result = match step {
                // The intent is not durable, so nothing was sent.
                Err(error) => StepResult::NotDone(error),
                Ok(None) => return ended(&job),
                Ok(Some(JobStep::Send(action))) => self.send(&job, &target, action).await,
                Ok(Some(JobStep::Look(action))) => self.look(&job, &target, action).await,
            };
            self.fresh = false;
            if !matches!(result, StepResult::Done) {
                tracing::info!(machine = %target.name, job = %id, ?result, "BMC");
            }
            self.state.change(move |fleet, now| fleet.step_result(now, id, result)).await?;
        }
        let why = "the BMC takes what it is told and shows no effect";
        self.state.change(move |fleet, now| fleet.cancel_job(now, id, why)).await?;
        Err(why.to_owned())
    }

    /// The session, opened where there is none; `patience`: for how long silence is taken for a BMC that shares its
    /// interface and comes back.
    async fn bmc(&mut self, target: &Target, patience: Duration) -> Result<&mut Session, Unopened> {
        let (until, mut told) = (tokio::time::Instant::now() + patience, false);
        while self.session.is_none() {
            match power::open(self.state, self.login, target).await {
                Ok(bmc) => self.session = Some(bmc),
                Err(Unopened::Silent(_)) if tokio::time::Instant::now() < until => {
                    if !std::mem::replace(&mut told, true) {
                        self.state.observe(Observation::BmcResting { machine: target.machine, patience });
                    }
                    tokio::time::sleep(ASKED).await;
                }
                Err(error) => return Err(error),
            }
        }
        self.session.as_mut().ok_or_else(|| Unopened::Silent("no session".to_owned()))
    }

    /// Sends one action. Nothing was sent where this says `NotDone`.
    async fn send(&mut self, job: &Job, target: &Target, action: BmcAction) -> StepResult {
        let (fresh, state) = (self.fresh, self.state);
        let bmc = match self.bmc(target, Duration::ZERO).await {
            Ok(bmc) => bmc,
            Err(error) => return StepResult::NotDone(error.told(state, target.machine)),
        };
        if fresh && let Err(why) = power::check_serial(state, bmc, target).await {
            return StepResult::NotDone(why);
        }
        match action {
            BmcAction::NetworkBoot { efi } => {
                if let Some(refused) = must_be_off(bmc, job, target).await {
                    return refused;
                }
                let efi = is_efi(bmc, efi).await;
                set_boot(bmc, BootDevice::Pxe, BootOptions { efi, ..ONCE }).await
            }
            BmcAction::DiskBoot => {
                let options = BootOptions { efi: false, persistent: true, keep_valid_bit: false };
                set_boot(bmc, BootDevice::Disk, options).await
            }
            BmcAction::Power { action } => {
                // Taken up again after a restart: the flag of the first half may have run out.
                if fresh && let Some(efi) = network_boot(job) {
                    let efi = is_efi(bmc, efi).await;
                    let set = set_boot(bmc, BootDevice::Pxe, BootOptions { efi, ..ONCE }).await;
                    if set != StepResult::Done {
                        return not_sent(set);
                    }
                }
                let control = match control(bmc, action).await {
                    Ok(control) => control,
                    Err(error) => return StepResult::NotDone(error.to_string()),
                };
                match bmc.chassis_control(control).await {
                    Ok(_) => self.settled(target, action).await,
                    Err(fault) if matches!(fault.kind, Kind::Unconfirmed | Kind::Silent) => {
                        self.session = None;
                        StepResult::NoAnswer(fault.words)
                    }
                    Err(error) => StepResult::NotDone(format!("power {}: {error}", action.word())),
                }
            }
        }
    }

    /// After the BMC took a power command: waits until it says that it had its effect.
    async fn settled(&mut self, target: &Target, action: PowerAction) -> StepResult {
        let wanted = !matches!(action, PowerAction::Off | PowerAction::SoftOff);
        let limit = if action == PowerAction::SoftOff { SOFT_OFF } else { POWER_SETTLES };
        let mut waited = Duration::ZERO;
        loop {
            let (state, machine) = (self.state, target.machine);
            let asked = match self.bmc(target, state.bmc_rest()).await {
                Ok(bmc) => bmc.power_on().await,
                // It took the command; that it is silent now is its own matter.
                Err(error @ Unopened::Silent(_)) => {
                    let words = error.told(state, machine);
                    tracing::info!(machine = %target.name, words, "silent after the power command it took");
                    return StepResult::Done;
                }
                Err(error) => return StepResult::NoAnswer(error.told(state, machine)),
            };
            match asked {
                Ok(on) if on == wanted => {
                    state.observe(Observation::PowerVerified { machine, on: wanted });
                    return StepResult::Done;
                }
                Ok(_) if waited >= limit && action == PowerAction::SoftOff => {
                    return StepResult::NotDone(format!(
                        "still on after {} s: `kpc power off --hard {}` cuts its power",
                        limit.as_secs(),
                        target.name
                    ));
                }
                Ok(_) if waited >= limit => {
                    let said = if wanted { "off" } else { "on" };
                    return StepResult::NotDone(format!(
                        "power {} was sent; the BMC still says {said}",
                        action.word()
                    ));
                }
                Ok(_) => {}
                Err(_) => self.session = None,
            }
            tokio::time::sleep(ASKED).await;
            waited += ASKED;
        }
    }

    /// Finds out whether an action had its effect, and sends nothing.
    async fn look(&mut self, job: &Job, target: &Target, action: BmcAction) -> StepResult {
        let BmcAction::Power { action } = action else { return self.look_at_boot(target, action).await };
        let (state, machine) = (self.state, target.machine);
        let bmc = match self.bmc(target, state.bmc_rest()).await {
            Ok(bmc) => bmc,
            Err(error) => return StepResult::NoAnswer(error.told(state, machine)),
        };
        let on = match bmc.power_on().await {
            Ok(on) => on,
            Err(error) => return StepResult::NoAnswer(error.to_string()),
        };
        state.observe(Observation::PowerVerified { machine, on });
        match (action, on) {
            (PowerAction::On, true) | (PowerAction::Off | PowerAction::SoftOff, false) => StepResult::Done,
            (PowerAction::On, false) => StepResult::NotDone("power on had no effect: it is off".to_owned()),
            (PowerAction::Off | PowerAction::SoftOff, true) => {
                StepResult::NotDone("power off had no effect: it is on".to_owned())
            }
            (PowerAction::Cycle | PowerAction::Reset, false) => {
                StepResult::NotDone(format!("power {}: the BMC says off", action.word()))
            }
            // It is on, before and after: only a network boot since then shows that it was reset.
            (PowerAction::Cycle | PowerAction::Reset, true) => {
                let mut waited = Duration::ZERO;
                while waited < CYCLE_SHOWS {
                    if state.read(|fleet, now| has_booted(fleet, now, job)) {
                        return StepResult::Done;
                    }
                    tokio::time::sleep(ASKED).await;
                    waited += ASKED;
                }
                StepResult::NotDone(format!("power {}: no network boot was seen since", action.word()))
            }
        }
    }

    async fn look_at_boot(&mut self, target: &Target, action: BmcAction) -> StepResult {
        let wanted = if action == BmcAction::DiskBoot { BootDevice::Disk } else { BootDevice::Pxe };
        let state = self.state;
        let bmc = match self.bmc(target, state.bmc_rest()).await {
            Ok(bmc) => bmc,
            Err(error) => return StepResult::NoAnswer(error.told(state, target.machine)),
        };
        match bmc.boot_device().await {
            Ok(device) if device == Some(wanted) => StepResult::Done,
            Ok(_) => StepResult::NotDone("the boot device is not set".to_owned()),
            Err(error) => StepResult::NoAnswer(error.to_string()),
        }
    }
}

/// One network boot; the flag outlives the BMC's 60 seconds.
const ONCE: BootOptions = BootOptions { efi: false, persistent: false, keep_valid_bit: true };

/// The boot mode as it was asked for, else as the BMC has it, else BIOS.
async fn is_efi(bmc: &mut Session, asked: Option<bool>) -> bool {
    match asked {
        Some(efi) => efi,
        None => bmc.boot_mode().await.unwrap_or(false),
    }
}

async fn set_boot(bmc: &mut Session, device: BootDevice, options: BootOptions) -> StepResult {
    match bmc.set_boot_device(device, options).await {
        Ok(()) => StepResult::Done,
        Err(fault) if fault.kind == Kind::Silent => StepResult::NoAnswer(format!("boot device: {fault}")),
        Err(error) => StepResult::NotDone(format!("boot device: {error}")),
    }
}

/// What went before a power command failed: the command itself was not sent.
fn not_sent(result: StepResult) -> StepResult {
    match result {
        StepResult::NoAnswer(why) => StepResult::NotDone(why),
        result => result,
    }
}

/// A job that ends with "on" is for a machine that is off: a running system is not made to boot the network.
async fn must_be_off(bmc: &mut Session, job: &Job, target: &Target) -> Option<StepResult> {
    if !job.actions.contains(&BmcAction::Power { action: PowerAction::On }) {
        return None;
    }
    match bmc.power_on().await {
        Ok(false) => None,
        Ok(true) => Some(StepResult::NotDone(format!(
            "is powered on now: switch it off first with `kpc power off {}`",
            target.name
        ))),
        Err(error) => Some(StepResult::NotDone(error.to_string())),
    }
}

/// The network boot that an earlier action of the job asked for, with its firmware mode.
fn network_boot(job: &Job) -> Option<Option<bool>> {
    job.actions.iter().take(job.done).find_map(|action| match action {
        BmcAction::NetworkBoot { efi } => Some(*efi),
        _ => None,
    })
}

/// What to send: many BMCs refuse to cycle or reset what is off, and mean "on" by it.
async fn control(bmc: &mut Session, action: PowerAction) -> Result<ChassisControl, Fault> {
    Ok(match action {
        PowerAction::On => ChassisControl::PowerUp,
        PowerAction::Off => ChassisControl::PowerDown,
        PowerAction::SoftOff => ChassisControl::SoftShutdown,
        PowerAction::Reset => ChassisControl::HardReset,
        PowerAction::Cycle if !bmc.power_on().await? => ChassisControl::PowerUp,
        PowerAction::Cycle => ChassisControl::PowerCycle,
    })
}

/// Whether the machine was heard booting since the job's power command.
fn has_booted(fleet: &fleet::Fleet, now: fleet::Timestamp, job: &Job) -> bool {
    fleet.status_of(now, job.machine).is_some_and(|status| {
        let began = now.as_millis().saturating_sub(status.elapsed_ms);
        began >= job.at.as_millis() && status.phase.is_some_and(|phase| phase >= Phase::Seen)
    })
}

fn ended(job: &Job) -> Result<(), String> {
    match &job.state {
        JobState::Done => Ok(()),
        JobState::Failed { reason } => Err(reason.clone()),
        JobState::Ready | JobState::Sent | JobState::Doubt => {
            Err("the store refuses writes: nothing is sent before its intent is durable".to_owned())
        }
    }
}
