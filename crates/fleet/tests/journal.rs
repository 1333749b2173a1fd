//! Answers wait for one flush together.
#![cfg(feature = "redb")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use fleet::store::{Journal, NotDurable, Store, Tables};
use fleet::*;

fn now() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000)
}

fn mac(n: u16) -> Mac {
    let [a, b] = n.to_be_bytes();
    Mac([2, 0, 0, 0, a, b])
}

/// A store whose every write waits to be let through, and that can refuse.
struct Gate {
    tables: Arc<Mutex<Tables>>,
    reached: mpsc::Sender<usize>,
    open: mpsc::Receiver<bool>,
}

impl Store for Gate {
    type Error = String;
    fn append(&mut self, records: &[Record]) -> Result<(), String> {
        self.reached
            .send(records.iter().filter(|record| matches!(record, Record::Machine(_))).count())
            .unwrap();
        if self.open.recv() != Ok(true) {
            return Err("refused".into());
        }
        self.tables.lock().unwrap().append(records).map_err(|error| error.to_string())
    }
    fn load(&self) -> Result<Vec<Record>, String> {
        Ok(self.tables.lock().unwrap().records())
    }
}

struct Bench {
    journal: Journal,
    tables: Arc<Mutex<Tables>>,
    reached: mpsc::Receiver<usize>,
    open: mpsc::Sender<bool>,
}

fn bench() -> Bench {
    let tables = Arc::new(Mutex::new(Tables::default()));
    let ((reached, reached_rx), (open_tx, open)) = (mpsc::channel(), mpsc::channel());
    let gate = Gate { tables: Arc::clone(&tables), reached, open };
    Bench {
        journal: Journal::start(Config::default(), gate).unwrap(),
        tables,
        reached: reached_rx,
        open: open_tx,
    }
}

fn add(journal: &Journal, n: u16, answers: &mpsc::Sender<Result<bool, NotDurable>>) {
    let (new, answers) =
        (NewMachine { name: format!("m-{n}"), macs: vec![mac(n)], ..NewMachine::default() }, answers.clone());
    let act = move |fleet: &mut Fleet| fleet.command(now(), "op", Command::AddMachine(new)).is_ok();
    journal.change_then(now(), act, move |answer| answers.send(answer).unwrap());
}

#[test]
fn a_thousand_changes_while_the_disk_is_busy_are_one_write() {
    let Bench { journal, tables, reached, open } = bench();
    let (answers, answered) = mpsc::channel();
    add(&journal, 0, &answers);
    assert_eq!(reached.recv(), Ok(1), "the first is being written");
    (1..=1000).for_each(|n| add(&journal, n, &answers));
    assert!(answered.try_recv().is_err(), "nobody is answered before it is durable");
    open.send(true).unwrap();
    assert_eq!(reached.recv(), Ok(1000), "the others together");
    assert_eq!((answered.recv().unwrap(), answered.try_recv().is_err()), (Ok(true), true));
    open.send(true).unwrap();
    assert_eq!(answered.iter().take(1000).filter(|answer| *answer == Ok(true)).count(), 1000);
    assert_eq!(Fleet::restore(Config::default(), tables.lock().unwrap().records()).machines().count(), 1001);
}

// Acknowledged means durable: an answer that changed nothing may rest on a change that is not written yet.
#[test]
fn an_answer_waits_for_what_it_rests_on() {
    let Bench { journal, reached, open, .. } = bench();
    let (answers, answered) = mpsc::channel();
    add(&journal, 1, &answers);
    reached.recv().unwrap();
    let (said, heard) = mpsc::channel();
    journal.change_then(now(), |fleet| fleet.machines().count(), move |count| said.send(count).unwrap());
    assert!(heard.try_recv().is_err());
    open.send(true).unwrap();
    assert_eq!((answered.recv().unwrap(), heard.recv().unwrap()), (Ok(true), Ok(1)));
    // With nothing unwritten a read-like change answers at once.
    assert_eq!(journal.change(now(), |fleet| fleet.machines().count()), Ok(1));
}

#[test]
fn a_store_that_refuses_withholds_answers_and_is_tried_again() {
    let Bench { journal, tables, reached, open } = bench();
    let (answers, answered) = mpsc::channel();
    add(&journal, 1, &answers);
    reached.recv().unwrap();
    open.send(false).unwrap();
    assert_eq!(answered.recv().unwrap(), Err(NotDurable("refused".into())));
    assert!(matches!(
        journal.read(|fleet| fleet.decide(now(), &Sighting::of(mac(1)))),
        Decision::Local { .. }
    ));
    // It is tried again by itself; until then nothing new is given.
    reached.recv().unwrap();
    assert_eq!(journal.read(|fleet| fleet.machines().count()), 1);
    open.send(true).unwrap();
    while tables.lock().unwrap().records().is_empty() {
        std::thread::yield_now();
    }
    drop(open);
    journal.close();
    let recovered = Fleet::restore(Config::default(), tables.lock().unwrap().records());
    assert!(recovered.machine_named("m-1").is_some());
}
