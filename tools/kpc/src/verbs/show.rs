//! `kpc show`: one machine with its timeline, times relative to the power command.

use std::fmt::Write as _;

use fleet::MachineStatus;
use serde::Deserialize;
use serde_json::Value;

use crate::args::Show;
use crate::client::Client;
use crate::verbs::{Verdict, say, time};

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
    let text = client.get_text(&path).await?;
    let answer: Answer = serde_json::from_str(&text)
        .map_err(|error| format!("the server's answer is not what this version expects: {error}"))?;
    say(if show.json { text } else { words(&answer) }.trim_end())?;
    Ok(u8::from(answer.status.failed.is_some()))
}

fn words(answer: &Answer) -> String {
    let mut text = String::new();
    let machine = &answer.status;
    let macs: Vec<String> = machine.macs.iter().map(ToString::to_string).collect();
    let failed = machine.failed.as_ref().map_or_else(String::new, |why| format!(", failed: {why}"));
    let _ = writeln!(text, "{}  {}", machine.name, macs.join(" "));
    let _ = writeln!(text, "  state     {}{failed}", machine.lifecycle.word());
    if let Some(order) = &machine.order {
        let _ = writeln!(text, "  order     {} {} ({})", order.id, order.profile, order.state);
    }
    for (word, value) in [("address", machine.address), ("BMC", machine.bmc)] {
        if let Some(value) = value {
            let _ = writeln!(text, "  {word:<9} {value}");
        }
    }
    if let Some(digests) = answer.facts.get("digests").and_then(Value::as_object) {
        for (what, digest) in digests {
            let _ = writeln!(text, "  sha256    {} {what}", digest.as_str().unwrap_or_default());
        }
    }
    text.push_str("  timeline\n");
    let mut began = (0, 0);
    for line in &answer.timeline {
        if line.attempt != began.0 {
            began = (line.attempt, line.at);
            let _ = writeln!(text, "  attempt {}", line.attempt);
        }
        let after = if began.1 == 0 {
            "        -".to_owned()
        } else {
            format!("+{}", time(line.at.saturating_sub(began.1)))
        };
        let _ = writeln!(text, "    {after}  {}", line.line);
    }
    text
}
