//! Takes over a KPC checkout: profiles and templates as they are, groups as roles. In KPC a group without a selector
//! matched every machine that booted, and its profile erased it; here a profile is booted by an order alone, so a group's
//! metadata is looked up by the role that an order names, and never by what a machine says.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::files::{Written, text};
use super::ssh::Key;

/// What was taken over.
pub(super) struct Taken {
    /// Files, new or kept.
    pub(super) files: Vec<Written>,
    /// What a person should know or do.
    pub(super) notes: Vec<String>,
}

/// Marks that KPC's script put values for.
const KEYS_MARK: &str = "[KPC_ssh_authorized_keys]";

/// Takes what is below `CHECKOUT/bootcfg`.
pub(super) fn take(checkout: &Path, into: &Path, keys: &[Key]) -> Result<Taken, String> {
    let from = checkout.join("bootcfg");
    if !from.join("profiles").is_dir() {
        return Err(format!("{}: no KPC checkout: it has no bootcfg/profiles", checkout.display()));
    }
    let mut taken = Taken { files: Vec::new(), notes: Vec::new() };
    for folder in ["profiles", "ignition", "cloud", "generic"] {
        for path in listed(&from.join(folder)) {
            let content = read(&path)?;
            let name = path.file_name().unwrap_or_default();
            taken.files.push(text(&into.join(folder).join(name), &filled(&content, keys))?);
        }
    }
    let mut groups = listed(&from.join("groups"));
    for folder in folders(&from.join("groups")) {
        groups.extend(listed(&folder));
    }
    for path in groups.iter().filter(|path| path.extension().is_some_and(|end| end == "json")) {
        group(path, &from.join("groups"), into, keys, &mut taken)?;
    }
    taken.notes.push(
        "KPC_… marks that are left in profiles and templates were filled by template-bootcfg.bash: `kpc check` lists what still needs a value".to_owned(),
    );
    Ok(taken)
}

/// One group becomes a role of its name: its metadata, under a selector that only an order gives.
fn group(path: &Path, root: &Path, into: &Path, keys: &[Key], taken: &mut Taken) -> Result<(), String> {
    let place = path.strip_prefix(root).unwrap_or(path).with_extension("");
    let role: String = place
        .to_string_lossy()
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' })
        .collect();
    let content = filled(&read(path)?, keys);
    let Ok(value) = serde_json::from_str::<Value>(&mended(&content)) else {
        taken.notes.push(format!("{}: does not parse, not taken over", path.display()));
        return Ok(());
    };
    let text_of = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let profile = text_of("profile");
    let selector = value.get("selector").and_then(Value::as_object).cloned().unwrap_or_default();
    let metadata = value.get("metadata").and_then(Value::as_object).cloned().unwrap_or_else(Map::new);
    let group = json!({
        "id": role, "name": text_of("name"), "profile": profile,
        "selector": { "kpc_role": role }, "metadata": metadata,
    });
    taken.files.push(text(&into.join("groups").join(format!("{role}.json")), &format!("{group:#}\n"))?);
    let erased = if selector.is_empty() { " (it matched every machine that booted)" } else { "" };
    taken.notes.push(format!(
        "group {} is the role {role} now{erased}: kpc provision NAME --profile {profile} --role {role}",
        place.display()
    ));
    Ok(())
}

/// KPC's keys were put in by sed; ours are put in as JSON.
fn filled(content: &str, keys: &[Key]) -> String {
    let list = Value::from(keys.iter().map(|key| key.line.clone()).collect::<Vec<_>>());
    content.replace(KEYS_MARK, &list.to_string())
}

/// Some of KPC's groups want a comma between two members, or have one too many before a brace.
fn mended(json: &str) -> String {
    let lines: Vec<&str> = json.lines().map(str::trim_end).collect();
    let mut out = String::with_capacity(json.len() + 8);
    for (at, line) in lines.iter().enumerate() {
        let next = lines
            .get(at + 1..)
            .unwrap_or_default()
            .iter()
            .map(|line| line.trim())
            .find(|line| !line.is_empty());
        let opens = next.is_some_and(|next| next.starts_with('"'));
        let closes = next.is_some_and(|next| next.starts_with('}') || next.starts_with(']'));
        let ends_value =
            line.ends_with(['"', '}', ']']) || line.ends_with(|c: char| c.is_ascii_alphanumeric());
        match line.strip_suffix(',') {
            Some(bare) if closes => out.push_str(bare),
            None if opens && ends_value => {
                out.push_str(line);
                out.push(',');
            }
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    entries(folder, Path::is_file)
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    entries(folder, Path::is_dir)
}

fn entries(folder: &Path, wanted: fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| wanted(path))
        .collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two groups of KPC's tree that every rack uses, with the commas as they are there.
    #[test]
    fn groups_become_roles_and_never_a_catch_all() {
        let folder = std::env::temp_dir().join(format!("kpc-from-{}", std::process::id()));
        let (checkout, into) = (folder.join("kpc"), folder.join("out"));
        for place in ["groups/kolla", "profiles", "ignition"] {
            std::fs::create_dir_all(checkout.join("bootcfg").join(place)).unwrap();
        }
        let write =
            |name: &str, text: &str| std::fs::write(checkout.join("bootcfg").join(name), text).unwrap();
        write(
            "groups/kolla/install.json",
            "{\n  \"id\": \"coreos-install\",\n  \"profile\": \"install-reboot\",\n  \"metadata\": {\n    \"a\": \"1\"\n    \"b\": \"2\",\n    \"ssh_authorized_keys\": [KPC_ssh_authorized_keys]\n  }\n}\n",
        );
        write(
            "groups/kolla/targetnode.json",
            "{\n  \"id\": \"t\",\n  \"profile\": \"targetnode\",\n  \"selector\": {\n    \"modekey\": \"targetnode\",\n  }\n}\n",
        );
        write("profiles/install-reboot.json", "{\"id\": \"install-reboot\"}\n");
        write("ignition/targetnode.yaml", "---\n");
        let key = Key {
            line: "ssh-ed25519 AAAA a\"b".to_owned(),
            fingerprint: String::new(),
            comment: String::new(),
            file: PathBuf::new(),
        };
        let taken = take(&checkout, &into, &[key]).unwrap();
        assert!(taken.notes.iter().any(|note| note.contains("every machine")), "{:?}", taken.notes);
        let group: Value =
            serde_json::from_str(&std::fs::read_to_string(into.join("groups/kolla-install.json")).unwrap())
                .unwrap();
        assert_eq!(group["selector"], json!({ "kpc_role": "kolla-install" }));
        assert_eq!(group["metadata"]["b"], "2");
        assert_eq!(group["metadata"]["ssh_authorized_keys"][0], "ssh-ed25519 AAAA a\"b");
        for entry in listed(&into.join("groups")) {
            let group: Value = serde_json::from_str(&std::fs::read_to_string(entry).unwrap()).unwrap();
            assert!(group["selector"].as_object().is_some_and(|selector| !selector.is_empty()));
        }
        assert!(take(&folder, &into, &[]).is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
