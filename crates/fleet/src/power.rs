//! What is known of power and of the BMC behind it: commands that we gave, and whether a BMC is the one that
//! is recorded for its machine.

use std::time::Duration;

use crate::attempt::Phase;
use crate::fleet::{AlarmKind, Fleet};
use crate::hint::Hint;
use crate::identity::{MachineId, Uuid, is_telling_serial, serials_contradict};
use crate::observe::{Ignored, PowerAction};
use crate::text::{MAX_NAME, clean};
use crate::time::Timestamp;
use crate::timeline::EventKind;

impl Fleet {
    /// We commanded power: the claim of the boot before may be taken over, and a new attempt begins.
    pub(crate) fn power_commanded(
        &mut self,
        now: Timestamp,
        id: MachineId,
        action: PowerAction,
    ) -> Result<MachineId, Ignored> {
        let mut machine = self.machines.get(&id).cloned().ok_or(Ignored::Unknown)?;
        machine.power_epoch = machine.power_epoch.wrapping_add(1);
        self.put_machine(machine);
        if matches!(action, PowerAction::Off | PowerAction::SoftOff) {
            self.event(Some(id), EventKind::Note { text: format!("power {} commanded", action.word()) });
            self.let_rest(id); // what is off is not late
            return Ok(id);
        }
        self.commanded.insert(id, now);
        self.begin_attempt(id, now);
        // Somebody has looked: what stood in the way before is no suspicion now.
        if let Some(attempt) = self.attempts.get_mut(&id) {
            attempt.suspect = None;
        }
        self.reach(id, now, Phase::PowerCommanded, action.word());
        Ok(id)
    }

    /// A BMC cannot be used: shown until it can.
    pub(crate) fn bmc_fault(&mut self, id: MachineId, hint: Hint) -> Result<MachineId, Ignored> {
        self.machines.get(&id).ok_or(Ignored::Unknown)?;
        let hint = Hint::new(hint.code, &hint.text);
        if self.bmc_faults.insert(id, hint.clone()).is_none_or(|before| before != hint) {
            self.event(Some(id), EventKind::BmcFailed { detail: hint.to_string() });
        }
        Ok(id)
    }

    /// A BMC that shares its interface with the system is silent while that starts: expected, told, and no fault.
    pub(crate) fn bmc_rests(
        &mut self,
        id: MachineId,
        now: Timestamp,
        patience: Duration,
    ) -> Result<MachineId, Ignored> {
        let attempt = self.attempts.get_mut(&id).ok_or(Ignored::Unknown)?;
        let note = format!(
            "its BMC is silent after the power command, as one that shares its interface is: expected for {} s",
            patience.as_secs()
        );
        attempt.rests_until = Some(now.plus(patience));
        attempt.note.clone_from(&note);
        self.event(Some(id), EventKind::Note { text: note });
        self.time_attempt(id);
        Ok(id)
    }

    /// A BMC showed its GUID: the first is recorded, another one refuses.
    pub(crate) fn bmc_identity(
        &mut self,
        now: Timestamp,
        id: MachineId,
        guid: Uuid,
    ) -> Result<MachineId, Ignored> {
        let mut machine = self.machines.get(&id).cloned().ok_or(Ignored::Unknown)?;
        let Some(bmc) = machine.bmc.as_mut() else { return Err(Ignored::Unknown) };
        match bmc.guid.filter(|known| known.is_telling()) {
            Some(known) if known.matches(guid) => {
                self.bmc_faults.remove(&id);
                Ok(id)
            }
            Some(known) => {
                let address = bmc.address;
                let text = format!(
                    "BMC at {address} shows GUID {guid}, recorded is {known}: addresses swapped? no power, no boot write"
                );
                self.alarm(now, id, AlarmKind::Bmc, text);
                Err(Ignored::OtherBmc)
            }
            None => {
                if guid.is_telling() {
                    bmc.guid = Some(guid);
                    self.put_machine(machine);
                }
                self.bmc_faults.remove(&id);
                Ok(id)
            }
        }
    }

    /// A BMC showed a serial (FRU). One that contradicts the machine's is another machine's BMC: it is told nothing
    /// until a person has looked. A machine known by its BMC alone gets the serial from it.
    pub(crate) fn bmc_serial(
        &mut self,
        now: Timestamp,
        id: MachineId,
        serial: &str,
    ) -> Result<MachineId, Ignored> {
        let mut machine = self.machines.get(&id).cloned().ok_or(Ignored::Unknown)?;
        let serial = clean(serial.trim(), MAX_NAME);
        match machine.serial.clone() {
            Some(known) if serials_contradict(&known, &serial) => {
                let why = format!(
                    "the BMC of {} shows serial {serial}, recorded is {known}: wrong BMC recorded?",
                    machine.name
                );
                machine.bmc_doubt = Some(why.clone());
                self.put_machine(machine);
                self.alarm(now, id, AlarmKind::Bmc, why);
                return Err(Ignored::OtherBmc);
            }
            None if is_telling_serial(&serial) => {
                machine.serial = Some(serial);
                self.put_machine(machine);
            }
            _ => {}
        }
        Ok(id)
    }

    /// An agent read the GUID of the BMC of the very board it runs on. Another one than is recorded means that
    /// power commands for this machine reach somebody else: its BMC is told nothing until a person has looked.
    pub(crate) fn agent_bmc(&mut self, now: Timestamp, id: MachineId, guid: Uuid) {
        let Some(mut machine) = self.machines.get(&id).cloned() else { return };
        let Some(bmc) = machine.bmc.as_mut().filter(|_| guid.is_telling()) else { return };
        match bmc.guid.filter(|known| known.is_telling()) {
            Some(known) if known.matches(guid) => {
                let text = format!("its own BMC is the one at {}", bmc.address);
                self.event(Some(id), EventKind::Note { text });
            }
            Some(known) => {
                let why = format!(
                    "{} says that its own BMC has GUID {guid}, the one recorded at {} has {known}: wrong BMC recorded?",
                    machine.name, bmc.address
                );
                machine.bmc_doubt = Some(why.clone());
                self.put_machine(machine);
                self.alarm(now, id, AlarmKind::Bmc, why);
            }
            None => {
                bmc.guid = Some(guid);
                self.put_machine(machine);
            }
        }
    }
}
