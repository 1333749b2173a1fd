//! `kpc provision` and `kpc reinstall`: print the plan, ask, start the job in the server.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _};

use crate::api;
use crate::args::{Provision, Reinstall, What};
use crate::client::Client;
use crate::verbs::{Ending, Look, Verdict, follow, say};

/// `kpc provision`.
pub(crate) async fn provision(client: &Client, arguments: &Provision) -> Verdict {
    order(client, &arguments.selection, &arguments.what, false).await
}

/// `kpc reinstall`.
pub(crate) async fn reinstall(client: &Client, arguments: &Reinstall) -> Verdict {
    order(client, &arguments.names, &arguments.what, true).await
}

async fn order(client: &Client, selection: &[String], what: &What, again: bool) -> Verdict {
    let mut request = api::Provision {
        despite_responders: what.despite_responders,
        disk: what.disk.clone(),
        wipe: what.wipe.clone(),
        selection: selection.to_vec(),
        profile: what.profile.clone(),
        roles: what.roles.clone(),
        firmware: what.firmware.word().to_owned(),
        max_in_flight: what.max_in_flight.max(1),
        stagger_ms: what.stagger.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
        max_failures: what.max_failures.max(1),
        again,
    };
    let plan: api::Plan = client.post("/v1/plan", &request).await?;
    let answer = |started: Option<&api::Started>| match started {
        Some(started) => serde_json::json!({ "plan": plan, "started": started }),
        None => serde_json::json!({ "plan": plan }),
    };
    if !what.json {
        say(words(&plan).trim_end())?;
    }
    if plan.machines.is_empty() {
        if what.json {
            say(answer(None))?;
        }
        return Err("no machine is left to provision".to_owned());
    }
    if !what.yes {
        if what.json {
            eprint!("{}", words(&plan));
        }
        let agreed = agreed(plan.machines.len(), again);
        if what.json && !matches!(agreed, Ok(true)) {
            say(answer(None))?;
        }
        if !agreed? {
            eprintln!("nothing was changed");
            return Ok(1);
        }
    }
    request.selection = plan.machines.iter().map(|machine| machine.name.clone()).collect();
    let started: api::Started = client.post("/v1/provision", &request).await?;
    if what.json {
        say(answer(Some(&started)))?;
    } else {
        started.refused.iter().try_for_each(|machine| say(refused(machine)))?;
    }
    let verdict = u8::from(!plan.refused.is_empty() || !started.refused.is_empty());
    if what.watch && !started.machines.is_empty() {
        let look = if what.json { Look::Json } else { Look::Text };
        return Ok(follow(client, Ending::WhenDone, &started.machines, look).await?.max(verdict));
    }
    if !what.json && !started.machines.is_empty() {
        say("started; `kpc watch` follows, `kpc status` shows where they are")?;
    }
    Ok(verdict)
}

fn words(plan: &api::Plan) -> String {
    let what = if plan.kind == "live" {
        "runs from memory, writes no disk"
    } else {
        "writes the disk that is granted"
    };
    let mut text =
        format!("profile {} ({what})\nNODE             BMC                    POWER  ACTION\n", plan.profile);
    for machine in &plan.machines {
        let bmc = machine.bmc.as_deref().unwrap_or("-");
        let _ = writeln!(text, "{:<16} {bmc:<22} {:<6} {}", machine.name, machine.power, machine.action);
    }
    for machine in &plan.refused {
        let _ = writeln!(text, "{}", refused(machine));
    }
    // Often the same for all.
    let notes: BTreeSet<&str> = plan.machines.iter().filter_map(|machine| machine.note.as_deref()).collect();
    for note in notes {
        let _ = writeln!(text, "{note}");
    }
    text
}

fn refused(machine: &api::RefusedMachine) -> String {
    format!("{:<16} refused: {}", machine.name, machine.reason)
}

/// Asks on standard error, so that standard output holds the answer alone.
fn agreed(count: usize, again: bool) -> Result<bool, String> {
    if !std::io::stdin().is_terminal() {
        return Err("nobody to ask; say --yes to go on without a question".to_owned());
    }
    eprint!("{} {count} machines? [y/N] ", if again { "reinstall" } else { "start" });
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|error| error.to_string())?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
