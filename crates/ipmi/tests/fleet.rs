//! A sweep over many virtual BMCs in virtual time, over a link that loses.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use ipmi::command::chassis::ChassisControl;
use ipmi::crypto::keys::Secret;
use ipmi::responder::{self, BmcResponder, Event, MachineAnswer, MachineCall};
use ipmi::script::{Netboot, PowerControl, PowerStatus, Script};
use ipmi::session::{Config as SessionConfig, Credentials, UserName};
use ipmi::sweep::{Config, SweepEvent};
use ipmi::{CipherSuite, Entropy, Failure, Sweep};

struct Room {
    now: Instant,
    start: Instant,
    bmcs: HashMap<SocketAddr, (BmcResponder, Vec<MachineCall>)>,
    wire: BTreeMap<(Instant, u64), (bool, SocketAddr, Vec<u8>)>,
    count: u64,
    random: u64,
    loss: u64, // per ten thousand
}

fn host(n: usize) -> SocketAddr {
    (Ipv4Addr::new(10, 100, (n / 250) as u8, (n % 250) as u8 + 1), 623).into()
}

fn guid(n: usize) -> [u8; 16] {
    [n as u8 + 1; 16]
}

impl Room {
    fn new(seed: u64, count: usize) -> Self {
        let user = UserName::new(b"root").unwrap();
        let bmc = |n: usize| {
            let config = responder::Config::new(guid(n), user.clone(), Secret::new(b"calvin").unwrap());
            (BmcResponder::new(config, Entropy::from_seed([n as u8; 32])), Vec::new())
        };
        let now = Instant::now();
        Self {
            now,
            start: now,
            bmcs: (0..count).map(|n| (host(n), bmc(n))).collect(),
            wire: BTreeMap::new(),
            count: 0,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            loss: 0,
        }
    }

    fn put(&mut self, to_bmc: bool, addr: SocketAddr, octets: Vec<u8>) {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.count += 1;
        if self.random % 10_000 >= self.loss {
            self.wire.insert((self.now + Duration::from_millis(5), self.count), (to_bmc, addr, octets));
        }
    }

    fn sweep<S: Script>(&mut self, mut sweep: Sweep<S>) -> Vec<(SocketAddr, Result<S::Output, Failure>)> {
        let console: SocketAddr = "10.100.255.1:4000".parse().unwrap();
        let (mut buffer, mut results) = (Vec::new(), Vec::new());
        sweep.handle_timeout(self.now);
        loop {
            while let Some(to) = sweep.poll_transmit(&mut buffer) {
                self.put(true, to, buffer.clone());
            }
            while let Some(event) = sweep.poll_event() {
                if let SweepEvent::Done(addr, outcome) = event {
                    results.push((addr, outcome));
                }
            }
            if sweep.is_over() {
                return results;
            }
            let arrival = self.wire.keys().next().map(|(at, _)| *at);
            let next = [arrival, sweep.poll_timeout()].into_iter().flatten().min().unwrap();
            self.now = self.now.max(next);
            if arrival != Some(next) {
                sweep.handle_timeout(self.now);
                continue;
            }
            let (_, (to_bmc, addr, octets)) = self.wire.pop_first().unwrap();
            if !to_bmc {
                let _ = sweep.handle_datagram(self.now, addr, &octets);
                continue;
            }
            let Some((bmc, calls)) = self.bmcs.get_mut(&addr) else { continue };
            let _ = bmc.handle_datagram(self.now, console, &octets);
            let mut replies = Vec::new();
            loop {
                while let Some(event) = bmc.poll_event() {
                    let Event::Machine(ticket, call) = event else { continue };
                    let answer = match call {
                        MachineCall::Status => MachineAnswer::Power(false),
                        _ => {
                            calls.push(call);
                            MachineAnswer::Done
                        }
                    };
                    bmc.answer(self.now, ticket, answer);
                }
                if bmc.poll_transmit(self.now, &mut buffer).is_none() {
                    break;
                }
                replies.push(buffer.clone());
            }
            for reply in replies {
                self.put(false, addr, reply);
            }
        }
    }
}

fn session(password: &[u8]) -> SessionConfig {
    let mut config = SessionConfig::new(Credentials::new("root", password).unwrap());
    config.suites = vec![CipherSuite::SUITE_3];
    config
}

fn power_status(room: &Room, hosts: usize) -> Sweep<PowerStatus> {
    let mut sweep = Sweep::new(room.now, Config::default(), Entropy::from_seed([9; 32]));
    for n in 0..hosts {
        sweep.add(host(n), session(b"calvin"), PowerStatus);
    }
    sweep
}

// 250 hosts, 10 ms, no loss: four round trips and nothing else.
#[test]
fn four_round_trips() {
    let mut room = Room::new(1, 250);
    let sweep = power_status(&room, 250);
    let results = room.sweep(sweep);
    assert_eq!(results.len(), 250);
    assert!(results.iter().all(|(_, outcome)| matches!(outcome, Ok(Ok(status)) if !status.power_on())));
    assert_eq!(room.now - room.start, Duration::from_millis(40));
    // Open Session, RAKP 1, RAKP 3, the command, each answered, and Close Session, not waited for.
    assert_eq!(room.count, 250 * 9);
}

// 250 hosts, 10 ms, 1 % loss each way: everybody answers, every time.
#[test]
fn nobody_is_lost_at_one_percent_loss() {
    let seeds: u64 = std::env::var("SIM_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(100);
    let mut times = Vec::new();
    for seed in 1..=seeds {
        let mut room = Room::new(seed, 250);
        room.loss = 100;
        let sweep = power_status(&room, 250);
        let results = room.sweep(sweep);
        assert_eq!(results.len(), 250, "seed {seed}");
        let good = results.iter().filter(|(_, outcome)| matches!(outcome, Ok(Ok(_)))).count();
        assert_eq!(good, 250, "seed {seed}");
        times.push(room.now - room.start);
    }
    times.sort();
    println!("median {:?}, worst {:?} of {seeds} runs", times[times.len() / 2], times.last().unwrap());
}

#[test]
fn one_reset_each_at_five_percent_loss() {
    for seed in 1..=10 {
        let mut room = Room::new(seed, 50);
        room.loss = 500;
        let mut sweep = Sweep::new(room.now, Config::default(), Entropy::from_seed([9; 32]));
        for n in 0..50 {
            sweep.add(host(n), session(b"calvin"), PowerControl::new(ChassisControl::HardReset));
        }
        let results = room.sweep(sweep);
        for (addr, outcome) in results {
            assert!(matches!(outcome, Ok(Ok(_))), "seed {seed} {addr}: {outcome:?}");
            assert_eq!(room.bmcs[&addr].1, [MachineCall::Power(ChassisControl::HardReset)], "seed {seed}");
        }
    }
}

#[test]
fn each_failure_is_its_hosts_own() {
    let mut room = Room::new(3, 2);
    let mut sweep = Sweep::new(room.now, Config::default(), Entropy::from_seed([9; 32]));
    sweep.add(host(0), session(b"calvin"), PowerStatus);
    sweep.add(host(1), session(b"wrong"), PowerStatus);
    sweep.add(host(2), session(b"calvin"), PowerStatus); // nobody there
    let results: HashMap<_, _> = room.sweep(sweep).into_iter().collect();
    assert!(matches!(results[&host(0)], Ok(Ok(_))));
    assert_eq!(results[&host(1)].unwrap_err(), Failure::WrongPassword);
    assert_eq!(results[&host(2)].unwrap_err(), Failure::Silent);
}

// A power budget: four machines at once, then a pause.
#[test]
fn batches_start_apart() {
    let mut room = Room::new(5, 10);
    let config = Config { stagger: Duration::from_secs(5), batch: 4, ..Config::default() };
    let mut sweep = Sweep::new(room.now, config, Entropy::from_seed([9; 32]));
    for n in 0..10 {
        sweep.add(host(n), session(b"calvin"), PowerControl::new(ChassisControl::PowerUp));
    }
    let results = room.sweep(sweep);
    assert!(results.len() == 10 && results.iter().all(|(_, outcome)| matches!(outcome, Ok(Ok(_)))));
    let took = (room.now - room.start).as_secs_f64();
    assert!((10.0..11.0).contains(&took), "0, 5 and 10 s: {took}");
}

// Hosts start apart; a machine with another GUID is left alone.
#[test]
fn netboot_staggered_and_only_the_right_machine() {
    let mut room = Room::new(4, 3);
    let config = Config { stagger: Duration::from_secs(5), ..Config::default() };
    let mut sweep = Sweep::new(room.now, config, Entropy::from_seed([9; 32]));
    for n in 0..3 {
        let expected = if n == 1 { guid(77) } else { guid(n) };
        sweep.add(host(n), session(b"calvin"), Netboot::new(true, Some(expected)));
    }
    let results: HashMap<_, _> = room.sweep(sweep).into_iter().collect();
    assert!(room.now - room.start >= Duration::from_secs(10));
    assert!(results[&host(1)].as_ref().unwrap().is_err());
    assert_eq!(room.bmcs[&host(1)].1, []);
    for n in [0, 2] {
        let outcome = results[&host(n)].as_ref().unwrap().unwrap();
        assert_eq!(outcome.control, ChassisControl::PowerUp);
        assert!(outcome.read_back.unwrap().valid() && outcome.read_back.unwrap().efi());
        assert_eq!(room.bmcs[&host(n)].1.len(), 2);
    }
}
