//! What drivers see and agents say. Packets that nobody signed move the attempt; reports under a claim move
//! the order; nothing else does.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::attempt::{Attempt, Phase, disproof};
use crate::decide::Identity;
use crate::fleet::{AlarmKind, Fleet};
use crate::hint::{Hint, HintCode};
use crate::identity::{ClaimSecret, MachineId, OrderId, Sighting, Uuid};
use crate::machine::{Disk, Lifecycle};
use crate::order::{Order, OrderState, Role};
use crate::text::{MAX_DETAIL, clean};
use crate::time::Timestamp;
use crate::timeline::EventKind;

/// Which program sent a DHCPDISCOVER.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The firmware's own network boot.
    Firmware,
    /// iPXE or another loader.
    Loader,
    /// An operating system, or anything that does not boot from the network.
    System,
}

/// A power command.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerAction {
    /// Chassis power on.
    On,
    /// Chassis power off, at once.
    Off,
    /// Asks the running system to end by itself.
    SoftOff,
    /// Off, then on.
    Cycle,
    /// Hard reset.
    Reset,
}

impl PowerAction {
    /// The word that people see.
    pub fn word(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::SoftOff => "soft off",
            Self::Cycle => "cycle",
            Self::Reset => "reset",
        }
    }
}

/// What an agent reports.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AgentPhase {
    /// It runs.
    Started,
    /// Something on the way: inventory, Ignition, files.
    Note,
    /// It writes; per cent.
    Writing(u8),
    /// The disk is written and checked.
    Done,
    /// It reboots now.
    Reboot,
    /// It stopped.
    Failed,
    /// It read the GUID of its own BMC.
    Bmc(Uuid),
}

impl AgentPhase {
    /// Reads a report's words: `agent`, `writing` (with the per cent at the head of `detail`), `done`,
    /// `reboot`, `failed`, `bmc` (with its GUID as `detail`); every other word is a note.
    pub fn parse(phase: &str, detail: &str) -> Self {
        match phase {
            "agent" | "started" => Self::Started,
            "writing" => {
                let digits: String =
                    detail.trim_start().chars().take_while(char::is_ascii_digit).take(3).collect();
                Self::Writing(digits.parse().unwrap_or(0).min(100))
            }
            "done" | "installed" => Self::Done,
            "reboot" => Self::Reboot,
            "failed" => Self::Failed,
            "bmc" => detail.trim().parse().map_or(Self::Note, Self::Bmc),
            _ => Self::Note,
        }
    }
}

/// One thing that a driver saw.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Observation {
    /// A DHCPDISCOVER.
    Seen {
        /// From whom.
        sighting: Sighting,
        /// By which program.
        stage: Stage,
    },
    /// We answered one.
    Offered {
        /// To whom.
        sighting: Sighting,
        /// Which program asked.
        stage: Stage,
        /// The loader or script offered.
        program: String,
    },
    /// Firmware said of which kind it is.
    Firmware {
        /// Whose.
        sighting: Sighting,
        /// UEFI, or BIOS.
        uefi: bool,
    },
    /// A loader was sent whole, by TFTP or HTTP.
    LoaderSent {
        /// To whom; its address is enough.
        sighting: Sighting,
        /// The file.
        file: String,
        /// Its length.
        octets: u64,
    },
    /// A boot script was answered.
    ScriptSent {
        /// To whom.
        sighting: Sighting,
    },
    /// The script that leaves the network for the disk was answered.
    LocalSent {
        /// To whom.
        sighting: Sighting,
    },
    /// A kernel was sent whole.
    KernelSent {
        /// To whom.
        sighting: Sighting,
        /// Which.
        path: String,
        /// Its length.
        octets: u64,
    },
    /// Something else was sent whole: initrd, Ignition, a file.
    Sent {
        /// To whom.
        sighting: Sighting,
        /// What.
        what: String,
    },
    /// An agent reported.
    AgentReport {
        /// Its claim.
        claim: ClaimSecret,
        /// How far it is.
        phase: AgentPhase,
        /// Why it stopped, where it did.
        code: Option<HintCode>,
        /// In its words; cleaned before they are kept.
        detail: String,
    },
    /// An agent told of the disks it found.
    Inventory {
        /// Its claim.
        claim: ClaimSecret,
        /// They; cleaned and bounded before they are kept.
        disks: Vec<Disk>,
    },
    /// We tell the BMC, by other means than a [`crate::Job`], which does this itself. To be observed before the BMC
    /// hears of it: the machine may boot sooner than the answer comes.
    PowerCommanded {
        /// Whose.
        machine: MachineId,
        /// What.
        action: PowerAction,
    },
    /// The BMC said whether power is on.
    PowerVerified {
        /// Whose.
        machine: MachineId,
        /// On or off.
        on: bool,
    },
    /// A BMC showed its GUID in RAKP 2.
    BmcIdentity {
        /// Whose BMC we meant.
        machine: MachineId,
        /// What it showed.
        guid: Uuid,
    },
    /// A BMC showed the serial of its board's product information (FRU).
    BmcSerial {
        /// Whose BMC we meant.
        machine: MachineId,
        /// What it showed.
        serial: String,
    },
    /// Something is in the way of a boot. A cause that is certain stops it; another is kept, and told when its phase
    /// lasts too long or the next boot meets it again.
    Trouble {
        /// Whose.
        sighting: Sighting,
        /// What.
        hint: Hint,
        /// Whether it is certain.
        certain: bool,
    },
    /// A loader was asked for that is not there. It counts where the machine was offered this very one.
    LoaderMissing {
        /// By whom.
        sighting: Sighting,
        /// Its path, as asked for.
        file: String,
    },
    /// Something is in the way of the boot under this claim, for certain.
    ClaimTrouble {
        /// Its claim.
        claim: ClaimSecret,
        /// What.
        hint: Hint,
    },
    /// A BMC cannot be used; it can again once it shows its GUID or says whether power is on.
    BmcFault {
        /// Whose.
        machine: MachineId,
        /// Why: [`HintCode::BmcLogin`] or [`HintCode::BmcSilent`].
        hint: Hint,
    },
    /// A BMC is silent after a power command that it took, as one that shares its interface with the system is.
    BmcResting {
        /// Whose.
        machine: MachineId,
        /// For how long that is no fault.
        patience: Duration,
    },
    /// A BMC refused or failed.
    BmcError {
        /// Whose.
        machine: MachineId,
        /// How, without secrets.
        detail: String,
    },
}

/// Why an observation moved nothing. The driver counts them.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Ignored {
    /// No machine of ours.
    #[error("no machine of ours")]
    Unknown,
    /// What it says contradicts the record.
    #[error("contradicts the record")]
    Conflict,
    /// No order stands under this claim now.
    #[error("no order stands under this claim")]
    NoClaim,
    /// A report of writing or of done without a grant.
    #[error("no grant was given")]
    NotGranted,
    /// The order is frozen.
    #[error("the order is frozen")]
    Frozen,
    /// The BMC is not the one recorded for this machine.
    #[error("the BMC shows another GUID than the one recorded")]
    OtherBmc,
}

impl Fleet {
    /// Takes one observation; says whose it was.
    ///
    /// # Errors
    /// [`Ignored`] when it moved nothing.
    pub fn observe(&mut self, now: Timestamp, observation: Observation) -> Result<MachineId, Ignored> {
        let now = self.tick(now);
        match observation {
            Observation::Seen { sighting, stage } => self.seen(now, &sighting, stage),
            Observation::Offered { sighting, program, .. } => {
                let offered = self.sent(now, &sighting, Phase::Offered, &program);
                if let Some(attempt) = offered.ok().and_then(|id| self.attempts.get_mut(&id)) {
                    attempt.program = clean(&program, MAX_DETAIL);
                }
                offered
            }
            Observation::Firmware { sighting, uefi } => {
                let id = self.whose(now, &sighting)?;
                if let Some(machine) = self.machines.get_mut(&id) {
                    machine.uefi = Some(uefi);
                }
                Ok(id)
            }
            Observation::LoaderSent { sighting, file, octets } => {
                self.sent(now, &sighting, Phase::Loader, &format!("{file}, {octets} octets"))
            }
            Observation::ScriptSent { sighting } => self.sent(now, &sighting, Phase::Script, ""),
            Observation::KernelSent { sighting, path, octets } => {
                self.sent(now, &sighting, Phase::Kernel, &format!("{path}, {octets} octets"))
            }
            Observation::LocalSent { sighting } => self.local(now, &sighting),
            Observation::Sent { sighting, what } => {
                let id = self.whose(now, &sighting)?;
                self.event(Some(id), EventKind::Note { text: format!("sent {}", clean(&what, MAX_DETAIL)) });
                Ok(id)
            }
            Observation::AgentReport { claim, phase, code, detail } => {
                self.report(now, claim, phase, code, &detail)
            }
            Observation::Inventory { claim, disks } => self.inventory(claim, &disks),
            Observation::PowerCommanded { machine, action } => self.power_commanded(now, machine, action),
            Observation::PowerVerified { machine, on } => {
                self.machines.get(&machine).ok_or(Ignored::Unknown)?;
                self.power.insert(machine, on);
                self.bmc_faults.remove(&machine);
                if on && self.commanded.contains_key(&machine) {
                    self.reach(machine, now, Phase::PowerVerified, "");
                }
                Ok(machine)
            }
            Observation::BmcIdentity { machine, guid } => self.bmc_identity(now, machine, guid),
            Observation::BmcSerial { machine, serial } => self.bmc_serial(now, machine, &serial),
            Observation::Trouble { sighting, hint, certain } => {
                let id = self.whose(now, &sighting)?;
                self.trouble(id, hint, certain);
                Ok(id)
            }
            Observation::LoaderMissing { sighting, file } => self.loader_missing(now, &sighting, &file),
            Observation::ClaimTrouble { claim, hint } => {
                let order = self.by_claim.get(&claim).and_then(|id| self.orders.get(id));
                let id = order.map(|order| order.machine).ok_or(Ignored::NoClaim)?;
                self.trouble(id, hint, true);
                Ok(id)
            }
            Observation::BmcFault { machine, hint } => self.bmc_fault(machine, hint),
            Observation::BmcResting { machine, patience } => self.bmc_rests(machine, now, patience),
            Observation::BmcError { machine, detail } => {
                self.machines.get(&machine).ok_or(Ignored::Unknown)?;
                let detail = clean(&detail, MAX_DETAIL);
                self.event(Some(machine), EventKind::BmcFailed { detail: detail.clone() });
                self.power_failed(machine, now, &detail);
                Ok(machine)
            }
        }
    }

    /// Under an armed order nothing but its power moves a machine that has not been heard: a BMC that refuses is
    /// where its boot has stopped.
    pub(crate) fn power_failed(&mut self, id: MachineId, now: Timestamp, detail: &str) {
        let armed = self.latest_order(id).is_some_and(|order| matches!(order.state, OrderState::Armed));
        let heard = self
            .attempts
            .get(&id)
            .and_then(|attempt| attempt.phase())
            .is_some_and(|phase| phase > Phase::PowerVerified);
        if !armed || heard {
            return;
        }
        if !self.attempts.contains_key(&id) {
            self.begin_attempt(id, now);
        }
        let code = self.bmc_faults.get(&id).map_or(HintCode::BmcRefused, |fault| fault.code);
        if let Some(attempt) = self.attempts.get_mut(&id) {
            attempt.stalled = Some(Hint { code, text: format!("power: {detail}") });
        }
        self.time_attempt(id);
    }

    /// Something is in the way of a machine's boot.
    pub(crate) fn trouble(&mut self, id: MachineId, hint: Hint, certain: bool) {
        let wanted = self.latest_order(id).is_some_and(Order::is_open) || self.awaits_registration(id);
        let under_way = |attempt: &&mut Attempt| wanted && attempt.phase() != Some(Phase::Registered);
        let Some(attempt) = self.attempts.get_mut(&id).filter(under_way) else { return };
        // Who came further and begins again has not forgotten what stopped it there.
        let further = |before: &Hint| disproof(before.code) > disproof(hint.code);
        if !certain && attempt.suspect.as_ref().is_some_and(further) {
            return;
        }
        let again = attempt.suspect.as_ref().is_some_and(|before| before.code == hint.code);
        let late = attempt.stalled.as_ref().is_some_and(|stalled| stalled.code.is_late());
        attempt.suspect = Some(hint.clone());
        if certain || late || again {
            self.stop(id, hint);
        } else {
            self.event(Some(id), EventKind::Note { text: hint.to_string() });
        }
    }

    /// A loader that is not there.
    fn loader_missing(
        &mut self,
        now: Timestamp,
        sighting: &Sighting,
        file: &str,
    ) -> Result<MachineId, Ignored> {
        let id = self.whose(now, sighting)?;
        let named =
            |attempt: &Attempt| attempt.program.trim_start_matches('/') == file.trim_start_matches('/');
        if self.attempts.get(&id).is_some_and(named) {
            let text = format!("{file} was asked for and is not there");
            self.trouble(id, Hint::new(HintCode::LoaderMissing, &text), true);
        }
        Ok(id)
    }

    /// Whose sighting this is, or why it counts for nobody; a contradiction raises an alarm.
    fn whose(&mut self, now: Timestamp, sighting: &Sighting) -> Result<MachineId, Ignored> {
        match self.identify(now, sighting) {
            Identity::Known(id) => {
                self.learn_peer(id, now, sighting);
                Ok(id)
            }
            Identity::Unknown(_) => Err(Ignored::Unknown),
            Identity::Contradicts(id, why) => {
                self.alarm(now, id, AlarmKind::Sighting, why);
                Err(Ignored::Conflict)
            }
        }
    }

    /// A DHCPDISCOVER: an unknown address goes into the ring, a known one may begin a new attempt.
    fn seen(&mut self, now: Timestamp, sighting: &Sighting, stage: Stage) -> Result<MachineId, Ignored> {
        let id = match (self.whose(now, sighting), sighting.mac) {
            (Ok(id), _) => id,
            (Err(Ignored::Unknown), Some(mac)) => {
                if self.unknown.hear(now, mac, sighting, self.config.unknown_machines) {
                    self.event(None, EventKind::Unknown { mac });
                }
                return Err(Ignored::Unknown);
            }
            (Err(ignored), _) => return Err(ignored),
        };
        if stage == Stage::System {
            return Ok(id);
        }
        if self.is_new_boot(id, now, sighting, stage) {
            self.begin_attempt(id, now);
        }
        // What sends has power: it may be heard before the BMC is asked again.
        if self.attempts.get(&id).and_then(Attempt::phase) == Some(Phase::PowerCommanded) {
            self.reach(id, now, Phase::PowerVerified, "heard on the network");
        }
        self.reach(id, now, Phase::Seen, if stage == Stage::Loader { "by its loader" } else { "" });
        if let Some(attempt) = self.attempts.get_mut(&id) {
            attempt.mac = attempt.mac.or(sighting.mac);
        }
        Ok(id)
    }

    /// Whether this DISCOVER begins another boot than the one we follow. Duplicates do not, the second
    /// interface of a machine does not, and neither does the reboot that an install itself makes.
    fn is_new_boot(&self, id: MachineId, now: Timestamp, sighting: &Sighting, stage: Stage) -> bool {
        let Some(attempt) = self.attempts.get(&id) else { return true };
        let Some(phase) = attempt.phase() else { return false };
        let granted =
            self.latest_order(id).is_some_and(|order| matches!(order.state, OrderState::Granted { .. }));
        let quiet = now.since(attempt.last);
        let other_interface = attempt.mac.is_some() && sighting.mac.is_some() && attempt.mac != sighting.mac;
        let gap = if other_interface { self.config.reboot_gap * 20 } else { self.config.reboot_gap };
        if granted || self.awaits_registration(id) || quiet < gap {
            return false;
        }
        let behind = match stage {
            Stage::Firmware => Phase::Loader,
            Stage::Loader | Stage::System => Phase::Script,
        };
        phase >= behind || (phase >= Phase::Seen && quiet >= self.config.reboot_gap * 60)
    }

    /// Something was sent that moves the attempt to `phase`.
    fn sent(
        &mut self,
        now: Timestamp,
        sighting: &Sighting,
        phase: Phase,
        detail: &str,
    ) -> Result<MachineId, Ignored> {
        let detail = clean(detail, MAX_DETAIL);
        match (self.whose(now, sighting), sighting.peer) {
            (Ok(id), _) => {
                self.reach(id, now, phase, &detail);
                Ok(id)
            }
            (Err(Ignored::Unknown), Some(peer)) if sighting.mac.is_none() => {
                self.keep_early(peer, now, phase, detail);
                Err(Ignored::Unknown)
            }
            (Err(ignored), _) => Err(ignored),
        }
    }

    /// The machine was sent to its disk.
    fn local(&mut self, now: Timestamp, sighting: &Sighting) -> Result<MachineId, Ignored> {
        let id = self.whose(now, sighting)?;
        let told = self.attempts.get(&id).and_then(Attempt::phase) == Some(Phase::Reboot);
        self.reach(id, now, Phase::DiskBoot, "network boot answered with its disk");
        let granted =
            self.latest_order(id).is_some_and(|order| matches!(order.state, OrderState::Granted { .. }));
        if granted && !told {
            let text = "it boots the network again, and its agent never said that the disk is written";
            self.trouble(id, Hint::new(HintCode::WriteStopped, text), true);
        }
        Ok(id)
    }

    /// An agent's report, under a claim.
    fn report(
        &mut self,
        now: Timestamp,
        claim: ClaimSecret,
        phase: AgentPhase,
        code: Option<HintCode>,
        detail: &str,
    ) -> Result<MachineId, Ignored> {
        let order = self.by_claim.get(&claim).and_then(|id| self.orders.get(id)).ok_or(Ignored::NoClaim)?;
        let (id, machine, role, state) = (order.id, order.machine, order.role, order.state.clone());
        if order.frozen.is_some() {
            return Err(Ignored::Frozen);
        }
        let detail = clean(detail, MAX_DETAIL);
        match (phase, state) {
            (AgentPhase::Started, _) => self.reach(machine, now, Phase::Agent, &detail),
            (AgentPhase::Note, _) => {
                self.reach(machine, now, Phase::Agent, "");
                self.event(Some(machine), EventKind::Note { text: detail.clone() });
            }
            (AgentPhase::Writing(percent), OrderState::Granted { .. }) => {
                self.reach(machine, now, Phase::Writing, "");
                if let Some(attempt) = self.attempts.get_mut(&machine) {
                    attempt.progress = Some(percent.max(attempt.progress.unwrap_or(0)));
                }
            }
            (AgentPhase::Done, OrderState::Granted { claim, grant }) => {
                self.done(now, id, OrderState::Done { claim, grant })
            }
            (AgentPhase::Done, OrderState::Done { .. }) => {}
            (AgentPhase::Writing(_) | AgentPhase::Done, _) => return Err(Ignored::NotGranted),
            (AgentPhase::Reboot, _) => self.reach(machine, now, Phase::Reboot, &detail),
            (AgentPhase::Bmc(guid), _) => self.agent_bmc(now, machine, guid),
            (AgentPhase::Failed, state) => self.agent_failed(id, machine, role, &state, code, &detail),
        }
        if let Some(attempt) = self.attempts.get_mut(&machine) {
            attempt.last = now;
            if !detail.is_empty() {
                attempt.note = detail;
            }
        }
        if matches!(phase, AgentPhase::Writing(_)) {
            self.time_attempt(machine);
        }
        Ok(machine)
    }

    /// An agent's disks, under a claim.
    fn inventory(&mut self, claim: ClaimSecret, disks: &[Disk]) -> Result<MachineId, Ignored> {
        let order = self.by_claim.get(&claim).and_then(|id| self.orders.get(id)).ok_or(Ignored::NoClaim)?;
        if order.frozen.is_some() {
            return Err(Ignored::Frozen);
        }
        let mut machine = self.machines.get(&order.machine).cloned().ok_or(Ignored::Unknown)?;
        let (id, disks) = (machine.id, crate::register::bounded_disks(disks));
        if machine.facts.disks != disks {
            machine.facts.disks = disks;
            self.put_machine(machine);
        }
        Ok(id)
    }

    /// The disk is written: the order is done and the machine installed.
    pub(crate) fn done(&mut self, now: Timestamp, id: OrderId, state: OrderState) {
        self.set_order(id, state, "");
        let Some(mut machine) =
            self.orders.get(&id).and_then(|order| self.machines.get(&order.machine)).cloned()
        else {
            return;
        };
        let machine_id = machine.id;
        (machine.lifecycle, machine.registered_at, machine.address) = (Lifecycle::Installed, None, None);
        machine.key = None; // another system: its key is its own
        self.put_machine(machine);
        self.reach(machine_id, now, Phase::Writing, "");
        self.time_attempt(machine_id);
    }

    /// The agent stopped. An install order ends; a standing order stays for the next boot.
    fn agent_failed(
        &mut self,
        id: OrderId,
        machine: MachineId,
        role: Role,
        state: &OrderState,
        code: Option<HintCode>,
        detail: &str,
    ) {
        let reason = format!("agent: {detail}");
        // What it was just refused says more than its own word.
        let known = self.attempts.get(&machine).and_then(|attempt| attempt.stalled.as_ref());
        let known = known.map(|hint| hint.code).filter(|code| !code.is_late());
        let code = known.or(code).unwrap_or(HintCode::AgentFailed);
        match (role, state) {
            (Role::Install, OrderState::Claimed { .. }) => {
                self.set_order(id, OrderState::Failed { reason, granted: false, hint: Some(code) }, "")
            }
            (Role::Install, OrderState::Granted { .. }) => {
                self.set_order(id, OrderState::Failed { reason, granted: true, hint: Some(code) }, "")
            }
            _ => {
                self.stop(machine, Hint { code, text: reason });
            }
        }
    }
}
