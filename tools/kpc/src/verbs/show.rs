//! `kpc show`: one machine with its timeline, times relative to the power command.

use fleet::MachineStatus;
use serde::Deserialize;
use serde_json::Value;

use crate::args::Show;
use crate::client::Client;
use crate::verbs::{Verdict, time};

#[derive(Debug, Deserialize)]
struct Answer {
    status: MachineStatus,
    facts: Value,
    timeline: Vec<Line>,
}

#[derive(Debug, Deserialize)]
struct Line {
    at: u64,
    attempt: u32,
    line: String,
}

/// The verb.
pub(crate) async fn show(client: &Client, show: &Show) -> Verdict {
    let path = format!("/v1/machines/{}", show.machine);
    if show.json {
        println!("{}", client.get_text(&path).await?);
        return Ok(0);
    }
    let answer: Answer = client.get(&path).await?;
    let machine = &answer.status;
    let macs: Vec<String> = machine.macs.iter().map(ToString::to_string).collect();
    println!("{}  {}", machine.name, macs.join(" "));
    println!(
        "  state     {}{}",
        machine.lifecycle.word(),
        machine.failed.as_ref().map_or_else(String::new, |why| format!(", failed: {why}"))
    );
    if let Some(order) = &machine.order {
        println!("  order     {} {} ({})", order.id, order.profile, order.state);
    }
    for (word, value) in [("address", machine.address), ("BMC", machine.bmc)] {
        if let Some(value) = value {
            println!("  {word:<9} {value}");
        }
    }
    if let Some(digests) = answer.facts.get("digests").and_then(Value::as_object) {
        for (what, digest) in digests {
            println!("  sha256    {} {what}", digest.as_str().unwrap_or_default());
        }
    }
    println!("  timeline");
    let mut began = (0, 0);
    for line in &answer.timeline {
        if line.attempt != began.0 {
            began = (line.attempt, line.at);
            println!("  attempt {}", line.attempt);
        }
        let after = if began.1 == 0 {
            "        -".to_owned()
        } else {
            format!("+{}", time(line.at.saturating_sub(began.1)))
        };
        println!("    {after}  {}", line.line);
    }
    Ok(u8::from(machine.failed.is_some()))
}
