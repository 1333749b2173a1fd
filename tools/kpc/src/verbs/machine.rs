//! The verbs over a selection: `kpc machine add|label|retire`, `kpc cancel|retry|adopt|resolve`, `kpc power`.

use serde_json::Value;

use crate::api;
use crate::args::{MachineAdd, MachineLabel, Power, Selected};
use crate::client::Client;
use crate::verbs::{Verdict, say};

/// `kpc machine add`.
pub(crate) async fn add(client: &Client, add: &MachineAdd) -> Verdict {
    let request = api::AddMachine {
        name: add.name.clone(),
        macs: add.macs.clone(),
        uuid: add.uuid.clone(),
        bmc: add.bmc.clone(),
        serial: add.serial.clone(),
        rack: add.rack.clone(),
        roles: add.roles.clone(),
    };
    let answer: Value = client.post("/v1/machines", &request).await?;
    if add.json {
        say(answer)?
    } else {
        say(format_args!("{} added", add.name))?
    }
    Ok(0)
}

/// `kpc cancel`.
pub(crate) async fn cancel(client: &Client, selected: &Selected) -> Verdict {
    each(client, "/v1/cancel", selected).await
}

/// `kpc retry`.
pub(crate) async fn retry(client: &Client, selected: &Selected) -> Verdict {
    each(client, "/v1/retry", selected).await
}

/// `kpc adopt`.
pub(crate) async fn adopt(client: &Client, selected: &Selected) -> Verdict {
    each(client, "/v1/adopt", selected).await
}

/// `kpc resolve`.
pub(crate) async fn resolve(client: &Client, selected: &Selected) -> Verdict {
    each(client, "/v1/resolve", selected).await
}

/// `kpc machine retire`.
pub(crate) async fn retire(client: &Client, selected: &Selected) -> Verdict {
    each(client, "/v1/retire", selected).await
}

/// `kpc power`.
pub(crate) async fn power(client: &Client, power: &Power) -> Verdict {
    let request = api::Power {
        selection: power.selection.clone(),
        action: power.action.word().to_owned(),
        hard: power.hard,
        force: power.force,
    };
    tell(client.post("/v1/power", &request).await?, power.json)
}

/// `kpc machine label`.
pub(crate) async fn label(client: &Client, label: &MachineLabel) -> Verdict {
    let named = |roles: &Vec<String>| roles.iter().filter(|role| !role.is_empty()).cloned().collect();
    let request = api::Label {
        selection: label.selection.clone(),
        roles: label.roles.as_ref().map(named),
        rack: label.rack.clone(),
    };
    tell(client.post("/v1/label", &request).await?, label.json)
}

async fn each(client: &Client, path: &str, selected: &Selected) -> Verdict {
    let request = api::Selected { selection: selected.selection.clone() };
    tell(client.post(path, &request).await?, selected.json)
}

pub(super) fn tell(outcomes: Vec<api::Outcome>, json: bool) -> Verdict {
    if json {
        say(serde_json::to_string(&outcomes).map_err(|error| error.to_string())?)?;
    } else {
        for outcome in &outcomes {
            let failed = if outcome.ok { "" } else { "failed: " };
            say(format_args!("{:<16} {failed}{}", outcome.name, outcome.detail))?;
        }
    }
    Ok(u8::from(outcomes.iter().any(|outcome| !outcome.ok)))
}
