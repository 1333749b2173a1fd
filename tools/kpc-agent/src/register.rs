//! `kpc-agent register`: the installed system tells the server where it is, at every boot. The first time the claim of
//! its installation lets it in, later its own key does.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use crate::args::Args;
use crate::console::{fail, say, warn};
use crate::facts::Facts;
use crate::install::find_credentials;
use crate::server::{Refused, Server};

/// Most host keys told.
const MAX_HOST_KEYS: usize = 8;

/// Registers once; ends with an error where the server will not have this system, for its unit to try again later.
pub(crate) fn run(args: &Args) -> ExitCode {
    let read = match &args.from {
        Some(path) => fs::read(path).map_err(|error| format!("read {}: {error}", path.display())),
        None => find_credentials(&args.places),
    };
    let credentials = read.and_then(|octets| {
        serde_json::from_slice::<Value>(&octets)
            .map_err(|error| format!("the credentials are no JSON: {error}"))
    });
    match credentials.and_then(|credentials| register(args, &credentials, std::thread::sleep)) {
        Ok(name) => {
            say(format!("registered as {name}"));
            ExitCode::SUCCESS
        }
        Err(why) => {
            fail(why);
            ExitCode::FAILURE
        }
    }
}

fn register(args: &Args, credentials: &Value, pause: fn(Duration)) -> Result<String, String> {
    let text = |field: &str| credentials.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (url, key, claim) = (text("server"), text("key"), text("claim"));
    if url.is_empty() || key.is_empty() {
        return Err("the credentials name no `server` or no `key`".to_owned());
    }
    let facts = Facts::read(&args.places.sys);
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut registration = json!({
        "key": key,
        "claim": Some(&claim).filter(|claim| !claim.is_empty()),
        "uuid": facts.uuid,
        "serial": facts.serial,
        "hostname": hostname.trim(),
        "interfaces": facts.interfaces,
        "digests": { "image": credentials.get("image") },
        "ssh_host_keys": host_keys(),
        "agent_version": env!("CARGO_PKG_VERSION"),
    });
    let server = Server { url, claim: String::new(), pause };
    let answer = match server.call("/v1/register", &registration) {
        // The claim went with its order; the key stays.
        Err(Refused { status: 403, words }) if !claim.is_empty() => {
            warn(format!("the installation's claim counts no more ({words}); by the key alone"));
            if let Value::Object(fields) = &mut registration {
                fields.remove("claim");
            }
            server.call("/v1/register", &registration)
        }
        other => other,
    };
    let answer =
        answer.map_err(|refused| format!("the server answered {} {}", refused.status, refused.words))?;
    let name = answer.value.get("name").and_then(Value::as_str);
    Ok(name.unwrap_or("(without a name)").to_owned())
}

/// The public keys of the SSH server, where there is one.
fn host_keys() -> Vec<String> {
    let entries = fs::read_dir("/etc/ssh").into_iter().flatten();
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("ssh_host_") && name.ends_with("_key.pub")
        })
        .collect();
    paths.sort();
    let keys = paths.iter().filter_map(|path| fs::read_to_string(path).ok());
    keys.map(|key| key.trim().to_owned()).take(MAX_HOST_KEYS).collect()
}
