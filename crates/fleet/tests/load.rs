//! A thousand machines boot at once through the real store: FLEET_LOAD=1000 says how long it takes and how
//! many flushes it costs.
#![cfg(feature = "redb")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use fleet::store::{Journal, RedbStore, Store, StoreError};
use fleet::*;

struct Counted(RedbStore, Arc<AtomicUsize>);

impl Store for Counted {
    type Error = StoreError;
    fn append(&mut self, records: &[Record]) -> Result<(), StoreError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.append(records)
    }
    fn load(&self) -> Result<Vec<Record>, StoreError> {
        self.0.load()
    }
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000)
}

/// Does something for every machine without waiting in between, then waits for all.
fn all<T: Send + 'static>(journal: &Journal, many: u32, act: impl Fn(&mut Fleet, u32) -> T) -> Vec<T> {
    let (answers, answered) = mpsc::channel();
    for n in 0..many {
        let answers = answers.clone();
        journal.change_then(
            now(),
            |fleet| act(fleet, n),
            move |answer| answers.send((n, answer.unwrap())).unwrap(),
        );
    }
    let mut answers: Vec<_> = answered.iter().take(many as usize).collect();
    answers.sort_by_key(|(n, _)| *n);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[test]
fn many_machines_boot_with_few_flushes() {
    let many: u32 = std::env::var("FLEET_LOAD").map_or(100, |text| text.parse().unwrap());
    let mac = |n: u32| {
        let [a, b, c, d] = n.to_be_bytes();
        Mac([2, 1, a, b, c, d])
    };
    let dir = tempfile::tempdir().unwrap();
    let flushes = Arc::new(AtomicUsize::new(0));
    let store = Counted(RedbStore::open(dir.path().join("kpc.redb")).unwrap(), Arc::clone(&flushes));
    let journal = Journal::start(Config::default(), store).unwrap();
    let began = Instant::now();
    all(&journal, many, |fleet, n| {
        let new = NewMachine { name: format!("m-{n}"), macs: vec![mac(n)], ..NewMachine::default() };
        fleet.command(now(), "op", Command::AddMachine(new)).unwrap();
    });
    let order = Provision::new(Selector::All, "p", Role::Live);
    journal.change(now(), |fleet| fleet.command(now(), "op", Command::Provision(order))).unwrap().unwrap();
    let booted = Instant::now();
    all(&journal, many, |fleet, n| {
        fleet.observe(now(), Observation::Seen { sighting: Sighting::of(mac(n)), stage: Stage::Firmware })
    });
    let claims = all(&journal, many, |fleet, n| {
        let mut fresh = [0; 16];
        fresh[..4].copy_from_slice(&n.to_be_bytes());
        fleet.claim(now(), &Sighting::of(mac(n)).with_peer([10, 7, 0, 1].into()), fresh).unwrap()
    });
    all(&journal, many, |fleet, n| {
        fleet.observe(now(), Observation::ScriptSent { sighting: Sighting::of(mac(n)) })
    });
    all(&journal, many, |fleet, n| {
        let claim = claims[n as usize].secret;
        fleet
            .observe(
                now(),
                Observation::AgentReport {
                    claim,
                    phase: AgentPhase::Started,
                    code: None,
                    detail: String::new(),
                },
            )
            .unwrap()
    });
    all(&journal, many, |fleet, n| {
        let registration = Registration { claim: Some(claims[n as usize].secret), ..Registration::default() };
        fleet.register(now(), &registration).unwrap()
    });
    let took = booted.elapsed();
    let (asked, again) = (Instant::now(), 100);
    for n in 0..many * again {
        let decision = journal.read(|fleet| fleet.decide(now(), &Sighting::of(mac(n % many))));
        assert!(matches!(decision, Decision::Boot(_)));
    }
    let decided = asked.elapsed() / (many * again);
    let listed = Instant::now();
    let octets = journal.read(|fleet| inventory::list_text(fleet, inventory::Include::Registered)).len();
    println!(
        "a decision takes {decided:?}; the inventory of {many}, {octets} octets, {:?}",
        listed.elapsed()
    );
    journal.close();
    let (flushes, total) = (flushes.load(Ordering::Relaxed), began.elapsed());
    println!("{many} machines registered in {took:?} ({total:?} with adding them), {flushes} flushes");
    assert!(flushes < many as usize, "{flushes} flushes");
    let again = Fleet::restore(
        Config::default(),
        RedbStore::open(dir.path().join("kpc.redb")).unwrap().load().unwrap(),
    );
    assert!(again.machines().all(|machine| machine.lifecycle == Lifecycle::Registered));
}
