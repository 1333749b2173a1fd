//! What operators, attackers and fate do to the world.

use super::chaos::ChaosStore;
use super::oracle::Truth;
use super::world::{State, Step, World, name};
use crate::claim::ClaimRefused;
use crate::command::Command;
use crate::config::Config;
use crate::grant::GrantRequest;
use crate::identity::{ClaimSecret, Sighting};
use crate::observe::{AgentPhase, Observation, PowerAction, Stage};
use crate::order::{OrderState, Role};
use crate::provision::Provision;
use crate::sabotage::Rule;
use crate::store::Keeper;

impl World {
    /// Somebody with rights does something.
    pub(super) fn operate(&mut self) -> Step {
        let machine = self.dice.below(self.machines.len());
        let (id, selector) = (self.machines[machine], name(machine));
        let before = self.order_of(id);
        let command = match self.dice.below(20) {
            0..9 => {
                let role = if self.dice.chance(20) { Role::Live } else { Role::Install };
                let mut order = Provision::new(selector, "p", role);
                let serial = Some(self.boards[machine].serial.clone());
                (order.disk, order.again) =
                    (serial.clone().filter(|_| self.dice.chance(40)), self.dice.chance(60));
                order.wipe = serial.filter(|_| self.dice.chance(50));
                Command::Provision(order)
            }
            9..12 => Command::Cancel(selector),
            12..15 => Command::Retry(selector),
            15 if self.dice.chance(20) => Command::Retire(selector),
            _ => {
                self.oracle.powered(id); // before the command: the engine may have heard of it without our knowing
                let power = Observation::PowerCommanded { machine: id, action: PowerAction::Cycle };
                if self.ask(|fleet, now| fleet.observe(now, power)).is_some() {
                    self.boards[machine].state = State::Firmware { nic: 0 };
                }
                return Ok(());
            }
        };
        let (cancels, retries) = (
            matches!(command, Command::Cancel(_) | Command::Retire(_)),
            matches!(command, Command::Retry(_)),
        );
        if retries {
            before.into_iter().for_each(|order| self.oracle.retried(order)); // even unanswered it may have happened
        }
        let done = self.ask(|fleet, now| fleet.command(now, "op", command));
        let Some(Ok(outcome)) =
            done.filter(|done| done.as_ref().is_ok_and(|outcome| !outcome.machines.is_empty()))
        else {
            return Ok(());
        };
        if cancels {
            before.into_iter().for_each(|order| self.oracle.cancelled(order));
        } else {
            let now = self.now;
            outcome
                .orders
                .iter()
                .filter(|order| Some(**order) != before)
                .for_each(|order| self.oracle.ordered(now, *order));
        }
        Ok(())
    }

    /// Somebody on the wire who was not first: spoofed claims, forged reports and grants.
    pub(super) fn attack(&mut self) -> Step {
        let machine = self.dice.below(self.machines.len());
        let id = self.machines[machine];
        let forged = ClaimSecret::new(self.dice.octets());
        match self.dice.below(5) {
            0 => {
                let Some(order) =
                    self.order_of(id).filter(|order| self.oracle.holder(self.now, *order).is_some())
                else {
                    return Ok(());
                };
                let held = self
                    .keeper
                    .fleet()
                    .orders
                    .get(&order)
                    .is_some_and(|order| matches!(order.state, OrderState::Claimed { .. }));
                if !held {
                    return Ok(()); // it would be first
                }
                let nic = self.dice.below(2);
                let sighting = Sighting { peer: Some([10, 9, 9, 9].into()), ..self.sighting(machine, nic) };
                let fresh = self.dice.octets();
                match self.ask(|fleet, now| fleet.claim(now, &sighting, fresh)) {
                    Some(Ok(claim)) => {
                        let order = self
                            .keeper
                            .fleet()
                            .orders
                            .get(&claim.order)
                            .cloned()
                            .ok_or("claim of an order that is not there")?;
                        self.oracle.claimed(self.now, &claim, &order, Truth::Attacker)?;
                    }
                    Some(Err(ClaimRefused::SecondClaimer(_))) => self.oracle.frozen(order),
                    _ => {}
                }
            }
            1 => self.report(forged, AgentPhase::Done),
            2 => {
                let request = GrantRequest {
                    claim: forged,
                    nonce: forged,
                    serial: "S0".into(),
                    signatures: Vec::new(),
                };
                if self.grant(&request, machine)? {
                    return Err("a forged claim was granted".into());
                }
            }
            3 => self.register(self.boards.len() - 1, Some(forged)),
            _ => {
                let sighting = self.sighting(machine, 0);
                self.ask(|fleet, now| {
                    fleet.observe(now, Observation::Seen { sighting, stage: Stage::Firmware }).is_ok()
                });
            }
        }
        Ok(())
    }

    /// What was sent long ago arrives, perhaps again.
    pub(super) fn deliver_late(&mut self) -> Step {
        if !self.late.is_empty() {
            let at = self.dice.below(self.late.len());
            let (board, request) = self.late[at].clone();
            self.grant(&request, board)?; // its answer reaches nobody
        }
        if let Some(claim) = self.late_reports.pop() {
            self.report(claim, AgentPhase::Done);
        }
        Ok(())
    }

    /// The server's own troubles.
    pub(super) fn trouble(&mut self) -> Step {
        match self.dice.below(12) {
            0 if self.restarts => self.restart(),
            1..4 if self.restarts => {
                let after = self.dice.below(4);
                self.keeper.store_mut().tear = Some(after);
            }
            4 if self.restarts => self.keeper.store_mut().full = true,
            5..8 => {
                self.keeper.store_mut().full = false;
                let now = self.wall();
                let _ = self.keeper.flush(now);
                if self.keeper.store().torn {
                    self.restart();
                }
            }
            8 if self.jumps => self.skew = (self.dice.below(20_000_000) as i64) - 10_000_000,
            9 if self.restarts => self.backup = Some(self.keeper.store().tables.clone()),
            10 if self.restarts => self.restore_backup(),
            _ => {
                self.ask(|fleet, now| fleet.handle_timeout(now));
            }
        }
        self.acknowledged_holds()
    }

    /// An old backup is put back.
    pub(super) fn restore_backup(&mut self) {
        let Some(tables) = self.backup.clone() else { return };
        let overwrites = self.removed == Some(Rule::GrantOnce);
        self.oracle.restored();
        let store = ChaosStore { tables, overwrites, ..ChaosStore::default() };
        self.keeper = Keeper::open_sabotaged(Config::default(), store, self.removed);
        self.ask(|fleet, now| fleet.void_orders(now, "op"));
        if self.removed == Some(Rule::RestoreVoids) {
            self.oracle.restores_nothing();
        }
    }
}
