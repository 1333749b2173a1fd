//! `kpc provision`: prints the plan, asks, starts the job in the server.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use serde_json::Value;

use crate::api;
use crate::args::Provision;
use crate::client::Client;
use crate::verbs::Verdict;
use crate::verbs::watch::{Ending, watch};

/// The verb.
pub(crate) async fn provision(client: &Client, arguments: &Provision) -> Verdict {
    let mut request = api::Provision {
        selection: arguments.selection.clone(),
        profile: arguments.profile.clone(),
        roles: arguments.roles.clone(),
        firmware: arguments.firmware.word().to_owned(),
        max_in_flight: arguments.max_in_flight.max(1),
        stagger_ms: arguments.stagger.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
        max_failures: arguments.max_failures.max(1),
    };
    let plan: api::Plan = client.post("/v1/plan", &request).await?;
    if !arguments.json {
        show(&plan);
    }
    if plan.machines.is_empty() {
        return Err("no machine is left to provision".to_owned());
    }
    if !arguments.yes && !agreed(plan.machines.len())? {
        println!("nothing was changed");
        return Ok(1);
    }
    request.selection = plan.machines.iter().map(|machine| machine.name.clone()).collect();
    let started: Value = client.post("/v1/provision", &request).await?;
    if arguments.json {
        println!("{}", serde_json::json!({ "plan": plan, "started": started }));
    }
    if arguments.watch {
        return watch(client, Ending::WhenDone, &request.selection).await;
    }
    if !arguments.json {
        println!("started; `kpc watch` follows, `kpc status` shows where they are");
    }
    Ok(u8::from(!plan.refused.is_empty()))
}

fn show(plan: &api::Plan) {
    let what = if plan.kind == "live" {
        "runs from memory, writes no disk"
    } else {
        "writes the disk that is granted"
    };
    println!("profile {} ({what})", plan.profile);
    println!("NODE             BMC                    POWER  ACTION");
    for machine in &plan.machines {
        println!(
            "{:<16} {:<22} {:<6} {}",
            machine.name,
            machine.bmc.as_deref().unwrap_or("-"),
            machine.power,
            machine.action
        );
    }
    for refused in &plan.refused {
        println!("{:<16} refused: {}", refused.name, refused.reason);
    }
}

fn agreed(count: usize) -> Result<bool, String> {
    if !std::io::stdin().is_terminal() {
        return Err("nobody to ask; say --yes to go on without a question".to_owned());
    }
    print!("start {count} machines? [y/N] ");
    std::io::stdout().flush().map_err(|error| error.to_string())?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|error| error.to_string())?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
