//! What an open page is told: all rows at first, then those that changed, gathered for a moment. A reader that falls
//! behind gets all of them again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fleet::{Event, EventKind, Fleet, Lifecycle, MachineStatus, Timestamp};
use hyper::Response;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::watch;
use tokio::time::Instant;

use super::table::{self, Show};
use crate::serve::http::{Body, event_stream};
use crate::serve::operators::Operators;
use crate::serve::state::State;

/// The time between two messages: a rack that boots changes hundreds of rows a second.
const GATHER: Duration = Duration::from_millis(10);
/// How often the rows of machines under way are sent although nothing happened: their bars grow.
const GROWTH: Duration = Duration::from_secs(2);
/// With more machines under way than this their bars grow with their events alone.
const MOST_GROWING: usize = 100;

/// Which rows a page has to be told of.
enum Changed {
    All,
    These(BTreeSet<String>),
}

/// The answer to `GET /feed`.
pub(super) fn stream(operators: &Arc<Operators>) -> Response<Body> {
    let (sender, response) = event_stream();
    let (operators, mut events) = (Arc::clone(operators), operators.state.subscribe());
    let mut stopping = operators.stopping.clone();
    tokio::spawn(async move {
        let mut told = Told::default();
        let mut changed = Changed::All;
        let mut grow = Instant::now() + GROWTH;
        loop {
            let next = Instant::now() + GATHER;
            if let Some(message) = told.message(&operators.state, changed)
                && sender.send(message).await.is_err()
            {
                return;
            }
            changed = tokio::select! {
                () = sender.closed() => return,
                () = ended(&mut stopping) => return,
                () = tokio::time::sleep_until(grow) => {
                    grow = Instant::now() + GROWTH;
                    Changed::These(told.growing())
                }
                event = events.recv() => match gather(event, &mut events, next).await {
                    Some(changed) => changed,
                    None => return,
                },
            };
        }
    });
    response
}

/// Returns when the server ends.
async fn ended(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await; // an error: the server has ended already
}

/// Whether an event changes rows that it does not name.
fn is_for_all(event: &Event) -> bool {
    matches!(event.kind, EventKind::StoreFailed { .. } | EventKind::StoreRecovered)
}

/// The first event and what else comes until `next`, at once where that is over; `None` once there are no more.
async fn gather(
    first: Result<Event, RecvError>,
    events: &mut Receiver<Event>,
    next: Instant,
) -> Option<Changed> {
    let mut names = BTreeSet::new();
    match first {
        Ok(event) if is_for_all(&event) => return Some(Changed::All),
        Ok(event) => names.insert(event.name),
        Err(RecvError::Lagged(_)) => return Some(Changed::All),
        Err(RecvError::Closed) => return None,
    };
    tokio::time::sleep_until(next).await;
    loop {
        match events.try_recv() {
            Ok(event) if is_for_all(&event) => return Some(Changed::All),
            Ok(event) => names.insert(event.name),
            Err(TryRecvError::Lagged(_)) => return Some(Changed::All),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return Some(Changed::These(names)),
        };
    }
}

/// What a page was told of each machine: from this it is known how many rows each filter has, and which ones grow,
/// without another look at machines that did not change.
#[derive(Default)]
struct Told(BTreeMap<String, (Show, bool)>);

impl Told {
    /// The rows that have changed, with the numbers of the filters; `None` where nothing has.
    fn message(&mut self, state: &State, changed: Changed) -> Option<Bytes> {
        let (all, machines, left) = match changed {
            Changed::All => {
                self.0.clear();
                (true, state.read(Fleet::status), Vec::new())
            }
            Changed::These(names) => {
                let (machines, left) = state.read(|fleet, now| look(fleet, now, names));
                // What is the fleet's alone has no row.
                if machines.is_empty() && left.is_empty() {
                    return None;
                }
                (false, machines, left)
            }
        };
        let mut rows: Vec<Value> = Vec::with_capacity(machines.len() + left.len());
        for machine in machines {
            rows.push(json!([machine.name, table::row(&machine)]));
            let shown = (Show::of(&machine), table::is_under_way(&machine));
            self.0.insert(machine.name, shown);
        }
        for name in left {
            self.0.remove(&name);
            rows.push(json!([name, ""]));
        }
        let counts = table::counts(self.0.values().map(|(show, _)| *show));
        let message = json!({ "all": all, "rows": rows, "counts": counts });
        Some(format!("data: {message}\n\n").into())
    }

    /// The machines whose rows change while nothing happens, where they are few.
    fn growing(&self) -> BTreeSet<String> {
        let growing: Vec<&String> =
            self.0.iter().filter(|(_, (_, grows))| *grows).map(|(name, _)| name).collect();
        if growing.len() > MOST_GROWING {
            return BTreeSet::new();
        }
        growing.into_iter().cloned().collect()
    }
}

/// The machines of these names, and the names that have left the table.
fn look(fleet: &Fleet, now: Timestamp, names: BTreeSet<String>) -> (Vec<MachineStatus>, Vec<String>) {
    let (mut machines, mut left) = (Vec::with_capacity(names.len()), Vec::new());
    for name in names.into_iter().filter(|name| !name.is_empty()) {
        let status = fleet.machine_named(&name).and_then(|machine| fleet.status_of(now, machine.id));
        match status.filter(|status| status.lifecycle != Lifecycle::Retired) {
            Some(status) => machines.push(status),
            None => left.push(name),
        }
    }
    (machines, left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{Command, Config, NewMachine};

    fn add(fleet: &mut Fleet, now: Timestamp, name: &str, last: u8) {
        let new = NewMachine {
            name: name.to_owned(),
            macs: vec![fleet::Mac([0x52, 0x54, 0, 0, 0, last])],
            ..NewMachine::default()
        };
        fleet.command(now, "test", Command::AddMachine(new)).unwrap();
    }

    #[test]
    fn rows_that_changed_and_names_that_have_left() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let mut fleet = Fleet::new(Config::default());
        ["a", "b", "c"].iter().zip(1..).for_each(|(name, last)| add(&mut fleet, now, name, last));
        fleet.command(now, "test", Command::Retire("b".parse().unwrap())).unwrap();
        let names = ["", "a", "b", "gone"].map(str::to_owned).into();
        let (machines, left) = look(&fleet, now, names);
        let names: Vec<&str> = machines.iter().map(|machine| machine.name.as_str()).collect();
        assert_eq!((names, left), (vec!["a"], vec!["b".to_owned(), "gone".to_owned()]));
    }

    #[test]
    fn what_grows_is_told_where_it_is_little() {
        let shown = |count: usize, grows| {
            (0..count).map(move |number| (format!("{grows}-{number}"), (Show::Underway, grows)))
        };
        let told = Told(shown(MOST_GROWING, true).chain(shown(500, false)).collect());
        assert_eq!(told.growing().len(), MOST_GROWING);
        assert!(Told(shown(MOST_GROWING + 1, true).collect()).growing().is_empty());
    }
}
