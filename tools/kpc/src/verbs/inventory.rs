//! `kpc inventory`: what Ansible reads. The server makes the bytes; this prints them, or writes what kolla-ansible takes.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::args::{Common, Inventory, Reservations};
use crate::client::Client;
use crate::verbs::why::plain;
use crate::verbs::{Verdict, say};

/// The verb.
pub(crate) async fn inventory(client: &Client, common: &Common, inventory: &Inventory) -> Verdict {
    let all = if inventory.all_states { "all=1" } else { "" };
    let path = if let Some(host) = &inventory.host {
        // An unknown host is an empty object, as Ansible wants it; so is a name that can be none.
        match plain(host) {
            Ok(host) => format!("/v1/inventory/{host}"),
            Err(_) => return say("{}").map(|()| 0),
        }
    } else if let Some(folder) = &inventory.write {
        return write(client, common, inventory, folder).await;
    } else if inventory.static_file {
        format!("/v1/inventory-static?{all}")
    } else if inventory.known_hosts {
        format!("/v1/known-hosts?{all}")
    } else if let Some(server) = inventory.reservations {
        let word = match server {
            Reservations::Isc => "isc",
            Reservations::Kea => "kea",
            Reservations::Dnsmasq => "dnsmasq",
        };
        format!("/v1/reservations?server={word}&all=1")
    } else {
        format!("/v1/inventory?{all}")
    };
    say(client.get_text(&path).await?.trim_end())?;
    Ok(0)
}

/// The groups of kolla-ansible's that are never empty, and what runs there.
const FILLED: [(&str, &str); 3] = [
    ("control", "its API services and database"),
    ("network", "its load balancer and routers"),
    ("compute", "its virtual machines"),
];

/// What became of a file.
#[derive(Debug, Serialize)]
struct Wrote {
    path: PathBuf,
    what: &'static str,
}

/// kolla-ansible's folder: `inventory/` with its own groups and our script, the same as a static file, settings, keys.
async fn write(client: &Client, common: &Common, inventory: &Inventory, folder: &Path) -> Verdict {
    let program = std::env::current_exe().map_err(|error| format!("this program's own path: {error}"))?;
    let mut told = Vec::new();
    let groups = folder.join("inventory/00-kolla-groups");
    match kolla_groups() {
        Some(file) => {
            let text =
                std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            told.push(put(&groups, &without_hosts(&text), 0o644)?);
        }
        None if groups.exists() => told.push(Wrote { path: groups, what: "kept" }),
        None => eprintln!(
            "warning: kolla-ansible is not installed here: its groups are missing; run this again once it is, or put its multinode file to {}",
            groups.display()
        ),
    }
    let mut words = vec![program.display().to_string()];
    if let Some(socket) = &common.socket {
        words.extend(["--socket".to_owned(), absolute(socket)?]);
    }
    words.extend(["--config".to_owned(), absolute(&common.config)?]);
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    let script = format!("#!/bin/sh\nexec {} inventory \"$@\"\n", words.join(" "));
    told.push(put(&folder.join("inventory/10-kpc"), &script, 0o755)?);
    let static_text = client.get_text("/v1/inventory-static").await?;
    told.push(put(&folder.join("inventory-static.yml"), &static_text, 0o644)?);
    told.push(put(&folder.join("known_hosts"), &client.get_text("/v1/known-hosts").await?, 0o644)?);
    told.push(put(&folder.join("globals.d/50-kpc.yml"), &globals(inventory), 0o644)?);
    for one in &told {
        say(format_args!("  {:<7} {}", one.what, one.path.display()))?;
    }
    let listed: serde_json::Value = client.get("/v1/inventory").await?;
    for (group, runs) in FILLED {
        if listed.get(group).and_then(|group| group.get("hosts")).is_none() {
            eprintln!(
                "warning: no machine has the role {group}, and kolla-ansible wants one: {runs}; give it with kpc machine label NAME --role …,{group}"
            );
        }
    }
    say(format_args!(
        "  next    kolla-ansible prechecks -i {} --configdir {}",
        folder.join("inventory").display(),
        folder.display()
    ))?;
    Ok(0)
}

fn absolute(path: &Path) -> Result<String, String> {
    let path = std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path.display().to_string())
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/-_.".contains(letter);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// kolla-ansible's own multinode inventory, where it is installed.
fn kolla_groups() -> Option<PathBuf> {
    const PLACE: &str = "share/kolla-ansible/ansible/inventory/multinode";
    let named = std::env::var_os("KOLLA_ANSIBLE_INVENTORY").map(PathBuf::from);
    let venv = std::env::var_os("VIRTUAL_ENV").map(|venv| PathBuf::from(venv).join(PLACE));
    let beside = std::env::var_os("PATH").and_then(|path| {
        let found = std::env::split_paths(&path).find(|folder| folder.join("kolla-ansible").exists())?;
        Some(found.parent()?.join(PLACE))
    });
    let usual =
        ["/opt/kolla", "/opt/kolla-venv", "/usr/local", "/usr"].map(|root| Path::new(root).join(PLACE));
    named.into_iter().chain(venv).chain(beside).chain(usual).find(|path| path.is_file())
}

/// The groups without their example hosts; `localhost` of the deployment group stays.
fn without_hosts(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut hosts = false;
    for line in text.lines() {
        let word = line.trim();
        if let Some(head) = word.strip_prefix('[') {
            hosts = !head.contains(':');
        }
        let is_host =
            hosts && !word.is_empty() && !word.starts_with(['#', '[']) && !word.starts_with("localhost");
        if !is_host {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// Each setting that is known here; the others are kolla's own to ask for.
fn globals(inventory: &Inventory) -> String {
    let mut lines = vec![
        "---".to_owned(),
        "kolla_base_distro: \"debian\"".to_owned(),
        "kolla_install_type: \"source\" # the only one since 2023.1; releases before ask for it".to_owned(),
        "# Each host's network_interface is the one that it registered with; this is for hosts without."
            .to_owned(),
    ];
    match inventory.vip {
        Some(vip) => lines.push(format!("kolla_internal_vip_address: \"{vip}\"")),
        None => lines
            .push("# kolla_internal_vip_address: a free address on the machines' network (--vip)".to_owned()),
    }
    match &inventory.external_interface {
        Some(name) => lines.push(format!("neutron_external_interface: {}", yaml(name))),
        None => lines.push(
            "# neutron_external_interface: the interface to the outside (--external-interface)".to_owned(),
        ),
    }
    if let Some(registry) = &inventory.registry {
        lines.push(format!("docker_registry: {}", yaml(registry)));
        let word = if inventory.insecure_registry { "yes" } else { "no" };
        lines.push(format!("docker_registry_insecure: \"{word}\""));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// A text in YAML, as JSON writes it; `{{` cannot come in.
fn yaml(text: &str) -> String {
    serde_json::Value::from(text.replace("{{", "").replace("{%", "")).to_string()
}

/// The mark by which a file is known to be ours and as we wrote it.
const MARK: &str = "# kpc wrote this, digest ";

/// Writes a file of ours; one that was changed by hand, or is not ours, is kept.
fn put(path: &Path, text: &str, mode: u32) -> Result<Wrote, String> {
    use std::os::unix::fs::PermissionsExt as _;
    let said = |error: std::io::Error| format!("{}: {error}", path.display());
    let marked = format!("{text}{MARK}{}\n", digest(text));
    if let Ok(there) = std::fs::read_to_string(path) {
        if there == marked {
            return Ok(Wrote { path: path.to_path_buf(), what: "same" });
        }
        if !is_ours(&there) {
            return Ok(Wrote { path: path.to_path_buf(), what: "kept" });
        }
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(said)?;
    }
    let beside =
        path.with_file_name(format!(".{}.new", path.file_name().unwrap_or_default().to_string_lossy()));
    std::fs::write(&beside, marked).map_err(said)?;
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(mode)).map_err(said)?;
    std::fs::rename(&beside, path).map_err(said)?;
    Ok(Wrote { path: path.to_path_buf(), what: "wrote" })
}

fn is_ours(text: &str) -> bool {
    text.trim_end().rsplit_once(MARK).is_some_and(|(before, said)| digest(before) == said)
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(12).map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kollas_example_hosts_go_and_its_groups_stay() {
        let text = "# hosts\n[control]\ncontrol01\ncontrol02 # x\n\n[deployment]\nlocalhost       ansible_connection=local\n\n[baremetal:children]\ncontrol\n[control:vars]\na=b\n";
        let kept = without_hosts(text);
        assert_eq!(
            kept,
            "# hosts\n[control]\n\n[deployment]\nlocalhost       ansible_connection=local\n\n[baremetal:children]\ncontrol\n[control:vars]\na=b\n"
        );
    }

    #[test]
    fn what_was_changed_by_hand_stays() {
        let folder = std::env::temp_dir().join(format!("kpc-inventory-{}", std::process::id()));
        let path = folder.join("globals.d/50-kpc.yml");
        assert_eq!(put(&path, "---\na: 1\n", 0o644).unwrap().what, "wrote");
        assert_eq!(put(&path, "---\na: 1\n", 0o644).unwrap().what, "same");
        assert_eq!(put(&path, "---\na: 2\n", 0o644).unwrap().what, "wrote");
        let edited = std::fs::read_to_string(&path).unwrap().replace("a: 2", "a: 3");
        std::fs::write(&path, &edited).unwrap();
        assert_eq!(put(&path, "---\na: 4\n", 0o644).unwrap().what, "kept");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), edited);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn settings_cannot_become_code() {
        assert_eq!(yaml("{{ lookup('pipe', 'id') }}"), "\" lookup('pipe', 'id') }}\"");
    }
}
