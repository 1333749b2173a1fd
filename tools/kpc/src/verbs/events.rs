//! `kpc events` and `kpc discover`: what happened and happens, and who is heard that is not ours.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::args::{Discover, Events};
use crate::client::Client;
use crate::verbs::{Verdict, say};

/// How often the list of strangers is read.
const LOOKED: Duration = Duration::from_millis(500);

/// `kpc events`.
pub(crate) async fn events(client: &Client, events: &Events) -> Verdict {
    // Subscribed first: nothing falls between the past and what follows.
    let mut stream = if events.follow { Some(client.events().await?) } else { None };
    let mut last = events.after.unwrap_or(0);
    let ours = |value: &Value| match (&events.machine, value.get("machine").and_then(Value::as_str)) {
        (Some(wanted), Some(name)) => wanted == name,
        (Some(_), None) => false,
        (None, _) => true,
    };
    loop {
        let some: Vec<Value> = client.get(&format!("/v1/timeline?after={last}")).await?;
        let Some(newest) = some.last().and_then(|event| event.get("seq")).and_then(Value::as_u64) else {
            break;
        };
        for event in some.iter().filter(|event| ours(event)) {
            tell(event, events.json)?;
        }
        last = newest;
    }
    while let Some(stream) = &mut stream {
        let Some(event) = stream.next().await else {
            return Err("the server has ended the stream".to_owned());
        };
        if let Some(missed) = event.get("missed") {
            eprintln!("{missed} events went by too fast; `kpc events --after {last}` has them");
            continue;
        }
        let inner = |key: &str| event.pointer(&format!("/event/{key}")).cloned().unwrap_or_default();
        let value = json!({
            "seq": inner("seq"), "at": inner("at"), "machine": event.get("machine"), "attempt": event.get("attempt"),
            "line": event.get("line"), "alarm": event.get("alarm"),
        });
        let seq = value.get("seq").and_then(Value::as_u64).unwrap_or(0);
        if seq > last && ours(&value) {
            tell(&value, events.json)?;
        }
        last = last.max(seq);
    }
    Ok(0)
}

fn tell(event: &Value, as_json: bool) -> Result<(), String> {
    if as_json {
        return say(event);
    }
    let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or("-");
    let number = |key: &str| event.get(key).and_then(Value::as_u64).unwrap_or(0);
    let alarm = if event.get("alarm").and_then(Value::as_bool) == Some(true) { "! " } else { "" };
    say(format_args!(
        "{:>8}  {}  {:<16} {alarm}{}",
        number("seq"),
        clock(number("at")),
        text("machine"),
        text("line")
    ))
}

/// The time of day in UTC (days are in --json's milliseconds).
fn clock(millis: u64) -> String {
    let seconds = millis / 1000;
    format!("{:02}:{:02}:{:02}Z", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

/// `kpc discover`.
#[expect(clippy::disallowed_methods, reason = "a tool owns its clock")]
pub(crate) async fn discover(client: &Client, discover: &Discover) -> Verdict {
    let ends = Instant::now() + discover.time;
    let mut told: BTreeSet<String> = BTreeSet::new();
    if !discover.json {
        eprintln!("listening; nothing is offered to a machine that is not ours (Ctrl-C ends this)");
    }
    loop {
        let heard: Vec<Value> = client.get("/v1/unknown").await?;
        for one in &heard {
            let mac = one.get("mac").and_then(Value::as_str).unwrap_or_default().to_owned();
            if !told.insert(mac.clone()) {
                continue;
            }
            if discover.json {
                say(one)?;
            } else {
                let text = |key: &str| one.get(key).and_then(Value::as_str).unwrap_or("-");
                say(format_args!("{mac}  UUID {}  from {}   kpc adopt {mac}", text("uuid"), text("peer")))?;
            }
        }
        if Instant::now() >= ends {
            return Ok(0);
        }
        tokio::time::sleep(LOOKED.min(ends.saturating_duration_since(Instant::now()))).await;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_time_of_day() {
        assert_eq!(super::clock(86_400_000 + 3_661_999), "01:01:01Z");
    }
}
