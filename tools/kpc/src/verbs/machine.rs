//! `kpc machine add|retire`, `kpc cancel`, `kpc power`.

use serde_json::Value;

use crate::api;
use crate::args::{MachineAdd, Power, Selected};
use crate::client::Client;
use crate::verbs::Verdict;

/// `kpc machine add`.
pub(crate) async fn add(client: &Client, add: &MachineAdd) -> Verdict {
    if add.macs.is_empty() && add.uuid.is_none() && add.bmc.is_none() {
        return Err(
            "give at least one of --mac, --uuid, --bmc: a name alone identifies no machine".to_owned()
        );
    }
    let request = api::AddMachine {
        name: add.name.clone(),
        macs: add.macs.clone(),
        uuid: add.uuid.clone(),
        bmc: add.bmc.clone(),
    };
    let answer: Value = client.post("/v1/machines", &request).await?;
    if add.json {
        println!("{answer}");
    } else {
        println!("{} added", add.name);
    }
    Ok(0)
}

/// `kpc cancel`.
pub(crate) async fn cancel(client: &Client, selected: &Selected) -> Verdict {
    each(client, "/v1/cancel", selected).await
}

/// `kpc machine retire`.
pub(crate) async fn retire(client: &Client, selected: &Selected) -> Verdict {
    each(client, "/v1/retire", selected).await
}

/// `kpc power`.
pub(crate) async fn power(client: &Client, power: &Power) -> Verdict {
    let request = api::Power { selection: power.selection.clone(), action: power.action.word().to_owned() };
    print(client.post("/v1/power", &request).await?, power.json)
}

async fn each(client: &Client, path: &str, selected: &Selected) -> Verdict {
    let request = api::Selected { selection: selected.selection.clone() };
    print(client.post(path, &request).await?, selected.json)
}

fn print(outcomes: Vec<api::Outcome>, json: bool) -> Verdict {
    if json {
        println!("{}", serde_json::to_string(&outcomes).map_err(|error| error.to_string())?);
    } else {
        for outcome in &outcomes {
            println!("{:<16} {}{}", outcome.name, if outcome.ok { "" } else { "failed: " }, outcome.detail);
        }
    }
    Ok(u8::from(outcomes.iter().any(|outcome| !outcome.ok)))
}
