//! The claim: one boot takes hold of an order. The same boot asking again gets the same claim; somebody else
//! asking freezes the order.

use serde::Serialize;

use crate::attempt::Phase;
use crate::decide::{Boot, Decision};
use crate::fleet::{AlarmKind, Fleet};
use crate::grant::GrantRefused;
use crate::identity::{ClaimSecret, MachineId, OrderId, Sighting};
use crate::order::{Claim, Claimer, OrderState, Role};
use crate::sabotage::Rule;
use crate::time::Timestamp;
use crate::timeline::EventKind;

/// Why a claim was not given.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimRefused {
    /// The machine has nothing to boot: answer as the decision says.
    #[error("nothing to claim")]
    Nothing(Decision),
    /// The request names no interface.
    #[error("a claim needs the Ethernet address of the booting interface")]
    NoMac,
    /// The sixteen octets were used before: the caller's source of randomness is broken.
    #[error("the secret is not fresh: is the random source broken?")]
    NotFresh,
    /// The order is held by another boot; it is frozen now.
    #[error("{0}")]
    SecondClaimer(String),
}

/// What an agent that shows a claim is told of its order.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Claimed {
    /// Which machine it runs on.
    pub machine: MachineId,
    /// Its name.
    pub name: String,
    /// Under which order.
    pub order: OrderId,
    /// From memory, or to write a disk.
    pub role: Role,
    /// What was booted.
    pub profile: String,
    /// The one disk that may be asked for, by serial; `None`: its rule chooses.
    pub disk: Option<String>,
    /// The disk whose data is given up, by serial.
    pub wipe: Option<String>,
}

impl Fleet {
    /// The order that a claim holds now. Changes nothing, and goes on answering after the grant.
    ///
    /// # Errors
    /// [`GrantRefused::NoClaim`] or [`GrantRefused::Frozen`].
    pub fn claimed(&self, now: Timestamp, secret: ClaimSecret) -> Result<Claimed, GrantRefused> {
        let id = self.by_claim.get(&secret).ok_or(GrantRefused::NoClaim)?;
        let machine = self.orders.get(id).map(|order| order.machine).ok_or(GrantRefused::NoClaim)?;
        let order = self
            .open_order(machine, self.at(now))
            .filter(|order| order.id == *id && order.claim().is_some_and(|claim| claim.secret == secret))
            .ok_or(GrantRefused::NoClaim)?;
        if let Some(why) = &order.frozen {
            return Err(GrantRefused::Frozen(why.clone()));
        }
        Ok(Claimed {
            machine,
            name: self.name(machine),
            order: order.id,
            role: order.role,
            profile: order.profile.clone(),
            disk: order.disk.clone().or_else(|| order.wipe.clone()),
            wipe: order.wipe.clone(),
        })
    }

    /// Takes hold of the order of the machine of this sighting, for one boot. `fresh` is sixteen random
    /// octets, used only when a new claim is minted.
    ///
    /// # Errors
    /// [`ClaimRefused::Nothing`] with the decision to answer with when there is no order to claim, and
    /// [`ClaimRefused::SecondClaimer`] when another boot holds it, which also freezes the order.
    pub fn claim(
        &mut self,
        now: Timestamp,
        sighting: &Sighting,
        fresh: [u8; 16],
    ) -> Result<Claim, ClaimRefused> {
        let wall = now;
        let now = self.tick(wall);
        let mac = sighting.mac.ok_or(ClaimRefused::NoMac)?;
        let boot = match self.decide(wall, sighting) {
            Decision::Boot(boot) => boot,
            other => return Err(ClaimRefused::Nothing(other)),
        };
        let id = boot.machine;
        self.learn_peer(id, now, sighting);
        // A script asked for again after the kernel ran is the next boot, even when no DISCOVER was heard.
        if self.attempts.get(&id).is_none_or(|attempt| attempt.phase() >= Some(Phase::Agent)) {
            self.begin_attempt(id, now);
        }
        let claimer = Claimer { mac, peer: sighting.peer };
        let (number, epoch) = self.counts(id);
        let present = self.orders.get(&boot.order).and_then(|order| order.claim()).cloned();
        if let Some(claim) = present {
            let same = claim.claimer.is(claimer);
            if same && claim.attempt == number {
                return Ok(claim);
            }
            // A standing order goes with every boot, by whichever interface; an install order only when we
            // commanded the boot ourselves.
            let live = boot.role == Role::Live && claim.attempt != number;
            let next_boot = live || claim.power_epoch != epoch;
            if !same && !next_boot && self.holds(Rule::SecondClaimerFreezes) {
                return Err(self.second_claimer(now, &boot, &claim, claimer));
            }
        }
        if self.by_claim.contains_key(&ClaimSecret::new(fresh)) {
            return Err(ClaimRefused::NotFresh);
        }
        if self.machines.get(&id).is_some_and(|machine| machine.macs.is_empty()) {
            self.bind(id, mac);
        }
        let claim = Claim {
            order: boot.order,
            machine: id,
            secret: ClaimSecret::new(fresh),
            claimer,
            attempt: number,
            power_epoch: epoch,
            at: now,
            expires: now.plus(self.config.claim_lifetime),
        };
        if let Some(machine) = self.machines.get(&id).cloned() {
            self.put_machine(machine); // the count of attempts goes on after a restart
        }
        self.set_order(boot.order, OrderState::Claimed { claim: claim.clone() }, "");
        self.event(Some(id), EventKind::Claimed { order: boot.order, mac, peer: sighting.peer });
        Ok(claim)
    }

    /// The numbers of the present attempt and of power commands.
    fn counts(&self, id: MachineId) -> (u32, u32) {
        let attempt = self.attempts.get(&id).map_or(0, |attempt| attempt.number);
        (attempt, self.machines.get(&id).map_or(0, |machine| machine.power_epoch))
    }

    /// Freezes the order that two boots want.
    fn second_claimer(&mut self, now: Timestamp, boot: &Boot, held: &Claim, other: Claimer) -> ClaimRefused {
        let at = |claimer: Claimer| match claimer.peer {
            Some(peer) => format!("{} at {peer}", claimer.mac),
            None => claimer.mac.to_string(),
        };
        let why = format!(
            "claimed by {}, then asked for by {}: two interfaces booting, or an address forged?",
            at(held.claimer),
            at(other)
        );
        self.freeze(boot.order, why.clone());
        self.alarm(now, boot.machine, AlarmKind::Claimer, why.clone());
        ClaimRefused::SecondClaimer(why)
    }

    /// Records the interface of a machine that was known by its BMC alone.
    fn bind(&mut self, id: MachineId, mac: crate::identity::Mac) {
        if let Some(mut machine) = self.machines.get(&id).cloned() {
            machine.macs.push(mac);
            self.unknown.take(mac);
            self.put_machine(machine);
            let text = format!(
                "interface {mac} is its own: option 97 is its BMC's GUID, and we had just powered it"
            );
            self.event(Some(id), EventKind::Note { text });
        }
    }
}
