//! What an open page is told: all rows at first, then those that changed, gathered for a moment. A reader that falls
//! behind gets all of them again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fleet::Event;
use hyper::Response;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::watch;
use tokio::time::Instant;

use super::table;
use crate::serve::http::{Body, event_stream};
use crate::serve::operators::Operators;

/// How long changes are gathered into one message: a rack that boots changes hundreds of rows a second.
const GATHER: Duration = Duration::from_millis(20);
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
        let mut changed = Changed::All;
        let mut grow = Instant::now() + GROWTH;
        loop {
            if let Some(message) = message(&operators, &changed)
                && sender.send(message).await.is_err()
            {
                return;
            }
            changed = tokio::select! {
                () = sender.closed() => return,
                () = ended(&mut stopping) => return,
                () = tokio::time::sleep_until(grow) => {
                    grow = Instant::now() + GROWTH;
                    Changed::These(growing(&operators))
                }
                event = events.recv() => match gather(event, &mut events).await {
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

/// The first event and what else comes within a moment; `None` once there are no more.
async fn gather(first: Result<Event, RecvError>, events: &mut Receiver<Event>) -> Option<Changed> {
    let mut names = BTreeSet::new();
    match first {
        Ok(event) => names.insert(event.name),
        Err(RecvError::Lagged(_)) => return Some(Changed::All),
        Err(RecvError::Closed) => return None,
    };
    tokio::time::sleep(GATHER).await;
    loop {
        match events.try_recv() {
            Ok(event) => names.insert(event.name),
            Err(TryRecvError::Lagged(_)) => return Some(Changed::All),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return Some(Changed::These(names)),
        };
    }
}

fn growing(operators: &Operators) -> BTreeSet<String> {
    let machines = operators.state.read(|fleet, now| fleet.status(now));
    let growing: BTreeSet<String> =
        machines.into_iter().filter(table::is_under_way).map(|machine| machine.name).collect();
    if growing.len() > MOST_GROWING { BTreeSet::new() } else { growing }
}

fn message(operators: &Operators, changed: &Changed) -> Option<Bytes> {
    if matches!(changed, Changed::These(names) if names.is_empty()) {
        return None;
    }
    let machines = operators.state.read(|fleet, now| fleet.status(now));
    let row = |machine: &fleet::MachineStatus| json!([machine.name, table::row(machine)]);
    let rows: Vec<Value> = match changed {
        Changed::All => machines.iter().map(row).collect(),
        Changed::These(names) => {
            // A name without a machine is one that has left the table.
            let left = names.iter().filter(|name| machines.iter().all(|machine| machine.name != **name));
            let left = left.map(|name| json!([name, ""]));
            machines.iter().filter(|machine| names.contains(&machine.name)).map(row).chain(left).collect()
        }
    };
    let message = json!({
        "all": matches!(changed, Changed::All),
        "rows": rows,
        "counts": table::counts(&machines),
    });
    Some(format!("data: {message}\n\n").into())
}
