//! `kpc inventory`: what Ansible reads. The server makes the bytes; this prints them.

use crate::args::Inventory;
use crate::client::Client;
use crate::verbs::{Verdict, say};

/// The verb.
pub(crate) async fn inventory(client: &Client, inventory: &Inventory) -> Verdict {
    let path = match &inventory.host {
        Some(host) => format!("/v1/inventory/{host}"),
        None => "/v1/inventory".to_owned(),
    };
    say(client.get_text(&path).await?.trim_end())?;
    Ok(0)
}
