//! `kpc status`: one line a machine.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use fleet::attempt::Phase;
use fleet::{Hint, HintCode, Lifecycle, MachineStatus};
use serde::{Deserialize, Serialize};

use crate::args::Listing;
use crate::client::Client;
use crate::verbs::{Verdict, say};

/// What `GET /v1/machines` answers.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Shown {
    /// Our machines.
    pub(crate) machines: Vec<MachineStatus>,
    /// Addresses that were heard and belong to no machine of ours.
    #[serde(default)]
    pub(crate) unknown: Vec<serde_json::Value>,
    /// What stands in the way of all machines.
    #[serde(default)]
    pub(crate) notices: Vec<Hint>,
}

/// The verb.
pub(crate) async fn status(client: &Client, listing: &Listing) -> Verdict {
    let text = client.get_text("/v1/machines").await?;
    let shown: Shown = serde_json::from_str(&text)
        .map_err(|error| format!("the server's answer is not what this version expects: {error}"))?;
    if listing.json {
        say(text)?;
    } else {
        for notice in &shown.notices {
            say(format_args!("{notice}: {}", notice.code.remedy()))?;
        }
        say(table(&shown.machines).trim_end())?;
        let remedies = remedies(&shown.machines);
        if !remedies.is_empty() {
            say(remedies.trim_end())?;
        }
        if !shown.unknown.is_empty() {
            let count = shown.unknown.len();
            say(format_args!("{count} unknown machines were heard; nothing is offered to them"))?;
        }
    }
    let failed = shown.machines.iter().any(|machine| machine.failed.is_some());
    Ok(u8::from(failed || !shown.notices.is_empty()))
}

/// What to do about the causes shown, each once.
fn remedies(machines: &[MachineStatus]) -> String {
    let codes: BTreeSet<HintCode> = machines.iter().filter_map(|machine| machine.hint).collect();
    codes.iter().fold(String::new(), |mut text, code| {
        let _ = writeln!(text, "[{code}] {}", code.remedy());
        text
    })
}

/// The table that people read.
pub(crate) fn table(machines: &[MachineStatus]) -> String {
    let mut text =
        String::from("NODE             MAC                STATE         PHASE            ELAPSED  NOTE\n");
    for machine in machines {
        let _ = writeln!(text, "{}", line(machine));
    }
    let count =
        |want: &dyn Fn(&MachineStatus) -> bool| machines.iter().filter(|machine| want(machine)).count();
    let registered = count(&|machine| machine.lifecycle == Lifecycle::Registered);
    let failed = count(&|machine| machine.failed.is_some());
    let _ = writeln!(text, "{} machines, {registered} registered, {failed} failed", machines.len());
    text
}

/// One machine's line.
pub(crate) fn line(machine: &MachineStatus) -> String {
    let state = if machine.failed.is_some() { "failed" } else { machine.lifecycle.word() };
    let phase = match (machine.phase, machine.progress) {
        (Some(Phase::Writing), Some(percent)) => format!("writing {percent}%"),
        (Some(phase), _) => phase.words().to_owned(),
        (None, _) => "-".to_owned(),
    };
    let mac = machine.macs.first().map_or_else(|| "-".to_owned(), ToString::to_string);
    let note = machine.failed.as_deref().unwrap_or(&machine.note);
    let note = machine.hint.map_or_else(|| note.to_owned(), |code| format!("[{code}] {note}"));
    format!("{:<16} {mac:<18} {state:<13} {phase:<16} {:>7}  {note}", machine.name, time(machine.elapsed_ms))
        .trim_end()
        .to_owned()
}

/// Minutes, seconds and tenths.
pub(crate) fn time(millis: u64) -> String {
    format!("{:02}:{:02}.{}", millis / 60_000, millis / 1000 % 60, millis / 100 % 10)
}
