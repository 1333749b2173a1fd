//! Machines, operators, attackers, clocks and a server, one random step at a time.

use std::net::IpAddr;

use super::chaos::{ChaosStore, Dice};
use super::oracle::{Oracle, Truth};
use crate::claim::ClaimRefused;
use crate::command::{Command, NewMachine};
use crate::config::Config;
use crate::fleet::Fleet;
use crate::grant::GrantRequest;
use crate::identity::{ClaimSecret, Mac, MachineId, OrderId, Sighting, Uuid};
use crate::machine::{Facts, Interface};
use crate::observe::{AgentPhase, Observation, Stage};
use crate::order::{OrderState, Role};
use crate::register::Registration;
use crate::sabotage::Rule;
use crate::select::Selector;
use crate::store::{Keeper, Tables};
use crate::time::Timestamp;

/// Where a board's boot is.
#[derive(Clone, Debug)]
pub(super) enum State {
    Off,
    Firmware { nic: usize },
    Loader { nic: usize },
    Agent { secret: ClaimSecret, nonce: ClaimSecret },
    Writing { secret: ClaimSecret },
    Written { secret: ClaimSecret },
    System { secret: Option<ClaimSecret> },
}

/// A board, as it is in truth.
#[derive(Clone, Debug)]
pub(super) struct Board {
    pub(super) truth: Truth,
    pub(super) macs: Vec<Mac>,
    pub(super) uuid: Uuid,
    pub(super) peer: IpAddr,
    pub(super) serial: String,
    pub(super) data: bool,
    pub(super) state: State,
}

/// Everything.
pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) keeper: Keeper<ChaosStore>,
    pub(super) removed: Option<Rule>,
    pub(super) oracle: Oracle,
    pub(super) boards: Vec<Board>,
    pub(super) machines: Vec<MachineId>,
    pub(super) now: u64,
    pub(super) skew: i64,
    pub(super) jumps: bool,
    pub(super) restarts: bool,
    pub(super) backup: Option<Tables>,
    pub(super) late: Vec<(usize, GrantRequest)>,
    pub(super) late_reports: Vec<ClaimSecret>,
    pub(super) grants: u64,
    pub(super) steps: u64,
}

pub(super) type Step = Result<(), String>;

pub(super) fn name(machine: usize) -> Selector {
    Selector::Names(vec![format!("m-{machine}")])
}

impl World {
    pub(super) fn new(seed: u64, removed: Option<Rule>) -> Self {
        let mut dice = Dice(seed);
        let store = ChaosStore { overwrites: removed == Some(Rule::GrantOnce), ..ChaosStore::default() };
        let keeper = Keeper::open(Config::default(), store).unwrap();
        let (jumps, restarts) = (dice.chance(15), dice.chance(60));
        let mut world = Self {
            dice,
            keeper,
            removed,
            oracle: Oracle::new(!jumps && !restarts),
            boards: Vec::new(),
            machines: Vec::new(),
            now: 1_700_000_000_000,
            skew: 0,
            jumps,
            restarts,
            backup: None,
            late: Vec::new(),
            late_reports: Vec::new(),
            grants: 0,
            steps: 0,
        };
        world.keeper.sabotage(removed);
        let shared = Uuid([7, 6, 5, 4, 3, 2, 1, 0, 9, 9, 9, 9, 1, 2, 3, 4]);
        for n in 0..3u8 {
            let macs = vec![Mac([2, 0, 0, 0, n, 0]), Mac([2, 0, 0, 0, n, 1])];
            let uuid =
                if n < 2 { shared } else { Uuid([n, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, n + 1]) };
            let new = NewMachine {
                name: format!("m-{n}"),
                macs: macs.clone(),
                uuid: Some(uuid),
                ..NewMachine::default()
            };
            let at = world.wall();
            let id = world
                .keeper
                .change(at, |fleet| fleet.command(at, "op", Command::AddMachine(new)))
                .unwrap()
                .unwrap()
                .machines[0];
            world.machines.push(id);
            let data = world.dice.chance(30);
            world.boards.push(Board {
                truth: Truth::Board(id),
                macs,
                uuid,
                peer: [10, 0, 0, n].into(),
                serial: format!("S{n}"),
                data,
                state: State::Off,
            });
        }
        // A stranger with the cloned UUID, and one that carries the third machine's interface on another board.
        for (n, mac, uuid) in [
            (8, Mac([6; 6]), shared),
            (9, Mac([2, 0, 0, 0, 2, 0]), Uuid([8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6])),
        ] {
            let peer = [10, 0, 0, n].into();
            world.boards.push(Board {
                truth: Truth::Stranger,
                macs: vec![mac],
                uuid,
                peer,
                serial: "X".into(),
                data: true,
                state: State::Off,
            });
        }
        world
    }

    pub(super) fn wall(&self) -> Timestamp {
        Timestamp::from_millis(self.now.saturating_add_signed(self.skew))
    }

    /// Asks the server; `None`: no answer came (withheld, killed or lost).
    pub(super) fn ask<T>(&mut self, act: impl FnOnce(&mut Fleet, Timestamp) -> T) -> Option<T> {
        let now = self.wall();
        let answer = self.keeper.change(now, |fleet| act(fleet, now)).ok();
        while self.keeper.poll_event().is_some() {}
        if self.keeper.store().torn {
            self.restart();
            return answer.filter(|_| self.removed == Some(Rule::AnswerAfterDurable));
        }
        answer
    }

    /// The server is killed and comes up with what its store holds.
    pub(super) fn restart(&mut self) {
        let keeper = std::mem::replace(
            &mut self.keeper,
            Keeper::open(Config::default(), ChaosStore::default()).unwrap(),
        );
        let (_, mut store) = keeper.into_parts();
        store.torn = false;
        self.keeper = Keeper::open_sabotaged(Config::default(), store, self.removed);
    }

    pub(super) fn order_of(&self, machine: MachineId) -> Option<OrderId> {
        self.keeper.fleet().order_of(machine).map(|order| order.id)
    }

    /// One random thing happens.
    pub(super) fn step(&mut self) -> Step {
        self.steps += 1;
        self.now += match self.dice.below(20) {
            0..8 => 500,
            8..15 => 5_000,
            15..18 => 120_000,
            18 => 1_900_000,
            _ => 9_000_000 * self.dice.below(3) as u64,
        };
        match self.dice.below(100) {
            0..62 => {
                let board = self.dice.below(self.boards.len());
                self.boot(board)
            }
            62..76 => self.operate(),
            76..86 => self.attack(),
            86..90 => {
                let board = self.dice.below(self.boards.len());
                self.boards[board].state = State::Firmware { nic: 0 }; // power cut, comes back by itself
                Ok(())
            }
            90..93 => self.deliver_late(),
            _ => self.trouble(),
        }
    }

    pub(super) fn sighting(&self, board: usize, nic: usize) -> Sighting {
        let board = &self.boards[board];
        Sighting {
            mac: board.macs.get(nic).copied(),
            uuid: Some(board.uuid),
            peer: Some(board.peer),
            claim: None,
        }
    }

    /// A board does the next thing of its boot.
    pub(super) fn boot(&mut self, at: usize) -> Step {
        match self.boards[at].state.clone() {
            State::Off => {
                if self.dice.chance(20) {
                    self.boards[at].state =
                        State::Firmware { nic: self.dice.below(self.boards[at].macs.len()) };
                }
            }
            State::Firmware { nic } => {
                let sighting = Sighting { peer: None, ..self.sighting(at, nic) };
                for _ in 0..=self.dice.below(3) {
                    let seen = Observation::Seen { sighting: sighting.clone(), stage: Stage::Firmware };
                    self.ask(|fleet, now| fleet.observe(now, seen).is_ok());
                }
                self.boards[at].state = State::Loader { nic };
            }
            State::Loader { nic } => return self.claim(at, nic),
            State::Agent { secret, nonce } => return self.agent(at, secret, nonce),
            State::Writing { secret } if self.dice.chance(8) => {
                let nonce = ClaimSecret::new(self.dice.octets());
                self.boards[at].state = State::Agent { secret, nonce }; // it died while it wrote
            }
            State::Writing { secret } => {
                self.report(secret, AgentPhase::Writing(50));
                if self.dice.chance(50) {
                    self.boards[at].state = State::Written { secret };
                }
            }
            State::Written { secret } => {
                self.report(secret, AgentPhase::Done);
                self.report(secret, AgentPhase::Reboot);
                self.boards[at].state = if self.dice.chance(50) {
                    State::Firmware { nic: 0 }
                } else {
                    State::System { secret: Some(secret) }
                };
            }
            State::System { secret } => self.register(at, secret),
        }
        Ok(())
    }

    /// iPXE asks for its script.
    pub(super) fn claim(&mut self, at: usize, nic: usize) -> Step {
        let (sighting, fresh) = (self.sighting(at, nic), self.dice.octets());
        let lost = self.dice.chance(10);
        let Some(answer) = self.ask(|fleet, now| fleet.claim(now, &sighting, fresh)) else { return Ok(()) };
        match answer {
            Ok(claim) => {
                let order = self
                    .keeper
                    .fleet()
                    .orders
                    .get(&claim.order)
                    .cloned()
                    .ok_or("claim of an order that is not there")?;
                let truth = self.boards[at].truth;
                self.oracle.claimed(self.now, &claim, &order, truth)?;
                if !lost {
                    let nonce = ClaimSecret::new(self.dice.octets());
                    self.boards[at].state = State::Agent { secret: claim.secret, nonce };
                }
            }
            Err(ClaimRefused::SecondClaimer(_)) => {
                let order = self
                    .keeper
                    .fleet()
                    .machine_with(self.boards[at].macs[nic])
                    .and_then(|machine| self.order_of(machine.id));
                order.into_iter().for_each(|order| self.oracle.frozen(order));
            }
            Err(_) => self.boards[at].state = State::System { secret: None },
        }
        Ok(())
    }

    /// The agent asks for its disk, and writes when it may.
    pub(super) fn agent(&mut self, at: usize, secret: ClaimSecret, nonce: ClaimSecret) -> Step {
        if self.dice.chance(10) {
            let nonce = ClaimSecret::new(self.dice.octets());
            self.boards[at].state = State::Agent { secret, nonce }; // the agent died and was started again
            return Ok(());
        }
        if self.dice.chance(30) {
            self.report(secret, AgentPhase::Started);
            return Ok(());
        }
        let signatures = if self.boards[at].data { vec!["ext4".to_owned()] } else { Vec::new() };
        let serial = if self.dice.chance(5) { "OTHER".to_owned() } else { self.boards[at].serial.clone() };
        let request = GrantRequest { claim: secret, nonce, serial, signatures };
        if self.dice.chance(30) {
            self.late.push((at, request.clone()));
        }
        let lost = self.dice.chance(10);
        if !self.grant(&request, at)? || lost {
            return Ok(());
        }
        let order = self.keeper.fleet().by_claim.get(&secret).copied().unwrap_or(OrderId(0));
        self.oracle.writes(order)?;
        self.boards[at].data = true;
        self.boards[at].state = State::Writing { secret };
        Ok(())
    }

    /// A request for a grant reaches the server. True: it was granted, and the answer came.
    pub(super) fn grant(&mut self, request: &GrantRequest, at: usize) -> Result<bool, String> {
        let answer = self.ask(|fleet, now| {
            let answer = fleet.grant(now, request);
            let order = answer.as_ref().ok().and_then(|grant| fleet.orders.get(&grant.order).cloned());
            let open = answer.as_ref().ok().and_then(|grant| fleet.latest.get(&grant.machine).copied());
            (answer, order, open)
        });
        let Some((Ok(grant), Some(order), open)) = answer else { return Ok(false) };
        let (data, truth) =
            (self.boards[at].data && grant.serial == self.boards[at].serial, self.boards[at].truth);
        let repeated = matches!(self.boards[at].state, State::Writing { .. } | State::Written { .. });
        self.oracle.granted(
            self.now,
            &grant,
            &order,
            open,
            data && !repeated && request.signatures.len() == 1,
            truth,
        )?;
        self.grants += 1;
        Ok(true)
    }

    pub(super) fn report(&mut self, claim: ClaimSecret, phase: AgentPhase) {
        for _ in 0..=self.dice.below(2) {
            self.ask(|fleet, now| {
                fleet
                    .observe(now, Observation::AgentReport { claim, phase, code: None, detail: "x".into() })
                    .is_ok()
            });
        }
        if self.dice.chance(10) {
            self.late_reports.push(claim);
        }
    }

    pub(super) fn register(&mut self, at: usize, claim: Option<ClaimSecret>) {
        let board = self.boards[at].clone();
        let interface =
            Interface { name: "eno1".into(), mac: board.macs.first().copied(), addresses: vec![board.peer] };
        let facts = Facts { interfaces: vec![interface], ..Facts::default() };
        let registration = Registration {
            claim,
            uuid: Some(board.uuid),
            peer: Some(board.peer),
            facts,
            ..Registration::default()
        };
        self.ask(|fleet, now| drop(fleet.register(now, &registration)));
        if self.dice.chance(30) {
            self.boards[at].state = State::Off;
        }
    }

    /// What was acknowledged is there.
    pub(super) fn acknowledged_holds(&self) -> Step {
        for id in self.oracle.acknowledged() {
            let order = self.keeper.fleet().orders.get(&id);
            if order
                .is_some_and(|order| matches!(order.state, OrderState::Armed | OrderState::Claimed { .. }))
            {
                return Err(format!("the acknowledged grant of {id} was forgotten"));
            }
        }
        Ok(())
    }

    /// Everybody falls silent and time passes: every install order has ended.
    pub(super) fn settle(&mut self) -> Step {
        self.keeper.store_mut().full = false;
        self.keeper.store_mut().tear = None;
        for _ in 0..4 {
            self.now += 30 * 3_600_000;
            self.ask(|fleet, now| fleet.handle_timeout(now));
        }
        self.acknowledged_holds()?;
        if let Some(why) = &self.keeper.fleet().degraded {
            return Err(format!("the store is sound, and yet: {why}"));
        }
        for order in self.keeper.fleet().orders.values() {
            if order.is_open() && order.role == Role::Install {
                return Err(format!("never ends: {order:?}"));
            }
        }
        Ok(())
    }
}
